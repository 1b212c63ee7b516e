//! Starts a server as a client does, with `mcpwrap run`, and lists its tools.
//!
//! Invariant: memory and time are bounded, whatever the server answers.

pub mod child;
mod fault;
mod one;
pub mod session;
mod several;
mod talk;
mod terms;
mod tools;

use crate::dirs::Dirs;
use crate::policy::{Policy, Renew};
use crate::supervise::find;
use crate::supervise::running::Running;

pub use self::one::{Trial, run};
pub use self::several::several;
pub use self::terms::{AGAIN, CLIENT, OfferedTool, TrialOrder};

/// Tests the server of a policy; through its session, if it cannot run twice.
pub fn of_policy(dirs: &Dirs, policy: &Policy, order: &TrialOrder) -> Trial {
    match only_one(dirs, policy) {
        Some(running) => session::ask(&running, order),
        None => run(order),
    }
}

/// The run of a server that holds a port or a lock, and so cannot run twice.
fn only_one(dirs: &Dirs, policy: &Policy) -> Option<Running> {
    let runs = || find::by_socket(dirs, true).into_iter();
    let is_this = |one: &Running| one.server == policy.server;
    let is_single = policy.session.renew == Renew::StopFirst;
    is_single.then(|| runs().find(is_this)).flatten()
}
