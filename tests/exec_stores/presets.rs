//! What programs are asked: as few runs as they allow, and nothing of the client.

use std::collections::BTreeSet;

use mcpwrap::testing::secret::Secret;
use mcpwrap::testing::store::StoreNetwork;
use serde_json::json;

use super::fake::FakeStore;
use crate::harness::{TOKEN, Test};

const ONE: &str = "382580ab-1368-4e85-bfa3-b02e01400c9f";
const TWO: &str = "00000000-1368-4e85-bfa3-b02e01400c9f";

/// Prints the template with a value for each reference.
const INJECT: &str = "sed 's#{{ op://[^}]*/\\([a-z]*\\) }}#value of \\1#g' \"$d/input\"";

#[test]
fn op_reads_several_values_at_once() {
    let test = Test::new();
    let store = FakeStore::new(&test, "op", "account = \"acme\"");
    store.act(INJECT);
    let found = store.texts(&["Work/GitHub/token", "op://Work/My Item/user", "Work/X#pin"]);
    let expected =
        ["value of token", "value of user", "value of pin"].map(|text| Ok(text.to_owned()));
    assert_eq!(found, expected);
    assert_eq!(store.asked(), ["inject --account acme"]);

    // One that is missing fails all: then each is asked for alone.
    store.act(
        "case \"$*\" in
        read*token) printf T;;
        *) echo \"[ERROR] \\\"X\\\" isn't an item\" >&2; exit 1;;
    esac",
    );
    let found = store.texts(&["Work/GitHub/token", "Work/X/user"]);
    assert_eq!(found, [Ok("T".to_owned()), Err("secret-not-found")]);
    assert_eq!(store.asked().len(), 3);
    // Nobody signed in is not asked again.
    store.answer(1, b"", "[ERROR] You are not currently signed in");
    assert_eq!(
        store.texts(&["Work/A/a", "Work/B/b"]),
        [Err("store-signed-out"), Err("store-signed-out")]
    );
    assert_eq!(store.asked().len(), 1);
    // A name with the signs of a template is read alone, as it is.
    store.act("printf V");
    assert_eq!(store.texts(&["Work/$HOME/a", "Work/B/b"]).len(), 2);
    assert_eq!(
        store.asked(),
        [
            "read --no-newline --account acme op://Work/$HOME/a",
            "read --no-newline --account acme op://Work/B/b"
        ]
    );
}

#[test]
fn op_asks_the_app_only_where_it_may() {
    let test = Test::new();
    let quiet = [
        "OP_BIOMETRIC_UNLOCK_ENABLED",
        "OP_LOAD_DESKTOP_APP_SETTINGS",
    ];
    let mut store = FakeStore::new(&test, "op", "account = \"acme\"");
    store.act("printf V");
    store.text("a/b/c").unwrap();
    for name in quiet {
        assert_eq!(store.environment()[name], "false");
    }
    store.definition.interactive = true;
    store.act("printf V");
    store.text("a/b/c").unwrap();
    for name in quiet {
        assert!(!store.environment().contains_key(name));
    }
    let refused = |settings: &str| {
        let store = FakeStore::new(&test, "op", settings);
        (store.kind.check)(&store.definition).unwrap_err()
    };
    assert!(refused("").contains("`account`"));
    let session = refused("account = \"a\"\nenv = { OP_SESSION_acme = \"secret:a\" }");
    assert!(session.contains("OP_SESSION"), "{session}");
    let token = refused("env = { OP_SERVICE_ACCOUNT_TOKEN = \"ops_hunter2\" }");
    assert!(
        token.contains("secret:NAME") && !token.contains("hunter2"),
        "{token}"
    );
}

#[test]
fn the_environment_is_that_of_the_definition() {
    let test = Test::new();
    test.hide(TOKEN);
    let settings =
        "env = { BWS_ACCESS_TOKEN = \"secret:bws/token\", BWS_SERVER_URL = \"https://x\" }";
    let store = FakeStore::new(&test, "bws", settings).secret("bws/token", TOKEN);
    let proxy = (
        "HTTPS_PROXY".to_owned(),
        Secret::new(b"http://p:1".to_vec()),
    );
    *store.network.borrow_mut() = StoreNetwork {
        variables: vec![proxy],
        ..StoreNetwork::default()
    };
    let value = json!({"id": ONE, "value": "V"}).to_string();
    store.answer(0, value.as_bytes(), "");
    store.text(ONE).unwrap();
    let environment = store.environment();
    assert_eq!(environment["BWS_ACCESS_TOKEN"], TOKEN);
    assert_eq!(environment["HTTPS_PROXY"], "http://p:1");
    assert_eq!(environment["HOME"], test.home.display().to_string());
    // What the shell adds is its own.
    let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: BTreeSet<_> = environment.keys().map(String::as_str).collect();
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| !shell.contains(name))
        .collect();
    assert_eq!(
        names,
        [
            "BWS_ACCESS_TOKEN",
            "BWS_SERVER_URL",
            "HOME",
            "HTTPS_PROXY",
            "LANG",
            "LOGNAME",
            "PATH",
            "USER"
        ]
    );
    assert!(!store.asked().concat().contains(TOKEN));
    std::fs::remove_file(store.dir.join("environment")).unwrap();
}

