//! Servers whose command does not fix which code runs.

use super::facts::{Facts, Machine};
use super::file::{CheckedServer, ConfigFile};
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use super::news;
use super::results::{CheckResults, Noun};
use crate::package::{self, ParsedCommand, Pin};
use crate::policy::inherit;

pub(super) const NAME: &str = "unpinned-server";

pub(super) const ABOUT: &str = "\
**Detects** commands that do not fix which code runs: no version, `@latest`, a range, a tag, a
branch (`git+…`) or a URL. A directory that a package launcher installs at each start is a low finding. Checked are `npx`, `bunx`, `pnpm dlx`, `yarn dlx`, `uvx`, `pipx run`,
`deno run`, `go run`, `dnx` and container images. An exact version without a lock is a low finding,
because its dependencies are resolved again at each start. In a repository, also variables that an entry sets for
`mcpwrap run` and that choose what runs (`PATH`, `HOME`, `NODE_OPTIONS`, `LD_PRELOAD`, `MCPWRAP_HOME`), and files of the repository that it runs that way. For pinned policies, every installed file
is compared with the pin. With `--online`, also pinned versions that were deprecated, withdrawn (yanked) or removed
since, and advisories for any package of their lock files; with `--advisories FILE`, the advisories of that file.

**Why:** the next release of a package runs with the server's secrets as soon as it is published.
One bad version of one maintainer reaches every machine that way.

**Remediation:** `mcpwrap pin SERVER` installs one version with locked dependencies, and only that
version starts. Without mcpwrap, use an exact version, or the digest of an image (`name@sha256:…`).

**Limitations:** not checked is what a local program downloads by itself, and what a script starts.
";

const WHY: &str = "the next release runs with the server's secrets as soon as it is published";
const LOCK: &str = "dependencies are resolved again at each start, and a copy in the working directory may run instead";

const STEERS: &str = "it can choose which program, policy or files are used, and everyone who opens the repository gets it";

const OWN_CODE: &str =
    "whoever changes the repository changes what runs with the user's policy, and its secrets";

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    results.count(Noun::Entry, 0);
    for file in &facts.files {
        for server in &file.servers {
            steered(facts, file, server, results);
            own_code(facts, file, server, results);
            let Some(launch) = &server.launch else {
                continue;
            };
            // On a machine, the policy is checked instead.
            if server.entry.wrapped.is_some() && facts.machine.is_some() {
                continue;
            }
            results.count(Noun::Entry, 1);
            entry(facts, file, server, launch, results);
        }
    }
    if let Some(machine) = &facts.machine {
        policies(machine, results);
    }
}

/// Variables that a repository sets for mcpwrap, and that choose what mcpwrap runs or trusts.
fn steered(facts: &Facts, file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    if server.entry.wrapped.is_none() || facts.machine.is_some() {
        return;
    }
    for variable in &server.entry.env {
        let name = variable.name.as_str();
        let own = name.starts_with("MCPWRAP_");
        let steers = own || inherit::is_sealed(name) || inherit::never(name).is_some();
        if !steers || inherit::is_network(name) {
            continue;
        }
        let what = format!("`{name}` is set for mcpwrap by a file of the repository");
        let act = "remove it from the entry; whoever needs it sets it in their own environment";
        let rule = (NAME, Severity::High);
        let location = file.location(variable.span.start);
        let found = Finding::new(rule, location, what, STEERS, Fix::Act(act.to_owned()));
        results.add(found.for_server(&server.entry.name));
    }
}

/// Code of the repository that an entry runs through mcpwrap: with the user's policy and its secrets.
fn own_code(facts: &Facts, file: &ConfigFile, server: &CheckedServer, results: &mut CheckResults) {
    if server.entry.wrapped.is_none() || facts.machine.is_some() {
        return;
    }
    let mut add = |at: usize, what: String| {
        let act = "keep the entry in each user's own config, with an absolute path";
        let rule = (NAME, Severity::Medium);
        let found = Finding::new(
            rule,
            file.location(at),
            what,
            OWN_CODE,
            Fix::Act(act.to_owned()),
        );
        results.add(found.for_server(&server.entry.name));
    };
    if server.entry.cwd.is_some() {
        add(
            server.start,
            "the entry runs a policy in a directory that the repository names".to_owned(),
        );
    }
    let words = server.entry.words.iter();
    let command = words.skip_while(|word| word.text != "--").skip(1);
    let local = server
        .launch
        .as_ref()
        .is_some_and(|one| one.pin == Pin::Local);
    for (n, word) in command.enumerate().filter(|_| local) {
        if is_of_repository(&word.text, n == 0) {
            let shown = crate::error::printable(&word.text);
            add(
                word.span.start,
                format!("`{shown}` is a file of the repository"),
            );
            break;
        }
    }
}

