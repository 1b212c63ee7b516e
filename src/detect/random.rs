//! Whether a text looks machine-made: its letters, and how evenly they are distributed.
//!
//! Randomness alone does not make a secret: that needs a location for secrets or a known format.
//! Hashes, UUIDs, paths, versions and words are recognized as such.

/// The Shannon entropy of a text, in bits per byte.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|&&count| count > 0)
        .fold(0.0, |sum, &count| {
            let share = f64::from(count) / total;
            share.mul_add(-share.log2(), sum)
        })
}

/// Whether a text could be a key or token in a field for one: `x-api-key: …`.
pub(super) fn is_machine_made(text: &str) -> bool {
    if text.len() < 8 {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let cases = text.bytes().skip(1).any(|b| b.is_ascii_uppercase())
        && text.bytes().any(|b| b.is_ascii_lowercase());
    let special = text
        .bytes()
        .any(|b| b.is_ascii_punctuation() && !b"_-.".contains(&b));
    !is_plain(text)
        && letters + digits > 0
        && letters > 0
        && !text.contains(char::is_whitespace)
        && if text.len() < 16 {
            digits >= 2 && entropy(text) > 2.5 || (cases && special)
        } else {
            (digits > 0 || cases || special || has_few_vowels(text)) && entropy(text) > 2.8
        }
}

/// Whether a text is random enough to be a secret in an unknown field: letters of both cases and
/// digits, evenly distributed, and not like a hash, a path or a name.
pub(super) fn is_random(text: &str) -> bool {
    if !(22..=512).contains(&text.len()) {
        return false;
    }
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().filter(|b| test(b)).count();
    let upper = has(u8::is_ascii_uppercase);
    let lower = has(u8::is_ascii_lowercase);
    let digits = has(u8::is_ascii_digit);
    let body = text.trim_end_matches('=');
    body.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/_-".contains(&b))
        && body.matches('/').count() <= 2
        && !text.starts_with(['/', '-'])
        && !is_uuid(text)
        && !is_plain(text)
        && !is_words(text)
        && upper >= 3
        && lower >= 3
        && digits >= 3
        && entropy(text) > 3.7
        && switches(text) * 4 >= text.len()
}

/// A prefix that some provider chose, and a long random rest: `hb_3485a1c292be01e4…`.
pub(super) fn has_own_prefix(text: &str) -> bool {
    // Prefixes of names and of hashes.
    const OTHERS: &[&str] = &[
        "app", "org", "proj", "project", "user", "usr", "team", "asst", "thread", "run", "file",
        "id", "sha", "cus", "price", "prod", "acct", "wf", "db", "kb", "img", "build", "rev",
        "commit", "ver", "v", "ws", "page", "doc", "node", "host", "mcp", "agent", "model", "zone",
        "group", "dep", "dpl", "prj", "env", "srv", "vs",
    ];
    let Some((prefix, body)) = text.split_once('_') else {
        return false;
    };
    let digits = body.bytes().filter(u8::is_ascii_digit).count();
    (2..=6).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_lowercase())
        && !OTHERS.contains(&prefix)
        && (20..=128).contains(&body.len())
        && body.bytes().all(|b| b.is_ascii_alphanumeric())
        && digits >= 3
        && digits < body.len()
        && entropy(body) > 3.0
}

/// Words and numbers with separators between them: `prod/aws/SECRET_ACCESS_KEY_2024`.
fn is_words(text: &str) -> bool {
    let word = |piece: &str| {
        let rest = piece.get(1..).unwrap_or_default();
        piece.bytes().all(|b| b.is_ascii_digit())
            || piece.bytes().all(|b| b.is_ascii_uppercase())
            || piece.starts_with(|c: char| c.is_ascii_alphabetic())
                && rest.bytes().all(|b| b.is_ascii_lowercase())
    };
    let pieces = text
        .split(['/', '_', '-'])
        .filter(|piece| !piece.is_empty());
    pieces.clone().count() > 2 && pieces.into_iter().all(word)
}

/// A UUID: `8-4-4-4-12` hex digits.
pub fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a text is a choice or a place even where a password belongs.
pub(super) fn is_no_password(text: &str) -> bool {
    is_switch(text) || is_path(text) || text.contains("://")
}

/// Whether a text in a field for a key or token cannot be one, however short a key may be.
pub(super) fn is_no_token(text: &str) -> bool {
    let number = text.bytes().all(|b| b.is_ascii_digit());
    text.len() < 8
        || text.contains(char::is_whitespace)
        || is_plain(text) && !number
        || is_variable(text)
}

/// The name of a variable: `GITHUB_TOKEN`, as in `bearer_token_env_var`.
fn is_variable(text: &str) -> bool {
    let words = text.split('_');
    text.contains('_')
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
        && words.clone().count() > 1
        && words.into_iter().all(|word| {
            word.len() > 1 && word.bytes().filter(u8::is_ascii_digit).count() * 3 <= word.len()
        })
}

