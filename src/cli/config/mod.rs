//! `mcpwrap config`: settings that are approved and sealed. Other settings are in `config.toml`.

mod agents;
mod network;

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
    /// Approve this terminal's proxies and certificates
    Network(network::Args),
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    match &args.command {
        ConfigCommand::Agents(args) => agents::run(args, cx),
        ConfigCommand::Network(args) => network::run(args, cx),
    }
}
