#!/bin/sh
# Prints the path of a `mcpwrap`: the one in the PATH, or else the released one of the version that is in this commit. That
# one is downloaded once, into the directory that is the argument, and compared with the checksums of its release. With a
# token in GH_TOKEN, its provenance is verified, too. MCPWRAP_RELEASES names another place of the releases.
set -eu

fail() {
  printf 'mcpwrap: cannot download mcpwrap\nmcpwrap: cause: %s\nmcpwrap: hint: %s\n' "$1" "$2" >&2
  exit 1
}

if command -v mcpwrap; then
  exit 0
fi
into=$1
manifest=$(dirname "$0")/../Cargo.toml
field() {
  sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$manifest" | head -n 1
}
version=$(field version)
repository=$(field repository)
case "$(uname -s) $(uname -m)" in
  'Linux x86_64') target=x86_64-unknown-linux-musl ;;
  'Linux aarch64') target=aarch64-unknown-linux-musl ;;
  'Darwin x86_64') target=x86_64-apple-darwin ;;
  'Darwin arm64') target=aarch64-apple-darwin ;;
  *) fail "nothing is released for $(uname -s) on $(uname -m)" 'build it with `cargo install --locked`' ;;
esac
name=mcpwrap-v$version-$target
program=$into/$name/mcpwrap
if [ -x "$program" ]; then
  echo "$program"
  exit 0
fi

releases=${MCPWRAP_RELEASES:-$repository/releases/download}/v$version
mkdir -p "$into"
partial=$(mktemp -d "$into/partial.XXXXXX")
trap 'rm -rf "$partial"' EXIT
for file in "$name.tar.gz" SHA256SUMS; do
  curl --fail --silent --show-error --location --retry 2 --output "$partial/$file" "$releases/$file" ||
    fail "no $releases/$file" 'install mcpwrap, so that it is in the PATH'
done
expected=$(awk -v name="$name.tar.gz" '$2 == name { print $1 }' "$partial/SHA256SUMS")
if command -v sha256sum > /dev/null; then
  found=$(sha256sum < "$partial/$name.tar.gz")
else
  found=$(shasum -a 256 < "$partial/$name.tar.gz")
fi
[ -n "$expected" ] && [ "${found%% *}" = "$expected" ] ||
  fail "$name.tar.gz does not match its checksum" 'try again; if it happens again, report it'
if [ -n "${GH_TOKEN:-}" ] && command -v gh > /dev/null; then
  gh attestation verify "$partial/$name.tar.gz" --repo "${repository#https://github.com/}" >&2 ||
    fail "$name.tar.gz was not built by the release workflow" 'report it'
fi
tar -xzf "$partial/$name.tar.gz" -C "$partial"
# In one step: another process may do the same.
mv "$partial/$name" "$into/$name" 2> /dev/null || [ -x "$program" ]
echo "$program"
