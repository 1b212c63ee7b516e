//! What is read from the secrets engines, and what is wrong when nothing is.

use serde_json::json;

use super::bao::{Bao, ROOT};
use super::relay::Relay;
use super::{Opened, VALUE};
use crate::harness::Test;

#[test]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
fn key_value_engines() {
    let Some(bao) = Bao::start() else { return };
    bao.put("mcp/slack", &json!({"token": "old"}));
    bao.put(
        "mcp/slack",
        &json!({"token": VALUE, "port": 5432, "on": true, "table": {"a": [1, 2]}, "null": null, "nul": "a\u{0}b"}),
    );
    bao.post(
        "sys/mounts/team/kv",
        &json!({"type": "kv", "options": {"version": "1"}}),
    );
    bao.post("team/kv/mcp/a%20b", &json!({"only": VALUE}));
    let store = Opened::with_token(&bao.url, ROOT);
    for (place, value) in [
        ("secret/mcp/slack#token", VALUE),
        ("secret/mcp/slack#token?version=1", "old"),
        ("secret/mcp/slack?version=1", "old"),
        ("secret/mcp/slack#port", "5432"),
        ("secret/mcp/slack#on", "true"),
        ("secret/mcp/slack#table", "{\"a\":[1,2]}"),
        ("secret/mcp/slack#nul", "a\0b"),
        ("team/kv/mcp/a b", VALUE),
        ("team/kv/mcp/a b#only", VALUE),
    ] {
        assert_eq!(store.value(place), value, "{place}");
    }
    let version = store.read(&["secret/mcp/slack#token"]).remove(0).unwrap();
    assert_eq!(version.version.as_deref(), Some("2"));
    for (place, code, part) in [
        (
            "secret/mcp/slack",
            "reference-invalid",
            "null, on, port, table, token",
        ),
        (
            "secret/mcp/slack#tokn",
            "secret-not-found",
            "did you mean `token`?",
        ),
        ("secret/mcp/slack#null", "reference-invalid", "null"),
        (
            "secret/mcp/slack#token?version=9",
            "secret-not-found",
            "version 9",
        ),
        (
            "secret/mcp/none#token",
            "secret-not-found",
            "`secret/` has no `mcp/none`",
        ),
        (
            "secret/data/mcp/slack#token",
            "secret-not-found",
            "leave out `data/`",
        ),
        (
            "team/kv/none",
            "secret-not-found",
            "`team/kv/` has no `none`",
        ),
        ("team/kv", "store-denied", "nothing is mounted at `team/`"),
        (
            "team/kv/mcp/a b?version=1",
            "reference-invalid",
            "keeps no versions",
        ),
        (
            "nowhere/mcp#token",
            "store-denied",
            "nothing is mounted at `nowhere/`",
        ),
    ] {
        store.fails(place, code, part);
    }
}

#[test]
fn deleted_destroyed_and_short_lived_versions() {
    let Some(bao) = Bao::start() else { return };
    bao.put("mcp/slack", &json!({"token": "old"}));
    bao.put("mcp/slack", &json!({ "token": VALUE }));
    let store = Opened::with_token(&bao.url, ROOT);
    assert_eq!(bao.ask("DELETE", "secret/data/mcp/slack", None).0, 204);
    store.fails(
        "secret/mcp/slack#token",
        "secret-deleted",
        "version 2 was deleted",
    );
    assert_eq!(store.value("secret/mcp/slack#token?version=1"), "old");
    bao.post("secret/destroy/mcp/slack", &json!({"versions": [1]}));
    store.fails(
        "secret/mcp/slack#token?version=1",
        "secret-deleted",
        "version 1 was destroyed",
    );
    bao.post(
        "secret/metadata/mcp/short",
        &json!({"delete_version_after": "1h"}),
    );
    bao.put("mcp/short", &json!({"token": VALUE}));
    let value = store.read(&["secret/mcp/short"]).remove(0).unwrap();
    let left = value
        .expires
        .unwrap()
        .duration_since(jiff::Timestamp::now());
    assert!((3500..=3600).contains(&left.as_secs()), "{left:?}");
}

