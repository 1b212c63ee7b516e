//! `mcpwrap store`: adding, listing, checking and removing stores other than the local one.

use crate::harness::{TOKEN, Test, golden, slot};
use crate::messages::message;
use crate::secrets::refused;

/// Writes `config.toml` after `init`, with these lines at its end.
fn with_config(lines: &str) -> Test {
    let test = Test::new();
    test.init();
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{text}{lines}")).unwrap();
    test
}

fn config(test: &Test) -> String {
    std::fs::read_to_string(test.root().join("config.toml")).unwrap()
}

const UNKNOWN: &str = "\n# mine\n[stores.old] # of an older version\ntype = \"none-such\"\n\
    env = { A = \"secret:old/token\", B = \"secret:shared\" }\n";

#[test]
fn a_type_that_does_not_exist_is_named() {
    let test = Test::new();
    test.init();
    let before = config(&test);
    let ended = test.cli(&["store", "add", "corp", "--type", "valt", "--yes"]);
    refused(&ended, "store-unknown");
    assert!(
        ended.stderr.contains("no store has the type `valt`"),
        "{ended}"
    );
    for name in ["secret", "mint", "Op", "a/b"] {
        let ended = test.cli(&["store", "add", name, "--type", "op", "--yes"]);
        refused(&ended, "name-invalid");
    }
    assert_eq!(config(&test), before);
}

#[test]
fn the_local_store_is_the_first_row_of_the_list() {
    let test = with_config(UNKNOWN);
    test.write_policy(
        "github",
        "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"secret:a\"\n\
         [profile.dev.secrets.TOKEN]\nfrom = \"old:x/y\"\n",
    );
    test.write_policy("none", "version = 1\ncommand = [\"cat\"]\n");
    let list = test.ok(&["store", "list", "--json"]);
    golden::check("store/list.json", list.text());
    let secrets = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(
        (&secrets[0]["name"], &secrets[0]["servers"][0]),
        (&"old:x/y".into(), &"github".into())
    );
    let shown = test.ok(&["store", "list"]);
    let rows: Vec<&str> = shown.text().lines().collect();
    assert!(rows[1].starts_with("secret  file"), "{shown}");
    assert!(
        rows[2].contains("not usable: no store has the type"),
        "{shown}"
    );
}

#[test]
fn a_removed_store_leaves_the_rest_and_names_what_is_left() {
    let test = with_config(UNKNOWN);
    test.secret("shared", TOKEN);
    let server = "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"old:x/y\"\n\
        [secrets.OTHER]\nfrom = \"secret:shared\"\n";
    test.write_policy("github", server);
    let dry = test.ok(&["store", "rm", "old", "--dry-run"]);
    assert!(
        dry.text()
            .contains("server `github` will not start without it"),
        "{dry}"
    );
    let mut terminal = test.terminal(&["store", "rm", "old"]);
    terminal.expect("remove it? [y/n]").enter("n");
    let (code, screen) = terminal.end();
    assert!(code == 1 && screen.contains("error[declined]"), "{screen}");
    assert!(config(&test).contains("[stores.old]"));

    let mut terminal = test.terminal(&["store", "rm", "old"]);
    terminal
        .expect("server `github` will not start without it")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("run `mcpwrap secret rm old/token`"),
        "{screen}"
    );
    assert!(!screen.contains("secret rm shared"), "{screen}");
    let left = config(&test);
    assert!(
        !left.contains("stores") && left.contains("key_file"),
        "{left}"
    );
    let records = test.audit();
    let of_store = records.iter().filter(|one| one["reason"] == "store");
    let notes: Vec<_> = of_store.map(|one| one["detail"]["note"].clone()).collect();
    assert_eq!(notes, ["old: removed"]);
    let ended = test.cli(&["store", "rm", "old", "--yes"]);
    refused(&ended, "store-unknown");
    message(&test, "store-unknown", &ended);
}

#[test]
fn a_check_of_several_reports_each() {
    let test = with_config(UNKNOWN);
    let ended = test.cli(&["store", "check", "old", "none", "--json"]);
    assert_eq!(ended.code, 2, "{ended}");
    let rows = ended.json();
    assert_eq!(rows[0]["error"]["code"], "store-unknown");
    assert_eq!(
        (&rows[1]["name"], &rows[1]["works"]),
        (&"none".into(), &false.into())
    );
}

/// A home with an `op` on PATH. It says which vaults there are if it gets the token; else what it got.
fn with_op() -> Test {
    let test = Test::new();
    test.secret("op/token", TOKEN);
    let script = "#!/bin/sh\n[ \"$1\" = vault ] && [ -n \"$OP_SERVICE_ACCOUNT_TOKEN\" ] || {\n\
        echo \"account is not signed in, token $OP_SERVICE_ACCOUNT_TOKEN\" >&2; exit 1; }\n\
        echo '[{\"name\": \"Work\"}, {\"name\": \"Home\\u001b[2J\"}]'\n";
    test.program_file("op", script);
    test.set(
        "PATH",
        format!("{}:/usr/bin:/bin", test.programs().display()),
    );
    test
}

