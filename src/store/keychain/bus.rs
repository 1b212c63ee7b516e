//! Requests over the session bus, several at a time, with a time limit.
//!
//! Invariants: all requests are sent before the first reply is awaited, so a launch waits twice for any
//! number of secrets. Waiting never exceeds the budget, even if the bus or a service hangs. No bus
//! (`autolaunch:`) or program (`unixexec:`) is started, and only local sockets are used. The address is
//! passed to libdbus, because mcpwrap does not change its own environment.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use dbus::Message;
use dbus::channel::Channel;
use dbus::message::MessageType;

use crate::dirs;

const BUS: &str = "org.freedesktop.DBus";

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no bus, or no Secret Service on it.
    Absent(String),
    /// The budget is used up, with the name of who did not reply.
    Hanging(&'static str),
    /// The service exited or lost the session: a new connection may work.
    Gone(String),
    /// An error reply: its name and its text.
    Refused(String, String),
}

pub(super) type BusReply = Result<Message, Fault>;

/// A connection to the session bus.
pub(super) struct Bus {
    channel: Channel,
    greeted: Cell<bool>,
    left: Cell<Duration>,
}

/// The possible addresses of the session bus: the one in the environment, or else the socket in the
/// session's directory, where all current systems have it.
pub(super) fn addresses() -> Vec<String> {
    if let Some(address) = dirs::session_bus() {
        return vec![address.to_string_lossy().into_owned()];
    }
    let sockets = dirs::session_directories()
        .into_iter()
        .map(|dir| dir.join("bus"));
    sockets
        .filter(|path| path.exists())
        .map(|path| address_of(&path))
        .collect()
}

/// A path as an address, escaped as the specification requires.
fn address_of(path: &Path) -> String {
    let mut address = String::from("unix:path=");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' => {
                address.push(char::from(*byte));
            }
            other => {
                address.push('%');
                address.push_str(&crate::secret::hex(&[*other]));
            }
        }
    }
    address
}

impl Bus {
    /// Connects to the first address that answers. Sends nothing yet.
    pub(super) fn connect(addresses: &[String], budget: Duration) -> Result<Self, Fault> {
        let mut fact = "no session bus: `DBUS_SESSION_BUS_ADDRESS` is not set, and there is no \
                        socket `/run/user/UID/bus`"
            .to_owned();
        for address in addresses {
            if !address
                .split(';')
                .all(|one| one.is_empty() || one.starts_with("unix:"))
            {
                fact = format!("`{address}` is not the address of a local socket (`unix:…`)");
                continue;
            }
            match Channel::open_private(address) {
                Ok(channel) => {
                    return Ok(Self {
                        channel,
                        greeted: Cell::new(false),
                        left: Cell::new(budget),
                    });
                }
                Err(error) => {
                    let why = error.message().unwrap_or("no answer").to_lowercase();
                    fact = format!("cannot reach the session bus at `{address}`: {why}");
                }
            }
        }
        Err(Fault::Absent(fact))
    }

    /// The remaining budget.
    pub(super) fn left(&self) -> Duration {
        self.left.get()
    }

    /// Sends all requests, then waits for all replies, in order. The outer error means that there
    /// are no replies at all.
    pub(super) fn ask(&self, questions: Vec<Message>) -> Result<Vec<BusReply>, Fault> {
        let start = Instant::now();
        let deadline = start + self.left.get();
        let answers = self.exchange(questions, deadline);
        self.left
            .set(deadline.saturating_duration_since(Instant::now()));
        answers
    }

