#!/bin/sh
# PyPI: `pypi.sh WHEEL`. It needs Python with venv and pip, or uv in UV.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

if [ -n "${UV-}" ]; then
    export UV_CACHE_DIR="$HOME/uv-cache" UV_TOOL_DIR="$HOME/uv-tools" UV_TOOL_BIN_DIR="$HOME/bin"
    shown "$UV" tool install --offline --quiet "$1"
    MCPWRAP=$HOME/bin/mcpwrap
    story
    shown "$UV" tool uninstall --quiet mcpwrap-cli
else
    shown python3 -m venv "$HOME/venv"
    shown "$HOME/venv/bin/pip" install --quiet --no-index --no-deps "$1"
    MCPWRAP=$HOME/venv/bin/mcpwrap
    story
    shown "$HOME/venv/bin/pip" uninstall --quiet --yes mcpwrap-cli
fi
