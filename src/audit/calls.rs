//! Logs records without slowing the relay: a bounded queue and a thread that writes it to the log.
//!
//! Invariants: callers never block. When the queue is full, calls are dropped and counted, and the
//! count is logged as soon as there is room; other records (exit, renew) are never dropped. All records
//! within 100 ms share one sync, except launches, and one wake-up of the thread, because waking it per message would slow
//! the relay. While the disk is full, the queue keeps the records.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::event::{Detail, Event, NewRecord, Outcome};
use super::life;
use super::log::Log;
use crate::error::Error;

/// How many calls may wait: 1.5 s of the fastest session that must be logged completely.
const QUEUE_RECORDS: usize = 16_384;
/// How many records one write contains (one second of records is about 4 MB).
const BATCH_RECORDS: usize = 2048;
/// How long a record waits for further records before it is written.
const BATCH_WAIT: Duration = Duration::from_millis(100);
/// The time between a failed write and the next attempt.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How long a session must be idle before it compresses and removes old segments, once a day.
const IDLE_WAIT: Duration = Duration::from_secs(10);

/// Builds a record when the thread needs it.
type Made = Box<dyn FnOnce() -> NewRecord + Send>;

/// Writes records in a background thread. One per supervisor.
pub struct CallLog {
    sender: Option<Sender<Made>>,
    room: usize,
    /// Dropped to signal that no more records follow.
    going: Option<SyncSender<()>>,
    done: Receiver<()>,
    shared: Arc<QueueShared>,
}

