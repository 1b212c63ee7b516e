//! Which findings a plain `mcpwrap adopt` resolves, according to its own plan.

use std::collections::BTreeSet;

use crate::adopt::round::{Round, Selection};
use crate::check::Finding;
use crate::cli::Context;
use crate::program;

/// The number of these findings about entries that `mcpwrap adopt` changes. Zero if it has no plan:
/// its error appears when it runs.
pub(super) fn adopts(cx: &Context, clients: &[String], findings: &[Finding]) -> usize {
    let command = |finding: &&Finding| {
        let command = finding.fix.command();
        command.is_some_and(|command| command.starts_with("mcpwrap adopt"))
    };
    if !findings.iter().any(|finding| command(&finding)) {
        return 0;
    }
    let selection = Selection {
        clients: clients.to_vec(),
        ..Selection::default()
    };
    let path = program::path(&cx.dirs);
    let round = path.and_then(|program| Round::new(&cx.dirs, &selection, None, &program));
    let Ok(round) = round else {
        return 0;
    };
    let mut planned: BTreeSet<(String, &str)> = BTreeSet::new();
    for file in &round.plan.files {
        if let Some(found) = round.files.found.get(file.found) {
            let shown = cx.dirs.tilde(&found.path);
            let entries = file.entries.iter();
            planned.extend(entries.map(|entry| (shown.clone(), entry.name.as_str())));
        }
    }
    let resolved = |finding: &&Finding| match &finding.server {
        Some(server) => planned.contains(&(finding.location.file.clone(), server.as_str())),
        // The audit log begins with the first adoption.
        None => !planned.is_empty() && finding.fix.command() == Some("mcpwrap adopt"),
    };
    findings.iter().filter(command).filter(resolved).count()
}
