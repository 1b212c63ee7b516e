//! One message for each error code, from the real binary. `tidy` checks that none is missing.
//!
//! Paths are shortened and times are removed; the rest is what users read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::harness::golden::{self, stable};
use crate::harness::place::write_program;
use crate::harness::{Ended, TOKEN, Test, fake_server, policy_text, skip, slot};

const POLICY: &str = "version = 1\ncommand = [\"npx\", \"-y\", \"server@1.2.3\"]\n";

/// Compares the message of this code with its golden file.
#[track_caller]
pub(crate) fn message(test: &Test, code: &str, ended: &Ended) {
    message_in(test, code, code, ended);
}

/// [`message`] for a code whose text differs by the store: with a golden file of another name.
#[track_caller]
pub(crate) fn message_in(test: &Test, code: &str, name: &str, ended: &Ended) {
    let head = format!("mcpwrap: error[{code}]: ");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let Some(first) = lines.iter().position(|line| line.starts_with(&head)) else {
        panic!("no {code} in {ended}");
    };
    let goes_on = |line: &&&str| {
        ["cause: ", "hint: ", "       "]
            .iter()
            .any(|next| line[9..].starts_with(next))
    };
    let rest = lines[first + 1..].iter().take_while(goes_on).copied();
    let shown = |line| without_pid(&without_time(&stable(test, line)));
    let shown: Vec<_> = std::iter::once(lines[first])
        .chain(rest)
        .map(shown)
        .collect();
    let shown = shown.join("\n") + "\n";
    golden::check(&format!("messages/{name}.txt"), &shown);
}

/// A text without PIDs.
fn without_pid(line: &str) -> String {
    match line.split_once("(supervisor ") {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}(supervisor PID{rest}")
        }
        None => line.to_owned(),
    }
}

