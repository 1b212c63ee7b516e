//! How long each fact of a policy may be. All of them are shown before the user approves the policy, and
//! a longer text would push the others off the screen.

use std::collections::BTreeMap;

use super::schema::{EnvTable, PolicyFile, ProfileTable, SecretTable};

/// The longest description (characters).
const DESCRIPTION_MAX: usize = 200;
/// The longest path (characters).
const PATH_MAX: usize = 1_000;
/// The longest command with its arguments, and the longest value of a variable (characters).
const TEXT_MAX: usize = 4_000;
/// The longest name of a variable (characters).
const NAME_MAX: usize = 128;
/// The most variables in one table.
const COUNT_MAX: usize = 100;
/// The most secrets in one table, which stand right above the question.
const SECRETS_MAX: usize = 40;
/// The most profiles.
const PROFILES_MAX: usize = 20;

/// The longest URL and the longest ID of a client (characters).
const ADDRESS_MAX: usize = 1_000;
/// The most headers, which stand right above the question.
const HEADERS_MAX: usize = 20;
/// The most scopes.
const SCOPES_MAX: usize = 50;

/// A field that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// The path of the field in the file.
    pub(super) path: Vec<String>,
    /// What it may have at most.
    pub(super) limit: String,
}

/// The first field that is too long.
pub(super) fn find(file: &PolicyFile) -> Option<TooLong> {
    let characters = |path: &[&str], text: &str, max: usize| {
        (text.chars().count() > max).then(|| too_long(path, format!("{max} characters")))
    };
    let command: usize = file.command.iter().map(|arg| arg.chars().count() + 1).sum();
    let description = file.description.as_deref().unwrap_or_default();
    let cwd = file.cwd.as_deref().unwrap_or_default();
    let profiles = file.profile.iter().map(|(name, profile)| {
        let ProfileTable { env, secrets } = profile;
        tables(&["profile", name.as_str()], env, secrets)
    });
    characters(&["description"], description, DESCRIPTION_MAX)
        .or_else(|| characters(&["cwd"], cwd, PATH_MAX))
        .or_else(|| {
            (command > TEXT_MAX)
                .then(|| too_long(&["command"], format!("{TEXT_MAX} characters in all")))
        })
        .or_else(|| remote(file))
        .or_else(|| tables(&[], &file.env, &file.secrets))
        .or_else(|| {
            (file.profile.len() > PROFILES_MAX)
                .then(|| too_long(&["profile"], format!("{PROFILES_MAX} profiles")))
        })
        .or_else(|| profiles.flatten().next())
}

/// The first field of a remote server that is too long.
fn remote(file: &PolicyFile) -> Option<TooLong> {
    let text = |path: &[&str], text: &str, max: usize| {
        (text.chars().count() > max).then(|| too_long(path, format!("{max} characters")))
    };
    let count = |path: &[&str], count: usize, max: usize, what: &str| {
        (count > max).then(|| too_long(path, format!("{max} {what}")))
    };
    let headers = file.headers.iter();
    let mut headers = headers.filter_map(|(name, value)| {
        let path = ["headers", name.as_str()];
        text(&path, name, NAME_MAX).or_else(|| text(&path, value, TEXT_MAX))
    });
    let url = file.url.as_deref().unwrap_or_default();
    let found = text(&["url"], url, ADDRESS_MAX)
        .or_else(|| count(&["headers"], file.headers.len(), HEADERS_MAX, "headers"))
        .or_else(|| headers.next());
    let Some(oauth) = &file.oauth else {
        return found;
    };
    let mut texts = [
        ("issuer", &oauth.issuer),
        ("client_id", &oauth.client_id),
        ("client_metadata_url", &oauth.client_metadata_url),
        ("redirect", &oauth.redirect),
        ("resource", &oauth.resource),
    ]
    .into_iter()
    .filter_map(|(field, value)| text(&["oauth", field], value.as_deref()?, ADDRESS_MAX));
    let mut scopes = oauth.scopes.iter().enumerate();
    let scopes_path = ["oauth", "scopes"];
    found
        .or_else(|| texts.next())
        .or_else(|| count(&scopes_path, oauth.scopes.len(), SCOPES_MAX, "scopes"))
        .or_else(|| {
            scopes.find_map(|(n, scope)| {
                let path = ["oauth", "scopes", &n.to_string()];
                text(&path, scope, DESCRIPTION_MAX)
            })
        })
}

fn tables(
    prefix: &[&str],
    env: &EnvTable,
    secrets: &BTreeMap<String, SecretTable>,
) -> Option<TooLong> {
    let at = |path: &[&str], limit: String| too_long(&[prefix, path].concat(), limit);
    for (table, count, max) in [
        (&["env", "pass"][..], env.pass.len(), COUNT_MAX),
        (&["env", "set"], env.set.len(), COUNT_MAX),
        (&["secrets"], secrets.len(), SECRETS_MAX),
    ] {
        if count > max {
            return Some(at(table, format!("{max} variables")));
        }
    }
    let name = |path: &[&str], name: &str| {
        let is_long = name.chars().count() > NAME_MAX;
        is_long.then(|| at(path, format!("{NAME_MAX} characters in a name")))
    };
    let pass = env.pass.iter().enumerate();
    let mut pass = pass.filter_map(|(n, text)| name(&["env", "pass", &n.to_string()], text));
    let mut set = env.set.iter().filter_map(|(variable, value)| {
        let path = ["env", "set", variable.as_str()];
        let is_long = value.chars().count() > TEXT_MAX;
        let value = is_long.then(|| at(&path, format!("{TEXT_MAX} characters")));
        value.or_else(|| name(&path, variable))
    });
    let mut slots = secrets
        .keys()
        .filter_map(|variable| name(&["secrets", variable.as_str()], variable));
    pass.next().or_else(|| set.next()).or_else(|| slots.next())
}

fn too_long(path: &[&str], limit: String) -> TooLong {
    let path = path.iter().map(|part| (*part).to_owned()).collect();
    TooLong { path, limit }
}