#[test]
fn a_start_reads_each_path_once_with_two_requests() {
    let Some(bao) = Bao::start() else { return };
    bao.put(
        "mcp/a",
        &json!({"one": "value-one-1", "two": "value-two-2"}),
    );
    bao.put("mcp/b", &json!({"one": "value-three-3"}));
    bao.post(
        "sys/mounts/kv",
        &json!({"type": "kv", "options": {"version": "1"}}),
    );
    bao.post("kv/a", &json!({"one": "value-four-4"}));
    bao.policy(
        "mcp",
        &[("secret/data/mcp/*", "\"read\""), ("kv/*", "\"read\"")],
    );
    let (role, secret) = bao.approle(&json!({"token_policies": "mcp"}));
    let relay = Relay::start(&bao.url);
    let places = [
        "secret/mcp/a#one",
        "secret/mcp/a#two",
        "secret/mcp/a#one?version=1",
    ];
    let token = Opened::with_token(&relay.url(), ROOT);
    assert!(token.read(&places[..2]).iter().all(Result::is_ok));
    assert_eq!(
        relay.take(),
        [
            "GET /v1/sys/internal/ui/mounts/secret/mcp/a",
            "GET /v1/secret/data/mcp/a"
        ]
    );
    // The mount is known now.
    assert!(token.read(&places).iter().all(Result::is_ok));
    assert_eq!(relay.take().len(), 2);
    assert_eq!(token.value("secret/mcp/b"), "value-three-3");
    assert_eq!(relay.take(), ["GET /v1/secret/data/mcp/b"]);
    assert_eq!(token.value("kv/a"), "value-four-4");
    assert_eq!(
        relay.take(),
        ["GET /v1/sys/internal/ui/mounts/kv/a", "GET /v1/kv/a"]
    );

    let relay = Relay::start(&bao.url);
    let login = Opened::new(
        &format!(
            "address = \"{}\"\nauth = {{ method = \"approle\", role_id = \"{role}\", secret_id = \"secret:s\" }}",
            relay.url()
        ),
        &[("s", &secret)],
    );
    assert!(login.read(&places[..2]).iter().all(Result::is_ok));
    assert_eq!(
        relay.take(),
        ["POST /v1/auth/approle/login", "GET /v1/secret/data/mcp/a"]
    );
    assert_eq!(login.value("kv/a"), "value-four-4");
    assert_eq!(relay.take().len(), 4);
}

/// From the policy to the server's environment, and after a new version.
#[test]
fn a_server_gets_a_value_of_the_store() {
    let Some(bao) = Bao::start() else { return };
    let test = Test::new();
    test.hide(VALUE);
    bao.put("mcp/slack", &json!({"token": VALUE}));
    bao.policy("mcp", &[("secret/data/mcp/*", "\"read\"")]);
    let (role, secret) = bao.approle(&json!({"token_policies": "mcp"}));
    test.secret("vault/secret-id", &secret);
    let relay = Relay::start(&bao.url);
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let store = format!(
        "\n[stores.corp]\ntype = \"vault\"\naddress = \"{}\"\nauth = {{ method = \"approle\", role_id = \"{role}\", secret_id = \"secret:vault/secret-id\" }}\n",
        relay.url()
    );
    std::fs::write(&config, text + &store).unwrap();
    test.serve(
        "slack",
        &[],
        "[secrets.SLACK_TOKEN]\nfrom = \"corp:secret/mcp/slack#token\"\n",
    );
    relay.take();
    let mut run = test.run("slack");
    run.initialize();
    assert_eq!(run.peek("SLACK_TOKEN"), VALUE.as_bytes());
    let text = run.call("env", &json!({}));
    assert!(
        text.contains("SLACK_TOKEN=[secret corp:secret/mcp/slack#token"),
        "{text}"
    );
    assert_eq!(relay.take().len(), 2);
    run.finish();
    let uses: Vec<_> = test.audit();
    let injected = uses
        .iter()
        .find(|record| record["event"] == "inject")
        .unwrap();
    assert_eq!(injected["secret"]["name"], "corp:secret/mcp/slack#token");

    bao.ask("DELETE", "secret/metadata/mcp/slack", None);
    let ended = test.run("slack").refused();
    assert!(ended.stderr.contains("error[secret-not-found]"), "{ended}");
    assert!(
        ended
            .stderr
            .contains("read from `corp:secret/mcp/slack#token`"),
        "{ended}"
    );
}
