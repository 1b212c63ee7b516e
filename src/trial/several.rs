//! Tests several servers, a few at a time, within one time limit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::one::{self, Trial};
use super::terms::TrialOrder;

/// How many servers run at the same time.
const AT_ONCE: usize = 4;

/// Tests the servers within the limit. `done` is called for each that was tested; the rest was not
/// started in time.
pub fn several(
    orders: &[TrialOrder],
    limit: Duration,
    done: impl FnMut(&TrialOrder, Trial) + Send,
) {
    let deadline = Instant::now() + limit;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(done);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(orders.len()) {
            scope.spawn(|| {
                while let Some(order) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return;
                    }
                    let timeout = order.timeout.min(left);
                    let trial = one::run(&TrialOrder {
                        timeout,
                        ..order.clone()
                    });
                    if let Ok(mut done) = done.lock() {
                        done(order, trial);
                    }
                }
            });
        }
    });
}