const ADD: &[&str] = &["store", "add", "op", "--type", "op"];
const ENV: &[&str] = &["--env", "OP_SERVICE_ACCOUNT_TOKEN=secret:op/token"];

#[test]
fn a_definition_is_shown_written_and_replaced_after_a_question() {
    let test = with_op();
    let before = config(&test);
    let account = ["--set", "account=acme.1password.com"];
    let dry = test.ok(&[ADD, &account, &["--dry-run"]].concat());
    let program = test.programs().canonicalize().unwrap().join("op");
    let text = format!(
        "[stores.op]\ntype = \"op\"\nprogram = \"{}\"\naccount = \"acme.1password.com\"\n",
        program.display()
    );
    for line in text.lines() {
        assert!(dry.text().contains(line), "{dry}");
    }
    assert_eq!(config(&test), before);
    let args = [ADD, &account].concat();
    let mut terminal = test.terminal(&args);
    terminal.expect("write it? [y/n]").enter("n");
    let (code, screen) = terminal.end();
    assert!(code == 1 && screen.contains("error[declined]"), "{screen}");
    assert_eq!(config(&test), before);
    let mut terminal = test.terminal(&args);
    terminal.expect("account    acme.1password.com").enter("y");
    let (code, screen) = terminal.end();
    assert!(code == 0 && screen.contains("added: store op"), "{screen}");
    assert_eq!(config(&test), format!("{before}\n{text}"));
    let same = test.ok(&[&args[..], &["--yes"]].concat());
    assert!(same.stderr.contains("nothing changed"), "{same}");

    let rest = slot("TOKEN", "op/token").replace("secret:op/token", "op://Work/GitHub/token");
    test.policy("github", &["cat", "-u"], &rest);
    let mut terminal = test.terminal(&[
        "store",
        "add",
        "op",
        "--type",
        "op",
        "--set",
        "account=other",
    ]);
    terminal
        .expect("-account = \"acme.1password.com\"")
        .expect("+account = \"other\"")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("run `mcpwrap grant github`"), "{screen}");
    let notes: Vec<_> = test
        .audit()
        .into_iter()
        .filter(|one| one["reason"] == "store")
        .collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(notes[0]["detail"]["note"], "op: op");
}

#[test]
fn a_secret_in_an_argument_is_refused_and_not_repeated() {
    let test = with_op();
    let before = config(&test);
    // Not registered with the test, which looks at command lines too.
    let token = format!("ghp_{}", "a1B2".repeat(9));
    for pair in [format!("OP_SERVICE_ACCOUNT_TOKEN={token}"), token.clone()] {
        let ended = test.cli(&[ADD, &["--env", &pair, "--yes"]].concat());
        refused(&ended, "usage");
        assert!(!ended.stderr.contains("a1B2"), "{ended}");
    }
    let ended = test.cli(&[ADD, &["--set", &format!("account={token}"), "--yes"]].concat());
    refused(&ended, "usage");
    assert!(!ended.stderr.contains("a1B2"), "{ended}");
    // The type refuses what it does not know, and says what it needs.
    let ended = test.cli(&[ADD, &["--set", "acount=x", "--yes"]].concat());
    refused(&ended, "usage");
    assert!(ended.stderr.contains("unknown setting `acount`"), "{ended}");
    test.set("PATH", "/usr/bin:/bin");
    let ended = test.cli(&[ADD, ENV, &["--yes"]].concat());
    refused(&ended, "store-absent");
    assert_eq!(config(&test), before);
}

#[test]
fn a_check_gives_secrets_to_a_store_only_if_the_user_or_a_grant_says_so() {
    let test = with_op();
    test.ok(&[ADD, ENV, &["--yes"]].concat());
    // Nobody asked for it: no terminal, and no policy.
    let ended = test.cli(&["store", "check", "op"]);
    refused(&ended, "no-terminal");
    test.set("CLAUDECODE", "1");
    refused(&test.cli(&["store", "check", "op"]), "agent-refused");
    test.unset("CLAUDECODE");
    let generation = || test.root().join("state/secrets.toml");
    let index = std::fs::read_to_string(generation()).unwrap();
    let mut terminal = test.terminal(&["store", "check", "op"]);
    terminal
        .expect("which gets `op/token`")
        .expect("use it now? [y/n]")
        .enter("y");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("op: ok") && screen.contains("Work, Home"),
        "{screen}"
    );
    assert!(!screen.contains("\u{1b}[2J"), "{screen}");
    assert_ne!(std::fs::read_to_string(generation()).unwrap(), index);
    let release: Vec<_> = test
        .audit()
        .into_iter()
        .filter(|one| one["event"] == "release")
        .collect();
    assert_eq!(release.len(), 1, "{release:?}");
    assert_eq!(
        (&release[0]["reason"], &release[0]["detail"]["note"]),
        (&"store".into(), &"op".into())
    );

    let rest = slot("TOKEN", "op/token").replace("secret:op/token", "op://Work/GitHub/token");
    test.policy("github", &["cat", "-u"], &rest);
    let ended = test.ok(&["store", "check", "op", "--json"]);
    assert_eq!(ended.json()[0]["works"], true);
    // Another program under the same name is not the one that was granted.
    let script = "#!/bin/sh\necho \"no session expired: $OP_SERVICE_ACCOUNT_TOKEN\" >&2; exit 1\n";
    test.program_file("op", script);
    refused(&test.cli(&["store", "check", "op"]), "no-terminal");
    test.ok(&["grant", "github", "--yes"]);
    let ended = test.cli(&["store", "check", "op"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("error[store-signed-out]"), "{ended}");
    assert!(
        ended
            .stderr
            .contains("the program of store `op` wrote: no session expired: [secret op/token"),
        "{ended}"
    );
    let ended = test.cli(&["store", "check", "op", "none", "--json"]);
    assert_eq!(
        (ended.code, &ended.json()[1]["error"]["code"]),
        (2, &"store-unknown".into())
    );
}

