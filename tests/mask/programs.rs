//! What programs do to a text that they print: one function per step of `spellings.tsv`.
//!
//! Written from the documentation of these programs, not from the masker.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcpwrap::testing::secret::hex;

/// The secret as the program sees it, and the results: two if they are separate content blocks.
pub(super) fn spell(value: &[u8], steps: &str) -> Vec<Vec<u8>> {
    let mut texts = vec![value.to_vec()];
    for step in steps.split(" | ") {
        let (name, argument) = step.split_once(' ').unwrap_or((step, ""));
        let argument = unescape(argument);
        if name == "block-split" {
            let (one, two) = texts[0].split_at(texts[0].len() / 2);
            texts = vec![one.to_vec(), two.to_vec()];
        } else {
            texts = texts
                .iter()
                .map(|text| apply(name, &argument, text))
                .collect();
        }
    }
    texts
}

/// The signs for characters that cannot stand in the file.
fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for code in ["U+200B", "U+2060", "U+00AD", "U+00A0"] {
        let c = u32::from_str_radix(&code[2..], 16)
            .ok()
            .and_then(char::from_u32);
        text = text.replace(code, &c.unwrap().to_string());
    }
    text
}

fn argument(text: &str) -> String {
    text.replace('␠', " ")
        .replace('␤', "\n")
        .replace('␛', "\u{1b}")
        .replace('␀', "")
}

fn apply(name: &str, arguments: &str, text: &[u8]) -> Vec<u8> {
    let words: Vec<String> = arguments.split(' ').map(argument).collect();
    let first = words[0].as_str();
    let second = words.get(1).map_or("", String::as_str);
    let string = || String::from_utf8_lossy(text).into_owned();
    match name {
        "raw" => text.to_vec(),
        "around" => [first.as_bytes(), text, second.as_bytes()].concat(),
        "replace" => string().replace(first, second).into_bytes(),
        "trim" => {
            let text = string();
            let text = text.trim_end().trim_end_matches(first);
            text.trim_end().as_bytes().to_vec()
        }
        "upper" => text.to_ascii_uppercase(),
        "lower" => text.to_ascii_lowercase(),
        "url-safe" => string().replace('+', "-").replace('/', "_").into_bytes(),
        "wrap" => wrapped(text, first.parse().unwrap(), second),
        "middle" => {
            let (one, two) = text.split_at(text.len() / 2);
            [one, argument(arguments).as_bytes(), two].concat()
        }
        "first" => text[..first.parse().unwrap()].to_vec(),
        "last" => text[text.len() - first.parse::<usize>().unwrap()..].to_vec(),
        "without-first" => text[1..].to_vec(),
        "without-last" => text[..text.len() - 1].to_vec(),
        "ends" => {
            let n: usize = first.parse().unwrap();
            [&text[..n], b"...", &text[text.len() - n..]].concat()
        }
        "percent" | "percent-lower" | "units" | "html" | "escape" | "shell-escape" => {
            let each = |byte: &u8| escape(name, first, second, *byte);
            text.iter().flat_map(each).collect()
        }
        _ => encoded(name, text),
    }
}

/// One character.
fn escape(name: &str, first: &str, second: &str, byte: u8) -> Vec<u8> {
    let plain = char::from(byte).to_string();
    let listed = first.as_bytes().contains(&byte);
    let text = match (name, byte) {
        ("percent", b' ') if first.contains('+') && !first.contains(',') => "+".to_owned(),
        ("percent" | "percent-lower", _) if byte.is_ascii_alphanumeric() || listed => plain,
        ("percent", _) => format!("%{byte:02X}"),
        ("percent-lower", _) => format!("%{byte:02x}"),
        ("units", _) => first
            .replace("{x}", &format!("{byte:02x}"))
            .replace("{X}", &format!("{byte:02X}"))
            .replace("{d}", &byte.to_string())
            .replace("{o}", &format!("{byte:03o}")),
        ("html", b'&') => "&amp;".to_owned(),
        ("html", b'<') => "&lt;".to_owned(),
        ("html", b'>') => "&gt;".to_owned(),
        ("html", b'"') if first != "-" => first.to_owned(),
        ("html", b'\'') if second != "-" => second.to_owned(),
        ("escape", _) if listed => format!("\\{plain}"),
        ("shell-escape", _) if !byte.is_ascii_alphanumeric() && !listed => format!("\\{plain}"),
        _ => plain,
    };
    text.into_bytes()
}

