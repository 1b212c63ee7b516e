//! `mcpwrap policy …`: creates, shows, edits, validates and removes policies. None of these commands grants one.

pub mod edit;
pub mod lint;
pub mod list;
pub mod new;
pub mod rm;
pub mod schema;
pub mod show;

use super::Context;
use crate::config::Config;
use crate::error::Result;
use crate::ops::agents;
use crate::settings::AgentAct;

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
    /// Stop servers and remove their policies
    Rm(rm::Args),
    /// Print the JSON Schema of policy files, for editors
    Schema,
}

pub fn run(args: Args) -> Result<u8> {
    match args.command {
        PolicyCommand::New(args) => {
            let cx = Context::new()?;
            if !args.dry_run {
                not_by_agent(&cx, "policy new")?;
            }
            new::run(&args, &cx)
        }
        PolicyCommand::List(args) => Ok(list::run(&args, &Context::new()?)),
        PolicyCommand::Show(args) => show::run(&args, &Context::new()?),
        PolicyCommand::Edit(args) => {
            let cx = Context::new()?;
            not_by_agent(&cx, "policy edit")?;
            edit::run(&args, &cx)
        }
        PolicyCommand::Lint(args) => lint::run(&args, &Context::new()?),
        PolicyCommand::Rm(args) => rm::run(&args, &Context::new()?),
        PolicyCommand::Schema => Ok(schema::run()),
    }
}

/// # Errors
/// `agent-refused`.
fn not_by_agent(cx: &Context, command: &str) -> Result<()> {
    let config = Config::load(&cx.dirs)?;
    agents::refuse(&cx.dirs, &config, command, Some(AgentAct::Policy))
}
