//! Logins: what is shown and asked, what the browser shows, what is stored, and how it is taken back.

use std::net::TcpListener;

use super::{Kind, Provider};
use crate::harness::Test;
use crate::messages::message;
use crate::remote::servers::free_port;

#[test]
fn a_login_is_shown_approved_and_taken_back() {
    let Some(at) = Provider::start(Kind::FastMcp, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let screen = at.log_in(&[]);
    for part in [
        "granted by http://127.0.0.1:",
        "client     mcpwrap, which registers itself there",
        "scopes     read",
        "redirect   http://127.0.0.1:*/callback",
        "logged in: s, by http://127.0.0.1:",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    let page = at.page();
    assert!(
        page.contains("The token allows: read") && page.contains("mcpwrap logout s"),
        "{page}"
    );
    let stored = at.stored();
    for field in ["access", "refresh"] {
        let value = stored[field].as_str().unwrap();
        assert!(value.len() > 16);
        // Neither in a file nor on the screen: the end of the test looks.
        at.test.hide(value);
        at.test.no_secret_in("the page", page.as_bytes());
        at.test.no_secret_in("the screen", screen.as_bytes());
    }
    let first = at.current();
    assert_eq!(first.generation, stored["generation"].as_u64().unwrap());

    is_listed(&at);

    // The same terms again: no question, the same registration, another token.
    let (code, screen) = at.terminal(&[]).end();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("[y/n]"), "{screen}");
    let second = at.current();
    assert!(second.generation > first.generation && second.digest != first.digest);
    assert_ne!(second.identity, first.identity, "it may be another user");
    assert_eq!(at.stored()["client"], stored["client"]);

    // Fresh: asked and registered again.
    at.log_in(&["--fresh"]);
    assert_ne!(at.stored()["client"]["id"], stored["client"]["id"]);

    let ended = at.test.ok(&["logout", "s"]);
    assert!(
        ended
            .text()
            .contains("revoked: the token of s at http://127.0.0.1:"),
        "{ended}"
    );
    assert!(
        ended
            .text()
            .contains("removed: the token of s from the store"),
        "{ended}"
    );
    let refused = at.probe(&["current", "s"]).finish();
    message(&at.test, "login-needed", &refused);
    at.test.ok(&["revoke", "s"]);
    let screen = at.log_in(&[]);
    let note = "its policy is revoked: server `s` does not start before you run `mcpwrap grant s`";
    assert!(screen.contains(note), "{screen}");
    at.test.ok(&["logout", "s"]);
    assert!(
        at.test
            .ok(&["logout", "s"])
            .stderr
            .contains("nobody is logged in")
    );
    let events = at.test.events();
    let logins = events.iter().filter(|event| *event == "login").count();
    assert_eq!(logins, 8, "{events:?}");
    assert_eq!(events.last().unwrap(), "logout");
}

/// Tokens are listed for what they are, and only `login` and `logout` change them.
fn is_listed(at: &Provider) {
    let listed = at.test.ok(&["secret", "list"]);
    assert!(
        listed.text().contains("token of http://127.0.0.1:"),
        "{listed}"
    );
    assert!(
        listed.text().contains("registration of http://127.0.0.1:"),
        "{listed}"
    );
    let listed = at.test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(listed[0]["oauth"], "token");
    let refused = at.test.feed(
        &["secret", "set", "oauth/s", "--from-stdin"],
        b"some-value-of-mine\n",
    );
    assert!(refused.stderr.contains("error[name-invalid]"), "{refused}");
}

#[test]
fn no_is_no() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let mut terminal = at.terminal(&[]);
    terminal.expect("go on? [y/n] ").enter("n");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(
        at.heard("/reg").is_empty(),
        "registered before the approval"
    );
    assert!(!at.test.root().join("state/oauth/logins").exists());
}

#[test]
fn an_agent_cannot_log_in() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let ended = at.test.below(&["login", "s"], &[("CLAUDECODE", "1")]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("agent-refused"), "{ended}");
}

