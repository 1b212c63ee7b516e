//! The encodings in which a secret may leak, independent of the code under test.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// The name of an encoding of `secret` that occurs in `bytes`.
pub(crate) fn find(secret: &[u8], bytes: &[u8]) -> Option<&'static str> {
    let found = |(_, form): &(_, Vec<u8>)| memchr::memmem::find(bytes, form).is_some();
    all(secret).into_iter().find(found).map(|(name, _)| name)
}

/// All encodings of at least six bytes, so that nothing matches by chance.
fn all(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("raw", secret.to_owned()),
        ("in hex", hex(secret)),
        ("in capital hex", hex(secret).to_ascii_uppercase()),
        ("percent-encoded", percent(secret)),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        let once = escaped(text);
        forms.push(("escaped twice", escaped(&once).into_bytes()));
        forms.push(("escaped", once.into_bytes()));
    }
    for line in secret.split(|b| *b == b'\n').filter(|line| line.len() >= 8) {
        forms.push(("line by line", line.to_owned()));
    }
    for offset in 0..3 {
        forms.push(("in base64", base64(&STANDARD, secret, offset)));
        forms.push(("in base64 for URLs", base64(&URL_SAFE, secret, offset)));
    }
    forms.retain(|(_, form)| form.len() >= 6);
    forms
}

/// The base64 characters that depend on `secret` alone, with `offset` other bytes before it.
fn base64(engine: &impl base64::Engine, secret: &[u8], offset: usize) -> Vec<u8> {
    let digits = engine
        .encode([&[0; 2][..offset], secret].concat())
        .into_bytes();
    let (first, last) = ((offset * 8).div_ceil(6), (offset + secret.len()) * 8 / 6);
    digits[first..last].to_owned()
}

fn escaped(text: &str) -> String {
    serde_json::to_string(text)
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|b| format!("{b:02x}").into_bytes())
        .collect()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let one = |b: &u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => vec![*b],
        _ => format!("%{b:02X}").into_bytes(),
    };
    bytes.iter().flat_map(one).collect()
}

#[test]
fn every_encoding_is_found() {
    let secret = b"s3cr\"et/val?e+";
    for (name, form) in all(secret) {
        let text = [b"before ", form.as_slice(), b" after"].concat();
        assert!(find(secret, &text).is_some(), "{name}");
    }
    assert_eq!(find(secret, b"nothing of it"), None);
    for prefix in ["", "x", "xy", "xyz"] {
        let text = STANDARD.encode([prefix.as_bytes(), secret, b"tail"].concat());
        assert_eq!(find(secret, text.as_bytes()), Some("in base64"), "{prefix}");
    }
}
