//! The environment of a server: the base list, the network list, what the policy inherits and sets,
//! the secrets, and nothing else of the client's environment.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use mcpwrap::testing::secret::hex;
use serde_json::json;

use crate::harness::{Run, TOKEN, Test, process, skip, slot, until};
use crate::messages::message;
use crate::policy::with_mount;

/// The environment that the server reports, with secrets masked.
fn environment(run: &mut Run<'_>) -> BTreeMap<String, String> {
    run.initialize();
    let text = run.call("env", &json!({}));
    let pair = |line: &str| {
        line.split_once('=')
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn names(test: &Test) -> Vec<String> {
    let mut run = test.run("fake");
    let names = environment(&mut run).into_keys().collect();
    run.finish();
    names
}

/// Variables that clients pass on, and ones that an attacker would use.
const HOSTILE: &[(&str, &str)] = &[
    ("AWS_SECRET_ACCESS_KEY", "x"),
    ("BASH_ENV", "/tmp/x"),
    ("CLAUDECODE", "1"),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"),
    ("DYLD_INSERT_LIBRARIES", "/tmp/x.so"),
    ("GITHUB_TOKEN", "x"),
    ("GIT_SSH_COMMAND", "touch /tmp/x"),
    ("LD_AUDIT", "/tmp/x.so"),
    ("LD_PRELOAD", "/tmp/x.so"),
    ("NODE_OPTIONS", "--require /tmp/x.js"),
    ("NODE_PATH", "/tmp"),
    ("OTHER", "x"),
    ("PERL5LIB", "/tmp"),
    ("PYTHONPATH", "/tmp"),
    ("PYTHONSTARTUP", "/tmp/x.py"),
    ("RUBYOPT", "-r/tmp/x"),
    ("SSH_AUTH_SOCK", "/nowhere"),
    ("UV_INDEX_URL", "http://x"),
    ("XDG_RUNTIME_DIR", "/nowhere"),
    ("npm_config_registry", "http://x"),
];

#[test]
fn nothing_but_the_base_list_is_inherited() {
    let test = Test::new();
    test.serve("fake", &[], "");
    for (name, value) in HOSTILE {
        test.set(*name, *value);
    }
    for (name, value) in [("LANG", "C.UTF-8"), ("LC_TIME", "C"), ("TERM", "xterm")] {
        test.set(name, value);
    }
    let sealed = ["HOME", "LOGNAME", "PATH", "SHELL", "USER"];
    let all: BTreeSet<_> = sealed
        .into_iter()
        .chain(["LANG", "LC_TIME", "MCPWRAP_RUN", "TERM"])
        .collect();
    assert_eq!(names(&test), all.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_stripped_environment_is_enough() {
    let test = Test::new();
    test.serve("fake", &[], "");
    test.unset("PATH");
    let names = names(&test);
    assert_eq!(
        names,
        ["HOME", "LOGNAME", "MCPWRAP_RUN", "PATH", "SHELL", "USER"]
    );
}

#[test]
fn the_policy_inherits_names_and_sets_values() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    let table = "[env]\npass = [\"PASSED\", \"ABSENT\"]\n\
        set = { LEVEL = \"info\", URL = \"https://u:{secret.TOKEN}@host/?q={{}}\" }\n";
    let table = table.replace("{{}}", "1");
    test.serve(
        "fake",
        &[],
        &format!("{table}{}", slot("TOKEN", "test/token")),
    );
    test.set("PASSED", "of the client");
    test.set("LEVEL", "of the client");
    let mut run = test.run("fake");
    let env = environment(&mut run);
    assert_eq!(env["PASSED"], "of the client");
    assert_eq!(env["LEVEL"], "info");
    assert!(!env.contains_key("ABSENT"));
    assert!(env["URL"].contains("[secret "), "{}", env["URL"]);
    assert_eq!(
        run.peek("URL"),
        format!("https://u:{TOKEN}@host/?q=1").as_bytes()
    );
    assert_eq!(run.peek("TOKEN"), TOKEN.as_bytes());
    run.finish();
}

#[test]
fn values_arrive_byte_for_byte() {
    let values: &[(&str, Vec<u8>)] = &[
        ("equals", b"a=b==c;d&e$f`g`\"h'i\\j".to_vec()),
        ("spaces", b"  two  words\tand a tab ".to_vec()),
        (
            "lines",
            b"-----BEGIN KEY-----\nline one of it\nline two of it\n-----END KEY-----\n".to_vec(),
        ),
        ("bytes", b"\xff\xfe\x01not utf-8\x80\xc0".to_vec()),
        (
            "json",
            br#"{"type": "service", "key": "abc\ndef"}"#.to_vec(),
        ),
        (
            "large",
            (0..65_536_u32)
                .map(|n| b'a' + u8::try_from(n * 7 % 26).unwrap())
                .collect(),
        ),
    ];
    let test = Test::new();
    let mut rest = String::new();
    for (name, value) in values {
        test.secret(&format!("test/{name}"), value);
        rest.push_str(&slot(
            &format!("V_{}", name.to_uppercase()),
            &format!("test/{name}"),
        ));
    }
    test.serve("fake", &[], &rest);
    let mut run = test.run("fake");
    run.initialize();
    for (name, value) in values {
        assert!(
            run.peek(&format!("V_{}", name.to_uppercase())) == *value,
            "{name}"
        );
    }
    let ended = run.finish();
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
fn a_secret_file_is_removed_after_the_session() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    let rest = format!("{}to = \"file\"\n", slot("TOKEN_FILE", "test/token"));
    test.serve("fake", &[], &rest);
    let mut run = test.run("fake");
    run.initialize();
    let path = secret_file(&mut run);
    let mode = std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o400);
    let value = run.call("read", &json!({"name": "TOKEN_FILE"}));
    let reversed: Vec<_> = TOKEN.bytes().rev().collect();
    assert_eq!(value, hex(&reversed));
    run.finish();
    assert!(!path.exists());
}

/// The guard removes the files with the server; if it was killed too, the next command does.
#[test]
fn a_secret_file_is_removed_after_a_sigkill_too() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    let rest = format!("{}to = \"file\"\n", slot("TOKEN_FILE", "test/token"));
    test.serve("fake", &[], &rest);
    for with_guard in [false, true] {
        let mut run = test.run("fake");
        run.initialize();
        let path = secret_file(&mut run);
        let guard = run.facts()["parent"].as_i64().unwrap();
        let guard = nix::unistd::Pid::from_raw(i32::try_from(guard).unwrap());
        if with_guard {
            process::kill_both(guard, run.pid());
        } else {
            run.signal(nix::sys::signal::Signal::SIGKILL);
        }
        drop(run);
        if with_guard {
            // The directory is the user's: a command of another test may have been the next one.
            test.ok(&["ps"]);
        } else {
            until("the guard removes the file", || !path.exists());
        }
        assert!(!path.exists());
    }
}

fn secret_file(run: &mut Run<'_>) -> PathBuf {
    let path = run.peek("TOKEN_FILE");
    PathBuf::from(std::ffi::OsStr::from_bytes(&path))
}

#[test]
fn a_secret_file_is_in_memory_unless_the_policy_accepts_a_disk() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    for (to, kind) in [("file", "tmpfs"), ("disk-file", "")] {
        let rest = format!("{}to = \"{to}\"\n", slot("TOKEN_FILE", "test/token"));
        test.serve("fake", &[], &rest);
        let mut run = test.run("fake");
        run.initialize();
        let path = secret_file(&mut run);
        let mut stat = test.command("stat");
        let found = test.start(stat.args(["-f", "-c", "%T"]).arg(&path)).end();
        if kind.is_empty() {
            assert!(path.starts_with(test.root()), "{path:?}");
        } else {
            assert_eq!(found.text().trim(), kind, "{path:?}");
        }
        let record = test
            .audit()
            .into_iter()
            .rfind(|one| one["event"] == "inject");
        assert_eq!(record.unwrap()["detail"]["to"], to);
        run.finish();
        assert!(!path.exists());
    }
    let show = test.ok(&["policy", "lint", "fake"]);
    assert!(show.stderr.contains("written to the disk"), "{show}");

    let rest = format!("{}to = \"file\"\n", slot("TOKEN_FILE", "test/token"));
    test.serve("fake", &[], &rest);
    let disk = test.dir.join("disk");
    std::fs::create_dir(&disk).unwrap();
    test.set("XDG_RUNTIME_DIR", &disk);
    let Some(mut command) = with_mount(&test, &disk, "/dev/shm", &["run", "fake"]) else {
        return skip("namespaces", "`unshare --mount` is not allowed here");
    };
    let run = test.start(&mut command);
    run.heard("mcpwrap: error[");
    message(&test, "no-memory-filesystem", &run.finish());
}