#[test]
fn bws_lists_for_several() {
    let test = Test::new();
    let settings = "project = \"p1\"\nenv = { BWS_ACCESS_TOKEN = \"secret:t\" }";
    let store = FakeStore::new(&test, "bws", settings).secret("t", "x");
    let list = json!([{"id": TWO, "value": "{\"a\":\"of two\"}"}, {"id": ONE, "value": "of one"}]);
    store.answer(0, list.to_string().as_bytes(), "");
    let missing = ONE.replace('3', "4");
    let found = store.texts(&[ONE, &format!("{TWO}#a"), &missing]);
    let expected = [
        Ok("of one".to_owned()),
        Ok("of two".to_owned()),
        Err("secret-not-found"),
    ];
    assert_eq!(found, expected);
    assert_eq!(store.asked(), ["--color no secret list p1 -o json"]);
}

#[test]
fn aws_asks_once_where_it_can() {
    let test = Test::new();
    let store = FakeStore::new(&test, "aws-sm", "region = \"eu-west-1\"\nprofile = \"dev\"");
    let answer = json!({
        "SecretValues": [
            {"ARN": "arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf", "Name": "a", "VersionId": "v1",
             "SecretString": "{\"user\":\"u\",\"port\":5432}"},
            {"ARN": "arn:b", "Name": "b", "SecretBinary": "AGI="},
        ],
        "Errors": [{"SecretId": "d", "ErrorCode": "AccessDeniedException", "Message": "no"}],
    });
    store.answer(0, answer.to_string().as_bytes(), "");
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:a";
    let found = store.texts(&[
        "a#user",
        "a#port",
        "b",
        "c",
        "d",
        &format!("{arn}#user"),
        "a#none",
    ]);
    let value = |text: &str| Ok(text.to_owned());
    assert_eq!(
        found,
        [
            value("u"),
            value("5432"),
            value("\0b"),
            Err("secret-not-found"),
            Err("store-denied"),
            value("u"),
            Err("secret-not-found")
        ]
    );
    assert_eq!(store.asked().len(), 1);
    let environment = store.environment();
    assert_eq!(
        (&*environment["AWS_REGION"], &*environment["AWS_PROFILE"]),
        ("eu-west-1", "dev")
    );
    assert_eq!(environment["AWS_MAX_ATTEMPTS"], "1");
    // A login that may read each value, but not several at once.
    store.act(
        "case \"$*\" in
        *batch*) echo 'An error occurred (AccessDeniedException) when calling' >&2; exit 254;;
        *) echo '{\"SecretString\":\"V\"}';;
    esac",
    );
    assert_eq!(store.texts(&["a", "b"]), [value("V"), value("V")]);

    let store = FakeStore::new(&test, "aws-ssm", "region = \"eu-west-1\"");
    let answer = json!({
        "Parameters": [{"Name": "/a", "Value": "one", "Version": 2},
                       {"Name": "/a", "Value": "old", "Version": 1, "Selector": ":1"}],
        "InvalidParameters": ["/b"],
    });
    store.answer(0, answer.to_string().as_bytes(), "");
    let found = store.texts(&["/a", "/b", "/a?version=1"]);
    assert_eq!(found, [value("one"), Err("secret-not-found"), value("old")]);
    assert_eq!(
        store.asked(),
        ["ssm get-parameters --with-decryption --output json --names /a /a:1 /b"]
    );
}

#[test]
fn times_and_versions() {
    let test = Test::new();
    let store = FakeStore::new(&test, "azure", "subscription = \"s\"");
    let answer = json!({"value": "V", "id": "https://corp.vault.azure.net/secrets/a/v9",
        "attributes": {"expires": "2027-03-01T00:00:00+00:00"}});
    store.answer(0, answer.to_string().as_bytes(), "");
    let found = store.get("corp/a?version=v9").unwrap();
    assert_eq!(found.version.as_deref(), Some("v9"));
    assert_eq!(found.expires.unwrap().to_string(), "2027-03-01T00:00:00Z");
    assert_eq!(
        store.asked(),
        ["keyvault secret show --vault-name corp --name a -o json --subscription s --version v9"]
    );
    let store = FakeStore::new(&test, "gcp", "project = \"own\"");
    store.answer(0, b"_-8=\n", "");
    let found = store.get("projects/other/secrets/a/versions/3").unwrap();
    assert_eq!(found.value, Secret::new(vec![0xff, 0xef]));
    assert_eq!(
        store.asked(),
        ["secrets versions access 3 --secret=a --project=other --format=get(payload.data)"]
    );
}

#[test]
fn doppler_and_keepassxc() {
    let test = Test::new();
    let store = FakeStore::new(&test, "doppler", "project = \"p\"\nconfig = \"c\"");
    let answer = json!({"A": {"computed": "a\n"}, "B": {"computed": null}});
    store.answer(0, answer.to_string().as_bytes(), "");
    let found = store.texts(&["A", "B", "C"]);
    assert_eq!(
        found,
        [
            Ok("a\n".to_owned()),
            Err("store-denied"),
            Err("secret-not-found")
        ]
    );
    assert_eq!(store.asked(), ["secrets get A B C --json -p p -c c"]);

    test.hide(TOKEN);
    let file = test.program_file("keepassxc/db.kdbx", "");
    let settings = format!("database = {file:?}\npassword = \"secret:db\"");
    let store = FakeStore::new(&test, "keepassxc", &settings).secret("db", TOKEN);
    store.act("echo V");
    assert_eq!(store.text("web/github#UserName"), Ok("V".to_owned()));
    assert_eq!(store.file("input"), format!("{TOKEN}\n"));
    assert_eq!(
        store.asked(),
        [format!("show -s -a UserName {} web/github", file.display())]
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(store.text("web/github"), Err("store-absent"));
}
