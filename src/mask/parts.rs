//! The parts of a value that are secret on their own: the token of `Bearer T`, the password of a
//! URL, the secret fields of a JSON credential, the body of a PEM file.
//!
//! A server logs parts, and pieces of parts. What stands before the secret (a scheme, a key, a known
//! prefix, the header of a key) is in many documents, so pieces are counted from here on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use zeroize::{Zeroize as _, Zeroizing};

/// Shorter parts would match unrelated text (bytes).
const PART_BYTES_MIN: usize = 8;
/// The shortest part after a prefix of a format, and in a path (bytes).
const CORE_BYTES_MIN: usize = 16;
/// The longest prefix of a format, e.g. `github_pat_` (bytes).
const PREFIX_BYTES_MAX: usize = 16;
/// The deepest nesting of values in values.
const DEPTH_MAX: u8 = 4;
/// The first line of every RSA key of a size is nearly the same (bytes).
const PEM_LINE_BYTES: usize = 64;

/// The words before a token in an `Authorization` header.
const SCHEMES: &[&str] = &[
    "bearer", "basic", "token", "apikey", "api-key", "bot", "key", "digest", "ghapp",
];

/// A field with one of these in its name is secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "private",
    "credential",
    "assertion",
    "signature",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "auth",
    "cookie",
    "session",
];

/// The secret parts of a value. The value itself, if it has no others.
pub(super) fn parts(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut found = Vec::new();
    collect(value, 0, &mut found);
    if found.is_empty() {
        found.push(Zeroizing::new(value.trim_ascii().to_vec()));
    }
    found.sort_unstable_by(|a, b| a.as_slice().cmp(b));
    found.dedup();
    found
}

fn collect(value: &[u8], depth: u8, found: &mut Vec<Zeroizing<Vec<u8>>>) {
    let value = value.trim_ascii();
    if value.len() < PART_BYTES_MIN || depth > DEPTH_MAX {
        return;
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return found.push(Zeroizing::new(value.to_vec()));
    };
    if text.starts_with(['{', '[']) && json(text, depth, found) {
        return;
    }
    if text.contains("-----BEGIN ") {
        return pem(text, found);
    }
    if let Some(rest) = after_scheme(text).or_else(|| after_name(text)) {
        // `user:password` in base64.
        if let Ok(basic) = STANDARD.decode(rest) {
            let basic = Zeroizing::new(basic);
            if let Some(colon) = basic.iter().position(|b| *b == b':')
                && basic.is_ascii()
            {
                push(basic.get(colon + 1..).unwrap_or_default(), found);
            }
        }
        return collect(rest.as_bytes(), depth + 1, found);
    }
    if text.contains("://") {
        return url(text, depth, found);
    }
    if text.matches('=').count() >= 2 && text.contains([';', ' ', '&']) {
        let before = found.len();
        pairs(text, depth, found);
        if found.len() > before {
            return;
        }
    }
    core(text, found);
}

/// Adds the part of one token after the prefix of its format.
fn core(text: &str, found: &mut Vec<Zeroizing<Vec<u8>>>) {
    // The header and most of the claims of a JWT are the same in many.
    if let Some((header, rest)) = text.split_once('.')
        && let Some((payload, signature)) = rest.split_once('.')
        && header.starts_with("eyJ")
        && signature.len() >= CORE_BYTES_MIN
    {
        let claims = payload.starts_with("eyJ");
        return push(if claims { signature } else { rest }.as_bytes(), found);
    }
    push(text.get(prefix(text)..).unwrap_or(text).as_bytes(), found);
}

