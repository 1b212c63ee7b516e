//! The copy of mcpwrap that client configs name if the program is in a cache, and programs that are
//! replaced while they run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::place::copy_program;
use crate::harness::{Test, process, slot};
use crate::renew::{NEW, OLD, rotate, until_it_has};

const ENTRY: &str =
    r#"{"mcpServers": {"a": {"command": "/bin/cat", "env": {"API_KEY": "7c9e6679-7425-40de"}}}}"#;

/// A program that is not installed, and a client's config.
fn case() -> (Test, PathBuf) {
    let test = Test::new();
    test.set("PATH", "/usr/bin:/bin");
    test.init();
    let file = test.home.join(".cursor/mcp.json");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, ENTRY).unwrap();
    (test, file)
}

fn copy(test: &Test) -> PathBuf {
    test.root().join("data/bin/mcpwrap")
}

/// Puts a file in the place of the link to the program under test.
fn place(test: &Test, more: &str) {
    let new = test.dir.join("new");
    copy_program(Path::new(env!("CARGO_BIN_EXE_mcpwrap")), more, &new);
    fs::rename(&new, test.program()).unwrap();
}

#[test]
fn entries_name_a_copy_that_outlives_the_program() {
    let (test, file) = case();
    let shown = test.ok(&["adopt", "--dry-run"]);
    assert!(!copy(&test).exists(), "a plan changes nothing: {shown}");
    let command = format!("\"{}\"", copy(&test).display());
    assert!(shown.text().contains(&command), "{shown}");

    let adopted = test.ok(&["adopt", "--yes", "--no-pin"]);
    let said = "copied mcpwrap to ~/mcpwrap/data/bin/mcpwrap";
    assert!(adopted.text().contains(said), "{adopted}");
    assert!(fs::read_to_string(&file).unwrap().contains(&command));
    let program = fs::read(test.program()).unwrap();
    assert!(fs::read(copy(&test)).unwrap() == program, "another program");
    let status = test.ok(&["status"]);
    let line = "copy       ~/mcpwrap/data/bin/mcpwrap, this program";
    assert!(status.text().contains(line), "{status}");

    // The copy is a whole program: it starts the entry, and removes everything, itself included.
    let run = test.start(test.command(copy(&test)).args(["run", "a"]));
    assert_eq!(run.finish().code, 0);
    let listed = test.ok(&["uninstall", "--dry-run"]);
    let paths: Vec<_> = listed.text().lines().map(str::to_owned).collect();
    assert_eq!(paths.last().unwrap(), "  ~/mcpwrap/data/bin", "{listed}");
    let ended = test.ok(&["uninstall", "--yes"]);
    assert!(!test.root().exists(), "{ended}");
    assert_eq!(fs::read_to_string(&file).unwrap(), ENTRY, "{ended}");
}

#[test]
fn a_copy_that_another_program_changed_is_made_again() {
    let (test, _) = case();
    test.ok(&["adopt", "--yes", "--no-pin"]);
    fs::write(copy(&test), "#!/bin/sh\n").unwrap();
    let status = test.ok(&["status", "--json"]).json();
    assert_eq!(status["program"]["copy"], "different", "{status}");
    assert_eq!(status["program"]["path"], copy(&test).display().to_string());
    // Nothing is left to adopt.
    let again = test.ok(&["adopt", "--yes", "--no-pin"]);
    let said = "`~/mcpwrap/data/bin/mcpwrap` was changed by another program";
    assert!(again.stderr.contains(said), "{again}");
    let status = test.ok(&["status", "--json"]).json();
    assert_eq!(status["program"]["copy"], "same", "{status}");
    fs::remove_file(copy(&test)).unwrap();
}

#[test]
fn an_installed_program_is_not_copied() {
    let (test, file) = case();
    test.set("PATH", format!("/usr/bin:/bin:{}", test.dir.display()));
    test.ok(&["adopt", "--yes", "--no-pin"]);
    let own = format!("\"{}\"", test.program().display());
    assert!(fs::read_to_string(&file).unwrap().contains(&own));
    assert!(!copy(&test).exists());
    // A directory on the search path may be that of a project, too.
    let modules = test.dir.join("node_modules/.bin");
    fs::create_dir_all(&modules).unwrap();
    std::os::unix::fs::symlink(test.program(), modules.join("mcpwrap")).unwrap();
    test.set("PATH", format!("{}:/usr/bin:/bin", modules.display()));
    let status = test.ok(&["status", "--json"]).json();
    assert_eq!(status["program"]["path"], copy(&test).display().to_string());
}

/// Package managers put a new file in the place of the old one.
#[test]
fn sessions_outlive_an_upgrade() {
    let test = Test::new();
    test.secret("t/token", OLD);
    test.serve("fake", &[], &slot("TOKEN", "t/token"));
    place(&test, "");
    let mut run = test.run("fake");
    run.initialize();
    place(&test, "\nnewer");
    assert_eq!(run.peek("TOKEN"), OLD.as_bytes());
    // The new program talks to the old supervisor, which starts a guard of its own version.
    let listed = test.ok(&["ps"]);
    assert!(listed.text().contains("fake"), "{listed}");
    rotate(&test, NEW);
    until_it_has(&mut run, NEW);
    let server = run.server(2);
    // Removed, as by an uninstallation. Then it comes back.
    let aside = test.dir.join("aside");
    fs::rename(test.program(), &aside).unwrap();
    assert_eq!(run.peek("TOKEN"), NEW.as_bytes());
    fs::rename(&aside, test.program()).unwrap();
    let ended = test.ok(&["revoke", "fake"]);
    let said = "stopped by its supervisor";
    assert!(ended.text().contains(said), "{ended}");
    assert!(!process::alive(server));
    run.finish();
}
