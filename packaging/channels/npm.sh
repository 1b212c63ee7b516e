#!/bin/sh
# npm: `npm.sh LAUNCHER.tgz`. It needs Node and npm. The launcher names the package with the program as a file.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

export npm_config_cache="$HOME/npm-cache" npm_config_update_notifier=false
shown npm install --offline --no-audit --no-fund --global --prefix "$HOME/npm" "$1"
MCPWRAP=$HOME/npm/bin/mcpwrap
story
shown npm uninstall --global --prefix "$HOME/npm" mcpwrap-cli
