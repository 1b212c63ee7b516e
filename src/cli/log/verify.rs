//! `mcpwrap log verify`: verifies that the audit log is intact, and how far it is anchored.

use jiff::Timestamp;
use serde::Serialize;

use super::{Context, print, unreadable};
use crate::audit::breaks::Break;
use crate::audit::journal::{self, Anchors};
use crate::audit::record::ChainKey;
use crate::audit::report::{VerifyReport, VerifyResult};
use crate::audit::verify::verify;
use crate::audit::{Head, forward};
use crate::error::{EXIT_ERROR, EXIT_NO, Result};
use crate::grant::day;
use crate::ops::head;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also verify against this head from `mcpwrap log head` (repeatable)
    #[arg(long, value_name = "HEAD")]
    head: Vec<Head>,
    /// Print JSON (see docs/audit.md)
    #[arg(long)]
    json: bool,
}

/// The result; `docs/audit.md` describes the JSON.
#[derive(Debug, Serialize)]
struct VerifyOutput {
    result: VerifyResult,
    records: u64,
    files: u64,
    bytes: u64,
    head: String,
    /// Whether the seals (HMAC) were verified.
    sealed: bool,
    anchor: AnchorOutput,
    unsealed_records: u64,
    /// Those at the end, which no later seal or anchor covers.
    uncovered_records: u64,
    breaks: Vec<BreakOutput>,
    more_breaks: u64,
    /// The first numbers of breaks that the log itself records.
    told: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct BreakOutput {
    kind: &'static str,
    first: u64,
    last: u64,
    file: String,
    line: u64,
}

/// Up to which record the log is anchored out of the user's reach.
#[derive(Debug, Serialize)]
struct AnchorOutput {
    state: AnchorState,
    /// The last anchored record of the log.
    record: Option<u64>,
    by: Option<AnchoredBy>,
    /// When the journal got the anchor.
    time: Option<Timestamp>,
    /// The last record of which the journal has an anchor, in the log or not.
    newest: Option<u64>,
    /// Why the anchors cannot be read.
    cause: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum AnchorState {
    Anchored,
    Unreadable,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum AnchoredBy {
    Journal,
    /// `--head`.
    Head,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let dir = cx.dirs.audit();
    let opened = head::open(&cx.dirs);
    let keys = match &opened {
        Ok((_, keys, _)) => Some(keys),
        Err(error) => {
            print::error(error);
            print::warning("seals (HMAC) not verified, only the hash chain");
            None
        }
    };
    let key = keys.map(ChainKey::new);
    let journal = key.as_ref().map_or_else(
        || Anchors::Unreadable("the key that proves them is in the store".to_owned()),
        |key| journal::read(key, &dir),
    );
    let kept = opened.as_ref().ok().and_then(|(_, _, kept)| *kept);
    let heads = args.head.iter().copied().chain(kept);
    let heads: Vec<_> = heads.chain(journal.heads()).collect();
    let report = verify(&dir, key.as_ref(), &heads).map_err(|problem| unreadable(&problem, cx))?;
    let anchor = AnchorOutput::new(&report, &args.head, &journal);
    let result = report.result(keys.is_some(), anchor.state == AnchorState::Anchored);
    if args.json {
        json(&report, keys.is_some(), anchor, result);
    } else {
        text(&report);
        print::line(&anchor.text(&report));
        print::line(conclusion(&report, result, keys.is_some()));
        for (sink, count) in forward::undelivered(&dir) {
            print::line(&format!(
                "{} not delivered to {sink}",
                print::count(count, "record")
            ));
        }
    }
    if let Ok((store, keys, _)) = &opened
        && let Err(error) = head::record_breaks(&cx.dirs, &report, store.as_ref(), keys)
    {
        print::error(&error);
    }
    Ok(match result {
        VerifyResult::Intact => 0,
        VerifyResult::Changed => EXIT_NO,
        VerifyResult::Unverified => EXIT_ERROR,
    })
}

impl AnchorOutput {
    fn new(report: &VerifyReport, given: &[Head], journal: &Anchors) -> Self {
        let in_log = |head: &Head| report.found.contains(head);
        let given = given.iter().copied().filter(in_log);
        let given = given.map(|head| (head.seq, AnchoredBy::Head, None));
        let sent: &[_] = match journal {
            Anchors::Found(all) => all,
            Anchors::Unreadable(_) | Anchors::None => &[],
        };
        let found = sent.iter().filter(|(_, head)| in_log(head));
        let found = found.map(|(at, head)| (head.seq, AnchoredBy::Journal, Some(*at)));
        let last = given.chain(found).max_by_key(|(seq, ..)| *seq);
        let cause = match journal {
            Anchors::Unreadable(why) => Some(why.clone()),
            Anchors::Found(_) | Anchors::None => None,
        };
        Self {
            state: match (&last, &cause) {
                (Some(_), _) => AnchorState::Anchored,
                (None, Some(_)) => AnchorState::Unreadable,
                (None, None) => AnchorState::None,
            },
            record: last.map(|(seq, ..)| seq),
            by: last.map(|(_, by, _)| by),
            time: last.and_then(|(.., at)| at),
            newest: journal.heads().map(|head| head.seq).max(),
            cause,
        }
    }

    fn text(&self, report: &VerifyReport) -> String {
        let Some(record) = self.record else {
            return match (&self.cause, self.newest) {
                (_, Some(seq)) => {
                    format!("no anchor is in the log; the newest in the journal is of record {seq}")
                }
                (Some(why), None) => format!("anchors not readable for this user: {why}"),
                (None, None) => {
                    "no anchor: only a head out of your reach shows where the log ended; \
                         keep the one of `mcpwrap log head` elsewhere"
                        .to_owned()
                }
            };
        };
        let by = match self.by {
            Some(AnchoredBy::Head) => "by `--head`".to_owned(),
            Some(AnchoredBy::Journal) | None => self
                .time
                .map_or_else(String::new, |at| format!("by the journal, {}", day(at))),
        };
        let after = match report.head.seq.saturating_sub(record) {
            0 => String::new(),
            count => format!("; {} after it", print::count(count, "record")),
        };
        format!("anchored to record {record} ({by}){after}")
    }
}

fn json(report: &VerifyReport, sealed: bool, anchor: AnchorOutput, result: VerifyResult) {
    let found = |found: &Break| BreakOutput {
        kind: found.kind.name(),
        first: found.first,
        last: found.last,
        file: found.file.clone(),
        line: found.line,
    };
    let answer = VerifyOutput {
        result,
        records: report.records,
        files: report.files,
        bytes: report.bytes,
        head: report.head.to_string(),
        sealed,
        anchor,
        unsealed_records: report.unsealed,
        uncovered_records: report.uncovered,
        breaks: report.breaks.iter().map(found).collect(),
        more_breaks: report.breaks_more,
        told: report.told.clone(),
    };
    print::line(&serde_json::to_string_pretty(&answer).unwrap_or_default());
}

fn text(report: &VerifyReport) {
    print::line(&format!(
        "{} in {}, head {}",
        print::count(report.records, "record"),
        print::count(report.files, "file"),
        report.head
    ));
    if let Some(last) = report.pruned {
        print::line(&format!(
            "records 1 to {last} were removed by `retain`, as a sealed record states"
        ));
    }
    if report.unsealed > 0 {
        print::line(&format!(
            "without a seal, because the store was not open: {}; at the end: {}",
            print::count(report.unsealed, "record"),
            report.uncovered
        ));
    }
    for found in &report.breaks {
        print::line(&found.describe(report.told.contains(&found.first)));
    }
    if report.breaks_more > 0 {
        print::line(&format!("and {} more", report.breaks_more));
    }
    for first in &report.told {
        if !report.breaks.iter().any(|found| found.first == *first) {
            print::line(&format!(
                "the log records an earlier break at record {first}"
            ));
        }
    }
}

fn conclusion(report: &VerifyReport, result: VerifyResult, sealed: bool) -> &'static str {
    match result {
        VerifyResult::Intact => "the log is intact",
        VerifyResult::Changed => "the log was changed",
        VerifyResult::Unverified if report.records == 0 => {
            "nothing was verified: the log has no records"
        }
        VerifyResult::Unverified if !sealed => "no change found, but the seals were not verified",
        VerifyResult::Unverified if report.uncovered > 0 => {
            "no change found, but the last records have no seal, so anyone who runs as you can have \
             written them"
        }
        VerifyResult::Unverified => "no change found, but the end of the log is not anchored",
    }
}
