//! Text that a client or a shell expands to a value: `${env:X}`, `{env:X}`, `$(…)`, `%X%`, …
//!
//! One line per notation. The target of a reference is not read. The table of clients says which
//! client knows which notation, but all count everywhere, because users copy entries between
//! clients.

use std::ops::Range;

/// A notation: its opening, its closing, and what it may contain.
struct Notation {
    open: &'static str,
    close: &'static str,
    inside: fn(&str) -> bool,
}

const NOTATIONS: &[Notation] = &[
    Notation {
        open: "${{",
        close: "}}",
        inside: any,
    },
    Notation {
        open: "{{",
        close: "}}",
        inside: word,
    },
    Notation {
        open: "${",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{env:",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{file:",
        close: "}",
        inside: any,
    },
    Notation {
        open: "{secret.",
        close: "}",
        inside: any,
    },
    Notation {
        open: "$(",
        close: ")",
        inside: any,
    },
    Notation {
        open: "`",
        close: "`",
        inside: word,
    },
    Notation {
        open: "%",
        close: "%",
        inside: upper,
    },
    Notation {
        open: "@@",
        close: "@@",
        inside: upper,
    },
    Notation {
        open: "#{",
        close: "}",
        inside: any,
    },
    Notation {
        open: "<%=",
        close: "%>",
        inside: any,
    },
];

/// Prefixes that make the whole value a reference.
const PREFIXES: &[&str] = &[
    "process.env.",
    "process.env[",
    "os.environ",
    "os.getenv",
    "import.meta.env.",
    "env.",
    "$env:",
    "secrets.",
    "arn:aws",
    "arn:",
    "ENC[",
    "ENC(",
    "{cipher}",
    "@Microsoft.KeyVault",
    "-----BEGIN AGE ENCRYPTED FILE-----",
    "-----BEGIN PGP MESSAGE-----",
    "$ANSIBLE_VAULT",
];

/// Words before a colon, or before `://`, that name where a value is kept or how it is made:
/// `op://vault/item`, `pass:github/token`, `ref+vault://…`.
const KEPT_IN: &str = "\
    op 1password onepassword secret secrets secretref secret-ref secretsref keychain keyring vault hcvault hcp env \
    environment file input prompt ref bw bws bitwarden rbw pass gopass passage keepass keepassxc kp kdbx lastpass lpass \
    dashlane dcli protonpass proton enpass nordpass libsecret secret-tool gnome-keyring kwallet wincred credman dpapi \
    awssm aws-sm aws-ssm awsssm awssecrets awssecretsmanager secretsmanager asm ssm aws-secretsmanager parameterstore \
    gcpsm gcp-sm gsm gcpsecretmanager gcp-secretmanager gcpsecrets google-sm azkv azure-kv azurekv azurekeyvault akv \
    keyvault kv doppler infisical akeyless conjur cyberark ccp delinea thycotic phase chamber teller fnox varlock \
    dotenvx sops age agenix gpg pgp ejson kms encrypted enc cipher sealed k8s kubernetes exec cmd command shell script \
    credential credentials cred creds store sm yq jq vals tfstate terraform consul etcd config";

/// Functions that return a value from elsewhere: `@env(X)`, `varlock(X)`.
const CALLS: &str = "\
    env getenv get_env os.getenv os.environ.get process.env exec varlock op secret secrets lookup ref file read readfile \
    vault keychain keyring cmd command shell run keyvault config sops ssm var fnenv input prompt secretref resolve \
    encrypted decrypt bws bw pass doppler infisical";

/// The spans of the references in a text.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    if is_whole(text.trim()) {
        return std::iter::once(0..text.len()).collect();
    }
    let mut found = Vec::new();
    let mut at = 0;
    // Each notation starts with one of these.
    while let Some(next) = text
        .get(at..)
        .and_then(|rest| rest.find(['$', '{', '%', '`', '<', '#', '@']))
    {
        at += next;
        let rest = text.get(at..).unwrap_or_default();
        match notation(rest).or_else(|| variable(rest)) {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found
}

/// Whether a text contains a reference.
pub(super) fn holds(text: &str) -> bool {
    text.contains([
        '$', '{', '%', '`', ':', '.', '(', '!', '/', '<', '#', '@', '[',
    ]) && !find(text).is_empty()
}

/// The default in `${NAME:-default}`, which is a value and not a reference, and its name.
pub(super) fn default_of(text: &str) -> Option<(&str, Range<usize>)> {
    let open = text.find("${")?;
    let inner = text.get(open + 2..)?;
    let inner = inner.get(..inner.find('}')?)?;
    let dash = inner.find(":-").map(|at| (at, 2));
    let (at, length) = dash.or_else(|| inner.find('-').map(|at| (at, 1)))?;
    let name = inner.get(..at)?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let start = open + 2 + at + length;
    let range = start..open + 2 + inner.len();
    (is_name && !range.is_empty() && !inner.get(at + length..)?.contains("${"))
        .then_some((name, range))
}

/// Whether the whole text is a reference.
pub(super) fn is_whole(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        || is_kept_elsewhere(text)
        || is_call(text)
        || is_command(text)
        || is_resource(text)
        || text
            .strip_prefix('!')
            .and_then(|rest| rest.strip_suffix('!'))
            .is_some_and(upper)
}

/// `op://vault/item`, `vault:secret/data/x#token`, `env:NAME`.
fn is_kept_elsewhere(text: &str) -> bool {
    let Some((word, rest)) = text.split_once(':') else {
        return false;
    };
    let word = word.strip_prefix("ref+").unwrap_or(word);
    let word = word.strip_prefix('!').unwrap_or(word).to_ascii_lowercase();
    let known = KEPT_IN.split_whitespace().any(|known| known == word);
    let mail = rest.contains('@') && !rest.starts_with("//");
    known && !rest.trim().is_empty() && !mail && !rest.starts_with(' ')
}

/// `@env(NAME)`, `varlock(NAME)`, `exec(`op read …`)`.
fn is_call(text: &str) -> bool {
    let Some((name, _)) = text.strip_suffix(')').and_then(|head| head.split_once('(')) else {
        return false;
    };
    let name = name
        .trim_start_matches(['@', '=', '!', '$'])
        .to_ascii_lowercase();
    CALLS.split_whitespace().any(|known| known == name)
}

/// `!pass show github`, `!vault x`: a command or a tag.
fn is_command(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('!') else {
        return false;
    };
    let Some((word, more)) = rest.split_once(' ') else {
        return false;
    };
    word.len() > 1
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./~".contains(&b))
        && !more.trim().is_empty()
}

/// The name of a secret at a cloud provider.
fn is_resource(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(
        parts.as_slice(),
        ["projects", _, "secrets" | "locations", _, ..]
    ) || text.starts_with("https://") && text.contains(".vault.azure.net/secrets/")
}

fn notation(rest: &str) -> Option<usize> {
    NOTATIONS.iter().find_map(|notation| {
        let inner = rest.strip_prefix(notation.open)?;
        let end = inner.find(notation.close)?;
        let inside = inner.get(..end)?;
        (!inside.is_empty() && !inside.contains('\n') && (notation.inside)(inside))
            .then_some(notation.open.len() + end + notation.close.len())
    })
}

/// `$NAME` in capitals: in lower case it may be part of a password.
fn variable(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix('$')?;
    let length = name
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let head = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_uppercase() || b == b'_');
    let ends = !name
        .as_bytes()
        .get(length)
        .is_some_and(u8::is_ascii_alphanumeric);
    (head && length >= 3 && ends).then_some(1 + length)
}

