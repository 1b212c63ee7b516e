//! A real `PostgreSQL` server, in which OpenBao makes users.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};
use serde_json::json;

use super::bao::Bao;
use crate::harness::{skip, until};

/// Its administrator, who needs no password.
const ADMIN: &str = "postgres";

/// A running server with its own directory. Ends with the value.
pub(super) struct Postgres {
    programs: PathBuf,
    port: u16,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The fast way to stop that also ends its children.
        let pid = Pid::from_raw(self.process.id().try_into().unwrap());
        kill(pid, Signal::SIGINT).ok();
        drop(self.process.wait());
    }
}

/// Debian's programs that are not on the search path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.flatten().map(|entry| entry.path().join("bin"));
    programs.filter(|path| path.join("initdb").exists()).max()
}

impl Postgres {
    /// None without the program, with a message.
    pub(super) fn start() -> Option<Self> {
        // It does not run as root.
        let user = if geteuid().is_root() {
            User::from_name(ADMIN).unwrap()
        } else {
            User::from_uid(geteuid()).unwrap()
        };
        let (Some(programs), Some(user)) = (programs(), user) else {
            skip("postgres", "no `/usr/lib/postgresql/*/bin/initdb`");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(user.uid), Some(user.gid)).unwrap();
        let data = dir.path().join("data");
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command
                .env_clear()
                .current_dir(dir.path())
                .arg("-D")
                .arg(&data);
            if geteuid().is_root() {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let status = command("initdb")
            .args([
                "-U",
                ADMIN,
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "-E",
                "UTF8",
            ])
            .status();
        assert!(status.unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut server = command("postgres");
        server.args([
            "-p",
            &port.to_string(),
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ]);
        let postgres = Self {
            port,
            process: server.spawn().unwrap(),
            programs,
            _dir: dir,
        };
        until("PostgreSQL answers", || {
            postgres.query(ADMIN, "", "select 1").is_some()
        });
        Some(postgres)
    }

    /// The answer to a query of a user; None if it is refused.
    pub(super) fn query(&self, user: &str, password: &str, query: &str) -> Option<String> {
        let output = Command::new(self.programs.join("psql"))
            .env_clear()
            .env("PGPASSWORD", password)
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                user,
                "-d",
                "postgres",
            ])
            .args(["-X", "-t", "-A", "-c", query])
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// How many users OpenBao made that still exist.
    pub(super) fn users(&self) -> usize {
        let query = "select count(*) from pg_user where usename like 'v-%'";
        self.query(ADMIN, "", query).unwrap().parse().unwrap()
    }

    /// Lets OpenBao make users that live for `life`, and with renewals for `most` (seconds).
    pub(super) fn connect(&self, bao: &Bao, life: u32, most: u32) {
        bao.ask(
            "POST",
            "sys/mounts/database",
            Some(&json!({"type": "database"})),
        );
        let url = format!(
            "postgresql://{{{{username}}}}@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        );
        bao.post(
            "database/config/db",
            &json!({
                "plugin_name": "postgresql-database-plugin", "connection_url": url,
                "username": ADMIN, "password": "", "allowed_roles": "*",
            }),
        );
        bao.post("database/roles/ro", &json!({
            "db_name": "db", "default_ttl": format!("{life}s"), "max_ttl": format!("{most}s"),
            "creation_statements": "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'",
        }));
    }
}
