//! What tests of logins and refreshes share: a home of their own, and a scripted internet.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::json;

use super::exchange::script::Script;
use super::item::TokenItem;
use super::login::{LoginBrowser, LoginPlan, carry_out, plan};
use super::place::TokenPlace;
use super::renewal::{RenewalOrder, Renewed, renew};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::files;
use crate::policy::{self, Policy};
use crate::secret::{Keys, ServerName};
use crate::store::{self, Prompt, Store};

pub const MCP: &str = "https://mcp.example/mcp";
pub const RESOURCE: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
pub const ISSUER: &str = "https://as.example/.well-known/oauth-authorization-server";
pub const REGISTER: &str = "https://as.example/register";
pub const TOKEN: &str = "https://as.example/token";
pub const REVOKE: &str = "https://as.example/revoke";

/// A home with a vault and a policy.
pub struct Home {
    _dir: tempfile::TempDir,
    pub dirs: Dirs,
    pub store: Box<dyn Store>,
    pub keys: Keys,
    pub policy: Policy,
}

impl Home {
    /// `rest` follows `[oauth]` in the policy.
    pub fn new(rest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let dirs = Dirs::under(dir.path());
        let config = Config {
            store: crate::config::StoreKind::File,
            key_file: Some("~/key".into()),
            ..Config::default()
        };
        store::prepare_key_file(&dirs, &dir.path().join("key")).unwrap();
        store::create_vault(&dirs, &config).unwrap();
        let text = format!("version = 1\nurl = \"{MCP}\"\n[oauth]\n{rest}");
        files::replace(&dirs.policies().join("s.toml"), text.as_bytes()).unwrap();
        let server = ServerName::new("s").unwrap();
        let policy = policy::load(&dirs, &server, None).unwrap();
        let store = store::open(&dirs, &config, Prompt::Never).unwrap();
        let keys = store::keys_or_create(&*store).unwrap();
        Self {
            _dir: dir,
            dirs,
            store,
            keys,
            policy,
        }
    }

    pub fn place(&self) -> TokenPlace<'_> {
        TokenPlace::new(&self.dirs, &*self.store, &self.policy).unwrap()
    }

    pub fn plan(&self, script: &Script) -> Result<LoginPlan> {
        plan(&self.place(), &self.keys, script, false)
    }

    /// Logs in; `answer` is the query that the browser brings back, `STATE` and `ISSUER` filled in.
    pub fn log_in(&self, script: &Script, answers: &'static [&'static str]) -> Result<TokenItem> {
        self.log_in_shown(script, answers, &mut |_| {})
    }

    /// [`Self::log_in`]; `seen` gets each address that the browser opens.
    pub fn log_in_shown(
        &self,
        script: &Script,
        answers: &'static [&'static str],
        seen: &mut dyn FnMut(&str),
    ) -> Result<TokenItem> {
        let plan = self.plan(script)?;
        let mut answers = answers.iter();
        let mut show = |address: &str| {
            seen(address);
            let address = address.to_owned();
            let answer = answers.next().copied().unwrap_or_default();
            std::thread::spawn(move || browse(&address, answer));
        };
        let (_sender, pasted): (Sender<Option<String>>, Receiver<Option<String>>) = channel();
        let mut browser = LoginBrowser {
            show: &mut show,
            pasted: &pasted,
            wrong: &mut |_| {},
        };
        carry_out(&self.place(), &self.keys, script, &plan, &mut browser)
    }

    pub fn item(&self) -> TokenItem {
        self.place().item().unwrap().unwrap()
    }

    pub fn renew(
        &self,
        script: &Script,
        seen: u64,
        is_rejected: bool,
        now: i64,
    ) -> Result<Renewed> {
        let order = RenewalOrder { seen, is_rejected };
        renew(&self.place(), &self.keys, script, order, &|| now)
    }
}

/// The value of a parameter of an address, decoded.
pub fn parameter(address: &str, name: &str) -> String {
    let (_, query) = address.split_once('?').unwrap();
    let found = query
        .split('&')
        .find_map(|part| part.strip_prefix(&format!("{name}=")));
    let found = percent_encoding::percent_decode_str(found.unwrap_or_default());
    found.decode_utf8().unwrap().into_owned()
}

/// What a browser does: brings the answer to the redirect, and reads the page.
pub fn browse(address: &str, answer: &str) -> String {
    let redirect = parameter(address, "redirect_uri");
    let (host, path) = redirect
        .trim_start_matches("http://")
        .split_once('/')
        .unwrap();
    let query = answer.replace("STATE", &parameter(address, "state"));
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET /{path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// A server with an issuer; `more` are fields of the issuer's metadata.
pub fn internet(more: &serde_json::Value) -> Script {
    let mut issuer = json!({
        "issuer": "https://as.example", "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": TOKEN, "revocation_endpoint": REVOKE, "registration_endpoint": REGISTER,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    });
    let fields = more.as_object().unwrap().clone();
    issuer.as_object_mut().unwrap().extend(fields);
    let resource = json!({"resource": MCP, "authorization_servers": ["https://as.example"], "scopes_supported": ["read"]});
    Script::default()
        .answer(MCP, 401, "")
        .answer(RESOURCE, 200, &resource.to_string())
        .answer(ISSUER, 200, &issuer.to_string())
}

pub fn granted(n: u32, life: i64) -> String {
    json!({"access_token": format!("at-{n}"), "refresh_token": format!("rt-{n}"), "token_type": "Bearer", "expires_in": life})
        .to_string()
}

/// A home that is logged in, and the script's last words.
pub fn logged_in() -> Home {
    let home = Home::new("");
    let script = internet(&json!({}))
        .answer(REGISTER, 201, r#"{"client_id": "c1"}"#)
        .answer(TOKEN, 200, &granted(1, 3600));
    home.log_in(&script, &["code=c&state=STATE"]).unwrap();
    assert!(script.is_done());
    home
}