fn is_switch(text: &str) -> bool {
    const SWITCHES: &[&str] = &[
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "enabled",
        "disabled",
        "auto",
        "default",
        "bearer",
        "basic",
        "oauth",
        "oauth2",
        "stdio",
        "inherit",
        "prompt",
        "keychain",
        "keyring",
        "interactive",
        "azure_cli",
        "azure-cli",
        "azure-identity",
        "anonymous",
        "automatic",
        "optional",
        "required",
        "authorization",
        "x-api-key",
        "api-key",
        "environment",
        "managed-identity",
        "service-account",
        "service_account",
        "token-file",
        "passthrough",
        "gcloud",
        "docker-desktop",
        "device-code",
    ];
    SWITCHES.contains(&text.to_ascii_lowercase().as_str())
}

/// A text of a recognizable kind: a path, a URL, a number, a switch, a file, a package.
pub(super) fn is_plain(text: &str) -> bool {
    const ENDINGS: &[&str] = &[
        ".json", ".pem", ".key", ".crt", ".yaml", ".yml", ".toml", ".txt", ".env", ".js", ".ts",
        ".py", ".p12", ".p8", ".pub", ".sock", ".db", ".sqlite", ".mjs", ".cjs", ".sh", ".com",
        ".io", ".dev", ".jar", ".csv",
    ];
    let lower = text.to_ascii_lowercase();
    is_switch(text)
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
        || is_path(text)
        || text.contains("://")
        || text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"._-:,".contains(&b))
        || (text.contains('@') && text.contains('.') && !text.contains(':') && is_email(text))
        || (text.starts_with('@') && text.contains('/'))
}

fn is_path(text: &str) -> bool {
    const ROOTS: &[&str] = &[
        "usr",
        "home",
        "etc",
        "var",
        "opt",
        "run",
        "tmp",
        "Users",
        "root",
        "srv",
        "mnt",
        "app",
        "data",
        "workspace",
        "workspaces",
        "dev",
        "Library",
        "private",
        "Volumes",
        "Applications",
        "bin",
        "secrets",
        "config",
        "proc",
        "sys",
        "nix",
        "snap",
        "media",
        "host",
        "keys",
        "certs",
        "code",
        "projects",
        "src",
    ];
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let absolute = || {
        let rest = text.strip_prefix('/').unwrap_or_default();
        let root = rest.split('/').next().unwrap_or_default();
        let small = |b: u8| b.is_ascii_lowercase() || b"/._-".contains(&b);
        // Base64 may begin with `/`.
        !rest.is_empty() && (ROOTS.contains(&root) || rest.bytes().all(small) || is_slashed(text))
    };
    drive
        || ["~/", "./", "../", "\\\\", "~\\", ".\\"]
            .iter()
            .any(|head| text.starts_with(head))
        || (text.starts_with('/') && absolute())
}

/// `/Some/Dir/name.txt`: pieces that look like names and not like base64.
fn is_slashed(text: &str) -> bool {
    let name = |piece: &str| {
        piece.len() < 24
            && piece
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b" ._-@".contains(&b))
            && switches(piece) * 3 <= piece.len()
    };
    text.matches('/').count() > 1 && text.split('/').skip(1).all(name)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
            && host
                .rsplit('.')
                .next()
                .is_some_and(|end| end.len() >= 2 && end.bytes().all(|b| b.is_ascii_alphabetic()))
    })
}

/// Few vowels: words have them, random letters rarely.
fn has_few_vowels(text: &str) -> bool {
    let vowels = text
        .bytes()
        .filter(|b| b"aeiouAEIOU_- ".contains(b))
        .count();
    vowels * 4 < text.len() && entropy(text) > 3.2
}

/// How often the kind of letter changes: often in random texts, rarely in joined words.
fn switches(text: &str) -> usize {
    let kind = |b: u8| match b {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    text.as_bytes()
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if kind(*a) != kind(*b)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_texts() {
        for text in [
            "aB3dE5fG7hI9jK1lM3nO5pQ7",
            "Zx8kQ2vN4mR6tY1wE3uI5oP7aS9dF0gH",
        ] {
            assert!(is_random(text), "{text}");
        }
        for text in [
            "2f1c2c5b6a3d4e5f60718293a4b5c6d7e8f90a1b",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "/usr/local/bin/ServerOne123",
            "some-long-package-name-of-words",
            "MyVeryLongCamelCaseServiceName01",
            "mcp-server-v1.2.3-beta.4",
            "prod/aws/SECRET_ACCESS_KEY_2024",
        ] {
            assert!(!is_random(text), "{text}");
        }
        for text in [
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "ref-32a03f84db2dd48ae7f8",
            "a1b2c3d4e5f6",
        ] {
            assert!(is_machine_made(text), "{text}");
        }
        for text in [
            "development",
            "/etc/key.pem",
            "https://a.b/c1d2e3f4",
            "true",
            "user@example.com",
            "file",
            "20240101",
        ] {
            assert!(!is_machine_made(text), "{text}");
        }
    }
}
