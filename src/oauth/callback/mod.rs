//! The redirect of a login: a listener on this machine, for one answer.
//!
//! Invariants: it listens before the browser is opened, on loopback only. `state` is checked before
//! anything else is read: without the right one a request changes nothing. `iss` is checked before an
//! error is shown. After the answer nothing listens.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::address::WebAddress;
use super::answer::{CallbackAnswer, ExpectedAnswer, judge};
use super::page::WaitingPage;
use crate::error::{Code, Error, Result};
use crate::files::io_text;

/// The default path of the redirect.
const PATH: &str = "/callback";
/// How long a login may take.
pub const LOGIN_LIMIT: Duration = Duration::from_mins(5);
/// The head of a request is not longer (bytes), and is there within this time.
const HEAD_MAX: usize = 16 * 1024;
const HEAD_LIMIT: Duration = Duration::from_secs(5);
/// So many requests are read at a time.
const READERS_MAX: usize = 64;
/// How often pasted lines are looked at.
const LOOK: u16 = 50;

/// A listener for the redirect.
#[derive(Debug)]
pub struct Callback {
    listeners: Vec<TcpListener>,
    redirect: WebAddress,
}

/// What is fixed of a redirect: all of it, or all but the port.
pub fn form(fixed: Option<&str>) -> String {
    fixed.map_or_else(|| format!("http://127.0.0.1:*{PATH}"), str::to_owned)
}

impl Callback {
    /// Listens on the policy's redirect, or on `preferred` (a redirect that was registered), or on any
    /// free port.
    ///
    /// # Errors
    /// `oauth-failed` if the address is not on this machine or in use.
    pub fn bind(fixed: Option<&str>, preferred: Option<&str>) -> Result<Self> {
        if let Some(fixed) = fixed {
            return Self::bind_at(fixed);
        }
        if let Some(found) = preferred.and_then(|text| Self::bind_at(text).ok()) {
            return Ok(found);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| cannot(&io_text(&error)))?;
        let port = listener
            .local_addr()
            .map_err(|error| cannot(&io_text(&error)))?
            .port();
        let redirect = format!("http://127.0.0.1:{port}{PATH}");
        Ok(Self {
            listeners: vec![listener],
            redirect: WebAddress::parse(&redirect).map_err(cannot)?,
        })
    }

    fn bind_at(text: &str) -> Result<Self> {
        let redirect =
            WebAddress::parse(text).map_err(|why| cannot(&format!("`redirect` is {why}")))?;
        let port = redirect.port();
        let (v4, v6) = (
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        );
        // The browser may take either address of `localhost`: another program could listen on the other.
        let addresses = match redirect.host() {
            "127.0.0.1" => vec![v4],
            "[::1]" => vec![v6],
            "localhost" => vec![v4, v6],
            _ => return Err(cannot("`redirect` is not on this machine")),
        };
        if redirect.is_https() || redirect.as_str().contains('?') {
            return Err(cannot("`redirect` is not `http:`, or has a query"));
        }
        let mut listeners = Vec::new();
        for address in addresses {
            listeners.push(TcpListener::bind(address).map_err(|error| {
                cannot(&format!("cannot listen on {address}: {}", io_text(&error)))
                    .hint("end the program that uses this port, or change `redirect` in the policy")
            })?);
        }
        Ok(Self {
            listeners,
            redirect,
        })
    }

    /// The address to which the browser returns.
    pub fn redirect(&self) -> &str {
        self.redirect.as_str()
    }

