//! Entries of a repository that run its own code with a policy of the user.
//!
//! A repository can name any policy that its readers may have. Where the entry also says what is
//! started, or where, the repository's code gets the secrets of that policy.

use super::facts::Facts;
use super::file::CheckedServer;
use super::finding::{Finding, Fix, Severity};
use super::results::CheckResults;

/// Adds the findings of a rule.
pub(super) fn run(rule: &'static str, facts: &Facts, results: &mut CheckResults) {
    if facts.machine.is_some() {
        return;
    }
    for file in &facts.files {
        for server in &file.servers {
            let (Some(policy), Some(own)) = (&server.entry.wrapped, own_code(server)) else {
                continue;
            };
            let what = format!("runs {own} with your policy `{policy}`");
            let why = "whoever changes the repository decides what gets the secrets of that policy";
            let fix = "name a package or an absolute path outside of the repository, without `cwd`";
            let fix = Fix::Act(fix.to_owned());
            let location = file.location(server.start);
            let found = Finding::new((rule, Severity::High), location, what, why, fix);
            results.add(found.for_server(&server.entry.name));
        }
    }
}

/// What of the repository an entry runs.
fn own_code(server: &CheckedServer) -> Option<&'static str> {
    const SCRIPTS: &[&str] = &[
        ".js", ".mjs", ".cjs", ".ts", ".mts", ".py", ".sh", ".rb", ".pl", ".php", ".jar", ".lua",
        ".ps1", ".exs",
    ];
    let words = server.entry.words.iter().map(|word| word.text.as_str());
    let own = words.skip_while(|word| *word != "--").skip(1);
    let is_own = |word: &str| {
        let relative = !word.starts_with(['/', '~', '-', '@', '$', '%']) && !word.contains("://");
        let script = SCRIPTS.iter().any(|end| word.ends_with(end));
        word.starts_with("./")
            || word.starts_with("../")
            || word.contains("${workspace")
            || relative && script
    };
    if own.into_iter().any(is_own) {
        return Some("a script of the repository");
    }
    let cwd = server.entry.cwd.as_deref()?;
    (!cwd.starts_with(['/', '~'])).then_some("in a directory of the repository")
}
