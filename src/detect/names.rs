//! What a name says about its value: `API_KEY`, `--access-token`, `x-ref-api-key`, `tavilyApiKey`.
//!
//! The words of a name are judged, however they are joined, the last one first: `TOKEN_LIMIT` is a
//! limit, `SESSION_DRIVER` a driver. Pure; the lists below are all it knows.

use std::sync::OnceLock;

/// What kind of value a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A password: any text may be one.
    Password,
    /// A machine-made key or token.
    Token,
    /// Not a secret: a path, a URL, a number.
    Other,
    /// The name does not say.
    Unknown,
}

const PASSWORD: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pass",
    "pw",
    "pwd",
    "contraseña",
    "passwort",
];

const TOKEN: &[&str] = &[
    "token",
    "secret",
    "apikey",
    "credential",
    "credentials",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "pat",
    "jwt",
    "signature",
    "authtoken",
    "accesstoken",
    "secretkey",
    "accesskey",
    "privatekey",
    "apitoken",
    "apisecret",
    "authkey",
    "sessionid",
    "webhook",
];

/// Words before a final `key` that make it not a secret. Alone or after any other word it is one.
const KEY_OTHER: &[&str] = &[
    "public",
    "publishable",
    "primary",
    "foreign",
    "sort",
    "partition",
    "cache",
    "project",
    "issue",
    "hot",
    "shortcut",
    "s3",
    "object",
    "lookup",
    "group",
    "config",
    "registry",
    "row",
];

/// Last words that say that the value is not the secret itself.
const OTHER: &[&str] = &[
    "id",
    "ids",
    "url",
    "uri",
    "urls",
    "endpoint",
    "base",
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "dir",
    "directory",
    "folder",
    "root",
    "home",
    "host",
    "hostname",
    "port",
    "name",
    "user",
    "username",
    "login",
    "email",
    "type",
    "kind",
    "driver",
    "limit",
    "max",
    "min",
    "count",
    "size",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "length",
    "budget",
    "mode",
    "method",
    "provider",
    "model",
    "region",
    "zone",
    "format",
    "header",
    "prefix",
    "suffix",
    "enabled",
    "disabled",
    "timeout",
    "location",
    "env",
    "scheme",
    "algorithm",
    "version",
    "store",
    "storage",
    "backend",
    "table",
    "field",
    "column",
    "issuer",
    "audience",
    "scope",
    "scopes",
    "tokenizer",
    "tokens",
    "level",
    "debug",
    "domain",
    "server",
    "service",
    "required",
    "only",
    "lifetime",
    "interval",
    "policy",
    "strategy",
    "flow",
    "client",
    "account",
    "org",
    "organization",
    "workspace",
    "team",
    "project",
    "tenant",
    "profile",
    "context",
    "schema",
    "db",
    "database",
    "index",
    "collection",
    "bucket",
    "ref",
    "branch",
    "tag",
    "sock",
    "agent",
    "redirect",
    "callback",
    "rotation",
    "cmd",
    "command",
    "script",
    "helper",
    "source",
    "var",
    "variable",
    "vars",
    "names",
    "ids",
    "window",
];

/// Last words without a meaning: `API_KEY_1`, `TOKEN_PROD`, `KEY_HERE`.
const EMPTY: &[&str] = &[
    "prod",
    "production",
    "dev",
    "development",
    "staging",
    "test",
    "live",
    "default",
    "value",
    "new",
    "old",
    "backup",
    "secondary",
    "personal",
    "admin",
    "rw",
    "ro",
    "read",
    "write",
    "b64",
    "base64",
    "json",
    "string",
    "str",
    "text",
    "header",
];

/// The meaning of a word at the end of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameWord {
    Password,
    Key,
    Token,
    Other,
}

/// The tables above, by the first byte of a word.
fn meaning(word: &str) -> Option<NameWord> {
    static WORDS: OnceLock<[Vec<(&'static str, NameWord)>; 128]> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let tables: [(&[&'static str], NameWord); 4] = [
            (PASSWORD, NameWord::Password),
            (&["key", "keys"], NameWord::Key),
            (TOKEN, NameWord::Token),
            (OTHER, NameWord::Other),
        ];
        let mut by_first = [const { Vec::new() }; 128];
        for (table, meaning) in tables {
            for word in table {
                let first = word.bytes().next().map_or(0, usize::from);
                if let Some(list) = by_first.get_mut(first) {
                    list.push((*word, meaning));
                }
            }
        }
        by_first
    });
    let first = word.bytes().next().map(usize::from)?;
    let found = words.get(first)?.iter().find(|(known, _)| *known == word);
    found.map(|(_, meaning)| *meaning)
}

