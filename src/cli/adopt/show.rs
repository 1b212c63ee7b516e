//! Prints the plan: a diff of each file with masked secrets, the policies, and what is skipped.
//!
//! Invariant: of a secret at most the last four characters are shown, and only of a long one.

use super::diff;
use crate::adopt::apply::AdoptStep;
use crate::adopt::approval::{AdoptApproval, Withheld};
use crate::adopt::names::Names;
use crate::adopt::plan::AdoptPlan;
use crate::adopt::round::Round;
use crate::cli::{Context, print, print_weak};
use crate::client::entry::entries;
use crate::detect;
use crate::error::{Error, printable};
use crate::grant;
use crate::invocation::Terminal;
use crate::ops::{needs, notes};
use crate::parallel;
use crate::policy::{self, Policy, summary};
use crate::scan::clients::{ClientFile, ClientFiles};
use crate::secret::ServerName;
use crate::store;
use crate::suggest::nearest;

/// The plan, and what is skipped.
pub(super) fn round(cx: &Context, round: &Round) {
    plan(cx, &round.files.found, &round.plan, &round.names);
    left(cx, &round.files.found, &round.plan);
    let of_client = &round.plan.of_client;
    if !of_client.is_empty() {
        print::note(&printable(&format!(
            "left to their client, which logs in by itself if the server asks for OAuth: {}; run \
             `mcpwrap adopt --oauth` to log in with mcpwrap instead",
            print::names(of_client)
        )));
    }
    if round.plan.files.is_empty() {
        print::note(&format!(
            "nothing to adopt ({} already adopted, {} without secrets)",
            round.plan.adopted, round.plan.without
        ));
        outside(cx, round);
    }
}

/// Tokens that no server entry has: another file of the client's may refer to them.
fn outside(cx: &Context, round: &Round) {
    for (n, file) in round.files.found.iter().enumerate() {
        let is_told = round.plan.left.iter().any(|left| left.found == n);
        let Ok(document) = &file.document else {
            continue;
        };
        let tokens = detect::known_tokens(&document.text).len();
        if tokens > 0 && !is_told {
            let path = cx.dirs.tilde(&file.path);
            print::warning(&format!(
                "{path} has {} outside its server entries, which `adopt` cannot move; run `mcpwrap check {path}` \
                 to see where",
                print::count(tokens, "secret")
            ));
        }
    }
}

/// Each step while the plan is applied.
pub(super) fn step(cx: &Context, step: &AdoptStep<'_>) {
    match step {
        AdoptStep::Storing(number, kind) => {
            let secrets = print::count(*number, "secret");
            print::note(&format!(
                "storing {secrets} in {}",
                store::backend(*kind).noun
            ));
        }
        AdoptStep::Weak(name, weakness) => print_weak::not_masked(&format!("`{name}`"), *weakness),
        AdoptStep::Adopted {
            number,
            count,
            file,
            plan,
        } => {
            let names: Vec<_> = plan
                .entries
                .iter()
                .map(|entry| entry.name.as_str())
                .collect();
            print::line(&format!(
                "[{number}/{count}] adopted in {}: {}",
                cx.dirs.tilde(&file.path),
                printable(&names.join(", "))
            ));
        }
        AdoptStep::NotGranted(_, error) | AdoptStep::Failed(error) => print::error(error),
    }
}

fn plan(cx: &Context, found: &[ClientFile], plan: &AdoptPlan, names: &Names) {
    let mut out = print::Lines::default();
    for file in &plan.files {
        let Some(at) = found.get(file.found) else {
            continue;
        };
        let changed: Vec<_> = file.entries.iter().map(|entry| &*entry.path).collect();
        diff::show(&mut out, cx, at, &file.text, &file.cuts, &changed);
        for entry in &file.entries {
            for note in &entry.notes {
                out.line(&format!(
                    "  note: {}: {}",
                    printable(&entry.name),
                    printable(note)
                ));
            }
        }
        out.line("");
    }
    for secret in names.secrets() {
        let known = if secret.known { ", already stored" } else { "" };
        out.line(&format!(
            "secret `{}`: {} ({}){known}",
            secret.name,
            printable(&secret.place),
            secret.why
        ));
    }
    for store in &names.stores.new {
        out.line(&format!(
            "\nstore `{}`, added to {}:",
            store.name,
            cx.dirs.tilde(&cx.dirs.config_file())
        ));
        for line in store.definition.text(&store.name).lines() {
            out.line(&format!("  {}", printable(line)));
        }
    }
    let texts = parallel::map(&names.policies, |new| {
        summary::text(&cx.dirs, &new.policy, &notes::notes)
    });
    for (policy, text) in names.policies.iter().zip(&texts) {
        let known = if policy.known {
            " (exists, unchanged)"
        } else {
            ""
        };
        out.line(&format!("\npolicy `{}`{known}:", policy.server));
        if let AdoptApproval::Withheld(withheld) = &policy.approval {
            out.line(&format!("  {}", self::withheld(&policy.server, withheld)));
        }
        out.text(text);
    }
    if !plan.left.is_empty() {
        out.line("");
    }
    out.print();
}

