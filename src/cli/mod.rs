//! The command line: arguments, the verbs, and nothing of what they do.

pub mod print;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{EXIT_ERROR, Result};

/// A credential-injecting process launcher for MCP servers.
#[derive(Debug, Parser)]
#[command(name = "mcpwrap", version, max_term_width = 100, subcommand_required = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// One variant a verb; the arguments and the work are in the verb's own file.
#[derive(Debug, Subcommand)]
enum Verb {}

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
    match verb {}
}
