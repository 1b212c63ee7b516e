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

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let index = Index::load(&cx.dirs)?;
    let now = Timestamp::now();
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
        let head = ["NAME", "PROFILE", "CHANGED", "EXPIRES", "FINGERPRINT"];
        let logins = logins.iter().map(login_cells);
        let others = others.iter().map(reference_cells);
        print::table(&head, rows.iter().map(cells).chain(logins).chain(others));
    }
    Ok(0)
}

fn reference_cells(row: &ReferenceRow<'_>) -> Vec<String> {
    let none = || "-".to_owned();
    let servers = print::names(row.servers);
    let place = match row.error {
        None => format!("in its store; for {servers}"),
        Some(code) => format!("{code}; for {servers}"),
    };
    vec![row.name.to_string(), none(), none(), none(), place]
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

fn login_cells(row: &LoginRow<'_>) -> Vec<String> {
    let zone = jiff::tz::TimeZone::system();
    let date = |at: Option<Timestamp>| {
        let at = at.map(|at| at.to_zoned_datetime(zone.clone()));
        at.map_or_else(|| "-".to_owned(), |at| at.date().to_string())
    };
    let expires = if row.renewable {
        "renewed".to_owned()
    } else {
        date(row.expires_at)
    };
    vec![
        row.name.to_string(),
        row.profile
            .map_or_else(|| "-".to_owned(), ToString::to_string),
        date(row.changed),
        expires,
        format!("{} of {}", row.oauth, row.issuer),
    ]
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let expires = match (row.expires, row.expired) {
        (None, _) => "-".to_owned(),
        (Some(date), false) => date.to_string(),
        (Some(date), true) => format!("{date} (expired)"),
    };
    let changed = row
        .changed
        .to_zoned_datetime(jiff::tz::TimeZone::system())
        .date();
    let weak = if row.weak { " (weak: not masked)" } else { "" };
    let exposed = if row.exposed.is_some() {
        " (was in plaintext: rotate it)"
    } else {
        ""
    };
    vec![
        row.name.to_string(),
        row.profile
            .map_or_else(|| "-".to_owned(), ToString::to_string),
        format!("{changed}{exposed}"),
        expires,
        format!("{}{weak}", row.fingerprint),
    ]
}