/// What the name of a variable, flag, header or JSON key promises.
pub fn promise(name: &str) -> Promise {
    if name.is_empty() {
        return Promise::Unknown;
    }
    let words = joined(name);
    // `PWD` is the working directory, and so is `OLDPWD`.
    if matches!(words.as_str(), "pwd" | "oldpwd") {
        return Promise::Other;
    }
    let mut rest = words.as_str();
    while let Some((before, last)) = rest.rsplit_once(' ') {
        let number = last.bytes().all(|b| b.is_ascii_digit());
        if !(number || EMPTY.contains(&last)) {
            break;
        }
        rest = before;
    }
    if rest.is_empty() {
        return Promise::Unknown;
    }
    let (before, last) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let previous = before.rsplit(' ').next().unwrap_or_default();
    match meaning(last) {
        Some(NameWord::Password) => Promise::Password,
        Some(NameWord::Key) if KEY_OTHER.contains(&previous) => Promise::Other,
        Some(NameWord::Token) if previous == "public" => Promise::Other,
        Some(NameWord::Key | NameWord::Token) => Promise::Token,
        Some(NameWord::Other) => Promise::Other,
        // `SECRET_ACCESS_KEY_FOR_X`, `TOKEN_OF_BOT`, `APIKEY2`: a strong word anywhere.
        None if rest.split(' ').any(is_strong) || ends_in_strong_word(last) => Promise::Token,
        None => Promise::Unknown,
    }
}

fn is_strong(word: &str) -> bool {
    matches!(word, "password" | "passwd" | "secret" | "apikey")
}

/// Names whose words are not separated: `MYAPIKEY`, `GITHUBTOKEN`, `dbpassword`.
fn ends_in_strong_word(word: &str) -> bool {
    word.len() > 6
        && [
            "apikey", "apitoken", "token", "secret", "password", "passwd",
        ]
        .iter()
        .any(|end| word.ends_with(end))
}

/// The words of a name, in lower case: separated by `_`, `-`, `.`, spaces, and `camelCase`.
pub fn words(name: &str) -> Vec<String> {
    let joined = joined(name);
    joined
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The same, joined by spaces.
pub(super) fn joined(name: &str) -> String {
    let mut words = Vec::with_capacity(name.len() * 2);
    let (mut previous, mut parted) = (b' ', false);
    if !name.is_ascii() {
        return joined_chars(name);
    }
    for byte in name.bytes() {
        let hump = byte.is_ascii_uppercase() && previous.is_ascii_lowercase();
        let letter = byte.is_ascii_alphanumeric();
        parted |= !letter || hump;
        if letter {
            if parted && !words.is_empty() {
                words.push(b' ');
            }
            parted = false;
            words.push(byte.to_ascii_lowercase());
        }
        previous = byte;
    }
    String::from_utf8(words).unwrap_or_default()
}

fn joined_chars(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let (mut previous, mut parted) = (' ', false);
    for c in name.chars() {
        let hump = c.is_uppercase() && previous.is_lowercase();
        let letter = c.is_alphanumeric();
        parted |= !letter || hump;
        if letter {
            if parted && !words.is_empty() {
                words.push(' ');
            }
            parted = false;
            words.extend(c.to_lowercase());
        }
        previous = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises() {
        for (name, expected) in [
            ("GITHUB_PERSONAL_ACCESS_TOKEN", Promise::Token),
            ("tavilyApiKey", Promise::Token),
            ("x-ref-api-key", Promise::Token),
            ("--api-key", Promise::Token),
            ("key", Promise::Token),
            ("OPENAI_KEY_2", Promise::Token),
            ("Authorization", Promise::Token),
            ("MYAPIKEY", Promise::Token),
            ("POSTGRES_PASSWORD", Promise::Password),
            ("DB_PASS", Promise::Password),
            ("PWD", Promise::Other),
            ("SESSION_DRIVER", Promise::Other),
            ("TOKEN_LIMIT", Promise::Other),
            ("DEFAULT_MINIMUM_TOKENS", Promise::Other),
            ("GOOGLE_APPLICATION_CREDENTIALS_PATH", Promise::Other),
            ("TOKENIZER", Promise::Other),
            ("STRIPE_PUBLISHABLE_KEY", Promise::Other),
            ("GOOGLE_CLIENT_ID", Promise::Other),
            ("LOG_LEVEL", Promise::Other),
            ("FOO", Promise::Unknown),
        ] {
            assert_eq!(promise(name), expected, "{name}");
        }
    }
}
