//! A secret that was typed where a name or nothing belongs.
//!
//! Invariant: it is neither stored nor repeated. Whoever typed it learns that it is in the shell's
//! history now.

use std::ffi::OsString;
use std::path::Path;

use crate::detect::{self, ValueSite, Verdict};
use crate::error::{Code, Error};

/// Commands whose arguments are names.
const NAMES: &[&str] = &[
    "secret set",
    "secret rotate",
    "secret rm",
    "grant",
    "renew",
    "pin",
    "policy new",
    "policy show",
    "policy edit",
    "policy lint",
    "policy rm",
    "log who-has",
];

/// Refuses a command line with a secret in it. The command after `--` is not looked at: `run` compares
/// it with the policy.
pub(in crate::cli) fn refuse(args: &[OsString]) -> Option<Error> {
    let words = args
        .iter()
        .skip(1)
        .map(|word| word.to_str().unwrap_or_default());
    let words: Vec<&str> = words.take_while(|word| *word != "--").collect();
    let first = *words.first()?;
    // Nothing keeps `revoke` from what it can do; it looks at its arguments itself.
    if matches!(first, "help" | "completions" | "man" | "revoke") {
        return None;
    }
    if first == "run" {
        // Only what certainly is one: a client starts this, and a name may look like anything.
        let server = words.iter().skip(1).find(|word| !word.starts_with('-'))?;
        let is_secret = !detect::known_tokens(server).is_empty();
        return is_secret.then(|| explain("a secret is on the command line", first));
    }
    let second = words.get(1).copied().unwrap_or_default();
    let path = match first {
        "secret" | "policy" | "log" => format!("{first} {second}"),
        _ => first.to_owned(),
    };
    // It has its own refusal, which also looks at the command.
    if path == "policy new" {
        let server = *words.get(2)?;
        return name(server, &path).filter(|_| server.len() > 20);
    }
    let typed = words.iter().skip(path.split(' ').count());
    let takes_names = NAMES.contains(&path.as_str());
    for word in typed {
        let is_secret = !detect::known_tokens(word).is_empty() && !Path::new(word).exists();
        if is_secret || takes_names && !word.starts_with('-') && is_random(word) {
            return Some(explain("a secret is on the command line", &path));
        }
        if matches!(path.as_str(), "secret set" | "secret rotate")
            && !word.starts_with('-')
            && word.contains('=')
        {
            return Some(explain("a value is on the command line", &path));
        }
    }
    None
}

/// The error for an invalid name that may be a secret.
pub(in crate::cli) fn name(typed: &str, path: &str) -> Option<Error> {
    let is_secret =
        !detect::known_tokens(typed).is_empty() || typed.split(['=', ':', ' ']).any(is_random);
    is_secret.then(|| explain("a secret is on the command line", path))
}

/// A text for people without what may be a secret, and whether there was one.
pub(in crate::cli) fn masked(text: &str) -> (String, bool) {
    let mut has_secret = false;
    let words = text.split(' ').map(|word| {
        let is_secret = !detect::known_tokens(word).is_empty() || is_random(word);
        has_secret |= is_secret;
        if is_secret { "****" } else { word }
    });
    let shown = words.collect::<Vec<_>>().join(" ");
    (shown, has_secret)
}

/// The error for an argument after the name, where people expect the value to belong.
pub(super) fn value(path: &str) -> Option<Error> {
    matches!(path, "secret set" | "secret rotate")
        .then(|| explain("a value is on the command line", path))
}

fn explain(what: &str, path: &str) -> Error {
    let command = match path {
        "secret rotate" => path,
        _ => "secret set",
    };
    Error::new(Code::Usage, what)
        .cause("arguments are stored in the shell's history and shown by `ps`; nothing was stored here")
        .hint("delete the line from the history; if the value is real, create a new one at its provider")
        .hint(format!(
            "run `mcpwrap {command} NAME` and paste the value when asked, or pipe it with `--from-stdin`"
        ))
}

/// Whether a text is not a name that somebody chose.
fn is_random(text: &str) -> bool {
    // The parts of a name may be written in different ways.
    text.split('/').any(|part| {
        let is_hex = part.len() >= 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let is_token = matches!(detect::value(ValueSite::Argument, part), Verdict::Secret(_));
        is_hex || is_token
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Option<String> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        refuse(&args).map(|error| error.to_string())
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for line in [
            "mcpwrap secret set ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap secret set --profile p q7Rt2LmX9vKp4WzN8sDf6HjB3cYg",
            "mcpwrap secret set GITHUB_TOKEN=q7Rt2LmX9vKp4WzN8sDf6HjB3cYg",
            "mcpwrap secret set DB_PASSWORD=hunter2",
            "mcpwrap secret rotate github/token=q7Rt2LmX",
            "mcpwrap secret rm 0123456789abcdef0123456789abcdef",
            "mcpwrap grant ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap policy new ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap run ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap log --secret ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
        ] {
            let error = refused(line).unwrap_or_else(|| panic!("{line}"));
            for part in ["mV3kQ9zX", "q7Rt2LmX", "hunter2", "01234567"] {
                assert!(!error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn names_are_not_secrets() {
        for line in [
            "mcpwrap secret set github/token",
            "mcpwrap revoke x --reason ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap secret set prod/aws/SECRET_ACCESS_KEY_2024",
            "mcpwrap grant mcp-server-kubernetes-production-eu-west-1",
            "mcpwrap policy new x --secret GITHUB_TOKEN=github/token --env LOG_LEVEL=info",
            "mcpwrap policy new x -- npx y --token ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap run x -- npx y --token ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq",
            "mcpwrap",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }
}
