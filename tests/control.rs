//! The control socket (docs/control.md), `ps` and `drill`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{DEADLINE, Run, Test, process, skip, until};
use crate::renew::{NEW, OLD, rotate, started};

fn mode(path: &std::path::Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn socket(test: &Test, run: &Run<'_>) -> PathBuf {
    test.root().join(format!("run/fake.{}.sock", run.pid()))
}

/// Sends one line to the supervisor and returns the answer.
fn ask(test: &Test, run: &Run<'_>, line: &str) -> Value {
    let mut stream = UnixStream::connect(socket(test, run)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

fn ps(test: &Test) -> Vec<Value> {
    let shown = test.ok(&["ps", "--json"]).json();
    shown["servers"].as_array().unwrap().clone()
}

#[test]
fn ps_shows_every_detail_of_a_session() {
    let test = Test::new();
    assert!(ps(&test).is_empty());
    assert!(test.ok(&["ps"]).stderr.contains("no servers running"));
    let run = started(&test, &["child"], "");
    let server = run.server(1);
    until("the child is there", || {
        ps(&test)[0]["tree"].as_array().unwrap().len() == 2
    });
    let one = ps(&test).remove(0);
    let expected = json!({
        "server": "fake", "supervisor": run.pid().as_raw(), "state": "running",
        "pid": server.as_raw(), "era": "legacy", "renewals": 0, "code": null,
        "client": {"name": "test-client", "version": "1.0.0"},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(one[field], *value, "{field}: {one:#}");
    }
    assert!(
        one["tree"]
            .as_array()
            .unwrap()
            .contains(&json!(server.as_raw()))
    );
    assert_eq!(one["policy"].as_str().unwrap().len(), 64);
    let since: jiff::Timestamp = one["since"].as_str().unwrap().parse().unwrap();
    assert!(since <= jiff::Timestamp::now());
    let secret = &one["secrets"][0];
    assert_eq!(
        (&secret["name"], &secret["variable"]),
        (&json!("t/token"), &json!("TOKEN"))
    );
    let before = secret["fingerprint"].clone();

    rotate(&test, NEW);
    until("it is renewed", || ps(&test)[0]["renewals"] == 1);
    let one = ps(&test).remove(0);
    assert_ne!(one["secrets"][0]["fingerprint"], before);
    assert_eq!(one["pid"], run.server(2).as_raw());
    let table = test.ok(&["ps"]);
    let row = table.text().lines().nth(1).unwrap();
    for part in [
        "fake",
        "running",
        "test-client 1.0.0",
        "t/token:",
        &run.server(2).to_string(),
    ] {
        assert!(row.contains(part), "{part}: {table}");
    }

    // Where no table fits, nothing is broken inside a word.
    test.set("COLUMNS", "60");
    let narrow = test.ok(&["ps"]);
    let lines: Vec<&str> = narrow.text().lines().collect();
    assert_eq!(lines[0], "fake", "{narrow}");
    assert!(lines.contains(&"  state      running"), "{narrow}");
    assert!(!narrow.text().contains("container"), "{narrow}");

    test.ok(&["revoke", "fake"]);
    let one = ps(&test).remove(0);
    assert_eq!(
        (&one["state"], &one["code"]),
        (&json!("suspended"), &json!("revoked"))
    );
    assert_eq!((&one["pid"], &one["secrets"]), (&Value::Null, &json!([])));
    run.finish();
    assert!(ps(&test).is_empty());
}

#[test]
fn a_stale_socket_is_removed() {
    let test = Test::new();
    let run = started(&test, &[], "");
    let left = test.root().join("run/gone.4194304.sock");
    drop(UnixListener::bind(&left).unwrap());
    let own = socket(&test, &run);
    assert!(left.exists() && own.exists());
    assert_eq!(ps(&test).len(), 1);
    assert!(!left.exists() && own.exists());
    run.signal(nix::sys::signal::Signal::SIGKILL);
    drop(run);
    assert!(process::wait_for_none(&test.dir, DEADLINE).is_empty());
    assert!(own.exists(), "no supervisor removed it");
    assert!(ps(&test).is_empty());
    assert!(!own.exists());
}

#[test]
fn the_socket_is_private_and_follows_its_documentation() {
    let test = Test::new();
    let mut run = started(&test, &[], "[session]\nrenew = \"manual\"");
    assert_eq!(mode(&socket(&test, &run)), 0o600);
    assert_eq!(mode(&test.root().join("run")), 0o700);
    let status = ask(&test, &run, r#"{"v":1,"verb":"status"}"#);
    assert_eq!((&status["v"], &status["ok"]), (&json!(1), &json!(true)));
    // The documented fields are those of the answer.
    let document = std::fs::read_to_string("docs/control.md").unwrap();
    for field in status
        .as_object()
        .unwrap()
        .keys()
        .filter(|f| !["v", "ok"].contains(&f.as_str()))
    {
        assert!(document.contains(&format!("\n| `{field}` |")), "{field}");
    }
    let strange = [
        "",
        "{}",
        "status",
        r#"{"v":2,"verb":"status"}"#,
        r#"{"v":1,"verb":"grant"}"#,
    ];
    for line in strange {
        let answer = ask(&test, &run, line);
        assert_eq!(
            answer,
            json!({"v": 1, "ok": false, "error": "not understood"}),
            "{line}"
        );
    }
    let check = ask(&test, &run, r#"{"v":1,"verb":"check"}"#);
    assert_eq!(
        (&check["ok"], &check["running"]),
        (&json!(true), &json!(true))
    );
    rotate(&test, NEW);
    assert_eq!(
        ask(&test, &run, r#"{"v":1,"verb":"renew"}"#),
        json!({"v": 1, "ok": true})
    );
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    std::fs::remove_file(test.root().join("state/grants/fake.toml")).unwrap();
    let check = ask(&test, &run, r#"{"v":1,"verb":"check"}"#);
    assert_eq!(check["running"], false);
    assert!(!process::alive(run.server(2)));
    let renew = ask(&test, &run, r#"{"v":1,"verb":"renew"}"#);
    assert_eq!(
        (&renew["ok"], &renew["code"]),
        (&json!(false), &json!("not-granted"))
    );
    run.finish();
}

/// Connects as the user `nobody`, who has access to the directories, and prints the answer.
const AS_NOBODY: &str = r#"exec setpriv --reuid=65534 --regid=65534 --clear-groups perl -MIO::Socket::UNIX -e '
$SIG{PIPE} = "IGNORE";
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "not connected: $!";
print $s "{\"v\":1,\"verb\":\"status\"}\n"; $s->flush;
print "answer: ", scalar(<$s>) // "", "\n"' "$1""#;

#[test]
fn another_user_gets_no_answer() {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "only root can be somebody else");
    }
    let test = Test::new();
    let run = started(&test, &[], "");
    let socket = socket(&test, &run);
    let open = |mode| {
        for path in [
            &test.dir,
            &test.home,
            &test.root(),
            &test.root().join("run"),
            &socket,
        ] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    open(0o777);
    let mut command = test.command("/bin/sh");
    let ended = test
        .start(command.args(["-c", AS_NOBODY, "sh"]).arg(&socket))
        .finish();
    open(0o700);
    assert_eq!(ended.text(), "answer: \n", "{ended}");
    assert_eq!(ps(&test).len(), 1);
    run.finish();
}

/// A secret that another program changed in the keychain is used from the next renewal or launch.
#[test]
fn renew_uses_a_value_that_another_program_changed() {
    let test = Test::new();
    test.secret("t/token", OLD);
    let vault = test.root().join("data/vault.age");
    let before = std::fs::read(&vault).unwrap();
    rotate(&test, NEW);
    let rest = crate::harness::slot("TOKEN", "t/token");
    test.serve("fake", &[], &rest);
    let mut run = test.run("fake");
    run.initialize();
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    // Without mcpwrap, so the secret index is not updated.
    std::fs::write(&vault, before).unwrap();
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    test.ok(&["renew", "fake"]);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    // Once is enough: the difference is now recorded.
    assert_eq!(ps(&test)[0]["renewals"], 1);
    run.finish();
}

#[test]
fn a_drill_tests_the_kill_switch_and_changes_nothing() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let grants = || {
        let dir = std::fs::read_dir(test.root().join("state/grants")).unwrap();
        let mut all: Vec<_> = dir
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        all.sort();
        all
    };
    let granted = grants();
    let records = || {
        let all = test.audit();
        let of_verbs =
            |r: &&Value| ["grant", "revoke", "secret-set"].contains(&r["event"].as_str().unwrap());
        all.iter().filter(of_verbs).count()
    };
    let before = records();
    for args in [&["drill", "--json"][..], &["drill", "fake", "--json"]] {
        let ended = test.cli(args);
        assert!(ended.text().contains("\"ok\""), "{ended}");
        let drill = ended.json();
        // Whether one second is enough depends on the machine; what was done does not.
        assert_eq!(ended.code, i32::from(drill["ok"] == false), "{ended}");
        assert!(drill["first_error_ms"].is_u64(), "{ended}");
        assert_eq!(
            (&drill["session_kept"], &drill["start_refused"]),
            (&json!(true), &json!(true))
        );
        let faults = drill["faults"].as_array().unwrap();
        let result = |name: &str| {
            let one = faults.iter().find(|one| one["fault"] == name).unwrap();
            one["result"].as_str().unwrap().to_owned()
        };
        for name in [
            "disk-full",
            "socket-gone",
            "supervisor-stopped",
            "guard-killed",
        ] {
            assert_eq!(result(name), "works", "{ended}");
        }
        let is_root = nix::unistd::geteuid().is_root();
        let expected = if is_root { "skipped" } else { "works" };
        assert_eq!(result("grants-not-writable"), expected, "{ended}");
        let least = if args.len() == 2 { 4 } else { 2 };
        assert!(drill["processes"].as_u64().unwrap() >= least, "{ended}");
    }
    assert_eq!(grants(), granted);
    assert_eq!(records(), before);
    let left = std::fs::read_dir(test.root().join("run")).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("drill-")
    });
    assert_eq!(left.count(), 0);
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    // For `check`, which reports when the kill switch was last tested.
    let kept = std::fs::read(test.root().join("state/drill.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["server"], "fake");
    run.finish();
}
