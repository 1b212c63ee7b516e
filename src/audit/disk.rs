//! The files of the log: segments, their last line, the lock, and the head note.
//!
//! A *segment* is a file whose name starts with a date: `2026-11-23.jsonl`, `2026-11-23.2.jsonl`
//! (the second of that day), `….zst` (compressed), and the names that logrotate gives (`….jsonl.1`).
//! Segments are ordered by their first `seq`, not by name, because clocks jump. The lock is a
//! separate file, so that it survives renames.
//!
//! Invariant: symlinks are not followed, and opening a FIFO does not block.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::record::{Hash, LINE_BYTES_MAX, is_sealed, link};
use crate::files::{self, Problem, io_text};

/// Why no record can be written into a directory, as far as can be seen without writing one.
pub fn trouble(dir: &Path) -> Option<String> {
    // It is made by the first record.
    if dir.symlink_metadata().is_err() {
        return None;
    }
    let refused = |path: &Path, modes: AccessFlags| {
        let error = access(path, modes).err()?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Some(format!(
            "`{}`: {}",
            name.to_string_lossy(),
            io_text(&error.into())
        ))
    };
    if let Some(why) = refused(dir, AccessFlags::W_OK | AccessFlags::X_OK) {
        return Some(why);
    }
    let newest = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let newest = newest
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .max();
    let written = [Some(dir.join(".lock")), Some(dir.join("head")), newest];
    let there = written.into_iter().flatten().filter(|path| path.exists());
    if let Some(why) = there
        .into_iter()
        .find_map(|path| refused(&path, AccessFlags::W_OK))
    {
        return Some(why);
    }
    let is_full = rustix::fs::statvfs(dir).is_ok_and(|fs| fs.f_bavail == 0);
    is_full.then(|| "no space left on device".to_owned())
}

/// How long a writer waits for the lock. A launch has 8 s in total.
const LOCK_WAIT: Duration = Duration::from_secs(4);
/// Room for two lines of maximum length.
const TAIL_BYTES: u64 = 2 * LINE_BYTES_MAX as u64;
/// Room for a few lines of usual length.
const TAIL_BYTES_FIRST: u64 = 4 << 10;
/// The head note is padded to this size, so that one write replaces it.
const NOTE_BYTES: usize = 256;

/// How a segment is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Zstd,
    /// Compressed by logrotate, with `compress`.
    Gzip,
    /// Compressed by another program, in a format that is not supported.
    Foreign,
}

/// One file of the log.
#[derive(Clone, Debug)]
pub struct Segment {
    pub path: PathBuf,
    pub name: String,
    pub day: Date,
    pub packing: Packing,
}

impl Segment {
    fn new(dir: &Path, name: &str) -> Option<Self> {
        let (day, rest) = name.split_at_checked(10)?;
        let day = day.parse().ok()?;
        let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let rest = rest.strip_prefix("jsonl")?;
        let packing = match rest.rsplit('.').next().unwrap_or_default() {
            "zst" => Packing::Zstd,
            "gz" => Packing::Gzip,
            "xz" | "bz2" | "lz4" => Packing::Foreign,
            _ => Packing::Plain,
        };
        Some(Self {
            path: dir.join(name),
            name: name.to_owned(),
            day,
            packing,
        })
    }

    /// Whether it has a name that mcpwrap writes to, not one that a tool gave to its copy.
    pub fn is_current(&self) -> bool {
        self.path
            .extension()
            .is_some_and(|ending| ending == "jsonl")
    }
}

/// The segments in the directory, ordered by name.
pub fn segments(dir: &Path) -> Result<Vec<Segment>, Problem> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        segments.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| Segment::new(dir, name)),
        );
    }
    segments.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(segments)
}

/// The name of segment number `part` of a day, counted from 1.
pub fn segment_name(day: Date, part: u32) -> String {
    if part == 1 {
        format!("{day}.jsonl")
    } else {
        format!("{day}.{part}.jsonl")
    }
}

/// The end of a file.
#[derive(Debug, Default)]
pub struct SegmentTail {
    /// The last complete line, without its newline.
    pub line: Option<Vec<u8>>,
    /// The incomplete line after it.
    pub torn: Vec<u8>,
    /// The offset where `torn` starts.
    pub complete: u64,
    pub size: u64,
}

/// Reads the end of a file: a small part first, since most lines are short.
pub fn tail(file: &File) -> Result<SegmentTail, Problem> {
    for bytes_max in [TAIL_BYTES_FIRST, TAIL_BYTES] {
        if let Some(tail) = tail_within(file, bytes_max)? {
            return Ok(tail);
        }
    }
    Err(Problem::Io(io::Error::other(
        "the last line is not a log record",
    )))
}

/// Returns `None` if the last line is longer than `bytes_max`.
fn tail_within(file: &File, bytes_max: u64) -> Result<Option<SegmentTail>, Problem> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(bytes_max);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, start)?;
    let Some(end) = memchr::memrchr(b'\n', &bytes) else {
        return Ok((start == 0).then(|| SegmentTail {
            torn: bytes,
            size,
            ..SegmentTail::default()
        }));
    };
    let (lines, torn) = bytes.split_at(end);
    let first = match memchr::memrchr(b'\n', lines) {
        Some(at) => at + 1,
        None if start == 0 => 0,
        None => return Ok(None),
    };
    Ok(Some(SegmentTail {
        line: Some(lines.get(first..).unwrap_or_default().to_vec()),
        torn: torn.get(1..).unwrap_or_default().to_vec(),
        complete: start + end as u64 + 1,
        size,
    }))
}

