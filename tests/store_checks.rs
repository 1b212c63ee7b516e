//! `mcpwrap store check`: what it calls good, and what it shows of a program; hints of a refused definition.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{TOKEN, Test};
use crate::secrets::refused;

/// Adds a store whose program is this script.
fn with_program(test: &Test, kind: &str, script: &str, more: &[&str]) {
    let program = test.program_file(kind, &format!("#!/bin/sh\n{script}\n"));
    let program = program.display().to_string();
    let args = ["store", "add", "mine", "--type", kind, "--program"];
    test.ok(&[&args[..], &[&program, "--yes"], more].concat());
}

#[test]
fn a_check_tells_a_store_from_its_program() {
    let test = Test::new();
    test.init();
    with_program(&test, "pass", "echo '= v1.7.4 ='", &[]);
    let check = ["store", "check", "mine", "--json"];
    let ended = test.cli(&check);
    let row = &ended.json()[0];
    assert_eq!(
        (ended.code, &row["works"], &row["error"]["code"]),
        (1, &false.into(), &"store-absent".into())
    );
    let hint = row["error"]["hints"][0].as_str().unwrap();
    assert!(hint.starts_with("run `pass init KEY`"), "{row}");
    std::fs::create_dir(test.home.join(".password-store")).unwrap();
    let row = &test.ok(&check).json()[0];
    assert!(row["works"].is_null(), "{row}");
    assert_eq!(row["facts"]["pass"], "v1.7.4");
    let ended = test.ok(&["store", "check", "mine"]);
    assert!(
        ended.text().starts_with("mine: its program works"),
        "{ended}"
    );

    let database = test.home.join("x.kdbx");
    std::fs::write(&database, "").unwrap();
    let database = format!("database={}", database.display());
    let more = ["--set", &database, "--set", "key_file=/key"];
    with_program(&test, "keepassxc", "[ \"$1\" = ls ]", &more);
    let ended = test.ok(&["store", "check", "mine"]);
    assert_eq!(ended.text(), "mine: ok\n");
}

#[test]
fn what_a_program_says_is_masked_before_it_is_cut() {
    let test = Test::new();
    test.secret("own/token", TOKEN);
    let filler = "abc ".repeat(97);
    let script = format!(
        "cat >/dev/null; echo '{{\"v\":1,\"error\":{{\"kind\":\"denied\",\"message\":\"{filler}'\"$OWN_TOKEN\"'\"}}}}'"
    );
    let more = [
        "--set",
        "output=mcpwrap-store-v1",
        "--env",
        "OWN_TOKEN=secret:own/token",
    ];
    with_program(&test, "exec", &script, &more);
    let mut terminal = test.terminal(&["store", "check", "mine"]);
    terminal.expect("use it now? [y/n]").enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("[secret own/token"), "{screen}");
    assert!(!screen.contains(&TOKEN[..6]), "{screen}");
    let failed = "echo '{\"v\":1,\"error\":{\"kind\":\"other\"}}'";
    with_program(&test, "exec", failed, &["--set", "output=mcpwrap-store-v1"]);
    let ended = test.cli(&["store", "check", "mine"]);
    assert!(ended.stderr.contains("error[store-failed]"), "{ended}");
    // The command that was just run is no way out.
    assert!(
        !ended.stderr.contains("run `mcpwrap store check"),
        "{ended}"
    );
    assert!(ended.stderr.contains("yourself to see"), "{ended}");
}

#[test]
fn a_program_that_others_may_replace_is_not_added() {
    let test = Test::new();
    test.init();
    let config = || std::fs::read_to_string(test.root().join("config.toml")).unwrap();
    let before = config();
    let program = test.dir.join("program");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let program = program.display().to_string();
    for last in ["--dry-run", "--yes"] {
        let args = ["store", "add", "mine", "--type", "exec", "--program"];
        let more = [&program, "--set", "args=[\"{path}\"]", last];
        let ended = test.cli(&[&args[..], &more].concat());
        refused(&ended, "store-program-refused");
        assert!(ended.stderr.contains("temporary directory"), "{ended}");
    }
    assert_eq!(config(), before);
}

#[test]
fn only_what_a_grant_covers_needs_another_grant() {
    let test = Test::new();
    test.init();
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"mine:a\"\n",
    );
    let program = test.program_file("exec", "#!/bin/sh\necho V\n");
    let program = program.display().to_string();
    let add = |more: &[&str]| {
        let args = ["store", "add", "mine", "--type", "exec", "--yes"];
        let ended = test.cli(&[&args[..], &["--program", &program], more].concat());
        (ended.code, ended.stderr)
    };
    let path = ["--set", "args=[\"{path}\"]"];
    assert_eq!(add(&path).0, 0);
    let (code, said) = add(&[&path[..], &["--set", "cache=1h"]].concat());
    assert!(code == 0 && !said.contains("granted again"), "{said}");
    let (code, said) = add(&["--set", "args=[\"--\", \"{path}\"]"]);
    assert!(
        code == 0 && said.contains("run `mcpwrap grant github`"),
        "{said}"
    );
    let (code, said) = add(&[&path[..], &["--set", "deadline=10s"]].concat());
    assert!(code == 2 && said.contains("hint: correct it"), "{said}");
}

