//! The steps that end a server, and their times. Pure.
//!
//! The limits follow real clients: Claude Code sends KILL 0.5 s after its first signal, the SDKs
//! send TERM 2 s after the end of stdin. So the process tree is dead within 400 ms of a signal, and
//! within 1.8 s of the end of stdin or of the last answer that the client waits for after it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::limits::LAST_ANSWERS_LIMIT;

/// Why a server is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The client closed our stdin and reads on, because requests are open: the server's stdin was
    /// closed, and it has the time that it needs.
    LastAnswers,
    /// The client closed our stdin and waits for nothing, or is gone.
    EndOfInput,
    /// This process got this signal.
    Signal(Signal),
    /// A new server has taken over; the stdin of this one was closed.
    Renewed,
    /// The policy was revoked: no grace period.
    Revoked,
}

/// One step to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ShutdownStep {
    Signal(Signal),
    /// Kill all processes now.
    Kill,
}

/// The steps, each with its time after the beginning.
pub(super) fn ladder(reason: Reason) -> Vec<(Duration, ShutdownStep)> {
    let at = Duration::from_millis;
    match reason {
        Reason::LastAnswers => vec![(LAST_ANSWERS_LIMIT, ShutdownStep::Kill)],
        Reason::EndOfInput => {
            vec![
                (at(1200), ShutdownStep::Signal(Signal::SIGTERM)),
                (at(1500), ShutdownStep::Kill),
            ]
        }
        Reason::Signal(Signal::SIGTERM) => {
            vec![
                (at(0), ShutdownStep::Signal(Signal::SIGTERM)),
                (at(250), ShutdownStep::Kill),
            ]
        }
        Reason::Signal(signal) => vec![
            (at(0), ShutdownStep::Signal(signal)),
            (at(150), ShutdownStep::Signal(Signal::SIGTERM)),
            (at(250), ShutdownStep::Kill),
        ],
        Reason::Renewed => {
            vec![
                (at(1000), ShutdownStep::Signal(Signal::SIGTERM)),
                (at(2000), ShutdownStep::Kill),
            ]
        }
        Reason::Revoked => vec![(at(0), ShutdownStep::Kill)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ladder_ends_with_a_kill_within_its_budget() {
        let case = |reason, budget_ms| {
            let steps = ladder(reason);
            assert!(steps.is_sorted_by_key(|(at, _)| *at));
            let (at, step) = *steps.last().unwrap();
            assert_eq!(step, ShutdownStep::Kill);
            assert!(at < Duration::from_millis(budget_ms), "{reason:?}");
        };
        case(Reason::EndOfInput, 1800);
        case(Reason::Signal(Signal::SIGINT), 400);
        case(Reason::Signal(Signal::SIGTERM), 400);
        case(Reason::Revoked, 1);
    }

    #[test]
    fn the_received_signal_is_forwarded_first() {
        let (at, step) = ladder(Reason::Signal(Signal::SIGHUP))[0];
        assert_eq!(
            (at, step),
            (Duration::ZERO, ShutdownStep::Signal(Signal::SIGHUP))
        );
    }
}
