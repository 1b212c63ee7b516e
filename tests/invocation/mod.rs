//! What a grant covers besides the policy: the programs, PATH, HOME, the working directory. The client
//! chooses none of them.

mod approval;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::place::write_program;
use crate::harness::{Ended, Run, TOKEN, Test, fake_server, policy_text, slot};

/// The PATH of a desktop client.
const SIX_WORDS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A script that becomes the fake server.
fn server_script(first_line: &str) -> String {
    format!("#!{first_line}\nexec '{}'\n", fake_server().display())
}

/// A program that leaves a mark, in a directory that an attacker puts first on PATH.
fn planted(test: &Test, name: &str) -> (PathBuf, PathBuf) {
    let (dir, mark) = (test.dir.join("planted"), test.dir.join("planted-ran"));
    fs::create_dir_all(&dir).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$TOKEN\" > '{}'\nexec '{}'\n",
        mark.display(),
        fake_server().display()
    );
    write_program(&dir.join(name), &text);
    (dir, mark)
}

/// Sets the PATH of the terminal: these directories and the system's.
fn set_path(test: &Test, dirs: &[&Path]) {
    let all = dirs
        .iter()
        .copied()
        .chain([Path::new("/usr/bin"), Path::new("/bin")]);
    test.set("PATH", std::env::join_paths(all).unwrap());
}

fn answers(mut run: Run<'_>) -> Ended {
    let answer = run.initialize();
    assert!(answer.get("result").is_some(), "{answer}");
    run.finish()
}

fn changed(test: &Test, part: &str) {
    let ended = test.run("s").refused();
    assert!(ended.stderr.contains("error[program-changed]"), "{ended}");
    assert!(ended.stderr.contains(part), "{part}\n{ended}");
    assert!(!ended.stderr.contains("fake-server: ready"), "{ended}");
    assert_eq!(ended.code, 125, "{ended}");
}

