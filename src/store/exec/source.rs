//! Reads values by runs of a program.
//!
//! Invariants: one run of a store at a time on this machine; waiting for it does not count in the deadline. A run
//! gives values only by exit code 0. What concerns all values (nobody signed in, no network) is not asked again for
//! the next one: stores count what they are asked.

use std::cell::RefCell;
use std::fs::File;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::fault::{BATCH_MAX, Fault};
use super::opened::OpenedStore;
use super::preset::{ExecCall, ExecPreset};
use super::{faults, trust, turn};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::reference::StorePlace;
use crate::store::source::{SecretSource, SourceValue, StoreCheck};
use crate::store::waits::{NotedWait, StoreWait};
use crate::sys::captured::{Captured, CapturedCommand, CapturedEnd, capture};

/// How long a command waits for others that ask the same store, and how long a session, whose client is told.
const TURN_LIMIT: Duration = Duration::from_secs(6);
const SESSION_TURN_LIMIT: Duration = Duration::from_mins(5);
/// After such a wait the user may no longer want what was waited for.
const LONG_WAIT: Duration = Duration::from_millis(200);
/// How much of what a program wrote is kept for `store check` (bytes). That shows less of it, but only after it
/// masked whole values.
const SAID_MAX: usize = 64 << 10;

/// The right to run the program of a store, until it is dropped.
#[derive(Debug)]
pub struct StoreTurn {
    _dialog: Option<NotedWait>,
    _locks: Vec<File>,
}

/// A store that is read by a program.
#[derive(Debug)]
pub struct ExecSource {
    preset: &'static ExecPreset,
    store: OpenedStore,
    said: RefCell<Option<String>>,
}

impl ExecSource {
    pub const fn new(preset: &'static ExecPreset, store: OpenedStore) -> Self {
        Self {
            preset,
            store,
            said: RefCell::new(None),
        }
    }