/// Why a policy is not approved, and what approves it.
pub(super) fn withheld(server: &ServerName, withheld: &Withheld) -> String {
    let Withheld { server: other, why } = withheld;
    let because = if server == other {
        (*why).to_owned()
    } else {
        format!("it has the same command as `{other}`, and {why}")
    };
    format!("not granted: {because}; run `mcpwrap grant {server}` to review and approve it")
}

/// The locations searched: the files found, then the missing ones of the clients that the user names. All clients
/// together have two hundred.
pub(super) fn places(cx: &Context, searched: &ClientFiles, is_named: bool) {
    let mut out = print::Lines::default();
    out.line(&format!(
        "searched {}, found {}",
        print::count(searched.found.len() + searched.absent.len(), "location"),
        print::count(searched.found.len(), "file")
    ));
    for file in &searched.found {
        let client = file
            .client
            .map_or_else(String::new, |client| format!(" ({})", client.name));
        out.line(&format!("  {}{client}", cx.dirs.tilde(&file.path)));
    }
    let mut rest = searched.absent.as_slice();
    if !rest.is_empty() && is_named {
        out.line("not found:");
    } else if !rest.is_empty() {
        out.line("`--client ID` also lists the locations where nothing was found");
        rest = &[];
    }
    while let Some((client, _)) = rest.first() {
        let same = rest.iter().take_while(|(other, _)| other.id == client.id);
        let (own, more) = rest.split_at(same.count());
        let paths: Vec<_> = own.iter().map(|(_, path)| cx.dirs.tilde(path)).collect();
        out.line(&format!("  {}: {}", client.name, paths.join(", ")));
        rest = more;
    }
    out.line("");
    out.print();
}

/// What is skipped, and why.
pub(super) fn left(cx: &Context, found: &[ClientFile], plan: &AdoptPlan) {
    for left in &plan.left {
        let Some(file) = found.get(left.found) else {
            continue;
        };
        let shown = cx.dirs.tilde(&file.path);
        print::warning(&match &left.entry {
            Some(entry) => format!("skipped `{entry}` in {shown}: {}", left.reason),
            None => format!("{shown}: {}", left.reason),
        });
    }
}

/// Selected names that no entry has.
pub(super) fn unknown(round: &Round, selected: &[String]) {
    if selected.is_empty() {
        return;
    }
    let documents = round.files.found.iter();
    let documents = documents.filter_map(|file| file.document.as_ref().ok());
    let names: Vec<String> = documents
        .flat_map(entries)
        .map(|entry| entry.name)
        .collect();
    for name in selected.iter().filter(|name| !names.contains(name)) {
        let near = nearest(name, names.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        print::warning(&printable(&format!(
            "no entry `{name}` in any of the files searched{near}"
        )));
    }
}

/// Shows the policies that are still not granted, with the reason. Returns whether there are any.
pub(super) fn not_granted(cx: &Context, unresolved: Vec<(ServerName, Error)>) -> bool {
    // Those that were pinned in the meantime are granted.
    let is_open = |server: &ServerName| {
        policy::load(&cx.dirs, server, None)
            .and_then(|policy| grant::find(&cx.dirs, &policy))
            .is_err()
    };
    let mut any = false;
    for (server, error) in unresolved {
        if is_open(&server) {
            any = true;
            print::error(&error.hint(format!(
                "then run `mcpwrap grant {server}`: until then the server does not start"
            )));
        }
    }
    any
}

/// What the adopted servers read in this terminal and do not get.
pub(super) fn needs(cx: &Context, policies: &[Policy]) {
    let terminal = Terminal::new(&cx.dirs);
    let notes = parallel::map(policies, |policy| needs::notes(&cx.dirs, policy, &terminal));
    for note in notes.iter().flatten() {
        print::note(note);
    }
}
