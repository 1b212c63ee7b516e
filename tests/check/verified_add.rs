//! The offer of `add`: the provider is asked after the grant and before the server is tested.

use super::provider::{HOST, alone, service};
use crate::harness::{TOKEN, Test};

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-oauth-scopes: gist\r\ncontent-length: 2\r\n\r\n{}";
const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
const CURSOR: &str = "{}\n";

fn machine() -> Test {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    std::fs::create_dir(test.home.join(".cursor")).unwrap();
    std::fs::write(test.home.join(".cursor/mcp.json"), CURSOR).unwrap();
    test
}

/// Adds the remote server of GitHub, which is not there, and answers the offer.
fn add(test: &Test, ask: &str) -> (i32, String) {
    let mut terminal = test.terminal(&["add", "github", "--remote", "--client", "cursor"]);
    terminal
        .expect("proceed? [y/n]")
        .enter("y")
        .expect("type `github` to confirm: ")
        .enter("github")
        .expect("granted: github")
        .expect("is the secret valid? its provider is asked over TLS:")
        .expect(&format!("github/token -> GET https://{HOST}/user"))
        .expect("ask now? [y/n]")
        .enter(ask);
    let (code, screen) = terminal.end();
    let config = std::fs::read_to_string(test.home.join(".cursor/mcp.json")).unwrap();
    assert_eq!(config, CURSOR, "{screen}");
    (code, screen.replace('\r', ""))
}

#[test]
fn a_valid_secret_is_said_before_the_test() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        let (code, screen) = add(&test, "y");
        // The server itself is not on this network.
        assert_eq!((code, seen.count()), (1, 1), "{screen}");
        let valid = screen.find("`github/token` is valid, scopes gist");
        assert!(valid.is_some(), "{screen}");
        assert!(valid < screen.find("testing server `github`"), "{screen}");
        let events = test.events();
        let at = |name: &str| events.iter().position(|event| event == name);
        assert!(at("grant") < at("release"), "{events:?}");
    });
}

#[test]
fn a_refused_secret_ends_it() {
    alone(|| {
        let test = machine();
        service(&test, REFUSED);
        let (code, screen) = add(&test, "y");
        assert_eq!(code, 2, "{screen}");
        for part in [
            "error[credentials-refused]: cannot add server `github`",
            "run `mcpwrap secret rotate github/token`",
            "then run `mcpwrap add github --client cursor` again to continue",
        ] {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        assert!(!screen.contains("testing server"), "{screen}");
    });
}

#[test]
fn without_consent_nothing_is_sent() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        let (code, screen) = add(&test, "n");
        assert_eq!((code, seen.count()), (1, 0), "{screen}");
        assert!(screen.contains("testing server `github`"), "{screen}");
        assert!(!test.events().contains(&"release".to_owned()));
    });
}
