//! Short-lived users of a database, made by OpenBao: extended, replaced and withdrawn.

use std::time::Instant;

use mcpwrap::testing::error::{Error, Result};
use mcpwrap::testing::store::{MintHandle, MintLife, MintRequest, Minted, Minter};
use serde_json::{Value, json};

use super::bao::{Bao, ROOT};
use super::postgres::Postgres;
use super::relay::Relay;
use super::{LIMIT, Opened, VALUE};
use crate::harness::{Test, until};

const ROLE: &str = "database/creds/ro";

impl Opened {
    fn minter(&self) -> &dyn Minter {
        self.source.minter().unwrap()
    }

    fn mint(&self, path: &str) -> Result<Minted> {
        let request = MintRequest {
            path: path.to_owned(),
            life: None,
        };
        self.minter().mint(&request, Instant::now() + LIMIT)
    }

    fn extend(&self, handle: &MintHandle) -> Result<Option<MintLife>> {
        self.minter().extend(handle, Instant::now() + LIMIT)
    }

    fn revoke(&self, handle: &MintHandle) -> Result<()> {
        self.minter().revoke(handle, Instant::now() + LIMIT)
    }
}

struct Scene {
    bao: Bao,
    db: Postgres,
}

impl Scene {
    /// Users live for `life`, and with renewals for `most` (seconds).
    fn start(life: u32, most: u32) -> Option<Self> {
        let (bao, db) = (Bao::start()?, Postgres::start()?);
        db.connect(&bao, life, most);
        bao.policy("db", &[(ROLE, "\"read\"")]);
        Some(Self { bao, db })
    }

    /// Signs in with AppRole.
    fn login(&self, role: &Value) -> Opened {
        let (id, secret) = self.bao.approle(role);
        let auth = format!("method = \"approle\", role_id = \"{id}\", secret_id = \"secret:s\"");
        let settings = format!("address = \"{}\"\nauth = {{ {auth} }}", self.bao.url);
        Opened::new(&settings, &[("s", &secret)])
    }

    fn until_users(&self, expected: usize) {
        until("the users that are left", || self.db.users() == expected);
    }

    /// Whether the user of a credential can log in.
    fn works(&self, minted: &Minted) -> bool {
        let field = |name: &str| String::from_utf8(minted.fields[name].expose().to_vec()).unwrap();
        let (user, password) = (field("username"), field("password"));
        let is_known = "select count(*) from pg_user where usename = current_user";
        assert_ne!(password, user);
        self.db.query(&user, &password, is_known).as_deref() == Some("1")
    }

    fn has_lease(&self, minted: &Minted) -> bool {
        let handle: Value =
            serde_json::from_slice(minted.handle.as_ref().unwrap().0.expose()).unwrap();
        let body = json!({"lease_id": handle["lease_id"]});
        self.bao.ask("PUT", "sys/leases/lookup", Some(&body)).0 == 200
    }
}

#[track_caller]
fn handle(minted: &Minted) -> &MintHandle {
    minted.handle.as_ref().unwrap()
}

#[track_caller]
fn code(error: &Error) -> &'static str {
    assert_eq!(error.store.as_deref(), Some("corp"), "{error}");
    error.code.name()
}

#[test]
fn extended_until_it_cannot_be_then_replaced_and_withdrawn() {
    let Some(scene) = Scene::start(3, 7) else {
        return;
    };
    let store = scene.login(&json!({"token_policies": "db", "token_ttl": "1h"}));
    let first = store.mint(ROLE).unwrap();
    assert!(scene.works(&first) && scene.has_lease(&first));
    assert_eq!(
        first.life,
        MintLife {
            seconds: Some(3),
            is_extendable: true
        }
    );
    assert_eq!(first.granted[0], ("role".to_owned(), ROLE.to_owned()));
    assert!(!format!("{first:?}").contains("v-approle"), "{first:?}");
    let start = Instant::now();
    let mut times = 0;
    until("it can no longer be extended", || {
        match store.extend(handle(&first)).unwrap() {
            Some(life) => {
                assert_eq!(life.seconds, Some(3));
                times += 1;
                false
            }
            None => true,
        }
    });
    // Longer than its first life, and it still works.
    assert!(
        times > 0 && start.elapsed().as_secs() >= 3,
        "{times} {:?}",
        start.elapsed()
    );
    assert!(scene.works(&first));
    // From now on they live longer than the test waits.
    scene.db.connect(&scene.bao, 600, 600);
    let second = store.mint(ROLE).unwrap();
    assert_ne!(first.fields, second.fields);
    store.revoke(handle(&first)).unwrap();
    until("the first lease is gone", || !scene.has_lease(&first));
    assert!(scene.has_lease(&second) && scene.works(&second));
    store.revoke(handle(&first)).unwrap();
    assert_eq!(store.extend(handle(&first)).unwrap(), None);
    store.revoke(handle(&second)).unwrap();
    scene.until_users(0);
    // The server drops the user first, then its entry of the lease.
    until("the second lease is gone", || !scene.has_lease(&second));
}

