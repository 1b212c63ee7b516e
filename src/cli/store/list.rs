//! `mcpwrap store list`: the stores of this machine, without opening them.

use std::path::Path;

use serde::Serialize;

use crate::cli::{Context, print};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::ops::stores;
use crate::secret::{ServerName, StoreName};
use crate::store::types::NamedStore;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON (see docs/stores.md)
    #[arg(long)]
    json: bool,
}

/// One element of the array; `docs/stores.md` describes it.
#[derive(Debug, Serialize)]
struct StoreRow {
    /// What references begin with; `secret` for the local store.
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// `local`, `user` or `administrator`.
    origin: &'static str,
    /// The program that it starts.
    program: Option<String>,
    /// The server that it asks.
    address: Option<String>,
    /// The servers whose policies read from it.
    servers: Vec<ServerName>,
    /// Why its definition cannot be used.
    error: Option<String>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let local = StoreRow {
        name: "secret".to_owned(),
        kind: config.store.id().to_owned(),
        origin: "local",
        program: None,
        address: None,
        servers: stores::users_of_local(&cx.dirs),
        error: None,
    };
    let names = config.stores.keys().chain(config.broken_stores.keys());
    let others = names.map(|name| row(&cx.dirs, &config, name));
    let rows: Vec<_> = std::iter::once(local).chain(others).collect();
    if args.json {
        let text = serde_json::to_string_pretty(&rows).expect("rows are always valid JSON");
        print::line(&text);
    } else {
        let head = ["NAME", "TYPE", "ORIGIN", "PROGRAM OR ADDRESS", "SERVERS"];
        print::table(&head, rows.iter().map(|row| cells(&cx.dirs, row)));
    }
    Ok(0)
}

fn row(dirs: &Dirs, config: &Config, name: &StoreName) -> StoreRow {
    let is_managed = config.managed_stores.contains(name);
    let mut row = StoreRow {
        name: name.to_string(),
        kind: config
            .stores
            .get(name)
            .map_or_else(String::new, |definition| definition.kind.clone()),
        origin: if is_managed { "administrator" } else { "user" },
        program: None,
        address: None,
        servers: stores::users(dirs, config, name),
        error: None,
    };
    match NamedStore::find(config, name) {
        Ok(store) => {
            let program = (store.kind.program)(store.definition);
            row.program = program.map(|path| path.display().to_string());
            let mut shown = (store.kind.shown)(store.definition).into_iter();
            row.address = shown
                .find(|(fact, _)| *fact == "address")
                .map(|(_, text)| text);
        }
        Err(error) => row.error = Some(error.reasons()),
    }
    row
}

fn cells(dirs: &Dirs, row: &StoreRow) -> Vec<String> {
    let place = if let Some(error) = &row.error {
        format!("not usable: {error}")
    } else {
        let program = row.program.as_ref();
        let program = program.map(|path| dirs.tilde(Path::new(path)));
        let place = program.or_else(|| row.address.clone());
        place.unwrap_or_else(|| "-".to_owned())
    };
    let servers: Vec<_> = row.servers.iter().map(ServerName::as_str).collect();
    let servers = if servers.is_empty() {
        "-".to_owned()
    } else {
        servers.join(", ")
    };
    vec![
        row.name.clone(),
        row.kind.clone(),
        row.origin.to_owned(),
        place,
        servers,
    ]
}
