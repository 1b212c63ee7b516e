//! `grant --verify`: the provider is asked after the policy was read and before it is granted; and
//! `test --verify`, before the start.

use super::provider::{HOST, Seen, alone, service};
use crate::audit::faults::cut_the_last_record;
use crate::harness::{TOKEN, Terminal, Test, slot};

const COMMAND: &[&str] = &["npx", "-y", "@modelcontextprotocol/server-github@2025.4.8"];
const VARIABLE: &str = "GITHUB_PERSONAL_ACCESS_TOKEN";

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-oauth-scopes: repo, gist\r\ngithub-authentication-token-expiration: 2036-01-31 10:00:00 UTC\r\ncontent-length: 2\r\n\r\n{}";

/// A policy that nobody granted yet.
fn machine(rest: &str) -> Test {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let words: Vec<_> = COMMAND.iter().map(|word| format!("\"{word}\"")).collect();
    let head = format!("version = 1\ncommand = [{}]\n", words.join(", "));
    test.write_policy("github", &(head + rest));
    test
}

fn with_token() -> Test {
    machine(&slot(VARIABLE, "github/token"))
}

/// Answers whether the secret may be sent.
fn answered(mut terminal: Terminal<'_>, send: &str) -> (i32, String) {
    terminal
        .expect(&format!("github: github/token -> GET https://{HOST}/user"))
        .expect("type `github` to confirm: ")
        .enter(send);
    let (code, screen) = terminal.end();
    (code, screen.replace('\r', ""))
}

/// Reads the policy, agrees to it, and then answers whether the secret may be sent.
fn grant(test: &Test, send: &str) -> (i32, String) {
    let mut terminal = test.terminal(&["grant", "github", "--verify"]);
    terminal
        .expect("type `github` to confirm: ")
        .enter("github");
    answered(terminal, send)
}

fn is_granted(test: &Test) -> bool {
    let list = test.ok(&["policy", "list", "--json"]).json();
    list[0]["status"] == "granted"
}

/// The log as it was when the request arrived.
fn last_record(seen: &Seen) -> serde_json::Value {
    let log = seen.logs.lock().unwrap()[0].clone();
    serde_json::from_str(log.lines().last().unwrap()).unwrap()
}

#[test]
fn a_valid_secret_is_shown_with_its_end_and_its_scopes() {
    alone(|| {
        let test = with_token();
        let seen = service(&test, GOOD);
        let (code, screen) = grant(&test, "github");
        assert_eq!(code, 0, "{screen}");
        let line = "`github/token` is valid until 2036-01-31T10:00:00Z, scopes repo (read and write all your \
                    repositories, private ones too, and their settings), gist\n";
        assert!(screen.contains(line), "{screen}");
        assert!(is_granted(&test), "{screen}");
        // The secret left after its record, and before the grant.
        let last = last_record(&seen);
        assert_eq!(
            (&last["event"], &last["server"]),
            (&"release".into(), &"github".into())
        );
        assert_eq!(last["secret"]["name"], "github/token");
        assert!(!seen.logs.lock().unwrap()[0].contains("\"grant\""));
        let list = test.ok(&["secret", "list", "--json"]).json();
        assert_eq!(list[0]["expires"], "2036-01-31T10:00:00Z");
    });
}

#[test]
fn a_refused_secret_stops_the_grant() {
    alone(|| {
        let test = with_token();
        service(
            &test,
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
        );
        let (code, screen) = grant(&test, "github");
        assert_eq!(code, 2, "{screen}");
        let error = format!(
            "mcpwrap: error[credentials-refused]: cannot grant server `github`\n\
             mcpwrap: cause: `github/token` was refused by {HOST} (401)\n\
             mcpwrap: hint: create a new one with the provider, then run `mcpwrap secret rotate github/token`\n"
        );
        assert!(screen.ends_with(&error), "{screen}");
        assert!(!is_granted(&test), "{screen}");
        // The store knows of the release although the command failed.
        assert_eq!(test.events().last().map(String::as_str), Some("release"));
        cut_the_last_record(&test);
        let ended = test.cli(&["log", "verify"]);
        assert_eq!(ended.code, 1, "{ended}");
        assert!(ended.text().contains("truncated: record"), "{ended}");
    });
}

