//! Our end of the socket to a bridge.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::{Notice, Shared};
use crate::bridge::channel::{self, Credentials, Down, RemoteState, Settings, Up};
use crate::error::Error;
use crate::session::envelope::Id;

/// A bridge that does not take a frame within this time is stuck.
const SEND_LIMIT: Duration = Duration::from_secs(2);

/// After an attempt to replace a token, how long until the next.
const PAUSE: Duration = Duration::from_secs(30);
/// How many refused requests are remembered: more than a bridge sends at the same time.
const REFUSED_MAX: usize = 1024;
/// A token is replaced at most this long before its end (seconds).
const EARLY_S_MAX: u64 = 60;

/// See the module.
#[derive(Debug)]
pub(super) struct BridgeLink {
    socket: UnixStream,
    /// What it was started with, with its latest credentials.
    settings: Settings,
    pub state: RemoteState,
    token: Option<TokenClock>,
    pub refresh: Refresh,
    /// The requests that the server refused, and with which credentials.
    refused: (u64, HashSet<Id>),
}

/// The end of the OAuth token in use.
#[derive(Clone, Copy, Debug)]
struct TokenClock {
    /// Seconds of Unix time.
    expires: i64,
    /// When a new one is asked for, if the client used the session since then.
    due: Instant,
    /// How much the client had sent when this token came (bytes).
    heard: u64,
}

/// Whether new credentials are being fetched.
#[derive(Debug, Default)]
pub(super) enum Refresh {
    #[default]
    Idle,
    Running {
        /// Something changed since it began.
        again: bool,
    },
}

impl BridgeLink {
    /// Writes the settings, which the bridge reads when it starts. Returns the end for the bridge.
    pub(super) fn open(mut settings: Settings) -> std::io::Result<(Self, UnixStream)> {
        settings.credentials.generation = 1;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(SEND_LIMIT))?;
        let frame = Down::Start(settings.clone());
        channel::send(&ours, &frame)?;
        let link = Self {
            socket: ours,
            settings,
            state: RemoteState::default(),
            token: None,
            refresh: Refresh::Idle,
            refused: (0, HashSet::new()),
        };
        Ok((link, theirs))
    }

    /// Posts what the bridge of this generation says.
    pub(super) fn listen(&self, generation: u32, shared: &Arc<Shared>) -> std::io::Result<()> {
        let (socket, shared) = (self.socket.try_clone()?, Arc::clone(shared));
        let listen = move || {
            while let Ok(Some(up)) = channel::receive::<Up>(&socket) {
                shared.post(Notice::Bridge { generation, up });
            }
        };
        let thread = std::thread::Builder::new().name("bridge".to_owned());
        thread.spawn(listen).map(drop)
    }

    /// Notes when the token ends (seconds of Unix time), and how much the client has sent by now.
    pub(super) fn set_token(&mut self, expires: Option<i64>, heard: u64) {
        self.token = expires.map(|expires| {
            let now = jiff::Timestamp::now().as_second();
            let left = u64::try_from(expires.saturating_sub(now)).unwrap_or(0);
            let early = (left / 10).min(EARLY_S_MAX);
            TokenClock {
                expires,
                due: Instant::now() + Duration::from_secs((left - early).max(1)),
                heard,
            }
        });
    }

    pub(super) fn token_expires(&self) -> Option<i64> {
        self.token.map(|token| token.expires)
    }

    /// When to look at the token again.
    pub(super) fn token_due(&self) -> Option<Instant> {
        self.token.map(|token| token.due)
    }

    /// Whether the token has to be replaced: it ends soon, and the client used the session since it came.
    /// Afterwards the token is left alone for a while.
    pub(super) fn take_due(&mut self, now: Instant, heard: u64) -> bool {
        let token = self.token.as_mut().filter(|token| token.due <= now);
        token.is_some_and(|token| {
            token.due = now + PAUSE;
            token.heard != heard
        })
    }

    pub(super) fn host(&self) -> &str {
        let origin = &self.settings.origin;
        origin.split_once("://").map_or(origin, |(_, host)| host)
    }

    /// The number of the latest credentials.
    pub(super) const fn credentials(&self) -> u64 {
        self.settings.credentials.generation
    }

    /// Whether these settings differ in the credentials alone.
    pub(super) fn accepts(&self, settings: &Settings) -> bool {
        let credentials = self.settings.credentials.clone();
        let same = Settings {
            credentials,
            ..settings.clone()
        };
        self.settings == same
    }

    /// Sends new credentials. If the bridge is stuck or gone, its guard reports that.
    pub(super) fn replace(&mut self, credentials: Credentials) {
        // From now on the bridge may send them again.
        self.refused.1.clear();
        self.number_and_send(credentials);
    }

    fn number_and_send(&mut self, mut credentials: Credentials) {
        credentials.generation = self.credentials() + 1;
        self.settings.credentials = credentials.clone();
        drop(channel::send(&self.socket, &Down::Credentials(credentials)));
    }

    /// Notes a request that the server did not carry out, because it refused these credentials.
    pub(super) fn note_refused(&mut self, generation: u64, id: &str) {
        if generation != self.credentials() {
            // It is being sent with newer ones.
            return;
        }
        let (of, ids) = &mut self.refused;
        if *of != generation {
            *of = generation;
            ids.clear();
        }
        if ids.len() < REFUSED_MAX {
            ids.insert(Id::new(id.as_bytes()));
        }
    }

    /// The requests that the bridge holds because the server refused them.
    pub(super) const fn refused(&self) -> &HashSet<Id> {
        &self.refused.1
    }

    /// Lets the bridge ask about the same credentials again, because the last answer was a passing
    /// fault.
    pub(super) fn renumber(&mut self) {
        // Those that were refused before are answered and not sent again.
        self.number_and_send(self.settings.credentials.clone());
    }

    /// Lets the bridge answer the requests that were refused with these credentials.
    pub(super) fn refuse(&self, generation: u64, error: &Error) {
        let frame = Down::Refused {
            generation,
            code: error.code.name().to_owned(),
            line: error.line(),
            hint: error.hints.first().cloned(),
        };
        drop(channel::send(&self.socket, &frame));
    }
}