/// The length of a prefix like `ghp_`, `github_pat_` or `sk-ant-api03-`.
pub(super) fn prefix(text: &str) -> usize {
    let mut end = 0;
    for segment in text.split_inclusive(['_', '-']) {
        let Some(word) = segment.strip_suffix(['_', '-']) else {
            break;
        };
        let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
        let digits = word.get(letters..).unwrap_or_default();
        let known = letters > 0
            && letters <= 6
            && !(word.contains(|c: char| c.is_ascii_lowercase())
                && word.contains(|c: char| c.is_ascii_uppercase()))
            && digits.len() <= 2
            && digits.bytes().all(|b| b.is_ascii_digit());
        let after = end + segment.len();
        if !known || after > PREFIX_BYTES_MAX || after + CORE_BYTES_MIN > text.len() {
            break;
        }
        end = after;
    }
    end
}

fn push(part: &[u8], found: &mut Vec<Zeroizing<Vec<u8>>>) {
    if part.len() >= PART_BYTES_MIN {
        found.push(Zeroizing::new(part.to_vec()));
    }
}

/// `Bearer T`.
fn after_scheme(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(' ')?;
    let rest = rest.trim_start();
    let known = SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme));
    (known && !rest.contains(char::is_whitespace)).then_some(rest)
}

/// `Authorization: T`, `API_KEY=T`.
fn after_name(text: &str) -> Option<&str> {
    let at = text.find([':', '='])?;
    let (name, rest) = (text.get(..at)?, text.get(at + 1..)?);
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let constant = name.contains('_')
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let header = text.get(at..)?.starts_with(": ");
    let known =
        plain && (is_secret(name) || header || constant && text.as_bytes().get(at) == Some(&b'='));
    (known && !rest.starts_with("//") && rest.trim().len() >= PART_BYTES_MIN)
        .then(|| unquoted(rest.trim()))
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "key" || name == "pass" || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The strings of secret fields. False if the text is not JSON or has none.
fn json(text: &str, depth: u8, found: &mut Vec<Zeroizing<Vec<u8>>>) -> bool {
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(text) else {
        return false;
    };
    let before = found.len();
    fields(false, &mut value, depth, found);
    found.len() > before
}

/// Collects and wipes the strings.
fn fields(
    secret: bool,
    value: &mut serde_json::Value,
    depth: u8,
    found: &mut Vec<Zeroizing<Vec<u8>>>,
) {
    match value {
        serde_json::Value::String(text) => {
            if secret && !text.starts_with("https://") {
                collect(text.as_bytes(), depth + 1, found);
            }
            text.zeroize();
        }
        serde_json::Value::Array(items) => {
            for item in items {
                fields(secret, item, depth, found);
            }
        }
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                // `auth_uri`, `token_uri`, `private_key_id`, `token_type`
                let other = ["_uri", "_url", "_id", "_type", "_at", "_in"]
                    .iter()
                    .any(|end| name.ends_with(end));
                let secret = !other && (is_secret(name) || secret && value.is_array());
                fields(secret, value, depth, found);
            }
        }
        _ => {}
    }
}

/// The text between the markers, without the first line of a long one.
fn pem(text: &str, found: &mut Vec<Zeroizing<Vec<u8>>>) {
    for block in text.split("-----BEGIN ").skip(1) {
        let Some((_, rest)) = block.split_once("-----") else {
            continue;
        };
        let end = memmem::find(rest.as_bytes(), b"-----END").unwrap_or(rest.len());
        let body = rest.get(..end).unwrap_or_default().trim();
        let first = body.find('\n').map_or(0, |end| end + 1);
        let long = first >= PEM_LINE_BYTES && body.len() >= first + CORE_BYTES_MIN;
        let core = body.get(if long { first } else { 0 }..).unwrap_or(body);
        push(core.trim().as_bytes(), found);
    }
}

/// The user part, the secret parameters and the long path segments of a URL.
fn url(text: &str, depth: u8, found: &mut Vec<Zeroizing<Vec<u8>>>) {
    let Some((_, rest)) = text.split_once("://") else {
        return;
    };
    let before = found.len();
    // A password may contain `/`, `?` or `#` against the rules.
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) if !user.contains(['?', ' ']) => (user, place),
        _ => ("", rest),
    };
    let password = user.split_once(':').map_or(user, |(_, password)| password);
    for text in [password, &*decoded(password)] {
        push(text.as_bytes(), found);
    }
    let (path, query) = place.split_once(['?', '#', ';']).unwrap_or((place, ""));
    pairs(query, depth, found);
    for segment in path.split('/').skip(1) {
        if segment.len() >= CORE_BYTES_MIN + 4 {
            push(segment.as_bytes(), found);
        }
    }
    if found.len() == before {
        push(text.as_bytes(), found);
    }
}

