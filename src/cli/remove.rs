//! `mcpwrap remove`: takes the entries that `add` wrote out of the configs of clients, and removes what
//! only they used.
//!
//! Invariants: an entry that was edited stays, and what it starts stays with it; a secret that another
//! policy names is not removed.

use std::path::{Path, PathBuf};

use super::{Context, adopt_turn, ask, policy_removal, print, reloads};
use crate::adopt::added::{Removal, RemovalPlan, removal};
use crate::adopt::entry_context::EntryContext;
use crate::adopt::journal::{self, AddedRecord};
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::client::table::client;
use crate::config::Config;
use crate::error::{Code, EXIT_ERROR, EXIT_NO, Error, Result, printable};
use crate::ops::actor::{Actor, actor};
use crate::ops::secrets;
use crate::policy;
use crate::scan::clients;
use crate::secret::{Keys, SecretName, ServerName};
use crate::settings::AgentAct;
use crate::store::{self, Index, Prompt, Store};
use crate::uninstall;
use crate::{files, grant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to remove
    server: ServerName,
    /// Only from this client's config (repeatable)
    #[arg(long, value_name = "ID")]
    client: Vec<String>,
    /// Only from this file (repeatable)
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Leave the secrets in the store
    #[arg(long)]
    keep_secrets: bool,
    /// Show what would change, without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Skip confirmation (for scripts)
    #[arg(long)]
    yes: bool,
}

/// What is removed, and what stays.
struct ServerRemoval {
    out: Vec<Removal>,
    gone: Vec<AddedRecord>,
    /// Entries that were edited, and why they stay.
    edited: Vec<(AddedRecord, String)>,
    /// Other entries that start the server.
    users: Vec<String>,
    has_policy: bool,
    secrets: Vec<SecretName>,
}

/// The exit code is 1 if an entry that was edited stays, or something is still valid.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    for id in &args.client {
        client(id).ok_or_else(|| clients::unknown(id))?;
    }
    let config = Config::load(&cx.dirs)?;
    let actor = consent(args, cx, &config)?;
    let _lock = if args.dry_run {
        None
    } else {
        Some(adopt_turn::take(cx)?)
    };
    let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
    let keys = store::keys(&*store)?;
    let plan = plan(args, cx, &keys)?;
    show(args, cx, &plan);
    if args.dry_run {
        return Ok(exit_code(&plan));
    }
    let does_nothing = plan.out.is_empty() && plan.gone.is_empty() && !plan.has_policy;
    if does_nothing {
        return Ok(exit_code(&plan));
    }
    if actor.is_asked() && !ask::confirm("\nproceed?")? {
        print::note("nothing was changed");
        return Ok(EXIT_NO);
    }
    let mut code = exit_code(&plan);
    code = code.max(entries(cx, (actor, &keys), &plan)?);
    if plan.has_policy {
        let why = "it was removed";
        code = code.max(policy_removal::take_back(cx, &args.server, actor, why));
        stored(cx, &config, &*store, actor, &plan.secrets)?;
        // Last: what was not done can be tried again as long as there is a policy.
        policy_removal::remove(cx, &args.server)?;
        remove_grant(cx, &args.server)?;
    }
    Ok(code)
}

/// The target of all links, as in the journal.
fn real(path: &Path) -> PathBuf {
    let known = path.canonicalize().or_else(|_| std::path::absolute(path));
    known.unwrap_or_else(|_| path.to_path_buf())
}

fn exit_code(plan: &ServerRemoval) -> u8 {
    if plan.edited.is_empty() { 0 } else { EXIT_NO }
}

fn consent(args: &Args, cx: &Context, config: &Config) -> Result<Actor> {
    if args.dry_run {
        return Ok(Actor::unasked());
    }
    let flag = args.yes.then_some("--yes");
    let act = ("remove", Some(AgentAct::Add));
    actor(&cx.dirs, config, act, flag, |actor| {
        let record = NewRecord::new(Event::Undo, Outcome::Refused).server(&args.server);
        vec![record.detail(actor.detail())]
    })
}

