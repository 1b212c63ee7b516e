//! Policies of remote servers in the commands that show, approve and use policies.

use crate::grant::unwrapped;
use crate::harness::golden::{self, stable};
use crate::harness::{TOKEN, Test};

const POLICY: &str = r#"version = 1
url = "https://mcp.example.com/mcp?team={secret.TEAM}"

[headers]
Authorization = "Bearer {secret.TOKEN}"

[secrets.TEAM]
from = "secret:issues/team"

[secrets.TOKEN]
from = "secret:issues/token"
"#;

fn case() -> Test {
    let test = Test::new();
    test.init();
    test.write_policy("issues", POLICY);
    test
}

#[test]
fn grant_shows_where_the_secrets_go() {
    let test = case();
    let mut terminal = test.terminal(&["grant", "issues"]);
    terminal.expect("to confirm: ").enter("no");
    let (code, shown) = terminal.end();
    assert_eq!(code, 1, "{shown}");
    let (question, _) = shown.split_once("type `").unwrap();
    let question = unwrapped(&stable(&test, &question.replace('\r', "")));
    golden::check("grant/remote.txt", &question);

    let granted = test.ok(&["grant", "issues", "--yes"]);
    let note = "server `issues` is at mcp.example.com";
    assert!(granted.stderr.contains(note), "{granted}");
    let shown = test.ok(&["policy", "show", "issues"]);
    assert!(shown.text().starts_with("issues: granted\n"), "{shown}");
    // No program and no search path of this machine is part of it.
    assert!(!shown.text().contains("  path "), "{shown}");
    test.write_policy("issues", &POLICY.replace("example.com", "example.org"));
    let shown = test.ok(&["policy", "list"]);
    assert!(shown.text().contains("changed"), "{shown}");
    test.ok(&["grant", "issues", "--yes"]);
    let none = test.ok(&["grant", "--changed"]);
    assert!(none.stderr.contains("no program changed"), "{none}");
    test.ok(&["revoke", "issues"]);
    let shown = test.ok(&["policy", "list", "--json"]).json();
    let row = &shown[0];
    assert_eq!(
        (row["status"].as_str(), row["url"].as_str()),
        (
            Some("revoked"),
            Some("https://mcp.example.org/mcp?team={secret.TEAM}")
        )
    );
}

#[test]
fn commands_for_local_servers_say_that_it_is_remote() {
    let test = case();
    test.ok(&["grant", "issues", "--yes"]);
    let refused = |args: &[&str], words: &[&str]| {
        let ended = test.cli(args);
        assert_ne!(ended.code, 0, "{ended}");
        for word in words {
            assert!(ended.stderr.contains(word), "{word}: {ended}");
        }
    };
    let pin = ["cannot pin server `issues`", "it runs at mcp.example.com"];
    refused(&["pin", "issues", "--yes"], &pin);
    let drill = ["no process to end", "run `mcpwrap drill` without a name"];
    refused(&["drill", "issues"], &drill);
    let command = [
        "error[command-not-allowed]",
        "a remote server takes no command",
        "issues.toml:2 names the server at mcp.example.com",
    ];
    refused(&["run", "issues", "--", "npx", "x"], &command);
    let outdated = test.ok(&["pin", "--outdated"]);
    assert!(outdated.stderr.contains("nothing to check"), "{outdated}");
}

#[test]
fn lint_and_check_read_what_is_sent() {
    let test = case();
    let lint = test.ok(&["policy", "lint", "issues"]);
    assert_eq!((lint.text(), lint.stderr.as_str()), ("issues: valid\n", ""));
    let header = POLICY.replace("{secret.TOKEN}", TOKEN);
    let (header, _) = header.split_once("\n[secrets.TOKEN]").unwrap();
    test.write_policy("issues", header);
    let lint = test.ok(&["policy", "lint", "issues"]);
    let warning = "the value of header `Authorization` looks like a secret";
    assert!(lint.stderr.contains(warning), "{lint}");
    let check = test.cli(&["check", "--json"]);
    let found = check.json()["findings"].clone();
    let found: Vec<_> = found.as_array().unwrap().iter().collect();
    let of = |rule: &str| found.iter().filter(|one| one["check"] == rule).count();
    assert_eq!(of("plaintext-secret"), 1, "{check}");
    assert_eq!(of("unpinned-server"), 0, "{check}");
    assert!(!check.text().contains(TOKEN), "{check}");

    let url = POLICY.replace("{secret.TEAM}&", "");
    let url = url.replace("team={secret.TEAM}", &format!("api_key={TOKEN}"));
    let url = url.replace("[secrets.TEAM]\nfrom = \"secret:issues/team\"\n", "");
    test.write_policy("issues", &url);
    let lint = test.ok(&["policy", "lint", "issues"]);
    let warning = "a part of `url` looks like a secret";
    assert!(lint.stderr.contains(warning), "{lint}");
}

