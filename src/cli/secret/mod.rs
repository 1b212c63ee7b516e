//! `mcpwrap secret …`: the secrets of this user, by name.
//!
//! *Never* prints a value, takes one as an argument, or says how long one is. What a verb did is
//! shown as name and fingerprint.

mod import;
pub(super) mod keep;
mod list;
mod relocate;
mod rm;
mod set;

use clap::Subcommand;

use super::Context;
use crate::error::Result;
use crate::secret::Secret;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Ask for a value and store it
    Set(set::SetArgs),
    /// Ask for a new value of secrets that are stored already
    Rotate(set::RotateArgs),
    /// List names, profiles, dates and fingerprints; the store is not touched
    List(list::Args),
    /// Remove secrets
    Rm(rm::Args),
    /// Store the values of a `.env` or JSON file
    Import(import::Args),
    /// Move all secrets to the other store, and use that from now on
    Move(relocate::Args),
}

pub fn run(args: Args, cx: &Context) -> Result<u8> {
    match args.verb {
        Verb::Set(args) => set::set(args, cx),
        Verb::Rotate(args) => set::rotate(&args, cx),
        Verb::List(args) => list::run(&args, cx),
        Verb::Rm(args) => rm::run(&args, cx),
        Verb::Import(args) => import::run(&args, cx),
        Verb::Move(args) => relocate::run(&args, cx),
    }
}

/// A value from stdin, for the other verbs that take one.
pub(super) fn from_stdin() -> Result<Secret> {
    keep::value("", true)
}
