//! The keychain store with the real `KWallet` and `KeePassXC`: what each does, and what our messages say
//! when it is locked.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::desktop::{Desktop, probed};
use crate::harness::{TOKEN, Test, skip};
use crate::keychain::{ANSWER, grant, not_started, refused, set, started};

const PASSWORD: &str = "password of the database";

/// A bus without services, if this program is there. Its word in `MCPWRAP_TEST_REQUIRE` is `word`.
fn bare<'a>(test: &'a Test, word: &str, program: &str) -> Option<Desktop<'a>> {
    if !Path::new("/usr/bin").join(program).exists() {
        skip(word, &format!("there is no `{program}`"));
        return None;
    }
    let desktop = Desktop::bare(test)?;
    test.set("QT_QPA_PLATFORM", "offscreen");
    test.set("TMPDIR", test.dir.join("run"));
    Some(desktop)
}

fn spawn(command: &mut Command) -> Child {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

/// An open wallet of KDE, as after a login.
fn kwallet(test: &Test) -> Option<Desktop<'_>> {
    let desktop = bare(test, "kwallet", "kwalletd5")?;
    let config = test.home.join(".config");
    std::fs::create_dir(&config).unwrap();
    let text = "[Wallet]\nEnabled=true\nFirst Use=false\nClose When Idle=false\n";
    std::fs::write(config.join("kwalletrc"), text).unwrap();
    let start = || spawn(test.command("/usr/bin/kwalletd5").stdin(Stdio::null()));
    // The first one creates the wallet. Only what is there when it starts becomes a collection.
    desktop.adopt(start());
    open_wallet(&desktop);
    crate::desktop::wait_for(|| {
        test.home
            .join(".local/share/kwalletd/kdewallet.kwl")
            .exists()
    });
    desktop.kill_keyring();
    desktop.adopt(start());
    open_wallet(&desktop);
    Some(desktop)
}

/// What the login does.
fn open_wallet(desktop: &Desktop<'_>) {
    let key = format!("array:byte:{}", ["65"; 56].join(","));
    let call = |method: &str, arguments: &[&str]| {
        let method = format!("org.kde.KWallet.{method}");
        desktop.send_to(
            "org.kde.kwalletd5",
            "/modules/kwalletd5",
            &method,
            arguments,
        )
    };
    // `pamOpen` has no answer.
    call("pamOpen", &["string:kdewallet", &key, "int32:0"]);
    crate::desktop::wait_for(|| {
        let open = call("isOpen", &["string:kdewallet"]);
        open.is_some_and(|text| text.contains("boolean true"))
    });
}

/// A database of `KeePassXC` that exposes its items.
struct Database<'a> {
    test: &'a Test,
    /// What the settings add.
    settings: &'a str,
}

impl Database<'_> {
    fn create(&self) {
        let text = "<KeePassFile><Meta><Generator>KeePassXC</Generator><CustomData><Item>\
            <Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{01020304-0506-0708-090a-0b0c0d0e0f10}</Value>\
            </Item></CustomData></Meta><Root><Group><UUID>AQIDBAUGBwgJCgsMDQ4PEA==</UUID>\
            <Name>Root</Name></Group></Root></KeePassFile>";
        let xml = self.test.dir.join("database.xml");
        std::fs::write(&xml, text).unwrap();
        let mut import = self
            .test
            .command("/usr/bin/keepassxc-cli")
            .args(["import", "--set-password", "--decryption-time", "100"])
            .arg(xml)
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let twice = format!("{PASSWORD}\n{PASSWORD}\n");
        import
            .stdin
            .take()
            .unwrap()
            .write_all(twice.as_bytes())
            .unwrap();
        assert!(import.wait().unwrap().success());
    }

    /// Waits until these items are in the file: `KeePassXC` writes it a moment after each change.
    fn wait_until_saved(&self, labels: &[&str]) {
        crate::desktop::wait_for(|| {
            let mut list = self
                .test
                .command("/usr/bin/keepassxc-cli")
                .args(["ls", "-q"])
                .arg(self.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let line = format!("{PASSWORD}\n");
            drop(list.stdin.take().unwrap().write_all(line.as_bytes()));
            let listed = list.wait_with_output().unwrap().stdout;
            let listed = String::from_utf8_lossy(&listed).into_owned();
            labels.iter().all(|label| listed.contains(label))
        });
    }

    fn path(&self) -> std::path::PathBuf {
        self.test.dir.join("database.kdbx")
    }

    /// Starts the program, with the database unlocked or locked.
    fn open(&self, desktop: &Desktop<'_>, is_locked: bool) {
        let settings = self.test.dir.join("keepassxc.ini");
        let text = format!(
            "[GUI]\nCheckForUpdates=false\n[FdoSecrets]\nEnabled=true\n{}",
            self.settings
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = self.test.command("/usr/bin/keepassxc");
        let local = self.test.dir.join("local.ini");
        command
            .arg("--config")
            .arg(settings)
            .arg("--localconfig")
            .arg(local);
        if !is_locked {
            command.arg("--pw-stdin");
        }
        let mut child = spawn(command.arg(self.path()).stdin(Stdio::piped()));
        let line = format!("{PASSWORD}\n");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        desktop.adopt(child);
        desktop.wait_for_default(is_locked);
    }
}

/// Unlocked, with these settings.
fn keepassxc<'a>(test: &'a Test, settings: &'a str) -> Option<(Desktop<'a>, Database<'a>)> {
    let desktop = bare(test, "keepassxc", "keepassxc")?;
    let database = Database { test, settings };
    database.create();
    database.open(&desktop, false);
    Some((desktop, database))
}

