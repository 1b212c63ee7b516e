//! `mcpwrap man DIR`: one manual page per command, from the same text as `--help`.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Cli;
use crate::error::{Code, Error, Result};
use crate::files::io_text;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output directory, e.g. `~/.local/share/man/man1`
    dir: PathBuf,
}

pub fn run(args: &Args) -> Result<u8> {
    let shown = args.dir.display();
    let unusable = |error: std::io::Error| {
        Error::new(
            Code::FileUnusable,
            format!("cannot write manual pages to `{shown}`"),
        )
        .cause(io_text(&error))
        .hint(format!("run `mkdir -p {shown}`, or name another directory"))
    };
    clap_mangen::generate_to(Cli::command(), &args.dir).map_err(unusable)?;
    Ok(0)
}
