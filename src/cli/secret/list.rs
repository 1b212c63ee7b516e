//! `mcpwrap secret list`: lists the secrets without opening the store.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::today;
use crate::cli::{Context, print};
use crate::error::Result;
use crate::secret::{Fingerprint, ProfileName, SecretName};
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
    expires: Option<Date>,
    expired: bool,
    fingerprint: &'a Fingerprint,
    weak: bool,
    generation: u64,
    exposed: Option<&'a Exposure>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let index = Index::load(&cx.dirs)?;
    let today = today();
    let rows: Vec<_> = index
        .secrets
        .iter()
        .map(|(name, entry)| Row {
            name,
            profile: entry.profile.as_ref(),
            created: entry.created,
            changed: entry.changed,
            expires: entry.expires,
            expired: entry.expires.is_some_and(|date| date < today),
            fingerprint: &entry.fingerprint,
            weak: entry.weak,
            generation: entry.generation,
            exposed: entry.exposed.as_ref(),
        })
        .collect();
    if args.json {
        let text = serde_json::to_string_pretty(&rows).expect("rows are always valid JSON");
        print::line(&text);
    } else if rows.is_empty() {
        print::note("no secrets; run `mcpwrap secret set NAME` to store one");
    } else {
        let head = ["NAME", "PROFILE", "CHANGED", "EXPIRES", "FINGERPRINT"];
        print::table(&head, rows.iter().map(cells));
    }
    Ok(0)
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