#[test]
fn a_missing_secret_stops_the_start_unless_it_is_optional() {
    let test = Test::new();
    test.serve("fake", &[], &slot("TOKEN", "test/absent"));
    let mut run = test.run("fake");
    let answer = run.initialize();
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["code"], "secret-not-found",
        "{answer}"
    );
    let ended = run.finish();
    assert!(!ended.stderr.contains("fake-server: ready"), "{ended}");
    assert!(
        ended.stderr.contains("mcpwrap secret set test/absent"),
        "{ended}"
    );

    let optional = format!("{}optional = true\n", slot("TOKEN", "test/absent"));
    test.serve("fake", &[], &optional);
    assert!(!names(&test).contains(&"TOKEN".to_owned()));

    let mut run = test.run("fake");
    run.initialize();
    let set = test.feed(
        &["secret", "set", "test/absent", "--from-stdin"],
        TOKEN.as_bytes(),
    );
    assert_eq!(set.code, 0, "{set}");
    assert!(
        set.stderr.contains("started without `test/absent`"),
        "{set}"
    );
    test.ok(&["renew", "fake"]);
    assert!(environment(&mut run).contains_key("TOKEN"));
    run.finish();
}

#[test]
fn an_argument_takes_a_secret_only_where_the_policy_says_so() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    let acts = ["--api-key={secret.TOKEN}"];
    let rest = format!("argv_secrets = true\n{}", slot("TOKEN", "test/token"));
    test.serve("fake", &acts, &rest);
    let mut run = test.run("fake");
    run.initialize();
    let facts = run.facts();
    let argument = facts["arguments"][0].as_str().unwrap();
    // The hex encoding is masked too, so the argument did arrive.
    assert!(argument.contains("[secret "), "{argument}");
    run.finish();

    let program = crate::harness::fake_server().display().to_string();
    let command = [program.as_str(), acts[0]];
    test.write_policy(
        "bare",
        &crate::harness::policy_text(&command, &slot("TOKEN", "test/token")),
    );
    let refused = test.cli(&["grant", "bare", "--yes"]);
    assert_ne!(refused.code, 0, "{refused}");
}