fn any(_: &str) -> bool {
    true
}

fn word(inside: &str) -> bool {
    inside
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"_-. :/".contains(&b))
}

fn upper(inside: &str) -> bool {
    inside.len() >= 3
        && inside
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && inside
            .bytes()
            .any(|b| b.is_ascii_uppercase() && !b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values() {
        let value = |text: &'static str| default_of(text).and_then(|(_, range)| text.get(range));
        assert_eq!(value("${A_KEY:-abc}"), Some("abc"));
        assert_eq!(value("x ${A:-b} y"), Some("b"));
        assert_eq!(value("${A-b}"), Some("b"));
        assert_eq!(value("${A}"), None);
        assert_eq!(value("${A:-${B}}"), None);
        assert_eq!(value("${env:A}"), None);
    }

    #[test]
    fn notations_of_all_clients() {
        for text in [
            "${env:X}",
            "${X}",
            "${X:-d}",
            "$X_TOKEN",
            "{env:X}",
            "{file:/p}",
            "$(pass show x)",
            "%APPDATA%",
            "${input:token}",
            "${{ secrets.X }}",
            "op://vault/item/field",
            "Bearer ${X}",
            "{secret.X}",
            "secret:a/b",
            "!pass show github",
            "pass:github/token",
            "ref+vault://secret/gh#token",
            "bw://item/token",
            "bws://0000-11",
            "file:/run/secrets/gh",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gh-AbCdEf",
            "projects/p/secrets/gh/versions/latest",
            "azure-kv://v/gh",
            "sops:secrets.yaml#gh",
            "age:secrets/gh.age",
            "akv://x/y",
            "@env(GITHUB_TOKEN)",
            "varlock(GITHUB_TOKEN)",
            "exec(`op read \"op://a/b/c\"`)",
            "encrypted:BL8xVdB2j9c=",
            "env.GITHUB_TOKEN",
            "process.env.GITHUB_TOKEN",
            "$env:GITHUB_TOKEN",
            "secretRef:github/token",
            "!GITHUB_TOKEN!",
            "<%= ENV['X'] %>",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "pa$$word",
            "a$b",
            "{\"a\":1}",
            "100%",
            "%20and%20",
            "$1",
            "plain",
            "x{y}",
            "op:with@sign",
            "Pa!ss!Wo",
            "f(x)",
            "https://a.example:8080/x",
        ] {
            assert!(!holds(text), "{text}");
        }
    }
}
