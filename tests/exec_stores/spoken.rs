//! Programs that speak `mcpwrap-store-v1`.

use std::time::Duration;

use mcpwrap::testing::secret::Secret;
use mcpwrap::testing::store::{MintHandle, MintRequest};
use serde_json::Value;

use super::fake::FakeStore;
use crate::harness::Test;

const SETTINGS: &str = "args = [\"serve\"]\noutput = \"mcpwrap-store-v1\"";

fn store(test: &Test) -> FakeStore<'_> {
    FakeStore::new(test, "exec", SETTINGS)
}

#[test]
fn several_values_are_one_run() {
    let test = Test::new();
    let store = store(&test);
    store.answer(
        0,
        b"{\"v\":1,\"results\":[{\"id\":1,\"error\":{\"kind\":\"denied\",\"message\":\"ask ana\"}},\
          {\"id\":0,\"value\":\"V\"}]}\n",
        "",
    );
    let found = store.texts(&["-a/b#c", "d?version=2"]);
    assert_eq!(found, [Ok("V".to_owned()), Err("store-denied")]);
    assert_eq!(store.asked(), ["serve"]);
    let input = store.file("input");
    assert_eq!(input.lines().count(), 1);
    let request: Value = serde_json::from_str(&input).unwrap();
    assert_eq!(request["refs"][0]["path"], "-a/b");
    assert_eq!(request["refs"][1]["version"], "2");
    assert!(request["deadline_ms"].as_u64().unwrap() <= 30_000);
    // What it says about the failure is for `store check` only.
    let place = mcpwrap::testing::reference::StorePlace::new("a").unwrap();
    store.with(|source, deadline| {
        let found = source.get_many(&[place.clone(), place], deadline);
        let error = found[1].clone().unwrap_err();
        assert!(!error.to_string().contains("ask ana"));
        assert_eq!(source.diagnostics().as_deref(), Some("ask ana"));
    });
}

#[test]
fn failures_and_refusals() {
    let test = Test::new();
    let store = store(&test);
    let value = "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"V\"}]}";
    for (code, answer, expected) in [
        (
            0,
            "{\"v\":1,\"error\":{\"kind\":\"signed-out\"}}",
            "store-signed-out",
        ),
        (
            0,
            "{\"v\":1,\"error\":{\"kind\":\"locked\"}}",
            "store-locked",
        ),
        (
            0,
            "{\"v\":1,\"error\":{\"kind\":\"throttled\"}}",
            "store-throttled",
        ),
        (
            0,
            "{\"v\":1,\"error\":{\"kind\":\"unavailable\"}}",
            "store-unavailable",
        ),
        (0, "{\"v\":1,\"error\":{\"kind\":\"new\"}}", "store-failed"),
        (0, "{\"v\":2}", "store-answer-invalid"),
        (0, "", "store-answer-invalid"),
        (
            0,
            "{\"v\":1,\"results\":[{\"id\":0,\"value\":\"V\",\"lease\":\"l\"}]}",
            "reference-is-mint",
        ),
        (
            0,
            "{\"v\":1,\"results\":[{\"id\":0,\"error\":{\"kind\":\"not-found\"}}]}",
            "secret-not-found",
        ),
        (
            0,
            "{\"v\":1,\"results\":[{\"id\":0,\"error\":{\"kind\":\"ambiguous\"}}]}",
            "secret-ambiguous",
        ),
        (1, value, "store-failed"),
    ] {
        store.answer(code, answer.as_bytes(), "");
        assert_eq!(store.text("a"), Err(expected), "{answer}");
    }
    store.answer(0, &[value.as_bytes(), &vec![b' '; 5 << 20]].concat(), "");
    assert_eq!(store.text("a"), Err("store-answer-invalid"));
    store.act("sleep 600");
    let mut store = store;
    store.deadline = Duration::from_millis(200);
    assert_eq!(store.text("a"), Err("store-timeout"));
}

