//! `mcpwrap log`: what happened, and whether the log is what was written.
//!
//! *Never* touches the store, except `verify`, which needs the key of the chain. *Always* a line a
//! record: `--json` gives the records as they stand in the log.

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
use crate::secret::{SecretName, ServerName};

/// What was launched, injected, refused, called, granted
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    question: Option<Question>,
    #[command(flatten)]
    select: Select,
    /// Print the records as they stand in the log, one JSON object a line
    #[arg(long)]
    json: bool,
    /// Wait for new records and print them too
    #[arg(long)]
    follow: bool,
}

/// Which records
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Select {
    /// From this time on: `24h`, `7d`, `2026-11-23`, `14:03`, `2026-11-23 14:03Z`
    #[arg(long, value_name = "TIME")]
    since: Option<when::When>,
    /// Up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<when::When>,
    /// Of this server
    #[arg(long, value_name = "SERVER")]
    server: Option<ServerName>,
    /// About this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretName>,
    /// Of this kind, as `launch`, `inject`, `refuse` or `call`
    #[arg(long, value_name = "EVENT")]
    event: Option<Event>,
    /// Of this client's runs: its name, or a name in the path of its program
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Of the run whose id starts like this
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

impl Select {
    fn filter(&self) -> Filter {
        Filter {
            since: self.since.as_ref().map(|when| when.time),
            // `--until 14:03` is up to the end of that minute.
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
    /// Which secrets were used, by which servers, how often
    Secrets(secrets::Args),
    /// Which servers have a secret now, and which ever had it
    WhoHas(who_has::Args),
    /// Which server made which call
    Calls(calls::Args),
    /// The records for other programs: JSON, CSV, OCSF, OpenTelemetry
    Export(export::Args),
    /// Whether a record was edited, removed, reordered or cut off
    Verify(verify::Args),
    /// The number and hash of the last record, to keep elsewhere
    Head,
}

/// Prints the records, or answers the question.
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
            print::note("no record matches");
        }
        if filter.secret.is_none() && filter.event.is_none_or(|event| event == Event::Launch) {
            pending.tell(&mut out, &zone);
        }
    }
    out.end();
    Ok(tell_skipped(&skipped))
}

/// Launches that were written down and of which nothing was heard again: mcpwrap was ended between
/// the record and the start.
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

    fn tell(&self, out: &mut print::PagedOutput, zone: &TimeZone) {
        // One that is being started at this moment is no news.
        let young = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(10);
        for record in self.0.values().filter(|record| record.time < young) {
            let server = record.server.as_ref().map_or("-", |server| server.as_str());
            let time = table::local(record.time, zone);
            let text = format!("never started: `{server}` at {time}, its launch was only intended");
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

/// Says what could not be read; the exit code is that of findings then.
fn tell_skipped(skipped: &Skipped) -> u8 {
    for (file, reason) in &skipped.files {
        print::warning(&format!("`{file}` was not read: {reason}"));
    }
    if skipped.lines > 0 {
        print::warning(&format!(
            "{} lines are no records; `mcpwrap log verify` says more",
            skipped.lines
        ));
    }
    u8::from(*skipped != Skipped::default())
}

fn unreadable(problem: &Problem, cx: &Context) -> Error {
    let dir: PathBuf = cx.dirs.audit();
    let what = format!("the audit log in `{}` cannot be read", cx.dirs.tilde(&dir));
    let error = Error::new(Code::FileUnusable, what).cause(problem);
    match problem {
        Problem::NotPrivate { mend, .. } => error.hint(mend.clone()),
        _ => error,
    }
}