/// `Server=…;Password=…`, `host=… password=…`, `a=1&b=2`.
fn pairs(text: &str, depth: u8, found: &mut Vec<Zeroizing<Vec<u8>>>) {
    for pair in text.split([';', '&', ' ', '#', '?']) {
        if let Some((name, value)) = pair.split_once('=')
            && is_secret(name.trim())
        {
            let value = unquoted(value);
            collect(value.as_bytes(), depth + 1, found);
            push(decoded(value).as_bytes(), found);
        }
    }
}

/// The text without percent-encoding; libraries log it decoded.
fn decoded(text: &str) -> Zeroizing<String> {
    let bytes = text.as_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *out)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(value: &str, expected: &[&str]) {
        let found = parts(value.as_bytes());
        let mut found: Vec<_> = found
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        found.sort();
        let mut expected: Vec<_> = expected.iter().map(|part| (*part).to_owned()).collect();
        expected.sort();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn parts_of_values() {
        let token = "ghp_0123456789abcdef0123456789abcdef0123";
        let core = &token[4..];
        case("hunter2hunter2!", &["hunter2hunter2!"]);
        case(
            "eyJhbGciOi.eyJzdWIiOi.abcdefghijklmnop",
            &["abcdefghijklmnop"],
        );
        case(
            "eyJhbGciOi.Zm9vYmFyYm.abcdefghijklmnop",
            &["Zm9vYmFyYm.abcdefghijklmnop"],
        );
        case(token, &[core]);
        case(&format!("Bearer {token}"), &[core]);
        case(&format!("Authorization: Bearer {token}"), &[core]);
        case(&format!("GITHUB_TOKEN={token}"), &[core]);
        case(&format!("https://x:{token}@github.com/a/b.git"), &[token]);
        case(
            "postgres://u:s3cr3t%2Fpw@db/app",
            &["s3cr3t%2Fpw", "s3cr3t/pw"],
        );
        case(
            "postgres://u:s3cr/et?pw1@db/app",
            &["postgres://u:s3cr/et?pw1@db/app"],
        );
        case("Server=h;Password=s3cretpw;", &["s3cretpw"]);
        case(
            "Basic dXNlcjpzM2NyZXRwdzE=",
            &["dXNlcjpzM2NyZXRwdzE=", "s3cretpw1"],
        );
        case(
            r#"{"type":"x","client_id":"123456789012","client_secret":"GOCSPX-abcdefghijklmnop","private_key":"-----BEGIN K-----\nabcdefghijkl\n-----END K-----\n","token_uri":"https://x/y"}"#,
            &["abcdefghijkl", "abcdefghijklmnop"],
        );
        case(
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            &["XXXXXXXXXXXXXXXXXXXXXXXX"],
        );
    }

    #[test]
    fn prefixes_of_formats() {
        for (text, length) in [
            ("github_pat_11ABCDEFG0aBcDeFgHiJkLm", 11),
            ("sk-ant-api03-0123456789abcdef", 13),
            ("550e8400-e29b-41d4-a716-446655440000", 0),
            ("correct-horse-battery-staple", 0),
            ("ghp_short", 0),
        ] {
            assert_eq!(prefix(text), length, "{text}");
        }
    }

    #[test]
    fn the_first_line_of_a_key_is_not_counted() {
        let (one, two) = ("A".repeat(64), "b".repeat(64));
        let key = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{one}\n{two}\n-----END RSA PRIVATE KEY-----\n"
        );
        case(&key, &[&two]);
    }
}