/// What a user must set for launches without a question.
const UNATTENDED: &str = "ConfirmAccessItem=false\nConfirmDeleteItem=false\n";

fn contract(test: &Test) {
    for kind in ["contract", "keyring"] {
        let ended = probed(test, &[kind], b"");
        let expected = format!("{kind}: ok\n");
        assert_eq!((ended.code, ended.text()), (0, &*expected), "{ended}");
    }
}

/// Set, list, launch, a second item of the same name, and remove.
fn commands(test: &Test, desktop: &Desktop<'_>, manager: &str) {
    test.ok(&["init"]);
    test.ok(&["status"]);
    set(test, "github/token", TOKEN.as_bytes());
    grant(test);
    started(test);
    let list = test.ok(&["secret", "list", "--json"]).json();
    assert_eq!(list.as_array().unwrap().len(), 1);

    let name = ["service", "mcpwrap", "username", "github/token"];
    let lookup = test
        .command("/usr/bin/secret-tool")
        .arg("lookup")
        .args(name)
        .output();
    assert_eq!(lookup.unwrap().stdout, TOKEN.as_bytes());
    let mut double = vec!["store", "--label=double"];
    double.extend(name);
    double.extend(["more", "1"]);
    assert_eq!(desktop.secret_tool(&double, b"another value").code, 0);
    let ended = probed(test, &["get", "github/token"], b"");
    refused(&ended, "secret-ambiguous");
    assert!(ended.stderr.contains(manager), "{ended}");
    test.ok(&["secret", "rm", "github/token", "--yes"]);
    let ended = probed(test, &["get", "github/token"], b"");
    refused(&ended, "secret-not-found");
}

/// Every command fails at once, and the messages name the program and not another one.
fn locked(test: &Test, program: &str, hint: &str) {
    let start = Instant::now();
    let mut all = vec![not_started(test)];
    all.push(probed(test, &["get", "github/token"], b""));
    all.push(probed(test, &["get", "other"], b""));
    all.push(probed(test, &["put", "other"], b"value"));
    assert!(start.elapsed() < ANSWER, "{:?}", start.elapsed());
    for ended in all {
        refused(&ended, "store-locked");
        let named = ended.stderr.contains(program) && ended.stderr.contains(hint);
        assert!(named && !ended.stderr.contains("gnome"), "{ended}");
    }
    let status = test.cli(&["status", "--json"]).json();
    assert_eq!(status["store"]["error"], "store-locked");
}

#[test]
fn the_contract_of_every_store_holds_for_kwallet() {
    let test = Test::new();
    let Some(_desktop) = kwallet(&test) else {
        return;
    };
    contract(&test);
}

#[test]
fn the_commands_work_with_kwallet() {
    let test = Test::new();
    let Some(desktop) = kwallet(&test) else {
        return;
    };
    commands(&test, &desktop, "KWalletManager");
}

/// Until something asks to unlock it, KDE's Secret Service says that an open wallet is locked.
#[test]
fn a_wallet_that_the_login_opened_is_used_and_a_closed_one_is_not() {
    let test = Test::new();
    let Some(desktop) = kwallet(&test) else {
        return;
    };
    desktop.wait_for_default(true);
    test.ok(&["init"]);
    set(&test, "github/token", TOKEN.as_bytes());
    grant(&test);
    desktop.lock_collection("kdewallet");
    desktop.wait_for_default(true);
    locked(&test, "KWallet", "open the wallet in KWalletManager");
    open_wallet(&desktop);
    started(&test);
}

#[test]
fn the_contract_of_every_store_holds_for_keepassxc() {
    let test = Test::new();
    let Some(_opened) = keepassxc(&test, UNATTENDED) else {
        return;
    };
    contract(&test);
}

#[test]
fn the_commands_work_with_keepassxc() {
    let test = Test::new();
    let Some((desktop, _)) = keepassxc(&test, UNATTENDED) else {
        return;
    };
    commands(&test, &desktop, "KeePassXC");
}

/// `KeePassXC` answers a search of a locked database with a window, and only after the user did.
#[test]
fn a_locked_database_is_not_searched() {
    let test = Test::new();
    let Some((desktop, database)) = keepassxc(&test, UNATTENDED) else {
        return;
    };
    test.ok(&["init"]);
    set(&test, "github/token", TOKEN.as_bytes());
    grant(&test);
    database.wait_until_saved(&["key of grants and audit log", "mcpwrap: github/token"]);
    desktop.kill_keyring();
    database.open(&desktop, true);
    locked(&test, "KeePassXC", "unlock the database in KeePassXC");
    desktop.kill_keyring();
    database.open(&desktop, false);
    started(&test);
}

/// With its default settings, `KeePassXC` asks the user before each access.
#[test]
fn access_that_must_be_confirmed_is_not_waited_for() {
    let test = Test::new();
    let Some((_desktop, _)) = keepassxc(&test, "") else {
        return;
    };
    set_by_probe(&test);
    let start = Instant::now();
    let ended = probed(&test, &["get", "github/token"], b"");
    assert!(start.elapsed() < ANSWER);
    refused(&ended, "store-locked");
    assert!(ended.stderr.contains("Confirm when passwords"), "{ended}");
}

fn set_by_probe(test: &Test) {
    test.hide(TOKEN);
    let ended = probed(test, &["put", "github/token"], TOKEN.as_bytes());
    assert_eq!(ended.code, 0, "{ended}");
}
