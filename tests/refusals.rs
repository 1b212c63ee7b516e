//! Refused starts: the policy file, the grant, the command. Each has a code, which the client gets
//! too, and no secret is read.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::faults::{chmod, granted};
use crate::harness::{Test, fake_server, policy_text};

/// Checks that a start is refused with this code on stderr, in the answer and by the exit code.
#[track_caller]
fn refused(test: &Test, code: &str) {
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{code}: {ended}");
    assert!(
        ended.stderr.contains(&format!("error[{code}]")),
        "{code}: {ended}"
    );
    assert!(
        ended
            .stderr
            .lines()
            .all(|line| line.starts_with("mcpwrap: ")),
        "{code}: {ended}"
    );
    let mut run = test.run("fake");
    let answer = run.initialize();
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    assert_eq!(answer["error"]["data"]["mcpwrap"]["code"], code, "{answer}");
    assert_eq!(
        answer["error"]["data"]["mcpwrap"]["server"], "fake",
        "{answer}"
    );
    // Later requests get the same answer, until the client disconnects.
    let later = run.request("tools/list", &json!({}));
    assert_eq!(later["error"]["data"], answer["error"]["data"]);
    let ended = run.finish();
    assert!(
        !ended.stderr.contains("fake-server: ready"),
        "{code}: {ended}"
    );
}

#[test]
fn a_policy_that_is_not_a_private_regular_file_is_refused() {
    type Break = fn(&Path);
    let breaks: &[(&str, Break)] = &[
        ("a symlink to an endless device", |path| {
            std::fs::remove_file(path).unwrap();
            symlink("/dev/zero", path).unwrap();
        }),
        ("a symlink into a directory of everybody", |path| {
            let dir = path.parent().unwrap().with_file_name("open");
            std::fs::create_dir(&dir).unwrap();
            chmod(&dir, 0o777);
            std::fs::rename(path, dir.join("fake.toml")).unwrap();
            symlink(dir.join("fake.toml"), path).unwrap();
        }),
        ("a FIFO", |path| {
            std::fs::remove_file(path).unwrap();
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("a directory", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
        ("a file that others can write", |path| chmod(path, 0o666)),
        ("a directory that others can write", |path| {
            chmod(path.parent().unwrap(), 0o777);
        }),
    ];
    for (name, broken) in breaks {
        let test = granted();
        broken(&test.root().join("policies/fake.toml"));
        let ended = test.run("fake").refused();
        assert_eq!(ended.code, 125, "{name}: {ended}");
        assert!(
            ended.stderr.contains("error[policy-not-private]"),
            "{name}: {ended}"
        );
    }
}

#[test]
fn a_policy_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return crate::harness::skip("root", "only root can give a file away");
    }
    let test = granted();
    let path = test.root().join("policies/fake.toml");
    nix::unistd::chown(&path, Some(nix::unistd::Uid::from_raw(65_534)), None).unwrap();
    refused(&test, "policy-not-private");
}

#[test]
fn an_invalid_policy_is_refused() {
    let program = fake_server().display().to_string();
    let good = policy_text(&[&program], "");
    let cases: &[(&str, Vec<u8>)] = &[
        ("half of it", good.as_bytes()[..good.len() - 8].to_vec()),
        ("not UTF-8", [good.as_bytes(), b"# \xff\n"].concat()),
        (
            "an unknown field",
            format!("{good}secert = 1\n").into_bytes(),
        ),
        (
            "a version of the future",
            good.replace("version = 1", "version = 2").into_bytes(),
        ),
        ("no command", b"version = 1\n".to_vec()),
        ("an empty command", b"version = 1\ncommand = []\n".to_vec()),
        (
            "deep nesting",
            format!("{good}x = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)).into(),
        ),
        (
            "a NUL",
            [good.as_bytes(), b"description = \"\0\"\n"].concat(),
        ),
    ];
    for (name, text) in cases {
        let test = granted();
        let path = test.root().join("policies/fake.toml");
        std::fs::write(&path, text).unwrap();
        let ended = test.run("fake").refused();
        assert_eq!(ended.code, 125, "{name}: {ended}");
        assert!(
            ended.stderr.contains("error[policy-invalid]"),
            "{name}: {ended}"
        );
        assert!(
            !ended.stderr.contains("fake-server: ready"),
            "{name}: {ended}"
        );
    }
}

#[test]
fn a_policy_of_two_gigabytes_is_refused_without_reading_it() {
    let test = granted();
    let path = test.root().join("policies/fake.toml");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(2 << 30).unwrap();
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    file.set_len(0).unwrap();
}

#[test]
fn a_policy_changed_by_one_byte_does_not_start() {
    let test = granted();
    let path = test.root().join("policies/fake.toml");
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "# one more line").unwrap();
    drop(file);
    refused(&test, "policy-changed");
}

#[test]
fn each_missing_grant_has_its_code() {
    let test = granted();
    test.ok(&["revoke", "fake"]);
    refused(&test, "revoked");
    let path = test.root().join("policies/fake.toml");
    std::fs::remove_file(&path).unwrap();
    refused(&test, "policy-not-found");
    let program = fake_server().display().to_string();
    let test = Test::new();
    test.init();
    test.write_policy("fake", &policy_text(&[&program], ""));
    refused(&test, "not-granted");
}

#[test]
fn a_grant_of_another_policy_is_refused() {
    let test = granted();
    test.policy("other", &["/bin/true"], "");
    let grants = test.root().join("state/grants");
    std::fs::copy(grants.join("other.toml"), grants.join("fake.toml")).unwrap();
    let ended = test.run("fake").refused();
    assert_eq!(ended.code, 125, "{ended}");
    let told = ["error[policy-changed]", "error[grant-broken]"];
    assert!(
        told.iter().any(|code| ended.stderr.contains(code)),
        "{ended}"
    );
}

#[test]
fn a_forged_grant_is_refused() {
    let test = granted();
    let path = test.root().join("policies/fake.toml");
    let grant = test.root().join("state/grants/fake.toml");
    let digest = |path: &Path| {
        use sha2::Digest as _;
        mcpwrap::testing::secret::hex(&sha2::Sha256::digest(std::fs::read(path).unwrap()))
    };
    let before = digest(&path);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}# widened\n")).unwrap();
    let forged = std::fs::read_to_string(&grant)
        .unwrap()
        .replace(&before, &digest(&path));
    std::fs::write(&grant, forged).unwrap();
    refused(&test, "grant-broken");
}

#[test]
fn another_command_is_refused_and_no_secret_is_read() {
    let test = granted();
    let program = fake_server().display().to_string();
    let before = test.events().len();
    let others: &[&[&str]] = &[
        &["env"],
        &[&program, "more"],
        &["./fake-server"],
        &["/bin/sh", "-c", &program],
    ];
    for other in others {
        let args = [&["--"], *other].concat();
        let ended = test.run_with("fake", &args).refused();
        assert_eq!(ended.code, 125, "{other:?}: {ended}");
        assert!(
            ended.stderr.contains("error[command-not-allowed]"),
            "{other:?}: {ended}"
        );
    }
    let events = test.events().split_off(before);
    assert!(!events.contains(&"inject".to_owned()), "{events:?}");
    assert_eq!(
        events.iter().filter(|event| *event == "refuse").count(),
        others.len()
    );
    let mut run = test.run_with("fake", &["--", &program]);
    run.initialize();
    assert_eq!(run.finish().code, 0);
}
