//! `mcpwrap policy …`: creates, shows, edits and validates policies. None of these commands grants one.

pub mod edit;
pub mod lint;
pub mod list;
pub mod new;
pub mod schema;
pub mod show;

use super::Context;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Create a policy
    New(new::Args),
    /// List policies and their status
    List(list::Args),
    /// Show what a policy allows
    Show(show::Args),
    /// Edit and validate a policy
    Edit(edit::Args),
    /// Validate policies
    Lint(lint::Args),
    /// Print the JSON Schema of policy files, for editors
    Schema,
}

pub fn run(args: Args) -> Result<u8> {
    match args.command {
        PolicyCommand::New(args) => new::run(args, &Context::new()?),
        PolicyCommand::List(args) => Ok(list::run(&args, &Context::new()?)),
        PolicyCommand::Show(args) => show::run(&args, &Context::new()?),
        PolicyCommand::Edit(args) => edit::run(&args, &Context::new()?),
        PolicyCommand::Lint(args) => lint::run(&args, &Context::new()?),
        PolicyCommand::Schema => Ok(schema::run()),
    }
}
