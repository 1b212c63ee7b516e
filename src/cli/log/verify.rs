//! `mcpwrap log verify`: verifies that the audit log is intact.

use serde::Serialize;

use super::{Context, print, unreadable};
use crate::audit::breaks::Break;
use crate::audit::record::ChainKey;
use crate::audit::verify::{VerifyReport, VerifyResult, verify};
use crate::audit::{Head, forward};
use crate::error::{EXIT_ERROR, EXIT_NO, Result};
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

#[derive(Debug, Serialize)]
struct VerifyOutput {
    result: VerifyResult,
    records: u64,
    files: u64,
    bytes: u64,
    head: String,
    /// Whether the seals (HMAC) were verified.
    sealed: bool,
    unsealed_records: u64,
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

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let mut anchors = args.head.clone();
    let opened = head::open(&cx.dirs);
    let keys = match &opened {
        Ok((_, keys, kept)) => {
            anchors.extend(*kept);
            Some(keys)
        }
        Err(error) => {
            print::error(error);
            print::warning("seals (HMAC) not verified, only the hash chain");
            None
        }
    };
    let key = keys.map(ChainKey::new);
    let report = verify(&cx.dirs.audit(), key.as_ref(), &anchors)
        .map_err(|problem| unreadable(&problem, cx))?;
    if args.json {
        json(&report, keys.is_some());
    } else {
        text(&report, keys.is_some());
        for (sink, count) in forward::undelivered(&cx.dirs.audit()) {
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
    Ok(match report.result(keys.is_some()) {
        VerifyResult::Intact => 0,
        VerifyResult::Changed => EXIT_NO,
        VerifyResult::Unverified => EXIT_ERROR,
    })
}

fn json(report: &VerifyReport, sealed: bool) {
    let found = |found: &Break| BreakOutput {
        kind: found.kind.name(),
        first: found.first,
        last: found.last,
        file: found.file.clone(),
        line: found.line,
    };
    let answer = VerifyOutput {
        result: report.result(sealed),
        records: report.records,
        files: report.files,
        bytes: report.bytes,
        head: report.head.to_string(),
        sealed,
        unsealed_records: report.unsealed,
        breaks: report.breaks.iter().map(found).collect(),
        more_breaks: report.breaks_more,
        told: report.told.clone(),
    };
    print::line(&serde_json::to_string_pretty(&answer).unwrap_or_default());
}

fn text(report: &VerifyReport, sealed: bool) {
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
            "without a seal, because the store was locked: {}; not covered by a later seal: {}",
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
    match report.result(sealed) {
        VerifyResult::Intact => print::line("the log is intact"),
        VerifyResult::Changed => {}
        VerifyResult::Unverified if report.records == 0 => {
            print::line("nothing was verified: the log has no records");
        }
        VerifyResult::Unverified => print::line("no change found, but the seals were not verified"),
    }
}
