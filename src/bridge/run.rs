//! The life of a bridge: from its settings to the end of stdin or of the channel.
//!
//! Invariant: it ends with its supervisor, with a client that no longer reads, and after the last answer
//! once stdin ended, whatever the server does then.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsConnector;

use super::address::{HttpProxy, ServerOrigin, is_direct};
use super::channel::{self, DESCRIPTOR, Down, Settings, build};
use super::connect::Connector;
use super::credentials::CredentialHolder;
use super::http::HttpClient;
use super::lines::{ClientLines, ClientOutput};
use super::send::Sending;
use super::state::{Bridge, BridgeParts, OpenRequest, say};
use super::{control, requests, trust};
use crate::secret::ServerName;
use crate::sys::{fds, harden, memory, wall};

/// How many lines of the client wait.
const LINES_WAITING: usize = 16;
/// How long the end may take once the last request was answered.
const END_LIMIT: Duration = Duration::from_millis(300);
/// How often the clock and the waiting connections are looked at.
const TICK: Duration = Duration::from_secs(10);
/// The machine slept if its clock moved that much more than the timer.
const JUMP: Duration = Duration::from_secs(5);

/// See [`super::main`].
///
/// # Errors
/// Why there is no bridge, for the user's diagnostics.
pub fn run() -> Result<ExitCode, String> {
    harden::harden();
    memory::give_back_large_blocks();
    let socket = UnixStream::from(
        fds::inherited(DESCRIPTOR).map_err(|_| "it is only started by mcpwrap itself")?,
    );
    let first = channel::receive(&socket).map_err(|_| "its settings are invalid")?;
    let Some(Down::Start(settings)) = first else {
        return Err("it got no settings".to_owned());
    };
    if settings.build != build() {
        return Err("mcpwrap was replaced while it ran; reconnect the server".to_owned());
    }
    let origin = settings.origin.parse().ok();
    let origin = origin
        .and_then(|url| ServerOrigin::of(&url))
        .ok_or("the server's origin is invalid")?;
    let server = ServerName::new(&settings.server).map_err(|error| error.what)?;
    let proxy = proxy(&settings, &origin)?;
    let needs_tls = origin.is_tls || proxy.as_ref().is_some_and(|proxy| proxy.origin.is_tls);
    let tls = if needs_tls {
        Some(trust::tls(&settings.network.authorities)?)
    } else {
        None
    };
    // The authorities are loaded, and nothing was sent yet.
    let port = proxy
        .as_ref()
        .map_or(origin.port, |proxy| proxy.origin.port);
    wall::confine(&[port]).map_err(|error| format!("the kernel refused its wall: {error}"))?;
    let connector = Connector {
        origin,
        proxy,
        tls: tls.map(|config: Arc<ClientConfig>| TlsConnector::from(config)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let code = LocalSet::new()
        .block_on(&runtime, live(settings, server, connector, socket))
        .map_err(|error| error.to_string())?;
    // A name that is being resolved does not hold up the end.
    runtime.shutdown_background();
    Ok(code)
}

fn proxy(settings: &Settings, origin: &ServerOrigin) -> Result<Option<HttpProxy>, String> {
    let url = settings.network.proxy.as_ref();
    let url = url.filter(|_| !is_direct(origin, &settings.network.no_proxy));
    url.map(|url| {
        HttpProxy::parse(url.as_str())
            .ok_or_else(|| "the approved proxy is not supported".to_owned())
    })
    .transpose()
}

async fn live(
    settings: Settings,
    server: ServerName,
    connector: Connector,
    socket: UnixStream,
) -> std::io::Result<ExitCode> {
    socket.set_nonblocking(true)?;
    let (reader, writer) = tokio::net::UnixStream::from_std(socket)?.into_split();
    let (up, reports) = mpsc::unbounded_channel();
    spawn_local(control::send(writer, reports));
    let mut input = ClientLines::new(fds::standard(fds::Standard::Input)?)?;
    let (output, write) = ClientOutput::new(fds::standard(fds::Standard::Output)?)?;
    let mut written = spawn_local(write);
    let credentials =
        CredentialHolder::new(connector.origin.clone(), &settings.credentials, up.clone());
    let bridge = Bridge::new(BridgeParts {
        server,
        transport: settings.transport,
        http: HttpClient::new(connector),
        credentials,
        output,
        up,
    });
    let mut controlled = spawn_local(control::receive(Rc::clone(&bridge), reader));
    spawn_local(watch(Rc::clone(&bridge)));
    let (sender, lines) = mpsc::channel(LINES_WAITING);
    let mut dispatched = spawn_local(requests::dispatch(Rc::clone(&bridge), lines));
    let mut read = spawn_local(async move {
        while let Ok(Some(line)) = input.next().await {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    let is_input_over = tokio::select! {
        // Nothing more is sent with credentials that nobody answers for.
        _ = &mut controlled => return Ok(ExitCode::SUCCESS),
        _ = &mut written => false,
        _ = &mut read => true,
    };
    if is_input_over {
        let answered = async {
            // What was read before the end is still sent, and scripts wait for its answers.
            drop((&mut dispatched).await);
            bridge.is_drained().await;
        };
        tokio::select! {
            () = answered => {}
            _ = &mut controlled => return Ok(ExitCode::SUCCESS),
            _ = &mut written => {}
        }
    }
    drop(timeout(END_LIMIT, bridge.end_session()).await);
    Ok(ExitCode::SUCCESS)
}

/// Whether the machine slept in between: its clock went on, its timer did not.
fn has_slept(last: (SystemTime, Instant), now: (SystemTime, Instant)) -> bool {
    let clock = now.0.duration_since(last.0).unwrap_or_default();
    clock > now.1.duration_since(last.1) + JUMP
}

/// Notices that the machine slept: its connections are dead, and nobody says so.
async fn watch(bridge: Rc<Bridge>) {
    let mut ticks = interval(TICK);
    let mut last = (SystemTime::now(), Instant::now());
    loop {
        ticks.tick().await;
        let now = (SystemTime::now(), Instant::now());
        if has_slept(last, now) {
            say(&format!(
                "mcpwrap: server `{}`: the machine slept, its connections are opened again",
                bridge.server
            ));
            bridge.http.close_idle();
            bridge.woke.notify_waiters();
        }
        bridge.http.prune();
        last = now;
    }
}

impl Bridge {
    /// Waits until every request is answered, but for cancelled ones, and subscriptions, which stay open by
    /// design.
    async fn is_drained(&self) {
        loop {
            let closed = self.closed.notified();
            let is_waiting = |open: &OpenRequest| !open.is_subscription && !open.is_cancelled;
            if !self.open.borrow().values().any(is_waiting) {
                return;
            }
            closed.await;
        }
    }

    /// Tells the server that its session is over.
    async fn end_session(&self) {
        self.stop_push();
        if self.legacy.borrow().id.is_some() {
            // Whatever it answers: this process exits.
            drop(self.send(&Sending::End, &self.session_headers()).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_ahead_of_the_timer_is_a_sleep() {
        let start = (SystemTime::now(), Instant::now());
        let after = |clock: u64, timer: u64| {
            let (clock, timer) = (Duration::from_secs(clock), Duration::from_secs(timer));
            (start.0 + clock, start.1 + timer)
        };
        for (clock, timer, slept) in [
            (10, 10, false),
            (14, 10, false),
            (16, 10, true),
            (3600, 2, true),
            // A busy machine, which is late by both.
            (60, 60, false),
        ] {
            assert_eq!(
                has_slept(start, after(clock, timer)),
                slept,
                "{clock} {timer}"
            );
        }
        // The clock was set back.
        let back = (start.0 - Duration::from_mins(1), start.1 + TICK);
        assert!(!has_slept(start, back));
    }
}