#[derive(Debug, Default)]
struct QueueShared {
    dropped: AtomicU64,
    waiting: AtomicUsize,
    ending: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl fmt::Debug for CallLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallLog")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl CallLog {
    /// Starts the thread.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(log: Log) -> io::Result<Self> {
        Self::with_queue(log, QUEUE_RECORDS)
    }

    fn with_queue(log: Log, records: usize) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let (going, ending) = sync_channel(0);
        let (finished, done) = sync_channel(1);
        let shared = Arc::new(QueueShared::default());
        let writer = QueueWriter {
            log,
            receiver,
            ending,
            shared: Arc::clone(&shared),
            noted: 0,
            kept_up: None,
        };
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                writer.run();
                drop(finished);
            })?;
        Ok(Self {
            sender: Some(sender),
            room: records,
            going: Some(going),
            done,
            shared,
        })
    }

    /// Queues a record that is not a call; it is never dropped. Its time is now.
    pub fn write(&self, mut entry: NewRecord) {
        entry.at.get_or_insert_with(Timestamp::now);
        self.send(Box::new(|| entry));
    }

    /// Queues a call, or counts it if there is no room. Its time is now; the record is built later,
    /// so that the next message of the relay does not wait for it.
    pub fn call(&self, make: impl FnOnce() -> NewRecord + Send + 'static) {
        if self.shared.waiting.load(Ordering::Relaxed) >= self.room {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let now = Timestamp::now();
        self.send(Box::new(move || {
            let mut entry = make();
            entry.at.get_or_insert(now);
            entry
        }));
    }

    fn send(&self, made: Made) {
        let waiting = &self.shared.waiting;
        // Counted before it is sent, so that the receiver never sees a count of zero.
        waiting.fetch_add(1, Ordering::Relaxed);
        let sender = self.sender.as_ref();
        if sender.is_none_or(|sender| sender.send(made).is_err()) {
            waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The number of records that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Why records currently cannot be written, if so. Worth a warning.
    pub fn error(&self) -> Option<Error> {
        self.shared.error.lock().ok()?.clone()
    }

    /// Writes the queued records and ends the thread, after `wait` at the latest. Returns whether all
    /// records are in the log.
    pub fn finish(mut self, wait: Duration) -> bool {
        self.shared.ending.store(true, Ordering::Relaxed);
        drop((self.sender.take(), self.going.take()));
        // The thread never sends. It drops its end of the channel when it is done.
        let ended = self.done.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected);
        ended && self.error().is_none() && self.dropped() == 0
    }
}

struct QueueWriter {
    log: Log,
    receiver: Receiver<Made>,
    /// Never carries a message; it is closed when the thread is done.
    ending: Receiver<()>,
    shared: Arc<QueueShared>,
    /// How many dropped records the log already reports.
    noted: u64,
    /// The last day on which segments were compressed and removed.
    kept_up: Option<Date>,
}

fn today() -> Date {
    Timestamp::now().to_zoned_datetime(TimeZone::UTC).date()
}

impl QueueWriter {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            match self.receiver.recv_timeout(self.idle()) {
                Ok(first) => {
                    self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                    batch.push(first());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.keep_up();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // More records arrive in the meantime, without a wake-up.
            // A launch does not wait: `revoke` finds the server's process by its record.
            let wait = match batch.first() {
                Some(first) if first.event == Event::Launch => Duration::ZERO,
                _ => BATCH_WAIT,
            };
            let open = self.ending.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
            loop {
                let (room, before) = (BATCH_RECORDS - batch.len(), batch.len());
                batch.extend(self.receiver.try_iter().take(room).map(|made| made()));
                let taken = batch.len() - before;
                self.shared.waiting.fetch_sub(taken, Ordering::Relaxed);
                if batch.is_empty() {
                    break;
                }
                while !self.write(&mut batch) {
                    if !open || self.shared.ending.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(RETRY_WAIT);
                }
            }
        }
        self.write(&mut batch);
    }

    /// How long the queue must be idle before old segments are compressed and removed.
    fn idle(&self) -> Duration {
        if self.kept_up == Some(today()) {
            Duration::from_hours(1)
        } else {
            IDLE_WAIT
        }
    }

    fn keep_up(&mut self) {
        if self.kept_up == Some(today()) {
            return;
        }
        self.kept_up = Some(today());
        if let Err(error) = life::keep_up(&self.log) {
            tracing::warn!("{}", error.line());
        }
    }

    /// Writes the batch and clears it; keeps it if the write failed.
    fn write(&mut self, batch: &mut Vec<NewRecord>) -> bool {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let told = dropped > self.noted;
        if told {
            let detail = Detail {
                records: Some(dropped - self.noted),
                ..Detail::default()
            };
            let mut entry = NewRecord::new(Event::Log, Outcome::Failed)
                .reason("dropped")
                .detail(detail);
            if let Some(like) = batch.first() {
                entry.server.clone_from(&like.server);
                entry.run.clone_from(&like.run);
            }
            batch.push(entry);
        }
        let result = self.log.append(batch);
        match &result {
            Ok(()) => {
                self.noted = dropped;
                batch.clear();
            }
            Err(_) if told => drop(batch.pop()),
            Err(_) => {}
        }
        if let Ok(mut error) = self.shared.error.lock() {
            *error = result.err();
            return error.is_none();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::disk::segments;
    use super::super::record::Record;
    use super::*;

    fn call(id: u32) -> NewRecord {
        let detail = Detail {
            id: Some(id.to_string()),
            ..Detail::default()
        };
        NewRecord::new(Event::Call, Outcome::Ok).detail(detail)
    }

    fn records(log: &Log) -> Vec<Record> {
        let path = segments(log.dir()).unwrap().remove(0).path;
        let bytes = std::fs::read(path).unwrap();
        bytes
            .split(|b| *b == b'\n')
            .filter_map(Record::read)
            .collect()
    }

    fn log(dir: &tempfile::TempDir) -> Log {
        Log::at(dir.path().join("audit"), String::new(), None).unwrap()
    }

    #[test]
    fn all_calls_are_there_in_order_after_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir);
        let calls = CallLog::start(log.clone()).unwrap();
        (0..10_000).for_each(|id| calls.call(move || call(id)));
        assert!(calls.finish(Duration::from_secs(20)));
        let ids: Vec<_> = records(&log)
            .into_iter()
            .map(|r| r.detail.id.unwrap())
            .collect();
        assert_eq!(
            ids,
            (0..10_000).map(|id| id.to_string()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn dropped_calls_are_counted_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir);
        // Nothing can be written while another writer holds the lock.
        let lock = super::super::disk::lock(log.dir()).unwrap();
        let calls = CallLog::with_queue(log.clone(), 10).unwrap();
        let begin = Instant::now();
        (0..5000).for_each(|id| calls.call(move || call(id)));
        assert!(begin.elapsed() < Duration::from_secs(1), "it never waits");
        // An exit is not a call.
        calls.write(NewRecord::new(Event::Exit, Outcome::Ok));
        drop(lock);
        let dropped = calls.dropped();
        assert!(dropped > 0);
        assert!(!calls.finish(Duration::from_secs(20)));
        let records = records(&log);
        let counted: u64 = records.iter().filter_map(|r| r.detail.records).sum();
        assert_eq!(counted, dropped);
        assert!(records.iter().any(|record| record.event == Event::Exit));
        assert_eq!(
            records.iter().filter(|r| r.event == Event::Call).count() as u64,
            5000 - counted
        );
    }
}
