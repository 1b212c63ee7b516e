//! Secrets that have expired, expire soon, or are missing.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::facts::{Facts, LoginFacts, Machine, ProbeResult};
use super::file::{ConfigFile, ConfigValue, FieldKind, label};
use super::finding::{Finding, Fix, Location, Severity};
use super::fixes;
use super::results::{CheckResults, Noun};
use super::store_references;
use super::suspect_credentials;
use crate::detect::Verdict;
use crate::detect::names::{Promise, promise};
use crate::expiry::{Expiry, of_jwt};
use crate::oauth::health::TokenHealth;
use crate::oauth::index::TokenRow;
use crate::oauth::owner::TokenOwner;
use crate::policy::SecretBinding;

/// An expiry is reported this many days before.
const SOON_DAYS: i32 = 14;

pub(super) const NAME: &str = "expired-credential";

pub(super) const ABOUT: &str = "\
**Detects** tokens that name their own expiry (the `exp` of a JWT) and have expired, or will within
14 days; expiry dates given with `mcpwrap secret set NAME --expires DATE`; secrets that a policy
names but the store does not have; policies that refer to a store that `config.toml` does not define; and
entries whose credential is empty, a placeholder (`YOUR_API_KEY`), or a reference to a store that nothing
resolves (`op://…`, `arn:aws:secretsmanager:…`, `{{resolve:ssm:…}}`, those of Google Cloud and Azure). Of the OAuth tokens of remote servers: one that cannot be refreshed and has expired
or will within 14 days, a refresh that failed or was refused, scopes that the server asked for since
the login, and a granted policy to whose server nobody has logged in. Of running servers: values that a service
refused, as far as an answer said so (a JSON-RPC error that speaks of 401 or a bad token, or the words that the
catalog has for this server). With `--verify`, also what the
service says: rejected, or valid until a date.

**Why:** an expired credential stops an agent in the middle of its work, with an error that is hard
to diagnose. A server that starts without its credential looks healthy and does nothing.

**Remediation:** `mcpwrap secret rotate NAME` stores the new value. Running servers get it without a
restart of the client. `mcpwrap login SERVER` obtains a new OAuth token, and sessions that wait for it go on.

**Limitations:** not detected are tokens without an expiry date, values that a policy reads from another
store, which no check opens (`mcpwrap store check NAME` asks whether it works), variables that a client fills in by
itself, services for which `policies/` has no request to ask, and whether an authorization server
still accepts a token that has not expired.
";

const WHY: &str = "calls that need the credential fail, with an error that is hard to diagnose";
const RULE: (&str, Severity) = (NAME, Severity::Medium);

pub(super) fn run(facts: &Facts, results: &mut CheckResults) {
    results.count(Noun::SecretValue, 0);
    for file in &facts.files {
        for value in &file.values {
            check_value(facts, file, value, results);
        }
    }
    if let Some(machine) = &facts.machine {
        stored(facts, machine, results);
        for finding in store_references::of_policies(machine, RULE, WHY) {
            results.add(finding);
        }
        logins(machine, results);
        suspect_credentials::run(machine, RULE, WHY, results);
    }
    for record in &facts.probes {
        results.count(Noun::Answer, 1);
        let what = match &record.result {
            ProbeResult::Refused(status) => {
                format!(
                    "{} rejects `{}` (HTTP {status})",
                    record.host, record.secret
                )
            }
            ProbeResult::Good {
                ends: Some(ends), ..
            } => match expiry_text(facts.today, ends.day()) {
                Some(words) => format!("{} says `{}` {words}", record.host, record.secret),
                None => continue,
            },
            ProbeResult::Unclear(why) => format!(
                "{} did not say whether `{}` is valid: {why}",
                record.host, record.secret
            ),
            ProbeResult::Good { .. } => continue,
        };
        let severity = match record.result {
            ProbeResult::Unclear(_) => Severity::Low,
            _ => Severity::Medium,
        };
        let fix = Fix::Run(format!("mcpwrap secret rotate {}", record.secret));
        let found = Finding::new((NAME, severity), record.location.clone(), what, WHY, fix);
        results.add(found.for_server(record.server.as_str()));
    }
}

fn check_value(facts: &Facts, file: &ConfigFile, value: &ConfigValue, results: &mut CheckResults) {
    let server = file
        .server_of(value)
        .map(|server| server.entry.name.clone());
    let mut add = |location: Location, what: String, fix: Fix, secret: Option<&str>| {
        let mut found = Finding::new(RULE, location, what, WHY, fix);
        found.server.clone_from(&server);
        results.add(match secret {
            Some(secret) => found.with_value(secret),
            None => found,
        });
    };
    for part in value.verdict.secrets() {
        let secret = value.text.get(part.range.clone()).unwrap_or_default();
        let Some(words) = expiry(secret).and_then(|ends| expiry_text(facts.today, ends)) else {
            continue;
        };
        let what = format!("{} {words}", label(value, &part.name));
        let fix = Fix::Act("create a new one at the provider".to_owned());
        add(
            file.location_of(value, &part.range),
            what,
            fix,
            Some(secret),
        );
    }
    let location = file.location(value.span.start);
    if let Some((what, fix)) = store_references::literal(facts, file, value) {
        add(location.clone(), what, fix, None);
    }
    let fix = || fixes::missing(file, value);
    let needed = matches!(promise(&value.name), Promise::Token | Promise::Password);
    if value.verdict == Verdict::Placeholder && needed {
        let what = format!(
            "{} is a placeholder: the server starts without its credential",
            label(value, "")
        );
        add(location, what, fix(), None);
    } else if needed && value.kind == FieldKind::Env && value.text.trim().is_empty() {
        let what = format!(
            "{} is empty: the server starts without its credential",
            label(value, "")
        );
        add(location, what, fix(), None);
    }
    results.count(Noun::SecretValue, value.verdict.secrets().len());
}