/// # Errors
/// `policy-not-found` if nothing has this name; `usage` for a server that was adopted; `journal-broken`.
fn plan(args: &Args, cx: &Context, keys: &Keys) -> Result<ServerRemoval> {
    let server = &args.server;
    let pending = journal::pending(&cx.dirs, keys)?;
    if let Some(error) = journal::refusal(&cx.dirs, &pending.refused) {
        print::error(&error);
    }
    let named: Vec<PathBuf> = args.config.iter().map(|path| real(path)).collect();
    let is_all = args.client.is_empty() && named.is_empty();
    let is_own = |record: &AddedRecord| {
        let is_named = args.client.contains(&record.client) || named.contains(&record.file);
        record.server == *server && (is_all || is_named)
    };
    let records: Vec<_> = pending.added.into_iter().filter(is_own).collect();
    let adopted = pending
        .records
        .iter()
        .any(|record| record.server == *server);
    let mut plan = ServerRemoval {
        out: Vec::new(),
        gone: Vec::new(),
        edited: Vec::new(),
        users: Vec::new(),
        has_policy: false,
        secrets: Vec::new(),
    };
    for record in records {
        match removal(&cx.dirs, record)? {
            RemovalPlan::Out(removal) => plan.out.push(*removal),
            RemovalPlan::Gone(record) => plan.gone.push(record),
            RemovalPlan::Stays(record, why) => plan.edited.push((record, why)),
        }
    }
    let known: Vec<PathBuf> = plan
        .edited
        .iter()
        .map(|(record, _)| record.file.clone())
        .collect();
    let taken = |entry: &uninstall::Entry| {
        plan.out
            .iter()
            .any(|one| one.record.file == entry.file && one.record.entry == entry.name)
    };
    let users = uninstall::wrapped(&cx.dirs, &known)?.into_iter();
    let users: Vec<_> = users
        .filter(|entry| entry.server == server.as_str() && !taken(entry))
        .map(|entry| {
            let file = cx.dirs.tilde(&entry.file);
            format!("`{}` in {file}", printable(&entry.name))
        })
        .collect();
    let is_none = plan.out.is_empty() && plan.gone.is_empty() && plan.edited.is_empty();
    if is_none && adopted {
        return Err(not_added(server));
    }
    let path = policy::load::path(&cx.dirs, server);
    plan.has_policy = users.is_empty() && path.symlink_metadata().is_ok();
    plan.users = users;
    if is_none && !plan.has_policy {
        if plan.users.is_empty() {
            // Of a policy that is there, or invalid, another error follows.
            policy::load(&cx.dirs, server, None).map_err(nothing)?;
        }
        return Err(not_added_by(server, &plan.users));
    }
    if plan.has_policy && !args.keep_secrets {
        plan.secrets = own_secrets(cx, server)?;
    }
    Ok(plan)
}

/// The error of a name that nothing has.
fn nothing(mut error: Error) -> Error {
    if error.code == Code::PolicyNotFound {
        error.hints.retain(|hint| hint.starts_with("did you mean"));
        if error.hints.is_empty() {
            return error.hint("run `mcpwrap policy list` to see the servers");
        }
    }
    error
}

fn not_added(server: &ServerName) -> Error {
    Error::new(Code::Usage, format!("cannot remove server `{server}`"))
        .cause("`mcpwrap add` did not write its entries: they were adopted")
        .hint(format!(
            "run `mcpwrap adopt --undo --server {server}` to restore them"
        ))
}