    pub const fn preset(&self) -> &'static ExecPreset {
        self.preset
    }

    pub const fn store(&self) -> &OpenedStore {
        &self.store
    }

    /// The error for a value, or for the store if there is no place.
    pub fn error(&self, fault: Fault, place: Option<&StorePlace>) -> Error {
        faults::error(self.preset, &self.store, fault, place)
    }

    /// Waits for the turn of this store, and checks its program. Returns the turn, and the deadline without the
    /// time that it waited.
    ///
    /// # Errors
    /// `store-timeout`, `store-failed`, `store-absent`, `store-program-refused`.
    pub fn begin(&self, deadline: Instant) -> Result<(StoreTurn, Instant)> {
        let store = &self.store;
        let name = &store.name;
        let error = |code| Error::new(code, format!("cannot use store `{name}`")).of_store(name);
        trust::check(name, &self.store.place, &self.store.program)?;
        let began = Instant::now();
        let waits = store.waits.as_ref();
        let waiting = waits.map(|waits| waits.begin(StoreWait::Turn(name.clone())));
        let limit = match waits {
            Some(_) => SESSION_TURN_LIMIT,
            None => TURN_LIMIT,
        };
        let dialogs = Some(&store.dialogs).filter(|_| store.is_interactive);
        let mut locks = Vec::new();
        for path in dialogs.into_iter().chain([&store.lock]) {
            let left = limit.saturating_sub(began.elapsed());
            let lock = turn::take(path, left).map_err(|problem| {
                error(Code::StoreFailed).cause(format!("`{}`: {problem}", path.display()))
            })?;
            locks.push(lock.ok_or_else(|| {
                error(Code::StoreTimeout)
                    .cause("other sessions are asking the store, or wait for its dialog")
                    .hint("try again")
            })?);
        }
        drop(waiting);
        if began.elapsed() > LONG_WAIT && waits.is_some_and(|waits| !waits.is_wanted()) {
            return Err(error(Code::StoreTimeout).cause("the server may no longer start"));
        }
        let dialog = waits.filter(|_| store.is_interactive);
        let turn = StoreTurn {
            _dialog: dialog.map(|waits| waits.begin(StoreWait::Dialog(name.clone()))),
            _locks: locks,
        };
        Ok((turn, deadline + began.elapsed()))
    }

    /// One run. `Err` concerns all values.
    ///
    /// # Errors
    /// `store-…`.
    pub fn run(
        &self,
        arguments: &[std::ffi::OsString],
        input: Option<&[u8]>,
        answer_max: usize,
        deadline: Instant,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Fault>> {
        let store = &self.store;
        let variables = store.variables();
        let command = CapturedCommand {
            program: &store.program,
            arguments,
            environment: &variables,
            input,
            stdout_max: answer_max,
            deadline,
        };
        let run = capture(&command).map_err(|error| {
            let cause = format!("`{}`: {}", store.program.display(), files::io_text(&error));
            Error::new(
                Code::StoreProgramRefused,
                format!("cannot use store `{}`", store.name),
            )
            .of_store(&store.name)
            .cause(cause)
            .hint_if(files::io_hint(&error))
        })?;
        self.note(&run);
        match run.end {
            CapturedEnd::Exit(0) => Ok(Ok(run.stdout)),
            CapturedEnd::Exit(code) => Ok(Err(faults::classify(self.preset, store, &run, code))),
            end => Err(faults::broken(self.preset, store, end)),
        }
    }

    /// Keeps the end of what the program wrote to stderr, for [`SecretSource::diagnostics`].
    fn note(&self, run: &Captured) {
        let (store, end, bytes) = (&self.store.name, run.end, run.stderr.len());
        tracing::debug!("store {store}: {end:?}, {bytes} bytes on stderr");
        let text = String::from_utf8_lossy(&run.stderr);
        *self.said.borrow_mut() = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    }

    /// Adds what the program said in its answer about failures.
    pub fn add_said(&self, text: &str) {
        if !text.is_empty() {
            let start = text.len().saturating_sub(SAID_MAX);
            let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
            let text = text.get(start.unwrap_or_default()..).unwrap_or_default();
            let mut said = self.said.borrow_mut();
            let before = said.take().map_or_else(String::new, |before| before + "\n");
            *said = Some(before + text);
        }
    }

    fn all(&self, wanted: &[StorePlace], deadline: Instant) -> Result<Vec<Result<SourceValue>>> {
        let (_turn, deadline) = self.begin(deadline)?;
        let mut found = self.looked_at(wanted);
        let positions: Vec<_> = (0..wanted.len())
            .filter(|n| found.get(*n).is_some_and(Option::is_none))
            .collect();
        let mut open = self.plan(&positions, wanted, self.preset.plan);
        let mut failed = None;
        while let (Some(call), None) = (open.pop(), &failed) {
            let places: Vec<_> = call.wanted.iter().filter_map(|n| wanted.get(*n)).collect();
            let input = call.input.as_ref().map(|input| input.as_slice());
            let answer = self.run(&call.arguments, input, call.answer_max, deadline);
            let values = match answer {
                Ok(Ok(answer)) => (call.read)(&answer, &places),
                Ok(Err(fault)) if fault.is_of_value() => match call.apart {
                    Some(apart) if places.len() > 1 && fault.may_spoil_others() => {
                        open.extend(self.plan(&call.wanted, wanted, apart));
                        continue;
                    }
                    _ => vec![Err(fault); places.len()],
                },
                Ok(Err(fault)) => {
                    failed = Some(self.error(fault, None));
                    continue;
                }
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for ((n, place), value) in call.wanted.iter().zip(places).zip(values) {
                if let Some(slot) = found.get_mut(*n) {
                    let value = value.map_err(|fault| self.error(fault, Some(place)));
                    *slot = Some(value);
                }
            }
        }
        let rest = failed.unwrap_or_else(|| {
            let fault = Fault::Answer("the answer has too few values");
            self.error(fault, None)
        });
        let each = found.into_iter();
        Ok(each
            .map(|value| value.unwrap_or_else(|| Err(rest.clone())))
            .collect())
    }

    /// What is known without asking the program.
    fn looked_at(&self, wanted: &[StorePlace]) -> Vec<Option<Result<SourceValue>>> {
        let look = |place| {
            let looked = (self.preset.before)(&self.store, Some(place));
            let fault = looked.err()?;
            Some(Err(self.error(fault, Some(place))))
        };
        wanted.iter().map(look).collect()
    }

    /// The calls for the places at these positions, the first one last.
    fn plan(
        &self,
        positions: &[usize],
        wanted: &[StorePlace],
        plan: fn(&OpenedStore, &[StorePlace]) -> Vec<ExecCall>,
    ) -> Vec<ExecCall> {
        let places: Vec<_> = positions
            .iter()
            .filter_map(|n| wanted.get(*n).cloned())
            .collect();
        let mut calls = plan(&self.store, &places);
        for call in &mut calls {
            let at = call.wanted.iter();
            call.wanted = at.filter_map(|n| positions.get(*n).copied()).collect();
        }
        calls.reverse();
        calls
    }
}

impl SecretSource for ExecSource {
    fn get_many(&self, wanted: &[StorePlace], deadline: Instant) -> Vec<Result<SourceValue>> {
        match self.all(wanted, deadline) {
            Ok(found) => found,
            Err(error) => vec![Err(error); wanted.len()],
        }
    }

    fn check(&self, deadline: Instant) -> Result<StoreCheck> {
        let (_turn, deadline) = self.begin(deadline)?;
        (self.preset.before)(&self.store, None).map_err(|fault| self.error(fault, None))?;
        let Some(probe) = (self.preset.probe)(&self.store) else {
            return Ok(StoreCheck::default());
        };
        let input = probe.input.as_ref().map(|input| input.as_slice());
        let answer = self.run(&probe.arguments, input, BATCH_MAX, deadline)?;
        let facts = answer.and_then(|answer| (probe.read)(&answer));
        let facts = facts.map_err(|fault| self.error(fault, None))?;
        Ok(StoreCheck {
            is_asked: probe.asks_store,
            facts,
        })
    }

    fn diagnostics(&self) -> Option<String> {
        self.said.borrow().clone()
    }
}
