//! `--verify` against a test service, over real TLS: what is sent, and to whom.

use std::path::PathBuf;
use std::process::Command;

use super::provider::{AUTHORITIES, Authority, HOST, alone, listen, replace, service};
use crate::harness::{TOKEN, Test, skip, slot};
use crate::messages::message;

const COMMAND: &[&str] = &["npx", "-y", "@modelcontextprotocol/server-github@2025.4.8"];
const VARIABLE: &str = "GITHUB_PERSONAL_ACCESS_TOKEN";

/// A machine with one granted server of a known service.
fn machine() -> Test {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    test.policy("github", COMMAND, &slot(VARIABLE, "github/token"));
    test
}

/// Answers the question, and returns the report.
fn verify(test: &Test, answer: &str) -> String {
    let mut terminal = test.terminal(&["check", "--verify", "--no-limit"]);
    terminal
        .expect(&format!("github: github/token -> GET https://{HOST}/user"))
        .expect("type `github` to confirm:")
        .enter(answer);
    terminal.end().1
}

fn releases(test: &Test) -> Vec<serde_json::Value> {
    let mut records = test.audit();
    records.retain(|record| record["event"] == "release");
    records
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-oauth-scopes: repo, admin:org\r\ngithub-authentication-token-expiration: 2020-02-29 10:00:00 UTC\r\ncontent-length: 2\r\n\r\n{}";

#[test]
fn a_service_is_asked_after_confirmation_and_its_answer_is_reported() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        let screen = verify(&test, "github");
        let requests = seen.requests.lock().unwrap();
        let [request] = requests.as_slice() else {
            panic!("{} requests: {screen}", requests.len())
        };
        assert!(request.starts_with("GET /user HTTP/1.1\r\n"));
        let header = format!("authorization: bearer {}", TOKEN.to_lowercase());
        assert!(request.to_lowercase().contains(&header));
        assert!(
            screen.contains(
                "has scopes that the server does not need: admin:org (manage organizations, their teams and their members)"
            ),
            "{screen}"
        );
        assert!(
            screen.contains("says `github/token` expired on 2020-02-29"),
            "{screen}"
        );
    });
}

/// The value is not sent anywhere for this: its prefix tells.
#[test]
fn a_key_of_a_kind_with_full_access_is_named() {
    alone(|| {
        let test = Test::new();
        let classic = "ghp_hB3xKw8sVd1mPf6yRj4nTc2g7q9Z0aLuE5oX";
        test.secret("github/token", classic);
        test.policy("github", COMMAND, &slot(VARIABLE, "github/token"));
        let seen = service(&test, GOOD);
        let kind =
            "`github/token` is a classic token, which reaches all repositories that you can use";
        let screen = verify(&test, "no");
        assert!(screen.contains(kind), "{screen}");
        assert!(screen.contains("create a fine-grained token"), "{screen}");
        assert_eq!(seen.count(), 0);
        let plain = test.cli(&["check", "--no-limit"]);
        assert!(!plain.text().contains(kind), "{plain}");
        test.secret("github/token", "github_pat_hB3xKw8sVd1mPf6yRj4nTc2g7q9Z");
        let screen = verify(&test, "no");
        assert!(!screen.contains("fine-grained"), "{screen}");
    });
}

const UNTIL_2036: &str = "HTTP/1.1 200 OK\r\nx-oauth-scopes: repo\r\ngithub-authentication-token-expiration: 2036-01-31 10:00:00 UTC\r\ncontent-length: 2\r\n\r\n{}";

fn end_of_token(test: &Test) -> serde_json::Value {
    let list = test.ok(&["secret", "list", "--json"]).json();
    list[0]["expires"].clone()
}

/// The date is in the store and in the index, so the next command knows it without asking again.
#[test]
fn an_end_that_the_provider_tells_is_kept() {
    alone(|| {
        let test = machine();
        service(&test, UNTIL_2036);
        assert!(end_of_token(&test).is_null());
        let screen = verify(&test, "github");
        let kept = "`github/token` expires on 2036-01-31T10:00:00Z: stored with it";
        assert!(screen.contains(kept), "{screen}");
        assert_eq!(end_of_token(&test), "2036-01-31T10:00:00Z");
        let record = test.audit();
        let record = record.iter().rfind(|one| one["event"] == "secret-set");
        assert_eq!(record.unwrap()["reason"], "expiry");
        // A second time, there is nothing new.
        assert!(!verify(&test, "github").contains("stored with it"));
        // The user's own earlier date stays, and a later one does not.
        for (own, left) in [
            ("2035-06-30", "2035-06-30"),
            ("2037-06-30", "2036-01-31T10:00:00Z"),
        ] {
            let line = format!("{TOKEN}\n");
            let set = ["secret", "set", "github/token", "--from-stdin"];
            let ended = test.feed(&[&set[..], &["--expires", own]].concat(), line.as_bytes());
            assert_eq!(ended.code, 0, "{ended}");
            verify(&test, "github");
            assert_eq!(end_of_token(&test), left, "{own}");
        }
    });
}

