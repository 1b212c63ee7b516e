//! Real programs: pass with a key of gpg, SOPS with a key of age, `KeePassXC`, `aws` with a server that plays AWS,
//! `bao`, and `bw` without a login. Each value goes through a launch to a server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use age::secrecy::ExposeSecret as _;

use super::launch::{define, serve, served};
use crate::harness::{TOKEN, Test, skip};

/// A value of several lines, as keys have.
const LINES: &str = "tok_hB3xKw8s\nVd1mPf6yRj4n\nTc2g7q9Z";

/// A program of the system; `None`, with a report, if it is not installed.
fn installed(need: &str, path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    if path.exists() {
        return Some(path);
    }
    skip(need, &format!("there is no `{}`", path.display()));
    None
}

/// A program in `.cache`.
fn cached(need: &str, beneath: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(".cache")
        .join(beneath);
    let found = path.canonicalize().ok();
    if found.is_none() {
        skip(need, "not in `.cache`: `cargo xtask deps` installs it");
    }
    found
}

/// Runs a command with this stdin to its end.
#[track_caller]
fn succeed(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(input));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
    output.stdout
}

/// Reads each of these places through a launch.
fn reads(test: &Test, places: &[(&str, &str)]) {
    for (place, expected) in places {
        serve(test, place);
        assert_eq!(String::from_utf8_lossy(&served(test)), *expected, "{place}");
    }
}

/// The code with which a launch is refused.
fn refused(test: &Test, place: &str) -> String {
    serve(test, place);
    let ended = test.run("fake").refused();
    let (_, rest) = ended.stderr.split_once("error[").unwrap();
    rest.split_once(']').unwrap().0.to_owned()
}

/// A directory of gpg with a key without a passphrase. Its agent ends with the test.
struct Gpg {
    home: PathBuf,
}

impl Gpg {
    fn new(test: &Test) -> Self {
        // Short, because sockets are in it.
        let home = test.dir.join("gpg");
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let gpg = Self { home };
        let words = [
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "ana@example.org",
            "default",
            "default",
            "never",
        ];
        succeed(gpg.set(test.command("/usr/bin/gpg").args(words)), b"");
        gpg
    }

    fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("GNUPGHOME", &self.home)
    }

    fn stop(&self) {
        let mut command = Command::new("/usr/bin/gpgconf");
        let ended = self.set(command.args(["--kill", "all"])).status().unwrap();
        assert!(ended.success());
    }
}

