//! Work in several threads: the same for many items that wait for the disk (syncs that run together
//! share a commit of the file system's journal), or two different things.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// More threads share no more commits.
const THREADS_MAX: usize = 32;
/// More threads that compute only wait for memory and the disk.
const COMPUTING_MAX: usize = 4;
/// Fewer items are not worth a thread.
const ITEMS_MIN: usize = 8;

/// Calls `work` for each item, in any order. After a failure it begins no other item.
///
/// # Errors
/// The first failure of `work`.
pub fn for_each<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    in_threads(THREADS_MAX, items, work)
}

/// The same for work that keeps a processor busy: a thread for each.
///
/// # Errors
/// The first failure of `work`.
pub fn compute<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    in_threads(processors.min(COMPUTING_MAX), items, work)
}

/// The results of such work, in the order of the items.
pub fn map<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let numbered: Vec<(usize, &T)> = items.iter().enumerate().collect();
    let one = |(number, item): &(usize, &T)| {
        let result = work(item);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((*number, result));
        Ok::<(), Infallible>(())
    };
    let Ok(()) = compute(&numbered, one);
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The items for which such work says so, in their order.
pub fn filter<T: Sync>(items: Vec<T>, keep: impl Fn(&T) -> bool + Sync) -> Vec<T> {
    let kept = map(&items, keep);
    let items = items.into_iter().zip(kept);
    items
        .filter_map(|(item, keep)| keep.then_some(item))
        .collect()
}

fn in_threads<T: Sync, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let share = || {
        while !stopped.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(error) = work(item) {
                stopped.store(true, Ordering::Relaxed);
                if let Ok(mut failure) = failure.lock() {
                    failure.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..(items.len() / ITEMS_MIN).clamp(1, threads) {
            // Without a thread the others do its share.
            drop(std::thread::Builder::new().spawn_scoped(scope, share));
        }
        share();
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}

/// Does two things at once.
pub fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl Fn() -> B + Sync) -> (A, B) {
    let (first, second) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, &other);
        let first = one();
        (first, thread.ok().and_then(|thread| thread.join().ok()))
    });
    // Without a thread, one after the other.
    (first, second.unwrap_or_else(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once() {
        let done = Mutex::new(vec![0; 1000]);
        let items: Vec<usize> = (0..1000).collect();
        let count = |item: &usize| {
            done.lock().unwrap()[*item] += 1;
            Ok::<(), ()>(())
        };
        assert_eq!(for_each(&items, count), Ok(()));
        assert!(done.into_inner().unwrap().iter().all(|count| *count == 1));
    }

    #[test]
    fn a_failure_stops_and_is_returned() {
        let items: Vec<usize> = (0..100_000).collect();
        let begun = AtomicUsize::new(0);
        let fail = |item: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 5 { Err("five") } else { Ok(()) }
        };
        assert_eq!(for_each(&items, fail), Err("five"));
        assert!(begun.into_inner() < items.len());
    }

    #[test]
    fn results_have_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled: Vec<usize> = items.iter().map(|n| n * 2).collect();
        assert_eq!(map(&items, |n| n * 2), doubled);
    }

    #[test]
    fn two_things_at_once() {
        let (send, receive) = std::sync::mpsc::channel();
        // Each waits for the other one.
        let one = move || receive.recv();
        let other = move || send.send(5).is_ok();
        assert_eq!(both(one, other), (Ok(5), true));
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert_eq!(for_each(&[], |(): &()| Err("called")), Ok(()));
    }
}
