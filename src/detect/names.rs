//! What a name says about its value: `API_KEY`, `--access-token`, `x-ref-api-key`, `tavilyApiKey`.
//!
//! The words of a name are judged, however they are joined, the last one first: `TOKEN_LIMIT` is a
//! limit, `SESSION_DRIVER` a driver. Pure; `words` has all words that it knows.

use super::words::{self, NameWord, without_accent};

/// What kind of value a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A password: any text may be one.
    Password,
    /// A key or token, which may be short and plain.
    Token,
    /// A word that often stands beside a secret: only what looks machine-made is one.
    Perhaps,
    /// Not a secret: a path, a URL, a number.
    Other,
    /// The name does not say.
    Unknown,
}

/// What the name of a variable, flag, header or JSON key promises.
pub fn promise(name: &str) -> Promise {
    if name.is_empty() {
        return Promise::Unknown;
    }
    let words = joined(name);
    // `PWD` is the working directory, and so is `OLDPWD`; `--pwd` may be either.
    if matches!(name, "PWD" | "OLDPWD") {
        return Promise::Other;
    }
    if words == "pwd" {
        return Promise::Perhaps;
    }
    let mut rest = words.as_str();
    while let Some((before, last)) = rest.rsplit_once(' ') {
        if !words::is_empty(last) {
            break;
        }
        rest = before;
    }
    if rest.is_empty() {
        return Promise::Unknown;
    }
    if is_switch(rest) {
        return Promise::Other;
    }
    if let Some(promised) = phrase(rest) {
        return promised;
    }
    let (before, last) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let previous = before.rsplit(' ').next().unwrap_or_default();
    match words::meaning(last) {
        Some(NameWord::Password) => Promise::Password,
        Some(NameWord::Key) if words::is_before_other_key(previous) => Promise::Other,
        Some(NameWord::Token) if previous == "public" => Promise::Other,
        Some(NameWord::Key) if before.is_empty() => Promise::Perhaps,
        Some(NameWord::Key | NameWord::Token) => Promise::Token,
        Some(NameWord::Perhaps) => Promise::Perhaps,
        Some(NameWord::Other) => Promise::Other,
        // `PASSWORD_DB`, `TOKEN_DE_ACCESO`, `APIKEY_FOR_X`: what it belongs to comes last.
        Some(NameWord::Owner) => owned(before).unwrap_or(Promise::Other),
        None => owned(before).unwrap_or(Promise::Unknown),
    }
}

/// Whether the value under a name is a text for people or a list of names.
pub(super) fn is_prose(name: &str) -> bool {
    const PROSE: &[&str] = &[
        "description",
        "note",
        "notes",
        "comment",
        "comments",
        "title",
        "instructions",
        "prompt",
        "about",
        "summary",
        "docs",
        "documentation",
        "help",
        "label",
        "name",
        "tags",
        "category",
        "homepage",
        "repository",
        "license",
        "author",
        "autoApprove",
        "alwaysAllow",
        "disabledTools",
        "enabledTools",
        "tools",
        "version",
        "includeTools",
        "excludeTools",
        "autoAllow",
        "allowedTools",
        "capabilities",
        "displayName",
        "icon",
    ];
    name.starts_with(['_', '/']) || PROSE.contains(&name)
}

/// What the words before the last ones promise, the nearest first.
fn owned(before: &str) -> Option<Promise> {
    let mut words = before.rsplit(' ').peekable();
    while let Some(word) = words.next() {
        let previous = words.peek().copied().unwrap_or_default();
        match words::meaning(word) {
            Some(NameWord::Password) => return Some(Promise::Password),
            Some(NameWord::Key) if words::is_before_other_key(previous) => return None,
            Some(NameWord::Key) if matches!(word, "key" | "keys") => return Some(Promise::Perhaps),
            Some(NameWord::Key | NameWord::Token) => return Some(Promise::Token),
            Some(NameWord::Other | NameWord::Perhaps) => return None,
            Some(NameWord::Owner) | None => {}
        }
    }
    None
}

/// `--no-password`, `USE_TOKEN`, `HAS_KEY`: a choice, whose value is not the secret.
fn is_switch(words: &str) -> bool {
    let first = words.split(' ').next().unwrap_or_default();
    let many = words.contains(' ');
    many && matches!(
        first,
        "no" | "use"
            | "has"
            | "is"
            | "allow"
            | "enable"
            | "disable"
            | "skip"
            | "require"
            | "needs"
            | "with"
            | "without"
            | "max"
            | "min"
            | "num"
            | "show"
            | "hide"
            | "prompt"
    )
}

/// Names of several words that mean one thing: `MOT_DE_PASSE`, `kata sandi`, `API_KEY`.
fn phrase(words: &str) -> Option<Promise> {
    const PASSWORDS: &[&str] = &[
        "mot de passe",
        "mot passe",
        "kata sandi",
        "kata laluan",
        "mat khau",
        "palavra passe",
        "clave secreta",
        "pass word",
        "pass phrase",
        "pass code",
        "pass key",
        "seed phrase",
        "seed words",
        "recovery phrase",
        "code secret",
        "parola d ordine",
        "codigo de acceso",
    ];
    const TOKENS: &[&str] = &[
        "api key",
        "api token",
        "access key",
        "secret key",
        "private key",
        "api hash",
        // The session of LinkedIn.
        "li at",
    ];
    let has = |list: &[&str], test: fn(&str, &str) -> bool| list.iter().any(|one| test(words, one));
    if has(PASSWORDS, |words, one| {
        holds_words(words, one) && owner_after(words, one)
    }) {
        return Some(Promise::Password);
    }
    has(TOKENS, |words, one| {
        holds_words(words, one) && owner_after(words, one)
    })
    .then_some(Promise::Token)
}