#[test]
fn the_client_does_not_choose_the_program() {
    let test = Test::new();
    test.secret("s/token", TOKEN);
    test.program_file("tool", &server_script("/bin/sh"));
    set_path(&test, &[test.programs()]);
    test.policy("s", &["tool"], &slot("TOKEN", "s/token"));
    let (evil, mark) = planted(&test, "tool");
    for path in [
        format!("{}:/usr/bin:/bin", evil.display()),
        format!(".:{}", evil.display()),
        SIX_WORDS.to_owned(),
        String::new(),
    ] {
        test.set("PATH", path);
        answers(test.run("s"));
    }
    assert!(!mark.exists());
    let record = test
        .audit()
        .into_iter()
        .find(|record| record["event"] == "launch");
    let detail = &record.unwrap()["detail"];
    let real = test.programs().join("tool");
    assert_eq!(detail["path"], json!(real));
    assert_eq!(detail["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn the_client_does_not_choose_the_interpreter() {
    let test = Test::new();
    test.init();
    test.program_file("runner", &server_script("/bin/sh"));
    let script = test.dir.join("server.run");
    write_program(&script, "#!/usr/bin/env runner\n");
    set_path(&test, &[test.programs()]);
    test.policy("s", &[script.to_str().unwrap()], "");
    let (evil, mark) = planted(&test, "runner");
    test.set("PATH", format!("{}:/usr/bin:/bin", evil.display()));
    answers(test.run("s"));
    test.set("PATH", SIX_WORDS);
    answers(test.run("s"));
    assert!(!mark.exists());
    test.program_file("runner", "#!/bin/sh\n# another\n");
    changed(&test, "runner` has other content");
}

#[test]
fn what_a_command_runs_is_compared_at_each_start() {
    let test = Test::new();
    test.init();
    let (first, tool) = (
        test.programs().join("first"),
        test.programs().join("bin/tool"),
    );
    fs::create_dir(&first).unwrap();
    write_program(&tool, &server_script("/bin/sh"));
    let script = test.dir.join("script.py");
    fs::write(&script, "import time\n").unwrap();
    set_path(&test, &[&first, tool.parent().unwrap()]);
    let grant = || {
        test.policy("s", &["tool"], "");
        answers(test.run("s"));
    };
    grant();
    fs::write(&tool, server_script("/bin/sh") + "# longer\n").unwrap();
    changed(&test, "tool` has other content");

    // The same length, and the times put back.
    grant();
    let meta = fs::metadata(&tool).unwrap();
    let text = fs::read_to_string(&tool).unwrap();
    fs::write(&tool, text.replace("longer", "others")).unwrap();
    let file = fs::File::options().write(true).open(&tool).unwrap();
    file.set_modified(meta.modified().unwrap()).unwrap();
    drop(file);
    changed(&test, "tool` has other content");

    // A program of the same name where PATH is searched first. The directory of the program comes
    // before it, so this needs a link.
    fs::rename(&tool, test.programs().join("real")).unwrap();
    symlink(test.programs().join("real"), &tool).unwrap();
    grant();
    fs::remove_file(&tool).unwrap();
    write_program(&first.join("other"), &server_script("/bin/sh"));
    symlink(first.join("other"), &tool).unwrap();
    changed(
        &test,
        &format!("is now `{}`", first.join("other").display()),
    );
    fs::remove_file(&tool).unwrap();
    changed(&test, "cannot be read: no such file");

    test.policy("s", &["/bin/sh", script.to_str().unwrap()], "");
    fs::write(&script, "import os\n").unwrap();
    changed(&test, "script.py` has other content");
}

/// `fastmcp run server.py`: a program that is no interpreter runs what its argument names.
#[test]
fn a_file_of_code_among_the_arguments_is_compared() {
    let test = Test::new();
    let runner = test.programs().join("runner");
    write_program(&runner, "#!/bin/sh\n. \"${2%%:*}\"\n");
    let script = test.dir.join("server.sh");
    let text = server_script("/bin/sh");
    fs::write(&script, &text).unwrap();
    let named = format!("{}:app", script.display());
    let runner = runner.display().to_string();
    test.policy("s", &[&runner, "run", &named], "");
    answers(test.run("s"));
    fs::write(&script, text.replace("exec", "true; exec")).unwrap();
    changed(&test, "server.sh` has other content");
    test.ok(&["grant", "s", "--yes"]);
    answers(test.run("s"));
    fs::remove_file(&script).unwrap();
    changed(&test, "server.sh");

    // A program without an ending, and a file of data.
    let (program, data) = (test.programs().join("server"), test.dir.join("data"));
    write_program(&program, &server_script("/bin/sh"));
    fs::write(&data, "1").unwrap();
    let named = [&program, &data].map(|path| path.display().to_string());
    test.policy("s", &[&runner, "run", &named[0], &named[1]], "");
    fs::write(&data, "2").unwrap();
    answers(test.run("s"));
    fs::write(&program, server_script("/bin/bash")).unwrap();
    changed(&test, "/server` has other content");
}

/// A write through a mapping changes a file without a change of its times until it is written back.
#[test]
fn a_script_changed_through_a_mapping_is_found() {
    let test = Test::new();
    test.init();
    let script = test.dir.join("server.sh");
    let text = server_script("/bin/sh") + "# one\n";
    fs::write(&script, &text).unwrap();
    // The mapping is dirty when the grant is made.
    let writer = "import mmap, sys\nf = open(sys.argv[1], 'r+b')\nm = mmap.mmap(f.fileno(), 0)\n\
        m[-4:-1] = b'one'\nprint('ready', flush=True)\nsys.stdin.readline()\nm[-4:-1] = b'two'\n\
        print('done', flush=True)\nsys.stdin.readline()\n";
    let mut command = test.command("/usr/bin/python3");
    let mut mapping = test.start(command.args(["-c", writer]).arg(&script));
    assert_eq!(mapping.line().unwrap(), b"ready\n");
    test.policy("s", &["/bin/sh", script.to_str().unwrap()], "");
    answers(test.run("s"));
    mapping.send_raw(b"\n");
    assert_eq!(mapping.line().unwrap(), b"done\n");
    changed(&test, "server.sh` has other content");
    mapping.send_raw(b"\n");
    mapping.finish();
}

#[test]
fn what_the_working_directory_decides_is_not_granted() {
    let test = Test::new();
    test.init();
    fs::write(test.dir.join("server.py"), "").unwrap();
    let client = "cwd = \"client\"\n";
    for (command, rest) in [
        (&["python3", "server.py"][..], client),
        (&["python3", "server.py"][..], ""),
        (&["python3", "-u", "-m", "server"], client),
        (&["./server"], client),
        (&["node", "--require", "./hook.js", "/x.js"], client),
        (&["env", "A=1", "python3", "server.py"], client),
        (&["npx", "-y", "server@1.2.3"], client),
        (&["npx", "-y", "tsx@4.0.0", "server.ts"], ""),
    ] {
        test.write_policy("s", &policy_text(command, rest));
        let ended = test.cli(&["grant", "s", "--yes"]);
        assert_eq!(ended.code, 2, "{command:?}\n{ended}");
        let code = "error[command-not-fixed]";
        assert!(ended.stderr.contains(code), "{command:?}\n{ended}");
    }
    // The directory is part of the grant.
    let cwd = format!("cwd = \"{}\"\n", test.dir.display());
    for command in [&["python3", "server.py"][..], &["python3", "-m", "server"]] {
        test.policy("s", command, &cwd);
        fs::write(test.dir.join("server.py"), "import os\n").unwrap();
        changed(&test, "server.py` has other content");
        fs::write(test.dir.join("server.py"), "").unwrap();
    }
}

/// The client's directory, HOME and XDG directories, and its network settings.
#[test]
fn files_and_settings_of_the_client_do_not_reach_the_server() {
    let test = Test::new();
    test.serve("s", &[], "");
    let project = test.dir.join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join(".env"), "HTTPS_PROXY=http://evil\n").unwrap();
    for name in [
        "HOME",
        "TMPDIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "USER",
        "SHELL",
    ] {
        test.set(name, &project);
    }
    for (name, value) in [
        ("HTTPS_PROXY", "http://evil:8080"),
        ("no_proxy", "*"),
        ("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt"),
        ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        ("DOCKER_HOST", "tcp://evil:2375"),
    ] {
        test.set(name, value);
    }
    test.set("HOME", &test.home);
    let mut command = test.command(test.program());
    let mut run = test.start(command.args(["run", "s"]).current_dir(&project));
    run.initialize();
    let env = run.call("env", &json!({}));
    assert!(!env.contains("evil") && !env.contains("project"), "{env}");
    assert!(!env.contains("PROXY") && !env.contains("no_proxy"), "{env}");
    let cwd = PathBuf::from(run.facts()["directory"].as_str().unwrap());
    assert!(cwd.starts_with(test.root().join("state/work")), "{cwd:?}");
    assert_eq!(fs::read_dir(&cwd).unwrap().count(), 0);
    let mode = fs::metadata(&cwd).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let ended = run.finish();
    assert!(
        ended
            .stderr
            .contains("HTTPS_PROXY, no_proxy, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS of the client"),
        "{ended}"
    );
    assert!(
        ended.stderr.contains("run `mcpwrap config network`"),
        "{ended}"
    );
    assert!(!cwd.exists());
}

#[test]
fn a_server_may_run_where_its_policy_says() {
    let test = Test::new();
    let project = test.dir.join("project");
    fs::create_dir(&project).unwrap();
    let runs_in = |expected: &Path| {
        let mut command = test.command(test.program());
        let mut run = test.start(command.args(["run", "s"]).current_dir(&project));
        run.initialize();
        assert_eq!(run.facts()["directory"], json!(expected));
        run.finish();
    };
    test.serve("s", &[], "cwd = \"client\"\n");
    runs_in(&project);
    test.serve("s", &[], &format!("cwd = \"{}\"\n", test.home.display()));
    runs_in(&test.home);
    // What a server writes into its private directory is kept, and said.
    let script = "echo data > report.txt; exec \"$1\"";
    let server = fake_server().display().to_string();
    test.policy("s", &["/bin/sh", "-c", script, "sh", &server], "");
    let ended = answers(test.run("s"));
    let kept = ended
        .stderr
        .split('`')
        .find(|part| part.contains("/work/s-"))
        .unwrap();
    assert_eq!(
        fs::read_to_string(Path::new(kept).join("report.txt")).unwrap(),
        "data\n"
    );
}

/// nvm and Homebrew put a link or a directory on PATH; asdf, mise and pyenv a small program that
/// chooses by the current directory.
#[test]
fn version_managers_work_under_the_path_of_a_desktop_client() {
    let test = Test::new();
    test.init();
    let base = test.programs().to_path_buf();
    let real = base.join("asdf/installs/tool/2.0/bin/tool");
    write_program(&real, &server_script("/bin/sh"));
    write_program(
        &base.join("asdf/shims/tool"),
        "#!/bin/sh\nexec asdf exec tool \"$@\"\n",
    );
    // It chooses by a file in the current directory.
    let manager = format!(
        "#!/bin/sh\n[ \"$1\" = which ] || exit 1\n\
         [ -f .tool-versions ] && echo /planted/tool && exit\necho '{}'\n",
        real.display()
    );
    write_program(&base.join("asdf/bin/asdf"), &manager);
    set_path(&test, &[&base.join("asdf/shims"), &base.join("asdf/bin")]);
    fs::write(test.dir.join(".tool-versions"), "tool 1.0\n").unwrap();
    test.policy("s", &["tool"], "");
    test.set("PATH", SIX_WORDS);
    let mut run = test.run("s");
    run.initialize();
    let env = run.call("env", &json!({}));
    let path = env.lines().find(|line| line.starts_with("PATH=")).unwrap();
    let first = format!("PATH={}", real.parent().unwrap().display());
    assert!(path.starts_with(&first), "{path}");
    run.finish();

    // An upgrade behind a link, as Homebrew does it.
    let (old, new) = (
        base.join("Cellar/tool/1/bin/tool"),
        base.join("Cellar/tool/2/bin/tool"),
    );
    write_program(&old, &server_script("/bin/sh"));
    write_program(&new, &server_script("/bin/sh"));
    let link = base.join("opt/bin/tool");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&old, &link).unwrap();
    set_path(&test, &[link.parent().unwrap()]);
    test.policy("s", &["tool"], "");
    fs::remove_file(&link).unwrap();
    symlink(&new, &link).unwrap();
    changed(&test, &format!("is now `{}`", new.display()));
    test.ok(&["grant", "--changed", "--yes"]);
    test.set("PATH", SIX_WORDS);
    answers(test.run("s"));
}
