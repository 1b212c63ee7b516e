//! What is sent with each request, and what happens when the server refuses it.
//!
//! Invariants: a generation is reported as refused once; a request waits for a newer one for a limited
//! time; nothing here is printed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::address::ServerOrigin;
use super::channel::{CHALLENGE_LIMIT, Credentials, Rejection, Up};
use super::fault::BridgeFault;
use crate::session::envelope::Id;

/// How long a refused request waits for a newer generation.
const WAIT_LIMIT: Duration = Duration::from_secs(8);
/// The longest ID that is reported (bytes).
const ID_LIMIT: usize = 1024;

/// One generation, ready for requests.
pub struct ReadyCredentials {
    pub generation: u64,
    pub url: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub renewable: bool,
}

impl ReadyCredentials {
    /// # Errors
    /// A value cannot be sent, or belongs to another origin.
    fn new(credentials: &Credentials, origin: &ServerOrigin) -> Result<Self, &'static str> {
        let text = credentials.url.as_str();
        let (text, _) = text.split_once('#').unwrap_or((text, ""));
        let url: Uri = text.parse().map_err(|_| "the server's URL is not valid")?;
        if ServerOrigin::of(&url).as_ref() != Some(origin) {
            return Err("the server's URL belongs to another origin");
        }
        let mut headers = Vec::new();
        for (name, value) in &credentials.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| "the name of a header is not valid")?;
            let mut value = HeaderValue::from_str(value.as_str())
                .or_else(|_| HeaderValue::from_bytes(value.as_str().as_bytes()))
                .map_err(|_| "the value of a header is not valid")?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Self {
            generation: credentials.generation,
            url,
            headers,
            renewable: credentials.renewable,
        })
    }
}

struct Held {
    current: Result<Rc<ReadyCredentials>, &'static str>,
    generation: u64,
    /// There is no newer generation than this one, and why.
    refused: Option<(u64, BridgeFault)>,
    /// The newest generation that was reported.
    reported: Option<u64>,
}

/// The credentials at hand.
pub struct CredentialHolder {
    origin: ServerOrigin,
    held: RefCell<Held>,
    changed: Notify,
    up: mpsc::UnboundedSender<Up>,
}

impl CredentialHolder {
    pub fn new(origin: ServerOrigin, first: &Credentials, up: mpsc::UnboundedSender<Up>) -> Self {
        let held = Held {
            current: ReadyCredentials::new(first, &origin).map(Rc::new),
            generation: first.generation,
            refused: None,
            reported: None,
        };
        Self {
            origin,
            held: RefCell::new(held),
            changed: Notify::new(),
            up,
        }
    }

    /// What the next request is sent with.
    ///
    /// # Errors
    /// Why nothing can be sent.
    pub fn current(&self) -> Result<Rc<ReadyCredentials>, BridgeFault> {
        let current = self.held.borrow().current.clone();
        current.map_err(|why| {
            BridgeFault::refused(why).hint("check `url` and `[headers]` in the policy")
        })
    }

    /// Takes a newer generation.
    pub fn replace(&self, newer: &Credentials) {
        {
            let mut held = self.held.borrow_mut();
            if newer.generation <= held.generation {
                return;
            }
            held.generation = newer.generation;
            held.current = ReadyCredentials::new(newer, &self.origin).map(Rc::new);
        }
        self.changed.notify_waiters();
    }

    /// There is no newer generation.
    pub fn refuse(&self, generation: u64, fault: BridgeFault) {
        self.held.borrow_mut().refused = Some((generation, fault));
        self.changed.notify_waiters();
    }

    /// Waits until there is another generation than this one.
    pub async fn newer_than(&self, generation: u64) {
        loop {
            let changed = self.changed.notified();
            if self.held.borrow().generation > generation {
                return;
            }
            changed.await;
        }
    }

    /// Reports that a request waits for newer credentials.
    pub fn report_request(&self, generation: u64, id: &Id) {
        let id = id.as_bytes();
        if id.len() <= ID_LIMIT
            && let Ok(id) = str::from_utf8(id)
        {
            let id = id.to_owned();
            // Without a supervisor this process is about to exit.
            crate::sys::ignore(self.up.send(Up::RequestRefused { generation, id }));
        }
    }

