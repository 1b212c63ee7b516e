//! The cost of the audit log: `cargo bench --bench audit`. Ratios within one run, no absolute
//! times.
//!
//! A million records over ten days, or `MCPWRAP_BENCH_RECORDS` records. Queries against `rg` on the
//! same files, `verify` in MB/s, an append with its sync against a bare sync, ten thousand calls
//! per second, and the memory of the readers on a tenth of the log and on all of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::use_debug,
    reason = "a benchmark fails loudly, starts programs and prints"
)]

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use mcpwrap::testing::audit::ChainKey;
use mcpwrap::testing::audit::verify;
use mcpwrap::testing::audit::{
    CallLog, ClientIdentity, Detail, Event, Log, NewRecord, Outcome, RunId, SecretUse, disk,
};
use mcpwrap::testing::audit::{Filter, scan};
use mcpwrap::testing::secret::{Keys, Secret};
use nix::sys::resource::{UsageWho, getrusage};

const DAYS: i64 = 10;
const BATCH: usize = 2_000;
const ROUNDS: usize = 7;

fn records() -> usize {
    let wanted = std::env::var("MCPWRAP_BENCH_RECORDS").ok();
    wanted.map_or(1_000_000, |number| number.parse().unwrap())
}

fn key() -> ChainKey {
    ChainKey::new(&Keys::from_master(&Secret::new(
        b"the key of the benchmark".to_vec(),
    )))
}

fn log(home: &Path) -> Log {
    Log::at(home.join("state/audit"), String::new(), Some(key())).unwrap()
}

fn client() -> ClientIdentity {
    ClientIdentity {
        name: Some("claude-code".to_owned()),
        version: Some("2.1.0".to_owned()),
        pid: Some(4711),
        exe: Some("/usr/bin/node".to_owned()),
    }
}

/// Mostly calls; every 100th record is an injection, every 1000th one of the rare secret.
fn entry(n: usize, run: &RunId, at: Timestamp) -> NewRecord {
    let server = format!("server-{}", n % 20).parse().unwrap();
    let mut entry = if n.is_multiple_of(100) {
        let name = if n.is_multiple_of(1000) {
            "rare/token"
        } else {
            "usual/token"
        };
        NewRecord::new(Event::Inject, Outcome::Intent).secret(SecretUse {
            name: name.parse().unwrap(),
            variable: Some("TOKEN".to_owned()),
            fingerprint: None,
        })
    } else {
        let detail = Detail {
            method: Some("tools/call".to_owned()),
            tool: Some(format!("tool_{}", n % 50)),
            id: Some(n.to_string()),
            duration_ms: Some(n as u64 % 900),
            ..Detail::default()
        };
        NewRecord::new(Event::Call, Outcome::Ok).detail(detail)
    };
    entry.at = Some(at);
    entry
        .server(&server)
        .run(run)
        .policy(&"5e".repeat(32))
        .client(&client())
}

/// A log of this many records, the last of them from today.
fn build(home: &Path, records: usize) {
    let log = log(home);
    let run = RunId::random().unwrap();
    let now = Timestamp::now();
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let a_day = records / usize::try_from(DAYS).unwrap();
    for day in (0..DAYS).rev() {
        let at = now.checked_sub((day * 24).hours()).unwrap();
        for start in (0..a_day).step_by(BATCH) {
            let batch: Vec<_> = (start..start + BATCH).map(|n| entry(n, &run, at)).collect();
            log.append(&batch).unwrap();
        }
        if day > 0 {
            move_to(log.dir(), today, today.checked_sub(day.days()).unwrap());
        }
    }
}

