//! The control socket: how other commands of this user ask a running supervisor for something.
//!
//! One request per connection, one JSON line each way; docs/control.md is the contract. Invariants:
//! the peer is the same user (checked, although the socket has mode 0600 in a directory with mode
//! 0700); no message carries a secret; a request cannot do more than the files allow: `revoke`
//! makes the supervisor read the grant again, it does not change it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::question;
use super::request::{ControlVerb, Request, VERSION};
use super::shared::{Notice, Shared};
use crate::files;
use crate::secret::ServerName;
use crate::sys::{socket, user};

/// Requests are short (bytes).
const REQUEST_BYTES_MAX: u64 = 4096;
/// Answers are at most as long as two messages of a server (bytes).
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// How long a peer may take to send its request.
const ASK_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    v: u32,
    verb: ControlVerb,
}

/// A question that a thread of its own puts to the server.
#[derive(Debug, Serialize, Deserialize)]
struct AskTools {
    v: u32,
    verb: ToolsVerb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ToolsVerb {
    Tools,
}

/// The socket of this supervisor; removed when dropped.
#[derive(Debug)]
pub(super) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// A supervisor's socket. Its name contains the server and the pid, readable without an answer.
fn socket_path(runtime: &Path, server: &ServerName) -> PathBuf {
    runtime.join(format!("{server}.{}.sock", std::process::id()))
}

/// Starts to listen. Without a socket the supervisor still works, because it watches the files.
pub(super) fn listen(
    runtime: &Path,
    server: &ServerName,
    shared: &Arc<Shared>,
) -> std::io::Result<Socket> {
    files::ensure_dir(runtime).map_err(|problem| std::io::Error::other(problem.to_string()))?;
    let path = socket_path(runtime, server);
    // It replaces a stale socket of an exited supervisor with the same pid.
    let listener = socket::bind(&path)?;
    let socket = Socket(path);
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                let serve = move || drop(serve(&stream, &shared));
                drop(
                    std::thread::Builder::new()
                        .name("asked".to_owned())
                        .spawn(serve),
                );
            }
        })?;
    Ok(socket)
}

fn serve(mut stream: &UnixStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    if user::peer(stream) != Some(user::id()) {
        return Ok(());
    }
    stream.set_read_timeout(Some(ASK_LIMIT))?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX)).read_line(&mut line)?;
    let tools = serde_json::from_str::<AskTools>(&line);
    let tools = tools.ok().filter(|ask| ask.v == VERSION);
    let answer = match serde_json::from_str::<Ask>(&line) {
        _ if tools.is_some() => {
            let cursor = tools.and_then(|ask| ask.cursor);
            question::ask(shared, cursor.as_deref())
        }
        Ok(ask) if ask.v == VERSION => {
            let (reply, answer): (_, Receiver<Value>) = channel();
            shared.post(Notice::Asked(Request {
                verb: ask.verb,
                reply,
            }));
            answer
                .recv()
                .unwrap_or_else(|_| json!({"v": VERSION, "ok": false, "error": "ended"}))
        }
        _ => json!({"v": VERSION, "ok": false, "error": "not understood"}),
    };
    let mut text = answer.to_string();
    text.push('\n');
    stream.write_all(text.as_bytes())
}

/// Sends a request to a supervisor and waits for the answer, up to the limit.
///
/// # Errors
/// Of the socket: no listener, or no answer in time.
pub fn ask(path: &Path, verb: ControlVerb, limit: Duration) -> std::io::Result<Value> {
    send(path, &Ask { v: VERSION, verb }, limit).map(|(answer, _)| answer)
}

/// [`ask`], with the pid of the process that listens: a file with the name of a socket proves nothing.
///
/// # Errors
/// As [`ask`].
pub fn ask_who(
    path: &Path,
    verb: ControlVerb,
    limit: Duration,
) -> std::io::Result<(Value, Option<i32>)> {
    send(path, &Ask { v: VERSION, verb }, limit)
}

/// Asks the server of a supervisor for a page of its tools.
///
/// # Errors
/// As [`ask`].
pub fn ask_tools(path: &Path, cursor: Option<&str>, limit: Duration) -> std::io::Result<Value> {
    let question = AskTools {
        v: VERSION,
        verb: ToolsVerb::Tools,
        cursor: cursor.map(str::to_owned),
    };
    send(path, &question, limit).map(|(answer, _)| answer)
}

fn send(
    path: &Path,
    ask: &impl Serialize,
    limit: Duration,
) -> std::io::Result<(Value, Option<i32>)> {
    let mut stream = socket::connect(path)?;
    let listener = socket::listener(&stream);
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let mut line = serde_json::to_string(ask)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    Ok((serde_json::from_str(&answer)?, listener))
}