#[test]
fn a_login_without_a_command_says_what_to_do() {
    let test = with_op();
    test.ok(&[ADD, ENV, &["--yes"]].concat());
    let ended = test.cli(&["store", "login", "op"]);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stderr.contains("interactive = true"), "{ended}");
}

#[test]
fn what_an_own_program_cannot_be_asked_is_not_called_good() {
    let test = Test::new();
    test.init();
    let program = test.program_file("own", "#!/bin/sh\necho value-one\n");
    let program = program.display().to_string();
    let args = ["--program", &program, "--set", "args=[\"{path}\"]", "--yes"];
    test.ok(&[&["store", "add", "mine", "--type", "exec"], &args[..]].concat());
    let list = test.ok(&["store", "list", "--json"]).json();
    assert_eq!(
        (&list[1]["name"], &list[1]["program"]),
        (&"mine".into(), &program.into())
    );
    let ended = test.ok(&["store", "check", "mine", "--json"]);
    assert!(ended.json()[0]["works"].is_null(), "{ended}");
}

/// What stands below the grant is shown again by `policy show`, without a grant and after one.
#[test]
fn a_policy_is_shown_with_its_stores() {
    let test = with_config(
        "[stores.corp]\ntype = \"vault\"\naddress = \"https://vault.example.com\"\n\
         auth = { method = \"token\", token = \"secret:vault/token\" }\n",
    );
    let program = test.program_file("key", "#!/bin/sh\n");
    let path = test.root().join("config.toml");
    let text = config(&test);
    let mine = format!(
        "[stores.mine]\ntype = \"exec\"\nprogram = \"{}\"\nargs = [\"get\", \"{{path}}\"]\ninteractive = true\n\
         env = {{ PLACE = \"eu\" }}\n",
        program.display()
    );
    std::fs::write(&path, format!("{text}{mine}")).unwrap();
    let policy = "version = 1\ncommand = [\"cat\"]\n[secrets.TOKEN]\nfrom = \"mine:web/token\"\n\
                  [profile.prod.secrets.TOKEN]\nfrom = \"corp:secret/web#token\"\n";
    test.write_policy("web", policy);
    let shown = || {
        let text = test.ok(&["policy", "show", "web"]).text().to_owned();
        let (_, stores) = text.split_once("  store      ").unwrap();
        format!("  store      {stores}").replace(&program.display().to_string(), "PROGRAM")
    };
    // The interpreter of the program differs between machines.
    let portable = |text: &str| -> String {
        let lines = text
            .split_inclusive('\n')
            .filter(|line| !line.contains("/sh"));
        lines.collect()
    };
    let before = shown();
    golden::check(
        "policy/stores.txt",
        &golden::stable(&test, &portable(&before)),
    );
    let mut terminal = test.terminal(&["grant", "web"]);
    terminal.expect("to confirm: ").enter("web");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    let screen = crate::grant::unwrapped(&screen.replace('\r', ""));
    let screen = screen.replace(&program.display().to_string(), "PROGRAM");
    let rows = crate::grant::unwrapped(&before);
    assert!(screen.contains(&rows), "{rows}\n{screen}");
    assert!(shown().starts_with(&before));

    let json = test.ok(&["policy", "show", "web", "--json"]).json();
    let [corp, mine] = [&json["stores"][0], &json["stores"][1]];
    assert_eq!(corp["facts"]["address"], "https://vault.example.com");
    assert_eq!(
        (&corp["type"], &mine["name"]),
        (&"vault".into(), &"mine".into())
    );
    assert_eq!(mine["facts"]["env"], "PLACE=eu");
    assert_eq!(mine["interactive"], true);

    // What cannot be shown is said, and the policy is shown all the same.
    std::fs::remove_file(&program).unwrap();
    assert!(shown().contains("  `PROGRAM`: no such file"), "{}", shown());
    std::fs::write(&path, text).unwrap();
    let ended = test.ok(&["policy", "show", "web"]);
    let warning = "warning: cannot use store `mine`: `config.toml` has no `[stores.mine]`";
    assert!(ended.stderr.contains(warning), "{ended}");
    assert!(ended.text().contains("mine:web/token"), "{ended}");
    let json = test.ok(&["policy", "show", "web", "--json"]).json();
    assert!(json["stores"].is_null(), "{json}");
}
