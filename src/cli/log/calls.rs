//! `mcpwrap log calls`: lists the calls of servers.

use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Context, print, read, table, warn_skipped, when};
use crate::audit::query::Filter;
use crate::audit::{Event, Record};
use crate::error::Result;
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Calls in progress at this time, e.g. `10m`, `14:03`, `14:03:05`
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    at: Option<when::When>,
    /// Records since this time, e.g. `24h`, `2026-11-23`, `14:03`
    #[arg(long, value_name = "TIME")]
    since: Option<when::When>,
    /// Records until this time
    #[arg(long, value_name = "TIME")]
    until: Option<when::When>,
    /// Records of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerName>,
    /// Records of this tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Records of this client (its name, or a name in its program's path)
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Print raw records, one JSON object per line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let since = args.at.as_ref().or(args.since.as_ref());
    let filter = Filter {
        since: since.map(|when| when.time),
        // A call in progress at that time may have been answered much later.
        until: args.until.as_ref().map(when::When::end),
        server: args.server.clone(),
        client: args.client.clone(),
        event: Some(Event::Call),
        ..Filter::default()
    };
    let zone = TimeZone::system();
    let mut out = if args.json {
        print::PagedOutput::new()
    } else {
        print::PagedOutput::paged()
    };
    let mut rows = 0_u64;
    let skipped = read(&filter, cx, |line, record| {
        let wanted = args.at.as_ref().is_none_or(|at| begin(&record) < at.end())
            && args
                .tool
                .as_ref()
                .is_none_or(|tool| record.detail.tool.as_ref() == Some(tool));
        if !wanted {
            return ControlFlow::Continue(());
        }
        rows += 1;
        if args.json {
            return out.bytes(line);
        }
        if rows == 1 {
            out.line(&table::heading())?;
        }
        out.line(&table::row(&record, &zone))
    })?;
    out.end();
    if rows == 0 && !args.json {
        print::note("no matching calls");
    }
    Ok(warn_skipped(&skipped))
}

/// When a call began; its record has the time of the answer.
fn begin(record: &Record) -> Timestamp {
    let ms = record
        .detail
        .duration_ms
        .and_then(|ms| i64::try_from(ms).ok())
        .unwrap_or_default();
    record
        .time
        .checked_sub(SignedDuration::from_millis(ms))
        .unwrap_or(record.time)
}
