//! HashiCorp Vault and OpenBao over HTTP (`type = "vault"`): values of any secrets engine. Not to be confused
//! with the vault file, a local store.
//!
//! Invariants: one sign-in per use; a path is read once, whatever is taken of it; nothing comes from
//! the environment; a credential that a read made is withdrawn, not used.

mod address;
mod fault;
mod fields;
mod http;
mod kv;
mod lease;
mod login;
mod mounts;
mod server;
mod settings;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::fault::cannot_use;
use self::http::ServerClient;
use self::server::{ServerCredentials, ServerStore};
use self::settings::ServerSettings;
use super::source::{
    Minter, SecretSource, SourceType, SourceValue, StoreCheck, StoreNetwork, StoreSetup,
};
use crate::config::StoreDefinition;
use crate::error::{Code, Error, Result};
use crate::https::{self, RouteFault, WebRoute};
use crate::reference::StorePlace;
use crate::secret::StoreName;

/// The limit of a request that has no other.
const LIMIT: Duration = Duration::from_mins(1);

/// The types of this module.
pub const TYPES: &[SourceType] = &[SourceType {
    id: "vault",
    about: "HashiCorp Vault or OpenBao, over HTTP",
    example: "secret/mcp/slack#token",
    needs: "`address`, `auth` (token, token_file, approle, jwt or userpass); also `namespace`, `ca_file`",
    tested: "OpenBao 2.7.2, with PostgreSQL for leases",
    programs: &[],
    variables: &[
        ("address", &["BAO_ADDR", "VAULT_ADDR"]),
        ("namespace", &["BAO_NAMESPACE", "VAULT_NAMESPACE"]),
        ("ca_file", &["BAO_CACERT", "VAULT_CACERT"]),
    ],
    sign_in: |_| None,
    sign_in_hint: "store a valid token or login of the store, as its `auth` names it; or run `bao login` for `token_file`",
    check: |definition| ServerSettings::new(definition).map(drop),
    check_place: |_, place| kv::check_place(place),
    program: |_| None,
    shown,
    open,
}];

fn shown(definition: &StoreDefinition) -> Vec<(&'static str, String)> {
    let Ok(settings) = ServerSettings::new(definition) else {
        return Vec::new();
    };
    let mut lines = vec![("address", settings.base())];
    let optional = [
        ("namespace", &settings.namespace),
        ("authority", &settings.ca_file),
    ];
    for (name, value) in optional {
        lines.extend(value.clone().map(|value| (name, value)));
    }
    lines.push(("signs in", settings.auth.shown()));
    lines
}

fn open(setup: &StoreSetup<'_>) -> Result<Box<dyn SecretSource>> {
    let name = setup.name;
    let settings = ServerSettings::new(setup.definition)
        .map_err(|why| cannot_use(Code::StoreUnknown, name).cause(why))?;
    let looks_up = settings.url.is_name();
    let ca_file = settings.ca_file.as_ref();
    let ca_file = ca_file.map(|path| setup.dirs.expand(path));
    let agent = if settings.url.is_encrypted {
        let route = route(setup.network, ca_file.clone(), settings.url.is_loopback());
        https::agent(&route, LIMIT, looks_up)
    } else {
        https::plain_agent(LIMIT, looks_up)
    };
    let agent = agent.map_err(|fault| unroutable(name, fault, ca_file))?;
    Ok(Box::new(ServerStore {
        name: name.clone(),
        client: ServerClient {
            agent,
            url: settings.url.clone(),
            base: settings.base(),
            namespace: settings.namespace.clone(),
        },
        settings,
        credentials: ServerCredentials {
            secrets: setup.secrets.clone(),
            dirs: setup.dirs.clone(),
        },
    }))
}

/// Nothing of this machine goes through a proxy.
fn route(network: &StoreNetwork, ca_file: Option<PathBuf>, is_local: bool) -> WebRoute {
    let mut route = network.route.clone();
    route.authorities.extend(ca_file);
    route.proxy = route.proxy.filter(|_| !is_local);
    route
}

fn unroutable(name: &StoreName, fault: RouteFault, ca_file: Option<PathBuf>) -> Error {
    match fault {
        RouteFault::Lookup => cannot_use(Code::StoreFailed, name)
            .cause("an `LD_` variable is set, and mcpwrap could not start again without it")
            .hint("unset it, or start mcpwrap from its own path"),
        RouteFault::Proxy => cannot_use(Code::NetworkChanged, name)
            .cause("the approved proxy is not a URL")
            .hint("run `mcpwrap config network` to approve another one"),
        RouteFault::Authorities(why) => {
            let error = cannot_use(Code::FileUnusable, name).cause(why);
            match ca_file {
                Some(path) => error.hint(format!(
                    "check that `{}` has certificates in PEM",
                    path.display()
                )),
                None => error.hint("install the package `ca-certificates`"),
            }
        }
    }
}

impl SecretSource for ServerStore {
    fn get_many(&self, wanted: &[StorePlace], deadline: Instant) -> Vec<Result<SourceValue>> {
        match self.sign_in(deadline) {
            Ok(token) => self.read_all(wanted, &token, deadline),
            Err(error) => vec![Err(error); wanted.len()],
        }
    }

    fn check(&self, deadline: Instant) -> Result<StoreCheck> {
        let token = self.sign_in(deadline)?;
        let Some(facts) = self.look_up(&token.value, deadline)? else {
            return Err(self.signed_out());
        };
        let life = match facts.ttl {
            0 => "no end".to_owned(),
            seconds => format!("{seconds} s left"),
        };
        Ok(StoreCheck::asked(vec![
            ("address", self.settings.base()),
            ("account", facts.display_name),
            ("policies", facts.policies.join(", ")),
            ("token", life),
        ]))
    }

    fn minter(&self) -> Option<&dyn Minter> {
        Some(self)
    }
}
