//! A command on its own terminal: its prompts, the input, the screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::apart::apart;
use super::{DEADLINE, Test, fake_server};

/// A program on a pseudo-terminal.
pub(crate) struct Terminal<'a> {
    test: &'a Test,
    child: Child,
    keyboard: File,
    shown: Receiver<Vec<u8>>,
    /// Everything that was shown.
    pub(crate) screen: String,
    /// Where the next `expect` starts searching.
    seen: usize,
}

impl<'a> Terminal<'a> {
    /// `before`: words of a command that starts mcpwrap, which may be none. `above`: variables that only the
    /// process above the command has.
    pub(crate) fn new(
        test: &'a Test,
        before: &[&str],
        args: &[&str],
        above: &[(&str, &str)],
    ) -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pair.slave).unwrap();
        let mut command = test.command(fake_server());
        command
            .arg(format!("on-terminal={}", path.display()))
            .args(before)
            .arg(test.program())
            .args(args);
        let mut command = apart(&command, above);
        let child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
        let keyboard = File::from(pair.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, shown) = channel();
        let slave = pair.slave;
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Our end of the slave stays open until there is output: reading from a terminal
            // without one is an error.
            let mut slave = Some(slave);
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                slave = None;
                if sender.send(bytes[..count].to_owned()).is_err() {
                    return;
                }
            }
            drop(slave);
        });
        Self {
            test,
            child,
            keyboard,
            shown,
            screen: String::new(),
            seen: 0,
        }
    }

    /// Waits until the screen shows this text after the previously expected one.
    pub(crate) fn expect(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.shown.recv_timeout(left) else {
                panic!("no `{text}` on the screen:\n{}", self.screen);
            };
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Types a line.
    pub(crate) fn enter(&mut self, text: &str) -> &mut Self {
        self.keyboard
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
        self
    }

    /// Types a hidden line, after the program has turned the echo off.
    pub(crate) fn enter_hidden(&mut self, text: &str) -> &mut Self {
        self.until_echo_is(false).enter(text)
    }

    /// Waits until what is typed is shown, or is not.
    pub(crate) fn until_echo_is(&mut self, wanted: bool) -> &mut Self {
        let deadline = Instant::now() + DEADLINE;
        let echo = nix::sys::termios::LocalFlags::ECHO;
        let flags = || {
            nix::sys::termios::tcgetattr(&self.keyboard)
                .unwrap()
                .local_flags
        };
        while flags().contains(echo) != wanted {
            assert!(
                Instant::now() < deadline,
                "the echo does not change:\n{}",
                self.screen
            );
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        self
    }

    /// Waits for the exit; returns the exit code and checks the screen for secrets.
    pub(crate) fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            while let Ok(bytes) = self.shown.try_recv() {
                self.screen.push_str(&String::from_utf8_lossy(&bytes));
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                drop(self.child.kill());
                panic!("not ended in time:\n{}", self.screen);
            }
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        };
        while let Ok(bytes) = self
            .shown
            .recv_timeout(std::time::Duration::from_millis(50))
        {
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.test.no_secret_in("the screen", self.screen.as_bytes());
        (
            status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap()),
            self.screen,
        )
    }
}
