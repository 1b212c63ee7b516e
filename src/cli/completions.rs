//! `mcpwrap completions SHELL`: a shell completion script, on stdout.

use clap_complete::Shell;

use super::{help, print};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to print the script for
    shell: Shell,
}

pub fn run(args: &Args) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut help::plain_command(),
        "mcpwrap",
        &mut script,
    );
    print::text(&String::from_utf8_lossy(&script));
    0
}
