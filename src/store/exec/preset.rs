//! What a preset says about its program: settings, environment, calls, and what its answers mean.
//!
//! Invariants: a preset is data and pure functions; it starts nothing and reads no
//! value. What a program writes
//! to stderr only selects a [`Fault`].

use std::ffi::OsString;

use zeroize::Zeroizing;

use super::fault::{Fault, ReadValue, VALUE_MAX};
use super::opened::{OpenedStore, TypeVariables};
use super::settings::{ExecSetting, ExecSettings};
use crate::reference::StorePlace;
use crate::store::source::StoreFact;

/// One program that keeps secrets.
#[derive(Debug)]
pub struct ExecPreset {
    /// The field `type`.
    pub id: &'static str,
    /// The names of its program. Empty for one of the user's own.
    pub programs: &'static [&'static str],
    /// The arguments with which it signs the user in on a terminal; empty if it has no such command.
    pub login: &'static [&'static str],
    /// Options of the same command, each with the setting that is its value.
    pub login_options: &'static [(&'static str, &'static str)],
    /// Settings that `store add` takes from the user's terminal, each with the variables.
    pub of_terminal: &'static [(&'static str, &'static [&'static str])],
    pub about: &'static str,
    pub example: &'static str,
    pub needs: &'static str,
    pub tested: &'static str,
    /// The settings beside `program` and `env`.
    pub settings: &'static [ExecSetting],
    /// Variables that it always gets, unless `env` sets them.
    pub variables: &'static [(&'static str, &'static str)],
    /// Settings that the program takes as variables: their names and those of the variables.
    pub exported: &'static [(&'static str, &'static str)],
    /// Variables that keep it from asking the user; left out where it may ask.
    pub silent: &'static [(&'static str, &'static str)],
    /// What `env` may not set: beginnings of names.
    pub refused: &'static [&'static str],
    /// What its failures mean, in this order.
    pub signs: &'static [(Sign, Fault)],
    /// What the user does if nobody is signed in, or the store is locked; after "run" or "set".
    pub sign_in: &'static str,
    /// Rules beyond the table of settings.
    pub check: fn(ExecSettings<'_>) -> Result<(), String>,
    pub check_place: fn(ExecSettings<'_>, &StorePlace) -> Result<(), String>,
    /// What is looked at before its program is asked, e.g. whether a file exists; without a place, what
    /// every place needs.
    pub before: fn(&OpenedStore, Option<&StorePlace>) -> Result<(), Fault>,
    /// The calls that read these places.
    pub plan: fn(&OpenedStore, &[StorePlace]) -> Vec<ExecCall>,
    /// A call that reads no value, if there is one.
    pub probe: fn(&OpenedStore) -> Option<ExecProbe>,
}

impl ExecPreset {
    /// The variables of its program.
    pub const fn given(&self) -> TypeVariables {
        TypeVariables {
            variables: self.variables,
            exported: self.exported,
            silent: self.silent,
        }
    }
}

/// One run of the program.
pub struct ExecCall {
    pub arguments: Vec<OsString>,
    pub input: Option<Zeroizing<Vec<u8>>>,
    /// The longest answer (bytes).
    pub answer_max: usize,
    /// The positions of the places that it reads.
    pub wanted: Vec<usize>,
    pub read: ReadAnswer,
    /// What is done instead for each place, if the failure of one fails all.
    pub apart: Option<PlanCalls>,
}

/// Makes the calls that read these places.
pub type PlanCalls = fn(&OpenedStore, &[StorePlace]) -> Vec<ExecCall>;

/// Makes values of a successful answer: one for each place, in their order.
pub type ReadAnswer = Box<dyn Fn(&[u8], &[&StorePlace]) -> Vec<ReadValue>>;

/// A call that shows whether the store can be used.
#[derive(Debug)]
pub struct ExecProbe {
    pub arguments: Vec<OsString>,
    pub input: Option<Zeroizing<Vec<u8>>>,
    /// Whether the store answers, and not only its program.
    pub asks_store: bool,
    /// Facts in its answer, as lines of a name and a fact.
    pub read: fn(&[u8]) -> Result<Vec<StoreFact>, Fault>,
}

/// How a failure is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The exit code.
    Exit(i32),
    /// This text on stderr, in lower case.
    Says(&'static str),
    /// This text on stdout, in lower case.
    Prints(&'static str),
}

/// What programs say when they do not reach their service.
pub const OFFLINE: &[&str] = &[
    "no such host",
    "could not resolve",
    "name resolution",
    "getaddrinfo",
    "enotfound",
    "econnrefused",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "could not connect to the endpoint",
    "failed to establish a new connection",
    "i/o timeout",
    "timed out",
    "tls handshake",
    "error sending request",
];

impl ExecCall {
    /// A call for one place, whose answer is the value.
    pub fn raw(position: usize, arguments: Vec<OsString>) -> Self {
        Self {
            arguments,
            input: None,
            answer_max: VALUE_MAX + 2,
            wanted: vec![position],
            read: Box::new(|answer, places| {
                places.iter().map(|_| super::answer::raw(answer)).collect()
            }),
            apart: None,
        }
    }
}

impl std::fmt::Debug for ExecCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecCall")
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// One call for each distinct list of arguments, and from its answer a value for each place.
pub fn grouped(
    wanted: &[StorePlace],
    answer_max: usize,
    arguments: impl Fn(&StorePlace) -> Vec<OsString>,
    read: impl Fn(&[u8], &StorePlace) -> ReadValue + Copy + 'static,
) -> Vec<ExecCall> {
    let mut calls: Vec<ExecCall> = Vec::new();
    for (n, place) in wanted.iter().enumerate() {
        let arguments = arguments(place);
        match calls.iter_mut().find(|call| call.arguments == arguments) {
            Some(call) => call.wanted.push(n),
            None => calls.push(ExecCall {
                answer_max,
                read: Box::new(move |answer, places| {
                    places.iter().map(|place| read(answer, place)).collect()
                }),
                ..ExecCall::raw(n, arguments)
            }),
        }
    }
    calls
}

/// Arguments of texts.
pub fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.into_iter().map(OsString::from).collect()
}

/// A preset whose places have nothing but a path.
pub fn path_only(_: ExecSettings<'_>, place: &StorePlace) -> Result<(), String> {
    without_field(place)?;
    without_version(place)
}

pub fn without_field(place: &StorePlace) -> Result<(), String> {
    match place.field {
        Some(_) => Err("such a store has no `#FIELD`".to_owned()),
        None => Ok(()),
    }
}

pub fn without_version(place: &StorePlace) -> Result<(), String> {
    match place.version {
        Some(_) => Err("such a store has no `?version=`".to_owned()),
        None => Ok(()),
    }
}

/// A preset without rules of its own.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of presets")]
pub fn no_rules(_: ExecSettings<'_>) -> Result<(), String> {
    Ok(())
}

/// A preset that looks at nothing before its program does.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of presets")]
pub fn no_file(_: &OpenedStore, _: Option<&StorePlace>) -> Result<(), Fault> {
    Ok(())
}
