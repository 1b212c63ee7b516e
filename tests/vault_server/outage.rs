//! A server that is sealed, stopped, restarted, or spoken to in the wrong way.

use std::time::{Duration, Instant};

use serde_json::json;

use super::bao::{Bao, ROOT};
use super::{LIMIT, Opened, VALUE};

const PLACE: &str = "secret/mcp/slack#token";

#[test]
fn sealed_stopped_and_restarted() {
    let Some((mut bao, key)) = Bao::lasting() else {
        return;
    };
    bao.put("mcp/slack", &json!({ "token": VALUE }));
    let token = bao.token(&json!({"policies": ["root"]}));
    let store = Opened::with_token(&bao.url, &token);
    assert_eq!(store.value(PLACE), VALUE);
    bao.post("sys/seal", &json!({}));
    store.fails(PLACE, "store-unavailable", "is sealed");
    bao.unseal(&key);
    assert_eq!(store.value(PLACE), VALUE);
    bao.stop();
    let start = Instant::now();
    store.fails(PLACE, "store-unavailable", "nothing listens at `127.0.0.1:");
    // Two repetitions, after 250 and 500 ms.
    assert!(
        start.elapsed() >= Duration::from_millis(750),
        "{:?}",
        start.elapsed()
    );
    // A first failure of the whole store is that of all values.
    let errors = store.read(&[PLACE, "secret/mcp/b"]);
    let codes: Vec<_> = errors
        .into_iter()
        .map(|error| error.unwrap_err().code.name())
        .collect();
    assert_eq!(codes, ["store-unavailable"; 2]);
    bao.go_on();
    store.fails(PLACE, "store-unavailable", "is sealed");
    bao.unseal(&key);
    assert_eq!(store.value(PLACE), VALUE);
}

#[test]
fn tls_with_its_authority_and_without() {
    let Some(bao) = Bao::with_tls() else { return };
    bao.put("mcp/slack", &json!({ "token": VALUE }));
    let authority = bao.dir.path().join("vault-ca.pem").display().to_string();
    let of = |address: &str, ca: &str| {
        let auth = "auth = { method = \"token\", token = \"secret:t\" }";
        Opened::try_new(
            &format!("address = \"{address}\"\n{ca}{auth}"),
            &[("t", ROOT)],
        )
    };
    let ca = format!("ca_file = \"{authority}\"\n");
    assert_eq!(of(&bao.url, &ca).unwrap().value(PLACE), VALUE);
    let other = of(&bao.url, "").unwrap();
    other.fails(PLACE, "store-unavailable", "not signed by an authority");
    other.fails(PLACE, "store-unavailable", "into `ca_file`");
    let plain = bao.url.replace("https:", "http:");
    of(&plain, "")
        .unwrap()
        .fails(PLACE, "store-unavailable", "answers in TLS only");
    let error = of(&bao.url, "ca_file = \"/nonexistent/ca.pem\"\n")
        .err()
        .unwrap();
    assert_eq!(error.code.name(), "file-unusable", "{error}");
    assert!(error.text().contains("`/nonexistent/ca.pem`"), "{error}");
}

#[test]
fn https_to_a_server_without_tls() {
    let Some(bao) = Bao::start() else { return };
    let url = bao.url.replace("http:", "https:");
    let store = Opened::with_token(&url, ROOT);
    let start = Instant::now();
    store.fails(PLACE, "store-unavailable", "does not answer in TLS");
    assert!(start.elapsed() < LIMIT);
}
