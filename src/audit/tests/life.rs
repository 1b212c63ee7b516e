//! Segments are compressed and removed, and the chain stays intact.

use std::path::Path;

use super::{entry, key, log};
use crate::audit::breaks::BreakKind;
use crate::audit::query::{Filter, scan};
use crate::audit::report::VerifyReport;
use crate::audit::verify::verify;
use crate::audit::{Head, Log, anchor, disk, life};
use crate::config::Audit;
use crate::config::audit::{Bytes, Days};

/// A log of three days, with three records each; the last day is today.
fn three_days() -> (tempfile::TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    for day in [Some("2020-01-01"), Some("2020-01-02"), None] {
        for _ in 0..3 {
            log.append(&[entry()]).unwrap();
        }
        if let Some(day) = day {
            let segments = disk::segments(dir.path()).unwrap();
            let path = &segments.last().unwrap().path;
            std::fs::rename(path, dir.path().join(format!("{day}.jsonl"))).unwrap();
        }
    }
    (dir, log)
}

fn names(dir: &Path) -> Vec<String> {
    disk::segments(dir)
        .unwrap()
        .into_iter()
        .map(|segment| segment.name)
        .collect()
}

fn report(dir: &Path, anchors: &[Head]) -> VerifyReport {
    verify(dir, Some(&key()), anchors).unwrap()
}

fn forever() -> Audit {
    Audit {
        retain: Days(36_500),
        ..Audit::default()
    }
}

#[test]
fn compressed_segments_are_read_like_others() {
    let (dir, log) = three_days();
    let log = log.with_settings(forever());
    let head = log.head().unwrap();
    assert_eq!(
        life::keep_up(&log).unwrap(),
        life::Done {
            packed: 2,
            removed: 0
        }
    );
    let after = names(dir.path());
    assert_eq!(
        &after[..2],
        ["2020-01-01.jsonl.zst", "2020-01-02.jsonl.zst"]
    );
    log.append(&[entry()]).unwrap();
    let report = report(dir.path(), &[head]);
    assert_eq!(
        (report.records, report.breaks.len()),
        (10, 0),
        "{:?}",
        report.breaks
    );
    let mut seqs = Vec::new();
    scan(dir.path(), &Filter::default(), |_, record| {
        seqs.push(record.seq);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    assert_eq!(
        life::keep_up(&log).unwrap(),
        life::Done::default(),
        "nothing is due twice"
    );
}

#[test]
fn only_manual_removal_is_a_break() {
    let (dir, log) = three_days();
    let one_is_left = Audit {
        retain: Days(400),
        ..Audit::default()
    };
    let log = log.with_settings(one_is_left);
    assert_eq!(life::keep_up(&log).unwrap().removed, 2);
    let whole = report(
        dir.path(),
        &[Head {
            seq: 2,
            ..Head::default()
        }],
    );
    assert_eq!((whole.breaks, whole.pruned), (Vec::new(), Some(6)));

    let (dir, _) = three_days();
    std::fs::remove_file(dir.path().join("2020-01-01.jsonl")).unwrap();
    let cut = report(dir.path(), &[]);
    assert_eq!(
        (cut.breaks[0].kind, cut.breaks[0].last),
        (BreakKind::Truncated, 3)
    );
}

#[test]
fn the_size_limit_spares_the_current_segment() {
    let (dir, log) = three_days();
    let log = log.with_settings(Audit {
        retain_size: Bytes(1),
        ..forever()
    });
    assert_eq!(life::keep_up(&log).unwrap().removed, 2);
    assert_eq!(names(dir.path()).len(), 1);
    assert!(report(dir.path(), &[]).breaks.is_empty());
}

#[test]
fn without_the_key_nothing_is_removed() {
    let (dir, _) = three_days();
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    assert_eq!(life::keep_up(&locked).unwrap().removed, 0);
}

#[test]
fn a_damaged_compressed_segment_is_detected() {
    let (dir, log) = three_days();
    let log = log.with_settings(forever());
    life::keep_up(&log).unwrap();
    let path = dir.path().join("2020-01-01.jsonl.zst");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    crate::files::replace(&path, &bytes).unwrap();
    let first = report(dir.path(), &[]).breaks[0].clone();
    assert!(
        matches!(
            first.kind,
            BreakKind::Unreadable | BreakKind::Edited | BreakKind::Truncated
        ),
        "{first:?}"
    );
}

#[test]
fn an_external_head_is_found_in_any_segment() {
    let (dir, log) = three_days();
    let head = log.head().unwrap();
    life::keep_up(&log.with_settings(forever())).unwrap();
    assert!(anchor::contains(dir.path(), head).unwrap());
    assert!(!anchor::contains(dir.path(), Head { seq: 2, ..head }).unwrap());
    assert!(!anchor::contains(dir.path(), Head { seq: 99, ..head }).unwrap());
}
