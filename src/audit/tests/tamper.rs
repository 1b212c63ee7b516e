//! `verify` detects each kind of modification.

use std::path::Path;

use super::{entry, key, log, only_segment};
use crate::audit::breaks::BreakKind;
use crate::audit::report::VerifyReport;
use crate::audit::verify::verify;
use crate::audit::{Event, Head, Log, Outcome, disk};
use crate::audit::{NewRecord, Record};
use crate::files;

/// A log of eight records in one segment: the fourth and fifth were written without the key, and the
/// sixth counts them.
fn written() -> (tempfile::TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    for _ in 0..3 {
        log.append(&[entry()]).unwrap();
    }
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    locked.append(&[entry(), entry()]).unwrap();
    log.append(&[entry(), entry()]).unwrap();
    (dir, log)
}

fn report(dir: &Path, anchors: &[Head]) -> VerifyReport {
    verify(dir, Some(&key()), anchors).unwrap()
}

#[track_caller]
fn first(dir: &Path, anchors: &[Head]) -> (BreakKind, u64, u64) {
    let report = report(dir, anchors);
    let first = report.breaks.first().expect("a break");
    (first.kind, first.first, first.last)
}

fn change(dir: &Path, edit: impl FnOnce(&mut Vec<String>)) {
    let path = only_segment(dir);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    edit(&mut lines);
    lines.push(String::new());
    files::replace(&path, lines.join("\n").as_bytes()).unwrap();
}

#[test]
fn an_untouched_log_is_intact() {
    let (dir, log) = written();
    let report = report(dir.path(), &[log.head().unwrap()]);
    assert!(report.breaks.is_empty(), "{:?}", report.breaks);
    assert_eq!(
        (report.records, report.unsealed, report.uncovered),
        (8, 2, 0)
    );
    assert_eq!(report.head, log.head().unwrap());
}

#[test]
fn each_kind_of_change_is_named() {
    #[track_caller]
    fn case(edit: impl FnOnce(&mut Vec<String>), expected: (BreakKind, u64, u64)) {
        let (dir, _) = written();
        change(dir.path(), edit);
        assert_eq!(first(dir.path(), &[]), expected);
    }
    let edit = |n: usize| {
        move |lines: &mut Vec<String>| lines[n] = lines[n].replace("\"uid\":", "\"uid\":1")
    };
    for n in 0..8 {
        case(edit(n), (BreakKind::Edited, n as u64 + 1, n as u64 + 1));
    }
    let strip_seal = |lines: &mut Vec<String>| {
        let at = lines[1].find(",\"mac\"").unwrap();
        lines[1].truncate(at);
        lines[1].push('}');
    };
    case(strip_seal, (BreakKind::Edited, 2, 2));
    case(
        |lines| lines[2] = "garbage".to_owned(),
        (BreakKind::Edited, 3, 3),
    );
    case(|lines| drop(lines.remove(3)), (BreakKind::Removed, 4, 4));
    case(|lines| drop(lines.drain(2..6)), (BreakKind::Removed, 3, 6));
    case(|lines| lines.swap(3, 4), (BreakKind::Reordered, 4, 4));
    case(|lines| lines.swap(1, 6), (BreakKind::Reordered, 2, 6));
    case(
        |lines| lines.insert(4, lines[3].clone()),
        (BreakKind::Added, 4, 4),
    );
    case(|lines| drop(lines.pop()), (BreakKind::Truncated, 8, 8));
    case(|lines| lines.truncate(2), (BreakKind::Truncated, 3, 8));
    case(|lines| drop(lines.drain(..2)), (BreakKind::Truncated, 1, 2));
}

#[test]
fn an_incomplete_line_is_torn() {
    let (dir, _) = written();
    let path = only_segment(dir.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"v\":1,\"se");
    files::replace(&path, &bytes).unwrap();
    assert_eq!(first(dir.path(), &[]), (BreakKind::Torn, 9, 9));
}

#[test]
fn a_hidden_truncation_is_detected_by_an_external_head() {
    let (dir, log) = written();
    let head = log.head().unwrap();
    change(dir.path(), |lines| lines.truncate(6));
    std::fs::remove_file(dir.path().join("head")).unwrap();
    assert!(
        report(dir.path(), &[]).breaks.is_empty(),
        "nothing else can see it"
    );
    assert_eq!(first(dir.path(), &[head]), (BreakKind::Truncated, 7, 8));
    // Records written afterwards have the same numbers but different hashes.
    for _ in 0..3 {
        log.append(&[entry()]).unwrap();
    }
    assert!(report(dir.path(), &[]).breaks.is_empty());
    assert_eq!(first(dir.path(), &[head]), (BreakKind::Edited, 8, 8));
}

