//! The scanner, with whole lines and byte by byte.

use crate::session::envelope::{Id, LineKind, Scanner};

#[track_caller]
fn case(line: &str, shape: LineKind, id: Option<&str>, method: Option<&str>) {
    // Whole and byte by byte.
    let whole = Scanner::scan(line.as_bytes());
    let mut scanner = Scanner::default();
    for byte in line.as_bytes() {
        scanner.feed(&[*byte]);
    }
    assert_eq!(scanner.finish(), whole, "{line}");
    assert_eq!(whole.shape, shape, "{line}");
    assert_eq!(whole.id.as_ref().map(Id::as_str), id, "{line}");
    assert_eq!(whole.method.as_deref(), method, "{line}");
    if let Some(id) = id {
        assert_eq!(&line[whole.id_at..whole.id_at + id.len()], id);
    }
}

#[test]
fn envelopes() {
    use LineKind::{Array, Blank, Object, Other};
    case(
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        Object,
        Some("1"),
        Some("ping"),
    );
    case(
        r#" { "id" : "a\"b" , "method":"x\/y" } "#,
        Object,
        Some(r#""a\"b""#),
        Some("x/y"),
    );
    case(
        "{\"result\":{\"id\":7,\"a\":[\"}\"]},\"id\":2.50}\r\n",
        Object,
        Some("2.50"),
        None,
    );
    case(r#"{"id":null,"method":"m"}"#, Object, None, Some("m"));
    case(r#"{"id":1,"id":2}"#, Object, Some("2"), None);
    case(
        r#"{"method":"a","params":{"method":"b","id":3}}"#,
        Object,
        None,
        Some("a"),
    );
    case(r#"[{"id":1}]"#, Array, None, None);
    case("", Blank, None, None);
    case(" \r\n", Blank, None, None);
    case("{}", Object, None, None);
    for other in [
        "hello",
        "{",
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1} x"#,
        "[INFO] started",
        "[1]x",
        r#"{"a":1]"#,
        r#"{"a""#,
        "{a:1}",
        "\u{feff}{}",
        "7",
        "null",
    ] {
        case(
            other,
            Other,
            Scanner::scan(other.as_bytes()).id.as_ref().map(Id::as_str),
            None,
        );
    }
}

#[test]
fn line_kinds() {
    let request = Scanner::scan(br#"{"id":1,"method":"ping"}"#);
    assert!(request.request().is_some() && request.answer().is_none());
    let answer = Scanner::scan(br#"{"error":{},"id":1}"#);
    assert!(answer.answer().is_some() && answer.request().is_none());
    let note = Scanner::scan(br#"{"method":"notifications/x"}"#);
    assert_eq!(note.notification(), Some("notifications/x"));
}

#[test]
fn a_token_beyond_the_limit_is_not_an_id() {
    let line = format!(r#"{{"id":"{}","method":"m"}}"#, "x".repeat(5000));
    let envelope = Scanner::scan(line.as_bytes());
    assert_eq!((envelope.id, envelope.shape), (None, LineKind::Object));
}
