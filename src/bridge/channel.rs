//! The private socket between the supervisor and the bridge.
//!
//! A frame is a length (`u32`, little-endian, at most [`LIMIT`]) and as many bytes of JSON. The
//! supervisor sends [`Down`], the bridge [`Up`]. The first frame down is [`Down::Start`]. Invariants:
//! neither a URL nor a scope or an issuer travels up as a request; values are wiped and not printed.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::network::Network;
use crate::policy::remote::RemoteTransport;

/// The hidden first argument that makes this program a bridge.
pub const BRIDGE: &str = "__bridge";
/// The descriptor of the socket in the bridge.
pub const DESCRIPTOR: std::os::fd::RawFd = crate::sys::spawn::CHANNEL;
/// The longest frame (bytes).
pub const LIMIT: usize = 64 * 1024;
/// The longest challenge that travels up (bytes).
pub const CHALLENGE_LIMIT: usize = 8 * 1024;

/// A text that may contain a secret: wiped when dropped, and not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for SecretText {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// What the supervisor tells the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Down {
    /// The first frame.
    Start(Settings),
    /// What is sent from the next request on, also for requests that were refused with an older
    /// generation.
    Credentials(Credentials),
    /// There is no newer generation than this one, and its refused requests are answered with this error.
    Refused {
        generation: u64,
        /// The code of the error.
        code: String,
        /// The whole error, in one line.
        line: String,
        hint: Option<String>,
    },
}

/// What does not change during the life of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// [`build`] of the supervisor. A bridge of another build exits.
    pub build: String,
    /// The server's name, for messages.
    pub server: String,
    /// Scheme, host and port (`https://mcp.example.com`, `http://127.0.0.1:8080`): the only place to
    /// which credentials are sent.
    pub origin: String,
    pub transport: RemoteTransport,
    /// Whose token it is, as a digest. Another one needs another bridge, because no session travels with
    /// another identity.
    pub identity: Option<String>,
    pub network: BridgeNetwork,
    pub credentials: Credentials,
}

/// The approved network settings of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeNetwork {
    /// The URL of an HTTP proxy, perhaps with user and password.
    pub proxy: Option<SecretText>,
    /// The hosts that are reached without the proxy, as in `NO_PROXY`.
    pub no_proxy: String,
    /// Certificate files (PEM) that are trusted in addition to the system's.
    pub authorities: Vec<PathBuf>,
}

impl BridgeNetwork {
    /// The approved settings, with the proxy that applies.
    pub fn new(network: &Network, proxy: Option<SecretText>) -> Self {
        Self {
            proxy,
            no_proxy: network.no_proxy().to_owned(),
            authorities: network.authorities(),
        }
    }
}

/// What is sent with each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Grows with each change.
    pub generation: u64,
    /// The whole URL, with its secrets inserted. Its origin is that of the settings.
    pub url: SecretText,
    /// The granted headers with their values, and the token's if there is one.
    pub headers: Vec<(String, SecretText)>,
    /// Whether a refused request is asked about upward (a token that can be refreshed, or a secret
    /// that may have been rotated).
    pub renewable: bool,
}

/// What the bridge tells the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Up {
    /// Sent once per generation; the bridge holds the refused requests until the answer.
    Rejected(Rejection),
    /// The server refused these credentials for this request (its ID, as JSON) and did not carry it out.
    /// Sent before the request waits for newer ones.
    RequestRefused { generation: u64, id: String },
    /// The connection's state, sent when it changes.
    State(RemoteState),
}

/// The server refused credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub generation: u64,
    pub status: u16,
    /// `WWW-Authenticate`, one line per header, cut at [`CHALLENGE_LIMIT`].
    pub challenge: Vec<String>,
}

