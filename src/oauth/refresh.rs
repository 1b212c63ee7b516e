//! The process that refreshes a token (`mcpwrap __refresh SERVER …`), and its callers.
//!
//! It outlives its caller: a session of its own, and it answers when the new token is stored. The
//! order comes on stdin, the result goes to stdout; the token is only in the store.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::owner::TokenOwner;
use super::place::TokenPlace;
use super::renewal::{RenewalOrder, Renewed, renew, unix_now};
use crate::audit::{Event, Log, NewRecord, Outcome};
use crate::bridge::channel::{receive, send};
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::io_text;
use crate::policy::{self, Policy};
use crate::secret::{Keys, MintName, ProfileName, ServerName};
use crate::store::{self, Prompt};
use crate::sys::lasting::LastingChild;
use crate::sys::{fds, harden, signal, spawn};

/// The first argument of this program when it refreshes a token.
pub const REFRESH: &str = "__refresh";

const PROFILE: &str = "profile=";
const MINT: &str = "mint=";

/// How long a caller waits at most: less than the 8 s in which a client gets its answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(7_500);

/// What the process reports.
#[derive(Debug, Serialize, Deserialize)]
enum RefreshReport {
    Done,
    Failed {
        code: String,
        what: String,
        causes: Vec<String>,
        hints: Vec<String>,
        is_unreachable: bool,
    },
}

impl RefreshReport {
    fn of(error: &Error) -> Self {
        Self::Failed {
            code: error.code.name().to_owned(),
            what: error.headline().to_owned(),
            causes: error.chain(),
            hints: error.hints.clone(),
            is_unreachable: error.is(CauseKind::Unreachable),
        }
    }

    fn result(self) -> Result<()> {
        let Self::Failed {
            code,
            what,
            causes,
            hints,
            is_unreachable,
        } = self
        else {
            return Ok(());
        };
        let mut codes = Code::ALL.iter().copied();
        let code = codes
            .find(|known| known.name() == code)
            .unwrap_or(Code::OAuthFailed);
        let kind = if is_unreachable {
            CauseKind::Unreachable
        } else {
            CauseKind::Fact
        };
        let add = |error: Error, cause| error.cause_of(kind, cause);
        let error = causes.into_iter().fold(Error::new(code, what), add);
        Err(hints.into_iter().fold(error, Error::hint))
    }
}

/// Has the token of an owner refreshed, and waits for the result until `deadline`, 8 s at most.
///
/// # Errors
/// Those of [`renew`]; `oauth-unreachable` if it takes longer: it goes on, and a later call finds its
/// result.
pub fn ask(owner: &TokenOwner, order: RenewalOrder, deadline: Instant) -> Result<()> {
    let what = || format!("cannot refresh the token of {}", owner.shown());
    let failed = |cause: String| {
        let error = Error::new(Code::OAuthUnreachable, what());
        error
            .cause_of(CauseKind::Unreachable, cause)
            .hint("try again in a few seconds")
    };
    let arguments = arguments(owner);
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    let variables = dirs::own_variables();
    let environment: Vec<(&str, &OsStr)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    let mut child =
        LastingChild::start(&arguments, &environment).map_err(|error| failed(io_text(&error)))?;
    let streams = child.streams();
    let (sender, reports) = channel();
    std::thread::spawn(move || {
        let report = match streams {
            Some((input, output)) => {
                send(input, &order).and_then(|()| receive::<RefreshReport>(output))
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // The caller may have given up.
        drop(sender.send(report));
        child.wait();
    });
    let left = deadline
        .saturating_duration_since(Instant::now())
        .min(ANSWER_LIMIT);
    match reports.recv_timeout(left) {
        Ok(Ok(Some(report))) => report.result(),
        Ok(Ok(None)) => Err(failed(
            "the process that refreshes it ended without a result".to_owned(),
        )),
        Ok(Err(error)) => Err(failed(io_text(&error))),
        Err(_) => Err(failed(
            "the authorization server has not answered yet".to_owned(),
        )),
    }
}

/// Refreshes one token.
pub fn main() -> ExitCode {
    // Out of reach of signals to the group of the caller, before anything is sent.
    spawn::new_session();
    harden::harden();
    fds::close_inherited_on_exec();
    signal::survive_file_limit();
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(arguments: &[OsString]) -> io::Result<()> {
    let input = fds::standard(fds::Standard::Input)?;
    let output = fds::standard(fds::Standard::Output)?;
    let order: RenewalOrder = receive(input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let report = match refresh(arguments, order) {
        Ok(()) => RefreshReport::Done,
        Err(error) => RefreshReport::of(&error),
    };
    // Nobody may be there anymore; the result is in the store.
    send(output, &report)
}

fn refresh(arguments: &[OsString], order: RenewalOrder) -> Result<()> {
    let invalid = || {
        Error::new(
            Code::Usage,
            "cannot refresh a token without the name of a server",
        )
    };
    let words: Vec<_> = arguments
        .iter()
        .map(|name| name.to_str().unwrap_or_default())
        .collect();
    let owner = owner_of(&words)?.ok_or_else(invalid)?;
    let dirs = Dirs::from_env()?;
    let config = Config::load(&dirs)?;
    let policy = policy::load(&dirs, &owner.server, owner.profile.as_ref())?;
    let store = store::open(&dirs, &config, Prompt::Never)?;
    let keys = store::keys(&*store)?;
    let place = TokenPlace::of(&dirs, &*store, &policy, &owner)?;
    let exchange = place.exchange(&keys)?;
    let done = renew(&place, &keys, &exchange, order, &unix_now);
    if let Some(record) = record(&policy, &owner, &done)
        && let Err(error) = append(&dirs, &keys, record)
    {
        tracing::warn!("{}", error.text());
    }
    done.map(drop)
}

/// `SERVER [profile=NAME] [mint=NAME]`.
fn arguments(owner: &TokenOwner) -> Vec<String> {
    let mut words = vec![REFRESH.to_owned(), owner.server.to_string()];
    let profile = owner.profile.iter();
    words.extend(profile.map(|profile| format!("{PROFILE}{profile}")));
    words.extend(owner.mint.iter().map(|mint| format!("{MINT}{mint}")));
    words
}

fn owner_of(words: &[&str]) -> Result<Option<TokenOwner>> {
    let Some((server, rest)) = words.split_first() else {
        return Ok(None);
    };
    let find = |prefix| rest.iter().find_map(|word| word.strip_prefix(prefix));
    Ok(Some(TokenOwner {
        server: ServerName::new(server)?,
        profile: find(PROFILE).map(ProfileName::new).transpose()?,
        mint: find(MINT).map(MintName::new).transpose()?,
    }))
}

fn append(dirs: &Dirs, keys: &Keys, record: NewRecord) -> Result<()> {
    Log::open(dirs, Some(keys))?.append(&[record])
}

/// A refresh that was done or refused; not that another process had done it.
fn record(policy: &Policy, owner: &TokenOwner, done: &Result<Renewed>) -> Option<NewRecord> {
    let record = |outcome| {
        let record = owner.record(Event::Refresh, outcome);
        record.policy(&policy.digest)
    };
    match done {
        Ok(Renewed::Refreshed) => Some(record(Outcome::Ok)),
        Ok(Renewed::Found) => None,
        Err(error) => Some(record(Outcome::Failed).reason(error.code.name())),
    }
}
