//! The undo journal: what adopt changed, with references instead of secrets.
//!
//! Invariants: append-only; a record is written and synced before the client's file, so that each
//! change can be undone, and a record of a change that did not happen is harmless, because undo
//! checks the entry first; the journal holds no secret. Each line is sealed with a key from the
//! store: a line that another program wrote would choose which secret goes into which file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::Sha256;

use super::redact::RedactedPiece;
use crate::client::insertion::Insertion;
use crate::client::tree::PathStep;
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem};
use crate::secret::{Fingerprint, Keys, SecretName, ServerName, hex};

/// The largest journal that is read (bytes).
const BYTES_MAX: u64 = 64 << 20;
/// As many lines are named in an error.
const LINES_NAMED_MAX: usize = 5;

/// What one line of the journal says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JournalLine {
    Adopted(Box<JournalRecord>),
    Added(Box<AddedRecord>),
    Undone { id: String, at: jiff::Timestamp },
}

/// The change of one entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalRecord {
    pub id: String,
    pub at: jiff::Timestamp,
    pub file: PathBuf,
    /// The permission bits and the owner of the file.
    pub mode: u32,
    pub owner: (u32, u32),
    pub client: Option<String>,
    /// The client's name of the entry.
    pub entry: String,
    /// The policy that it runs after the change.
    pub server: ServerName,
    pub path: Vec<PathStep>,
    /// The secrets of the entry, with the values that it held.
    pub secrets: BTreeMap<SecretName, Fingerprint>,
    /// The pieces of the file that held the entry, and those that replaced them.
    pub before: Vec<Vec<RedactedPiece>>,
    pub after: Vec<Vec<RedactedPiece>>,
}

/// A new entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddedRecord {
    pub id: String,
    pub at: jiff::Timestamp,
    pub file: PathBuf,
    pub client: String,
    /// The client's name of the entry.
    pub entry: String,
    /// The policy that it runs.
    pub server: ServerName,
    pub insertion: Insertion,
    pub before: FileBefore,
}

/// What the file of a new entry was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileBefore {
    Absent,
    /// Without content: this white space.
    Blank(String),
    Present,
}

/// A line as written: the text of a [`JournalLine`] and its MAC.
#[derive(Debug, Serialize, Deserialize)]
struct SealedLine<'a> {
    #[serde(borrow)]
    line: &'a RawValue,
    mac: String,
}

/// The records that were not undone, and the lines that cannot be trusted.
#[derive(Debug, Default)]
pub struct Pending {
    /// The newest last.
    pub records: Vec<JournalRecord>,
    /// New entries, the newest last.
    pub added: Vec<AddedRecord>,
    pub refused: Vec<RefusedLine>,
}

/// A line that would restore an entry, and that this user's mcpwrap did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// From 1.
    pub number: usize,
    /// Whether it has a seal, which does not match.
    pub is_sealed: bool,
}

pub fn path(dirs: &Dirs) -> PathBuf {
    dirs.state().join("undo.jsonl")
}

/// Whether nothing was ever adopted here.
pub fn is_empty(dirs: &Dirs) -> bool {
    path(dirs).metadata().is_ok_and(|meta| meta.len() == 0) || !path(dirs).exists()
}

/// Adds lines and syncs them.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn append(dirs: &Dirs, keys: &Keys, lines: &[JournalLine]) -> Result<()> {
    let path = path(dirs);
    let failed = |problem: Problem| {
        problem.explain(
            Code::FileUnusable,
            "cannot write the undo journal",
            &dirs.tilde(&path),
        )
    };
    files::ensure_dir(dirs.state()).map_err(failed)?;
    let mut text = String::new();
    for line in lines {
        text.push_str(&sealed(keys, line));
        text.push('\n');
    }
    write(&path, &text).map_err(|error| failed(Problem::from(error)))
}

fn sealed(keys: &Keys, line: &JournalLine) -> String {
    let text = serde_json::to_string(line).expect("a line has plain fields only");
    let mac = hex(&mac(keys, &text).finalize().into_bytes());
    let line = RawValue::from_string(text).expect("serialized JSON is valid");
    let sealed = SealedLine { line: &line, mac };
    serde_json::to_string(&sealed).expect("a line has plain fields only")
}

