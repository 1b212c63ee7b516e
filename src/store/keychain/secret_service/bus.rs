//! Requests over the session bus, several at a time, with a time limit.
//!
//! Invariants: all requests are sent before the first reply is awaited, so a launch waits twice for any
//! number of secrets. Waiting never exceeds the budget, even if the bus or a service hangs. No bus
//! (`autolaunch:`) or program (`unixexec:`) is started, and only local sockets are used. The caller knows
//! the address, so the environment is not read.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use dbus::Message;
use dbus::channel::Channel;
use dbus::message::MessageType;

const BUS: &str = "org.freedesktop.DBus";

/// Why there is no reply.
#[derive(Debug)]
pub enum BusFault {
    /// There is no bus, or no Secret Service on it.
    Absent(String),
    /// The budget is used up, with the name of who did not reply.
    Hanging(&'static str),
    /// The service exited or lost the session: a new connection may work.
    Gone(String),
    /// An error reply: its name and its text.
    Refused(String, String),
}

impl fmt::Display for BusFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(fact) | Self::Gone(fact) => f.write_str(fact),
            Self::Hanging(who) => write!(f, "{who} did not answer in time"),
            Self::Refused(name, text) => write!(f, "the keychain answered `{name}`: {text}"),
        }
    }
}

pub(super) type BusReply = Result<Message, BusFault>;

/// A connection to the session bus.
pub(super) struct Bus {
    channel: Channel,
    hello: Cell<Hello>,
    /// What was asked: the replies that have arrived, by the serial of the request.
    replies: RefCell<HashMap<u32, Option<BusReply>>>,
    left: Cell<Duration>,
}

/// The first request of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hello {
    Unsent,
    Sent(u32),
    Answered,
}

/// A request whose reply was not awaited yet.
#[derive(Debug)]
pub(super) struct Asked(u32);

impl Bus {
    /// Connects to the first address that answers. Sends nothing yet.
    pub(super) fn connect(addresses: &[String], budget: Duration) -> Result<Self, BusFault> {
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
                        hello: Cell::new(Hello::Unsent),
                        replies: RefCell::default(),
                        left: Cell::new(budget),
                    });
                }
                Err(error) => {
                    let why = error.message().unwrap_or("no answer").to_lowercase();
                    fact = format!("cannot reach the session bus at `{address}`: {why}");
                }
            }
        }
        Err(BusFault::Absent(fact))
    }

    /// The remaining budget.
    pub(super) fn left(&self) -> Duration {
        self.left.get()
    }

    /// Sends all requests, then waits for all replies, in order. The outer error means that there
    /// are no replies at all.
    pub(super) fn ask(&self, questions: Vec<Message>) -> Result<Vec<BusReply>, BusFault> {
        let asked: Result<Vec<_>, _> = questions.into_iter().map(|one| self.send(one)).collect();
        self.wait(&asked?)
    }

    /// Sends one request, whose reply is awaited later.
    pub(super) fn send(&self, question: Message) -> Result<Asked, BusFault> {
        if self.hello.get() == Hello::Unsent {
            self.hello.set(Hello::Sent(self.post(hello())?));
        }
        let serial = self.post(question)?;
        self.replies.borrow_mut().insert(serial, None);
        Ok(Asked(serial))
    }

    /// Waits for the replies to these requests, in order.
    pub(super) fn wait(&self, asked: &[Asked]) -> Result<Vec<BusReply>, BusFault> {
        let deadline = Instant::now() + self.left.get();
        let answers = self.receive(asked, deadline);
        self.left
            .set(deadline.saturating_duration_since(Instant::now()));
        answers
    }

    fn receive(&self, asked: &[Asked], deadline: Instant) -> Result<Vec<BusReply>, BusFault> {
        let mut left = {
            let replies = self.replies.borrow();
            let is_open = |one: &&Asked| matches!(replies.get(&one.0), Some(None));
            asked.iter().filter(is_open).count()
        };
        while left > 0 {
            let message = self.next(deadline)?;
            let Some(serial) = message.get_reply_serial() else {
                continue;
            };
            if self.hello.get() == Hello::Sent(serial) {
                understand(message)?;
                self.hello.set(Hello::Answered);
            } else if let Some(slot) = self.replies.borrow_mut().get_mut(&serial) {
                *slot = Some(understand(message));
                left -= usize::from(asked.iter().any(|one| one.0 == serial));
            }
        }
        let mut replies = self.replies.borrow_mut();
        let answers = asked.iter().filter_map(|one| replies.remove(&one.0)?);
        Ok(answers.collect())
    }

    /// Sends one request that needs no reply.
    pub(super) fn tell(&self, message: Message) {
        // Best effort: the receiver notices by itself otherwise.
        if self.post(message).is_ok() && self.channel.has_messages_to_send() {
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
    ) -> Result<Option<Message>, BusFault> {
        let deadline = Instant::now() + limit;
        loop {
            let message = match self.next(deadline) {
                Err(BusFault::Hanging(_)) => return Ok(None),
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

    fn post(&self, message: Message) -> Result<u32, BusFault> {
        self.channel.send(message).map_err(|()| lost())
    }

    fn next(&self, deadline: Instant) -> Result<Message, BusFault> {
        loop {
            if let Some(message) = self.channel.pop_message() {
                return Ok(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let who = if self.hello.get() == Hello::Answered {
                    "the keychain"
                } else {
                    "the session bus"
                };
                return Err(BusFault::Hanging(who));
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

/// Asks the bus for the process that owns a name.
pub(super) fn process_of(name: &str) -> Message {
    call(
        BUS,
        "/org/freedesktop/DBus",
        BUS,
        "GetConnectionUnixProcessID",
    )
    .append1(name)
}

/// Subscribes to a signal.
pub(super) fn add_match(rule: &str) -> Message {
    call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch").append1(rule)
}

fn lost() -> BusFault {
    BusFault::Gone("the session bus closed the connection".to_owned())
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
            BusFault::Absent("no program on the session bus offers the Secret Service".to_owned())
        }
        (n, _) if n.contains(".DBus.Error.Spawn.") => {
            BusFault::Absent(format!("cannot start the keychain program: {text}"))
        }
        // The bus replies this for a service that exited before it replied.
        (_, "NoReply" | "Disconnected" | "NoSession") => {
            BusFault::Gone("the keychain service exited during the request".to_owned())
        }
        _ => BusFault::Refused(name.to_owned(), text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(path: &std::path::Path) -> String {
        format!("unix:path={}", path.display())
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
            assert!(matches!(fault, BusFault::Absent(fact) if fact.contains("not the address")));
        }
        let fault = Bus::connect(&[], Duration::ZERO).err().unwrap();
        assert!(matches!(fault, BusFault::Absent(fact) if fact.contains("not set")));
    }

    /// A socket that accepts connections but sends nothing, like a stopped bus.
    #[test]
    fn waiting_for_a_silent_bus_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bus = Bus::connect(&[address(&path)], Duration::from_millis(50)).unwrap();
        let start = Instant::now();
        let fault = bus.ask(vec![hello()]).err().unwrap();
        assert!(matches!(fault, BusFault::Hanging("the session bus")));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(bus.left(), Duration::ZERO);
    }

    #[test]
    fn a_closed_connection_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let bus = Bus::connect(&[address(&path)], Duration::from_secs(5)).unwrap();
        drop(listener.accept().unwrap());
        assert!(matches!(
            bus.ask(vec![hello()]).err().unwrap(),
            BusFault::Gone(_)
        ));
    }
}
