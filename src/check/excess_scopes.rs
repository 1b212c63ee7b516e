//! Scopes, permissions and keys that allow more than the catalog says that a server needs.
//!
//! Invariant: counted as checked is only what was known: scopes that a provider or a login told, of a
//! service whose scopes the catalog has. A part of `excess-permission`.

use super::facts::{Facts, Machine, ProbeResult};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::{CheckResults, Noun};
use crate::catalog::{self, KnownScopes};
use crate::policy::Policy;
use crate::policy::mint::MintSource;

pub(super) const MORE: &str = "a server can leak anything it can access; grant only what it needs";

pub(super) fn run(name: &'static str, facts: &Facts, results: &mut CheckResults) {
    probes(name, facts, results);
    kinds(name, facts, results);
    if let Some(machine) = &facts.machine {
        logins(name, machine, results);
        mints(name, machine, results);
    }
}

/// What providers said about scopes.
fn probes(name: &'static str, facts: &Facts, results: &mut CheckResults) {
    for record in &facts.probes {
        let (Some(known), ProbeResult::Good { scopes, .. }) = (record.known, &record.result) else {
            continue;
        };
        let Some(scopes) = scopes else { continue };
        results.count(Noun::Answer, 1);
        let more = known.excess(&scopes.iter().map(String::as_str).collect::<Vec<_>>());
        if more.is_empty() {
            continue;
        }
        let (host, secret) = (&record.host, &record.secret);
        let found = Finding::new(
            (name, Severity::Critical),
            record.location.clone(),
            format!(
                "{host} says `{secret}` has scopes that the server does not need: {}",
                more.join(", ")
            ),
            MORE,
            Fix::Act(format!(
                "create a narrower one at the provider, then run `mcpwrap secret rotate {secret}`"
            )),
        );
        results.add(found.for_server(record.server.as_str()));
    }
}

/// Stored keys of a kind that allows more than another kind.
fn kinds(name: &'static str, facts: &Facts, results: &mut CheckResults) {
    for kind in &facts.kinds {
        results.count(Noun::StoredSecret, 1);
        let Some(broad) = kind.broad else { continue };
        let secret = &kind.secret;
        let found = Finding::new(
            (name, Severity::Medium),
            kind.location.clone(),
            format!("`{secret}` is {}", broad.is),
            MORE,
            Fix::Act(format!(
                "create {}, then run `mcpwrap secret rotate {secret}`",
                broad.instead
            )),
        );
        results.add(found.for_server(kind.server.as_str()));
    }
}

/// The scopes of OAuth tokens. The user agreed to them at the login, so they are not critical.
fn logins(name: &'static str, machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.logins.index else {
        return;
    };
    for row in index.tokens.values().filter(|row| !row.scope.is_empty()) {
        let mut policies = machine.read_policies();
        let policy = policies.find(|(file, _)| file.server == row.owner.server);
        let policy = policy.map(|(_, policy)| policy);
        let Some(known) = catalog::scopes_of(policy, Some(&row.issuer)) else {
            continue;
        };
        results.count(Noun::Login, 1);
        let more = known.excess_wide(&row.scope.iter().collect::<Vec<_>>());
        if more.is_empty() {
            continue;
        }
        let server = &row.owner.server;
        let field = row.owner.mint.as_ref();
        let field = field.map_or_else(
            || "oauth.scopes".to_owned(),
            |mint| format!("mint.{mint}.scopes"),
        );
        let found = Finding::new(
            (name, Severity::Medium),
            Location::whole(machine.logins.shown.clone()),
            format!(
                "{} has far-reaching scopes: {}",
                row.owner.token(),
                more.join(", ")
            ),
            MORE,
            Fix::Act(format!(
                "if the server works without them, name its scopes with `mcpwrap policy edit {server}` \
                 (`{field}`), then run `{}`",
                row.owner.login_command()
            )),
        );
        results.add(found.for_server(server.as_str()));
    }
}

/// The permissions of tokens that are made for a session. The user granted them, so they are not
/// critical.
fn mints(name: &'static str, machine: &Machine, results: &mut CheckResults) {
    for (file, policy) in machine.read_policies() {
        for (mint, location, more) in excess_of_mints(&file.shown, policy) {
            let server = file.server.as_str();
            let found = Finding::new(
                (name, Severity::Medium),
                location,
                format!(
                    "`mint.{mint}` asks for permissions that the server does not need: {}",
                    more.join(", ")
                ),
                MORE,
                Fix::Run(format!("mcpwrap policy edit {server}")),
            );
            results.add(found.for_server(server));
        }
    }
}

/// Each mint with its excess. The needs of a server that is not GitHub's are not known: only `admin`,
/// the highest level, is more than any server needs.
fn excess_of_mints(shown: &str, policy: &Policy) -> Vec<(String, Location, Vec<String>)> {
    let known = catalog::of_policy(policy).and_then(|known| known.permissions.as_ref());
    let mut found = Vec::new();
    for (mint, rules) in &policy.mints {
        let MintSource::GithubApp(app) = &rules.source else {
            continue;
        };
        let more = known.map_or_else(
            || KnownScopes::default().excess_permissions(&app.permissions),
            |known| known.excess_permissions(&app.permissions),
        );
        if !more.is_empty() {
            let location = Location::line(shown.to_owned(), rules.line);
            found.push((mint.to_string(), location, more));
        }
    }
    found
}