#[test]
fn pass_with_a_key_of_gpg() {
    let test = Test::new();
    let (Some(pass), Some(_)) = (
        installed("pass", "/usr/bin/pass"),
        installed("pass", "/usr/bin/gpg"),
    ) else {
        return;
    };
    test.hide(TOKEN);
    let gpg = Gpg::new(&test);
    let dir = test.dir.join("entries");
    let pass_with = |words: &[&str], input: &str| {
        let mut command = test.command(&pass);
        command.env("PASSWORD_STORE_DIR", &dir).args(words);
        succeed(gpg.set(&mut command), input.as_bytes());
    };
    pass_with(&["init", "ana@example.org"], "");
    pass_with(
        &["insert", "-m", "web/github"],
        &format!("{TOKEN}\nuser: ana\n"),
    );
    let settings = format!(
        "type = \"pass\"\nprogram = {pass:?}\nenv = {{ PASSWORD_STORE_DIR = {dir:?}, GNUPGHOME = {:?} }}",
        gpg.home
    );
    define(&test, "pass", &settings);
    define(&test, "all", &format!("{settings}\nline = \"all\""));
    reads(
        &test,
        &[
            ("pass:web/github", TOKEN),
            ("pass:web/github#user", "ana"),
            ("all:web/github", &format!("{TOKEN}\nuser: ana")),
        ],
    );
    // A folder, for which pass prints a tree and succeeds.
    assert_eq!(refused(&test, "pass:web"), "secret-not-found");
    assert_eq!(refused(&test, "pass:web/gitlab"), "secret-not-found");
    assert_eq!(refused(&test, "pass:web/github#pin"), "secret-not-found");
    // A key with a passphrase that the agent does not know: nobody is asked.
    gpg.stop();
    std::fs::remove_dir_all(&gpg.home).unwrap();
    std::fs::create_dir(&gpg.home).unwrap();
    std::fs::set_permissions(&gpg.home, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(refused(&test, "pass:web/github"), "store-locked");
    gpg.stop();
}

#[test]
fn sops_with_a_key_of_age() {
    let test = Test::new();
    let Some(sops) = cached("stores", "pypi/stores/bin/sops") else {
        return;
    };
    test.hide(LINES);
    let key = age::x25519::Identity::generate();
    let key_file = test.dir.join("key.txt");
    std::fs::write(&key_file, key.to_string().expose_secret()).unwrap();
    let plain =
        serde_json::json!({"gh": {"token": LINES, "port": 5432, "on": true}, "a.b": "dotted"});
    let mut command = test.command(&sops);
    command.args([
        "-e",
        "--age",
        &key.to_public().to_string(),
        "--input-type",
        "json",
        "--output-type",
        "yaml",
        "/dev/stdin",
    ]);
    let encrypted = succeed(&mut command, plain.to_string().as_bytes());
    let file = test.home.join("secrets.yaml");
    std::fs::write(&file, encrypted).unwrap();
    let settings = format!(
        "type = \"sops\"\nprogram = {sops:?}\ndirectory = {:?}",
        test.home
    );
    define(
        &test,
        "sops",
        &format!("{settings}\nenv = {{ SOPS_AGE_KEY_FILE = {key_file:?} }}"),
    );
    define(&test, "keyless", &settings);
    let whole = format!("sops:{}#gh.token", file.display());
    reads(
        &test,
        &[
            ("sops:secrets.yaml#gh.token", LINES),
            (&whole, LINES),
            ("sops:secrets.yaml#a.b", "dotted"),
            ("sops:secrets.yaml#gh.port", "5432"),
        ],
    );
    assert_eq!(
        refused(&test, "sops:secrets.yaml#gh.none"),
        "secret-not-found"
    );
    assert_eq!(
        refused(&test, "sops:secrets.yaml#gh"),
        "store-answer-invalid"
    );
    assert_eq!(refused(&test, "sops:none.yaml#a"), "secret-not-found");
    assert_eq!(
        refused(&test, "keyless:secrets.yaml#gh.token"),
        "store-locked"
    );
    std::fs::write(test.home.join("plain.yaml"), "a: b\n").unwrap();
    assert_eq!(refused(&test, "sops:plain.yaml#a"), "store-answer-invalid");
}

#[test]
fn keepassxc() {
    let test = Test::new();
    let Some(program) = installed("keepassxc", "/usr/bin/keepassxc-cli") else {
        return;
    };
    test.secret("kdbx", "hen9-Vq3 of Kdbx");
    test.secret("wrong", "other7-Zk2 of Kdbx");
    test.hide(TOKEN);
    let file = test.dir.join("web.kdbx");
    let run = |words: &[&str], input: &str| {
        let mut command = test.command(&program);
        succeed(
            command.args(words).env("QT_QPA_PLATFORM", "offscreen"),
            input.as_bytes(),
        );
    };
    let (db, password) = (file.to_str().unwrap(), "hen9-Vq3 of Kdbx\n");
    run(
        &["db-create", "-q", "-p", "-t", "100", db],
        &password.repeat(2),
    );
    run(&["mkdir", "-q", db, "web"], password);
    let add = ["add", "-q", "-u", "ana", "-p", db, "web/github"];
    run(&add, &format!("{password}{TOKEN}\n{TOKEN}\n"));
    let settings = format!("type = \"keepassxc\"\nprogram = {program:?}\ndatabase = {file:?}");
    define(
        &test,
        "kdbx",
        &format!("{settings}\npassword = \"secret:kdbx\""),
    );
    define(
        &test,
        "wrong",
        &format!("{settings}\npassword = \"secret:wrong\""),
    );
    reads(
        &test,
        &[
            ("kdbx:web/github", TOKEN),
            ("kdbx:web/github#UserName", "ana"),
        ],
    );
    assert_eq!(refused(&test, "kdbx:web/gitlab"), "secret-not-found");
    assert_eq!(refused(&test, "kdbx:web/github#Pin"), "secret-not-found");
    assert_eq!(refused(&test, "wrong:web/github"), "store-locked");
}

/// A server that plays AWS, ended with the test.
struct Moto {
    child: Child,
    address: String,
}

impl Moto {
    fn start(test: &Test, program: &Path) -> Self {
        let mut command = test.command(program);
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = |line: String| {
            let (_, address) = line.split_once("Running on ")?;
            Some(address.trim().to_owned())
        };
        let address = lines
            .by_ref()
            .find_map(|line| ready(line.unwrap()))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn aws_with_a_server_that_plays_it() {
    let test = Test::new();
    let (Some(aws), Some(moto)) = (
        cached("stores", "pypi/stores/bin/aws"),
        cached("stores", "pypi/stores/bin/moto_server"),
    ) else {
        return;
    };
    let moto = Moto::start(&test, &moto);
    test.secret("aws/key", "dummy-access-key");
    test.hide(TOKEN);
    let aws_with = |words: &[&str]| {
        let mut command = test.command(&aws);
        command
            .args(words)
            .args(["--region", "eu-west-1", "--endpoint-url", &moto.address]);
        command.envs([
            ("AWS_ACCESS_KEY_ID", "AKIATEST"),
            ("AWS_SECRET_ACCESS_KEY", "dummy"),
        ]);
        succeed(&mut command, b"");
    };
    let document = format!("{{\"token\":\"{TOKEN}\",\"port\":5432}}");
    let create = ["secretsmanager", "create-secret", "--name"];
    aws_with(&[&create[..], &["prod/github", "--secret-string", &document]].concat());
    aws_with(
        &[
            &create[..],
            &["binary", "--secret-binary", "bytes of a key"],
        ]
        .concat(),
    );
    let put = ["ssm", "put-parameter", "--type", "SecureString", "--name"];
    aws_with(&[&put[..], &["/prod/token", "--value", TOKEN]].concat());
    let settings = |kind: &str, address: &str| {
        format!(
            "type = \"{kind}\"\nprogram = {aws:?}\nregion = \"eu-west-1\"\ndeadline = \"6s\"\nenv = {{ AWS_ACCESS_KEY_ID = \"AKIATEST\", \
             AWS_SECRET_ACCESS_KEY = \"secret:aws/key\", AWS_ENDPOINT_URL = \"{address}\" }}"
        )
    };
    define(&test, "sm", &settings("aws-sm", &moto.address));
    define(&test, "ssm", &settings("aws-ssm", &moto.address));
    define(&test, "offline", &settings("aws-sm", "http://127.0.0.1:9"));
    let without =
        format!("type = \"aws-sm\"\nprogram = {aws:?}\nregion = \"eu-west-1\"\ndeadline = \"6s\"");
    define(&test, "nobody", &without);
    reads(
        &test,
        &[
            ("sm:prod/github#token", TOKEN),
            ("sm:prod/github", &document),
            ("sm:binary", "bytes of a key"),
            ("ssm:/prod/token", TOKEN),
            ("ssm:/prod/token?version=1", TOKEN),
        ],
    );
    assert_eq!(refused(&test, "sm:prod/none"), "secret-not-found");
    assert_eq!(refused(&test, "sm:prod/github#none"), "secret-not-found");
    assert_eq!(refused(&test, "ssm:/prod/none"), "secret-not-found");
    assert_eq!(refused(&test, "offline:prod/github"), "store-unavailable");
    assert_eq!(refused(&test, "nobody:prod/github"), "store-signed-out");
}

#[test]
fn bw_without_a_login() {
    let test = Test::new();
    let Some(bw) = cached("bitwarden", "bitwarden/node_modules/.bin/bw") else {
        return;
    };
    let node = Path::new("/usr/bin/node");
    if !node.exists() {
        return skip("bitwarden", "there is no `/usr/bin/node`");
    }
    define(
        &test,
        "bw",
        &format!("type = \"bw\"\nprogram = {bw:?}\ndeadline = \"6s\""),
    );
    let place = "bw:382580ab-1368-4e85-bfa3-b02e01400c9f";
    assert_eq!(refused(&test, place), "store-signed-out");
    // It does not write into the current folder.
    assert!(!Path::new("/.config").join("Bitwarden CLI").exists());
}