#[test]
fn a_release_is_recorded_before_it_happens() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        verify(&test, "github");
        let log = seen.logs.lock().unwrap()[0].clone();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "release");
        assert_eq!(last["server"], "github");
        assert_eq!(last["secret"]["name"], "github/token");
        assert_eq!(last["secret"]["variable"], VARIABLE);
        assert_eq!(last["detail"]["host"], HOST);
        assert!(last["mac"].is_string() && last["policy"].is_string());
        let answer = test
            .ok(&["log", "who-has", "github/token", "--json"])
            .json();
        assert_eq!(answer["released"][0]["to"], HOST);
    });
}

#[test]
fn without_a_record_nothing_is_sent() {
    use std::os::unix::fs::PermissionsExt as _;
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        let log = std::fs::read_dir(test.root().join("state/audit")).unwrap();
        let log = log
            .map(|file| file.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "jsonl"))
            .unwrap();
        std::fs::set_permissions(&log, mode(0o666)).unwrap();
        let screen = verify(&test, "github");
        assert!(screen.contains("error[audit-unwritable]"), "{screen}");
        assert_eq!(seen.count(), 0);
        std::fs::set_permissions(&log, mode(0o600)).unwrap();
    });
}

/// A policy that nobody approved names the secret of another server, and the caller has a proxy, CA
/// certificates and a resolver of its own.
#[test]
fn a_policy_without_a_grant_and_the_callers_network_get_nothing() {
    alone(|| {
        let test = machine();
        test.secret("db/password", "pw_Qm4vLr9xTb2nKe7sWj3h");
        test.write_policy(
            "evil",
            &crate::harness::policy_text(COMMAND, &slot(VARIABLE, "db/password")),
        );
        let seen = service(&test, GOOD);
        let attacker = Authority::new();
        let pem = test.dir.join("attacker.pem");
        std::fs::write(&pem, &attacker.pem).unwrap();
        let (proxy, stolen) = listen(&test, "127.0.0.1:0", attacker.config, GOOD);
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            test.set(name, format!("http://{proxy}"));
        }
        test.set("SSL_CERT_FILE", &pem);
        let aliases = test.dir.join("aliases");
        std::fs::write(&aliases, format!("{HOST} localhost\n")).unwrap();
        test.set("HOSTALIASES", &aliases);
        let screen = verify(&test, "github");
        assert!(
            screen.contains(
                "`db/password` is not verified: the policy of server `evil` is not granted"
            ),
            "{screen}"
        );
        assert_eq!(stolen.count(), 0, "nothing goes through the caller's proxy");
        assert_eq!(seen.count(), 1, "{screen}");
        let names: Vec<_> = releases(&test)
            .iter()
            .map(|record| record["secret"]["name"].clone())
            .collect();
        assert_eq!(names, ["github/token"]);

        // The same if the policy was granted and edited afterwards, or its grant was written by hand.
        test.write_policy(
            "github",
            &crate::harness::policy_text(COMMAND, &slot(VARIABLE, "db/password")),
        );
        let grant = test.root().join("state/grants/evil.toml");
        std::fs::copy(test.root().join("state/grants/github.toml"), grant).unwrap();
        let mut terminal = test.terminal(&["check", "--verify"]);
        terminal.expect("nothing to verify");
        terminal.end();
        assert_eq!((stolen.count(), seen.count()), (0, 1));
    });
}

/// What a file has in plaintext has no grant.
#[test]
fn a_secret_in_a_file_is_not_sent() {
    let test = machine();
    let config = format!(
        r#"{{"mcpServers": {{"github": {{"command": "npx", "args": ["@modelcontextprotocol/server-github"], "env": {{"{VARIABLE}": "{TOKEN}x"}}}}}}}}"#
    );
    std::fs::write(test.dir.join("mcp.json"), config).unwrap();
    let ended = test.cli(&["check", "mcp.json", "--verify"]);
    assert!(ended.stderr.contains("nothing to verify"), "{ended}");
    assert!(releases(&test).is_empty());
}

#[test]
fn nothing_is_sent_without_the_name() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        for answer in ["n", "y", "yes", "verify"] {
            let screen = verify(&test, answer);
            assert!(screen.contains("nothing was sent"), "{screen}");
        }
        let ended = test.cli(&["check", "--verify"]);
        assert_eq!(ended.code, 2, "{ended}");
        message(&test, "no-terminal", &ended);
        assert_eq!(seen.count(), 0);
        assert!(releases(&test).is_empty());
    });
}

