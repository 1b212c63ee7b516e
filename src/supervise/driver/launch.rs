//! Starts new servers, from the preparation to the end of the handshake.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::Driver;
use crate::error::{Code, Error, Result};
use crate::launch::start::{self, ExecCommand, WaitingGuard};
use crate::supervise::bridge::BridgeLink;
use crate::supervise::generation::Generation;
use crate::supervise::pipeline::{Fact, Target};
use crate::supervise::shared::Notice;
use crate::supervise::state::{Handshake, KeeperEvent};
use crate::sys::spawn;

impl Driver {
    /// Begins to prepare a server. The result comes as an event, except if the thread cannot start.
    pub(super) fn prepare(&mut self, attempt: u32, is_fresh: bool) -> Option<KeeperEvent> {
        // Before the thread, which would take the processor on which it starts.
        let guard = self.first_guard.take();
        let guard = guard.or_else(|| WaitingGuard::start(&self.label).ok());
        self.waiting = guard.map(|guard| (attempt, guard));
        let (pipeline, shared) = (Arc::clone(&self.pipeline), Arc::clone(&self.shared));
        let prepare = move || {
            let result = pipeline.prepare(is_fresh).map(Box::new);
            shared.post(Notice::Prepared { attempt, result });
        };
        let begun = std::thread::Builder::new()
            .name("prepare".to_owned())
            .spawn(prepare);
        let result = Err(self.not_started("cannot create a thread", &begun.err()?));
        Some(KeeperEvent::Prepared { attempt, result })
    }

    /// Ends the guard that waits for this preparation.
    pub(super) fn end_waiting(&mut self, attempt: u32) {
        self.waiting.take_if(|(of, _)| *of == attempt);
    }

    pub(super) fn drop_prepared(&mut self, attempt: u32) {
        self.end_waiting(attempt);
        drop(self.prepared.remove(&attempt));
    }

    fn not_started(&self, why: &str, error: &std::io::Error) -> Error {
        Error::new(Code::LaunchFailed, why)
            .not_started(&self.label.server)
            .cause(crate::files::io_text(error))
    }

    /// Records the launch. While the record waits for the disk, the masker is made, and a guard starts if none waits.
    pub(super) fn record_launch(&mut self, attempt: u32, generation: u32) -> Result<()> {
        let waiting = self.waiting.take_if(|(of, _)| *of == attempt);
        let prepared = self.prepared.get(&attempt);
        let prepared = prepared.ok_or_else(|| self.nothing_prepared())?;
        let guard = waiting.map(|(_, guard)| guard);
        self.begun = Some(self.begin(attempt, guard, &prepared.env));
        let client = self.shared.lock().session.client().clone();
        self.pipeline.record_launch(prepared, generation, &client)
    }

    fn nothing_prepared(&self) -> Error {
        self.not_started(
            "no preparation has completed",
            &std::io::ErrorKind::NotFound.into(),
        )
    }

    /// Starts a server and sends the handshake.
    pub(super) fn launch(&mut self, attempt: u32, generation: u32) -> Result<Handshake> {
        let prepared = self.prepared.remove(&attempt);
        let prepared = prepared.ok_or_else(|| self.nothing_prepared())?;
        let (program, directory, bridge) = match &prepared.target {
            Target::Program { program, directory } => {
                (program.path.clone(), directory.as_path(), None)
            }
            Target::Remote {
                settings,
                token_expires,
            } => {
                let open = || Ok((spawn::own_program()?, BridgeLink::open(settings.clone())?));
                let (program, mut bridge) =
                    open().map_err(|error| self.not_started("cannot create its bridge", &error))?;
                bridge.0.set_token(*token_expires, self.shared.heard());
                (program, Path::new("/"), Some(bridge))
            }
        };
        let (bridge, channel) = bridge.unzip();
        let command = ExecCommand {
            label: &self.label,
            arguments: prepared.env.arguments(),
            program: &program,
            directory,
            fence: prepared.policy.fence,
        };
        let mut begun = self.begun.take().filter(|begun| begun.attempt == attempt);
        let guard = begun.as_mut().and_then(|begun| begun.guard.take());
        let channel = channel.map(OwnedFd::from);
        let server = start::launch(&command, &prepared.env, guard, channel)?;
        self.pipeline.record(&Fact::Launched {
            generation,
            pid: server.pid,
            has_group: server.has_group,
        });
        let masker = begun.and_then(|begun| self.finish_masker(begun));
        self.use_masker(masker.unwrap_or_else(|| self.masker(prepared.env.values())));
        self.shared.lock().session.nominate(generation);
        let (shared, pipeline) = (&self.shared, &self.pipeline);
        let server = Generation::new(generation, server, *prepared, bridge, shared, pipeline)
            .map_err(|error| self.not_started("cannot create its threads", &error))?;
        let handshake = self.shared.lock().session.handshake(generation);
        let sent = match handshake {
            Some(line) => {
                server.write(line, &self.shared);
                Handshake::Sent
            }
            None => Handshake::NotNeeded,
        };
        self.generations.push(server);
        Ok(sent)
    }

    /// Sends the lines after the handshake; returns `Replayed` if no answer is expected.
    pub(super) fn replay(&self, generation: u32) -> Option<KeeperEvent> {
        let lines = self.shared.lock().session.after_handshake(generation);
        self.generation(generation)?.write(lines, &self.shared);
        let is_replayed = self.shared.lock().session.is_replayed(generation);
        is_replayed.then_some(KeeperEvent::Replayed { generation })
    }
}
