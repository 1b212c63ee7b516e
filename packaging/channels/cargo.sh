#!/bin/sh
# cargo: `cargo.sh SOURCES`. It needs Rust and a C compiler. SOURCES is an unpacked crate, as crates.io has it.
# It compiles for minutes, in the directory that CARGO_TARGET_DIR names, with the crates of CARGO_HOME.

CHANNELS=$(cd "$(dirname "$0")" && pwd)
. "$CHANNELS/story.sh"

shown cargo install --locked --offline --quiet --path "$1" --root "$HOME/.local"
MCPWRAP=$HOME/.local/bin/mcpwrap
story
shown cargo uninstall --quiet --root "$HOME/.local" mcpwrap