#[test]
fn the_life_is_that_of_what_ends_first() {
    let Some(scene) = Scene::start(30, 60) else {
        return;
    };
    let store = scene.login(&json!({"token_policies": "db", "token_ttl": "20s"}));
    let minted = store.mint(ROLE).unwrap();
    let seconds = minted.life.seconds.unwrap();
    assert!((18..20).contains(&seconds), "{seconds}");
    let longer = store.extend(handle(&minted)).unwrap().unwrap();
    assert!((18..=20).contains(&longer.seconds.unwrap()), "{longer:?}");
    store.revoke(handle(&minted)).unwrap();
    // A token that does not live longer than at first, and one that nobody can renew.
    let store =
        scene.login(&json!({"token_policies": "db", "token_ttl": "20s", "token_max_ttl": "20s"}));
    let minted = store.mint(ROLE).unwrap();
    until(
        "the token is shorter than the credential's first life",
        || store.extend(handle(&minted)).unwrap().is_none(),
    );
    store.revoke(handle(&minted)).unwrap();
    let store =
        scene.login(&json!({"token_policies": "db", "token_type": "batch", "token_ttl": "20s"}));
    let minted = store.mint(ROLE).unwrap();
    assert!(!minted.life.is_extendable);
    assert_eq!(store.extend(handle(&minted)).unwrap(), None);
    scene.until_users(1);
    // It cannot end itself, nor its leases.
    assert_eq!(
        code(&store.revoke(handle(&minted)).unwrap_err()),
        "store-denied"
    );
}

#[test]
fn below_a_token_of_the_user() {
    let Some(scene) = Scene::start(600, 900) else {
        return;
    };
    let bao = &scene.bao;
    let root = Opened::with_token(&bao.url, ROOT);
    let (one, two) = (root.mint(ROLE).unwrap(), root.mint(ROLE).unwrap());
    assert_eq!(one.life.seconds, Some(600));
    scene.until_users(2);
    // Each has a token of its own.
    root.revoke(handle(&one)).unwrap();
    scene.until_users(1);
    assert!(root.extend(handle(&two)).unwrap().is_some());
    root.revoke(handle(&two)).unwrap();
    scene.until_users(0);
    assert!(!String::from_utf8_lossy(handle(&two).0.expose()).contains(ROOT));

    // One that may not make tokens: the lease is below itself, and it may not revoke.
    let token = bao.token(&json!({"policies": ["db"], "ttl": "25s"}));
    let store = Opened::with_token(&bao.url, &token);
    let minted = store.mint(ROLE).unwrap();
    let seconds = minted.life.seconds.unwrap();
    assert!((22..=25).contains(&seconds), "{seconds}");
    assert!(store.extend(handle(&minted)).is_ok());
    let error = store.revoke(handle(&minted)).unwrap_err();
    assert_eq!(code(&error), "store-denied", "{error}");
    bao.policy(
        "db",
        &[(ROLE, "\"read\""), ("sys/leases/revoke", "\"update\"")],
    );
    store.revoke(handle(&minted)).unwrap();
    scene.until_users(0);
    store.revoke(handle(&minted)).unwrap();
    bao.post("auth/token/revoke", &json!({ "token": token }));
    assert_eq!(code(&store.mint(ROLE).unwrap_err()), "store-signed-out");
    assert_eq!(
        code(&store.revoke(handle(&minted)).unwrap_err()),
        "store-signed-out"
    );
}

#[test]
fn what_is_no_role_and_a_role_that_is_read() {
    let Some(scene) = Scene::start(60, 60) else {
        return;
    };
    let (bao, store) = (&scene.bao, scene.login(&json!({"token_policies": "db"})));
    bao.put("mcp/slack", &json!({ "token": VALUE }));
    bao.post(
        "sys/mounts/kv",
        &json!({"type": "kv", "options": {"version": "1"}}),
    );
    bao.post("kv/a", &json!({ "token": VALUE }));
    let root = Opened::with_token(&bao.url, ROOT);
    for (path, expected, part) in [
        ("kv/a", "mint-refused", "keeps a value"),
        ("database/creds/none", "mint-refused", "the server refused"),
        ("database/none/ro", "mint-refused", "does not exist"),
        (
            "auth/token/create",
            "reference-invalid",
            "no secrets engine",
        ),
        (
            "database/creds/ro#password",
            "reference-invalid",
            "no `#FIELD`",
        ),
        ("database/../sys/x", "reference-invalid", "`..`"),
    ] {
        let error = root.mint(path).unwrap_err();
        assert_eq!(error.code.name(), expected, "{path}: {error}");
        assert!(error.text().contains(part), "{path}: {error}");
    }
    assert_eq!(
        code(&store.mint("database/creds/rw").unwrap_err()),
        "store-denied"
    );
    // The tokens of these attempts ended with them.
    let accessors = bao.ask("GET", "auth/token/accessors?list=true", None).1;
    assert_eq!(
        accessors["data"]["keys"].as_array().unwrap().len(),
        1,
        "{accessors}"
    );
    // As a reference it would make a user at each read.
    for store in [&store, &root] {
        store.fails(
            "database/creds/ro#password",
            "reference-is-mint",
            "was withdrawn",
        );
        store.fails(
            "database/creds/ro#password",
            "reference-is-mint",
            "`mint:NAME#FIELD`",
        );
        scene.until_users(0);
    }
}

