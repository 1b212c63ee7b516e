//! The cost of the keychain in a launch: one secret and the user's keys, against the minimal D-Bus
//! exchange for two items, written byte by byte. Starts its own session bus and gnome-keyring;
//! reports and stops where they are not installed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a program that measures, and may fail loudly"
)]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mcpwrap::testing::config::{Config, StoreKind};
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::secret::{Secret, SecretName};
use mcpwrap::testing::store::{self, Prompt, SecretItem};

const ROUNDS: usize = 300;
/// Set in the second run of this program, inside the session.
const INSIDE: &str = "MCPWRAP_BENCH_SESSION";
const KEYRING: &str = "printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize \
    >/dev/null && exec \"$0\" --bench";

fn main() {
    if let Some(home) = std::env::var_os(INSIDE) {
        return measure(Path::new(&home));
    }
    if ["dbus-run-session", "gnome-keyring-daemon"]
        .iter()
        .any(|name| !Path::new("/usr/bin").join(name).exists())
    {
        println!("skipped: dbus-run-session or gnome-keyring-daemon not found");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(home.path(), private).unwrap();
    let status = Command::new("/usr/bin/dbus-run-session")
        .args(["--", "sh", "-c", KEYRING])
        .arg(std::env::current_exe().unwrap())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", INSIDE].map(|name| (name, home.path())))
        .status();
    assert!(status.unwrap().success());
}

fn measure(home: &Path) {
    let dirs = Dirs::under(&home.join("mcpwrap"));
    let config = Config {
        store: StoreKind::Keychain,
        ..Config::default()
    };
    let name = SecretName::new("bench/token").unwrap();
    let open = || store::open(&dirs, &config, Prompt::Never).unwrap();
    let store = open();
    store::keys_or_create(&*store).unwrap();
    let item = SecretItem {
        value: Secret::new(b"ghp_0123456789abcdefghijklmnop".to_vec()),
        profile: None,
        expires: None,
    };
    store.put(&name, &item).unwrap();
    let names = [name];
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        exchange();
        raw.push(began.elapsed());
        let began = Instant::now();
        let batch = open().get_all(&names).unwrap();
        ours.push(began.elapsed());
        assert_eq!(batch.items.len(), 1);
    }
    let [raw, ours] = [raw, ours].map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("one secret and the master key from gnome-keyring, median of {ROUNDS}");
    println!("  raw D-Bus        {:>9.3} ms   1.00", ms(raw));
    println!(
        "  mcpwrap          {:>9.3} ms   {:.2} (limit 1.20)",
        ms(ours),
        ms(ours) / ms(raw)
    );
}

const BUS: &str = "org.freedesktop.DBus";
const SECRETS: &str = "org.freedesktop.secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const ITEM: &str = "org.freedesktop.Secret.Item";

/// Connects, opens a plain session, finds two items by their attributes and reads both, one request
/// after the other.
fn exchange() {
    let mut bus = Raw::connect();
    bus.call([BUS, "/org/freedesktop/DBus", BUS, "Hello"], "", &[]);
    let mut plain = Body::default();
    plain.text("plain");
    plain.0.extend([1, b's', 0]);
    plain.text("");
    let root = "/org/freedesktop/secrets";
    let answer = bus.call([SECRETS, root, SERVICE, "OpenSession"], "sv", &plain.0);
    // After an empty string in a variant.
    let session = text_at(&answer, 12);
    let items = [
        ("mcpwrap", "bench/token"),
        ("mcpwrap-internal", "master-key"),
    ];
    for (service, name) in items {
        let mut wanted = Body::default();
        wanted.attributes(&[("service", service), ("username", name)]);
        let found = bus.call([SECRETS, root, SERVICE, "SearchItems"], "a{ss}", &wanted.0);
        let item = text_at(&found, 4);
        let mut of = Body::default();
        of.text(&session);
        let value = bus.call([SECRETS, &item, ITEM, "GetSecret"], "o", &of.0);
        assert!(value.len() > 30, "a value");
    }
}

/// The body of a D-Bus message (little endian).
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: usize) {
        self.align(4);
        self.0.extend((number as u32).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn attributes(&mut self, attributes: &[(&str, &str)]) {
        self.number(0);
        self.align(8);
        let start = self.0.len();
        for (name, value) in attributes {
            self.align(8);
            self.text(name);
            self.text(value);
        }
        let length = (self.0.len() - start) as u32;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
    }
}

fn number_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn text_at(bytes: &[u8], at: usize) -> String {
    String::from_utf8(bytes[at + 4..at + 4 + number_at(bytes, at)].to_vec()).unwrap()
}

struct Raw {
    socket: UnixStream,
    serial: usize,
}

impl Raw {
    fn connect() -> Self {
        let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
        let path = address.strip_prefix("unix:path=").unwrap();
        let path = path.split(',').next().unwrap();
        let mut socket = UnixStream::connect(path).unwrap();
        let uid = nix::unistd::geteuid().to_string();
        let uid = mcpwrap::testing::secret::hex(uid.as_bytes());
        write!(socket, "\0AUTH EXTERNAL {uid}\r\n").unwrap();
        let mut answer = [0; 256];
        let count = socket.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"OK "));
        socket.write_all(b"BEGIN\r\n").unwrap();
        Self { socket, serial: 0 }
    }

    /// Calls a method (destination, path, interface, member); returns the body of the answer.
    fn call(&mut self, to: [&str; 4], signature: &str, body: &[u8]) -> Vec<u8> {
        self.serial += 1;
        let mut message = Body(vec![b'l', 1, 0, 1]);
        message.number(body.len());
        message.number(self.serial);
        message.number(0);
        let [destination, path, interface, member] = to;
        for (code, kind, text) in [
            (1, b'o', path),
            (2, b's', interface),
            (3, b's', member),
            (6, b's', destination),
        ] {
            message.align(8);
            message.0.extend([code, 1, kind, 0]);
            message.text(text);
        }
        if !signature.is_empty() {
            message.align(8);
            message.0.extend([8, 1, b'g', 0, signature.len() as u8]);
            message.0.extend(signature.as_bytes());
            message.0.push(0);
        }
        let fields = (message.0.len() - 16) as u32;
        message.0[12..16].copy_from_slice(&fields.to_le_bytes());
        message.align(8);
        message.0.extend(body);
        self.socket.write_all(&message.0).unwrap();
        loop {
            let mut head = [0; 16];
            self.socket.read_exact(&mut head).unwrap();
            let fields = number_at(&head, 12).next_multiple_of(8);
            let mut rest = vec![0; fields + number_at(&head, 4)];
            self.socket.read_exact(&mut rest).unwrap();
            // Skips signals.
            match head[1] {
                2 => return rest.split_off(fields),
                3 => panic!("{}", String::from_utf8_lossy(&rest)),
                _ => {}
            }
        }
    }
}
