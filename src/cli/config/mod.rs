//! `mcpwrap config`: settings that are approved and sealed.

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
    /// Approve this terminal's proxies and certificates
    Network(network::Args),
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    match &args.command {
        ConfigCommand::Network(args) => network::run(args, cx),
    }
}
