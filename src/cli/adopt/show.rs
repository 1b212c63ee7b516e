//! The plan as people read it: a diff of each file with the secrets masked, the policies, what is
//! left and why.
//!
//! *Never* shows more of a secret than its last four characters, and those only of a long one.

use similar::{ChangeTag, TextDiff};

use super::look::Found;
use super::names::Names;
use super::pieces::{Cut, masked};
use super::plan::Plan;
use crate::cli::policy::picture;
use crate::cli::{Context, print};
use crate::client::table::After;
use crate::error::printable;

/// How many unchanged lines stand around a change.
const CONTEXT: usize = 1;

/// The whole plan.
pub(super) fn plan(cx: &Context, found: &[Found], plan: &Plan, names: &Names) {
    for file in &plan.files {
        let Some(at) = found.get(file.found) else {
            continue;
        };
        diff(cx, at, &file.text, &file.cuts);
        for entry in &file.entries {
            for note in &entry.notes {
                print::line(&format!(
                    "  note: {}: {}",
                    printable(&entry.name),
                    printable(note)
                ));
            }
        }
        print::line("");
    }
    for secret in &names.secrets {
        let known = if secret.known {
            ", in the store already"
        } else {
            ""
        };
        print::line(&format!(
            "secret `{}`: {} ({}){known}",
            secret.name,
            printable(&secret.place),
            secret.why
        ));
    }
    for policy in &names.policies {
        let known = if policy.known {
            " (is there already, and says the same)"
        } else {
            ""
        };
        print::line(&format!("\npolicy `{}`{known}:", policy.server));
        print::text(&picture::text(&cx.dirs, &policy.policy));
    }
    if !plan.left.is_empty() {
        print::line("");
    }
}

/// What could not be taken over.
pub(super) fn left(cx: &Context, found: &[Found], plan: &Plan) {
    for left in &plan.left {
        let Some(file) = found.get(left.found) else {
            continue;
        };
        let shown = cx.dirs.tilde(&file.path);
        print::warning(&match &left.entry {
            Some(entry) => format!("`{entry}` in {shown} left as it is: {}", left.reason),
            None => format!("{shown}: {}", left.reason),
        });
    }
}

/// The changed lines of one file.
pub(super) fn diff(cx: &Context, file: &Found, new: &str, cuts: &[Cut]) {
    let client = file
        .client
        .map_or_else(String::new, |client| format!(" ({})", client.name));
    print::line(&format!("{}{client}", cx.dirs.tilde(&file.path)));
    let Ok(document) = &file.document else { return };
    let (old, new) = (masked(&document.text, cuts), masked(new, cuts));
    let diff = TextDiff::from_lines(&old, &new);
    for group in diff.grouped_ops(CONTEXT) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            print::line(&format!(
                "  {sign} {}",
                printable(
                    &change
                        .value()
                        .trim_end_matches(['\n', '\r'])
                        .replace('\t', "  ")
                )
            ));
        }
    }
}

/// What the user does so that the clients see the change.
pub(super) fn after(found: &[&Found]) {
    let mut seen: Vec<&str> = Vec::new();
    for client in found.iter().filter_map(|file| file.client) {
        if seen.contains(&client.id) {
            continue;
        }
        seen.push(client.id);
        match client.after {
            After::Nothing => print::line(&format!("{} sees the change by itself", client.name)),
            After::Restart => print::line(&format!("restart {}", client.name)),
            After::Approve => print::line(&format!(
                "{} will ask you to approve of the changed servers",
                client.name
            )),
            After::RestartAndApprove => print::line(&format!(
                "restart {}; it will ask you to approve of the changed servers",
                client.name
            )),
        }
    }
}
