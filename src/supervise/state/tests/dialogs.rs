//! A preparation that waits for the user.

use std::time::Duration;

use super::world::{ModelGate, ModelWorld};
use crate::error::{Code, EXIT_REFUSED};
use crate::supervise::state::KeeperEvent;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn a_dialog_is_reported_to_the_client_and_still_waited_for() {
    let mut world = ModelWorld::new(false);
    world.waits_for = Some(Code::StoreWaiting);
    world.tell(KeeperEvent::Start);
    world.wait(MS(7_500));
    assert_eq!(world.suspensions(), [Code::StoreWaiting]);
    world.wait(MS(60_000));
    assert_eq!(world.suspensions(), [Code::StoreWaiting]);
    world.prepare(true);
    world.resend();
    assert_eq!(world.gate, ModelGate::Open(1));
}

#[test]
fn a_terminal_waits_for_a_dialog() {
    let mut world = ModelWorld::new(true);
    world.waits_for = Some(Code::StoreWaiting);
    world.tell(KeeperEvent::Start);
    world.wait(MS(20_000));
    assert_eq!((world.exit, world.suspensions()), (None, vec![]));
    world.waits_for = None;
    world.wait(MS(7_500));
    assert_eq!(world.exit, Some(EXIT_REFUSED));
}