/// A line with dates and times replaced.
fn without_time(line: &str) -> String {
    let is_time = |word: &str| {
        let word = word.trim_end_matches([',', ':', ';']);
        let digits = word
            .bytes()
            .all(|b| b.is_ascii_digit() || b"-:TZ.".contains(&b));
        digits && (word.matches('-').count() == 2 || word.matches(':').count() >= 1)
    };
    let words: Vec<_> = line
        .split(' ')
        .map(|word| if is_time(word) { "TIME" } else { word })
        .collect();
    words.join(" ")
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn about_the_command_line() {
    let test = Test::new();
    message(
        &test,
        "usage",
        &test.cli(&["policy", "show", "github", "--jsn"]),
    );
    message(
        &test,
        "name-invalid",
        &test.cli(&["policy", "show", "../github"]),
    );
    message(
        &test,
        "file-unusable",
        &test.cli(&["man", "no/such/directory"]),
    );
    test.write_policy("github", POLICY);
    message(
        &test,
        "policy-exists",
        &test.cli(&["policy", "new", "github", "--", "server"]),
    );
    let value = format!("TOKEN={TOKEN}");
    let args = ["policy", "new", "other", "--env", &value, "--", "server"];
    message(&test, "secret-unusable", &test.cli(&args));
    std::fs::write(test.root().join("config.toml"), "stor = \"file\"\n").unwrap();
    message(
        &test,
        "config-invalid",
        &test.cli(&["grant", "github", "--yes"]),
    );
}

#[test]
fn about_policies() {
    let test = Test::new();
    let run = |args: &[&str]| refused(&test, args);
    message(&test, "policy-not-found", &run(&["github"]));
    let text = "version = 1\ndescription = \"GitHub, read-only\"\n\
                command = [\"npx\", \"-y\", \"server@1.2.3\"]\n\n\
                [secrets.GITHUB_PERSONAL_ACCESS_TOKEN]\nform = \"secret:github/token\"\n";
    let path = test.write_policy("github", text);
    let ended = run(&["github"]);
    assert_eq!(ended.code, 125, "{ended}");
    message(&test, "policy-invalid", &ended);
    set_mode(&path, 0o666);
    message(&test, "policy-not-private", &run(&["github"]));
    let path = test.write_policy("github", &text.replace("form", "from"));
    message(
        &test,
        "profile-not-found",
        &run(&["github", "--profile", "prod"]),
    );
    set_mode(&path, 0o600);
}

#[test]
fn about_grants() {
    let test = Test::new();
    let run = |args: &[&str]| refused(&test, args);
    test.init();
    test.write_policy("github", POLICY);
    message(&test, "not-granted", &run(&["github"]));
    let ended = test.cli(&["grant", "github"]);
    // The tests may or may not have a terminal.
    assert_ne!(ended.code, 0);
    test.set("CLAUDECODE", "1");
    message(
        &test,
        "agent-refused",
        &test.cli(&["grant", "github", "--yes"]),
    );
    test.unset("CLAUDECODE");
    test.ok(&["grant", "github", "--yes"]);
    message(
        &test,
        "command-not-allowed",
        &run(&["github", "--", "node", "./index.js"]),
    );

    let grant = test.root().join("state/grants/github.toml");
    let text = std::fs::read_to_string(&grant).unwrap();
    set_mode(&grant, 0o666);
    message(&test, "file-not-private", &run(&["github"]));
    set_mode(&grant, 0o600);
    std::fs::write(&grant, text.replace("by = \"yes\"", "by = \"terminal\"")).unwrap();
    message(&test, "grant-broken", &run(&["github"]));
    test.ok(&["grant", "github", "--yes"]);
    test.write_policy("github", &POLICY.replace("1.2.3", "1.2.4"));
    message(&test, "policy-changed", &run(&["github"]));
    test.ok(&["revoke", "github", "--reason", "token leaked"]);
    message(&test, "revoked", &run(&["github"]));
}

#[test]
fn about_what_a_command_runs() {
    let test = Test::new();
    test.init();
    let grant = |command: &[&str], rest: &str| {
        test.write_policy("github", &policy_text(command, rest));
        test.cli(&["grant", "github", "--yes"])
    };
    message(&test, "program-not-found", &grant(&["no-such-program"], ""));
    let plain = test.dir.join("plain");
    std::fs::write(&plain, "").unwrap();
    let plain = plain.display().to_string();
    message(&test, "program-not-executable", &grant(&[&plain], ""));
    let script = grant(&["python3", "server.py"], "cwd = \"client\"\n");
    message(&test, "command-not-fixed", &script);
    let program = test.dir.join("program");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    set_mode(&program, 0o755);
    test.policy("github", &[&program.display().to_string()], "");
    std::fs::write(&program, "#!/bin/sh\n# changed\n").unwrap();
    message(&test, "program-changed", &refused(&test, &["github"]));
    // Its working directory was there when it was granted.
    test.policy("github", &["/bin/cat"], "cwd = \"client\"\n");
    let gone = test.dir.join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = "cd \"$1\" && rmdir \"$1\" && exec \"$0\" run github";
    let mut command = test.command("/bin/sh");
    command.args(["-c", script]).arg(test.program()).arg(&gone);
    let run = test.start(&mut command);
    run.heard("mcpwrap: error[");
    message(&test, "launch-failed", &run.finish());
}

#[test]
fn about_what_is_started() {
    let test = Test::new();
    let start = |command: &[&str], rest: &str| {
        test.policy("github", command, rest);
        refused(&test, &["github"])
    };
    message(&test, "unpinned", &start(&["npx", "-y", "server"], ""));
    let server = fake_server().display().to_string();
    message(
        &test,
        "secret-not-found",
        &start(&[&server], &slot("GITHUB_TOKEN", "github/token")),
    );
    test.hide(TOKEN);
    test.feed(
        &[
            "secret",
            "set",
            "prod/token",
            "--profile",
            "prod",
            "--from-stdin",
        ],
        TOKEN.as_bytes(),
    );
    let wrong = start(&[&server], &slot("GITHUB_TOKEN", "prod/token"));
    message(&test, "secret-wrong-profile", &wrong);
    message(
        &test,
        "secret-weak",
        &test.feed(&["secret", "set", "pin", "--from-stdin"], b"1234"),
    );

    let audit = test.root().join("state/audit");
    std::fs::rename(&audit, test.dir.join("audit")).unwrap();
    std::fs::write(&audit, "in the way").unwrap();
    message(&test, "audit-unwritable", &refused(&test, &["github"]));
    std::fs::remove_file(&audit).unwrap();

    std::fs::rename(test.dir.join("audit"), &audit).unwrap();

    std::fs::rename(
        test.root().join("data/vault.age"),
        test.dir.join("vault.age"),
    )
    .unwrap();
    message_in(
        &test,
        "store-absent",
        "store-absent-file",
        &refused(&test, &["github"]),
    );
    std::fs::rename(
        test.dir.join("vault.age"),
        test.root().join("data/vault.age"),
    )
    .unwrap();
    std::fs::remove_file(test.home.join("vault.key")).unwrap();
    message(&test, "store-broken", &refused(&test, &["github"]));
}

/// A refused start, with a client that waits for the error.
fn refused(test: &Test, args: &[&str]) -> Ended {
    let (server, rest) = args.split_first().unwrap();
    let run = test.run_with(server, rest);
    run.heard("mcpwrap: error[");
    run.finish()
}

#[test]
fn about_the_keychain() {
    let test = Test::new();
    test.write_policy("github", POLICY);
    test.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    message(
        &test,
        "store-absent",
        &test.cli(&["grant", "github", "--yes"]),
    );
}

/// Like `sudo` with the user's `HOME`.
#[test]
fn a_home_of_another_user_is_not_used() {
    if !nix::unistd::geteuid().is_root() {
        return skip("root", "giving a directory away needs root");
    }
    let test = Test::new();
    test.unset("MCPWRAP_HOME");
    std::os::unix::fs::chown(&test.home, Some(4711), None).unwrap();
    for verb in [
        &["policy", "list"][..],
        &["run", "github"],
        &["grant", "github"],
    ] {
        let ended = test.cli(verb);
        assert!(ended.stderr.contains("error[home-unusable]"), "{ended}");
        assert!(ended.stderr.contains("owned by user 4711"), "{ended}");
    }
    message(&test, "home-unusable", &test.cli(&["policy", "list"]));
}

/// A program that is a server until a file exists, and then exits immediately.
#[test]
fn about_what_runs() {
    let test = Test::new();
    let (program, flag) = (test.dir.join("server"), test.dir.join("flag"));
    let script = format!(
        "#!/bin/sh\ntest -e {} && exit 3\nexec {}\n",
        flag.display(),
        fake_server().display()
    );
    write_program(&program, &script);
    test.policy("github", &[&program.display().to_string()], "");
    message(
        &test,
        "supervisor-unreachable",
        &test.cli(&["renew", "github"]),
    );
    let mut run = test.run("github");
    run.initialize();
    std::fs::write(&flag, "").unwrap();
    message(&test, "renew-failed", &test.cli(&["renew", "github"]));
    assert_eq!(run.finish().code, 0);

    let mut run = test.run("github");
    let id = run.ask("initialize", &serde_json::json!({}));
    run.answer(id);
    run.heard("error[server-exited]");
    message(&test, "server-exited", &run.finish());
}
