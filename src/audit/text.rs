//! External texts in records: truncated, and escaped so that they cannot control a terminal.

use std::io;

use serde::Serialize;

use super::event::NewRecord;

/// External texts are truncated to this length (characters).
const TEXT_CHARS_MAX: usize = 256;

/// Truncates the external texts of a record.
pub fn truncate_texts(mut entry: NewRecord) -> NewRecord {
    let clip = |text: &mut Option<String>, chars_max: usize| {
        if let Some(text) = text
            && let Some((end, _)) = text.char_indices().nth(chars_max)
        {
            text.truncate(end);
            text.push('…');
        }
    };
    if let Some(client) = &mut entry.client {
        clip(&mut client.name, TEXT_CHARS_MAX);
        clip(&mut client.version, TEXT_CHARS_MAX);
        clip(&mut client.exe, 4 * TEXT_CHARS_MAX);
    }
    if let Some(secret) = &mut entry.secret {
        clip(&mut secret.variable, TEXT_CHARS_MAX);
    }
    let detail = &mut entry.detail;
    clip(&mut detail.file, 4 * TEXT_CHARS_MAX);
    clip(&mut detail.program, 4 * TEXT_CHARS_MAX);
    for text in [
        &mut detail.to,
        &mut detail.by,
        &mut detail.agent,
        &mut detail.note,
        &mut detail.package,
        &mut detail.method,
        &mut detail.tool,
        &mut detail.id,
        &mut detail.hash,
        &mut entry.policy,
        &mut entry.reason,
    ] {
        clip(text, TEXT_CHARS_MAX);
    }
    entry
}

/// A value as one line of JSON that cannot control a terminal.
pub fn one_line(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, OneLine);
    // Writing to memory does not fail, and the keys of all values are strings.
    drop(value.serialize(&mut serializer));
    String::from_utf8(bytes).unwrap_or_default()
}

/// Writes one line of JSON that cannot control a terminal.
#[derive(Debug)]
pub struct OneLine;

impl serde_json::ser::Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut done = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| steers(*c)) {
            writer.write_all(fragment.get(done..at).unwrap_or_default().as_bytes())?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            done = at + c.len_utf8();
        }
        writer.write_all(fragment.get(done..).unwrap_or_default().as_bytes())
    }
}

/// Whether a character can move the cursor, end a line, or hide or reverse text.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// A text from a record, safe to print on a terminal.
pub fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}
