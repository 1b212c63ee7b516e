//! The mark of a run: a variable in the environment of everything that a server starts.
//!
//! It finds processes that left the tree. Invariant: a mark is a claim, because a process can set any
//! variable. It is believed if its MAC is right, which needs the store, or if the launch record of
//! the run has the same one.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::audit::RunId;
use crate::dirs::Dirs;
use crate::secret::{Keys, ServerName, hex, hmac_sha256};

/// The variable in the server's environment.
pub const VARIABLE: &str = "MCPWRAP_RUN";

/// The mark of one run of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMark {
    pub server: ServerName,
    pub run: String,
    /// Which mcpwrap of this user: [`home`].
    pub home: String,
    pub mac: String,
}

impl RunMark {
    pub fn new(keys: &Keys, home: &str, server: &ServerName, run: &RunId) -> Self {
        let text = format!("{server}:{run}:{home}");
        let mac = hmac_sha256(&*keys.mark, text.as_bytes());
        Self {
            server: server.clone(),
            run: run.as_str().to_owned(),
            home: home.to_owned(),
            mac: hex(mac.get(..16).unwrap_or_default()),
        }
    }

    /// The inverse of its text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut part = || parts.next().filter(|part| part.len() <= 64);
        let server = ServerName::new(part()?).ok()?;
        let [run, home, mac] = [part()?, part()?, part()?].map(str::to_owned);
        let is_hex = |text: &String| text.bytes().all(|b| b.is_ascii_hexdigit());
        let good = parts.next().is_none() && [&run, &home, &mac].into_iter().all(is_hex);
        good.then_some(Self {
            server,
            run,
            home,
            mac,
        })
    }
}

impl fmt::Display for RunMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            run,
            home,
            mac,
        } = self;
        write!(f, "{server}:{run}:{home}:{mac}")
    }
}

/// The label of the control group of a server, from the command line of its guard: what is found by it is
/// found without a mark, a record or a parent.
pub fn group_of_guard(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut words = arguments.skip(2);
    let [server, run, home] = [words.next()?, words.next()?, words.next()?];
    Some(format!("{home}-{run}-{server}"))
}

/// The server and the run of such a label, if it is of this mcpwrap.
pub fn of_group(label: &str, home: &str) -> Option<(ServerName, String)> {
    let (run, server) = label
        .strip_prefix(home)?
        .strip_prefix('-')?
        .split_once('-')?;
    Some((ServerName::new(server).ok()?, run.to_owned()))
}

/// Tells this mcpwrap's processes from those with other files (`MCPWRAP_HOME`) of the same user.
pub fn home(dirs: &Dirs) -> String {
    let state = dirs.state();
    // The last part may not exist yet, so its parent is resolved.
    let parent = state.parent().and_then(|parent| parent.canonicalize().ok());
    let path = match (parent, state.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => state.to_path_buf(),
    };
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex(digest.get(..5).unwrap_or_default())
}

/// The name of a thread that every supervisor has, by which it is found without its socket.
pub fn thread_name(home: &str) -> String {
    // The kernel keeps 15 bytes.
    format!("mcpw-{home}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_mark_is_read_as_written_and_needs_the_key() {
        let keys = |text: &[u8]| Keys::from_master(&Secret::new(text.to_vec()));
        let (server, run) = (ServerName::new("a.b-c").unwrap(), RunId::random().unwrap());
        let mark = RunMark::new(&keys(b"one"), "0123456789", &server, &run);
        assert_eq!(RunMark::parse(&mark.to_string()), Some(mark.clone()));
        assert_ne!(
            RunMark::new(&keys(b"two"), "0123456789", &server, &run),
            mark
        );
        for bad in [
            "",
            "a",
            "a:b",
            "a:x:0:0",
            "a:0:0:0:0",
            "../x:0:0:0",
            "a:0:0:",
        ] {
            let parsed = RunMark::parse(bad);
            assert!(parsed.is_none_or(|mark| mark.mac.is_empty()), "{bad}");
        }
        assert!(thread_name("0123456789").len() <= 15);
        let words = ["mcpwrap", "__guard", "a.b-c", "12ab", "0123456789"].map(str::to_owned);
        let label = group_of_guard(words.into_iter()).unwrap();
        let parsed = of_group(&label, "0123456789").map(|(server, run)| (server.to_string(), run));
        assert_eq!(parsed, Some(("a.b-c".to_owned(), "12ab".to_owned())));
        assert!(of_group(&label, "other").is_none());
    }
}