/// Whether a word names a file relative to the directory of the entry.
fn is_of_repository(word: &str, is_program: bool) -> bool {
    const SCRIPTS: &[&str] = &[
        "js", "mjs", "cjs", "ts", "mts", "py", "pyz", "sh", "bash", "rb", "php", "pl", "jar",
        "lua", "exe", "dll",
    ];
    let path = word
        .strip_prefix("${workspaceFolder}/")
        .or_else(|| word.strip_prefix("${workspaceRoot}/"));
    if path.is_some() || word.starts_with("./") || word.starts_with("../") {
        return true;
    }
    if word.starts_with(['/', '-', '~', '$', '@', '%']) || word.contains("://") {
        return false;
    }
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    is_program && word.contains('/') || ending.is_some_and(|ending| SCRIPTS.contains(&ending))
}

/// How firmly a server fixes which code runs; `None` if it has no command.
pub fn pin(server: &CheckedServer) -> Option<Pin> {
    server.launch.as_ref().map(|launch| launch.pin)
}

fn entry(
    facts: &Facts,
    file: &ConfigFile,
    server: &CheckedServer,
    launch: &ParsedCommand,
    results: &mut CheckResults,
) {
    let Some((severity, what, why)) = judge(launch) else {
        return;
    };
    let name = &server.entry.name;
    let location = file.location(server.spec_at());
    let exact = fixes::exact_version(launch);
    let fix = match launch.obstacle {
        None if launch.pin == Pin::Local => {
            Fix::Act("start its program, e.g. `node /absolute/path/index.js`".to_owned())
        }
        Some(obstacle) => Fix::Act(format!("{exact} (`mcpwrap pin` cannot pin it: {obstacle})")),
        // Only a lock fixes the dependencies, and a command cannot name one.
        None if launch.pin == Pin::Exact && facts.machine.is_none() => Fix::Act(
            "run it through mcpwrap on each machine (`mcpwrap adopt`, which installs from a lock file)"
                .to_owned(),
        ),
        None => fixes::server(facts, file, server, &exact),
    };
    results.add(Finding::new((NAME, severity), location, what, why, fix).for_server(name));
}

/// What is wrong with a launch, if anything is.
fn judge(launch: &ParsedCommand) -> Option<(Severity, String, &'static str)> {
    let spec = launch.spec.as_deref().unwrap_or(&launch.launcher);
    let spec = crate::error::printable(spec);
    let what = match launch.pin {
        // Only a package launcher names what it installs.
        Pin::Local if launch.spec.is_some() => {
            let launcher = crate::error::printable(&launch.launcher);
            let what = format!("`{spec}` is a directory that `{launcher}` installs at each start");
            return Some((Severity::Low, what, LOCK));
        }
        Pin::Local | Pin::Digest => return None,
        Pin::Exact => {
            let what = format!("`{spec}` is an exact version, but its dependencies are not locked");
            return Some((Severity::Low, what, LOCK));
        }
        Pin::Latest | Pin::ImageLatest => "always runs the latest version",
        Pin::Range => "allows a range of versions",
        Pin::ImageTag => "uses a mutable tag",
        Pin::Floating => "has no fixed version",
    };
    Some((Severity::High, format!("`{spec}` {what}"), WHY))
}

fn policies(machine: &Machine, results: &mut CheckResults) {
    let all = machine.read_policies();
    for (file, policy) in all.filter(|(_, policy)| policy.remote.is_none()) {
        results.count(Noun::Policy, 1);
        let server = file.server.as_str();
        let location = Location::line(file.shown.clone(), policy.command_line);
        let fix = || Fix::Run(format!("mcpwrap pin {server}"));
        if let Some(package) = &policy.package {
            if file.news.status.is_some() {
                results.count(Noun::RegistryAnswer, 1);
            }
            let found = news::findings(NAME, (server, &location), package, &file.news);
            for finding in found {
                results.add(finding);
            }
            if let Err(error) = &file.installed {
                let cause = error.causes.first().map_or("", |cause| &cause.fact);
                // Without the error's context: it is written for a start, and nothing was started.
                let what = format!("{}: {cause}", error.what);
                let rule = (NAME, Severity::High);
                let why = "what is installed is what runs with the server's secrets";
                results.add(Finding::new(rule, location, what, why, fix()).for_server(server));
            }
            continue;
        }
        let launch = package::parse(&policy.command);
        let Some((severity, what, why)) = judge(&launch) else {
            continue;
        };
        let is_pinnable = launch.obstacle.is_none() && launch.pin != Pin::Local;
        let fix = if is_pinnable {
            fix()
        } else {
            Fix::Run(format!("mcpwrap policy edit {server}"))
        };
        results.add(Finding::new((NAME, severity), location, what, why, fix).for_server(server));
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_repository;

    #[test]
    fn files_of_a_repository() {
        for (word, is_program, expected) in [
            ("./s.js", false, true),
            ("../x", true, true),
            ("s.js", false, true),
            ("dist/index.mjs", false, true),
            ("${workspaceFolder}/s", false, true),
            ("bin/server", true, true),
            ("node", true, false),
            ("some/name", false, false),
            ("/opt/s.js", false, false),
            ("--config=x.js", false, false),
            ("@scope/pkg", false, false),
            ("https://x.example/a.js", false, false),
            ("info", false, false),
        ] {
            assert_eq!(is_of_repository(word, is_program), expected, "{word}");
        }
    }
}