#[test]
fn a_new_policy_for_a_remote_server() {
    let test = Test::new();
    let new = |name: &str, args: &[&str]| {
        let all = [&["policy", "new", name, "--dry-run"], args].concat();
        test.ok(&all).text().to_owned()
    };
    let flags = [
        "--url",
        "https://mcp.example.com/mcp?team={secret.TEAM_ID}",
        "--header",
        "Authorization: Bearer {secret.TOKEN}",
        "--header",
        "X-Org: acme",
        "--secret",
        "TOKEN=secret:shared/token",
        "--description",
        "Issues",
    ];
    golden::check("policy/new-remote.toml", &new("issues", &flags));
    let oauth = ["--url", "https://mcp.example.com/mcp", "--oauth"];
    let text = new("issues", &oauth);
    assert!(text.ends_with("\n[oauth]\n"), "{text}");

    // From the catalog: what it knows, and nothing of the local server.
    golden::check("policy/new-github.toml", &new("github", &["--remote"]));
    golden::check("policy/new-asana.toml", &new("asana", &[]));
    let text = new("mine", &["--from", "linear", "--oauth"]);
    let url = "\nurl = \"https://mcp.linear.app/mcp\"\n\n[oauth]\n";
    assert!(text.contains(url) && !text.contains("LINEAR"), "{text}");
    let text = new("linear", &[]);
    assert!(text.contains("\ncommand = [\"npx\""), "{text}");
    let text = new(
        "notion",
        &["--header", "Authorization: Bearer {secret.NOTION}"],
    );
    assert!(!text.contains("[oauth]"), "{text}");
    assert!(text.contains("from = \"secret:notion/notion\""), "{text}");

    let refused = |args: &[&str], words: &str| {
        let ended = test.cli(&[&["policy", "new", "x"], args].concat());
        assert_eq!(ended.code, 2, "{ended}");
        assert!(ended.stderr.contains(words), "{words}: {ended}");
        assert!(!ended.stderr.contains(TOKEN), "{ended}");
    };
    let url = "https://mcp.example.com/mcp";
    let with_token = format!("Authorization: Bearer {TOKEN}");
    let words = "cannot accept the value of `--header Authorization`";
    refused(&["--url", url, "--header", &with_token], words);
    let words = "cannot accept a part of `--url`";
    refused(&["--url", &format!("{url}?api_key={TOKEN}")], words);
    let words = "the catalog has no remote server `x`";
    refused(&["--remote"], words);
    refused(&["--url", "http://mcp.example.com/"], "not encrypted");
    let words = "expected `NAME: VALUE`";
    refused(&["--url", url, "--header", "Authorization"], words);
    let words = "HTTP or MCP itself uses this header";
    refused(&["--url", url, "--header", "Host: a"], words);
    let words = "it is empty";
    refused(&["--url", url, "--header", "X-Key:"], words);
    refused(&["--url", url, "--cwd", "/"], "cannot be used with");
    let unused = ["--url", url, "--secret", "TOKEN=secret:x/token"];
    refused(&unused, "`TOKEN` is sent nowhere");
}

#[test]
fn a_login_without_a_network_says_what_to_look_at() {
    let test = Test::new();
    test.init();
    let url = "https://127.0.0.1:1/mcp";
    test.ok(&["policy", "new", "x", "--url", url, "--oauth"]);
    test.ok(&["grant", "x", "--yes"]);
    let mut terminal = test.terminal(&["login", "x"]);
    terminal.expect("error[oauth-unreachable]");
    let (code, shown) = terminal.end();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("hint: check the network"), "{shown}");
}

#[test]
fn a_logout_of_a_mistyped_name_is_an_error() {
    let test = case();
    let ended = test.ok(&["logout", "issues"]);
    assert!(ended.stderr.contains("nobody is logged in"), "{ended}");
    let ended = test.cli(&["logout", "isues"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.stderr.contains("error[policy-not-found]"), "{ended}");
    assert!(ended.stderr.contains("did you mean `issues`?"), "{ended}");
}