/// The MAC of a line. JSON text contains no newline, so no two lines have the same message.
fn mac(keys: &Keys, text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*keys.seal).expect("HMAC takes any key");
    mac.update(b"undo v1\n");
    mac.update(text.as_bytes());
    mac
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let torn = match files::read_private_up_to(path, BYTES_MAX) {
        Ok(bytes) => bytes.last().is_some_and(|last| *last != b'\n'),
        Err(_) => false,
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    // A full disk may have left half a line: end it, so that the next line is readable.
    let text = if torn {
        format!("\n{text}")
    } else {
        text.to_owned()
    };
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    files::sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The adopted entries that were not undone. An unreadable line is skipped: it was truncated before
/// its change was made. What was undone once stays undone, so that an old line that is written again
/// restores nothing.
///
/// # Errors
/// `file-unusable`, `file-not-private`.
pub fn pending(dirs: &Dirs, keys: &Keys) -> Result<Pending> {
    let path = path(dirs);
    let bytes = match files::read_private_up_to(&path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(Problem::Missing) => return Ok(Pending::default()),
        Err(problem) => {
            return Err(problem.explain(
                Code::FileUnusable,
                "cannot read the undo journal",
                &dirs.tilde(&path),
            ));
        }
    };
    Ok(read(&bytes, keys))
}

fn read(bytes: &[u8], keys: &Keys) -> Pending {
    let mut adopted: Vec<(usize, JournalRecord)> = Vec::new();
    let mut refused: Vec<(RefusedLine, Option<String>)> = Vec::new();
    let mut added: Vec<AddedRecord> = Vec::new();
    let mut undone = BTreeSet::new();
    for (n, text) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = n + 1;
        match Line::read(text, keys) {
            Line::Sealed(JournalLine::Adopted(record)) => adopted.push((number, *record)),
            Line::Sealed(JournalLine::Added(record)) => {
                // An entry that is added again was removed in between.
                added.retain(|old| old.place() != record.place());
                added.push(*record);
            }
            // Without a seal too: it takes something away.
            Line::Sealed(JournalLine::Undone { id, .. }) | Line::Undone(id) => {
                undone.insert(id);
            }
            Line::Refused { is_sealed, id } => {
                refused.push((RefusedLine { number, is_sealed }, id));
            }
            Line::Unreadable => {}
        }
    }
    // An entry that is adopted again was restored in between: an older record is obsolete.
    let mut newest: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    for (number, record) in &adopted {
        newest.insert(record.place(), *number);
    }
    let mut seen = BTreeSet::new();
    adopted.retain(|(number, record)| {
        newest.get(&record.place()) == Some(number)
            && !undone.contains(&record.id)
            && seen.insert(record.id.clone())
    });
    added.retain(|record| !undone.contains(&record.id));
    refused.retain(|(_, id)| id.as_ref().is_none_or(|id| !undone.contains(id)));
    Pending {
        records: adopted.into_iter().map(|(_, record)| record).collect(),
        added,
        refused: refused.into_iter().map(|(line, _)| line).collect(),
    }
}

impl JournalRecord {
    /// The location of the entry, to compare it with that of another record.
    fn place(&self) -> (PathBuf, String) {
        let path = serde_json::to_string(&self.path).expect("a path has plain fields only");
        (self.file.clone(), path)
    }
}

impl AddedRecord {
    /// The location of the entry: of a list, its name.
    fn place(&self) -> (&Path, &str) {
        (&self.file, &self.entry)
    }
}

/// One line, judged.
enum Line {
    Sealed(JournalLine),
    /// Without a seal.
    Undone(String),
    Refused {
        is_sealed: bool,
        id: Option<String>,
    },
    Unreadable,
}

impl Line {
    fn read(text: &[u8], keys: &Keys) -> Self {
        let refused = |is_sealed, line: &[u8]| match serde_json::from_slice(line) {
            Ok(LooseLine::Adopted { id } | LooseLine::Added { id }) => {
                Self::Refused { is_sealed, id }
            }
            Ok(LooseLine::Undone { id }) => Self::Undone(id),
            Err(_) => Self::Unreadable,
        };
        let Ok(SealedLine { line, mac: found }) = serde_json::from_slice(text) else {
            return refused(false, text);
        };
        let found = base16ct::mixed::decode_vec(found).unwrap_or_default();
        if mac(keys, line.get()).verify_slice(&found).is_err() {
            return refused(true, line.get().as_bytes());
        }
        serde_json::from_str(line.get()).map_or(Self::Unreadable, Self::Sealed)
    }
}

/// What is read of a line that is not trusted.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LooseLine {
    Adopted { id: Option<String> },
    Added { id: Option<String> },
    Undone { id: String },
}

/// The refusal of lines that another program, or the first version of mcpwrap, wrote.
pub fn refusal(dirs: &Dirs, refused: &[RefusedLine]) -> Option<Error> {
    let first = refused.first()?;
    let shown = dirs.tilde(&path(dirs));
    let what = match refused.len() {
        1 => "cannot undo 1 record of the undo journal".to_owned(),
        count => format!("cannot undo {count} records of the undo journal"),
    };
    let error = Error::new(Code::JournalBroken, what);
    let lines = |is_sealed| {
        let numbers = refused.iter().filter(|line| line.is_sealed == is_sealed);
        let numbers: Vec<_> = numbers.map(|line| line.number.to_string()).collect();
        let more = numbers.len().saturating_sub(LINES_NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let named: Vec<_> = numbers.into_iter().take(LINES_NAMED_MAX).collect();
        (!named.is_empty()).then(|| format!("{shown}, line {}{more}", named.join(", ")))
    };
    let error = match lines(false) {
        Some(lines) => error.cause(format!("{lines}: no seal (mcpwrap 0.1 wrote none)")),
        None => error,
    };
    let error = match lines(true) {
        Some(lines) => error.cause(format!(
            "{lines}: the seal does not match the key in your store"
        )),
        None => error,
    };
    let by_hand = "restore such an entry by hand: `mcpwrap policy show SERVER` has its command, its \
                   provider a new secret";
    Some(if first.is_sealed {
        error
            .hint("find out which program wrote the line, then remove it")
            .hint(by_hand)
    } else {
        error
            .hint(by_hand)
            .hint("remove the line when the entry is restored")
    })
}

/// Creates the ID of a record.
///
/// # Errors
/// `file-unusable` without random numbers.
pub fn new_id() -> Result<String> {
    files::random_hex().map_err(|error| {
        Error::new(
            Code::FileUnusable,
            "cannot create an ID for the undo journal",
        )
        .cause(files::io_text(&error))
    })
}
