#!/bin/sh
# A static binary without a package manager: `archive.sh ARCHIVE.tar.gz`. It needs tar.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

mkdir -p "$HOME/.local/bin"
shown tar -xzf "$1" -C "$HOME"
shown mv "$HOME"/mcpwrap-*/mcpwrap "$HOME/.local/bin/mcpwrap"
MCPWRAP=$HOME/.local/bin/mcpwrap
story
rm -r "$HOME/.local/bin/mcpwrap"
