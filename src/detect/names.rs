//! What a name says about its value: `API_KEY`, `--access-token`, `x-ref-api-key`, `tavilyApiKey`.
//!
//! *Always* judges by the words of a name, however they are joined, and by the last one first:
//! `TOKEN_LIMIT` is a limit, `SESSION_DRIVER` a driver. Pure; the lists below are the whole of it.

/// What kind of value a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A password: any text may be one.
    Password,
    /// A key or token, made by a machine.
    Token,
    /// Something that is no secret: a path, an address, a number.
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

/// Words that make a `key` a secret when they stand before it. Alone, or behind another word, `key`
/// at the end of a name is one too; these are not.
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

/// Last words that say what the value is: not the secret itself.
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

/// Words that end the name without saying anything: `API_KEY_1`, `TOKEN_PROD`, `KEY_HERE`.
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

/// What the name of a variable, flag, header or JSON key promises.
pub fn promise(name: &str) -> Promise {
    let words = words(name);
    // `PWD` is the working directory, and so is `OLDPWD`.
    if matches!(words.as_slice(), [only] if only == "pwd" || only == "oldpwd") {
        return Promise::Other;
    }
    let mut rest = words.as_slice();
    while let [before @ .., last] = rest {
        let number = last.bytes().all(|b| b.is_ascii_digit());
        if before.is_empty() || !(number || EMPTY.contains(&last.as_str())) {
            break;
        }
        rest = before;
    }
    let Some((last, before)) = rest.split_last() else {
        return Promise::Unknown;
    };
    let last = last.as_str();
    let previous = before.last().map_or("", String::as_str);
    if PASSWORD.contains(&last) {
        return Promise::Password;
    }
    if last == "key" || last == "keys" {
        return if KEY_OTHER.contains(&previous) {
            Promise::Other
        } else {
            Promise::Token
        };
    }
    if TOKEN.contains(&last) {
        return if previous == "public" {
            Promise::Other
        } else {
            Promise::Token
        };
    }
    if OTHER.contains(&last) {
        return Promise::Other;
    }
    // `SECRET_ACCESS_KEY_FOR_X`, `TOKEN_OF_BOT`, `APIKEY2`: a strong word anywhere.
    let strong =
        |word: &String| ["password", "passwd", "secret", "apikey"].contains(&word.as_str());
    if rest.iter().any(strong) || glued(last) {
        Promise::Token
    } else {
        Promise::Unknown
    }
}

/// Names whose words are not parted: `MYAPIKEY`, `GITHUBTOKEN`, `dbpassword`.
fn glued(word: &str) -> bool {
    word.len() > 6
        && [
            "apikey", "apitoken", "token", "secret", "password", "passwd",
        ]
        .iter()
        .any(|end| word.ends_with(end))
}

/// The words of a name, in lower case: parted by `_`, `-`, `.`, blanks, and by `camelCase`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut previous = ' ';
    for c in name.chars() {
        let hump = c.is_uppercase() && previous.is_lowercase();
        if !c.is_alphanumeric() || hump {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        previous = c;
    }
    words.extend((!word.is_empty()).then_some(word));
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