#[test]
fn an_agent_is_refused_on_a_terminal_too() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        test.set("CLAUDECODE", "1");
        let mut terminal = test.terminal(&["check", "--verify"]);
        terminal.expect("AI agent");
        assert_eq!(terminal.end().0, 2);
        assert_eq!(seen.count(), 0);
        assert!(
            releases(&test)
                .iter()
                .all(|one| one["outcome"] == "refused")
        );
    });
}

#[test]
fn a_refused_secret() {
    alone(|| {
        let test = machine();
        let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        let seen = service(&test, refused);
        let screen = verify(&test, "github");
        assert!(
            screen.contains(&format!("{HOST} rejects `github/token` (HTTP 401)")),
            "{screen}"
        );
        assert_eq!(seen.count(), 1);
    });
}

#[test]
fn a_redirect_is_not_followed() {
    alone(|| {
        let test = machine();
        let moved = "HTTP/1.1 302 Found\r\nlocation: https://api.github.com/evil\r\ncontent-length: 0\r\n\r\n";
        let seen = service(&test, moved);
        let screen = verify(&test, "github");
        assert!(screen.contains("HTTP status 302"), "{screen}");
        assert_eq!(seen.count(), 1);
    });
}

/// Someone on the network path, with a certificate that the machine does not trust.
#[test]
fn an_unknown_authority_gets_nothing() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        // The machine trusts the authority of another service instead, and only the caller the right one.
        let right = test.dir.join("right.pem");
        std::fs::copy(AUTHORITIES, &right).unwrap();
        test.set("SSL_CERT_FILE", right);
        replace(&test, AUTHORITIES, &Authority::new().pem);
        let screen = verify(&test, "github");
        assert!(
            screen.contains("did not say whether `github/token` is valid"),
            "{screen}"
        );
        assert_eq!(seen.count(), 0, "nothing arrived");

        // The user approves the authority.
        test.ok(&["config", "network", "--yes"]);
        test.unset("SSL_CERT_FILE");
        let screen = verify(&test, "github");
        assert_eq!(seen.count(), 1, "{screen}");
    });
}

/// A module for name lookups where `LD_LIBRARY_PATH` says: glibc loads it into static programs too.
#[test]
fn no_library_of_the_caller_is_loaded_to_look_up_a_name() {
    alone(|| {
        let test = machine();
        let seen = service(&test, GOOD);
        replace(&test, "/etc/nsswitch.conf", "hosts: mcpwraptest files\n");
        let Some(trace) = library(&test) else {
            return skip("cc", "no C compiler is installed");
        };
        // The library works: another program that looks up names loads it.
        let mut other = test.command("/usr/bin/getent");
        other.args(["ahosts", "nowhere.invalid"]).output().unwrap();
        assert!(
            std::fs::remove_file(&trace).is_ok(),
            "the library is not loaded at all"
        );
        let screen = verify(&test, "github");
        assert_eq!(seen.count(), 1, "{screen}");
        assert!(!trace.exists(), "the caller's library was loaded");
    });
}

/// Compiles the module, sets `LD_LIBRARY_PATH`, and returns the file that the module writes.
fn library(test: &Test) -> Option<PathBuf> {
    let trace = test.dir.join("trace");
    let source = test.dir.join("module.c");
    let text = format!(
        "#include <fcntl.h>\n__attribute__((constructor)) void f(void) {{\n  \
         open(\"{}\", O_CREAT | O_WRONLY, 0600);\n}}\n",
        trace.display()
    );
    std::fs::write(&source, text).unwrap();
    let library = test.dir.join("libnss_mcpwraptest.so.2");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    test.set("LD_LIBRARY_PATH", &test.dir);
    built.is_ok_and(|status| status.success()).then_some(trace)
}

#[test]
fn a_stored_secret_in_a_file_or_a_log_is_found() {
    let test = machine();
    // Outside the home, where the harness searches for secrets at the end of the test.
    let place = test.dir.join("elsewhere");
    std::fs::create_dir_all(place.join("logs")).unwrap();
    let config = format!(r#"{{"mcpServers": {{"x": {{"command": "s", "args": ["{TOKEN}"]}}}}}}"#);
    std::fs::write(place.join("mcp.json"), config).unwrap();
    std::fs::write(place.join("logs/mcp.log"), format!("a\nb {TOKEN}\n")).unwrap();
    let config = test.home.join(".config/Claude");
    std::fs::create_dir_all(&config).unwrap();
    std::os::unix::fs::symlink(place.join("logs"), config.join("logs")).unwrap();
    std::fs::create_dir_all(test.home.join(".cursor")).unwrap();
    let link = test.home.join(".cursor/mcp.json");
    std::os::unix::fs::symlink(place.join("mcp.json"), link).unwrap();
    let screen = verify(&test, "n");
    assert!(
        screen.contains("the stored secret `github/token` is also in this file"),
        "{screen}"
    );
    assert!(screen.contains("mcp.log:2:1"), "{screen}");
    assert!(
        screen.contains("a client log contains a secret"),
        "{screen}"
    );
}
