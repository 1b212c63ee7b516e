//! The client of a container engine, which mcpwrap asks about its containers.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::secret::Secret;
use crate::sys::bounded::{self, From};

/// How long the engine may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Variables that tell the client of an engine where it is.
const NAMES: &[&str] = &[
    "HOME",
    "PATH",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
];
const PREFIXES: &[&str] = &["DOCKER_", "CONTAINER_", "CONTAINERS_", "PODMAN_"];

/// A client, and the variables that tell it where its engine is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    /// `docker`, `podman`, or a path.
    pub program: String,
    /// Options before its own command.
    pub options: Vec<String>,
    pub environment: Vec<(String, String)>,
}

/// A container that the engine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineContainer {
    pub id: String,
    state: String,
}

impl EngineContainer {
    /// As much of the ID as engines show.
    pub fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    pub fn runs(&self) -> bool {
        ["running", "paused", "restarting"].contains(&self.state.as_str())
    }

    /// Its client was ended before it was started; it holds the secrets all the same.
    pub fn waits(&self) -> bool {
        ["created", "initialized", "configured"].contains(&self.state.as_str())
    }
}

/// The variables that the client needs, without those that contain a secret.
pub fn environment<'a>(
    variables: impl Iterator<Item = (&'a OsStr, &'a [u8])>,
    secrets: &[(String, Secret)],
) -> Vec<(String, String)> {
    let is_wanted = |name: &str| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let is_in =
        |secret: &Secret, value: &[u8]| memchr::memmem::find(value, secret.expose()).is_some();
    let plain = |value: &[u8]| secrets.iter().all(|(_, secret)| !is_in(secret, value));
    variables
        .filter(|(_, value)| plain(value))
        .filter_map(|(name, value)| Some((name.to_str()?, std::str::from_utf8(value).ok()?)))
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl Engine {
    /// The beginning of its command line, for messages.
    pub fn words(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.options);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// What the client prints.
    ///
    /// # Errors
    /// Why the engine cannot be asked.
    pub fn ask(&self, words: &[String]) -> Result<String, String> {
        let words = self.options.iter().chain(words);
        let words: Vec<OsString> = words.map(OsString::from).collect();
        let environment: Vec<_> = self
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), OsStr::new(value)))
            .collect();
        let mut command = bounded::scrubbed(&self.program, &words, &environment);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = bounded::run(&mut command, ANSWER_LIMIT, &mut |from, piece| {
            match from {
                From::Stdout => out.extend_from_slice(piece),
                From::Stderr => err.extend_from_slice(piece),
            }
            ControlFlow::Continue(())
        });
        let engine = &self.program;
        match ended {
            Ok(Some(status)) if status.success() => Ok(String::from_utf8_lossy(&out).into_owned()),
            Ok(Some(_)) => {
                let said = String::from_utf8_lossy(&err);
                let line = said.lines().next().unwrap_or("no output").to_owned();
                Err(format!("`{engine}` failed: {line}"))
            }
            Ok(None) => Err(format!(
                "`{engine}` did not answer within {} s",
                ANSWER_LIMIT.as_secs()
            )),
            Err(error) => Err(format!(
                "cannot start `{engine}`: {}",
                files::io_text(&error)
            )),
        }
    }
}

/// A line of `--format '{{.ID}} {{.State}}'`.
pub fn seen(line: &str) -> Option<EngineContainer> {
    let (id, state) = line.trim().split_once(' ')?;
    let (id, state) = (id.to_owned(), state.to_lowercase());
    Some(EngineContainer { id, state })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_engine_needs_is_kept_and_no_secret() {
        let secret = ("x".to_owned(), Secret::new(b"s3cret-value".to_vec()));
        let pairs = [
            ("HOME", "/home/a"),
            ("DOCKER_HOST", "unix:///run/d.sock"),
            ("DOCKER_TOKEN", "a s3cret-value b"),
            ("GITHUB_TOKEN", "x"),
        ];
        let pairs = pairs
            .iter()
            .map(|(name, value)| (OsStr::new(name), value.as_bytes()));
        let kept = environment(pairs, &[secret]);
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["HOME", "DOCKER_HOST"]);
    }
}
