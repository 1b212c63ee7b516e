//! Every way to sign in, and what a refusal means.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::bao::{Bao, ROOT};
use super::{Opened, VALUE};

const PLACE: &str = "secret/mcp/slack#token";

/// With a value that the policy `mcp` lets one read.
fn bao() -> Option<Bao> {
    let bao = Bao::start()?;
    bao.put("mcp/slack", &json!({ "token": VALUE }));
    bao.put("other/slack", &json!({ "token": VALUE }));
    bao.policy("mcp", &[("secret/data/mcp/*", "\"read\"")]);
    Some(bao)
}

fn opened(bao: &Bao, auth: &str, secrets: &[(&str, &str)]) -> Opened {
    let settings = format!("address = \"{}\"\nauth = {{ {auth} }}", bao.url);
    Opened::new(&settings, secrets)
}

#[test]
fn tokens_and_their_end() {
    let Some(bao) = bao() else { return };
    assert_eq!(Opened::with_token(&bao.url, ROOT).value(PLACE), VALUE);
    let token = bao.token(&json!({"policies": ["mcp"], "ttl": "1h"}));
    let store = Opened::with_token(&bao.url, &format!("{token}\n"));
    assert_eq!(store.value(PLACE), VALUE);
    store.fails(
        "secret/other/slack#token",
        "store-denied",
        "may not read `secret/other/slack`",
    );
    // After the mount is known, too.
    store.fails(
        "secret/other/slack#token",
        "store-denied",
        "capability `read`",
    );
    let facts = store
        .source
        .check(std::time::Instant::now() + super::LIMIT)
        .unwrap();
    let fact = |name| {
        &facts
            .facts
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    };
    assert_eq!(fact("policies"), "default, mcp");
    assert!(fact("token").ends_with(" s left"), "{facts:?}");
    bao.post("auth/token/revoke", &json!({ "token": token }));
    store.fails(
        PLACE,
        "store-signed-out",
        "`mcpwrap secret rotate vault/token`",
    );
    let unknown = Opened::with_token(&bao.url, "unknown-token");
    unknown.fails(PLACE, "store-signed-out", "expired, revoked or unknown");
    let error = unknown
        .source
        .check(std::time::Instant::now() + super::LIMIT);
    assert_eq!(error.unwrap_err().code.name(), "store-signed-out");
    Opened::with_token(&bao.url, "a\u{1}b").fails(PLACE, "store-signed-out", "characters");
    // Used up by the first read.
    let token = bao.token(&json!({"policies": ["mcp"], "num_uses": 1}));
    let store = Opened::with_token(&bao.url, &token);
    assert_eq!(store.value(PLACE), VALUE);
    store.fails(PLACE, "store-signed-out", "expired, revoked or unknown");
}

#[test]
fn the_token_file_is_private() {
    let Some(bao) = bao() else { return };
    let path = bao.dir.path().join("token");
    let shown = path.display().to_string();
    let auth = format!("method = \"token_file\", path = \"{shown}\"");
    let store = opened(&bao, &auth, &[]);
    store.fails(PLACE, "store-signed-out", "run `bao login`");
    std::fs::write(&path, ROOT).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode));
    mode(0o640).unwrap();
    store.fails(
        PLACE,
        "file-not-private",
        "readable by other users (mode 0640)",
    );
    mode(0o600).unwrap();
    assert_eq!(store.value(PLACE), VALUE);
    std::fs::write(&path, "dead-token\n").unwrap();
    store.fails(PLACE, "store-signed-out", "run `bao login`");
    std::fs::write(&path, "\n").unwrap();
    store.fails(PLACE, "store-signed-out", "run `bao login`");
}

#[test]
fn approle_and_userpass() {
    let Some(bao) = bao() else { return };
    let role = json!({"token_policies": "mcp", "secret_id_num_uses": 2});
    let (id, secret) = bao.approle(&role);
    let auth = format!("method = \"approle\", role_id = \"{id}\", secret_id = \"secret:s\"");
    let store = opened(&bao, &auth, &[("s", &secret)]);
    assert_eq!(store.value(PLACE), VALUE);
    assert_eq!(store.value(PLACE), VALUE);
    store.fails(PLACE, "store-signed-out", "wrong, expired or used up");
    let store = opened(&bao, &auth, &[("s", "wrong-secret-id")]);
    store.fails(PLACE, "store-signed-out", "wrong, expired or used up");
    // The role's ID as a secret, and a mount that does not exist.
    let (id, secret) = bao.approle(&json!({"token_policies": "mcp"}));
    let auth = "method = \"approle\", role_id = \"secret:r\", secret_id = \"secret:s\"";
    let secrets = [("r", &*id), ("s", &*secret)];
    let store = opened(&bao, auth, &secrets);
    assert_eq!(store.value(PLACE), VALUE);
    store.fails("secret/other/slack#token", "store-denied", "may not read");
    let store = opened(&bao, &format!("{auth}, mount = \"none\""), &secrets);
    store.fails(PLACE, "store-signed-out", "nothing is mounted");

    bao.post("sys/auth/people", &json!({"type": "userpass"}));
    let user = json!({"password": "pa ss\"wörd", "token_policies": "mcp"});
    bao.post("auth/people/users/ann", &user);
    let auth =
        "method = \"userpass\", username = \"ann\", password = \"secret:p\", mount = \"people\"";
    assert_eq!(
        opened(&bao, auth, &[("p", "pa ss\"wörd")]).value(PLACE),
        VALUE
    );
    let store = opened(&bao, auth, &[("p", "wrong-password")]);
    store.fails(PLACE, "store-signed-out", "wrong user name or password");
    let error = store.error(PLACE);
    assert!(!error.to_string().contains("wrong-password"));
}

