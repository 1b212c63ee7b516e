//! Asks package registries for several things at once.
//!
//! Invariants: what is equal is asked once; a registry that does not answer is not asked again, and
//! takes only a part of the threads, so that it holds up nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{CauseKind, Result};
use crate::package::{self, Registry};

/// How many jobs run at once. A package client waits for its registry half of the time.
const THREADS_MAX: usize = 6;
/// How many of them ask one registry.
const PER_REGISTRY_MAX: usize = 4;
/// How often time passes.
const TICK: Duration = Duration::from_millis(200);

/// Something that a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryJob {
    /// Equal for what has the same answer.
    pub key: String,
    /// Equal for what comes from the same registry.
    pub registry: String,
}

impl RegistryJob {
    /// The job of what a command starts.
    pub fn new(key: String, command: &[String]) -> Self {
        let launch = package::parse(command);
        // The user's settings give each npm scope its own registry.
        let scope = launch
            .package
            .as_deref()
            .and_then(|name| name.split_once('/'))
            .filter(|_| launch.registry == Registry::Npm)
            .map_or("", |(scope, _)| scope);
        let options = launch.options.iter();
        let named: Vec<_> = options
            .filter(|(name, _)| name.contains("registry") || name.contains("index") || name == "-i")
            .collect();
        Self {
            key,
            registry: format!("{:?} {scope} {named:?}", launch.registry),
        }
    }
}

/// What the caller is told.
#[derive(Debug)]
pub enum JobEvent<T> {
    /// The answer for the item at this index. `None`: it was not asked for, because its registry did
    /// not answer for another one.
    Done(usize, Option<Result<T>>),
    /// Time has passed.
    Tick,
}

/// Does `work` for each item and calls `each` in this thread. After `Break` no other one begins;
/// those that have begun end first.
pub fn for_each<I: Sync, T: Clone + Send>(
    items: &[I],
    job: impl Fn(&I) -> RegistryJob,
    work: impl Fn(&I) -> Result<T> + Sync,
    each: &mut dyn FnMut(JobEvent<T>) -> ControlFlow<()>,
) {
    let queue = Queue::new(&items.iter().map(job).collect::<Vec<_>>());
    let work = |at: usize| items.get(at).map(&work);
    let (send, done) = channel();
    let share = |send: Sender<(usize, Option<Result<T>>)>| {
        while let Some(group) = queue.take() {
            queue.work(&group, work, &send);
            queue.give_back(&group);
        }
    };
    std::thread::scope(|scope| {
        let threads = (0..items.len().min(THREADS_MAX)).filter(|_| {
            let (send, share) = (send.clone(), &share);
            let begun = std::thread::Builder::new().spawn_scoped(scope, move || share(send));
            begun.is_ok()
        });
        if threads.count() == 0 {
            share(send.clone());
        }
        drop(send);
        loop {
            let event = match done.recv_timeout(TICK) {
                Ok((at, result)) => JobEvent::Done(at, result),
                Err(RecvTimeoutError::Timeout) => JobEvent::Tick,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if each(event).is_break() {
                queue.clear();
            }
        }
    });
}

/// Jobs with the same answer.
#[derive(Debug)]
struct Group {
    key: String,
    registry: String,
    members: Vec<usize>,
}

/// The groups that nobody has taken yet.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    /// A group was given back, so another one of its registry may be taken.
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    groups: Vec<Group>,
    /// How many groups of each registry are being installed.
    busy: BTreeMap<String, usize>,
    /// The registries that did not answer.
    silent: BTreeSet<String>,
}

