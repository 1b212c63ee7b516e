//! What is on this machine, for someone who has just installed mcpwrap, and what to do next.
//!
//! Invariant: it only reads. It opens no store, starts nothing but git, and asks nobody.

use std::collections::BTreeSet;

use super::{Context, print};
use crate::adopt::round::{Round, Selection};
use crate::check::{self, Facts, Finding, Ignores};
use crate::error::Result;
use crate::program;
use crate::scan::machine;

/// The width of a command in the list of what to do next.
const COMMAND_WIDTH: usize = 26;

/// What was found in the configs of clients.
#[derive(Debug)]
pub(super) struct Overview {
    clients: usize,
    /// The names of those that can run commands by themselves.
    agents: BTreeSet<&'static str>,
    servers: usize,
    /// Those of them that mcpwrap starts.
    wrapped: usize,
    plaintext: usize,
    unpinned: usize,
    unreadable: usize,
    /// Entries that a plain `mcpwrap adopt` changes.
    adoptable: usize,
    is_set_up: bool,
}

/// `mcpwrap` without a command, on a terminal.
///
/// # Errors
/// Those of [`Overview::find`].
pub(super) fn run(cx: &Context) -> Result<u8> {
    Overview::find(cx)?.print();
    Ok(0)
}

impl Overview {
    /// # Errors
    /// Those of the scan of client configs.
    pub(super) fn find(cx: &Context) -> Result<Self> {
        let mut facts = Facts::new(jiff::ZonedDateTime::now().date());
        machine::files(&cx.dirs, &[], &mut facts)?;
        let servers = facts.files.iter().flat_map(|file| &file.servers);
        let of_client = facts.files.iter().filter(|file| !file.servers.is_empty());
        let clients = of_client.filter_map(|file| Some(file.client?.id));
        let known = facts.files.iter().filter_map(|file| file.client);
        let agents = known.filter(|client| !client.agent.is_empty());
        let is_wrapped = |finding: &Finding| {
            let mut files = facts.files.iter();
            let file = files.find(|file| file.shown == finding.location.file);
            let mut servers = file.into_iter().flat_map(|file| &file.servers);
            let name = finding.server.as_deref();
            servers.any(|one| Some(&*one.entry.name) == name && one.entry.wrapped.is_some())
        };
        let report = check::run(&facts, &Ignores::default());
        let of = |rule: &'static str| {
            let findings = report.findings.iter();
            findings.filter(move |finding| finding.check == rule)
        };
        let unpinned: BTreeSet<_> = of("unpinned-server")
            .filter(|finding| !is_wrapped(finding))
            .map(|finding| (&finding.location.file, &finding.server))
            .collect();
        Ok(Self {
            clients: clients.collect::<BTreeSet<_>>().len(),
            agents: agents.map(|client| client.name).collect(),
            servers: servers.clone().count(),
            wrapped: servers.filter(|one| one.entry.wrapped.is_some()).count(),
            plaintext: of("plaintext-secret").count(),
            unpinned: unpinned.len(),
            unreadable: facts
                .files
                .iter()
                .filter(|one| one.document.is_err())
                .count(),
            adoptable: adoptable(cx),
            is_set_up: cx.dirs.config_file().exists(),
        })
    }

    /// Whether a client starts anything.
    pub(super) const fn has_servers(&self) -> bool {
        self.servers > 0
    }

    /// The AI agents whose configs are here, by name.
    pub(super) const fn agents(&self) -> &BTreeSet<&'static str> {
        &self.agents
    }

    /// Prints what was found, and what to do next.
    pub(super) fn print(&self) {
        for line in self.lines() {
            print::line(&line);
        }
        print::line("");
        print::line("next:");
        for line in self.next() {
            print::line(&format!("  {line}"));
        }
    }

    /// What was found, a fact per line.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.servers == 0 {
            lines.push("no MCP server in the configs of your clients".to_owned());
        } else {
            let all = print::count(self.servers, "MCP server");
            let clients = print::count(self.clients, "client");
            let wrapped = match self.wrapped {
                0 => "none of them through mcpwrap".to_owned(),
                one if one == self.servers => "all of them through mcpwrap".to_owned(),
                some => format!("{some} of them through mcpwrap"),
            };
            lines.push(format!("{all} in {clients}, {wrapped}"));
        }
        let facts = [
            (self.plaintext, "secret", "in plaintext"),
            (
                self.unpinned,
                "server",
                "not pinned: the next release starts unseen",
            ),
            (self.unreadable, "file", "not read, see `mcpwrap check`"),
        ];
        for (number, noun, what) in facts {
            if number > 0 {
                lines.push(format!("  {} {what}", print::count(number, noun)));
            }
        }
        if !self.is_set_up {
            lines.push("mcpwrap is not set up yet".to_owned());
        }
        lines
    }

    /// Commands and what they do.
    fn next(&self) -> Vec<String> {
        let mut commands = Vec::new();
        if !self.is_set_up {
            commands.push(("mcpwrap init", "choose where secrets are stored"));
        }
        if self.adoptable > 0 {
            commands.push(("mcpwrap adopt --dry-run", "show what `adopt` would change"));
        } else if self.servers == self.wrapped {
            commands.push((
                "mcpwrap policy new SERVER",
                "write a policy for a new server",
            ));
        }
        if self.wrapped > 0 {
            commands.push(("mcpwrap test SERVER", "see whether a server works"));
            commands.push(("mcpwrap ps", "list running servers"));
        }
        if self.servers > 0 {
            commands.push(("mcpwrap check", "list what is unsafe, and how to fix it"));
        }
        commands.push(("mcpwrap --help", "list all commands"));
        let line = |(command, about)| format!("{command:COMMAND_WIDTH$} {about}");
        commands.into_iter().map(line).collect()
    }
}

/// How many entries a plain `mcpwrap adopt` changes. Zero if it has no plan: its error appears when it runs.
fn adoptable(cx: &Context) -> usize {
    let round = program::path(&cx.dirs)
        .and_then(|program| Round::new(&cx.dirs, &Selection::default(), None, &program));
    round.map_or(0, |round| {
        let files = round.plan.files.iter();
        files.map(|file| file.entries.len()).sum()
    })
}
