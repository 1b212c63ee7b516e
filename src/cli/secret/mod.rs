//! `mcpwrap secret …`: the secrets of this user, by name.
//!
//! Invariants: no value or its length is printed, and no value is taken as an argument. Output has names,
//! fingerprints, and what a value looks like.

mod import;
mod input;
mod list;
mod looks;
mod move_all;
mod renewals;
mod rm;
mod set;

use clap::Subcommand;

use super::{Context, print};
use crate::error::{Code, Error, Result};
use crate::secret::{SecretName, ServerName};
use crate::store::Index;
use crate::suggest::nearest;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Store a secret
    Set(set::SetArgs),
    /// Replace stored values
    Rotate(set::RotateArgs),
    /// List secrets without opening the store
    List(list::Args),
    /// Remove secrets
    Rm(rm::Args),
    /// Import from a .env or JSON file
    Import(import::Args),
    /// Move all secrets to the other store
    Move(move_all::Args),
}

/// "server `a`" or "servers `a`, `b`".
fn servers(servers: &[ServerName]) -> String {
    let plural = if servers.len() == 1 { "" } else { "s" };
    format!("server{plural} {}", print::names(servers))
}

/// Adds the nearest name to the error of a secret that does not exist.
fn with_nearest(cx: &Context, name: &SecretName, error: Error) -> Error {
    if error.code != Code::SecretNotFound {
        return error;
    }
    let index = Index::load(&cx.dirs).map(|index| index.secrets);
    let known = index.unwrap_or_default();
    match nearest(name.as_str(), known.keys().map(SecretName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

pub fn run(args: Args, cx: &Context) -> Result<u8> {
    match args.command {
        SecretCommand::Set(args) => set::set(args, cx),
        SecretCommand::Rotate(args) => set::rotate(&args, cx),
        SecretCommand::List(args) => list::run(&args, cx),
        SecretCommand::Rm(args) => rm::run(&args, cx),
        SecretCommand::Import(args) => import::run(&args, cx),
        SecretCommand::Move(args) => move_all::run(&args, cx),
    }
}
