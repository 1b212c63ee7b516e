//! `mcpwrap secret list`: lists the secrets without opening the store.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::Result;
use crate::expiry::Expiry;
use crate::oauth::index::OAuthIndex;
use crate::oauth::scope::ScopeSet;
use crate::ops::secrets::SecretUsers;
use crate::ops::stores;
use crate::reference::SecretLabel;
use crate::secret::{Fingerprint, ProfileName, SecretName, ServerName};
use crate::store::{Exposure, Index};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON (see docs/secrets.md)
    #[arg(long)]
    json: bool,
}

/// One element of the array; `docs/secrets.md` describes it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a SecretName,
    profile: Option<&'a ProfileName>,
    created: Timestamp,
    changed: Timestamp,
    expires: Option<Expiry>,
    expired: bool,
    fingerprint: &'a Fingerprint,
    weak: bool,
    generation: u64,
    exposed: Option<&'a Exposure>,
    servers: Vec<ServerName>,
}

/// A token of `mcpwrap login`, or the registration for it.
#[derive(Serialize)]
struct LoginRow<'a> {
    name: &'a SecretName,
    /// `token`, `registration` or `unrevoked`.
    oauth: &'static str,
    profile: Option<&'a ProfileName>,
    issuer: &'a str,
    client_id: Option<&'a str>,
    scope: Option<&'a ScopeSet>,
    /// When the token was obtained.
    changed: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    renewable: bool,
}

/// A value of another store that a policy refers to.
#[derive(Serialize)]
struct ReferenceRow<'a> {
    name: &'a SecretLabel,
    servers: &'a BTreeSet<ServerName>,
    /// The code of the error, if it leads to no store.
    error: Option<&'static str>,
}

/// The columns. Each value is as old as its last change.
const HEAD: &[&str] = &[
    "NAME",
    "PROFILE",
    "AGE",
    "EXPIRES",
    "USED BY",
    "FINGERPRINT",
    "NOTES",
];

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let index = Index::load(&cx.dirs)?;
    let now = Timestamp::now();
    let users = SecretUsers::load(&cx.dirs);
    let rows: Vec<_> = index
        .secrets
        .iter()
        .map(|(name, entry)| Row {
            name,
            profile: entry.profile.as_ref(),
            created: entry.created,
            changed: entry.changed,
            expires: entry.expires,
            expired: entry.expires.is_some_and(|end| end.is_over(now)),
            fingerprint: &entry.fingerprint,
            weak: entry.weak,
            generation: entry.generation,
            exposed: entry.exposed.as_ref(),
            servers: users.of(name),
        })
        .collect();
    let oauth = OAuthIndex::load(&cx.dirs)?;
    let logins = login_rows(&oauth);
    let references = stores::references(&cx.dirs, &Config::load(&cx.dirs)?);
    let others = references.iter().map(|(name, value)| ReferenceRow {
        name,
        servers: &value.servers,
        error: value.broken.as_ref().map(|error| error.code.name()),
    });
    let others: Vec<_> = others.collect();
    if args.json {
        let values = rows.iter().map(serde_json::to_value);
        let values = values.chain(logins.iter().map(serde_json::to_value));
        let values = values.chain(others.iter().map(serde_json::to_value));
        let values: Vec<_> = values
            .collect::<Result<_, _>>()
            .expect("rows are always valid JSON");
        let text = serde_json::to_string_pretty(&values).expect("rows are always valid JSON");
        print::line(&text);
    } else if rows.is_empty() && logins.is_empty() && others.is_empty() {
        print::note("no secrets; run `mcpwrap secret set NAME` to store one");
    } else {
        let logins = logins.iter().map(|row| login_cells(row, now));
        let others = others.iter().map(reference_cells);
        let rows = rows.iter().map(|row| cells(row, now));
        print::table(HEAD, rows.chain(logins).chain(others));
    }
    Ok(0)
}

fn reference_cells(row: &ReferenceRow<'_>) -> Vec<String> {
    let none = || "-".to_owned();
    let place = row.error.unwrap_or("in its store").to_owned();
    let name = row.name.to_string();
    vec![
        name,
        none(),
        none(),
        none(),
        joined(&row.servers.iter().collect::<Vec<_>>()),
        none(),
        place,
    ]
}

/// Names in one cell.
fn joined(names: &[&ServerName]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    if names.is_empty() {
        return "-".to_owned();
    }
    names.join(", ")
}

/// How long ago something was.
fn age(since: Timestamp, now: Timestamp) -> String {
    let hours = now.duration_since(since).as_hours();
    match hours / 24 {
        ..1 => "today".to_owned(),
        days => print::count(days, "day"),
    }
}

fn login_rows(index: &OAuthIndex) -> Vec<LoginRow<'_>> {
    let at = |seconds| Timestamp::from_second(seconds).ok();
    let tokens = index.tokens.iter().map(|(name, row)| LoginRow {
        name,
        oauth: "token",
        profile: row.owner.profile.as_ref(),
        issuer: &row.issuer,
        client_id: Some(&row.client_id),
        scope: Some(&row.scope),
        changed: at(row.obtained_at),
        expires_at: row.expires_at.and_then(at),
        renewable: row.renewable,
    });
    let registrations = index.registrations.iter().map(|(name, row)| LoginRow {
        name,
        oauth: "registration",
        profile: None,
        issuer: &row.issuer,
        client_id: Some(&row.client_id),
        scope: None,
        changed: None,
        expires_at: None,
        renewable: false,
    });
    let unrevoked = index.unrevoked.iter().map(|(name, row)| LoginRow {
        name,
        oauth: "unrevoked",
        profile: row.owner.profile.as_ref(),
        issuer: &row.issuer,
        client_id: None,
        scope: None,
        changed: at(row.since),
        expires_at: None,
        renewable: false,
    });
    tokens.chain(registrations).chain(unrevoked).collect()
}

fn login_cells(row: &LoginRow<'_>, now: Timestamp) -> Vec<String> {
    let none = || "-".to_owned();
    let date = |at: Timestamp| {
        let at = at.to_zoned_datetime(jiff::tz::TimeZone::system());
        at.date().to_string()
    };
    let expires = if row.renewable {
        "renewed".to_owned()
    } else {
        row.expires_at.map_or_else(none, date)
    };
    vec![
        row.name.to_string(),
        row.profile.map_or_else(none, ToString::to_string),
        row.changed.map_or_else(none, |at| age(at, now)),
        expires,
        none(),
        none(),
        format!("{} of {}", row.oauth, row.issuer),
    ]
}

fn cells(row: &Row<'_>, now: Timestamp) -> Vec<String> {
    let none = || "-".to_owned();
    let mut notes = Vec::new();
    if row.exposed.is_some() {
        notes.push("was in plaintext: rotate it");
    }
    if row.expired {
        notes.push("expired");
    }
    if row.weak {
        notes.push("weak: not masked");
    }
    vec![
        row.name.to_string(),
        row.profile.map_or_else(none, ToString::to_string),
        age(row.changed, now),
        row.expires.map_or_else(none, |date| date.to_string()),
        joined(&row.servers.iter().collect::<Vec<_>>()),
        row.fingerprint.to_string(),
        notes.join(", "),
    ]
}
