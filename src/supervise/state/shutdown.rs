//! How a server is asked to end, and when it is no longer asked. Pure: times in, steps out.
//!
//! The budgets come from real clients: Claude Code sends KILL 0.5 s after its first signal, the SDKs
//! send TERM 2 s after the end of stdin. So the tree is dead within 400 ms of a signal, and within
//! 1.8 s of the end of stdin.

use std::time::Duration;

use nix::sys::signal::Signal;

/// Why the server has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The client closed our stdin, and the server's was closed.
    EndOfInput,
    /// We got this signal.
    Signal(Signal),
    /// A new server has taken over, and this one has lost its stdin.
    Renewed,
    /// The policy was revoked: no grace.
    Revoked,
}

/// One act of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervise) enum ShutdownStep {
    Signal(Signal),
    /// Everything, now.
    Kill,
}

/// What to do, and how long after the beginning.
pub(super) fn ladder(reason: Reason) -> Vec<(Duration, ShutdownStep)> {
    let at = Duration::from_millis;
    match reason {
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
    fn the_signal_that_came_is_the_first_that_goes() {
        let (at, step) = ladder(Reason::Signal(Signal::SIGHUP))[0];
        assert_eq!(
            (at, step),
            (Duration::ZERO, ShutdownStep::Signal(Signal::SIGHUP))
        );
    }
}
