//! The parts of values.

use super::*;

#[track_caller]
fn case(text: &str, expected: &[(&str, &str)]) {
    let found: Vec<_> = parts(text);
    let found: Vec<_> = found
        .iter()
        .map(|part| (part.name.as_str(), &text[part.range.clone()]))
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn parts_of_values() {
    case("plain", &[]);
    case("Bearer abc", &[("authorization", "abc")]);
    case("Authorization: Bearer abc", &[("authorization", "abc")]);
    case("X-Api-Key:abc", &[("X-Api-Key", "abc")]);
    case("--api-key=abc", &[("api-key", "abc")]);
    case("--env.TOKEN=abc", &[("env.TOKEN", "abc")]);
    case("API_KEY=\"abc\"", &[("API_KEY", "abc")]);
    case(
        "postgres://u:p@h:1/db?sslmode=on",
        &[("password", "p"), ("sslmode", "on")],
    );
    case("postgres://u:p/w@h/db", &[("password", "p/w")]);
    case("https://tok@h/x", &[("token", "tok")]);
    case("https://h/x?key=a&b=c", &[("key", "a"), ("b", "c")]);
    case(
        "Server=h;Password=p;",
        &[("Server", "h"), ("Password", "p")],
    );
    case(
        "{\"Authorization\": \"Bearer abc\"}",
        &[("authorization", "abc")],
    );
    case("{\"a\": {\"key\": \"v\"}}", &[("key", "v")]);
    case(
        "postgres://a:p@h/d,postgres://b:q@i/d?a=b",
        &[("password", "p"), ("password", "q"), ("a", "b")],
    );
    case("https://h/x?to=https://i/y", &[("to", "https://i/y")]);
    case(
        "sqlserver://h:1433;database=d;user=sa;password=p",
        &[("database", "d"), ("user", "sa"), ("password", "p")],
    );
    case("jdbc:oracle:thin:scott/p@//h:1521/x", &[("password", "p")]);
    case("scott/p/q@h:1521/S", &[("password", "p/q")]);
    case("owner/name@1.2.3", &[]);
    case(
        "https://hooks.slack.com/services/T01234567/B01234567/abcdefghijklmnopqrstuvwx",
        &[("token", "abcdefghijklmnopqrstuvwx")],
    );
    case(
        "https://x.quiknode.pro/0123456789abcdef0123/",
        &[("token", "0123456789abcdef0123")],
    );
    case(
        "https://docs.google.com/spreadsheets/d/1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
        &[],
    );
    case("dGVzdA==", &[]);
    case(
        r#""{\"A_KEY\":\"v\",\"é\":[\"w\"]}""#,
        &[("A_KEY", "v"), ("é", "w")],
    );
    case(r#"{\"A_KEY\":\"v\"}"#, &[("A_KEY", "v")]);
    case(r#"{"config": "{\"A_KEY\": \"v\"}"}"#, &[("A_KEY", "v")]);
    case("${A_KEY:-abc}", &[("A_KEY", "abc")]);
    case("http://localhost:8080/sse", &[]);
    case(
        "jdbc:mariadb://h:3306/db?user=a&password=b",
        &[("user", "a"), ("password", "b")],
    );
}
