//! `mcpwrap log`: queries, verifies and exports the audit log.
//!
//! Invariants: only `verify`, which needs the key of the chain, opens the store. One line per record;
//! `--json` prints the records unchanged.

pub mod calls;
pub mod export;
pub mod follow;
pub mod head;
pub mod secrets;
pub mod table;
pub mod verify;
pub mod when;
pub mod who_has;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::{Context, print};
use crate::audit::query::{Filter, Skipped, scan_existing};
use crate::audit::{Event, Outcome, Record};
use crate::error::{Code, Error, Result};
use crate::files::Problem;
use crate::reference::SecretLabel;
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    select: Select,
    /// Print raw records, one JSON object per line
    #[arg(long)]
    json: bool,
    /// Keep printing new records
    #[arg(long)]
    follow: bool,
}

/// The flags that select records.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Select {
    /// Records since this time, e.g. `24h`, `2026-11-23`, `14:03`
    #[arg(long, value_name = "TIME")]
    since: Option<when::When>,
    /// Records until this time
    #[arg(long, value_name = "TIME")]
    until: Option<when::When>,
    /// Records of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerName>,
    /// Records about this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretLabel>,
    /// Records of this event type, e.g. `launch`, `inject`, `refuse`, `call`
    #[arg(long, value_name = "EVENT")]
    event: Option<Event>,
    /// Records of this client (its name, or a name in its program's path)
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Records of the run whose ID starts with this
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

impl Select {
    fn filter(&self) -> Filter {
        Filter {
            since: self.since.as_ref().map(|when| when.time),
            // `--until 14:03` includes that minute.
            until: self.until.as_ref().map(when::When::end),
            server: self.server.clone(),
            secret: self.secret.clone(),
            event: self.event,
            client: self.client.clone(),
            run: self.run.clone(),
        }
    }
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    /// List secret use
    Secrets(secrets::Args),
    /// Show who holds a secret
    WhoHas(who_has::Args),
    /// List tool calls
    Calls(calls::Args),
    /// Export records as JSON, CSV, OCSF or OpenTelemetry
    Export(export::Args),
    /// Verify that no record was changed or removed
    Verify(verify::Args),
    /// Print the head: number and hash of the last record
    Head,
}

/// Prints the records, or runs the subcommand.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    match &args.question {
        None if args.follow => follow::run(&args.select.filter(), args.json, cx),
        None => list(&args.select.filter(), args.json, cx),
        Some(Question::Secrets(args)) => secrets::run(args, cx),
        Some(Question::WhoHas(args)) => who_has::run(args, cx),
        Some(Question::Calls(args)) => calls::run(args, cx),
        Some(Question::Export(args)) => export::run(args, cx),
        Some(Question::Verify(args)) => verify::run(args, cx),
        Some(Question::Head) => head::run(cx),
    }
}

fn list(filter: &Filter, json: bool, cx: &Context) -> Result<u8> {
    let zone = TimeZone::system();
    let mut out = if json {
        print::PagedOutput::new()
    } else {
        print::PagedOutput::paged()
    };
    let mut pending = UnfinishedLaunches::default();
    let mut rows = 0_u64;
    let skipped = read(filter, cx, |line, record| {
        let written = if json {
            out.bytes(line)
        } else {
            if rows == 0 {
                out.line(&table::heading())?;
            }
            out.line(&table::row(&record, &zone))
        };
        rows += 1;
        pending.see(record);
        written
    })?;
    if !json {
        if rows == 0 {
            print::note("no matching records");
        }
        if filter.secret.is_none() && filter.event.is_none_or(|event| event == Event::Launch) {
            pending.print(&mut out, &zone);
        }
    }
    out.end();
    Ok(warn_skipped(&skipped))
}

/// Launches that were recorded but never ran: mcpwrap ended between the record and the start.
#[derive(Debug, Default)]
struct UnfinishedLaunches(BTreeMap<String, Record>);

impl UnfinishedLaunches {
    fn see(&mut self, record: Record) {
        let Some(run) = record.run.as_ref().map(ToString::to_string) else {
            return;
        };
        match (record.event, record.outcome) {
            (Event::Launch, Outcome::Intent) => drop(self.0.insert(run, record)),
            (Event::Inject, _) => {}
            _ => drop(self.0.remove(&run)),
        }
    }

    fn print(&self, out: &mut print::PagedOutput, zone: &TimeZone) {
        // A younger one may still be starting.
        let young = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(10);
        for record in self.0.values().filter(|record| record.time < young) {
            let server = record.server.as_ref().map_or("-", |server| server.as_str());
            let time = table::local(record.time, zone);
            let text = format!("launch recorded, never run: `{server}` at {time}");
            if out.line(&text).is_break() {
                return;
            }
        }
    }
}

/// [`scan_existing`] over the log of this user.
fn read(
    filter: &Filter,
    cx: &Context,
    each: impl FnMut(&[u8], Record) -> ControlFlow<()>,
) -> Result<Skipped> {
    scan_existing(&cx.dirs.audit(), filter, each).map_err(|problem| unreadable(&problem, cx))
}

/// Warns about what could not be read; returns the exit code.
fn warn_skipped(skipped: &Skipped) -> u8 {
    for (file, reason) in &skipped.files {
        print::warning(&format!("cannot read `{file}`: {reason}"));
    }
    if skipped.lines > 0 {
        print::warning(&format!(
            "skipped {}; run `mcpwrap log verify` for details",
            print::count(skipped.lines, "invalid line")
        ));
    }
    u8::from(*skipped != Skipped::default())
}

fn unreadable(problem: &Problem, cx: &Context) -> Error {
    let dir: PathBuf = cx.dirs.audit();
    let what = format!("cannot read the audit log in `{}`", cx.dirs.tilde(&dir));
    let error = Error::new(Code::FileUnusable, what).cause(problem);
    match problem {
        Problem::NotPrivate { fix, .. } => error.hint(fix.clone()),
        _ => error,
    }
}
