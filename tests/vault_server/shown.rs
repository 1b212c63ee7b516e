//! What users read when a store fails: from a server that answers by the path.

use serde_json::json;

use crate::bridge::web::{Asked, Reply, Then, Web};
use crate::harness::{Ended, Test, until};
use crate::messages::message_in;

/// Code, place and what is in the policy instead of a secret.
const CASES: &[(&str, &str)] = &[
    ("store-signed-out", "corp:secret/dead#token"),
    ("store-throttled", "corp:secret/busy#token"),
    ("store-unavailable", "corp:secret/sealed#token"),
    ("store-answer-invalid", "corp:secret/page#token"),
    ("secret-deleted", "corp:secret/deleted#token"),
    ("reference-invalid", "corp:secret/many"),
    ("reference-is-mint", "corp:secret/lease#password"),
    ("mint-refused", "mint:db#password"),
];

fn answer(asked: &Asked, reply: &mut Reply<'_>) {
    let path = asked.target.as_str();
    let refused = json!({"errors": ["permission denied"]});
    let mount = |version: &str| json!({"data": {"path": "secret/", "type": "kv", "options": {"version": version}}});
    match path.rsplit('/').next().unwrap() {
        "lookup-self" => reply.json(403, "", &refused),
        "busy" => reply.json(429, "", &refused),
        "sealed" => reply.json(503, "", &json!({"errors": ["Vault is sealed"]})),
        "page" => reply.body(200, "Content-Type: text/html\r\n", "<html></html>"),
        "lease" if path.contains("/mounts/") => reply.json(200, "", &mount("1")),
        "lease" => reply.json(
            200,
            "",
            &json!({"lease_id": "secret/lease/1", "lease_duration": 60, "data": {"password": "x"}}),
        ),
        _ if path.contains("/mounts/") => reply.json(200, "", &mount("2")),
        "deleted" => {
            let facts =
                json!({"version": 7, "deletion_time": "2026-01-01T00:00:00Z", "destroyed": false});
            reply.json(404, "", &json!({"data": {"data": null, "metadata": facts}}));
        }
        "many" => {
            let facts = json!({"version": 1, "deletion_time": "", "destroyed": false});
            let fields = json!({"token": "value-of-token", "user": "value-of-user"});
            reply.json(
                200,
                "",
                &json!({"data": {"data": fields, "metadata": facts}}),
            );
        }
        "revoke" | "revoke-self" => reply.status(204),
        "login" => reply.json(
            200,
            "",
            &json!({"auth": {"client_token": "made-token", "lease_duration": 60}}),
        ),
        "role" => reply.json(200, "", &json!({"data": {"password": "x"}})),
        _ => reply.json(403, "", &refused),
    }
}

#[test]
fn each_error_says_what_to_do() {
    let web = Web::start(|asked, reply| {
        answer(asked, reply);
        Then::Keep
    });
    let test = Test::new();
    test.secret("vault/token", "token-of-the-store-1");
    test.secret("vault/secret-id", "secret-id-of-the-store-1");
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let address = web.origin();
    let stores = format!(
        "\n[stores.corp]\ntype = \"vault\"\naddress = \"{address}\"\nauth = {{ method = \"token\", token = \"secret:vault/token\" }}\n\
         [stores.roles]\ntype = \"vault\"\naddress = \"{address}\"\nauth = {{ method = \"approle\", role_id = \"r\", secret_id = \"secret:vault/secret-id\" }}\n"
    );
    std::fs::write(&config, text + &stores).unwrap();
    for (code, place) in CASES {
        let mint = "[mint.db]\ntype = \"vault\"\nstore = \"roles\"\npath = \"database/role\"\n";
        let mint = if place.starts_with("mint:") { mint } else { "" };
        test.serve(
            "slack",
            &[],
            &format!("[secrets.TOKEN]\nfrom = \"{place}\"\n{mint}"),
        );
        let ended = test.run("slack").refused();
        let shown = |text: &str| text.replace(&format!(":{}", web.port), ":PORT");
        let ended = Ended {
            stderr: shown(&ended.stderr),
            ..ended
        };
        // Programs have messages of their own for most codes.
        let name = match *code {
            "mint-refused" | "reference-invalid" => (*code).to_owned(),
            code => format!("{code}-vault"),
        };
        message_in(&test, code, &name, &ended);
    }
    // What a refused mint made is withdrawn.
    let is_end = |asked: &Asked| asked.target.ends_with("/auth/token/revoke-self");
    until("the token is withdrawn", || web.asked().iter().any(is_end));
}