    fn exchange(&self, questions: Vec<Message>, deadline: Instant) -> Result<Vec<BusReply>, Fault> {
        let hello = if self.greeted.get() {
            None
        } else {
            Some(self.send(hello())?)
        };
        let mut serials = Vec::with_capacity(questions.len());
        for question in questions {
            serials.push(self.send(question)?);
        }
        let mut answers: Vec<Option<BusReply>> = serials.iter().map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            let message = self.next(deadline)?;
            let serial = message.get_reply_serial();
            if serial.is_some() && serial == hello {
                understand(message)?;
                self.greeted.set(true);
                continue;
            }
            let place = serials.iter().position(|sent| Some(*sent) == serial);
            if let Some(slot) = place.and_then(|at| answers.get_mut(at)) {
                *slot = Some(understand(message));
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Sends one request that needs no reply.
    pub(super) fn tell(&self, message: Message) {
        // Best effort: the receiver notices by itself otherwise.
        if self.send(message).is_ok() && self.channel.has_messages_to_send() {
            self.channel
                .read_write(Some(Duration::ZERO))
                .unwrap_or_default();
        }
    }

    /// Waits for a signal of this name from this object. `None` after the time limit.
    pub(super) fn signal(
        &self,
        path: &str,
        member: &str,
        limit: Duration,
    ) -> Result<Option<Message>, Fault> {
        let deadline = Instant::now() + limit;
        loop {
            let message = match self.next(deadline) {
                Err(Fault::Hanging(_)) => return Ok(None),
                other => other?,
            };
            let fits = message.msg_type() == MessageType::Signal
                && message.path().is_some_and(|p| &*p == path)
                && message.member().is_some_and(|m| &*m == member);
            if fits {
                return Ok(Some(message));
            }
        }
    }

    fn send(&self, message: Message) -> Result<u32, Fault> {
        self.channel.send(message).map_err(|()| lost())
    }

    fn next(&self, deadline: Instant) -> Result<Message, Fault> {
        loop {
            if let Some(message) = self.channel.pop_message() {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let who = if self.greeted.get() {
                    "the keychain"
                } else {
                    "the session bus"
                };
                return Err(Fault::Hanging(who));
            }
            // libdbus counts whole milliseconds, and zero would spin.
            let left = left.max(Duration::from_millis(1));
            if self.channel.read_write(Some(left)).is_err() && !self.channel.is_connected() {
                // Messages that arrived before the connection closed must still be read.
                return self.channel.pop_message().ok_or_else(lost);
            }
        }
    }
}

fn hello() -> Message {
    call(BUS, "/org/freedesktop/DBus", BUS, "Hello")
}

/// A method call without arguments.
pub(super) fn call(destination: &str, path: &str, interface: &str, method: &str) -> Message {
    Message::new_method_call(destination, path, interface, method)
        .expect("the names are constants, and paths come from the bus")
}

/// Subscribes to a signal.
pub(super) fn add_match(rule: &str) -> Message {
    call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch").append1(rule)
}

fn lost() -> Fault {
    Fault::Gone("the session bus closed the connection".to_owned())
}

fn understand(mut message: Message) -> BusReply {
    let Err(error) = message.as_result() else {
        return Ok(message);
    };
    let name = error.name().unwrap_or_default();
    let text = error.message().unwrap_or_default().to_owned();
    let short = name.rsplit('.').next().unwrap_or_default();
    Err(match (name, short) {
        (_, "ServiceUnknown" | "NameHasNoOwner") => {
            Fault::Absent("no program on the session bus offers the Secret Service".to_owned())
        }
        (n, _) if n.contains(".DBus.Error.Spawn.") => {
            Fault::Absent(format!("cannot start the keychain program: {text}"))
        }
        // The bus replies this for a service that exited before it replied.
        (_, "NoReply" | "Disconnected" | "NoSession") => {
            Fault::Gone("the keychain service exited during the request".to_owned())
        }
        _ => Fault::Refused(name.to_owned(), text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_in_addresses() {
        let case = |path: &str, address: &str| assert_eq!(address_of(Path::new(path)), address);
        case("/run/user/1000/bus", "unix:path=/run/user/1000/bus");
        case("/tmp/a b,c=d;e/bus", "unix:path=/tmp/a%20b%2cc%3dd%3be/bus");
    }

    #[test]
    fn only_local_sockets_are_used() {
        for address in [
            "autolaunch:",
            "unixexec:path=/bin/true",
            "tcp:host=h,port=1",
            "x",
        ] {
            let fault = Bus::connect(&[address.to_owned()], Duration::ZERO)
                .err()
                .unwrap();
            assert!(matches!(fault, Fault::Absent(fact) if fact.contains("not the address")));
        }
        let fault = Bus::connect(&[], Duration::ZERO).err().unwrap();
        assert!(matches!(fault, Fault::Absent(fact) if fact.contains("not set")));
    }

    /// A socket that accepts connections but sends nothing, like a stopped bus.
    #[test]
    fn waiting_for_a_silent_bus_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bus = Bus::connect(&[address_of(&path)], Duration::from_millis(50)).unwrap();
        let start = Instant::now();
        let fault = bus.ask(vec![hello()]).err().unwrap();
        assert!(matches!(fault, Fault::Hanging("the session bus")));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(bus.left(), Duration::ZERO);
    }

    #[test]
    fn a_closed_connection_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bus = Bus::connect(&[address_of(&path)], Duration::from_secs(5)).unwrap();
        drop(listener.accept().unwrap());
        assert!(matches!(
            bus.ask(vec![hello()]).err().unwrap(),
            Fault::Gone(_)
        ));
    }
}