/// A policy with a user of the database.
fn policy(min_life: &str) -> String {
    format!(
        "[secrets.PGUSER]\nfrom = \"mint:db#username\"\n[secrets.PGPASSWORD]\nfrom = \"mint:db#password\"\n\
         [mint.db]\ntype = \"vault\"\nstore = \"corp\"\npath = \"{ROLE}\"\nmin_life = \"{min_life}\"\n"
    )
}

/// A server `db` whose users come through a relay.
fn serve(test: &Test, bao: &Bao, min_life: &str) -> Relay {
    let relay = Relay::start(&bao.url);
    let (id, secret) = bao.approle(&json!({"token_policies": "db", "token_ttl": "1h"}));
    test.secret("vault/secret-id", &secret);
    let config = test.root().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let store = format!(
        "\n[stores.corp]\ntype = \"vault\"\naddress = \"{}\"\nauth = {{ method = \"approle\", role_id = \"{id}\", secret_id = \"secret:vault/secret-id\" }}\n",
        relay.url()
    );
    std::fs::write(&config, text + &store).unwrap();
    test.serve("db", &[], &policy(min_life));
    relay.take();
    relay
}

#[test]
fn a_session_outlives_its_users() {
    let Some(scene) = Scene::start(3, 6) else {
        return;
    };
    let test = Test::new();
    let relay = serve(&test, &scene.bao, "2s");
    let mut run = test.run("db");
    run.initialize();
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut calls = 0;
    until("three users were there", || {
        let text = |name: &str, run: &mut crate::harness::Run<'_>| {
            String::from_utf8(run.peek(name)).unwrap()
        };
        let user = text("PGUSER", &mut run);
        let password = text("PGPASSWORD", &mut run);
        calls += 2;
        if seen.last().is_none_or(|(known, _)| *known != user) {
            test.hide(&password);
            seen.push((user, password));
        }
        seen.len() == 3
    });
    let (user, password) = seen.last().unwrap();
    assert!(scene.db.query(user, password, "select 1").is_some());
    assert!(calls > 6, "{calls}");
    run.finish();
    scene.until_users(0);
    // Not by their end: each was withdrawn.
    let asked = relay.take();
    let count = |end: &str| asked.iter().filter(|line| line.ends_with(end)).count();
    assert!(count("/approle/login") >= 3, "{asked:?}");
    assert_eq!(
        count("/token/revoke-self"),
        count("/approle/login"),
        "{asked:?}"
    );
    assert!(count("/leases/renew") >= 1, "{asked:?}");
    let made = test
        .audit()
        .iter()
        .filter(|record| record["event"] == "mint")
        .count();
    assert!(made >= 3, "{made}");
}

#[test]
fn a_session_survives_a_server_that_is_sealed_and_restarted() {
    let (Some((mut bao, key)), Some(db)) = (Bao::lasting(), Postgres::start()) else {
        return;
    };
    db.connect(&bao, 9, 18);
    bao.policy("db", &[(ROLE, "\"read\"")]);
    let test = Test::new();
    let relay = serve(&test, &bao, "2s");
    let mut run = test.run("db");
    run.initialize();
    let first = run.peek("PGUSER");
    test.hide(run.peek("PGPASSWORD"));
    relay.take();
    bao.post("sys/seal", &json!({}));
    let mut calls = 0;
    let mut call_until = |what: &str, holds: &mut dyn FnMut(&[u8]) -> bool| {
        until(what, || {
            calls += 10;
            (0..9).for_each(|_| drop(run.peek("PGPASSWORD")));
            holds(&run.peek("PGUSER"))
        });
    };
    call_until("an attempt to extend while it is sealed", &mut |_| {
        !relay.take().is_empty()
    });
    bao.stop();
    bao.go_on();
    bao.unseal(&key);
    call_until("a lease is extended", &mut |_| {
        relay
            .take()
            .iter()
            .any(|line| line.ends_with("/leases/renew"))
    });
    call_until("another user", &mut |user| user != first);
    test.hide(run.peek("PGPASSWORD"));
    assert!(calls > 1000, "{calls}");
    run.finish();
    until("no users are left", || db.users() == 0);
}
