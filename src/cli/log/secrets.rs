//! `mcpwrap log secrets`: lists the use of secrets: servers, number of times, last time.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;

use super::table::local;
use super::{Context, print, read, warn_skipped, when};
use crate::audit::query::{Filter, Skipped};
use crate::audit::text::shown;
use crate::audit::uses::SecretUsages;
use crate::audit::{Event, Outcome};
use crate::error::Result;
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records since this time, e.g. `24h`, `2026-11-23`, `14:03`
    #[arg(long, value_name = "TIME")]
    since: Option<when::When>,
    /// Records until this time
    #[arg(long, value_name = "TIME")]
    until: Option<when::When>,
    /// Records of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerName>,
    /// Print JSON (see docs/audit.md)
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let mut uses = SecretUsages::default();
    let mut skipped = Skipped::default();
    for event in [Event::Inject, Event::Release] {
        let filter = Filter {
            since: args.since.as_ref().map(|when| when.time),
            until: args.until.as_ref().map(when::When::end),
            server: args.server.clone(),
            event: Some(event),
            ..Filter::default()
        };
        // Both passes read the same files, and skip the same ones.
        skipped = read(&filter, cx, |_, record| {
            if record.outcome != Outcome::Refused {
                uses.count(record);
            }
            ControlFlow::Continue(())
        })?;
    }
    let uses = uses.into_list();
    if args.json {
        print::line(&serde_json::to_string_pretty(&uses).unwrap_or_default());
    } else if uses.is_empty() {
        print::note("no matching secret use");
    } else {
        let zone = TimeZone::system();
        print::line(&row("SECRET", "SERVER", "TIMES", "LAST", "VALUES"));
        for found in &uses {
            let server = found.server.as_ref().map_or("-", |server| server.as_str());
            let values: Vec<_> = found.fingerprints.iter().map(String::as_str).collect();
            print::line(&row(
                &shown(&found.secret.to_string()),
                &shown(server),
                &found.times.to_string(),
                &local(found.last, &zone),
                &shown(&values.join(" ")),
            ));
        }
    }
    Ok(warn_skipped(&skipped))
}

fn row(secret: &str, server: &str, times: &str, last: &str, values: &str) -> String {
    format!("{secret:<28}  {server:<16}  {times:>7}  {last:<19}  {values}")
        .trim_end()
        .to_owned()
}
