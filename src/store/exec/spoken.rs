//! A program that speaks `mcpwrap-store-v1`: several values in one run, and short-lived credentials.
//!
//! Invariants: each run has one request and one answer, which counts only with exit code 0. A credential in an
//! answer that is refused is withdrawn.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::fault::{BATCH_MAX, Fault};
use super::protocol::{self, SpokenAnswer, SpokenRequest};
use super::source::ExecSource;
use crate::error::{Error, Result};
use crate::reference::StorePlace;
use crate::store::source::{
    MintHandle, MintIssuer, MintLife, MintRequest, Minted, Minter, SecretSource, SourceValue,
    StoreCheck,
};

/// A store that is asked by the protocol.
#[derive(Debug)]
pub struct SpokenSource(pub ExecSource);

impl SpokenSource {
    /// One request and its answer, with the time when it was sent.
    fn ask<'a>(
        &self,
        deadline: Instant,
        request: impl FnOnce(u64) -> Option<SpokenRequest<'a>>,
    ) -> Result<(SpokenAnswer, Timestamp)> {
        let (answer, sent) = self.send(deadline, request)?;
        let answer = self.read(&answer).map_err(|fault| self.error(fault))?;
        Ok((answer, sent))
    }

    /// One request and the bytes of its answer, with the time when it was sent.
    fn send<'a>(
        &self,
        deadline: Instant,
        request: impl FnOnce(u64) -> Option<SpokenRequest<'a>>,
    ) -> Result<(Zeroizing<Vec<u8>>, Timestamp)> {
        let (_turn, deadline) = self.0.begin(deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let request = request(left).ok_or(Fault::Other);
        let line = request.and_then(|request| request.line());
        let line = line.map_err(|fault| self.error(fault))?;
        let store = self.0.store();
        let arguments: Vec<_> = store.settings().texts("args").map(Into::into).collect();
        let sent = Timestamp::now();
        let answer = self.0.run(&arguments, Some(&line), BATCH_MAX, deadline)?;
        let answer = answer.map_err(|fault| self.error(fault))?;
        Ok((answer, sent))
    }

    fn read(&self, answer: &[u8]) -> std::result::Result<SpokenAnswer, Fault> {
        let answer = SpokenAnswer::read(answer)?;
        self.0.add_said(&answer.messages());
        Ok(answer)
    }

    /// The error for an answer to `mint` that does not count. The program may have made a credential all the same.
    fn refused(&self, fault: Fault, answer: &[u8], limit: Duration) -> Error {
        let error = self.error(fault);
        let Some(handle) = protocol::lease(answer) else {
            return error;
        };
        match self.revoke(&handle, Instant::now() + limit) {
            Ok(()) => error.cause("the credential in the answer was withdrawn"),
            Err(_) => {
                error.cause("the credential in the answer could not be withdrawn, and may be valid")
            }
        }
    }

    fn error(&self, fault: Fault) -> Error {
        self.0.error(fault, None)
    }
}

impl SecretSource for SpokenSource {
    fn get_many(&self, wanted: &[StorePlace], deadline: Instant) -> Vec<Result<SourceValue>> {
        let answer = self.ask(deadline, |left| Some(SpokenRequest::get(wanted, left)));
        let values = match answer {
            Ok((answer, _)) => answer.values(wanted.len()),
            Err(error) => return vec![Err(error); wanted.len()],
        };
        let each = values.into_iter().zip(wanted);
        each.map(|(value, place)| {
            value.map_err(|fault| {
                let place = Some(place).filter(|_| fault.is_of_value());
                self.0.error(fault, place)
            })
        })
        .collect()
    }

    fn check(&self, deadline: Instant) -> Result<StoreCheck> {
        let (answer, _) = self.ask(deadline, |left| Some(SpokenRequest::get(&[], left)))?;
        let answered = answer.succeeded();
        answered.map_err(|fault| self.error(fault))?;
        let protocol = protocol::PROTOCOL.to_owned();
        Ok(StoreCheck::asked(vec![("protocol", protocol)]))
    }

    fn diagnostics(&self) -> Option<String> {
        self.0.diagnostics()
    }

    fn minter(&self) -> Option<&dyn Minter> {
        Some(self)
    }
}

impl Minter for SpokenSource {
    fn mint(&self, request: &MintRequest, deadline: Instant) -> Result<Minted> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let (answer, sent) = self.send(deadline, |left| {
            Some(SpokenRequest::mint(&request.path, request.life, left))
        })?;
        let made = self.read(&answer).and_then(|read| read.minted(sent));
        made.map_err(|fault| self.refused(fault, &answer, limit))
    }
}

impl MintIssuer for SpokenSource {
    fn extend(&self, handle: &MintHandle, deadline: Instant) -> Result<Option<MintLife>> {
        let (answer, sent) = self.ask(deadline, |left| {
            SpokenRequest::of_lease("extend", handle, left)
        })?;
        answer.extended(sent).map_err(|fault| self.error(fault))
    }

    fn revoke(&self, handle: &MintHandle, deadline: Instant) -> Result<()> {
        let (answer, _) = self.ask(deadline, |left| {
            SpokenRequest::of_lease("revoke", handle, left)
        })?;
        answer.revoked().map_err(|fault| self.error(fault))
    }
}
