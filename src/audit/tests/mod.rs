//! The chain on disk: damage is detected, and nothing is lost silently.

mod life;
mod tamper;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::disk;
use super::log::Log;
use super::record::{ChainKey, Seal, check_line, link};
use super::{Event, Hash, NewRecord, Outcome, Record};
use crate::error::Code;
use crate::files;
use crate::secret::{Keys, Secret};

fn key() -> ChainKey {
    ChainKey::new(&Keys::from_master(&Secret::new(b"master".to_vec())))
}

fn log(dir: &std::path::Path) -> Log {
    Log::at(dir.to_owned(), "~/audit".to_owned(), Some(key())).unwrap()
}

fn entry() -> NewRecord {
    NewRecord::new(Event::Launch, Outcome::Intent)
}

fn only_segment(dir: &std::path::Path) -> PathBuf {
    disk::segments(dir).unwrap().remove(0).path
}

/// All records ordered by number, after verifying the chain and every seal.
#[track_caller]
fn records(log: &Log) -> Vec<Record> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for segment in disk::segments(log.dir()).unwrap() {
        let bytes = std::fs::read(&segment.path).unwrap();
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
        lines.extend(
            bytes
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    lines.sort_by_key(|line| link(line).unwrap().0);
    let mut prev = Hash::START;
    for line in &lines {
        assert_eq!(link(line).unwrap().1, prev);
        let (hash, seal) = check_line(line, Some(&key()));
        assert_ne!(seal, Seal::Broken);
        prev = hash;
    }
    lines
        .iter()
        .map(|line| Record::read(line).unwrap())
        .collect()
}

fn about_the_log(records: &[Record]) -> Vec<&str> {
    let own = records.iter().filter(|record| record.event == Event::Log);
    own.map(|record| record.reason.as_deref().unwrap())
        .collect()
}

#[test]
fn records_are_chained_over_calls_and_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry(), entry()]).unwrap();
    Log::at(dir.path().to_owned(), String::new(), None)
        .unwrap()
        .append(&[entry()])
        .unwrap();
    log.append(&[entry()]).unwrap();
    let records = records(&log);
    assert_eq!(
        records.iter().map(|r| r.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(records.iter().filter(|r| r.mac.is_none()).count(), 1);
    assert_eq!(log.head().unwrap().seq, 5);
    let counted = &records[3];
    assert_eq!(counted.reason.as_deref(), Some("unsealed"));
    assert_eq!(
        (counted.detail.first, counted.detail.last),
        (Some(3), Some(3))
    );
    let mode = std::fs::metadata(only_segment(dir.path())).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A client that starts a server again and again while the store is locked.
#[test]
fn refusals_without_a_seal_are_bounded_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry()]).unwrap();
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    let refusal = NewRecord::new(Event::Refuse, Outcome::Refused);
    for _ in 0..60 {
        locked.append(&vec![refusal.clone(); 10]).unwrap();
    }
    // What withdraws access is still written.
    let revoked = NewRecord::new(Event::Revoke, Outcome::Ok);
    locked.append(&[revoked]).unwrap();
    log.append(&[entry()]).unwrap();
    let records = records(&log);
    assert_eq!(records.iter().filter(|r| r.mac.is_none()).count(), 501);
    let counted = &records[records.len() - 2];
    assert_eq!(counted.reason.as_deref(), Some("unsealed"));
    let detail = &counted.detail;
    assert_eq!((detail.first, detail.last), (Some(2), Some(502)));
    assert_eq!(
        detail.records,
        Some(100),
        "the refusals that were not written"
    );
}

#[test]
fn records_without_a_seal_are_counted_without_the_note() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry()]).unwrap();
    let locked = Log::at(dir.path().to_owned(), String::new(), None).unwrap();
    locked.append(&[entry(), entry(), entry()]).unwrap();
    std::fs::remove_file(dir.path().join("head")).unwrap();
    log.count_unsealed().unwrap();
    log.count_unsealed().unwrap();
    let records = records(&log);
    assert_eq!(about_the_log(&records), ["unsealed"]);
    assert_eq!(records[4].detail.first, Some(2));
}

#[test]
fn a_torn_line_is_removed_and_logged() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry(), entry()]).unwrap();
    let path = only_segment(dir.path());
    (&files::open_append(&path).unwrap())
        .write_all(b"{\"v\":1,\"seq\":3,\"ti")
        .unwrap();
    log.append(&[entry()]).unwrap();
    let records = records(&log);
    assert_eq!(about_the_log(&records), ["repaired"]);
    assert_eq!(records[2].detail.bytes, Some(18));
    assert_eq!(records.last().unwrap().seq, 4);
}

#[test]
fn a_line_that_lacks_only_its_newline_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry(), entry()]).unwrap();
    let file = files::open_append(&only_segment(dir.path())).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    log.append(&[entry()]).unwrap();
    let records = records(&log);
    assert_eq!(about_the_log(&records), ["repaired"]);
    assert_eq!(records.len(), 4);
}

#[test]
fn both_modes_of_logrotate_lose_nothing() {
    for copy in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        log.append(&[entry(), entry()]).unwrap();
        let path = only_segment(dir.path());
        let old = path.with_extension("jsonl.1");
        if copy {
            std::fs::copy(&path, &old).unwrap();
            files::open_append(&path).unwrap().set_len(0).unwrap();
        } else {
            std::fs::rename(&path, &old).unwrap();
        }
        log.append(&[entry()]).unwrap();
        let records = records(&log);
        assert_eq!(records.len(), 3, "{copy}");
        assert!(about_the_log(&records).is_empty());
    }
}

