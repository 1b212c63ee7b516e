//! One line of the log: its fields in a fixed order, its hash, and its seal.
//!
//! `prev` is the hash of the line before, without its newline; `mac` seals the record without `mac`. A
//! record that is written while the store is locked has no `mac`: the next sealed record covers it
//! through `prev`. Hash and seal are truncated to 128 bits, which keeps lines short.
//!
//! Invariant: ASCII control characters, C1 controls, line separators and direction marks are written
//! as `\u` escapes, so that a record is one line in every terminal.

use std::fmt;
use std::io;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::event::{ClientIdentity, Detail, Event, NewRecord, Outcome, RunId, SecretUse};
use super::text::{OneLine, truncate_texts};
use crate::secret::{Keys, ProfileName, ServerName, hex};
use crate::sys::user;

/// The version of the format, the field `v`.
pub const VERSION: u32 = 1;
/// The maximum length of a line (bytes): texts are truncated before they are written.
pub const LINE_BYTES_MAX: usize = 128 << 10;
/// The field after `prev` at the end of a sealed line.
const MAC_FIELD: &[u8] = b",\"mac\":\"";
/// The length of that field with its 32 digits, quote and brace.
const MAC_TAIL: usize = MAC_FIELD.len() + 32 + 2;

/// 128 bits of SHA-256, or of HMAC-SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 16]);

impl Hash {
    /// `prev` of the very first record.
    pub const START: Self = Self([0; 16]);

    /// The hash of a line without its newline.
    pub fn of_line(line: &[u8]) -> Self {
        Self::truncated(&Sha256::digest(line).into())
    }

    fn truncated(bytes: &[u8; 32]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(bytes.split_at(16).0);
        Self(first)
    }

    /// Reads 32 lower-case hex digits.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        if digits.len() != 32 {
            return None;
        }
        base16ct::lower::decode(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_hex(text.as_bytes()).ok_or("not 32 hex digits")
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text).map_err(serde::de::Error::custom)
    }
}

/// The key of the chain, ready for use.
#[derive(Clone)]
pub struct ChainKey(Hmac<Sha256>);

impl ChainKey {
    pub fn new(keys: &Keys) -> Self {
        Self(Hmac::new_from_slice(&*keys.audit).expect("HMAC takes a key of any length"))
    }

    /// Seals a text that is no record. A record is sealed by its digest of 32 bytes; `text` is longer.
    pub fn seal_text(&self, text: &str) -> Hash {
        debug_assert!(text.len() > 32, "could be taken for a digest");
        self.mac(text.as_bytes())
    }

    fn mac(&self, digest: &[u8]) -> Hash {
        let mut mac = self.0.clone();
        mac.update(digest);
        Hash::truncated(&mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// One record of the log. The order of the fields is their order in the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub v: u32,
    /// Strictly increasing. Records are ordered by `seq`, not by `time`, because clocks jump.
    pub seq: u64,
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    pub event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientIdentity>,
    /// The user who ran mcpwrap.
    pub uid: u32,
    /// The name of that user, if the system's user database has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretUse>,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub detail: Detail,
    pub prev: Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Hash>,
}

/// The user who writes records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub id: u32,
    pub name: Option<String>,
}

impl User {
    /// The user of this process.
    pub fn own() -> Self {
        Self {
            id: user::id(),
            name: user::name(),
        }
    }
}

fn is_empty(detail: &Detail) -> bool {
    *detail == Detail::default()
}

fn micros<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

impl Record {
    /// Adds the position in the chain to a new record.
    pub fn new(entry: &NewRecord, seq: u64, time: Timestamp, user: &User, prev: Hash) -> Self {
        let entry = truncate_texts(entry.clone());
        Self {
            v: VERSION,
            seq,
            time: entry.at.unwrap_or(time),
            event: entry.event,
            server: entry.server,
            run: entry.run,
            policy: entry.policy,
            profile: entry.profile,
            client: entry.client,
            uid: user.id,
            user: user.name.clone(),
            secret: entry.secret,
            outcome: entry.outcome,
            reason: entry.reason,
            detail: entry.detail,
            prev,
            mac: None,
        }
    }

    /// The line without its newline, sealed if there is a key, and its hash.
    pub fn line(&self, key: Option<&ChainKey>) -> io::Result<(Vec<u8>, Hash)> {
        let mut line = Vec::with_capacity(512);
        let mut serializer = serde_json::Serializer::with_formatter(&mut line, OneLine);
        self.serialize(&mut serializer)?;
        if let Some(key) = key {
            let mac = key.mac(&Sha256::digest(&line));
            line.pop();
            line.extend_from_slice(MAC_FIELD);
            line.extend_from_slice(mac.to_string().as_bytes());
            line.extend_from_slice(b"\"}");
        }
        let hash = Hash::of_line(&line);
        Ok((line, hash))
    }

