//! References to stores: those that reach a server as text, because nothing resolves them, and those of
//! policies that lead to no store. A part of the rule `expired-credential`.

use super::facts::{Facts, Machine};
use super::file::{ConfigFile, ConfigValue, FieldKind, label};
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use crate::detect::names::{Promise, promise};
use crate::detect::{Verdict, store_of};
use crate::package;
use crate::policy::Policy;
use crate::reference::Reference;
use crate::store::types::NamedStore;

/// Programs that resolve references before they start a server.
const RESOLVERS: &[&str] = &[
    "op",
    "bws",
    "sops",
    "vals",
    "teller",
    "chamber",
    "fnox",
    "varlock",
    "secretspec",
    "aws-vault",
    "berglas",
    "summon",
    "infisical",
    "doppler",
];

/// What is wrong with a value that is a reference nothing resolves, and what to do.
pub(super) fn literal(
    facts: &Facts,
    file: &ConfigFile,
    value: &ConfigValue,
) -> Option<(String, Fix)> {
    let is_sent = matches!(value.kind, FieldKind::Env | FieldKind::Header);
    let store = store_of(&value.text).filter(|_| is_sent && value.verdict == Verdict::Reference)?;
    // Such a text may be meant for the server, which resolves it, unless it stands for a credential.
    let is_credential = matches!(promise(&value.name), Promise::Token | Promise::Password);
    if store != OP && !is_credential {
        return None;
    }
    let server = file.server_of(value)?;
    let resolves = |text: &str| RESOLVERS.contains(&package::program_name(text).as_str());
    let words = server.entry.words.iter();
    let mut words = words.flat_map(|word| word.text.split_whitespace());
    if words.any(resolves) {
        return None;
    }
    let what = format!(
        "{} is a reference to {store} that nothing resolves: the server gets its text as the credential",
        label(value, "")
    );
    let act = "name it in a policy of mcpwrap (`from`), or start the server with a program that resolves it";
    let fix = if store == OP {
        fixes::server(facts, file, server, act)
    } else {
        Fix::Act(act.to_owned())
    };
    Some((what, fix))
}

const OP: &str = "1Password";

/// The references of policies that lead to no store, and those among their variables that nothing
/// resolves.
pub(super) fn of_policies(
    machine: &Machine,
    rule: (&'static str, Severity),
    why: &'static str,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, policy) in machine.read_policies() {
        let mut add = |location: Location, what: String, fix: Fix| {
            let finding = Finding::new(rule, location, what, why, fix);
            found.push(finding.for_server(file.server.as_str()));
        };
        let of_profiles = file.profiles.iter().flat_map(|policy| &policy.secrets);
        let mut lines = Vec::new();
        for (variable, slot) in policy.secrets.iter().chain(of_profiles) {
            let (Reference::Store(reference), Ok(config)) = (&slot.from, &machine.config) else {
                continue;
            };
            let Err(error) = NamedStore::of(config, reference) else {
                continue;
            };
            if lines.contains(&slot.line) {
                continue;
            }
            lines.push(slot.line);
            let what = format!(
                "`{variable}` leads to no value, and the server cannot start: {}",
                error.reasons()
            );
            let fix = error.hints.first().cloned();
            let fix = fix.unwrap_or_else(|| "correct `from` in the policy".to_owned());
            add(
                Location::line(file.shown.clone(), slot.line),
                what,
                Fix::Act(fix),
            );
        }
        for (name, store) in literal_variables(policy) {
            let what = format!(
                "`{name}` is a reference to {store} that nothing resolves: the server gets its text"
            );
            let fix = format!("write it as `from` of `[secrets.{name}]` instead of `[env]`");
            add(Location::whole(file.shown.clone()), what, Fix::Act(fix));
        }
    }
    found
}

fn literal_variables(policy: &Policy) -> impl Iterator<Item = (&String, &'static str)> {
    let set = policy.env.set.iter();
    set.filter_map(|(name, text)| Some((name, store_of(text).filter(|store| *store == OP)?)))
}