/// A text as a whole.
fn encoded(name: &str, text: &[u8]) -> Vec<u8> {
    let string = String::from_utf8_lossy(text).into_owned();
    match name {
        "json" => {
            let quoted = serde_json::to_string(&string).unwrap();
            quoted.as_bytes()[1..quoted.len() - 1].to_vec()
        }
        "python-repr" => python_repr(&string).into_bytes(),
        "utf7" => utf7(&string).into_bytes(),
        "utf16le" => string.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf16be" => string.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "base64" => STANDARD.encode(text).into_bytes(),
        "base32" => bits(text, 5, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        "ascii85" => base85(text, &(b'!'..=b'u').collect::<Vec<u8>>()),
        "base85" => base85(
            text,
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
        ),
        "hexdump" => rows(text, |row| {
            let pairs: Vec<String> = row.iter().map(|b| format!("{b:02x}")).collect();
            let (left, right) = pairs.split_at(pairs.len().min(8));
            let text = left.join(" ") + "  " + &right.join(" ");
            format!("{text:<48}  |{}|", String::from_utf8_lossy(row))
        }),
        "xxd" => rows(text, |row| {
            let pairs: Vec<String> = row.chunks(2).map(hex).collect();
            format!("{:<39}  {}", pairs.join(" "), String::from_utf8_lossy(row))
        }),
        "uint8array" => {
            let row = |row: &[u8]| {
                let row: Vec<String> = row.iter().map(|b| format!("{b:>3}")).collect();
                format!("  {}", row.join(", "))
            };
            let rows: Vec<String> = text.chunks(12).map(row).collect();
            format!("Uint8Array({}) [\n{}\n]", text.len(), rows.join(",\n")).into_bytes()
        }
        _ => panic!("no step `{name}`"),
    }
}

fn rows(text: &[u8], row: impl Fn(&[u8]) -> String) -> Vec<u8> {
    let rows: Vec<String> = text
        .chunks(16)
        .enumerate()
        .map(|(n, bytes)| format!("{:08x}: {}", n * 16, row(bytes)))
        .collect();
    rows.join("\n").into_bytes()
}

fn wrapped(text: &[u8], columns: usize, indent: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.chunks(columns).collect();
    lines.join(format!("\n{indent}").as_bytes())
}

/// `repr` of a `str`: single quotes, unless there are single and no double quotes in it.
fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            _ if c == quote => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn utf7(text: &str) -> String {
    let direct = |c: char| c.is_ascii_alphanumeric() || "'(),-./:? ".contains(c);
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if direct(c) {
            out.push(c);
            continue;
        }
        let mut run = c.to_string();
        while let Some(next) = chars.next_if(|c| !direct(*c)) {
            run.push(next);
        }
        let bytes: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
        out += "+";
        out += STANDARD.encode(bytes).trim_end_matches('=');
        out += "-";
    }
    out
}

/// Each `width` bits as a digit; padded with `=`.
fn bits(text: &[u8], width: usize, digits: &[u8]) -> Vec<u8> {
    let all: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let digit = |bits: &[u8]| {
        let value = bits.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit));
        digits[value << (width - bits.len())]
    };
    let mut out: Vec<u8> = all.chunks(width).map(digit).collect();
    while !out.len().is_multiple_of(8) {
        out.push(b'=');
    }
    out
}

/// Each four bytes as five digits; the last group is padded with zeros and cut.
fn base85(text: &[u8], digits: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in text.chunks(4) {
        let mut four = [0; 4];
        four[..group.len()].copy_from_slice(group);
        let mut value = u32::from_be_bytes(four);
        let mut five = [0; 5];
        for digit in five.iter_mut().rev() {
            *digit = digits[value as usize % 85];
            value /= 85;
        }
        out.extend_from_slice(&five[..=group.len()]);
    }
    out
}
