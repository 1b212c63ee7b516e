//! Our end of the socket to a bridge.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::shared::{Notice, Shared};
use crate::bridge::channel::{self, Credentials, Down, RemoteState, Settings, Up};
use crate::error::Error;

/// A bridge that does not take a frame within this time is stuck.
const SEND_LIMIT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct BridgeLink {
    socket: UnixStream,
    /// What it was started with, with its latest credentials.
    settings: Settings,
    pub state: RemoteState,
    /// When its OAuth token ends: seconds of Unix time.
    pub token_expires: Option<i64>,
    pub refresh: Refresh,
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
            token_expires: None,
            refresh: Refresh::Idle,
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
    pub(super) fn replace(&mut self, mut credentials: Credentials) {
        credentials.generation = self.credentials() + 1;
        self.settings.credentials = credentials.clone();
        drop(channel::send(&self.socket, &Down::Credentials(credentials)));
    }

    /// Lets the bridge ask about the same credentials again, because the last answer was a passing
    /// fault.
    pub(super) fn renumber(&mut self) {
        self.replace(self.settings.credentials.clone());
    }

    /// Lets the bridge answer the requests that were refused with these credentials.
    pub(super) fn refuse(&self, generation: u64, error: &Error) {
        let reason = error.line();
        drop(channel::send(
            &self.socket,
            &Down::Refused { generation, reason },
        ));
    }
}
