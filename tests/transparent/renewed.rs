//! Real clients with a renewal during the session: tools, subscriptions, log level and roots stay
//! the same, the new server has the new credential, and no process has the old one.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{Client, Server, is_there, servers, six_variables};
use crate::harness::{skip, slot};

/// Rotates, renews and waits until no process has the old value; fails if none has the new one.
const SCRIPT: &str = r#"#!/bin/sh
printf %s 'NEW' | 'PROGRAM' secret rotate test/token --from-stdin || exit 3
'PROGRAM' renew SERVER || exit 4
has() { grep -l -a -F "$1" /proc/[0-9]*/environ 2>/dev/null | grep -q .; }
has 'NEW' || exit 5
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  has 'OLD' || exit 0
  sleep 0.5
done
exit 6
"#;

/// A session with these steps before and after the renewal; returns what the client saw.
fn session(
    client: Client,
    (name, roots): (&str, Option<Value>),
    pair: &str,
    before: &[Value],
    after: &[Value],
) -> Value {
    let test = six_variables();
    let mut server = Server::new(&test, name);
    server.roots = roots;
    // No other test uses these values, because `/proc` shows the processes of all tests.
    let value = |age: &str| format!("{age}-{pair}-Kq3vX8sT5wZ1pL6mB9-{}", std::process::id());
    let (old, new) = (value("old"), value("new"));
    test.secret("test/token", &old);
    test.hide(&new);
    let command: Vec<_> = server.command.iter().map(String::as_str).collect();
    // Manually, so that the script knows when the renewal is done.
    let session = "[session]\nrenew = \"manual\"\n";
    let slot = slot(servers::variable(server.name), "test/token");
    let mut rest = format!("{session}{slot}");
    if !server.set.is_empty() {
        rest = format!("[env.set]\n{}\n{rest}", server.set_text());
    }
    test.policy(server.name, &command, &rest);
    server.reset(&test);

    let script = test.dir.join("rotate.sh");
    let program = test.program().display().to_string();
    let text = SCRIPT
        .replace("NEW", &new)
        .replace("OLD", &old)
        .replace("PROGRAM", &program)
        .replace("SERVER", server.name);
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();

    let rotation = json!(["!", script.display().to_string()]);
    server.steps = json!([before, &[rotation], after].concat());
    let wrapped = [program, "run".to_owned(), server.name.to_owned()];
    let seen = client.observe(&test, &server, &wrapped, &[]);
    let renewal = &seen["steps"][before.len()];
    assert_eq!(renewal["result"]["code"], 0, "{seen:#}");
    assert!(test.events().contains(&"renew".to_owned()));
    seen
}

fn is_installed(client: Client, name: &str) -> bool {
    for need in [client.needs(), servers::needs(name)] {
        if !is_there(need) {
            skip(need, "`cargo xtask deps` installs what it needs");
            return false;
        }
    }
    true
}

fn renewed(client: Client, name: &str, pair: &str) {
    if !is_installed(client, name) {
        return;
    }
    let list = [json!("tools/list")];
    let seen = session(client, (name, None), pair, &list, &list);
    let steps = &seen["steps"];
    assert!(steps[0]["result"]["tools"][0].is_object(), "{seen:#}");
    assert_eq!(steps[0]["result"], steps[2]["result"]);
}

/// `everything` reports its log level, its subscriptions and its roots.
fn state_is_kept(client: Client, pair: &str) {
    if !is_installed(client, "everything") {
        return;
    }
    let roots = json!([{"uri": "file:///projects/one", "name": "one"}]);
    let tool = |name: &str| json!(["tools/call", {"name": name, "arguments": {}}]);
    let level = |level: &str| json!(["logging/setLevel", {"level": level}]);
    let uri = |n: u32| format!("demo://resource/dynamic/text/{n}");
    let subscribe = |n: u32| json!(["resources/subscribe", {"uri": uri(n)}]);
    let before = [
        tool("get-roots-list"),
        level("info"),
        subscribe(1),
        level("error"),
        json!("tools/list"),
    ];
    let after = [
        json!("tools/list"),
        tool("get-roots-list"),
        subscribe(2),
        tool("toggle-subscriber-updates"),
        json!("tools/list"),
    ];
    let seen = session(client, ("everything", Some(roots)), pair, &before, &after);
    let result = |n: usize| &seen["steps"][n]["result"];
    let roots = result(0)["content"][0]["text"].as_str().unwrap();
    assert!(roots.contains("file:///projects/one"), "{seen:#}");
    assert_eq!(result(0), result(7), "roots");
    assert_eq!(result(4), result(6), "tools");
    let noticed = |what: &dyn Fn(&Value) -> bool| {
        let notices = seen["notices"].as_array().unwrap();
        notices.iter().filter(|notice| what(notice)).count()
    };
    // The server logs a subscription at level "info": once, before the level was raised.
    let told = |n: u32| {
        let text = format!("Received Subscribe Resource request for URI: {}", uri(n));
        noticed(&|notice| {
            notice["params"]["data"]
                .as_str()
                .unwrap_or("")
                .starts_with(&text)
        })
    };
    assert_eq!((told(1), told(2)), (1, 0), "level: {seen:#}");
    let updated = |n: u32| {
        let is_update = |n: &Value| n["method"] == "notifications/resources/updated";
        noticed(&|notice| is_update(notice) && notice["params"]["uri"] == uri(n))
    };
    assert!(updated(1) > 0 && updated(2) > 0, "subscriptions: {seen:#}");
}

macro_rules! pairs {
    ($($client:ident = $kind:expr;)+) => {$(
        mod $client {
            use super::{Client, renewed, state_is_kept};

            pairs!{ server $client, $kind;
                everything, memory, filesystem, time, git,
                brave, context7, exa, figma, firecrawl, notion, playwright, slack, tavily
            }

            #[test]
            fn the_state_is_kept() { state_is_kept($kind, concat!(stringify!($client), "-state")); }
        }
    )+};
    (server $client:ident, $kind:expr; $($server:ident),+) => {$(
        #[test]
        fn $server() {
            let name = stringify!($server);
            renewed($kind, name, concat!(stringify!($client), "-", stringify!($server)));
        }
    )+};
}

pairs! {
    typescript_1 = Client::TypeScript("ts-1");
    typescript_2 = Client::TypeScript("ts-2");
    python_1 = Client::Python("py-1");
    python_2 = Client::Python("py-2");
    rmcp = Client::Rust("rmcp");
}
