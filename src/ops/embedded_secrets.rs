//! Values in a policy that look like secrets. A policy is a plain file, so they belong elsewhere.
//!
//! *Never* repeats a value: it says where it stands. It only warns of files that are there, since
//! a guess must not keep a server from starting.

use crate::detect::{self, ValueSite, Verdict};
use crate::policy::{Policy, template};

/// Where a policy has values that look like secrets.
fn places(policy: &Policy) -> Vec<String> {
    let variables = policy.env.set.iter();
    let variables = variables.filter(|(name, value)| looks_secret(name, value));
    let variables = variables.map(|(name, _)| format!("the value of `{name}`"));
    variables.chain(arguments(&policy.command)).collect()
}

/// The same, in words for the user.
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

/// The arguments of a command that look like secrets, by their number.
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
