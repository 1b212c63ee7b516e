//! Runs each exchange in a process of its own.

use std::io;
use std::process::Child;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::wire::{FRAME_MAX, WireAnswer, WireRequest};
use super::worker::{EXCHANGE, EXCHANGE_LIMIT};
use super::{Exchange, ExchangeAnswer, ExchangeRequest};
use crate::bridge::channel::{BridgeNetwork, SecretText, receive_up_to, send_up_to};
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::io_text;
use crate::sys::spawn;

/// How much longer than its own limit the process may take: it starts, and reads certificates.
const PROCESS_GRACE: Duration = Duration::from_secs(1);

/// Exchanges through the approved network settings.
#[derive(Clone, Debug, Default)]
pub struct ProcessExchange {
    network: BridgeNetwork,
}

impl ProcessExchange {
    pub fn new(network: BridgeNetwork) -> Self {
        Self { network }
    }
}

impl Exchange for ProcessExchange {
    fn send(&self, request: &ExchangeRequest) -> Result<ExchangeAnswer> {
        let what = || format!("cannot ask `{}`", request.address.authority());
        let wire = WireRequest {
            address: SecretText::new(request.address.as_str().to_owned()),
            headers: request.headers.clone(),
            body: request.body.clone(),
            reach: request.reach,
            redirects: request.redirects,
            network: self.network.clone(),
        };
        match ask(wire) {
            Ok(WireAnswer::Answer(answer)) => Ok(answer),
            Ok(WireAnswer::Unreachable(why)) => Err(Error::new(Code::OAuthUnreachable, what())
                .cause_of(CauseKind::Unreachable, why)
                .hint(
                    "check the network; only network settings that `mcpwrap config network` approved are used",
                )),
            Ok(WireAnswer::Refused(why)) => Err(Error::new(Code::OAuthFailed, what())
                .cause(why)
                .hint("check `url`, `[oauth]` and `[mint]` in the policy")),
            Err(error) => Err(Error::new(Code::OAuthUnreachable, what())
                .cause_of(CauseKind::Unreachable, io_text(&error))
                .hint("try again in a few seconds")),
        }
    }
}

/// Starts the process, and ends it when it takes too long.
fn ask(wire: WireRequest) -> io::Result<WireAnswer> {
    let mut child = spawn::own(&[EXCHANGE.as_ref()], &[])?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return end(child, Err(io::ErrorKind::BrokenPipe.into()));
    };
    let (sender, answer) = channel();
    std::thread::spawn(move || {
        let asked = send_up_to(input, &wire, FRAME_MAX);
        let answer = asked.and_then(|()| receive_up_to(output, FRAME_MAX));
        // The caller may have given up.
        drop(sender.send(answer));
    });
    let late = || io::Error::from(io::ErrorKind::TimedOut);
    let answer = answer
        .recv_timeout(EXCHANGE_LIMIT + PROCESS_GRACE)
        .map_err(|_| late());
    let answer = answer
        .and_then(|answer| answer)
        .and_then(|answer| answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    end(child, answer)
}

fn end(mut child: Child, answer: io::Result<WireAnswer>) -> io::Result<WireAnswer> {
    // It has nothing left to do.
    drop(child.kill());
    drop(child.wait());
    answer
}
