//! Revokes the tokens that were kept, now or in a process of its own (`mcpwrap __revoke`), which a
//! start of a server does not wait for.

use std::ffi::OsStr;
use std::process::ExitCode;

use super::exchange::Exchange;
use super::exchange::process::ProcessExchange;
use super::network::network;
use super::renewal::unix_now;
use super::unrevoked::{RetriedToken, Tries, has_any, retry};
use crate::audit::Log;
use crate::config::Config;
use crate::dirs::{self, Dirs};
use crate::error::Result;
use crate::store::{self, Prompt};
use crate::sys::lasting::LastingChild;
use crate::sys::{fds, harden, signal, spawn};

/// The first argument of this program when it revokes tokens that were kept.
pub const REVOKE: &str = "__revoke";

/// Tries the tokens that were kept, and records those that are revoked. Opens no store without one.
///
/// # Errors
/// Those of the store; `file-unusable`; `audit-unwritable`.
pub fn revoke_kept(
    dirs: &Dirs,
    config: &Config,
    prompt: Prompt,
    tries: Tries,
) -> Result<Vec<RetriedToken>> {
    if !has_any(dirs, tries, unix_now()) {
        return Ok(Vec::new());
    }
    let store = store::open(dirs, config, prompt)?;
    let keys = store::keys(&*store)?;
    let process = network(dirs, &*store, &keys).map(ProcessExchange::new);
    let exchange = match &process {
        Ok(process) => Ok(process as &dyn Exchange),
        Err(error) => Err(error.clone()),
    };
    let done = retry(dirs, &*store, &exchange, tries, unix_now())?;
    let records: Vec<_> = done.iter().filter_map(RetriedToken::record).collect();
    if !records.is_empty() {
        Log::open(dirs, Some(&keys))?.append(&records)?;
    }
    Ok(done)
}

/// Starts the process if a token is due. Nobody waits for it.
pub fn start(dirs: &Dirs) {
    if !has_any(dirs, Tries::Due, unix_now()) {
        return;
    }
    let variables = dirs::own_variables();
    let environment: Vec<(&str, &OsStr)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_os_str()))
        .collect();
    match LastingChild::start(&[OsStr::new(REVOKE)], &environment) {
        Ok(child) => child.wait(),
        Err(error) => tracing::warn!(%error, "cannot start the process that revokes tokens"),
    }
}

/// Revokes the tokens that are due.
pub fn main() -> ExitCode {
    // Out of reach of signals to the group of the caller.
    spawn::new_session();
    harden::harden();
    fds::close_inherited_on_exec();
    signal::survive_file_limit();
    let done = Dirs::from_env().and_then(|dirs| {
        let config = Config::load(&dirs)?;
        revoke_kept(&dirs, &config, Prompt::Never, Tries::Due)
    });
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
