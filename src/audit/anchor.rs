//! The head of the log, kept in the store, so that a cut of the log shows.
//!
//! *Always* checks that the head kept before is still in the log before it is replaced: a cut must
//! not be covered up by the next head. A launch does not write to the store, so what was written
//! after the last `grant`, `revoke`, `secret` verb or `log verify` can be cut off unseen by who edits
//! the note beside the log too. Forwarding to syslog or the journal closes that gap.

use std::ops::ControlFlow;
use std::path::Path;

use super::head::Head;
use super::log::Log;
use super::read;
use super::record::{Hash, link};
use crate::error::{Code, Error, Result};
use crate::files::Problem;
use crate::store::Store;

/// The head that the store keeps.
///
/// # Errors
/// What is wrong with the store.
pub fn kept(store: &dyn Store) -> Result<Option<Head>> {
    Ok(store.audit_head()?.and_then(|text| text.parse().ok()))
}

/// Puts the present head into the store.
///
/// # Errors
/// `audit-broken` if the head kept before is not in the log any more; what is wrong with the store.
pub fn keep(store: &dyn Store, log: &Log) -> Result<()> {
    let before = kept(store)?;
    if before == Some(log.head()?) {
        return Ok(());
    }
    if let Some(before) = before
        && holds(log.dir(), before).is_ok_and(|there| !there)
    {
        return Err(Error::new(
            Code::AuditBroken,
            "the audit log was changed after it was written",
        )
        .cause(format!(
            "record {} is not what the store remembers",
            before.seq
        ))
        .hint("`mcpwrap log verify` says what is missing"));
    }
    store.set_audit_head(&log.head()?.to_string())
}

/// Puts the present head into the store whatever was there: the log itself tells of the break now.
pub fn replace(store: &dyn Store, log: &Log) -> Result<()> {
    store.set_audit_head(&log.head()?.to_string())
}

/// Whether the log has this record. One that retention has removed counts as there.
pub fn holds(dir: &Path, head: Head) -> Result<bool, Problem> {
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
