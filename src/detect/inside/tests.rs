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
    case("https://tok@h/x", &[("user", "tok")]);
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
