//! Check 8: secrets that are expired, will be soon, or are not there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::file::{ConfigFile, Kind, Value, label};
use super::finding::{Finding, Mend, Place, Severity};
use super::scene::{Machine, Said};
use super::{Scene, Sheet};
use crate::detect::Verdict;
use crate::detect::names::{Promise, promise};

/// So many days before its end a secret is worth a word.
const SOON_DAYS: i32 = 14;

pub(super) const ABOUT: &str = "\
**Looks for** tokens that say when they end (the `exp` of a JWT) and did, or will within 14 days; the dates given with
`mcpwrap secret set NAME --expires DATE`; secrets that a policy names and the store does not have; servers of a file whose
credential is empty or a placeholder (`YOUR_API_KEY`). With `--verify` what the service itself says: refused, or good until a day.

**Why:** an expired credential ends an agent's work in the middle, with an error that nobody understands. A server that starts
without its credential looks alive and does nothing, or asks for it in the wrong place.

**Mend:** `mcpwrap secret rotate NAME` stores the new value, and running servers get it without a restart of the client.

**Known misses:** tokens that do not say when they end and have no date; variables that a client fills in itself; services that
no shipped policy knows how to ask.
";

const WHY: &str = "the server fails in the middle of work, with an error that nobody understands";
const RULE: (&str, Severity) = ("mcp08", Severity::Medium);

pub(super) fn run(scene: &Scene, sheet: &mut Sheet) {
    for file in &scene.files {
        for value in &file.values {
            one(scene, file, value, sheet);
        }
    }
    if let Some(machine) = &scene.machine {
        stored(scene, machine, sheet);
    }
    for answer in &scene.answers {
        sheet.looked(1);
        let what = match &answer.said {
            Said::Refused(status) => {
                format!("{} refuses `{}` ({status})", answer.host, answer.secret)
            }
            Said::Good {
                ends: Some(ends), ..
            } => match state(scene.today, *ends) {
                Some(words) => format!("{} says that `{}` {words}", answer.host, answer.secret),
                None => continue,
            },
            Said::Unclear(why) => format!(
                "{} did not tell whether `{}` is good: {why}",
                answer.host, answer.secret
            ),
            Said::Good { .. } => continue,
        };
        let severity = match answer.said {
            Said::Unclear(_) => Severity::Low,
            _ => Severity::Medium,
        };
        let mend = if answer.stored {
            Mend::Run(format!("mcpwrap secret rotate {}", answer.secret))
        } else {
            Mend::Act("make a new one at the provider".to_owned())
        };
        let found = Finding::new(("mcp08", severity), answer.place.clone(), what, WHY, mend);
        sheet.add(found.of(&answer.server));
    }
}

fn one(scene: &Scene, file: &ConfigFile, value: &Value, sheet: &mut Sheet) {
    let server = file
        .server_of(value)
        .map(|server| server.entry.name.clone());
    let mut add = |place: Place, what: String, mend: Mend, secret: Option<&str>| {
        let mut found = Finding::new(RULE, place, what, WHY, mend);
        found.server.clone_from(&server);
        sheet.add(match secret {
            Some(secret) => found.shows(secret),
            None => found,
        });
    };
    for part in value.verdict.secrets() {
        let secret = value.text.get(part.range.clone()).unwrap_or_default();
        let Some(words) = ends(secret).and_then(|ends| state(scene.today, ends)) else {
            continue;
        };
        let what = format!("{} {words}", label(value, &part.name));
        let mend = Mend::Act("make a new one at the provider".to_owned());
        add(file.place_of(value, &part.range), what, mend, Some(secret));
    }
    let place = file.place(value.span.start);
    let mend = || {
        let act =
            "put the client's reference to a variable there, or give it a policy with the secret";
        Mend::Act(act.to_owned())
    };
    let needed = matches!(promise(&value.name), Promise::Token | Promise::Password);
    if value.verdict == Verdict::Placeholder && needed {
        let what = format!(
            "{} is a placeholder: the server starts without its credential",
            label(value, "")
        );
        add(place, what, mend(), None);
    } else if needed && value.kind == Kind::Env && value.text.trim().is_empty() {
        let what = format!(
            "{} is empty: the server starts without its credential",
            label(value, "")
        );
        add(place, what, mend(), None);
    }
    sheet.looked(value.verdict.secrets().len());
}

fn stored(scene: &Scene, machine: &Machine, sheet: &mut Sheet) {
    let Ok(index) = &machine.index else {
        return;
    };
    sheet.looked(index.secrets.len());
    for (name, entry) in &index.secrets {
        let Some(words) = entry.expires.and_then(|ends| state(scene.today, ends)) else {
            continue;
        };
        let mend = Mend::Run(format!("mcpwrap secret rotate {name}"));
        let place = Place::whole(machine.index_shown.clone());
        sheet.add(Finding::new(
            RULE,
            place,
            format!("`{name}` {words}"),
            WHY,
            mend,
        ));
    }
    for (file, policy) in machine.read_policies() {
        for (variable, slot) in &policy.secrets {
            let name = slot.from.name();
            if index.secrets.contains_key(name) {
                continue;
            }
            let what = if slot.optional {
                format!("`{variable}` has no value in the store: the server starts without it")
            } else {
                format!("`{variable}` has no value in the store: the server does not start")
            };
            let mend = Mend::Run(format!("mcpwrap secret set {name}"));
            let place = Place::line(file.shown.clone(), slot.line);
            sheet.add(Finding::new(RULE, place, what, WHY, mend).of(file.server.as_str()));
        }
    }
}

/// The day on which a token says that it ends, if it is a JWT.
pub(super) fn ends(token: &str) -> Option<Date> {
    let start = token.find("eyJ")?;
    let mut parts = token.get(start..)?.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let seconds = claims.get("exp")?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "a date, not a measure")]
    let at = Timestamp::from_second(seconds as i64).ok()?;
    Some(at.to_zoned_datetime(TimeZone::system()).date())
}

/// Whether a day has passed or is near, in words.
fn state(today: Date, ends: Date) -> Option<String> {
    if ends < today {
        return Some(format!("expired on {ends}"));
    }
    let soon = today.checked_add(SOON_DAYS.days()).ok()?;
    (ends <= soon).then(|| format!("expires on {ends}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_jwt() {
        let token = |claims: &str| {
            format!(
                "Bearer eyJhbGciOiJIUzI1NiJ9.{}.c2ln",
                URL_SAFE_NO_PAD.encode(claims)
            )
        };
        let day = ends(&token(r#"{"exp": 1600000000}"#)).unwrap();
        assert!(day.year() == 2020 && state(day, day).unwrap().starts_with("expires"));
        assert_eq!(ends(&token(r#"{"iat": 1}"#)), None);
        assert_eq!(ends("eyJ.x"), None);
        let later = day.checked_add(15.days()).unwrap();
        assert_eq!(state(day, later), None);
        assert!(state(later, day).unwrap().starts_with("expired"));
    }
}