fn stored(facts: &Facts, machine: &Machine, results: &mut CheckResults) {
    let Ok(index) = &machine.index else {
        return;
    };
    results.count(Noun::StoredSecret, index.secrets.len());
    for (name, entry) in &index.secrets {
        let Some(words) = entry
            .expires
            .and_then(|ends| expiry_text(facts.today, ends.day()))
        else {
            continue;
        };
        let fix = Fix::Run(format!("mcpwrap secret rotate {name}"));
        let location = Location::whole(machine.index_shown.clone());
        results.add(Finding::new(
            RULE,
            location,
            format!("`{name}` {words}"),
            WHY,
            fix,
        ));
    }
    for (file, policy) in machine.read_policies() {
        // Nothing is known about values that are elsewhere.
        let is_local = |slot: &SecretBinding| slot.from.local().is_some();
        let all = &policy.secrets;
        let is_checked = all.is_empty() || all.values().any(is_local);
        results.count(Noun::Policy, usize::from(is_checked));
        for (variable, slot) in &policy.secrets {
            let Some(name) = slot
                .from
                .local()
                .filter(|name| !index.secrets.contains_key(*name))
            else {
                continue;
            };
            let what = if slot.optional {
                format!("`{variable}` has no value in the store: the server starts without it")
            } else {
                format!("`{variable}` has no value in the store: the server cannot start")
            };
            let fix = Fix::Run(format!("mcpwrap secret set {name}"));
            let location = Location::line(file.shown.clone(), slot.line);
            results
                .add(Finding::new(RULE, location, what, WHY, fix).for_server(file.server.as_str()));
        }
    }
}

/// The OAuth tokens of remote servers: those that do not go on by themselves, and those that are missing.
fn logins(machine: &Machine, results: &mut CheckResults) {
    let LoginFacts { index, shown, now } = &machine.logins;
    let location = || Location::whole(shown.clone());
    let index = match index {
        Ok(index) => index,
        Err(error) => {
            let what = format!("the logins cannot be read: {}", error.reasons());
            let fix = Fix::Act("make the file readable for you alone".to_owned());
            results.add(Finding::new(RULE, location(), what, WHY, fix));
            return;
        }
    };
    results.count(Noun::Login, index.tokens.len());
    for row in index.tokens.values() {
        let whose = row.owner.token();
        let mut add = |what: String| {
            let fix = Fix::Run(row.owner.login_command());
            let found = Finding::new(RULE, location(), what, WHY, fix);
            results.add(found.for_server(row.owner.server.as_str()));
        };
        match row.health(*now) {
            TokenHealth::Good => {}
            TokenHealth::Ended(end) => add(format!(
                "{whose} expired on {} and cannot be refreshed",
                date(end)
            )),
            TokenHealth::Ends(end) => add(format!(
                "{whose} expires on {} and cannot be refreshed",
                date(end)
            )),
            TokenHealth::Failed(code) => {
                add(format!("the last refresh of {whose} failed ({code})"));
            }
            TokenHealth::Refused(code) => add(format!(
                "{whose} has ended: its authorization server refused to refresh it ({code})"
            )),
        }
        if !row.wanted.is_empty() {
            add(format!(
                "{whose} lacks scopes that the server asked for: {}",
                row.wanted
            ));
        }
    }
    for (file, policy) in machine.read_policies() {
        if !file.is_granted || !policy.needs_login() {
            continue;
        }
        for owner in TokenOwner::of_policy(policy) {
            // A login with a profile is one, too.
            let is_it =
                |row: &TokenRow| row.owner.server == owner.server && row.owner.mint == owner.mint;
            if index.tokens.values().any(is_it) {
                continue;
            }
            let what = match &owner.mint {
                None => "nobody has logged in: the server gets no token".to_owned(),
                Some(mint) => {
                    format!("nobody has logged in for `mint:{mint}`: the server does not start")
                }
            };
            let location = Location::line(file.shown.clone(), policy.command_line);
            let fix = Fix::Run(owner.login_command());
            let found = Finding::new(RULE, location, what, WHY, fix);
            results.count(Noun::Login, 1);
            results.add(found.for_server(file.server.as_str()));
        }
    }
}

fn date(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds);
    at.map_or_else(
        |_| "an unknown date".to_owned(),
        |at| at.to_zoned_datetime(TimeZone::system()).date().to_string(),
    )
}

/// The expiry date of a token, if it is a JWT.
pub(super) fn expiry(token: &str) -> Option<Date> {
    of_jwt(token).map(Expiry::day)
}

/// "expired on" or "expires on", if the date has passed or is near.
fn expiry_text(today: Date, ends: Date) -> Option<String> {
    if ends < today {
        return Some(format!("expired on {ends}"));
    }
    let soon = today.checked_add(SOON_DAYS.days()).ok()?;
    (ends <= soon).then(|| format!("expires on {ends}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn the_end_of_a_jwt() {
        let token = |claims: &str| {
            format!(
                "Bearer eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
                URL_SAFE_NO_PAD.encode(claims)
            )
        };
        let day = expiry(&token(r#"{"exp": 1600000000}"#)).unwrap();
        assert!(day.year() == 2020 && expiry_text(day, day).unwrap().starts_with("expires"));
        assert_eq!(expiry(&token(r#"{"iat": 1}"#)), None);
        assert_eq!(expiry("eyJ.x"), None);
        let later = day.checked_add(15.days()).unwrap();
        assert_eq!(expiry_text(day, later), None);
        assert!(expiry_text(later, day).unwrap().starts_with("expired"));
    }
}
