//! A part of `expired-credential`: credentials that a service refused, as far as a running server said so.

use jiff::tz::TimeZone;

use super::facts::{Machine, SuspectFacts};
use super::finding::{Finding, Fix, Location, Severity};
use super::results::{CheckResults, Noun};
use crate::oauth::owner::TokenOwner;
use crate::secret::{Fingerprint, SecretName, ServerName};
use crate::suspects::SuspectRow;

pub(super) fn run(
    machine: &Machine,
    rule: (&'static str, Severity),
    why: &'static str,
    results: &mut CheckResults,
) {
    let SuspectFacts { index, shown } = &machine.suspects;
    let location = || Location::whole(shown.clone());
    let index = match index {
        Ok(index) => index,
        Err(error) => {
            let what = format!("what services refused cannot be read: {}", error.reasons());
            let fix = Fix::Act("make the file readable for you alone".to_owned());
            results.add(Finding::new(rule, location(), what, why, fix));
            return;
        }
    };
    for (server, rows) in &index.servers {
        for (name, row) in rows
            .iter()
            .filter(|(name, row)| is_current(machine, name, row))
        {
            results.count(Noun::Answer, 1);
            let since = row.since.to_zoned_datetime(TimeZone::system());
            let what = format!(
                "`{name}` looks refused by its service: server `{server}` got such an answer on {}",
                since.strftime("%Y-%m-%d %H:%M")
            );
            let fix = fix(machine, server, name);
            results.add(Finding::new(rule, location(), what, why, fix).for_server(server.as_str()));
        }
    }
}

fn fix(machine: &Machine, server: &ServerName, name: &str) -> Fix {
    if let Some(owner) = owner(machine, server, name) {
        Fix::Run(owner.login_command())
    } else if name.starts_with("oauth/") {
        Fix::Run(format!("mcpwrap login {server}"))
    } else if stored(machine, name).is_some() {
        Fix::Run(format!("mcpwrap secret rotate {name}"))
    } else if name.starts_with("mint:") {
        Fix::Run(format!("mcpwrap renew {server}"))
    } else {
        Fix::Act(format!(
            "replace it where it comes from, then run `mcpwrap renew {server}`"
        ))
    }
}

/// Whose token it is, if it is one of a login.
fn owner<'a>(machine: &'a Machine, server: &ServerName, name: &str) -> Option<&'a TokenOwner> {
    let part = name.split('#').next();
    let mint = part.and_then(|part| part.strip_prefix("mint:"));
    let mut rows = machine.logins.index.as_ref().ok()?.tokens.iter();
    let (_, row) = rows.find(|(item, row)| {
        row.owner.server == *server
            && match &row.owner.mint {
                Some(own) => mint == Some(own.as_str()),
                None => item.as_str() == name,
            }
    })?;
    Some(&row.owner)
}

/// A value that was rotated since then is another one.
fn is_current(machine: &Machine, name: &str, row: &SuspectRow) -> bool {
    stored(machine, name).is_none_or(|found| *found == row.fingerprint)
}

/// The fingerprint of a secret of the local store.
fn stored<'a>(machine: &'a Machine, name: &str) -> Option<&'a Fingerprint> {
    let index = machine.index.as_ref().ok()?;
    let name: SecretName = name.parse().ok()?;
    index.secrets.get(&name).map(|entry| &entry.fingerprint)
}