impl Queue {
    fn new(jobs: &[RegistryJob]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (at, job) in jobs.iter().enumerate() {
            let known = groups.iter_mut().find(|group| group.key == job.key);
            match known {
                Some(group) => group.members.push(at),
                None => groups.push(Group {
                    key: job.key.clone(),
                    registry: job.registry.clone(),
                    members: vec![at],
                }),
            }
        }
        Self {
            state: Mutex::new(QueueState {
                groups,
                ..QueueState::default()
            }),
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works for the first member; the others get the same answer.
    fn work<T: Clone>(
        &self,
        group: &Group,
        work: impl Fn(usize) -> Option<Result<T>>,
        send: &Sender<(usize, Option<Result<T>>)>,
    ) {
        let mut answer: Option<T> = None;
        for at in group.members.iter().copied() {
            let result = match &answer {
                Some(answer) => Some(Ok(answer.clone())),
                None if self.is_silent(&group.registry) => None,
                None => work(at),
            };
            let unreachable = |result: &Result<T>| {
                let error = result.as_ref().err();
                error.is_some_and(|error| error.is(CauseKind::Unreachable))
            };
            let result = match result {
                // Told once.
                Some(result) if unreachable(&result) && !self.silence(&group.registry) => None,
                other => other,
            };
            if let Some(Ok(value)) = &result {
                answer = Some(value.clone());
            }
            // The receiver lives until all threads have ended.
            drop(send.send((at, result)));
        }
    }

    /// The next group whose registry has a thread left; waits for one. `None` if all are taken.
    fn take(&self) -> Option<Group> {
        let mut state = self.state();
        while !state.groups.is_empty() {
            let has_room = |group: &Group| {
                state.busy.get(&group.registry).copied().unwrap_or(0) < PER_REGISTRY_MAX
            };
            if let Some(at) = state.groups.iter().position(has_room) {
                let group = state.groups.remove(at);
                *state.busy.entry(group.registry.clone()).or_default() += 1;
                return Some(group);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn give_back(&self, group: &Group) {
        if let Some(busy) = self.state().busy.get_mut(&group.registry) {
            *busy -= 1;
        }
        self.changed.notify_all();
    }

    fn clear(&self) {
        self.state().groups.clear();
        self.changed.notify_all();
    }

    fn is_silent(&self, registry: &str) -> bool {
        self.state().silent.contains(registry)
    }

    /// Notes that a registry did not answer; whether that is new.
    fn silence(&self, registry: &str) -> bool {
        self.state().silent.insert(registry.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    fn jobs(commands: &[&str]) -> Vec<RegistryJob> {
        let job = |command: &&str| {
            let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
            RegistryJob::new((*command).to_owned(), &words)
        };
        commands.iter().map(job).collect()
    }

    #[test]
    fn equal_jobs_are_done_once() {
        let asked = Mutex::new(Vec::new());
        let work = |at: usize| {
            asked.lock().unwrap().push(at);
            Ok(at)
        };
        let mut answers = BTreeMap::new();
        let items: Vec<_> = jobs(&["npx a", "npx b", "npx a"])
            .into_iter()
            .zip(0..)
            .collect();
        for_each(
            &items,
            |item| item.0.clone(),
            |item| work(item.1),
            &mut |event| {
                if let JobEvent::Done(at, result) = event {
                    answers.insert(at, result.unwrap().unwrap());
                }
                ControlFlow::Continue(())
            },
        );
        assert_eq!(answers, BTreeMap::from([(0, 0), (1, 1), (2, 0)]));
        assert_eq!(asked.into_inner().unwrap().len(), 2);
    }

    #[test]
    fn one_registry_does_not_take_all_threads() {
        let commands = [
            "npx a", "npx b", "npx c", "npx d", "npx e", "uvx f", "npx @s/g",
        ];
        let queue = Queue::new(&jobs(&commands));
        let taken: Vec<_> = (0..6).filter_map(|_| queue.take()).collect();
        let members: Vec<_> = taken.iter().map(|group| group.members[0]).collect();
        assert_eq!(members, [0, 1, 2, 3, 5, 6]);
        queue.give_back(&taken[0]);
        assert_eq!(queue.take().unwrap().members, [4]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_registry_that_does_not_answer_is_told_once() {
        let work = |_: &RegistryJob| -> Result<()> {
            let error = Error::new(Code::PackageFailed, "x");
            Err(error.cause_of(CauseKind::Unreachable, "no answer"))
        };
        let mut told = 0;
        for_each(
            &jobs(&["npx a", "npx b", "npx c", "npx d"]),
            RegistryJob::clone,
            work,
            &mut |event| {
                told += usize::from(matches!(event, JobEvent::Done(_, Some(Err(_)))));
                ControlFlow::Continue(())
            },
        );
        assert_eq!(told, 1);
    }
}
