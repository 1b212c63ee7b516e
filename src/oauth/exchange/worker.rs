//! One exchange, in a process of its own (`mcpwrap __exchange`): a request on stdin, its answer on
//! stdout.
//!
//! Invariants: it has no store, no policy and no environment. What it connects to is what was checked:
//! the resolver returns only permitted addresses. No credentials follow a redirect.

use std::io::{self, Read as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::tls::RootCerts;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Proxy};

use super::wire::{BODY_MAX, FRAME_MAX, WireAnswer, WireRequest};
use super::{ExchangeAnswer, Reach, Whereabouts};
use crate::bridge::channel::{BridgeNetwork, SecretText, receive_up_to, send_up_to};
use crate::files::io_text;
use crate::host;
use crate::host::is_loopback;
use crate::https;
use crate::oauth::address::WebAddress;
use crate::sys::{fds, harden, signal, wall};
use crate::tls_words::TlsWords;

/// The first argument of this program for one exchange.
pub const EXCHANGE: &str = "__exchange";

/// The time limit of an exchange, redirects included.
pub const EXCHANGE_LIMIT: Duration = Duration::from_secs(5);

/// The headers of an answer that are read here.
const HEADERS: &[&str] = &[
    "content-type",
    "location",
    "retry-after",
    "www-authenticate",
];