#[test]
fn a_profile_changes_what_the_server_gets() {
    let test = Test::new();
    test.secret("test/token", TOKEN);
    let other = "tok_prod_Zq7XvW2mLk9Tn4Rb";
    test.hide(other);
    let args = [
        "secret",
        "set",
        "prod/token",
        "--profile",
        "prod",
        "--from-stdin",
    ];
    assert_eq!(test.feed(&args, other.as_bytes()).code, 0);
    let rest = format!(
        "{}\n[profile.prod.secrets.TOKEN]\nfrom = \"secret:prod/token\"\n",
        slot("TOKEN", "test/token")
    );
    test.serve("fake", &[], &rest);
    let value = |args: &[&str]| {
        let mut run = test.run_with("fake", args);
        run.initialize();
        let value = run.peek("TOKEN");
        run.finish();
        value
    };
    assert_eq!(value(&[]), TOKEN.as_bytes());
    assert_eq!(value(&["--profile", "prod"]), other.as_bytes());
    let ended = test.run_with("fake", &["--profile", "tset"]).refused();
    assert_eq!(ended.code, 125);
    assert!(ended.stderr.contains("error[profile-not-found]"), "{ended}");
}

#[test]
fn a_secret_of_one_profile_never_enters_a_run_of_another() {
    let test = Test::new();
    test.init();
    test.hide(TOKEN);
    let args = [
        "secret",
        "set",
        "test/token",
        "--profile",
        "prod",
        "--from-stdin",
    ];
    assert_eq!(test.feed(&args, TOKEN.as_bytes()).code, 0);
    test.serve("fake", &[], &slot("TOKEN", "test/token"));
    let ended = test.run("fake").refused();
    assert!(
        ended.stderr.contains("error[secret-wrong-profile]"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("fake-server: ready"), "{ended}");
}

#[test]
fn nothing_is_loaded_into_mcpwrap_by_the_environment() {
    let test = Test::new();
    // A dynamic loader would report what it cannot load.
    test.set("LD_PRELOAD", "/nowhere/preloaded.so");
    test.set("LD_AUDIT", "/nowhere/audited.so");
    test.set("LD_DEBUG", "libs");
    let mut control = test.command("/bin/true");
    assert!(
        test.start(&mut control)
            .finish()
            .stderr
            .contains("preloaded.so")
    );
    let ended = test.cli(&["--version"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended}");
}
