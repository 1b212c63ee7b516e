//! Policies: what is accepted, what is refused with which message, and the commands for policies.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::golden::{self, stable};
use crate::harness::{TOKEN, Test, fake_server, policy_text, skip, slot};
use crate::messages::message;

const POLICY: &str = "version = 1\ncommand = [\"server\"]\n";

/// The TOML files of a golden folder, by name.
fn cases(folder: &str) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(golden::path(folder)).unwrap();
    let mut cases: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    cases.sort();
    assert!(cases.len() > 3);
    cases
}

fn put(test: &Test, server: &str, bytes: &[u8]) -> PathBuf {
    let path = test.write_policy(server, "");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_bad_policy_is_refused_with_its_message() {
    let test = Test::new();
    for (name, path) in cases("policy/bad") {
        put(&test, &name, &std::fs::read(path).unwrap());
        let ended = test.cli(&["policy", "lint", &name]);
        assert_eq!((ended.code, ended.text()), (1, ""), "{name}: {ended}");
        assert!(
            ended.stderr.starts_with("mcpwrap: error[policy-invalid]: "),
            "{name}: {ended}"
        );
        assert!(
            ended
                .stderr
                .lines()
                .all(|line| line.starts_with("mcpwrap: ")),
            "{name}: {ended}"
        );
        // People paste values where references belong, and messages end up in logs.
        assert!(!ended.stderr.contains(&TOKEN[..8]), "{name}: {ended}");
        golden::check(
            &format!("policy/bad/{name}.txt"),
            &stable(&test, &ended.stderr),
        );
    }
}

#[test]
fn every_good_policy_is_shown() {
    let test = Test::new();
    for (name, path) in cases("policy/ok") {
        put(&test, &name, &std::fs::read(path).unwrap());
        let ended = test.ok(&["policy", "show", &name]);
        golden::check(
            &format!("policy/ok/{name}.txt"),
            &stable(&test, ended.text()),
        );
    }
    let ended = test.ok(&["policy", "show", "all", "--profile", "prod", "--json"]);
    golden::check("policy/ok/all-prod.json", &{
        let text = stable(&test, ended.text());
        let digest = ended.json()["digest"].as_str().unwrap().to_owned();
        text.replace(&digest, "DIGEST")
    });
    let refused = test.cli(&["policy", "show", "all", "--profile", "qa"]);
    assert!(
        refused.stderr.contains("error[profile-not-found]"),
        "{refused}"
    );
    assert!(refused.stderr.contains("`prod`"), "{refused}");
}

#[test]
fn a_policy_that_others_could_have_changed_is_not_used() {
    let test = Test::new();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |code: &str, fact: &str| {
        let ended = test.cli(&["policy", "show", "github"]);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(&format!("error[{code}]")), "{ended}");
        assert!(ended.stderr.contains(fact), "{fact}: {ended}");
    };
    let path = test.write_policy("github", POLICY);
    test.ok(&["policy", "show", "github"]);

    mode(&path, 0o666);
    refused("policy-not-private", "mode 0666");
    mode(&path, 0o620);
    refused("policy-not-private", "mode 0620");
    mode(&path, 0o600);
    for dir in [path.parent().unwrap().to_owned(), test.root()] {
        mode(&dir, 0o777);
        refused("policy-not-private", "0777");
        mode(&dir, 0o700);
    }

    // A link, as a dotfile manager makes it, to where only the user can write.
    let dots = test.dir.join("dots");
    std::fs::create_dir(&dots).unwrap();
    mode(&dots, 0o700);
    std::fs::rename(&path, dots.join("x.toml")).unwrap();
    symlink(dots.join("x.toml"), &path).unwrap();
    test.ok(&["policy", "show", "github"]);
    mode(&dots, 0o777);
    refused(
        "policy-not-private",
        "dots`, which other users can write to",
    );
    mode(&dots, 0o700);
    mode(&dots.join("x.toml"), 0o666);
    refused("policy-not-private", "mode 0666");

    // Other types of files: each would hang or belong to another user.
    std::fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    refused("policy-not-private", "device");
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused("policy-not-private", "FIFO");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("policy-not-private", "a directory");
    std::fs::remove_dir(&path).unwrap();

    std::fs::write(&path, format!("{POLICY}#{}", "x".repeat(1 << 20))).unwrap();
    mode(&path, 0o600);
    refused("policy-invalid", "more than the limit of 1048576");
    // 2 GB without a block on disk.
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    refused("policy-invalid", "more than the limit of 1048576");
    // The test harness reads all files that a test leaves.
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_policy_of_another_user_is_not_used() {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "giving a file away needs root");
    }
    let test = Test::new();
    let path = test.write_policy("github", POLICY);
    std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
    let ended = test.cli(&["policy", "show", "github"]);
    assert!(
        ended.stderr.contains("error[policy-not-private]"),
        "{ended}"
    );
    assert!(ended.stderr.contains("owned by user 4711"), "{ended}");
}

