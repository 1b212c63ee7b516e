//! The head of the log in the store, which reveals that the log was truncated.
//!
//! Invariant: `keep` replaces the stored head only while the log still contains it, so that a new
//! head cannot hide a truncation. A launch writes to a vault file, after the server has started, and
//! not to a keychain. A program that also edits the head note can remove the records after the last
//! stored head, unless `journal` has an anchor of them.

use std::ops::ControlFlow;
use std::path::Path;

use super::head::Head;
use super::log::Log;
use super::read;
use super::record::{Hash, link};
use crate::error::{Code, Error, Result};
use crate::files::Problem;
use crate::store::KeyStore;

/// The head in the store.
///
/// # Errors
/// The errors of the store.
pub fn kept(store: &dyn KeyStore) -> Result<Option<Head>> {
    Ok(store.audit_head()?.and_then(|text| text.parse().ok()))
}

/// Stores the current head.
///
/// # Errors
/// `audit-broken` if the stored head is no longer in the log; the errors of the store.
pub fn keep(store: &dyn KeyStore, log: &Log) -> Result<()> {
    keep_head(store, log.dir(), log.head()?)
}

/// Stores a head that was written. Takes no lock of the log, because a supervisor that calls this may
/// be stopped at any time.
///
/// # Errors
/// As [`keep`].
pub fn keep_head(store: &dyn KeyStore, dir: &Path, head: Head) -> Result<()> {
    if let Some(before) = kept(store)? {
        if before == head {
            return Ok(());
        }
        if contains(dir, before).is_ok_and(|there| !there) {
            return Err(Error::new(Code::AuditBroken, "the audit log was modified")
                .cause(format!(
                    "record {} does not match the head in the store",
                    before.seq
                ))
                .hint("run `mcpwrap log verify` to see which records are affected"));
        }
        if before.seq > head.seq {
            return Ok(());
        }
    }
    store.set_audit_head(&head.to_string())
}

/// Stores the current head without a comparison, because the log itself now reports the break.
pub fn replace(store: &dyn KeyStore, log: &Log) -> Result<()> {
    store.set_audit_head(&log.head()?.to_string())
}

/// Whether the log contains this record. A record that retention has removed counts as contained.
pub fn contains(dir: &Path, head: Head) -> Result<bool, Problem> {
    let segments = read::segments(dir)?.ordered;
    let first = |segment| Ok(link(&read::first_line(segment)?).map(|(seq, _)| seq));
    for (n, segment) in segments.iter().enumerate().rev() {
        let Some(seq) = first(segment).or_else(|problem: Problem| match problem {
            Problem::Missing => Ok(None),
            other => Err(other),
        })?
        else {
            continue;
        };
        if seq <= head.seq {
            return find(segment, head);
        }
        if n == 0 {
            return Ok(seq > 1);
        }
    }
    Ok(false)
}

fn find(segment: &super::disk::Segment, head: Head) -> Result<bool, Problem> {
    let mut found = false;
    read::lines(read::open(segment)?, |piece| {
        for line in piece.split(|b| *b == b'\n') {
            if link(line).is_some_and(|(seq, _)| seq == head.seq) {
                found = Hash::of_line(line) == head.hash;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
