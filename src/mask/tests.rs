//! Masking through both streams, example by example.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Masker, MessageMask, TextMask};
use crate::secret::Secret;

const TOKEN: &str = "ghp_0123456789abcdef0123456789abcdef0123";
const MASK: &str = "[secret github/token …0123]";

fn masker(secrets: &[(&str, &[u8])]) -> Arc<Masker> {
    let values: Vec<Secret> = secrets
        .iter()
        .map(|(_, v)| Secret::new(v.to_vec()))
        .collect();
    let named: Vec<_> = secrets
        .iter()
        .zip(&values)
        .map(|((label, _), v)| ((*label).to_owned(), v))
        .collect();
    Arc::new(Masker::new(&named))
}

fn text(secrets: &[(&str, &[u8])], input: &[u8]) -> String {
    let mut mask = TextMask::new(masker(secrets));
    let mut out = Vec::new();
    mask.write(input, &mut out);
    mask.flush(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Masks messages whole, byte by byte and through `pass`; all results must be equal.
#[track_caller]
fn message(secrets: &[(&str, &[u8])], input: &[u8]) -> String {
    let masker = masker(secrets);
    let mut results = [1, 2, 7, usize::MAX].map(|step| {
        let mut mask = MessageMask::new(Arc::clone(&masker));
        let mut out = Vec::new();
        for piece in input.chunks(step.min(input.len()).max(1)) {
            let passed = if step == 7 { mask.pass(piece) } else { 0 };
            out.extend_from_slice(&piece[..passed]);
            mask.write(&piece[passed..], &mut out);
        }
        mask.flush(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    });
    for result in &results {
        assert_eq!(*result, results[0]);
    }
    std::mem::take(&mut results[0])
}

#[track_caller]
fn token(input: &str, expected: &str) {
    let secrets: &[(&str, &[u8])] = &[("github/token", TOKEN.as_bytes())];
    assert_eq!(
        message(secrets, input.replace("TOKEN", TOKEN).as_bytes()),
        expected.replace("MASK", MASK)
    );
}

#[test]
fn the_mask_names_the_secret_and_its_last_four_characters() {
    let secrets: &[(&str, &[u8])] = &[
        ("github/token", TOKEN.as_bytes()),
        ("db", b"hunter2hunter2!"),
    ];
    let out = text(
        secrets,
        format!("Bearer {TOKEN}, pw=hunter2hunter2!\n").as_bytes(),
    );
    assert_eq!(out, format!("Bearer {MASK}, pw=[secret db]\n"));
}

/// A leftmost-first replacement would leave the tail of the second secret.
#[test]
fn overlapping_secrets_leave_no_tail() {
    let secrets: &[(&str, &[u8])] = &[("a", b"abcdefgh"), ("b", b"efghijkl")];
    assert_eq!(text(secrets, b"-abcdefghijkl-"), "-[secret a]-");
    assert_eq!(
        text(&[("a", b"abcdefgh"), ("b", b"xabcdefghx")], b"-xabcdefghx-"),
        "-[secret b]-"
    );
    assert_eq!(text(&[("a", b"abababab")], b"-ababababab-"), "-[secret a]-");
}

/// Masking raw bytes could cut an escape in half.
#[test]
fn an_escape_is_never_cut() {
    let secrets: &[(&str, &[u8])] = &[("n", b"nabcdefgh")];
    assert_eq!(
        message(secrets, br#"{"a":"x\nabcdefgh"}"#),
        r#"{"a":"x\nabcdefgh"}"#
    );
    assert_eq!(
        message(secrets, br#"{"a":"x\\nabcdefgh"}"#),
        r#"{"a":"x\\[secret n]"}"#
    );
    assert_eq!(
        message(secrets, br#"{"a":"x\\\nabcdefgh"}"#),
        r#"{"a":"x\\\nabcdefgh"}"#
    );
}

#[test]
fn messages_are_masked_in_literals() {
    token(
        r#"{"result":{"text":"key TOKEN."}}"#,
        r#"{"result":{"text":"key MASK."}}"#,
    );
    token(r#"{"TOKEN":"TOKEN"}"#, r#"{"MASK":"MASK"}"#);
    token(
        r#"{"a" : 1.50, "b":["TOKEN",2e3]}"#,
        r#"{"a" : 1.50, "b":["MASK",2e3]}"#,
    );
    token("\"TOKEN\"\r\n[\"TOKEN\"]\n", "\"MASK\"\r\n[\"MASK\"]\n");
    token("\u{feff}{\"a\":\"TOKEN\"}\n", "\u{feff}{\"a\":\"MASK\"}\n");
    // The rest of a literal stays unchanged.
    token(
        r#"{"a":"\u00e9\/TOKEN\ud800\u0041"}"#,
        r#"{"a":"\u00e9\/MASK\ud800\u0041"}"#,
    );
}

#[test]
fn unusual_escapes_hide_nothing() {
    token(
        r#"{"a":"\u0067hp_0123456789abcdef0123456789abcdef0123"}"#,
        r#"{"a":"MASK"}"#,
    );
    token(
        r#"{"a":"ghp_0123456789abcdef0123456789abcdef012\u0033"}"#,
        r#"{"a":"MASK"}"#,
    );
    token(
        r#"{"a":"ghp\u005F0123456789abcdef0123456789abcdef0123x"}"#,
        r#"{"a":"MASKx"}"#,
    );
    let slash: &[(&str, &[u8])] = &[("s", b"a/b/c/d/e")];
    assert_eq!(message(slash, br#"["a\/b/c\/d/e"]"#), r#"["[secret s]"]"#);
    let astral: &[(&str, &[u8])] = &[("s", "🔑🔑🔑".as_bytes())];
    assert_eq!(
        message(astral, br#"["\ud83d\udd11\uD83D\uDD11\ud83d\udd11"]"#),
        r#"["[secret s]"]"#
    );
}

/// The escape is cut by the end of a piece, and what stands before it was not escaped.
#[test]
fn a_cut_escape_hides_nothing() {
    let masker = masker(&[("github/token", TOKEN.as_bytes())]);
    for escaped in 0..TOKEN.len() {
        let (head, tail) = TOKEN.split_at(escaped);
        let spelled = format!(
            "{head}\\u{:04x}{}",
            u32::from(tail.as_bytes()[0]),
            &tail[1..]
        );
        let line = format!("{{\"a\":\"x {spelled}\"}}\n");
        for cut in 0..line.len() {
            let mut mask = MessageMask::new(Arc::clone(&masker));
            let mut out = Vec::new();
            for piece in [&line.as_bytes()[..cut], &line.as_bytes()[cut..]] {
                let passed = mask.pass(piece);
                out.extend_from_slice(&piece[..passed]);
                mask.write(&piece[passed..], &mut out);
            }
            let expected = format!("{{\"a\":\"x {MASK}\"}}\n");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{line} {cut}");
        }
    }
}

#[test]
fn json_within_json_is_masked() {
    let secrets: &[(&str, &[u8])] = &[("s", b"pass\"word\\1")];
    for level in 1..4 {
        let mut input = "pass\"word\\1".to_owned();
        let mut expected = "[secret s]".to_owned();
        for _ in 0..level {
            input = serde_json::to_string(&input).unwrap();
            expected = serde_json::to_string(&expected).unwrap();
        }
        assert_eq!(message(secrets, input.as_bytes()), expected);
    }
}

/// A masked ID no longer fits its request.
#[test]
fn an_id_is_masked_and_reported() {
    let reported = |input: &str| {
        let secrets: &[(&str, &[u8])] = &[("github/token", TOKEN.as_bytes())];
        let mut mask = MessageMask::new(masker(secrets));
        let mut out = Vec::new();
        mask.write(input.replace("TOKEN", TOKEN).as_bytes(), &mut out);
        (
            mask.secrets_in_ids(),
            String::from_utf8_lossy(&out).replace(TOKEN, "TOKEN"),
        )
    };
    for line in [
        "{\"id\":\"TOKEN\"}\n",
        "{\"jsonrpc\":\"2.0\", \"id\" : \"x-TOKEN\",\"result\":{}}\n",
        "[{\"id\":1},{\"i\\u0064\":\"TOKEN\"}]\n",
    ] {
        assert_eq!(reported(line), (1, line.replace("TOKEN", MASK)));
    }
    for line in [
        "{\"params\":{\"id\":\"TOKEN\"}}\n",
        "{\"idx\":\"TOKEN\"}\n",
        "{\"x\":\"id\",\"y\":\"TOKEN\"}\n",
        "{\"id\":[\"TOKEN\"]}\n",
        "[\"id\",\"TOKEN\"]\n",
    ] {
        let expected = line.replace("TOKEN", MASK);
        assert_eq!(reported(line), (0, expected));
    }
}

#[test]
fn a_line_that_is_not_json_is_masked_as_text() {
    token("starting with TOKEN\n", "starting with MASK\n");
    token("[info] token=TOKEN {\n", "[info] token=MASK {\n");
    token("{'token': 'TOKEN'}\n", "{'token': 'MASK'}\n");
    token("[\"a\", TOKEN, \"b\"]\n", "[\"a\", MASK, \"b\"]\n");
    token(
        "{\"path\":\"C:\\xTOKEN\" TOKEN\n",
        "{\"path\":\"C:\\xMASK\" MASK\n",
    );
    token("{\"open\":\"TOKEN\nTOKEN\n", "{\"open\":\"MASK\nMASK\n");
    token("{\"a\":1} TOKEN", "{\"a\":1} MASK");
    let hex: &[(&str, &[u8])] = &[("h", b"0123456789abcdef")];
    assert_eq!(
        message(hex, b"[0123456789abcdef]\n"),
        "[[secret h …cdef]]\n"
    );
    assert_eq!(message(hex, b"0123456789abcdef"), "[secret h …cdef]");
}

/// A mask is not base64: the client could not decode the content.
#[test]
fn a_blob_stays_decodable() {
    let secrets: &[(&str, &[u8])] = &[("github/token", TOKEN.as_bytes())];
    for before in 0..4 {
        let file = ["x".repeat(before).as_str(), TOKEN, " and more"].concat();
        let blob = STANDARD.encode(&file);
        for line in [
            r#"{"id":1,"result":{"content":[{"type":"image","data":"BLOB","mimeType":"image/png"}]}}"#,
            r#"{"id":1,"result":{"contents":[{"uri":"a:b","blob":"BLOB"}]}}"#,
            r#"[{"id":1,"result":{"content":[{"resource":{"bl\u006fb":"BLOB"}}]}}]"#,
        ] {
            let out = message(secrets, line.replace("BLOB", &blob).as_bytes());
            let (head, tail) = line.split_once("BLOB").unwrap();
            let inner = out
                .strip_prefix(head)
                .and_then(|out| out.strip_suffix(tail));
            let masked = STANDARD.decode(inner.unwrap()).unwrap();
            assert_eq!(masked.len(), file.len());
            let masked = String::from_utf8_lossy(&masked).into_owned();
            assert!(
                masked.ends_with(" and more") && masked.contains(&"\0".repeat(34)),
                "{out}"
            );
        }
    }
    token(
        r#"{"params":{"level":"info","data":"key TOKEN"}}"#,
        r#"{"params":{"level":"info","data":"key MASK"}}"#,
    );
}

/// A value of digits is weak, but `--allow-weak` stores it.
#[test]
fn numbers_are_never_touched() {
    let digits: &[(&str, &[u8])] = &[("n", b"12345678")];
    let long = "1".to_owned() + &"0".repeat(300);
    let input =
        format!("{{\"c\":{long},\"a\":12345678,\"b\":-1.2345678e12345678,\"d\":\"12345678\"}}\n");
    assert_eq!(
        message(digits, input.as_bytes()),
        input.replace("\"12345678\"", "\"[secret n]\"")
    );
}

#[test]
fn a_secret_like_syntax_is_masked_in_literals_only() {
    let syntax: &[(&str, &[u8])] = &[("s", br#"","b":"c"#)];
    let input = br#"{"a":"","b":"c"}"#;
    assert_eq!(message(syntax, input), String::from_utf8_lossy(input));
    assert_eq!(
        message(syntax, br#"{"a":"\",\"b\":\"c"}"#),
        r#"{"a":"[secret s]"}"#
    );
}

#[test]
fn a_mask_never_completes_a_secret() {
    for value in [
        "[secret A]",
        "secret A",
        "abcdefgh[",
        "]abcdefgh",
        "[secret]",
        "(secret)[secret]",
        "********",
    ] {
        let secrets: &[(&str, &[u8])] = &[("A", value.as_bytes())];
        let once = text(secrets, value.as_bytes());
        let around = text(secrets, format!("abcdefgh{value}abcdefgh").as_bytes());
        assert!(
            !once.contains(value) && !around.contains(value),
            "{value}: {once} {around}"
        );
        assert_eq!(text(secrets, around.as_bytes()), around);
    }
}

/// Some clients close the session at a line of 10 MiB.
#[test]
fn masks_lengthen_a_line_by_a_bounded_number_of_bytes() {
    let secrets: &[(&str, &[u8])] = &[("a/rather/long/name/of/a/secret", b"abcdefgh")];
    let input = format!("{{\"a\":\"{}\"}}\n", "abcdefgh ".repeat(10_000));
    let out = message(secrets, input.as_bytes());
    assert!(out.starts_with("{\"a\":\"[secret a/rather/long/name/of/a/secret] "));
    assert!(out.ends_with("[secret] \"}\n") && !out.contains("abcdefgh"));
    assert!(out.len() <= input.len() + super::mask_set::GROWTH_BYTES_MAX);
}

#[test]
fn a_new_masker_applies_from_the_next_line() {
    let (old, new) = (
        masker(&[("old", b"oldsecret")]),
        masker(&[("new", b"newsecret")]),
    );
    let expected = "\"[secret old] newsecret\"\n\"oldsecret [secret new]\"\n";
    let mut out = Vec::new();
    let mut mask = MessageMask::new(Arc::clone(&old));
    mask.write(b"\"oldse", &mut out);
    mask.set_masker(Arc::clone(&new));
    mask.write(b"cret newsecret\"\n\"oldsecret newsecret\"\n", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected);
    out.clear();
    let mut mask = TextMask::new(old);
    mask.write(b"\"oldse", &mut out);
    mask.set_masker(new);
    assert_eq!(mask.pass(b"cret"), 0);
    mask.write(b"cret newsecret\"\n\"oldsecret newsecret\"\n", &mut out);
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

/// Memory stays bounded: only an undecided end is kept.
#[test]
fn a_long_line_streams_through() {
    let secrets: &[(&str, &[u8])] = &[("github/token", TOKEN.as_bytes())];
    let mut mask = MessageMask::new(masker(secrets));
    let mut out = Vec::new();
    let piece = format!("some text \\u00e9\\n {TOKEN} and more").repeat(2000);
    let (mut read, mut written) = (0, 0);
    mask.write(b"{\"a\":\"", &mut out);
    for _ in 0..100 {
        out.clear();
        mask.write(piece.as_bytes(), &mut out);
        read += piece.len();
        written += out.len() + 2000 * (TOKEN.len() - MASK.len());
        assert!(
            !out.windows(TOKEN.len())
                .any(|window| window == TOKEN.as_bytes())
        );
    }
    assert!(read - written <= 40 && out.capacity() < 8 * piece.len());
}

#[test]
fn a_value_of_64_kib_is_found() {
    let value: Vec<u8> = (0..65536_u32)
        .map(|n| b'!' + (n.wrapping_mul(2_654_435_761) >> 26) as u8)
        .collect();
    let secrets: &[(&str, &[u8])] = &[("big", &value)];
    let shown = String::from_utf8_lossy(&value).into_owned();
    let input = format!("{{\"a\":{}}}\n", serde_json::to_string(&shown).unwrap());
    let mut mask = MessageMask::new(masker(secrets));
    let mut out = Vec::new();
    for piece in input.as_bytes().chunks(4000) {
        mask.write(piece, &mut out);
    }
    assert_eq!(out, b"{\"a\":\"{secret big}\"}\n");
    assert!(text(secrets, &[b"<", value.as_slice(), b">"].concat()).len() < 40);
}

#[test]
fn debug_output_contains_no_value() {
    let masker = masker(&[("github/token", TOKEN.as_bytes())]);
    let mut mask = TextMask::new(Arc::clone(&masker));
    mask.write(&TOKEN.as_bytes()[..20], &mut Vec::new());
    assert_eq!(format!("{masker:?} {mask:?}"), "Masker(…) TextMask(…)");
}