/// A provider that is down says nothing about the secret.
#[test]
fn an_answer_that_says_nothing_is_a_warning() {
    alone(|| {
        let test = with_token();
        service(
            &test,
            "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n",
        );
        let (code, screen) = grant(&test, "github");
        assert_eq!(code, 0, "{screen}");
        let warning =
            format!("{HOST} did not say whether `github/token` is valid: HTTP status 503");
        assert!(screen.contains(&warning), "{screen}");
        assert!(is_granted(&test), "{screen}");
    });
}

#[test]
fn without_consent_nothing_is_sent_and_nothing_is_granted() {
    alone(|| {
        let test = with_token();
        let seen = service(&test, GOOD);
        let (code, screen) = grant(&test, "no");
        assert_eq!(code, 1, "{screen}");
        assert_eq!(seen.count(), 0);
        assert!(!is_granted(&test));
        // A script has nobody to ask.
        let ended = test.cli(&["grant", "github", "--verify", "--yes"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.to_string().contains("cannot be used with"), "{ended}");
        assert_eq!(seen.count(), 0);
    });
}

#[test]
fn an_agent_may_not_verify_even_if_it_may_grant() {
    alone(|| {
        let test = with_token();
        let seen = service(&test, GOOD);
        test.ok(&["config", "agents", "--allow", "grant", "--yes"]);
        test.set("CLAUDECODE", "1");
        let ended = test.cli(&["grant", "github", "--verify"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(
            ended
                .to_string()
                .contains("`mcpwrap grant --verify` refused"),
            "{ended}"
        );
        assert!(!is_granted(&test));
        assert_eq!(seen.count(), 0);
        let last = test.audit().pop().unwrap();
        assert_eq!(
            (&last["event"], &last["outcome"]),
            (&"release".into(), &"refused".into())
        );
    });
}

#[test]
fn without_something_to_ask_it_says_so() {
    let reason = |test: &Test| {
        let mut terminal = test.terminal(&["grant", "github", "--verify"]);
        terminal
            .expect("type `github` to confirm: ")
            .enter("github");
        let (code, screen) = terminal.end();
        assert_eq!(code, 0, "{screen}");
        let (_, rest) = screen.split_once("nothing to verify: ").unwrap();
        rest.lines().next().unwrap().trim_end().to_owned()
    };
    let test = machine("");
    let other = format!(
        "the request that mcpwrap knows tests `{VARIABLE}`, which the policy does not have"
    );
    assert_eq!(reason(&test), other);
    let test = machine(&slot(VARIABLE, "github/other"));
    assert_eq!(reason(&test), "`github/other` is not in the store");
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"npx\", \"-y\", \"unknown-server@1.0.0\"]\n",
    );
    assert_eq!(reason(&test), "mcpwrap does not know this server");
}

/// Answers whether the secret may be sent before a test.
fn tested(test: &Test, send: &str) -> (i32, String) {
    let terminal = test.terminal(&["test", "github", "--verify", "--timeout", "1s"]);
    answered(terminal, send)
}

#[test]
fn a_test_verifies_before_the_start() {
    alone(|| {
        let test = with_token();
        let seen = service(&test, GOOD);
        // Nobody approved that this policy gets the secret.
        let ended = test.cli(&["test", "github", "--verify"]);
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains("error[not-granted]"), "{ended}");
        test.ok(&["grant", "github", "--yes"]);
        let (code, screen) = tested(&test, "no");
        assert_eq!((code, seen.count()), (1, 0), "{screen}");
        let (_, screen) = tested(&test, "github");
        let valid = screen.find("`github/token` is valid until 2036-01-31");
        assert!(valid < screen.find("total: "), "{screen}");
        assert!(valid.is_some(), "{screen}");
        assert_eq!(last_record(&seen)["event"], "release");
    });
}

#[test]
fn a_refused_secret_is_not_tested() {
    alone(|| {
        let test = with_token();
        let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        service(&test, refusal);
        test.ok(&["grant", "github", "--yes"]);
        let (code, screen) = tested(&test, "github");
        assert_eq!(code, 1, "{screen}");
        let error = "error[credentials-refused]: cannot test server `github`";
        assert!(screen.contains(error), "{screen}");
        assert!(!test.events().contains(&"launch".to_owned()), "{screen}");
    });
}
