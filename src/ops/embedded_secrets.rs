//! Values in a policy that look like secrets. They belong in the store, since policies are
//! plaintext.
//!
//! A value is not repeated, only its location. This is a warning, because a guess must not prevent
//! a start.

use crate::detect::{self, ValueSite, Verdict};
use crate::error::{Code, Error};
use crate::policy::{Policy, Remote, template};

/// The locations of values in a policy that look like secrets.
fn places(policy: &Policy) -> Vec<String> {
    let variables = policy.env.set.iter();
    let variables = variables.filter(|(name, value)| looks_secret(name, value));
    let variables = variables.map(|(name, _)| format!("the value of `{name}`"));
    let remote = policy.remote.iter().flat_map(of_remote);
    let places = variables.chain(arguments(&policy.command));
    places.chain(remote).collect()
}

/// The locations in the headers and the URL of a remote server.
fn of_remote(remote: &Remote) -> Vec<String> {
    let headers = remote.headers.iter();
    let headers = headers.filter(|(name, value)| header_looks_secret(name, value));
    let headers = headers.map(|(name, _)| format!("the value of header `{name}`"));
    let url = url_looks_secret(&remote.url).then(|| "a part of `url`".to_owned());
    headers.chain(url).collect()
}

/// Whether the value of a header looks like a secret.
fn header_looks_secret(name: &str, value: &str) -> bool {
    has_secret(ValueSite::Header(name), value)
}

/// Whether a part of a URL looks like a secret.
fn url_looks_secret(url: &str) -> bool {
    has_secret(ValueSite::Url, url)
}

/// Whether a value has a secret part that is no placeholder.
fn has_secret(site: ValueSite<'_>, value: &str) -> bool {
    let parts = detect::value(site, value);
    parts.secrets().iter().any(|part| {
        let text = value.get(part.range.clone()).unwrap_or_default();
        template::secrets(text).next().is_none()
    })
}

/// The first value of a remote server on the command line that looks like a secret.
pub fn remote(headers: &[(String, String)], url: Option<&String>) -> Option<String> {
    let mut headers = headers.iter();
    let header = headers.find(|(name, value)| header_looks_secret(name, value));
    let header = header.map(|(name, _)| format!("the value of `--header {name}`"));
    header.or_else(|| {
        url.is_some_and(|url| url_looks_secret(url))
            .then(|| "a part of `--url`".to_owned())
    })
}

/// The error of such a value on the command line. The value is not repeated.
pub fn refused(place: &str) -> Error {
    Error::new(Code::SecretUnusable, format!("cannot accept {place}"))
        .cause("looks like a secret, and a policy file is plaintext")
}

/// Warnings about them, for the user.
pub fn warnings(policy: &Policy) -> Vec<String> {
    let places = places(policy).into_iter();
    places
        .map(|place| format!("{place} looks like a secret, and the policy is stored in plaintext"))
        .collect()
}

/// Whether the value of a variable looks like a secret.
pub fn looks_secret(name: &str, value: &str) -> bool {
    template::secrets(value).next().is_none()
        && matches!(
            detect::value(ValueSite::Env(name), value),
            Verdict::Secret(_)
        )
}

/// The arguments of a command that look like secrets, by index, from 0.
pub fn arguments(command: &[String]) -> Vec<String> {
    let has_place = |arg: &String| template::secrets(arg).next().is_some();
    let plain: Vec<&str> = command
        .iter()
        .map(|arg| if has_place(arg) { "" } else { arg.as_str() })
        .collect();
    let verdicts = detect::arguments(&plain).into_iter().enumerate();
    let secrets = verdicts.filter(|(_, verdict)| matches!(verdict, Verdict::Secret(_)));
    secrets
        .map(|(n, _)| format!("argument {n} of the command"))
        .collect()
}
