//! `mcpwrap store add`: writes the definition of a store to `config.toml`.

use similar::TextDiff;

use super::approval::{StoreApproval, approved};
use super::{rows, warn_users};
use crate::cli::{Context, print};
use crate::config::{Config, StoreDefinition};
use crate::dirs;
use crate::error::{Result, printable};
use crate::ops::store_settings::{DefinedStore, StoreSettings};
use crate::ops::stores;
use crate::secret::StoreName;
use crate::store::types::NamedStore;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the store, as references begin with it
    name: StoreName,
    /// Type of the store (see docs/stores.md)
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// Program of the store [default: found in PATH]
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
    /// A setting of this type, never a secret (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Variable of the program, from the local store (repeatable)
    #[arg(long, value_name = "NAME=secret:NAME")]
    env: Vec<String>,
    #[command(flatten)]
    approval: StoreApproval,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let name = &args.name;
    let actor = args.approval.actor(cx, &config, "store add", name)?;
    let path = dirs::search_path().unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .collect();
    let variable = |name: &str| dirs::server_variable(name)?.into_string().ok();
    let settings = StoreSettings {
        name,
        kind: &args.kind,
        program: args.program.as_deref(),
        set: &args.set,
        env: &args.env,
    };
    let defined = settings.define(&cx.dirs, &path, &variable)?;
    let old = config.stores.get(name);
    if old == Some(&defined.definition) {
        print::note(&format!(
            "nothing changed: store `{name}` is defined like that"
        ));
        return Ok(0);
    }
    let new = NamedStore {
        name,
        definition: &defined.definition,
        kind: defined.kind,
    };
    new.check_program()?;
    let shown = shown(cx, old, &new, &defined);
    let Some(actor) = approved(actor, &shown, "write it?", (name, "added"))? else {
        return Ok(0);
    };
    stores::change(&cx.dirs, &config, actor, name, Some(&defined.definition))?;
    let verb = if old.is_some() { "replaced" } else { "added" };
    print::line(&format!("{verb}: store {name}"));
    let is_sealed = |old: &StoreDefinition| sealed(name, old) == Some(new.digest());
    if old.is_some_and(|old| !is_sealed(old)) {
        warn_users(cx, &Config::load(&cx.dirs)?, name);
    }
    print::note(&format!(
        "run `mcpwrap store check {name}` to see whether it works; {}",
        new.usage()
    ));
    Ok(0)
}

/// What a grant has of a definition; `None` for one that could not be used.
fn sealed(name: &StoreName, definition: &StoreDefinition) -> Option<String> {
    let store = NamedStore::new(name, definition).ok()?;
    Some(store.digest())
}

/// The definition, or the difference to the one that it replaces.
fn shown(
    cx: &Context,
    old: Option<&StoreDefinition>,
    store: &NamedStore<'_>,
    defined: &DefinedStore,
) -> String {
    let (name, definition) = (store.name, store.definition);
    let file = cx.dirs.tilde(&cx.dirs.config_file());
    let new = definition.text(name);
    let (verb, text) = match old {
        None => ("add to", new),
        Some(old) => {
            let old = old.text(name);
            let diff = TextDiff::from_lines(&old, &new);
            let diff = diff.unified_diff().header("now", "new").to_string();
            ("change in", diff)
        }
    };
    let lines = text
        .lines()
        .map(|line| format!("    {}\n", printable(line)));
    let mut shown = format!("{verb} `{file}`:\n{}", lines.collect::<String>());
    for (setting, variable) in &defined.taken {
        let line = [
            "`",
            setting,
            "` is taken from `",
            variable,
            "` of this terminal\n",
        ];
        shown.extend(line);
    }
    shown.push_str("which means:\n");
    for line in rows(store).lines() {
        shown.extend([&printable(line), "\n"]);
    }
    shown
}
