# What a new user does after the installation, by the program of a channel: from nothing to a running adopted
# server, and back. Sourced by the script of each channel, in an empty directory that is also HOME.
#
# MCPWRAP: the words that start the program, e.g. `mcpwrap` or `npx --offline mcpwrap`.

set -eu
# One record, in order.
exec 2>&1

token=tok_hB3xKw8sVd1mPf6yRj4nTc2g7q9Z

# Shows a command, and runs it.
shown() {
    printf '$ %s\n' "$*"
    "$@"
}

# mcpwrap with these arguments, shown as the user types it.
user() {
    printf '$ mcpwrap %s\n' "$*"
    # shellcheck disable=SC2086
    $MCPWRAP "$@"
}

failed() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

story() {
    config=$HOME/.cursor/mcp.json
    mkdir -p "$HOME/.cursor"
    printf '{"mcpServers": {"tickets": {"command": "/bin/sh", "args": ["%s"], "env": {"TICKETS_TOKEN": "%s"}}}}\n' \
        "$CHANNELS/server.sh" "$token" >"$config"
    cp "$config" "$HOME/before.json"

    user --version
    user init --store file --key-file "$HOME/vault.key"
    user adopt --yes --no-pin
    if grep -q "$token" "$config"; then failed 'the token is still in the config'; fi
    user test tickets
    user log
    user adopt --undo --yes
    cmp "$config" "$HOME/before.json" || failed 'the config is not as it was'
    user uninstall --yes
    for left in "$HOME/.config/mcpwrap" "$HOME/.local/share/mcpwrap" "$HOME/.local/state/mcpwrap"; do
        if [ -e "$left" ]; then failed "\`uninstall\` left $left"; fi
    done
}
