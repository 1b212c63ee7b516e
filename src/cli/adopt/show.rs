//! The plan as people read it: a diff of each file with the secrets masked, the policies, what is
//! left and why.
//!
//! *Never* shows more of a secret than its last four characters, and those only of a long one.

use similar::{ChangeTag, TextDiff};

use super::look::{Found, Looked};
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

/// Where was looked: the files that are there, then the places with nothing, client by client.
pub(super) fn places(cx: &Context, looked: &Looked) {
    print::line(&format!(
        "looked at {} places, found {} files",
        looked.found.len() + looked.absent.len(),
        looked.found.len()
    ));
    for file in &looked.found {
        let client = file
            .client
            .map_or_else(String::new, |client| format!(" ({})", client.name));
        print::line(&format!("  {}{client}", cx.dirs.tilde(&file.path)));
    }
    let mut rest = looked.absent.as_slice();
    if !rest.is_empty() {
        print::line("nothing is in");
    }
    while let Some((client, _)) = rest.first() {
        let same = rest.iter().take_while(|(other, _)| other.id == client.id);
        let (own, more) = rest.split_at(same.count());
        let paths: Vec<_> = own.iter().map(|(_, path)| cx.dirs.tilde(path)).collect();
        print::line(&format!("  {}: {}", client.name, paths.join(", ")));
        rest = more;
    }
    print::line("");
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
    let (old, new) = changed(&old, &new);
    let diff = TextDiff::from_lines(old, new);
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

/// Two texts without the lines that they begin and end with alike, but for some around the change.
fn changed<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    let alike = |(a, b): &(&str, &str)| a == b;
    let lines = |text: &'a str| text.split_inclusive('\n');
    let first = lines(old).zip(lines(new)).take_while(alike).map(|(a, _)| a);
    let first: Vec<&str> = first.collect();
    let kept = first.len().saturating_sub(CONTEXT);
    let start = first.iter().take(kept).map(|line| line.len()).sum();
    let (old, new) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    // At least the context stays in front of what is alike at the end.
    let most = [old, new].map(|text| lines(text).count().saturating_sub(CONTEXT));
    let most = most.into_iter().min().unwrap_or_default();
    let last = old
        .split_inclusive('\n')
        .rev()
        .zip(new.split_inclusive('\n').rev());
    let last: Vec<&str> = last.take_while(alike).take(most).map(|(a, _)| a).collect();
    let dropped = last.len().saturating_sub(CONTEXT);
    let end: usize = last.iter().take(dropped).map(|line| line.len()).sum();
    (
        old.get(..old.len() - end).unwrap_or_default(),
        new.get(..new.len() - end).unwrap_or_default(),
    )
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