/// What `ps` shows of a remote server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteState {
    /// The transport in use: `streamable-http` or `sse`.
    pub transport: String,
    /// The agreed revision of MCP.
    pub protocol: Option<String>,
    /// Whether the server keeps a session.
    pub has_session: bool,
    /// The server asked for a pause (429 or 503): until then, in seconds of Unix time.
    pub paused_until: Option<i64>,
}

/// Identifies this build of the program: frames are only understood by the same one.
pub fn build() -> String {
    format!(
        "{} {}",
        env!("CARGO_PKG_VERSION"),
        option_env!("MCPWRAP_BUILD").unwrap_or("1")
    )
}

/// A frame as bytes, length included.
///
/// # Errors
/// It is longer than [`LIMIT`].
pub fn encode(frame: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    encode_up_to(frame, LIMIT)
}

/// [`encode`] with another limit (bytes).
///
/// # Errors
/// It is longer than the limit.
fn encode_up_to(frame: &impl Serialize, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for the longest frame, so that no part of a secret stays behind in a smaller buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 4));
    bytes.extend([0; 4]);
    serde_json::to_writer(&mut *bytes, frame)?;
    let length = bytes.len() - 4;
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let prefix = u32::try_from(length).unwrap_or(0).to_le_bytes();
    bytes.splice(..4, prefix);
    Ok(bytes)
}

/// Counts bytes, and keeps none of them.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a bridge can be started with these settings, and later gets credentials of this length.
pub fn fits(settings: &Settings) -> bool {
    let mut count = Count(0);
    // The name of the frame, and the digits of later generations.
    serde_json::to_writer(&mut count, settings).is_ok() && count.0 <= LIMIT - 64
}

/// Sends one frame.
///
/// # Errors
/// The kernel's, or the frame is too long.
pub fn send(mut socket: impl Write, frame: &impl Serialize) -> io::Result<()> {
    socket.write_all(&encode(frame)?)
}

/// [`send`] with another limit (bytes).
///
/// # Errors
/// As [`send`].
pub fn send_up_to(mut socket: impl Write, frame: &impl Serialize, limit: usize) -> io::Result<()> {
    socket.write_all(&encode_up_to(frame, limit)?)
}

/// Receives one frame; `None` at the end of the stream.
///
/// # Errors
/// The kernel's, or the frame is invalid.
pub fn receive<T: DeserializeOwned>(socket: impl Read) -> io::Result<Option<T>> {
    receive_up_to(socket, LIMIT)
}

/// [`receive`] with another limit (bytes).
///
/// # Errors
/// As [`receive`].
pub fn receive_up_to<T: DeserializeOwned>(
    mut socket: impl Read,
    limit: usize,
) -> io::Result<Option<T>> {
    let mut length = [0_u8; 4];
    match socket.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    socket.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_wire_and_hide_their_values() {
        let credentials = Credentials {
            generation: 7,
            url: SecretText::new("https://a.example/mcp?key=hidden-value".into()),
            headers: vec![(
                "Authorization".into(),
                SecretText::new("Bearer hidden-value".into()),
            )],
            renewable: true,
        };
        let frame = Down::Credentials(credentials);
        assert!(!format!("{frame:?}").contains("hidden-value"));
        let mut wire = Vec::new();
        send(&mut wire, &frame).unwrap();
        send(
            &mut wire,
            &Down::Refused {
                generation: 7,
                code: "login-needed".into(),
                line: "no".into(),
                hint: None,
            },
        )
        .unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(receive::<Down>(&mut wire).unwrap(), Some(frame));
        assert!(matches!(
            receive(&mut wire).unwrap(),
            Some(Down::Refused { .. })
        ));
        assert_eq!(receive::<Down>(&mut wire).unwrap(), None);
        assert!(receive::<Down>([255, 255, 255, 255].as_slice()).is_err());
        let long = Down::Refused {
            generation: 1,
            code: "login-needed".into(),
            line: "x".repeat(LIMIT),
            hint: None,
        };
        assert!(encode(&long).is_err());
    }
}
