//! `mcpwrap config …`: settings that widen what is allowed. They are sealed, and other settings are in
//! `config.toml`.

mod agents;

use super::Context;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Show or choose what AI agents may do
    Agents(agents::Args),
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    match &args.command {
        ConfigCommand::Agents(args) => agents::run(args, cx),
    }
}
