//! Texts of a policy in a form in which each character is what it looks like.

/// A text in which each character is what it looks like: printable ASCII as it is, otherwise in the
/// quotes and escapes of bash (`$'caf\u00e9'`). A gap of many spaces, which may look like the end of a
/// line, is shown by its length (`\x20{80}`).
pub fn ascii(text: &str) -> String {
    if is_plain_ascii(text) {
        return text.to_owned();
    }
    let mut escaped = String::from("$'");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let gap = rest.len() - rest.trim_start_matches(' ').len();
        match (c, gap) {
            (' ', 2..) => escaped.extend(format!("\\x20{{{gap}}}").chars()),
            ('\\' | '\'', _) => escaped.extend(['\\', c]),
            _ => push_escaped(&mut escaped, c),
        }
        rest = rest.get(gap.max(c.len_utf8())..).unwrap_or_default();
    }
    escaped.push('\'');
    escaped
}

/// A line of a file, with escapes in place of all that is not printable ASCII.
pub fn ascii_line(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    line.chars().for_each(|c| push_escaped(&mut escaped, c));
    escaped
}

fn push_escaped(text: &mut String, c: char) {
    let code = u32::from(c);
    match c {
        ' '..='~' => text.push(c),
        '\u{10000}'.. => text.extend(format!("\\U{code:08x}").chars()),
        _ => text.extend(format!("\\u{code:04x}").chars()),
    }
}

/// Whether a text is what it looks like: printable ASCII without gaps.
pub(super) fn is_plain_ascii(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' '..='~')) && !text.contains("  ")
}

/// The keyword of a choice in the policy file.
pub(super) fn word(choice: impl serde::Serialize) -> String {
    let word = serde_json::to_value(choice).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}