/// The log of yesterday is put back, and more records follow than were lost.
#[test]
fn every_anchor_must_be_in_the_log() {
    let (dir, log) = written();
    let old = std::fs::read(only_segment(dir.path())).unwrap();
    let note = std::fs::read(dir.path().join("head")).unwrap();
    let mut anchors = vec![log.head().unwrap()];
    for _ in 0..2 {
        log.append(&[entry()]).unwrap();
        anchors.push(log.head().unwrap());
    }
    let whole = report(dir.path(), &anchors);
    assert!(whole.breaks.is_empty(), "{:?}", whole.breaks);
    assert_eq!(whole.found, anchors);
    files::replace(&only_segment(dir.path()), &old).unwrap();
    files::replace(&dir.path().join("head"), &note).unwrap();
    assert_eq!(first(dir.path(), &anchors), (BreakKind::Truncated, 9, 10));
    for _ in 0..4 {
        log.append(&[NewRecord::new(Event::Exit, Outcome::Ok)])
            .unwrap();
    }
    anchors.push(log.head().unwrap());
    assert_eq!(first(dir.path(), &anchors), (BreakKind::Edited, 9, 10));
    assert_eq!(report(dir.path(), &anchors).found.len(), 2);
}

#[test]
fn an_anchor_covers_records_without_a_seal() {
    let (dir, _) = written();
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    locked.append(&[entry(), entry()]).unwrap();
    assert_eq!(report(dir.path(), &[]).uncovered, 2);
    let head = locked.head().unwrap();
    locked.append(&[entry()]).unwrap();
    assert_eq!(report(dir.path(), &[head]).uncovered, 1);
}

#[test]
fn more_records_without_a_seal_than_mcpwrap_writes_are_a_break() {
    let (dir, _) = written();
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    locked.append(&vec![entry(); 2000]).unwrap();
    assert!(report(dir.path(), &[]).breaks.is_empty());
    locked.append(&[entry()]).unwrap();
    assert_eq!(first(dir.path(), &[]), (BreakKind::Unsealed, 2009, 2009));
}

#[test]
fn the_chain_cannot_be_rewritten_without_the_key() {
    let (dir, _) = written();
    let other = crate::secret::Keys::from_master(&crate::secret::Secret::new(b"guess".to_vec()));
    let forged = tempfile::tempdir().unwrap();
    let key = crate::audit::record::ChainKey::new(&other);
    let log = Log::at(forged.path().to_owned(), String::new(), Some(key)).unwrap();
    log.append(&[NewRecord::new(Event::Exit, Outcome::Ok)])
        .unwrap();
    std::fs::copy(only_segment(forged.path()), only_segment(dir.path())).unwrap();
    assert_eq!(first(dir.path(), &[]).0, BreakKind::Edited);
}

#[test]
fn the_log_continues_after_a_break_and_still_reports_it() {
    let (dir, log) = written();
    change(dir.path(), |lines| lines.truncate(6));
    log.append(&[entry()]).unwrap();
    let found = report(dir.path(), &[]);
    assert_eq!(first(dir.path(), &[]), (BreakKind::Removed, 7, 8));
    assert_eq!(found.told, [7]);
    assert_eq!((found.head.seq, found.breaks.len()), (10, 1));
}

#[test]
fn reading_survives_any_damage() {
    let (dir, _) = written();
    let path = disk::segments(dir.path()).unwrap().remove(0).path;
    let whole = std::fs::read(&path).unwrap();
    let mut state = 7_u32;
    for _ in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % bytes.len();
            bytes[at] = state.to_le_bytes()[2];
        }
        bytes.truncate(bytes.len() - (state >> 7) as usize % 40);
        files::replace(&path, &bytes).unwrap();
        if bytes != whole {
            assert!(!report(dir.path(), &[]).breaks.is_empty());
        }
        for line in bytes.split(|b| *b == b'\n') {
            drop(Record::read(line));
        }
    }
}
