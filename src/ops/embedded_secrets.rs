//! Values in a policy that look like secrets. They belong in the store, since policies are
//! plaintext.
//!
//! A value is not repeated, only its location. This is a warning, because a guess must not prevent
//! a start.

use crate::detect::{self, ValueSite, Verdict};
use crate::policy::{Policy, template};

/// The locations of values in a policy that look like secrets.
fn places(policy: &Policy) -> Vec<String> {
    let variables = policy.env.set.iter();
    let variables = variables.filter(|(name, value)| looks_secret(name, value));
    let variables = variables.map(|(name, _)| format!("the value of `{name}`"));
    variables.chain(arguments(&policy.command)).collect()
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