/// Renames today's segments to another date.
fn move_to(dir: &Path, today: Date, day: Date) {
    for segment in disk::segments(dir).unwrap() {
        if segment.day == today {
            let name = segment.name.replace(&today.to_string(), &day.to_string());
            std::fs::rename(&segment.path, dir.join(name)).unwrap();
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn timed(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    median((0..ROUNDS).map(round).collect())
}

fn mcpwrap(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcpwrap"));
    command
        .args(args)
        .env_clear()
        .env("HOME", home)
        .env("MCPWRAP_HOME", home);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn main() {
    let small = tempfile::tempdir().unwrap();
    let large = tempfile::tempdir().unwrap();
    appends(small.path());
    build(small.path(), records() / 10);
    memory("a tenth", small.path());
    build(large.path(), records());
    memory("all", large.path());
    questions(large.path());
    let dir = large.path().join("state/audit");
    let bytes: u64 = files(&dir)
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    let took = timed(|| assert!(verify(&dir, Some(&key()), &[]).unwrap().breaks.is_empty()));
    println!(
        "verify: {:.0} MB/s over {} MB",
        bytes as f64 / 1e6 / took.as_secs_f64(),
        bytes / 1_000_000
    );
    // Last, because a child's memory includes that of its parent at the fork.
    calls();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    disk::segments(dir)
        .unwrap()
        .into_iter()
        .map(|segment| segment.path)
        .collect()
}

fn questions(home: &Path) {
    let all = files(&home.join("state/audit"));
    let today = Timestamp::now()
        .checked_sub(24.hours())
        .unwrap()
        .to_zoned_datetime(TimeZone::UTC)
        .date();
    let recent: Vec<_> = disk::segments(&home.join("state/audit")).unwrap();
    let recent: Vec<_> = recent
        .into_iter()
        .filter(|s| s.day >= today)
        .map(|s| s.path)
        .collect();
    let rg = |files: &[PathBuf]| {
        timed(|| {
            let mut command = Command::new("rg");
            command
                .args(["--no-config", "-F", "\"secret\":{\"name\":\"rare/token\""])
                .args(files);
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
        })
    };
    let ask = |args: &[&str]| timed(|| assert!(mcpwrap(home, args).status().unwrap().success()));
    let day = ask(&["log", "--since", "24h", "--secret", "rare/token", "--json"]);
    let ever = ask(&["log", "--secret", "rare/token", "--json"]);
    let (rg_all, rg_day) = (rg(&all), rg(&recent));
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!(
        "log --since 24h --secret: {:.2} of rg over all files, {:.2} of rg over those of the two days",
        ratio(day, rg_all),
        ratio(day, rg_day)
    );
    println!(
        "log --secret, all days: {:.2} of rg over all files ({ever:?} and {rg_all:?})",
        ratio(ever, rg_all)
    );
}

/// The peak memory of all readers so far.
fn memory(what: &str, home: &Path) {
    for args in [
        &["log", "verify"][..],
        &["log", "--json"],
        &["log", "secrets"],
    ] {
        mcpwrap(home, args).status().unwrap();
    }
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    println!("memory of the readers, {what} of the log: {peak} KB");
}

/// A launch writes its record and three injections; the disk's own cost is one sync.
fn appends(home: &Path) {
    let log = log(home);
    let run = RunId::random().unwrap();
    let launch: Vec<_> = (0..4).map(|n| entry(n, &run, Timestamp::now())).collect();
    log.append(&launch).unwrap();
    let path = home.join("bare");
    let mut bare: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let bytes = vec![b'x'; 1800];
    let (mut with, mut without, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..300 {
        let begin = Instant::now();
        bare.write_all(&bytes).unwrap();
        bare.sync_all().unwrap();
        without.push(begin.elapsed());
        let begin = Instant::now();
        log.append(&launch).unwrap();
        with.push(begin.elapsed());
        let begin = Instant::now();
        bare.seek(SeekFrom::End(0)).unwrap();
        bare.write_all(&bytes).unwrap();
        bare.sync_data().unwrap();
        written.push(begin.elapsed());
    }
    let (with, without, written) = (median(with), median(without), median(written));
    println!(
        "append of a launch: {:.2} of a write with fsync, {:.2} of one with fdatasync ({with:?}, {without:?}, {written:?})",
        with.as_secs_f64() / without.as_secs_f64(),
        with.as_secs_f64() / written.as_secs_f64(),
    );
}

/// Ten thousand calls per second for three seconds: none is dropped, and the caller does not wait.
fn calls() {
    let home = tempfile::tempdir().unwrap();
    let calls = CallLog::start(log(home.path())).unwrap();
    let run = RunId::random().unwrap();
    let mut spent = Duration::ZERO;
    let begin = Instant::now();
    for n in 0..30_000_u32 {
        let one = entry(n as usize, &run, Timestamp::now());
        while begin.elapsed() < Duration::from_micros(100) * n {
            std::hint::spin_loop();
        }
        let before = Instant::now();
        calls.call(move || one);
        spent += before.elapsed();
    }
    let dropped = calls.dropped();
    let all = calls.finish(Duration::from_secs(10));
    println!(
        "10,000 calls per second: {dropped} dropped, all written: {all}, {:?} of the relay's time for each",
        spent / 30_000
    );
    // Faster than any disk: calls beyond the queue are dropped, and the log records their number.
    let home = tempfile::tempdir().unwrap();
    let calls = CallLog::start(log(home.path())).unwrap();
    let burst: Vec<_> = (0..100_000)
        .map(|n| entry(n, &run, Timestamp::now()))
        .collect();
    let count = burst.len() as u64;
    for one in burst {
        calls.call(move || one);
    }
    let dropped = calls.dropped();
    assert_eq!(calls.finish(Duration::from_mins(1)), dropped == 0);
    let (mut kept, mut told) = (0, 0);
    let filter = Filter::default();
    scan(&home.path().join("state/audit"), &filter, |_, record| {
        match record.event {
            Event::Call | Event::Inject => kept += 1,
            _ => told += record.detail.records.unwrap_or(0),
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((kept + dropped, told), (count, dropped));
    println!("100,000 calls at once: {kept} written, {dropped} dropped and counted in the log");
}
