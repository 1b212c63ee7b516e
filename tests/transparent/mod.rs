//! Real clients with real servers, with and without mcpwrap: the client observes the same.
//!
//! Each pair runs the same plan twice; the drivers in `tests/real/clients` print everything that
//! the SDK reports: server info, lists, results, errors, notifications, stderr, the exit. The
//! policy injects a secret, so masking is active in every session.

mod clients;
mod remote;
mod renewed;
mod servers;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{TOKEN, Test, skip, slot};

use clients::Client;
use servers::Server;

/// What `cargo xtask deps` installs.
pub(crate) fn cache(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(".cache")
        .join(path)
}

/// A test with the six variables that the SDKs give a server, and mcpwrap's files in their default
/// locations.
fn six_variables() -> Test {
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    // Those of the account, which a server gets whatever the client has.
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let uid = nix::unistd::geteuid().to_string();
    let account = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .unwrap();
    for (name, value) in [
        ("USER", account[0]),
        ("LOGNAME", account[0]),
        ("SHELL", account[6]),
    ] {
        test.set(name, value);
    }
    test.set("TERM", "xterm");
    test
}

fn check(client: Client, server: &str) {
    for need in [client.needs(), servers::needs(server)] {
        if !is_there(need) {
            return skip(need, "`cargo xtask deps` installs what it needs");
        }
    }
    let test = six_variables();
    let server = Server::new(&test, server);
    test.secret("test/token", TOKEN);
    let command: Vec<_> = server.command.iter().map(String::as_str).collect();
    let mut rest = slot("TEST_TOKEN", "test/token");
    if !server.set.is_empty() {
        rest = format!("[env.set]\n{}\n{rest}", server.set_text());
    }
    test.policy(server.name, &command, &rest);

    server.reset(&test);
    let bare = client.observe(&test, &server, &server.command, &server.set);
    let program = test.program().display().to_string();
    let mut wrapped = vec![
        program,
        "run".to_owned(),
        server.name.to_owned(),
        "--".to_owned(),
    ];
    wrapped.extend(server.command.iter().cloned());
    server.reset(&test);
    let through = client.observe(&test, &server, &wrapped, &[]);
    assert!(
        bare["steps"][0]["result"].is_object(),
        "the bare session works: {bare:#}"
    );
    assert_same(&bare, &through, "");
}

/// Each client has its own way to end a server, and none ends its children. The builder checks that
/// no process is left.
fn stubborn(client: Client) {
    if !is_there(client.needs()) {
        return skip(client.needs(), "`cargo xtask deps` installs what it needs");
    }
    let test = six_variables();
    let mut server = Server::new(&test, "fake");
    server.command = server.command[..1].to_vec();
    let acts = ["ignore=term,int,hup,quit,eof", "child", "daemon"];
    server.command.extend(acts.map(str::to_owned));
    test.policy(
        "fake",
        &server
            .command
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        "",
    );
    let program = test.program().display().to_string();
    let through = client.observe(&test, &server, &[program, "run".into(), "fake".into()], &[]);
    assert!(through["steps"][0]["result"].is_object(), "{through:#}");
}

fn is_there(need: &str) -> bool {
    match need {
        "npm" => cache("npm/installed-from").exists(),
        "pypi" => cache("pypi/mcp-2/installed-from").exists(),
        "rmcp" => cache("rmcp").exists(),
        _ => true,
    }
}

/// The first difference between two observations.
fn assert_same(bare: &Value, through: &Value, at: &str) {
    match (bare, through) {
        (Value::Object(one), Value::Object(two)) => {
            for name in one.keys().chain(two.keys()) {
                assert_same(&bare[name], &through[name], &format!("{at}.{name}"));
            }
        }
        (Value::Array(one), Value::Array(two)) => {
            assert_eq!(
                one.len(),
                two.len(),
                "{at}\nbare: {bare:#}\nthrough: {through:#}"
            );
            for (n, (one, two)) in one.iter().zip(two).enumerate() {
                assert_same(one, two, &format!("{at}[{n}]"));
            }
        }
        _ => assert_eq!(bare, through, "{at}"),
    }
}

macro_rules! pairs {
    ($($client:ident = $kind:expr;)+) => {$(
        mod $client {
            use super::{Client, check, stubborn};

            #[test]
            fn with_everything() { check($kind, "everything"); }
            #[test]
            fn with_memory() { check($kind, "memory"); }
            #[test]
            fn with_filesystem() { check($kind, "filesystem"); }
            #[test]
            fn with_time() { check($kind, "time"); }
            #[test]
            fn with_git() { check($kind, "git"); }
            #[test]
            fn with_the_fake_server() { check($kind, "fake"); }
            #[test]
            fn ends_a_server_that_ignores_signals() { stubborn($kind); }
        }
    )+};
}

pairs! {
    typescript_1 = Client::TypeScript("ts-1");
    typescript_2 = Client::TypeScript("ts-2");
    typescript_2_probing = Client::TypeScript("ts-2-auto");
    python_1 = Client::Python("py-1");
    python_2 = Client::Python("py-2");
    python_2_probing = Client::Python("py-2-auto");
    rmcp = Client::Rust("rmcp");
    rmcp_probing = Client::Rust("rmcp-auto");
    inspector = Client::Inspector;
}

/// The environment that `everything` reports, without mcpwrap and with this policy.
fn environments(client: Client, token: bool) -> Option<[String; 2]> {
    if !is_there("npm") {
        skip("npm", "`cargo xtask deps` installs what it needs");
        return None;
    }
    let test = six_variables();
    // Without the directory of the test, which a grant leaves out.
    test.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    let mut server = Server::new(&test, "everything");
    server.steps = json!([["tools/call", {"name": "get-env", "arguments": {}}]]);
    let command: Vec<_> = server.command.iter().map(String::as_str).collect();
    let mut rest = String::new();
    if token {
        test.secret("test/token", TOKEN);
        rest = slot("TEST_TOKEN", "test/token");
    }
    test.policy("everything", &command, &rest);
    let program = test.program().display().to_string();
    let wrapped = [program, "run".to_owned(), "everything".to_owned()];
    let text = |seen: &Value| {
        let text = &seen["steps"][0]["result"]["content"][0]["text"];
        text.as_str().unwrap().to_owned()
    };
    let bare = client.observe(&test, &server, &server.command, &[]);
    let through = client.observe(&test, &server, &wrapped, &[]);
    Some([text(&bare), text(&through)])
}

#[test]
fn a_real_server_sees_the_same_six_variables() {
    let Some(seen) = environments(Client::TypeScript("ts-1"), false) else {
        return;
    };
    let [mut bare, mut through] = seen.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert!(bare["HOME"].is_string());
    // The same directories, with that of the program in front.
    let path = |seen: &mut Value| {
        let path = seen["PATH"].take();
        let real = std::env::split_paths(path.as_str().unwrap()).map(|dir| dir.canonicalize());
        real.map(Result::unwrap)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(path(&mut bare), path(&mut through));
    // Only the mark of the run is added.
    let mark = through.as_object_mut().unwrap().remove("MCPWRAP_RUN");
    assert!(mark.is_some_and(|mark| mark.is_string()));
    assert_same(&bare, &through, "environment");
}

#[test]
fn a_real_server_has_the_token_and_the_client_sees_only_its_name() {
    let Some([_, through]) = environments(Client::TypeScript("ts-2"), true) else {
        return;
    };
    assert!(through.contains("\"TEST_TOKEN\": \"[secret "), "{through}");
}
