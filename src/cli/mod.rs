//! The command line: arguments, the verbs, and nothing of what they do.

pub mod completions;
pub mod man;
pub mod print;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::dirs::Dirs;
use crate::error::{EXIT_ERROR, Result};

/// A credential-injecting process launcher for MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "mcpwrap",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// One variant a verb; the arguments and the work are in the verb's own file.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages to a directory
    Man(man::Args),
}

/// What every verb that touches files is given.
#[derive(Debug)]
pub struct Context {
    pub dirs: Dirs,
}

impl Context {
    /// # Errors
    /// `home-unusable`, as [`Dirs::from_env`].
    pub fn new() -> Result<Self> {
        Ok(Self {
            dirs: Dirs::from_env()?,
        })
    }
}

/// Parses the arguments, does what they say, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(EXIT_ERROR));
        }
    };
    match dispatch(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            print::error(&error);
            ExitCode::from(EXIT_ERROR)
        }
    }
}

fn dispatch(verb: Verb) -> Result<u8> {
    match verb {
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
    }
}
