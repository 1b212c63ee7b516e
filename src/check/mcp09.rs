//! Check 9: servers that run whatever is there today.

use super::file::{ConfigFile, Server};
use super::finding::{Finding, Mend, Place, Severity};
use super::scene::Machine;
use super::{Scene, Sheet};
use crate::package::{self, Launch, Pin};

pub(super) const ABOUT: &str = "\
**Looks for** command lines that do not say which code runs: `npx`, `bunx`, `pnpm dlx`, `yarn dlx`, `uvx`, `pipx run`, `deno run`, `go run`,
`dnx`, container images; without a version, with `@latest`, a range or a tag, from a branch (`git+…`) or an address. An exact
version without a lock is reported as low: its dependencies are resolved anew at each start. For policies also: is
what is installed what was pinned (every file is hashed).

**Why:** the next release of a package runs with the server's secrets the moment it is published. That is how one bad
version of one maintainer reaches every machine.

**Mend:** `mcpwrap pin SERVER` installs one version with its locked dependencies, and starts only that. Without mcpwrap, write an
exact version, or the digest of an image (`name@sha256:…`).

**Known misses:** what a program of this machine loads by itself; scripts that start other things than they seem to.
";

const WHY: &str = "the next release runs with the server's secrets the moment it is published";
const LOCK: &str =
    "its dependencies are resolved anew at each start, and a copy in the directory may run instead";

pub(super) fn run(scene: &Scene, sheet: &mut Sheet) {
    for file in &scene.files {
        for server in &file.servers {
            let Some(launch) = &server.launch else {
                continue;
            };
            // What a policy starts is looked at there.
            if server.entry.wrapped.is_some() && scene.machine.is_some() {
                continue;
            }
            sheet.looked(1);
            entry(file, server, launch, sheet);
        }
    }
    if let Some(machine) = &scene.machine {
        policies(machine, sheet);
    }
}

/// How firmly a server of a file says what it runs; nothing if it starts no program.
pub fn pin(server: &Server) -> Option<Pin> {
    server.launch.as_ref().map(|launch| launch.pin)
}

fn entry(file: &ConfigFile, server: &Server, launch: &Launch, sheet: &mut Sheet) {
    let Some((severity, what, why)) = judge(launch) else {
        return;
    };
    let name = &server.entry.name;
    let place = file.place(server.spec_at());
    let mend = match &server.entry.wrapped {
        Some(policy) => format!("mcpwrap pin {policy}"),
        None => file.adopt_server(name),
    };
    let mend = match launch.obstacle {
        Some(obstacle) => Mend::Act(format!("write an exact version ({obstacle}: `pin` cannot)")),
        None => Mend::Run(mend),
    };
    sheet.add(Finding::new(("mcp09", severity), place, what, why, mend).of(name));
}

/// What is wrong with a launch, if anything is.
fn judge(launch: &Launch) -> Option<(Severity, String, &'static str)> {
    let spec = launch.spec.as_deref().unwrap_or(&launch.launcher);
    let spec = crate::error::printable(spec);
    let what = match launch.pin {
        Pin::Local | Pin::Digest => return None,
        Pin::Exact => {
            let what = format!("`{spec}` is one version, but without a lock");
            return Some((Severity::Low, what, LOCK));
        }
        Pin::Latest | Pin::ImageLatest => "is whatever is the latest today",
        Pin::Range => "is whatever fits the range today",
        Pin::ImageTag => "is whatever has the tag today",
        Pin::Floating => "is in whatever version is there today",
    };
    Some((Severity::High, format!("`{spec}` {what}"), WHY))
}

fn policies(machine: &Machine, sheet: &mut Sheet) {
    for (file, policy) in machine.read_policies() {
        sheet.looked(1);
        let server = file.server.as_str();
        let place = Place::line(file.shown.clone(), policy.command_line);
        let mend = || Mend::Run(format!("mcpwrap pin {server}"));
        if policy.package.is_some() {
            if let Err(error) = &file.installed {
                let cause = error.causes.first().map_or("", |cause| &cause.fact);
                // Without the error's context: it is written for a start, and nothing was started.
                let what = format!("{}: {cause}", error.what);
                let rule = ("mcp09", Severity::High);
                let why = "what is installed is what runs with the server's secrets";
                sheet.add(Finding::new(rule, place, what, why, mend()).of(server));
            }
            continue;
        }
        let launch = package::parse(&policy.command);
        let Some((severity, what, why)) = judge(&launch) else {
            continue;
        };
        let mend = match launch.obstacle {
            Some(_) => Mend::Run(format!("mcpwrap policy edit {server}")),
            None => mend(),
        };
        sheet.add(Finding::new(("mcp09", severity), place, what, why, mend).of(server));
    }
}
