//! `mcpwrap log secrets`: which secrets were used, by which servers, how often, last when.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;

use super::table::local;
use super::{Context, print, read, tell_skipped, when};
use crate::audit::Event;
use crate::audit::query::Filter;
use crate::audit::text::shown;
use crate::audit::uses::SecretUsages;
use crate::error::Result;
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// From this time on: `24h`, `7d`, `2026-11-23`, `14:03`
    #[arg(long, value_name = "TIME")]
    since: Option<when::When>,
    /// Up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<when::When>,
    /// Of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerName>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let filter = Filter {
        since: args.since.as_ref().map(|when| when.time),
        until: args.until.as_ref().map(when::When::end),
        server: args.server.clone(),
        event: Some(Event::Inject),
        ..Filter::default()
    };
    let mut uses = SecretUsages::default();
    let skipped = read(&filter, cx, |_, record| {
        uses.count(record);
        ControlFlow::Continue(())
    })?;
    let uses = uses.into_list();
    if args.json {
        print::line(&serde_json::to_string_pretty(&uses).unwrap_or_default());
    } else if uses.is_empty() {
        print::note("no secret was used");
    } else {
        let zone = TimeZone::system();
        print::line(&row("SECRET", "SERVER", "TIMES", "LAST", "VALUES"));
        for found in &uses {
            let server = found.server.as_ref().map_or("-", |server| server.as_str());
            let values: Vec<_> = found.fingerprints.iter().map(String::as_str).collect();
            print::line(&row(
                &shown(found.secret.as_str()),
                &shown(server),
                &found.times.to_string(),
                &local(found.last, &zone),
                &shown(&values.join(" ")),
            ));
        }
    }
    Ok(tell_skipped(&skipped))
}

fn row(secret: &str, server: &str, times: &str, last: &str, values: &str) -> String {
    format!("{secret:<28}  {server:<16}  {times:>7}  {last:<19}  {values}")
        .trim_end()
        .to_owned()
}