/// A signed JWT with these claims.
fn jwt(key: &rcgen::KeyPair, claims: &Value) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let head = json!({"alg": "ES256", "typ": "JWT"}).to_string();
    let text = format!(
        "{}.{}",
        encode(head.as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let random = SystemRandom::new();
    let der = key.serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random).unwrap();
    let signature = key.sign(&random, text.as_bytes()).unwrap();
    format!("{text}.{}", encode(signature.as_ref()))
}

#[test]
fn jwt_of_a_file_or_secret() {
    let Some(bao) = bao() else { return };
    let key = rcgen::KeyPair::generate().unwrap();
    bao.post("sys/auth/jwt", &json!({"type": "jwt"}));
    bao.post(
        "auth/jwt/config",
        &json!({"jwt_validation_pubkeys": [key.public_key_pem()]}),
    );
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["mcp"], "token_policies": "mcp",
    });
    bao.post("auth/jwt/role/mcp", &role);
    let now = jiff::Timestamp::now().as_second();
    let claims = |audience: &str, end: i64| json!({"sub": "ann", "aud": audience, "iat": now - 600, "exp": end});
    let path = bao.dir.path().join("jwt");
    let of_file = format!(
        "method = \"jwt\", role = \"mcp\", jwt_file = \"{}\"",
        path.display()
    );
    let of_secret = "method = \"jwt\", role = \"mcp\", jwt = \"secret:j\"";
    let good = jwt(&key, &claims("mcp", now + 600));
    write_shared(&path, &good);
    assert_eq!(opened(&bao, &of_file, &[]).value(PLACE), VALUE);
    assert_eq!(opened(&bao, of_secret, &[("j", &good)]).value(PLACE), VALUE);
    let other = rcgen::KeyPair::generate().unwrap();
    for (token, part) in [
        (jwt(&key, &claims("mcp", now - 300)), "the JWT has expired"),
        (jwt(&key, &claims("web", now + 600)), "another audience"),
        (
            jwt(&other, &claims("mcp", now + 600)),
            "not valid for this role",
        ),
    ] {
        let store = opened(&bao, of_secret, &[("j", &token)]);
        store.fails(PLACE, "store-signed-out", part);
    }
    let auth = "method = \"jwt\", role = \"none\", jwt = \"secret:j\"";
    let store = opened(&bao, auth, &[("j", &good)]);
    store.fails(PLACE, "store-signed-out", "the role does not exist");
}

/// As container runtimes write tokens: a link to a file that anybody may read.
fn write_shared(path: &Path, text: &str) {
    let real = path.with_extension("real");
    std::fs::write(&real, text).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(real, path).unwrap();
}

#[test]
fn a_namespace_has_secrets_of_its_own() {
    let Some(bao) = bao() else { return };
    bao.post("sys/namespaces/team1", &json!({}));
    bao.post(
        "team1/sys/mounts/kv",
        &json!({"type": "kv", "options": {"version": "1"}}),
    );
    bao.post("team1/kv/mcp", &json!({ "token": VALUE }));
    let of = |namespace: &str| {
        let auth = "auth = { method = \"token\", token = \"secret:t\" }";
        let settings = format!(
            "address = \"{}\"\nnamespace = \"{namespace}\"\n{auth}",
            bao.url
        );
        Opened::new(&settings, &[("t", ROOT)])
    };
    assert_eq!(of("team1").value("kv/mcp"), VALUE);
    assert_eq!(of("team1/").value("kv/mcp#token"), VALUE);
    of("team2").fails("kv/mcp", "store-failed", "the namespace does not exist");
    of("team1").fails(PLACE, "store-denied", "nothing is mounted at `secret/`");
}
