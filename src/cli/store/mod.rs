//! `mcpwrap store …`: the stores other than the local one, by the name that references use.
//!
//! Invariants: no argument takes a secret, and no value of a store is printed. Adding, replacing and
//! removing a store shows its definition and asks.

mod add;
mod approval;
mod check;
mod list;
mod login;
mod rm;

use clap::Subcommand;

use super::{Context, ask, print};
use crate::client::agents;
use crate::config::Config;
use crate::error::{Code, Error, Result, printable};
use crate::ops::store_check::{self, StoreReport};
use crate::ops::stores;
use crate::secret::{ServerName, StoreName};
use crate::store::source::StoreCheck;
use crate::store::types::NamedStore;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Add or replace a store that policies can read from
    Add(add::Args),
    /// List stores, without opening them
    List(list::Args),
    /// Check that stores can be used now
    Check(check::Args),
    /// Sign in to a store in this terminal, then check it
    Login(login::Args),
    /// Remove a store
    Rm(rm::Args),
}

pub fn run(args: Args, cx: &Context) -> Result<u8> {
    match args.command {
        StoreCommand::Add(args) => add::run(&args, cx),
        StoreCommand::List(args) => list::run(&args, cx),
        StoreCommand::Check(args) => check::run(&args, cx),
        StoreCommand::Login(args) => login::run(&args, cx),
        StoreCommand::Rm(args) => rm::run(&args, cx),
    }
}

/// The rows of a definition, for the user.
fn rows(store: &NamedStore<'_>) -> String {
    let mut rows = vec![("type", format!("{}: {}", store.kind.id, store.kind.about))];
    let program = (store.kind.program)(store.definition);
    rows.extend(program.map(|path| ("program", path.display().to_string())));
    rows.extend((store.kind.shown)(store.definition));
    let line = |(name, fact): (&str, String)| format!("  {name:<10} {fact}\n");
    rows.into_iter().map(line).collect()
}

/// "server `a`" or "servers `a`, `b`".
fn servers(servers: &[ServerName]) -> String {
    let plural = if servers.len() == 1 { "" } else { "s" };
    format!("server{plural} {}", print::names(servers))
}

/// The command that approves the policies of these servers again.
fn grant(servers: &[ServerName]) -> String {
    let names: Vec<_> = servers.iter().map(ServerName::as_str).collect();
    format!("mcpwrap grant {}", names.join(" "))
}

/// Asks a store whether it can be used. If it needs secrets and no granted policy covers its
/// definition, the user is asked first.
fn checked(cx: &Context, config: &Config, name: &StoreName) -> Result<StoreReport> {
    let may_use = |store: &NamedStore<'_>| {
        let command = format!("store check {}", store.name);
        crate::ops::agents::refuse(&cx.dirs, config, &command, None)?;
        let secrets = store.definition.secrets();
        let question = format!(
            "no granted policy covers store `{}`, which gets {}:\n{}use it now?",
            store.name,
            print::names(&secrets),
            rows(store)
        );
        if ask::confirm(&question)? {
            return Ok(());
        }
        let what = format!("store `{}` was not used", store.name);
        Err(Error::new(Code::Declined, what).of_store(store.name))
    };
    // A dialog is for the person at the terminal.
    let is_interactive = agents::find().is_none();
    store_check::check(&cx.dirs, config, name, is_interactive, &may_use)
}

/// Prints what a store says of itself.
fn show(name: &StoreName, found: &StoreCheck) {
    print::line(&match (found.is_asked, found.facts.is_empty()) {
        (true, _) => format!("{name}: ok"),
        (false, true) => format!(
            "{name}: not asked, because its program can only read values, which a check does not do"
        ),
        (false, false) => format!(
            "{name}: its program works; whether the store can be read is not known, because a check reads no value"
        ),
    });
    for (fact, value) in &found.facts {
        print::line(&format!("  {fact:<10} {}", printable(value)));
    }
}

/// Prints what the program of a store wrote to stderr.
fn say(name: &StoreName, said: Option<&str>) {
    if let Some(text) = said.filter(|text| !text.is_empty()) {
        print::note(&format!("the program of store `{name}` wrote: {text}"));
    }
}

/// Warns that policies have to be granted again.
fn warn_users(cx: &Context, config: &Config, name: &StoreName) {
    let users = stores::users(&cx.dirs, config, name);
    if !users.is_empty() {
        print::warning(&format!(
            "{} not start until granted again: run `{}`",
            does(&users),
            grant(&users)
        ));
    }
}

fn does(users: &[ServerName]) -> String {
    let verb = if users.len() == 1 { "does" } else { "do" };
    format!("{} {verb}", servers(users))
}