    /// Waits for the answer, from the browser or pasted by the user, who ends the input with `None`.
    /// `wrong`: is told about a pasted line that is not the answer. The page is open until the caller
    /// knows what to show.
    ///
    /// # Errors
    /// `oauth-failed` if there is none in time; `declined`.
    pub fn wait(
        self,
        expected: &ExpectedAnswer,
        limit: Duration,
        pasted: &Receiver<Option<String>>,
        wrong: &mut dyn FnMut(&str),
    ) -> Result<(CallbackAnswer, Option<WaitingPage>)> {
        let deadline = Instant::now() + limit;
        let (sender, requests) = channel::<Option<(TcpStream, String)>>();
        let mut readers = 0;
        while Instant::now() < deadline {
            while let Ok(line) = pasted.try_recv() {
                let line = line.ok_or_else(ended_by_user)?;
                match self.judge_pasted(expected, &line) {
                    Ok(answer) => return Ok((answer, None)),
                    Err(why) => wrong(&why),
                }
            }
            while let Ok(done) = requests.try_recv() {
                readers -= 1;
                if let Some((stream, head)) = done
                    && let Some(found) = self.judge_request(expected, stream, &head)
                {
                    return Ok(found);
                }
            }
            if readers < READERS_MAX {
                readers += self.accept(&sender);
            }
        }
        Err(Error::new(Code::OAuthFailed, "cannot log in")
            .cause(format!("no answer came back from the browser within {} minutes", limit.as_secs() / 60))
            .hint("if the browser runs on another machine, use `--no-browser` and paste the address that it ends at"))
    }

    /// Takes a connection of each listener, and reads its request in a thread.
    fn accept(&self, sender: &Sender<Option<(TcpStream, String)>>) -> usize {
        let mut polled: Vec<_> = self
            .listeners
            .iter()
            .map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN))
            .collect();
        if poll(&mut polled, PollTimeout::from(LOOK)).unwrap_or(0) == 0 {
            return 0;
        }
        let is_ready = |one: &PollFd<'_>| one.any().unwrap_or(false);
        let ready = polled.iter().map(is_ready).collect::<Vec<_>>();
        let mut taken = 0;
        for (listener, _) in self.listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            if let Ok((stream, _)) = listener.accept() {
                let sender = sender.clone();
                std::thread::spawn(move || sender.send(read_head(stream)));
                taken += 1;
            }
        }
        taken
    }

    fn judge_request(
        &self,
        expected: &ExpectedAnswer,
        stream: TcpStream,
        head: &str,
    ) -> Option<(CallbackAnswer, Option<WaitingPage>)> {
        let page = WaitingPage::new(stream);
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let hosts: Vec<_> = lines
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("host").then(|| value.trim())
            })
            .collect();
        // Another host: a page that made its own name lead here.
        if hosts != [self.redirect.authority().as_str()] {
            page.show("400 Bad Request", "Not for this address", &[]);
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if method != "GET" || path != self.redirect.path() {
            page.show("404 Not Found", "Nothing here", &[]);
            return None;
        }
        match judge(expected, query) {
            Ok(answer) => Some((answer, Some(page))),
            Err(why) => {
                let text = format!("This is not the answer that mcpwrap waits for: {why}.");
                page.show("400 Bad Request", "Not accepted", &[text]);
                None
            }
        }
    }

    /// The same checks for an address that the user pasted.
    fn judge_pasted(
        &self,
        expected: &ExpectedAnswer,
        line: &str,
    ) -> Result<CallbackAnswer, String> {
        let line = line.trim();
        if line.is_empty() {
            return Err("nothing was pasted".to_owned());
        }
        let is_own = |address: &WebAddress| {
            address.origin() == self.redirect.origin() && address.path() == self.redirect.path()
        };
        let address = WebAddress::parse(line).ok().filter(is_own);
        let address = address
            .ok_or_else(|| format!("the address does not start with `{}`", self.redirect()))?;
        let query = address
            .as_str()
            .split_once('?')
            .map_or("", |(_, query)| query);
        judge(expected, query).map_err(str::to_owned)
    }
}

fn ended_by_user() -> Error {
    Error::new(Code::Declined, "not logged in")
        .cause("you ended the input before an address was pasted")
        .hint("run the command again to log in")
}

fn cannot(why: &str) -> Error {
    Error::new(
        Code::OAuthFailed,
        "cannot receive the answer of the browser",
    )
    .cause(why)
}

/// The head of a request; `None` if it is too long or too slow.
fn read_head(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let deadline = Instant::now() + HEAD_LIMIT;
    let mut head = Vec::new();
    let mut bytes = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD_MAX {
            return None;
        }
        stream.set_read_timeout(Some(left)).ok()?;
        let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(bytes.get(..count)?);
    }
    stream.set_write_timeout(Some(HEAD_LIMIT)).ok()?;
    stream.flush().ok()?;
    Some((stream, String::from_utf8(head).ok()?))
}

#[cfg(test)]
mod tests;