    /// Reports a refused generation, once.
    pub fn report(&self, generation: u64, status: u16, challenge: Vec<String>) {
        {
            let mut held = self.held.borrow_mut();
            if held.reported.is_some_and(|reported| reported >= generation) {
                return;
            }
            held.reported = Some(generation);
        }
        // Without a supervisor this process is about to exit.
        crate::sys::ignore(self.up.send(Up::Rejected(Rejection {
            generation,
            status,
            challenge,
        })));
    }

    /// Waits for a newer generation than a refused one.
    ///
    /// # Errors
    /// There is none, and why.
    pub async fn renewed(&self, generation: u64) -> Result<(), BridgeFault> {
        let decided = async {
            loop {
                let changed = self.changed.notified();
                {
                    let held = self.held.borrow();
                    // First: after a passing fault, the same credentials come under a new number.
                    if let Some((of, fault)) = &held.refused
                        && *of >= generation
                    {
                        return Err(fault.clone());
                    }
                    if held.generation > generation {
                        return Ok(());
                    }
                }
                changed.await;
            }
        };
        timeout(WAIT_LIMIT, decided).await.unwrap_or_else(|_| {
            Err(BridgeFault::refused(
                "the server refused the credentials, and no newer ones arrived in time",
            )
            .hint("try again"))
        })
    }
}

/// The challenges of an answer, one per header line, cut at the limit of the channel.
pub fn challenges(headers: &hyper::HeaderMap) -> Vec<String> {
    let mut room = CHALLENGE_LIMIT;
    let mut lines = Vec::new();
    for value in headers.get_all(hyper::header::WWW_AUTHENTICATE) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (line, _) = text.split_at(end);
        if line.is_empty() {
            break;
        }
        room -= line.len();
        lines.push(line.to_owned());
    }
    lines
}

/// Whether a 403 is about the credentials, and not about what they may do in general.
pub fn asks_for_others(challenges: &[String]) -> bool {
    let named = |text: &str| challenges.iter().any(|line| line.contains(text));
    named("insufficient_scope") || named("invalid_token")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::channel::SecretText;

    fn credentials(generation: u64, url: &str) -> Credentials {
        Credentials {
            generation,
            url: SecretText::new(url.to_owned()),
            headers: vec![("Authorization".into(), SecretText::new("Bearer x".into()))],
            renewable: true,
        }
    }

    #[test]
    fn only_newer_generations_of_the_same_origin_count() {
        let url = "https://a.example/mcp?key=1#part";
        let origin = ServerOrigin::of(&"https://a.example".parse().unwrap()).unwrap();
        let (up, mut sent) = mpsc::unbounded_channel();
        let holder = CredentialHolder::new(origin, &credentials(3, url), up);
        assert_eq!(holder.current().unwrap().url.path(), "/mcp");
        holder.replace(&credentials(3, "https://a.example/old"));
        assert_eq!(holder.current().unwrap().url.path(), "/mcp");
        holder.replace(&credentials(4, "https://b.example/mcp"));
        assert!(holder.current().is_err());
        holder.report(4, 401, Vec::new());
        holder.report(4, 401, Vec::new());
        holder.report(3, 401, Vec::new());
        assert!(sent.try_recv().is_ok() && sent.try_recv().is_err());
    }

    #[test]
    fn challenges_are_cut() {
        let mut headers = hyper::HeaderMap::new();
        let name = hyper::header::WWW_AUTHENTICATE;
        headers.append(&name, "Bearer error=\"invalid_token\"".parse().unwrap());
        headers.append(&name, "é".repeat(CHALLENGE_LIMIT).parse().unwrap());
        headers.append(&name, "Basic".parse().unwrap());
        let lines = challenges(&headers);
        assert!(asks_for_others(&lines));
        assert!(lines.iter().map(String::len).sum::<usize>() <= CHALLENGE_LIMIT);
        assert!(!asks_for_others(&["Bearer error=\"x\"".to_owned()]));
    }
}