/// Whether the words stand in a name, as whole words.
fn holds_words(name: &str, words: &str) -> bool {
    name.match_indices(words).any(|(at, _)| {
        let before = name
            .get(..at)
            .is_none_or(|head| head.is_empty() || head.ends_with(' '));
        let after = name.get(at + words.len()..).unwrap_or_default();
        before && (after.is_empty() || after.starts_with(' '))
    })
}

/// Whether nothing after the words says that the value is something else.
fn owner_after(name: &str, words: &str) -> bool {
    let rest = name.rsplit_once(words).map_or("", |(_, rest)| rest);
    let last = rest.rsplit(' ').next().unwrap_or_default();
    !matches!(
        words::meaning(last),
        Some(NameWord::Other | NameWord::Perhaps)
    )
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
    let mut bytes = name.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let mut next = || bytes.peek().is_some_and(u8::is_ascii_lowercase);
        let hump = byte.is_ascii_uppercase()
            && (previous.is_ascii_lowercase() || previous.is_ascii_digit() && next());
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
        let mark = without_accent(c).is_none();
        let letter = c.is_alphanumeric() || mark;
        parted |= !letter || hump;
        if letter {
            if parted && !words.is_empty() {
                words.push(' ');
            }
            parted = false;
            words.extend(c.to_lowercase().filter_map(without_accent));
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
            ("key", Promise::Perhaps),
            ("OPENAI_KEY_2", Promise::Token),
            ("Authorization", Promise::Token),
            ("MYAPIKEY", Promise::Token),
            ("POSTGRES_PASSWORD", Promise::Password),
            ("DB_PASS", Promise::Password),
            ("PWD", Promise::Other),
            ("--pwd", Promise::Perhaps),
            ("oauth2Bearer", Promise::Token),
            ("WALLET_MNEMONIC", Promise::Password),
            ("SEED_PHRASE", Promise::Password),
            ("TELEGRAM_API_HASH", Promise::Token),
            ("LI_AT", Promise::Token),
            ("KB_INCLUSION_TAG_KEY", Promise::Other),
            ("FIGMA_FILE_KEY", Promise::Other),
            ("TOKEN_ADDRESS", Promise::Other),
            ("PUBKEY", Promise::Other),
            ("SESSION_DRIVER", Promise::Other),
            ("TOKEN_LIMIT", Promise::Other),
            ("DEFAULT_MINIMUM_TOKENS", Promise::Other),
            ("GOOGLE_APPLICATION_CREDENTIALS_PATH", Promise::Other),
            ("TOKENIZER", Promise::Other),
            ("STRIPE_PUBLISHABLE_KEY", Promise::Other),
            ("GOOGLE_CLIENT_ID", Promise::Other),
            ("LOG_LEVEL", Promise::Other),
            ("FOO", Promise::Unknown),
            ("PGPASSWORD", Promise::Password),
            ("MYSQL_PWD", Promise::Password),
            ("DBPASS", Promise::Password),
            ("ROOTPW", Promise::Password),
            ("SENHA", Promise::Password),
            ("SENHA_DO_BANCO", Promise::Password),
            ("CONTRASENA", Promise::Password),
            ("CONTRASEÑA_DB", Promise::Password),
            ("HASŁO", Promise::Password),
            ("ŞİFRE", Promise::Password),
            ("SIFRE", Promise::Password),
            ("MOT_DE_PASSE_BDD", Promise::Password),
            ("motDePasse", Promise::Password),
            ("密码", Promise::Password),
            ("数据库密码", Promise::Password),
            ("пароль", Promise::Password),
            ("パスワード", Promise::Password),
            ("비밀번호", Promise::Password),
            ("API密钥", Promise::Token),
            ("CLAVE_API", Promise::Token),
            ("TOKEN_DE_ACCESO", Promise::Token),
            ("API_KEY_OPENAI", Promise::Token),
            ("GITHUBTOKEN", Promise::Token),
            ("SECRET_ACCESS_KEY_FOR_X", Promise::Token),
            ("MAX_TOKENS", Promise::Other),
            ("OPENAI_TOKEN_LIMIT", Promise::Other),
            ("KEY_FILE", Promise::Other),
            ("API_KEY_FILE", Promise::Other),
            ("PASSWORD_FILE", Promise::Other),
            ("TOKEN_URL", Promise::Other),
            ("SECRET_NAME", Promise::Other),
            ("USE_TOKEN", Promise::Other),
            ("--no-password", Promise::Other),
            ("PUBLIC_KEY", Promise::Other),
            ("COMPASS", Promise::Other),
            ("MONKEY", Promise::Other),
        ] {
            assert_eq!(promise(name), expected, "{name}");
        }
    }
}