/// The highest `seq` in the last lines of a file, for use when the last line is damaged.
pub fn last_seq(file: &File) -> Result<u64, Problem> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(16 * TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, start)?;
    let seqs = bytes
        .split(|b| *b == b'\n')
        .filter_map(link)
        .map(|(seq, _)| seq);
    Ok(seqs.max().unwrap_or_default())
}

/// How many of the last lines of a file have no seal, for use when the head note is missing.
pub fn unsealed_tail(file: &File) -> Result<u64, Problem> {
    let size = file.metadata()?.len();
    let start = size.saturating_sub(16 * TAIL_BYTES);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, start)?;
    let lines = bytes.rsplit(|b| *b == b'\n');
    let unsealed = lines
        .filter(|line| !line.is_empty())
        .take_while(|line| !is_sealed(line));
    Ok(unsealed.count() as u64)
}

/// Takes the lock of the log. Fails if another process holds it for longer than `LOCK_WAIT`.
pub fn lock(dir: &Path) -> Result<File, Problem> {
    let path = dir.join(".lock");
    let end = Instant::now() + LOCK_WAIT;
    let mut pause = Duration::from_micros(200);
    loop {
        let file = files::open_append(&path)?;
        match file.try_lock() {
            // If the file was removed in the meantime, no other process sees this lock.
            Ok(()) if is_at(&file, &path) => return Ok(file),
            Ok(()) | Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        if Instant::now() > end {
            let text = "another mcpwrap process holds the lock too long";
            return Err(Problem::Io(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Whether the open file is still the one at this path.
pub fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), std::fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// The position of the last record, in a file beside the segments, so that a launch reads one line of
/// the log. It is not trusted: it is compared with the segment, and a difference is a break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub file: String,
    pub size: u64,
    pub seq: u64,
    pub hash: Hash,
    /// How many records without a seal are at the end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsealed: u64,
    /// How many refusals were not written since the last seal, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unwritten: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of serde")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Note {
    /// The note, if it exists and can be read.
    pub fn read(dir: &Path) -> Option<Self> {
        let bytes = files::read_private(&dir.join("head")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces the note. It needs no sync: an outdated note is corrected from the segment.
    pub fn write(&self, dir: &Path) -> Result<(), Problem> {
        let path = dir.join("head");
        let file = files::open_write(&path)?;
        let mut bytes = serde_json::to_vec(self).map_err(io::Error::from)?;
        bytes.resize(NOTE_BYTES.max(bytes.len() + 1) - 1, b' ');
        bytes.push(b'\n');
        file.write_all_at(&bytes, 0)?;
        // Setting the same size again would still cost the file system a metadata write.
        if file.metadata()?.len() != bytes.len() as u64 {
            file.set_len(bytes.len() as u64)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_segments() {
        let packing = |name| Segment::new(Path::new("/"), name).map(|segment| segment.packing);
        for plain in [
            "2026-11-23.jsonl",
            "2026-11-23.2.jsonl",
            "2026-11-23.jsonl.1",
        ] {
            assert_eq!(packing(plain), Some(Packing::Plain), "{plain}");
        }
        assert_eq!(packing("2026-11-23.jsonl-20261124"), Some(Packing::Plain));
        assert_eq!(packing("2026-11-23.10.jsonl.zst"), Some(Packing::Zstd));
        assert_eq!(packing("2026-11-23.jsonl.2.gz"), Some(Packing::Gzip));
        assert_eq!(packing("2026-11-23.jsonl.2.xz"), Some(Packing::Foreign));
        for other in [
            "head",
            ".lock",
            "2026-11-23",
            "2026-13-23.jsonl",
            "notes.jsonl",
            "é",
        ] {
            assert_eq!(packing(other), None, "{other}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_has_trouble() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(trouble(&dir.path().join("absent")), None);
        assert_eq!(trouble(dir.path()), None);
        // Not even root writes there: it has no room.
        let full = Path::new("/proc/self");
        assert!(trouble(full).is_some() || !full.is_dir());
    }

    #[test]
    fn the_tail_of_a_file() {
        #[track_caller]
        fn case(bytes: &str, line: Option<&str>, torn: &str) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            files::replace(&path, bytes.as_bytes()).unwrap();
            let tail = tail(&files::open_append(&path).unwrap()).unwrap();
            assert_eq!(tail.line.as_deref(), line.map(str::as_bytes));
            assert_eq!(tail.torn, torn.as_bytes());
            assert_eq!(tail.complete, (bytes.len() - torn.len()) as u64);
        }
        case("", None, "");
        case("half", None, "half");
        case("one\n", Some("one"), "");
        case("one\ntwo\n", Some("two"), "");
        case("one\ntwo\nth", Some("two"), "th");
        case("\n", Some(""), "");
    }
}