#[test]
fn a_missing_policy_suggests_the_nearest_name() {
    let test = Test::new();
    let ended = test.cli(&["policy", "show", "github"]);
    assert_eq!(ended.code, 2);
    message(&test, "policy-not-found", &ended);
    test.write_policy("github", POLICY);
    let ended = test.cli(&["policy", "show", "githbu"]);
    assert!(ended.stderr.contains("did you mean `github`?"), "{ended}");
    for bad in ["../github", "a/b", ""] {
        let ended = test.cli(&["policy", "show", bad]);
        assert!(ended.stderr.contains("error[name-invalid]"), "{ended}");
    }
}

#[test]
fn a_new_policy_is_valid_and_does_not_replace_one() {
    let test = Test::new();
    let args = [
        "policy",
        "new",
        "github",
        "--secret",
        "GITHUB_TOKEN=secret:github/token",
        "--env",
        "LOG_LEVEL=info",
        "--pass",
        "GITHUB_HOST",
        "--description",
        "GitHub, read-only",
    ];
    let with = |more: &[&'static str]| [&args[..], more].concat();
    let shown = test.ok(&with(&["--dry-run", "--", "npx", "-y", "server@1.2.3"]));
    assert!(!test.root().exists());
    test.ok(&with(&["--", "npx", "-y", "server@1.2.3"]));
    let path = test.root().join("policies/github.toml");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), shown.text());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    golden::check("policy/new.toml", shown.text());
    test.ok(&["policy", "lint", "github"]);

    let refused = test.cli(&with(&["--", "other"]));
    assert!(refused.stderr.contains("error[policy-exists]"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), shown.text());
}

#[test]
fn a_value_never_gets_into_a_new_policy() {
    let test = Test::new();
    let reference = format!("TOKEN={TOKEN}");
    for command in [
        &["--secret", reference.as_str(), "--", "server"][..],
        &["--pass", &reference, "--", "server"],
        &["--env", &reference, "--", "server"],
        &["--", "server", "--api-key", TOKEN],
        &["--", "server", &format!("--api-key={TOKEN}")],
    ] {
        let ended = test.cli(&[&["policy", "new", "x"], command].concat());
        assert_eq!(ended.code, 2, "{command:?} {ended}");
        assert!(!ended.stderr.contains(TOKEN), "{ended}");
        assert!(!test.root().join("policies/x.toml").exists());
    }
}

#[test]
fn the_list_shows_bad_policies_beside_good_ones() {
    let test = Test::new();
    test.write_policy("good", POLICY);
    test.write_policy("bad", "");
    test.write_policy("no policy name", POLICY);
    let list = test.ok(&["policy", "list", "--json"]).json();
    let status = |n: usize| (list[n]["server"].as_str(), list[n]["status"].as_str());
    assert_eq!(status(0), (Some("bad"), Some("invalid")));
    assert_eq!(list[0]["error"]["code"], "policy-invalid");
    assert_eq!(status(1), (Some("good"), Some("not-granted")));
    assert_eq!(list.as_array().unwrap().len(), 2);
    let text = test.ok(&["policy", "list"]);
    assert!(text.text().contains("good    not granted"), "{text}");
    assert_eq!(test.cli(&["policy", "lint"]).code, 1);
    assert_eq!(test.ok(&["policy", "lint", "good"]).text(), "good: valid\n");
}