#[test]
fn ctrl_d_in_place_of_an_address_ends_the_login() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let mut terminal = at.terminal(&["--no-browser"]);
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("then paste the address").enter("\u{4}");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("you ended the input"), "{screen}");
}

#[test]
fn without_a_browser_the_address_is_pasted() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let mut terminal = at.terminal(&["--no-browser"]);
    terminal.expect("go on? [y/n] ").enter("y");
    terminal.expect("then paste the address");
    let line = terminal
        .screen
        .lines()
        .find(|line| line.contains("/auth?"))
        .unwrap();
    let address = line.trim().to_owned();
    let redirect = address
        .split("redirect_uri=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let redirect = redirect.replace("%3A", ":").replace("%2F", "/");
    terminal.enter(&format!("{redirect}?code=x&state=wrong"));
    terminal.expect("its `state` is not that of this login");
    terminal.enter("https://evil.example/callback?code=x");
    terminal.expect("the address does not start with");
    // The browser of another machine cannot reach the listener; here it can, and answers as well.
    let program = at.test.programs().join("browser");
    let done = at.test.command(program).arg(&address).status().unwrap();
    assert!(done.success());
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(at.page().contains("You are logged in"), "{}", at.page());
}

/// A client that was registered with `localhost`: the browser may take either address of it.
#[test]
fn the_browser_returns_to_localhost() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    let port = free_port();
    let redirect = format!("http://localhost:{port}/back");
    at.policy(&format!("[oauth]\nredirect = \"{redirect}\"\n"));
    let Ok(other) = TcpListener::bind(("::1", port)) else {
        return crate::harness::skip("ipv6", "this machine has no `::1`");
    };
    let mut terminal = at.terminal(&[]);
    terminal.expect("go on? [y/n] ").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 2, "{screen}");
    let why = format!("cannot listen on [::1]:{port}: address already in use");
    assert!(screen.contains(&why), "{screen}");
    drop(other);
    let (code, screen) = at.terminal(&[]).end();
    assert_eq!(code, 0, "{screen}");
    let shown = format!("redirect   {redirect}");
    assert!(screen.contains(&shown), "{screen}");
    assert!(at.page().contains("You are logged in"), "{}", at.page());
    at.current();
}

#[test]
fn more_scopes_are_asked_again() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("[oauth]\n");
    let screen = at.log_in(&[]);
    assert!(
        screen.contains("scopes     read offline_access"),
        "{screen}"
    );
    let challenge = r#"Bearer error="insufficient_scope", scope="admin""#;
    let kept = at.probe(&["want", "s", challenge]).finish();
    assert_eq!(kept.text().trim(), "true", "{kept}");
    let screen = at.log_in(&[]);
    assert!(
        screen.contains("scopes     read admin offline_access"),
        "{screen}"
    );
    let scope = at.stored()["scope"].as_str().unwrap().to_owned();
    assert!(scope.contains("admin"), "{scope}");
    assert!(!at.index().contains("wanted"), "{}", at.index());
}

#[test]
fn a_server_without_oauth_needs_no_login() {
    let Some(at) = Provider::start(Kind::Oidc, 3600) else {
        return;
    };
    at.policy("");
    let (code, screen) = at.terminal(&[]).end();
    assert_eq!(code, 2, "{screen}");
    assert!(screen.contains("needs no login"), "{screen}");
}

#[test]
fn without_the_approved_proxy_nobody_is_asked() {
    let test = Test::new();
    test.init();
    test.set(
        "HTTPS_PROXY",
        "http://user:password-of-the-proxy@127.0.0.1:9",
    );
    test.ok(&["config", "network", "--yes"]);
    test.unset("HTTPS_PROXY");
    test.hide("password-of-the-proxy");
    test.ok(&["secret", "rm", "network/https-proxy", "--yes"]);
    let text = "version = 1\nurl = \"https://mcp.example.invalid/mcp\"\n[oauth]\n";
    test.write_policy("remote", text);
    test.ok(&["grant", "remote", "--yes"]);
    let ended = test.cli(&["login", "remote"]);
    assert!(ended.stderr.contains("error[secret-not-found]"), "{ended}");
}
