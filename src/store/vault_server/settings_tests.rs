//! Tests of `settings`.

use super::*;

fn read(text: &str) -> Result<ServerSettings, String> {
    let text = format!("type = \"vault\"\n{text}");
    ServerSettings::new(&toml::from_str::<StoreDefinition>(&text).unwrap())
}

const AT: &str = "address = \"https://bao.example:8200\"\n";

#[test]
fn every_way_to_sign_in() {
    for (auth, shown) in [
        (
            "method = \"token\", token = \"secret:a/b\"",
            "token, from `secret:a/b`",
        ),
        ("method = \"token_file\"", "token, from `~/.vault-token`"),
        (
            "method = \"token_file\", path = \"/run/token\"",
            "token, from `/run/token`",
        ),
        (
            "method = \"approle\", role_id = \"r\", secret_id = \"secret:s\"",
            "AppRole `r` at `auth/approle`, secret ID from `secret:s`",
        ),
        (
            "method = \"approle\", role_id = \"secret:r\", mount = \"auth/ci/\"",
            "AppRole `secret:r` at `auth/ci`, without a secret ID",
        ),
        (
            "method = \"jwt\", role = \"r\", jwt_file = \"~/jwt\"",
            "role `r` at `auth/jwt`, JWT from `~/jwt`",
        ),
        (
            "method = \"userpass\", username = \"u\", password = \"secret:p\"",
            "user `u` at `auth/userpass`, password from `secret:p`",
        ),
    ] {
        let read = read(&format!("{AT}auth = {{ {auth} }}")).unwrap();
        assert_eq!(read.auth.shown(), shown);
        assert_eq!(read.base(), "https://bao.example:8200");
    }
    let text = "address = \"http://127.0.0.1:8200/vault/\"\nnamespace = \"a/b/\"\nca_file = \"~/ca.pem\"\nauth = { method = \"token_file\" }";
    let read = read(text).unwrap();
    assert_eq!(read.base(), "http://127.0.0.1:8200/vault");
    assert_eq!(read.namespace.as_deref(), Some("a/b"));
}

#[test]
fn mistakes_are_named_and_values_are_not_repeated() {
    let file = "auth = { method = \"token_file\" }";
    for (text, expected) in [
        (file.to_owned(), "`address` is missing"),
        (
            format!("address = \"http://bao.example\"\n{file}"),
            "is not encrypted",
        ),
        (
            format!("address = \"https://u:hunter2@bao.example\"\n{file}"),
            "ends up in logs",
        ),
        (
            format!("address = \"https://bao.example/v1\"\n{file}"),
            "leave out `/v1`",
        ),
        (
            format!("{AT}namespace = \"a//b\"\n{file}"),
            "`namespace` is not",
        ),
        (format!("{AT}ca_file = \"ca.pem\"\n{file}"), "absolute path"),
        (
            format!("{AT}skip_verify = true\n{file}"),
            "unknown field `skip_verify`",
        ),
        (AT.to_owned(), "`auth` is missing"),
        (
            format!("{AT}auth = {{ method = \"token\", token = \"hunter2\" }}"),
            "`auth.token` must be a reference",
        ),
        (
            format!("{AT}auth = {{ method = \"aprole\" }}"),
            "did you mean `approle`",
        ),
        (
            format!(
                "{AT}auth = {{ method = \"approle\", role_id = \"r\", secret_id = \"hunter2\" }}"
            ),
            "`auth.secret_id` must be a reference",
        ),
        (
            format!(
                "{AT}auth = {{ method = \"userpass\", username = \"u\", pasword = \"hunter2\" }}"
            ),
            "`auth.password` is missing",
        ),
        (
            format!("{AT}auth = {{ method = \"jwt\", jwt = \"secret:a\", jwt_file = \"/b\" }}"),
            "write either",
        ),
        (
            format!("{AT}auth = {{ method = \"token_file\", mount = \"x\" }}"),
            "unknown field `auth.mount`",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