    /// Parses a line without its newline.
    pub fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// The result of verifying the seal of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It matches.
    Fits,
    /// It does not match: the line was modified.
    Broken,
    /// There is no seal, or no key to verify it with.
    None,
}

/// The hash of a line and the result of verifying its seal, in one pass over its bytes.
pub fn check_line(line: &[u8], key: Option<&ChainKey>) -> (Hash, Seal) {
    let Some((body, mac)) = split_mac(line) else {
        return (Hash::of_line(line), Seal::None);
    };
    let mut state = Sha256::new();
    state.update(body);
    let seal = key.map_or(Seal::None, |key| {
        let mut sealed = state.clone();
        sealed.update(b"}");
        if key.mac(&sealed.finalize()) == mac {
            Seal::Fits
        } else {
            Seal::Broken
        }
    });
    state.update(line.get(body.len()..).unwrap_or_default());
    (Hash::truncated(&state.finalize().into()), seal)
}

/// Whether a line has a seal, valid or not.
pub fn is_sealed(line: &[u8]) -> bool {
    split_mac(line).is_some()
}

/// Splits a sealed line into the record without its closing brace, and the seal.
fn split_mac(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(MAC_TAIL)?)?;
    let digits = tail.strip_prefix(MAC_FIELD)?.strip_suffix(b"\"}")?;
    Some((body, Hash::from_hex(digits)?))
}

/// `seq` and `prev` of a line, found by position, without parsing the rest.
pub fn link(line: &[u8]) -> Option<(u64, Hash)> {
    const HEAD: &[u8] = b"{\"v\":1,\"seq\":";
    const PREV: &[u8] = b",\"prev\":\"";
    let rest = line.strip_prefix(HEAD)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let seq = std::str::from_utf8(rest.get(..digits)?)
        .ok()?
        .parse()
        .ok()?;
    let body = split_mac(line).map_or_else(|| line.strip_suffix(b"}"), |(body, _)| Some(body))?;
    let (_, tail) = body.split_at_checked(body.len().checked_sub(PREV.len() + 33)?)?;
    let prev = tail.strip_prefix(PREV)?.strip_suffix(b"\"")?;
    Some((seq, Hash::from_hex(prev)?))
}

#[cfg(test)]
mod tests {
    use super::super::text::steers;
    use super::*;
    use crate::secret::Secret;

    fn key(seed: &str) -> ChainKey {
        ChainKey::new(&Keys::from_master(&Secret::new(seed.into())))
    }

    fn record(entry: &NewRecord) -> Record {
        let time = "2026-11-23T14:03:00Z".parse().unwrap();
        Record::new(
            entry,
            7,
            time,
            &User {
                id: 1000,
                name: None,
            },
            Hash::START,
        )
    }

    #[test]
    fn the_line_has_its_fields_in_order() {
        let server = ServerName::new("github").unwrap();
        let entry = NewRecord::new(Event::Refuse, Outcome::Refused)
            .server(&server)
            .reason("revoked");
        let (line, _) = record(&entry).line(None).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            format!(
                r#"{{"v":1,"seq":7,"time":"2026-11-23T14:03:00.000000Z","event":"refuse","server":"github","uid":1000,"outcome":"refused","reason":"revoked","prev":"{}"}}"#,
                "0".repeat(32)
            )
        );
    }

    #[test]
    fn a_line_reads_back_and_its_seal_matches_only_its_key() {
        let (line, hash) = record(&NewRecord::new(Event::Exit, Outcome::Ok))
            .line(Some(&key("a")))
            .unwrap();
        assert_eq!(check_line(&line, Some(&key("a"))), (hash, Seal::Fits));
        assert_eq!(check_line(&line, Some(&key("b"))), (hash, Seal::Broken));
        assert_eq!(check_line(&line, None), (hash, Seal::None));
        assert_eq!(link(&line), Some((7, Hash::START)));
        assert!(Record::read(&line).unwrap().mac.is_some());
        let edited = String::from_utf8(line).unwrap().replace("exit", "call");
        assert_eq!(
            check_line(edited.as_bytes(), Some(&key("a"))).1,
            Seal::Broken
        );
    }

    #[test]
    fn external_texts_cannot_control_a_terminal() {
        let name = "a\n\u{1b}[2J\u{9b}\u{202e}\u{2028}\u{7f}\"\\é\u{e0041}";
        let client = ClientIdentity {
            name: Some(name.to_owned()),
            ..ClientIdentity::default()
        };
        let (line, _) = record(&NewRecord::new(Event::Call, Outcome::Ok).client(&client))
            .line(None)
            .unwrap();
        let text = std::str::from_utf8(&line).unwrap();
        assert!(text.chars().all(|c| !steers(c)), "{text}");
        assert!(text.contains(r"\u009b\u202e\u2028\u007f"));
        assert_eq!(
            Record::read(&line).unwrap().client.unwrap().name.unwrap(),
            name
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let detail = Detail {
            tool: Some("é".repeat(5000)),
            ..Detail::default()
        };
        let (line, _) = record(&NewRecord::new(Event::Call, Outcome::Ok).detail(detail))
            .line(None)
            .unwrap();
        assert!(line.len() < 1024);
    }

    #[test]
    fn damaged_lines_are_not_records() {
        for bad in [
            "",
            "{}",
            "x",
            r#"{"v":1,"seq":"#,
            r#"{"v":1,"seq":99999999999999999999999}"#,
        ] {
            assert_eq!(link(bad.as_bytes()), None, "{bad}");
            assert!(Record::read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
