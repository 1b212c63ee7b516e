//! Files of variables: `NAME=value` lines, as programs read a `.env`.
//!
//! Invariants: nothing is expanded; an error does not repeat a line, which may be a value.

use zeroize::Zeroizing;

/// Replaces `$` while a file is parsed, so that nothing is expanded. A private-use character that real
/// files do not contain.
const DOLLAR: &str = "\u{f0024}";

/// The variables of a text, in its order.
///
/// # Errors
/// Why it is no such file.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    if text.contains(DOLLAR) {
        return Err("contains a character that mcpwrap reserves (U+F0024)".to_owned());
    }
    let text = Zeroizing::new(text.replace('$', DOLLAR));
    let mut pairs = Vec::new();
    for (n, pair) in dotenvy::from_read_iter(text.as_bytes()).enumerate() {
        // The error repeats the line, so it is not shown.
        let (name, value) =
            pair.map_err(|_| format!("entry {} is not `NAME=value`, as in a `.env` file", n + 1))?;
        pairs.push((name, value.replace(DOLLAR, "$")));
    }
    Ok(pairs)
}
