//! Encodings that write each byte on its own: dumps, lists and numeric escapes; base32 and base85.

use zeroize::Zeroizing;

/// How one byte is written.
struct Unit {
    before: &'static str,
    number: Number,
    after: &'static str,
    /// How many bytes of the secret must be shown in a row.
    least: usize,
}

#[derive(Clone, Copy)]
enum Number {
    Lower,
    Upper,
    Octal,
    Decimal,
}

const fn unit(before: &'static str, number: Number, after: &'static str) -> Unit {
    Unit {
        before,
        number,
        after,
        least: 16,
    }
}

const UNITS: &[Unit] = &[
    // URLs, quoted-printable, strings of C, Python, JavaScript, Java and Rust, HTML.
    unit("%", Number::Lower, ""),
    unit("%", Number::Upper, ""),
    unit("=", Number::Upper, ""),
    unit("\\x", Number::Lower, ""),
    unit("\\x", Number::Upper, ""),
    unit("\\u00", Number::Lower, ""),
    unit("\\u00", Number::Upper, ""),
    unit("\\u{", Number::Lower, "}"),
    unit("\\", Number::Octal, ""),
    unit("&#", Number::Decimal, ";"),
    unit("&#x", Number::Lower, ";"),
    unit("&#x", Number::Upper, ";"),
    // Dumps. `hexdump` has a wider gap after eight bytes.
    Unit {
        least: 8,
        ..unit("", Number::Lower, " ")
    },
    Unit {
        least: 8,
        ..unit("", Number::Upper, " ")
    },
    unit("", Number::Lower, ":"),
    unit("", Number::Upper, ":"),
    unit("", Number::Upper, "-"),
    // Lists of bytes.
    unit("0x", Number::Lower, ", "),
    unit("0x", Number::Upper, ", "),
    unit("0x", Number::Lower, ","),
    unit("0x", Number::Lower, " "),
    unit("", Number::Decimal, ","),
    unit("", Number::Decimal, ", "),
    unit("", Number::Decimal, " "),
];

/// Every spelling of a value byte by byte, with the length of the shortest piece to be found.
pub(super) fn units(value: &[u8]) -> Vec<(Zeroizing<Vec<u8>>, usize)> {
    let mut all = Vec::new();
    for unit in UNITS {
        // A number of a character, not of a byte.
        if (unit.before.starts_with("\\u") || unit.before.starts_with('&')) && !value.is_ascii() {
            continue;
        }
        let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 8));
        for byte in value {
            out.extend_from_slice(unit.before.as_bytes());
            number(unit.number, *byte, &mut out);
            out.extend_from_slice(unit.after.as_bytes());
        }
        let text = out.len() - unit.after.trim_end_matches(['}', ';']).len();
        out.truncate(text);
        let digits = match unit.number {
            Number::Octal => 3,
            _ => 2,
        };
        let length = unit.before.len() + digits + unit.after.len();
        all.push((out, unit.least * length - unit.after.len()));
    }
    // `xxd`: two bytes together, from an even or an odd position.
    for first in [1, 2] {
        let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 3));
        for (n, byte) in value.iter().enumerate() {
            if n > 0 && (n + 2 - first) % 2 == 0 {
                out.push(b' ');
            }
            number(Number::Lower, *byte, &mut out);
        }
        all.push((out, 32));
    }
    all
}

fn number(kind: Number, byte: u8, out: &mut Vec<u8>) {
    let digits: &[u8; 16] = match kind {
        Number::Upper => b"0123456789ABCDEF",
        _ => b"0123456789abcdef",
    };
    let mut push = |digit: u8| out.extend(digits.get(usize::from(digit)));
    match kind {
        Number::Lower | Number::Upper => {
            push(byte >> 4);
            push(byte & 15);
        }
        Number::Octal => {
            push(byte >> 6);
            push(byte >> 3 & 7);
            push(byte & 7);
        }
        Number::Decimal => {
            if byte >= 100 {
                push(byte / 100);
            }
            if byte >= 10 {
                push(byte / 10 % 10);
            }
            push(byte % 10);
        }
    }
}

const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Base32 (RFC 4648) without padding. A last group that is not complete is left out.
pub(super) fn base32(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2));
    for group in value.chunks(5) {
        let number = group
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let number = number << (8 * (5 - group.len()));
        for n in 0..group.len() * 8 / 5 {
            let digit = number >> (35 - 5 * n) & 31;
            out.extend(BASE32.get(digit as usize));
        }
    }
    out
}

/// Ascii85 (Adobe, Python's `a85encode`), Python's `b85encode` and git, Z85.
const BASE85: &[&[u8]] = &[
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
];

/// The complete groups of a value in base85. Without the brackets that masks begin or end with: a
/// form is cut there.
pub(super) fn base85(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut all = Vec::new();
    for digits in BASE85 {
        let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 2));
        for group in value.chunks_exact(4) {
            let mut number = group
                .iter()
                .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            let mut text = [0; 5];
            for place in text.iter_mut().rev() {
                *place = digits
                    .get((number % 85) as usize)
                    .copied()
                    .unwrap_or_default();
                number /= 85;
            }
            out.extend_from_slice(&text);
        }
        all.extend(
            out.split(|byte| b"[]".contains(byte))
                .map(|piece| Zeroizing::new(piece.to_vec())),
        );
    }
    all
}

/// UTF-16, little and big endian.
pub(super) fn utf16(value: &[u8]) -> Option<[Zeroizing<Vec<u8>>; 2]> {
    let text = std::str::from_utf8(value).ok()?;
    let units = || text.encode_utf16();
    let little = units().flat_map(u16::to_le_bytes).collect();
    let big = units().flat_map(u16::to_be_bytes).collect();
    Some([Zeroizing::new(little), Zeroizing::new(big)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(expected: &str) {
        let found = units(b"ghp_0");
        assert!(
            found
                .iter()
                .any(|(form, _)| form.as_slice() == expected.as_bytes()),
            "{expected}"
        );
    }

    #[test]
    fn bytes_one_by_one() {
        case("%67%68%70%5F%30");
        case("\\u0067\\u0068\\u0070\\u005f\\u0030");
        case("&#103;&#104;&#112;&#95;&#48;");
        case("67 68 70 5f 30");
        case("0x67, 0x68, 0x70, 0x5f, 0x30");
        case("103,104,112,95,48");
        case("6768 705f 30");
        case("67 6870 5f30");
    }

    #[test]
    fn other_bases() {
        assert_eq!(base32(b"foobar").as_slice(), b"MZXW6YTBO");
        let text = |n: usize| base85(b"Man sure")[n].clone();
        assert_eq!(text(0).as_slice(), b"9jqo^F*2M7");
        assert_eq!(text(1).as_slice(), b"O<`^zb9HiM");
    }
}