/// logrotate copies the files while a writer reads them.
#[test]
fn a_copy_that_is_being_made_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry(), entry()]).unwrap();
    let path = only_segment(dir.path());
    let bytes = std::fs::read(&path).unwrap();
    let copy = path.with_extension("jsonl.1");
    files::replace(&copy, &bytes[..bytes.len() - 10]).unwrap();
    std::fs::remove_file(dir.path().join("head")).unwrap();
    log.append(&[entry()]).unwrap();
    assert_eq!(std::fs::read(copy).unwrap().len(), bytes.len() - 10);
}

#[test]
fn a_log_that_lost_records_continues_and_reports_it() {
    #[track_caller]
    fn case(damage: impl Fn(&std::path::Path), kind: &str, seqs: &[u64]) {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        log.append(&[entry(), entry()]).unwrap();
        log.append(&[entry()]).unwrap();
        damage(&only_segment(dir.path()));
        log.append(&[entry()]).unwrap();
        let bytes = std::fs::read(only_segment(dir.path())).unwrap();
        let lines = bytes.split(|b| *b == b'\n').filter_map(Record::read);
        let (all, said): (Vec<_>, Vec<_>) = lines.map(|r| (r.seq, (r.event, r.reason))).unzip();
        assert_eq!(all, seqs);
        assert!(
            said.contains(&(Event::Log, Some(kind.to_owned()))),
            "{kind}"
        );
    }
    let keep_lines = |path: &std::path::Path, count| {
        let text = std::fs::read_to_string(path).unwrap();
        let kept: String = text.split_inclusive('\n').take(count).collect();
        files::replace(path, kept.as_bytes()).unwrap();
    };
    case(|path| keep_lines(path, 1), "truncated", &[1, 4, 5]);
    case(|path| keep_lines(path, 0), "truncated", &[4, 5]);
    case(
        |path| std::fs::remove_file(path).unwrap(),
        "truncated",
        &[4, 5],
    );
    let edit = |path: &std::path::Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(path).unwrap();
        let at = text.rfind(from).unwrap();
        let text = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        files::replace(path, text.as_bytes()).unwrap();
    };
    case(
        |path| edit(path, "\"launch\"", "\"refuse\""),
        "edited",
        &[1, 2, 3, 4, 5],
    );
    case(
        |path| edit(path, "{\"v\":1", "{\"w\":1"),
        "edited",
        &[1, 2, 4, 5],
    );
}

#[test]
fn an_outdated_or_missing_note_is_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry()]).unwrap();
    let old = std::fs::read(dir.path().join("head")).unwrap();
    log.append(&[entry(), entry()]).unwrap();
    files::replace(&dir.path().join("head"), &old).unwrap();
    log.append(&[entry()]).unwrap();
    std::fs::remove_file(dir.path().join("head")).unwrap();
    log.append(&[entry()]).unwrap();
    let records = records(&log);
    assert_eq!(records.len(), 5);
    assert!(about_the_log(&records).is_empty());
}

#[test]
fn a_clock_that_jumps_back_keeps_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.append(&[entry()]).unwrap();
    let future = dir.path().join("2099-01-01.jsonl");
    let note = std::fs::read_to_string(dir.path().join("head")).unwrap();
    let today = only_segment(dir.path());
    std::fs::rename(&today, &future).unwrap();
    let name = today.file_name().unwrap().to_str().unwrap();
    let note = note.replace(name, "2099-01-01.jsonl");
    files::replace(&dir.path().join("head"), note.as_bytes()).unwrap();
    log.append(&[entry()]).unwrap();
    log.append(&[entry()]).unwrap();
    assert_eq!(records(&log).len(), 3);
    assert_eq!(disk::segments(dir.path()).unwrap().len(), 2);
}

#[test]
fn files_of_others_are_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    #[track_caller]
    fn case(put: impl Fn(&std::path::Path), said: &str) {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path());
        log.append(&[entry()]).unwrap();
        let path = only_segment(dir.path());
        std::fs::remove_file(&path).unwrap();
        put(&path);
        let error = log.append(&[entry()]).unwrap_err();
        assert_eq!(error.code, Code::AuditUnwritable);
        assert!(error.to_string().contains(said), "{error}");
    }
    case(|path| symlink("/etc/passwd", path).unwrap(), "a symlink");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    case(|path| nix::unistd::mkfifo(path, mode).unwrap(), "FIFO");
    case(|path| std::fs::create_dir(path).unwrap(), "directory");
    case(
        |path| {
            files::replace(path, b"").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        },
        "0666",
    );
}

#[test]
fn ten_writers_lose_and_tear_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| (0..20).for_each(|_| log.append(&[entry(), entry()]).unwrap()));
        }
    });
    assert_eq!(records(&log).len(), 400);
}

#[test]
fn two_runs_have_two_ids() {
    let (one, two) = (
        super::RunId::random().unwrap(),
        super::RunId::random().unwrap(),
    );
    assert_eq!(one.as_str().len(), 16);
    assert_ne!(one, two);
}

#[test]
fn words_are_read_as_they_are_written() {
    for event in Event::ALL {
        assert_eq!(event.name().parse(), Ok(*event));
        assert_eq!(
            serde_json::to_string(event).unwrap(),
            format!("\"{event}\"")
        );
        assert!(event.meaning().ends_with('.'));
    }
    let error = "launc".parse::<Event>().unwrap_err();
    assert!(error.to_string().contains("launch"));
}