#[test]
fn credentials_are_made_extended_and_withdrawn() {
    let test = Test::new();
    let store = store(&test);
    store.act("case $(cat \"$d/input\") in
        *'\"op\":\"mint\"'*) echo '{\"v\":1,\"fields\":{\"user\":\"u\",\"password\":\"p\"},\"lease\":\"l1\",\"life\":60,\"extendable\":true}';;
        *'\"op\":\"extend\"'*l1*) echo '{\"v\":1,\"life\":120,\"extendable\":false}';;
        *'\"op\":\"extend\"'*) echo '{\"v\":1,\"error\":{\"kind\":\"not-extendable\"}}';;
        *'\"op\":\"revoke\"'*l1*) echo '{\"v\":1}';;
        *'\"op\":\"revoke\"'*) echo '{\"v\":1,\"error\":{\"kind\":\"not-found\"}}';;
        *'\"refs\":[]'*) echo '{\"v\":1,\"results\":[]}';;
    esac");
    store.with(|source, deadline| {
        let facts = source.check(deadline).unwrap();
        assert_eq!(facts.facts, [("protocol", "mcpwrap-store-v1".to_owned())]);
        let minter = source.minter().unwrap();
        let request = MintRequest {
            path: "role".to_owned(),
            life: Some(60),
        };
        let made = minter.mint(&request, deadline).unwrap();
        assert_eq!(made.fields["password"], Secret::new(b"p".to_vec()));
        assert_eq!(
            (made.life.seconds, made.life.is_extendable),
            (Some(60), true)
        );
        let handle = made.handle.unwrap();
        let life = minter.extend(&handle, deadline).unwrap().unwrap();
        assert_eq!((life.seconds, life.is_extendable), (Some(120), false));
        minter.revoke(&handle, deadline).unwrap();
        let other = MintHandle(Secret::new(b"l2".to_vec()));
        assert_eq!(minter.extend(&other, deadline).unwrap(), None);
        minter.revoke(&other, deadline).unwrap();
    });
    store.answer(0, b"{\"v\":1,\"error\":{\"kind\":\"mint-refused\"}}", "");
    store.with(|source, deadline| {
        let minter = source.minter().unwrap();
        let error = minter.mint(&MintRequest::default(), deadline).unwrap_err();
        assert_eq!(error.code.name(), "mint-refused");
    });
    // A program that prints values makes no credentials.
    let plain = FakeStore::new(&test, "exec", "args = [\"{path}\"]");
    plain.with(|source, _| assert!(source.minter().is_none()));
}

#[test]
fn a_credential_in_a_refused_answer_is_withdrawn() {
    let test = Test::new();
    let store = store(&test);
    let past = "\"expires\":\"2020-01-01T00:00:00Z\"";
    for (rest, revoked, expected) in [
        ("\"life\":-1}", "{\"v\":1}", "was withdrawn"),
        ("\"life\":\"x\"}", "{\"v\":1}", "was withdrawn"),
        (&format!("{past}}}"), "{\"v\":1}", "was withdrawn"),
        ("\"v\":1}\n{}", "{\"v\":1}", "was withdrawn"),
        (
            "\"error\":{\"kind\":\"denied\"}}",
            "{\"v\":1}",
            "was withdrawn",
        ),
        (
            "\"life\":-1}",
            "{\"v\":1,\"error\":{\"kind\":\"unavailable\"}}",
            "could not be withdrawn",
        ),
    ] {
        let made = format!("{{\"v\":1,\"fields\":{{\"a\":\"p\"}},\"lease\":\"lease-7\",{rest}");
        store.act(&format!(
            "cat \"$d/input\" >>\"$d/all\"; case $(cat \"$d/input\") in\n\
             *'\"op\":\"mint\"'*) printf '%s\\n' '{made}';;\n*) echo '{revoked}';;\nesac"
        ));
        let error = store.with(|source, deadline| {
            let minter = source.minter().unwrap();
            minter.mint(&MintRequest::default(), deadline).unwrap_err()
        });
        assert!(error.to_string().contains(expected), "{rest}: {error}");
        assert!(!error.to_string().contains("lease-7"), "{error}");
        let asked = store.file("all");
        let revoke = asked.lines().nth(1).unwrap_or_default();
        assert!(
            revoke.contains("\"op\":\"revoke\",\"lease\":\"lease-7\""),
            "{rest}: {asked}"
        );
        std::fs::remove_file(store.dir.join("all")).unwrap();
    }
}
