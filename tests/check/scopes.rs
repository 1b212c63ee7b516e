//! Scopes, permissions and keys that allow more than a server needs, as far as a plain `check` sees them.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use serde_json::Value;

use super::machine::of;
use super::report;
use crate::harness::Test;

/// An index of logins: server, issuer, scopes.
fn logins(test: &Test, rows: &[(&str, &str, &str)]) {
    let rows = rows.iter().map(|(server, issuer, scope)| {
        format!(
            "[tokens.\"oauth/{server}\"]\nserver = \"{server}\"\nissuer = \"{issuer}\"\n\
             client_id = \"c1\"\nscope = \"{scope}\"\nobtained_at = 1700000000\n\
             generation = 1\nrenewable = true\n"
        )
    });
    let text: String = std::iter::once("generation = 1\n".to_owned())
        .chain(rows)
        .collect();
    let dir = test.root().join("state");
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(&dir).unwrap();
    let path = dir.join("oauth.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn checked(report: &Value, noun: &str) -> Value {
    let all = report["checks"].as_array().unwrap();
    let rule = all.iter().find(|one| one["id"] == "excess-permission");
    rule.unwrap()["checked"][noun].clone()
}

#[test]
fn far_reaching_scopes_of_a_login_are_named_with_what_they_allow() {
    let test = Test::new();
    let oauth = |url: &str| format!("version = 1\nurl = \"{url}\"\n[oauth]\n");
    test.write_policy("github", &oauth("https://api.githubcopilot.com/mcp/"));
    test.write_policy("drive", &oauth("https://drive.mcp.test/mcp"));
    test.write_policy("other", &oauth("https://other.mcp.test/mcp"));
    let drive = "https://www.googleapis.com/auth/drive";
    logins(
        &test,
        &[
            (
                "github",
                "https://github.com/login/oauth",
                "repo gist admin:org",
            ),
            (
                "drive",
                "https://accounts.google.com",
                &format!("openid {drive}"),
            ),
            // Nothing is known about this one, whatever its scopes are called.
            ("other", "https://as.other.test", "admin:org repo"),
        ],
    );
    let (found, ended) = report(&test, &["check"]);
    let whats: Vec<_> = of(&found, "excess-permission")
        .iter()
        .map(|one| (one["severity"].clone(), one["what"].clone()))
        .collect();
    let what = |text: String| (Value::from("medium"), Value::from(text));
    assert_eq!(
        whats,
        [
            what(format!(
                "the token of `drive` has far-reaching scopes: {drive} (see, change and delete all files in Drive)"
            )),
            what(
                "the token of `github` has far-reaching scopes: admin:org (manage organizations, their teams \
                 and their members)"
                    .to_owned()
            ),
        ],
        "{ended}"
    );
    // Two of three logins were judged.
    assert_eq!(checked(&found, "logins"), 2, "{ended}");
}

#[test]
fn a_login_of_which_nothing_is_known_is_not_counted_as_checked() {
    let test = Test::new();
    logins(&test, &[("other", "https://as.other.test", "admin")]);
    let (found, ended) = report(&test, &["check"]);
    assert!(of(&found, "excess-permission").is_empty(), "{ended}");
    assert_eq!(checked(&found, "logins"), Value::Null, "{ended}");
}

#[test]
fn permissions_of_a_minted_token_are_compared_with_what_the_server_needs() {
    let test = Test::new();
    let policy = |command: &str, permissions: &str| {
        format!(
            "version = 1\ncommand = {command}\n[secrets.GITHUB_PERSONAL_ACCESS_TOKEN]\nfrom = \"mint:gh\"\n\
             [mint.gh]\ntype = \"github-app\"\napp = \"Iv1.abc\"\ninstallation = \"acme\"\n\
             key = \"secret:github/app-key\"\nrepositories = [\"docs\"]\npermissions = {permissions}\n"
        )
    };
    let github = "[\"npx\", \"-y\", \"@modelcontextprotocol/server-github@2025.4.8\"]";
    let own = "[\"/opt/own-server\"]";
    let wide = "{ contents = \"write\", administration = \"write\", metadata = \"write\" }";
    test.write_policy("github", &policy(github, wide));
    test.write_policy(
        "narrow",
        &policy(github, "{ contents = \"write\", issues = \"read\" }"),
    );
    // What this server needs is not known, except that nothing needs the highest level.
    test.write_policy("own", &policy(own, "{ administration = \"write\" }"));
    let admin = "{ repository_projects = \"admin\" }";
    test.write_policy("projects", &policy(own, admin));
    let (found, ended) = report(&test, &["check"]);
    let found = of(&found, "excess-permission");
    let whats: Vec<_> = found
        .iter()
        .map(|one| format!("{} {}: {}", one["server"], one["severity"], one["what"]))
        .collect();
    let asks = "`mint.gh` asks for permissions that the server does not need:";
    assert_eq!(
        whats,
        [
            format!(
                "\"github\" \"medium\": \"{asks} administration: write (change the settings and the access \
                 of repositories, and delete them), metadata: write (read is enough)\""
            ),
            format!(
                "\"projects\" \"medium\": \"{asks} repository_projects: admin (the highest level)\""
            ),
        ],
        "{ended}"
    );
}