fn not_added_by(server: &ServerName, users: &[String]) -> Error {
    let error = Error::new(Code::Usage, format!("cannot remove server `{server}`"));
    if users.is_empty() {
        return error
            .cause("its policy belongs to the administrator")
            .hint(format!(
                "run `mcpwrap revoke {server}` to stop it for this user"
            ));
    }
    error
        .cause(format!("`mcpwrap add` did not write {}", users.join(", ")))
        .hint("remove the entries by hand, then run the command again")
}

/// The stored secrets of a policy that no other policy names.
fn own_secrets(cx: &Context, server: &ServerName) -> Result<Vec<SecretName>> {
    let Ok(policy) = policy::load(&cx.dirs, server, None) else {
        return Ok(Vec::new());
    };
    let index = Index::load(&cx.dirs)?;
    let slots = policy.secrets.into_values();
    let mut names: Vec<SecretName> = slots
        .filter_map(|slot| slot.from.local().cloned())
        .collect();
    names.sort();
    names.dedup();
    names.retain(|name| {
        let users = secrets::users(&cx.dirs, name);
        index.secrets.contains_key(name) && users.iter().all(|user| user == server)
    });
    Ok(names)
}

fn show(args: &Args, cx: &Context, plan: &ServerRemoval) {
    let mut out = print::Lines::default();
    out.line(&format!("to remove for server `{}`:", args.server));
    for one in &plan.out {
        let file = cx.dirs.tilde(&one.file.path);
        out.line(&format!(
            "  entry {} in {file}",
            printable(&one.record.entry)
        ));
    }
    if plan.has_policy {
        let path = policy::load::path(&cx.dirs, &args.server);
        out.line(&format!(
            "  policy {}, its grant and its logins",
            cx.dirs.tilde(&path)
        ));
    }
    for name in &plan.secrets {
        out.line(&format!("  secret {name}, which no other policy names"));
    }
    out.print();
    for (record, why) in &plan.edited {
        let file = cx.dirs.tilde(&record.file);
        print::warning(&printable(&format!(
            "`{}` in {file} stays: {why}",
            record.entry
        )));
    }
    if !plan.users.is_empty() {
        print::note(&format!(
            "policy, grant and secrets stay: the server is still started by {}",
            plan.users.join(", ")
        ));
    }
}

/// Takes the entries out.
fn entries(cx: &Context, (actor, keys): (Actor, &Keys), plan: &ServerRemoval) -> Result<u8> {
    let from = EntryContext {
        dirs: &cx.dirs,
        log: &Log::open(&cx.dirs, Some(keys))?,
        keys,
        actor,
    };
    for record in &plan.gone {
        from.forget(&record.id)?;
    }
    let mut code = 0;
    let mut changed = Vec::new();
    for one in &plan.out {
        match from.remove(one)? {
            Ok(()) => {
                let file = cx.dirs.tilde(&one.file.path);
                print::line(&format!(
                    "removed: {} from {file}",
                    printable(&one.record.entry)
                ));
                changed.extend(client(&one.record.client));
            }
            Err(error) => {
                print::error(&error);
                code = EXIT_ERROR;
            }
        }
    }
    reloads::say(changed);
    if code != 0 {
        return Err(
            Error::new(Code::ClientConfigChanged, "an entry was not removed")
                .cause("what the server needs stays, because the entry still starts it")
                .hint("run the command again"),
        );
    }
    Ok(code)
}

/// Without it the name is free for another server.
fn remove_grant(cx: &Context, server: &ServerName) -> Result<()> {
    let path = grant::path(&cx.dirs, server);
    files::remove(&path).map_err(|problem| {
        let what = format!("cannot remove the grant of server `{server}`");
        problem.explain(Code::FileUnusable, what, &cx.dirs.tilde(&path))
    })
}

fn stored(
    cx: &Context,
    config: &Config,
    store: &dyn Store,
    actor: Actor,
    names: &[SecretName],
) -> Result<()> {
    for name in names {
        secrets::remove(&cx.dirs, config, store, actor, name)?;
        print::line(&format!("removed: secret {name}"));
    }
    Ok(())
}
