//! Real clients whose real server is renewed in the middle of the session: tools stay what they were,
//! the new server has the new credential, and no process has the old one.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{Client, Server, is_there, servers, six_variables};
use crate::harness::{skip, slot};

/// Rotates, renews, and waits until no process has the old value; fails if none has the new one.
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

fn renewed(client: Client, name: &str, pair: &str) {
    for need in [client.needs(), servers::needs(name)] {
        if !is_there(need) {
            return skip(need, "`cargo xtask deps` installs what it needs");
        }
    }
    let test = six_variables();
    let mut server = Server::new(&test, name);
    // No other test has these values, and `/proc` shows the processes of all.
    let value = |age: &str| format!("{age}-{pair}-Kq3vX8sT5wZ1pL6mB9-{}", std::process::id());
    let (old, new) = (value("old"), value("new"));
    test.secret("test/token", &old);
    test.hide(&new);
    let command: Vec<_> = server.command.iter().map(String::as_str).collect();
    // By hand, so that the script knows when it is done.
    let session = "[session]\nrenew = \"manual\"\n";
    let mut rest = format!("{session}{}", slot("TEST_TOKEN", "test/token"));
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
        .replace("SERVER", name);
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();

    server.steps = json!([
        "tools/list",
        ["!", script.display().to_string()],
        "tools/list"
    ]);
    let wrapped = [program, "run".to_owned(), name.to_owned()];
    let seen = client.observe(&test, &server, &wrapped, &[]);
    let steps = &seen["steps"];
    assert!(steps[0]["result"]["tools"][0].is_object(), "{seen:#}");
    assert_eq!(steps[1]["result"]["code"], 0, "{seen:#}");
    assert_eq!(steps[0]["result"], steps[2]["result"]);
    let renewals = test.events().iter().filter(|e| *e == "renew").count();
    assert!(renewals > 0);
}

macro_rules! pairs {
    ($($client:ident = $kind:expr;)+) => {$(
        mod $client {
            use super::{Client, renewed};

            #[test]
            fn everything_is_renewed() { renewed($kind, "everything", concat!(stringify!($client), "-e")); }
            #[test]
            fn memory_is_renewed() { renewed($kind, "memory", concat!(stringify!($client), "-m")); }
            #[test]
            fn filesystem_is_renewed() { renewed($kind, "filesystem", concat!(stringify!($client), "-f")); }
            #[test]
            fn time_is_renewed() { renewed($kind, "time", concat!(stringify!($client), "-t")); }
            #[test]
            fn git_is_renewed() { renewed($kind, "git", concat!(stringify!($client), "-g")); }
        }
    )+};
}

pairs! {
    typescript_1 = Client::TypeScript("ts-1");
    typescript_2 = Client::TypeScript("ts-2");
    python_1 = Client::Python("py-1");
    python_2 = Client::Python("py-2");
}