#[test]
fn the_schema_names_every_field() {
    let test = Test::new();
    let schema = test.ok(&["policy", "schema"]).json();
    for field in [
        "version", "command", "env", "secrets", "profile", "session", "limits",
    ] {
        assert!(schema["properties"][field].is_object(), "{field}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

/// A command whose `/etc` is a directory of the test. `None` if this machine does not allow that.
pub(crate) fn with_etc(test: &Test, args: &[&str]) -> Option<Command> {
    let is_root = nix::unistd::geteuid().is_root();
    let etc = test.dir.join("etc");
    is_root
        .then(|| mounted(test, "-m", &etc, "/etc", args))
        .flatten()
}

/// The same in a user namespace, whose root is the user of the test.
pub(crate) fn with_etc_of_a_user(test: &Test, args: &[&str]) -> Option<Command> {
    mounted(test, "-rm", &test.dir.join("etc"), "/etc", args)
}

/// A command that sees one directory at the place of another. `None` if this machine does not allow
/// that.
pub(crate) fn with_mount(test: &Test, from: &Path, at: &str, args: &[&str]) -> Option<Command> {
    let namespaces = if nix::unistd::geteuid().is_root() {
        "-m"
    } else {
        "-rm"
    };
    mounted(test, namespaces, from, at, args)
}

fn mounted(test: &Test, namespaces: &str, from: &Path, at: &str, args: &[&str]) -> Option<Command> {
    let mut probe = Command::new("unshare");
    if !probe
        .args([namespaces, "true"])
        .output()
        .is_ok_and(|out| out.status.success())
    {
        return None;
    }
    let mut command = test.command("unshare");
    command
        .args([
            namespaces,
            "sh",
            "-c",
            "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"",
            "sh",
        ])
        .arg(from)
        .arg(at)
        .arg(test.program())
        .args(args);
    Some(command)
}

/// Writes a managed policy and settings of the administrator, for [`with_etc`].
fn write_etc(test: &Test, policy: &str, config: &str) -> PathBuf {
    let dir = test.dir.join("etc/mcpwrap/policies");
    std::fs::create_dir_all(&dir).unwrap();
    let above = dir.parent().unwrap();
    let files = [
        (dir.join("github.toml"), policy),
        (above.join("config.toml"), config),
    ];
    for (file, text) in &files {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    for path in [dir.as_path(), above, above.parent().unwrap()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

/// Everybody is root in a user namespace, and can mount an `/etc/mcpwrap`. What it allows needs the
/// user's grant; what it forbids is forbidden.
#[test]
fn in_a_user_namespace_a_managed_policy_needs_a_grant() {
    let test = Test::new();
    test.secret("github/token", TOKEN);
    let program = fake_server().display().to_string();
    let rest = slot("TOKEN", "github/token");
    let text = policy_text(&[&program], &rest);
    write_etc(&test, &text, "forbid_yes = true\n");
    let Some(mut list) = with_etc_of_a_user(&test, &["policy", "list", "--json"]) else {
        return skip("namespaces", "`unshare --user` is not allowed here");
    };
    let found = test.start(&mut list).end().json();
    if !nix::unistd::geteuid().is_root() {
        // Not even the root directory belongs to root there.
        assert_eq!(found[0]["error"]["code"], "policy-not-private", "{found}");
        let mut run = with_etc_of_a_user(&test, &["run", "github"]).unwrap();
        let ended = test.start(&mut run).refused();
        assert!(
            ended.stderr.contains("error[policy-not-private]"),
            "{ended}"
        );
        return;
    }
    assert_eq!(found[0]["status"], "not-granted", "{found}");
    assert_eq!(found[0]["path"], "/etc/mcpwrap/policies/github.toml");
    let mut run = with_etc_of_a_user(&test, &["run", "github"]).unwrap();
    let ended = test.start(&mut run).refused();
    assert!(ended.stderr.contains("error[not-granted]"), "{ended}");
    let cause = "in a user namespace, a policy of the administrator needs a grant too";
    assert!(ended.stderr.contains(cause), "{ended}");
    let mut grant = with_etc_of_a_user(&test, &["grant", "github", "--yes"]).unwrap();
    let ended = test.start(&mut grant).end();
    assert!(ended.stderr.contains("error[yes-refused]"), "{ended}");
    assert!(!test.events().contains(&"inject".to_owned()));
}

#[test]
fn a_managed_policy_takes_precedence_and_needs_no_grant() {
    let test = Test::new();
    let dir = write_etc(&test, &POLICY.replace("server", "managed"), "");
    let file = dir.join("github.toml");
    test.write_policy("github", POLICY);
    test.write_policy("other", POLICY);
    let list = || {
        let mut command = with_etc(&test, &["policy", "list", "--json"])?;
        Some(test.start(&mut command).end().json())
    };
    let Some(found) = list() else {
        return skip("namespaces", "`unshare --mount` is not allowed here");
    };
    assert_eq!(found[0]["status"], "managed");
    assert_eq!(found[0]["path"], "/etc/mcpwrap/policies/github.toml");
    assert_eq!(found[1]["status"], "not-granted");

    // A managed policy that other users can change is an error, not ignored.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let found = list().unwrap();
    assert_eq!(found[0]["error"]["code"], "policy-not-private");
    assert_eq!(found[1]["status"], "not-granted");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let found = list().unwrap();
    for n in 0..2 {
        assert_eq!(found[n]["error"]["code"], "policy-not-private", "{found}");
    }
}