#[test]
fn hints_of_a_definition_that_is_refused() {
    let test = Test::new();
    test.init();
    let ended = test.cli(&["store", "check", "secret"]);
    refused(&ended, "name-invalid");
    assert!(
        ended
            .stderr
            .contains("`mcpwrap status` shows the local store"),
        "{ended}"
    );
    let add = [
        "store",
        "add",
        "mine",
        "--type",
        "exec",
        "--set",
        "args=[\"{path}\"]",
        "--program",
    ];
    let ended = test.cli(&[&add[..], &["./none", "--yes"]].concat());
    refused(&ended, "store-absent");
    assert!(ended.stderr.contains("`./none` does not exist"), "{ended}");
    assert!(!ended.stderr.contains("PATH"), "{ended}");
    let more = ["/bin/sh", "--env", "A=secret:oauth/notion", "--yes"];
    let ended = test.cli(&[&add[..], &more].concat());
    refused(&ended, "usage");
    assert!(
        ended.stderr.contains("`secret:oauth/notion` holds what"),
        "{ended}"
    );
}

#[test]
fn each_store_that_is_not_checked_is_named() {
    let test = Test::new();
    test.secret("own/token", TOKEN);
    let program = test.program_file("exec", "#!/bin/sh\n");
    let program = program.display().to_string();
    for name in ["one", "two"] {
        test.ok(&[
            "store",
            "add",
            name,
            "--type",
            "exec",
            "--program",
            &program,
            "--set",
            "output=mcpwrap-store-v1",
            "--env",
            "OWN_TOKEN=secret:own/token",
            "--yes",
        ]);
    }
    let ended = test.cli(&["store", "check", "one", "two"]);
    assert_eq!(ended.code, 2, "{ended}");
    for name in ["one", "two"] {
        let told = format!("error[no-terminal]: store `{name}` was not checked");
        assert_eq!(ended.stderr.matches(&told).count(), 1, "{ended}");
    }
}

#[test]
fn an_address_has_no_password_and_no_reference() {
    let test = Test::new();
    test.init();
    let ended = test.cli(&[
        "store",
        "add",
        "corp",
        "--type",
        "vault",
        "--set",
        "address=https://ana:Zq7Lk2Vx9Bn4@vault.example.com",
        "--yes",
    ]);
    refused(&ended, "usage");
    assert!(
        ended.stderr.contains("without user and password")
            && !ended.stderr.contains("address=secret:")
            && !ended.stderr.contains("Zq7Lk2Vx9Bn4"),
        "{ended}"
    );
}

#[test]
fn a_program_below_the_home_is_shown_short_and_its_values_are_not_called_good() {
    let test = Test::new();
    test.init();
    let program = test.home.join("bin/read").display().to_string();
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let store =
        format!("[stores.own]\ntype = \"exec\"\nprogram = \"{program}\"\nargs = [\"{{path}}\"]\n");
    std::fs::write(path, format!("{text}\n{store}")).unwrap();
    let shown = test.ok(&["store", "list"]);
    assert!(shown.text().contains("~/bin/read"), "{shown}");
    let rows = test.ok(&["store", "list", "--json"]).json();
    assert_eq!(rows[1]["program"], program);

    let other = "the values in other stores";
    let left = || test.cli(&["check", "--json"]).json()["not_checked"].to_string();
    assert!(!left().contains(other));
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"own:a\"\n",
    );
    assert!(left().contains(other), "{}", left());
}

#[test]
fn a_store_that_only_makes_credentials_names_no_reference() {
    let test = Test::new();
    test.init();
    let program = test.program_file("exec", "#!/bin/sh\n");
    let program = program.display().to_string();
    let add = |kind: &str| {
        let args = ["store", "add", kind, "--type", kind, "--program", &program];
        test.ok(&[&args[..], &["--yes"]].concat()).stderr
    };
    assert!(add("pass").contains("references look like `pass:FOLDER/ENTRY`"));
    let said = add("credential-process");
    assert!(said.contains("policies use it in `[mint.NAME]`"), "{said}");
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"credential-process:default\"\n",
    );
    let ended = test.cli(&["grant", "github", "--yes"]);
    refused(&ended, "reference-invalid");
    assert!(ended.stderr.contains("hint: docs/stores.md"), "{ended}");
}

#[test]
fn a_wrong_value_in_the_config_has_a_way_out() {
    let test = Test::new();
    test.init();
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let store = "[stores.own]\ntype = \"exec\"\ninteractive = true\npoll = \"10s\"\n";
    std::fs::write(path, format!("{text}\n{store}")).unwrap();
    let ended = test.cli(&["store", "list"]);
    refused(&ended, "config-invalid");
    assert!(ended.stderr.contains("hint: correct this line"), "{ended}");
}
