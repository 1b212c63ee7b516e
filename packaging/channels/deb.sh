#!/bin/sh
# Debian and Ubuntu: `deb.sh PACKAGE.deb ROOT`. It needs dpkg. ROOT is an empty directory, in place of `/`.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

mkdir -p "$2/var/lib/dpkg/info" "$2/var/lib/dpkg/updates" "$2/var/lib/dpkg/triggers"
: >"$2/var/lib/dpkg/status"
: >"$2/var/lib/dpkg/available"
set -- "$1" --root="$2" --force-not-root --force-script-chrootless
package=$1
shift
shown dpkg "$@" -i "$package"
MCPWRAP=${1#--root=}/usr/bin/mcpwrap
story
shown dpkg "$@" --purge mcpwrap
