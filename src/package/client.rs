//! The ecosystems' own clients (npm, uv, docker), which resolve, download and install.
//!
//! Invariants: besides `sys` the only place that starts programs; each call runs in a directory of
//! mcpwrap's, so that no project file is read, and in bounded time; URLs with a password are never
//! shown.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::failure::failure;
use crate::dirs::{RESOLVER_OPTIONS, has_resolver_options};
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::io_text;
use crate::sys::bounded::{self, From};

/// Variables that would change what a client does or where. The user's registry settings are kept.
const REMOVED: &[&str] = &[
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PROJECT",
    "UV_WORKING_DIRECTORY",
    "UV_PROJECT_ENVIRONMENT",
    "UV_NO_CONFIG",
    "npm_config_prefix",
    "NPM_CONFIG_PREFIX",
    "npm_config_global",
    "NPM_CONFIG_GLOBAL",
    "INIT_CWD",
    "npm_config_ignore_scripts",
    "npm_config_local_prefix",
    "npm_config_dry_run",
];

/// The limit of one call, long enough for large installations over slow networks.
const LIMIT: Duration = Duration::from_mins(20);
/// The limit of an optional request to a registry.
const QUICK_LIMIT: Duration = Duration::from_secs(90);

/// Settings that make clients fail at once without a network. The last one is of the C library: a look-up whose answer
/// was lost is repeated after 1 s, not 5 (resolv.conf(5)).
const QUICK_SETTINGS: &[(&str, &str)] = &[
    ("npm_config_fetch_retries", "0"),
    ("npm_config_fetch_timeout", "10000"),
    ("UV_HTTP_RETRIES", "0"),
    ("UV_HTTP_TIMEOUT", "10"),
    ("PIP_RETRIES", "0"),
    ("PIP_TIMEOUT", "10"),
    (RESOLVER_OPTIONS, "timeout:1 attempts:4"),
];

/// Words in clients' messages for an unreachable registry.
const UNREACHABLE: &[&str] = &[
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ERR_SOCKET_TIMEOUT",
    "dns error",
    "error sending request",
    "NewConnectionError",
    "ConnectTimeoutError",
];

/// One call of a client.
#[derive(Debug)]
pub(super) struct Call<'a> {
    program: &'a Path,
    args: Vec<&'a OsStr>,
    env: Vec<(&'a str, &'a OsStr)>,
    dir: &'a Path,
    limit: Duration,
}

/// What a successful call wrote.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) out: Vec<u8>,
    /// Its warnings.
    pub(super) err: String,
}

/// A failed call.
pub(super) struct FailedCall {
    pub(super) error: Error,
    /// All that the client wrote; it may contain a password.
    pub(super) said: String,
}

impl std::fmt::Debug for FailedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailedCall")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl FailedCall {
    /// A failure about which the client said nothing.
    pub(super) fn new(error: Error) -> Self {
        Self {
            error,
            said: String::new(),
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn new<P: AsRef<OsStr> + ?Sized>(program: &'a P, dir: &'a Path) -> Self {
        Self {
            program: Path::new(program),
            args: Vec::new(),
            env: Vec::new(),
            dir,
            limit: LIMIT,
        }
    }

    /// Uses the short limit and no retries.
    #[must_use]
    pub(super) fn quick(mut self, quick: bool) -> Self {
        if quick {
            self.limit = QUICK_LIMIT;
            let has_own = has_resolver_options();
            let settings = QUICK_SETTINGS
                .iter()
                .filter(|(name, _)| *name != RESOLVER_OPTIONS || !has_own)
                .map(|(name, value)| (*name, OsStr::new(*value)));
            self.env.extend(settings);
        }
        self
    }

    /// Allows less time, for a request that may fail.
    #[must_use]
    pub(super) const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    #[must_use]
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: &'a [A]) -> Self {
        self.args.extend(args.iter().map(AsRef::as_ref));
        self
    }

    #[must_use]
    pub(super) fn env(mut self, name: &'a str, value: &'a Path) -> Self {
        self.env.push((name, value.as_os_str()));
        self
    }

    /// Runs it to its end and returns its stdout.
    ///
    /// # Errors
    /// `package-failed`: the program is missing, or it failed.
    pub(super) fn output(self) -> Result<Vec<u8>> {
        self.run().map(|said| said.out)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// `package-failed`: the program is missing, or it failed.
    pub(super) fn run(self) -> Result<Said> {
        self.attempt().map_err(|failed| failed.error)
    }

    /// Runs it to its end, for a caller that knows what helps against some failures.
    pub(super) fn attempt(self) -> std::result::Result<Said, Box<FailedCall>> {
        let name = self
            .program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        #[expect(
            clippy::disallowed_methods,
            reason = "package managers are started here only"
        )]
        let mut command = Command::new(self.program);
        command.args(&self.args).current_dir(self.dir);
        for removed in REMOVED {
            command.env_remove(removed);
        }
        command.envs(self.env);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = bounded::run(&mut command, self.limit, &mut |from, piece| {
            match from {
                From::Stdout => out.extend_from_slice(piece),
                From::Stderr => err.extend_from_slice(piece),
            }
            ControlFlow::Continue(())
        });
        let ended = ended.map_err(|error| {
            let failed = |what: String| Error::new(Code::PackageFailed, what);
            let error = if error.kind() == std::io::ErrorKind::NotFound {
                failed(format!("program `{name}` not found")).hint(install_hint(&name))
            } else {
                failed(format!("cannot start `{name}`")).cause(io_text(&error))
            };
            Box::new(FailedCall::new(error))
        })?;
        if ended.is_some_and(|status| status.success()) {
            return Ok(Said {
                out,
                err: String::from_utf8_lossy(&err).into_owned(),
            });
        }
        let verb: Vec<_> = self
            .args
            .iter()
            .take(2)
            .map(|arg| arg.to_string_lossy())
            .collect();
        let what = format!("`{name} {}` failed", verb.join(" "));
        let failed = Error::new(Code::PackageFailed, what);
        if ended.is_none() {
            let late = format!("no answer within {} s", self.limit.as_secs());
            let error = failed.cause_of(CauseKind::Unreachable, late);
            return Err(Box::new(FailedCall::new(error)));
        }
        let said = if err.is_empty() { &out } else { &err };
        let said = String::from_utf8_lossy(said).into_owned();
        let unreachable = UNREACHABLE.iter().any(|word| said.contains(word));
        let kind = if unreachable {
            CauseKind::Unreachable
        } else {
            CauseKind::Fact
        };
        let failure = failure(&said);
        let failed = failed.cause_of(kind, failure.cause);
        let error = failure.hints.into_iter().fold(failed, Error::hint);
        Err(Box::new(FailedCall { error, said }))
    }
}

fn install_hint(name: &str) -> &'static str {
    match name {
        "npm" | "node" => "install Node.js, which includes npm",
        "uv" => "install uv, e.g. with `pipx install uv`",
        "bun" => "install bun, or replace `bunx` with `npx` in the policy's command",
        _ => "install it, or use an exact version or digest in the policy's command",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_client_is_the_cause() {
        let dir = tempfile::tempdir().unwrap();
        let failed = Call::new("sh", dir.path())
            .args(&["-c", "echo one >&2; exit 3"])
            .output();
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("cause: one"), "{text}");
        let absent = Call::new("no-such-program-4711", dir.path())
            .output()
            .unwrap_err();
        assert_eq!(absent.code, Code::PackageFailed);
        let fine = Call::new("sh", dir.path())
            .args(&["-c", "pwd"])
            .output()
            .unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&fine).trim(),
            real.to_string_lossy()
        );
    }
}