/// Carries out the exchange on stdin.
pub fn main() -> ExitCode {
    harden::harden();
    fds::close_inherited_on_exec();
    signal::survive_file_limit();
    match exchange() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn exchange() -> io::Result<()> {
    let input = fds::standard(fds::Standard::Input)?;
    let output = fds::standard(fds::Standard::Output)?;
    let request: WireRequest =
        receive_up_to(input, FRAME_MAX)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let answer = match carry_out(&request) {
        Ok(answer) => WireAnswer::Answer(answer),
        Err(fault) => fault,
    };
    send_up_to(output, &answer, FRAME_MAX)
}

fn refused(why: impl Into<String>) -> WireAnswer {
    WireAnswer::Refused(why.into())
}

fn carry_out(request: &WireRequest) -> Result<ExchangeAnswer, WireAnswer> {
    let mut address = WebAddress::parse(request.address.as_str()).map_err(refused)?;
    let roots = https::roots(&request.network.authorities).map_err(WireAnswer::Unreachable)?;
    // Redirects lead to the same port.
    let mut ports = vec![address.port()];
    ports.extend(proxy(&request.network)?.map(|proxy| proxy.port()));
    let refused_wall =
        |error: io::Error| format!("the kernel refused its wall: {}", io_text(&error));
    wall::confine(&ports).map_err(|error| WireAnswer::Unreachable(refused_wall(error)))?;
    let mut redirects = request.redirects;
    loop {
        let route = Route::new(&address, request, &roots)?;
        let answer = route.send(request)?;
        let target = answer.header("location").next().map(str::to_owned);
        let is_redirect = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let Some(target) = target.filter(|_| is_redirect && redirects > 0) else {
            return Ok(answer);
        };
        let next = address
            .join(&target)
            .map_err(|why| refused(format!("redirected: {why}")))?;
        if next.origin() != address.origin() {
            return Err(refused(format!(
                "redirected to another origin, {}",
                next.origin()
            )));
        }
        address = next;
        redirects -= 1;
    }
}

/// How one address is reached.
struct Route {
    agent: Agent,
    address: WebAddress,
    resolver: CheckedResolver,
}

impl Route {
    fn new(
        address: &WebAddress,
        request: &WireRequest,
        roots: &RootCerts,
    ) -> Result<Self, WireAnswer> {
        let is_local = is_loopback(address.host());
        // Nothing of this machine goes through a proxy.
        let proxy = if is_local {
            None
        } else {
            proxy(&request.network)?
        };
        let uri: Uri = address.as_str().parse().map_err(|_| refused("not a URL"))?;
        let is_proxied = proxy.as_ref().is_some_and(|proxy| !proxy.is_no_proxy(&uri));
        let reach = request.reach;
        let resolver = CheckedResolver {
            reach,
            is_https: address.is_https(),
            // The other name that is looked up is the proxy's.
            target: (address.host().to_owned(), address.port()),
            found: Arc::default(),
        };
        if is_proxied {
            // The proxy looks the name up; an address is known here.
            let literal = host::literal(address.host());
            if let Some(place) = literal
                .map(Whereabouts::of)
                .filter(|place| !reach.allows(*place))
            {
                return Err(not_allowed(address.host(), place));
            }
        }
        let config = https::settings(EXCHANGE_LIMIT)
            .https_only(!is_local)
            .proxy(proxy)
            .tls_config(https::tls(roots.clone()))
            .build();
        Ok(Self {
            agent: Agent::with_parts(config, DefaultConnector::default(), resolver.clone()),
            address: address.clone(),
            resolver,
        })
    }

    fn send(&self, request: &WireRequest) -> Result<ExchangeAnswer, WireAnswer> {
        let mut built = Request::builder().uri(self.address.as_str());
        for (name, value) in &request.headers {
            built = built.header(name.as_str(), value.as_str());
        }
        let invalid = |_| refused("a value cannot stand in a header");
        let sent = match &request.body {
            None => self.agent.run(built.body(()).map_err(invalid)?),
            Some(body) => {
                let built = built.method("POST").body(body.as_str().as_bytes());
                self.agent.run(built.map_err(invalid)?)
            }
        };
        let mut answer = sent.map_err(|error| self.fault(error))?;
        let body = self.body(&mut answer)?;
        Ok(ExchangeAnswer {
            status: answer.status().as_u16(),
            headers: read_headers(answer.headers()),
            body,
            whereabouts: self.resolver.place(),
        })
    }

    /// The body; that of a stream, which may never end, is not read.
    fn body(&self, answer: &mut Response<Body>) -> Result<SecretText, WireAnswer> {
        let kind = answer.headers().get("content-type");
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if is_stream {
            return Ok(SecretText::new(String::new()));
        }
        let mut bytes = Vec::new();
        let reader = answer.body_mut().with_config().limit(BODY_MAX + 1).reader();
        let read = reader.take(BODY_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.fault(error.into()))?;
        if bytes.len() as u64 > BODY_MAX {
            return Err(refused("the answer is longer than 1 MiB"));
        }
        // What is not UTF-8 is not JSON either, and the caller says so.
        Ok(SecretText::new(
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    }

    fn fault(&self, error: ureq::Error) -> WireAnswer {
        if let Some(LookedUp::Refused(place)) = self.resolver.found() {
            return not_allowed(self.address.host(), place);
        }
        match error {
            ureq::Error::Io(error) => WireAnswer::Unreachable(
                TlsWords::of_io(&error).map_or_else(|| io_text(&error), |it| it.text.to_owned()),
            ),
            ureq::Error::Rustls(error) => WireAnswer::Unreachable(
                TlsWords::of(&error).map_or_else(|| error.to_string(), |it| it.text.to_owned()),
            ),
            ureq::Error::HostNotFound => WireAnswer::Unreachable("no such host".to_owned()),
            ureq::Error::Timeout(_) => {
                WireAnswer::Unreachable(format!("no answer within {} s", EXCHANGE_LIMIT.as_secs()))
            }
            error => WireAnswer::Unreachable(error.to_string()),
        }
    }
}

fn not_allowed(host: &str, place: Whereabouts) -> WireAnswer {
    refused(format!(
        "`{host}` is {}, where the server itself is not",
        place.words()
    ))
}

fn read_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = HEADERS.iter().flat_map(|name| {
        headers
            .get_all(*name)
            .iter()
            .take(16)
            .map(move |value| (*name, value))
    });
    let text = |(name, value): (&str, &ureq::http::HeaderValue)| {
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    };
    values.filter_map(text).collect()
}

fn proxy(network: &BridgeNetwork) -> Result<Option<Proxy>, WireAnswer> {
    let Some(url) = &network.proxy else {
        return Ok(None);
    };
    let hosts = network.no_proxy.split(',').map(str::trim);
    let hosts: Vec<_> = hosts.filter(|host| !host.is_empty()).collect();
    let proxy = https::proxy_except(url.as_str(), &hosts);
    let invalid = || refused("the approved proxy is not a URL");
    proxy.map(Some).ok_or_else(invalid)
}

/// What the resolver found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookedUp {
    Allowed(Whereabouts),
    Refused(Whereabouts),
}

/// Looks names up, and returns only addresses that may be connected to.
#[derive(Clone, Debug)]
struct CheckedResolver {
    reach: Reach,
    is_https: bool,
    target: (String, u16),
    found: Arc<Mutex<Option<LookedUp>>>,
}

impl CheckedResolver {
    fn found(&self) -> Option<LookedUp> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self) -> Option<Whereabouts> {
        match self.found() {
            Some(LookedUp::Allowed(place)) => Some(place),
            _ => None,
        }
    }

    fn allows(&self, place: Whereabouts) -> bool {
        self.reach.allows(place) && (self.is_https || place == Whereabouts::Loopback)
    }
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = DefaultResolver::default().resolve(uri, config, timeout)?;
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("http") {
                80
            } else {
                443
            });
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if (host, port) != self.target {
            return Ok(all);
        }
        let mut allowed = self.empty();
        let mut place = None;
        let mut wrong = Whereabouts::Public;
        for address in &all {
            let here = Whereabouts::of(address.ip());
            if self.allows(here) {
                place = place.max(Some(here));
                allowed.push(*address);
            } else {
                wrong = wrong.max(here);
            }
        }
        let found = place.map_or(LookedUp::Refused(wrong), LookedUp::Allowed);
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        if place.is_none() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(allowed)
    }
}
