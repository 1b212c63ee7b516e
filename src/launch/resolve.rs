//! Resolves references to values: from a policy and stored secrets to everything a server is
//! started with.
//!
//! Invariants: the result is complete or an error. An unresolved reference is not passed on as
//! text, and an empty value only counts as absent if the policy says `optional`. A secret of one
//! profile is not used in a run of another. This module knows no processes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::launch::container::Container;
use crate::launch::injected::{Injected, Place};
use crate::launch::mark::RunMark;
use crate::launch::secret_files::SecretFiles;
use crate::network::NetworkVariable;
use crate::policy::template::{self, Piece};
use crate::policy::{Delivery, Policy, SecretBinding, argument};
use crate::reference::SecretLabel;
use crate::secret::{Keys, Secret, SecretName};
use crate::store::SecretItem;
use crate::sys::memory;

/// Everything a server is started with. When dropped, it is wiped and its files are removed.
pub struct ServerEnv {
    pub(super) variables: Vec<(OsString, Zeroizing<Vec<u8>>)>,
    pub(super) arguments: Vec<Zeroizing<Vec<u8>>>,
    files: Vec<PathBuf>,
    pub(super) injected: Vec<Injected>,
    pub(super) values: Vec<(String, Secret)>,
    pub(super) mark: Option<RunMark>,
    pub(super) container: Option<Container>,
}

impl fmt::Debug for ServerEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEnv")
            .field("injected", &self.injected)
            .finish_non_exhaustive()
    }
}

impl ServerEnv {
    /// Nothing at all.
    pub(super) const fn empty() -> Self {
        Self {
            variables: Vec::new(),
            arguments: Vec::new(),
            files: Vec::new(),
            injected: Vec::new(),
            values: Vec::new(),
            mark: None,
            container: None,
        }
    }

    pub fn variables(&self) -> &[(OsString, Zeroizing<Vec<u8>>)] {
        &self.variables
    }

    /// argv, with the secrets inserted.
    pub fn arguments(&self) -> &[Zeroizing<Vec<u8>>] {
        &self.arguments
    }

    /// Files that contain a secret and are removed when the server has exited.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub fn injected(&self) -> &[Injected] {
        &self.injected
    }

    /// The values with the names under which they are masked.
    pub fn values(&self) -> &[(String, Secret)] {
        &self.values
    }
}

impl Drop for ServerEnv {
    fn drop(&mut self) {
        // The guard removes them too, in case this process is killed.
        for file in &self.files {
            drop(std::fs::remove_file(file));
        }
    }
}

/// Where the environment of a server comes from.
#[derive(Debug)]
pub struct Sources {
    /// The sealed variables and those of the client.
    pub inherited: Vec<(OsString, OsString)>,
    /// The secrets of the policy, in its order.
    pub values: Vec<Result<SecretItem>>,
    /// The approved network settings.
    pub network: Vec<NetworkVariable>,
    /// The secrets of the network settings.
    pub proxies: Vec<(SecretName, Result<SecretItem>)>,
    /// The folder that the client has opened, checked, if the command has a place for it.
    pub workspace: Option<PathBuf>,
}

/// Builds the environment and arguments of a server, and writes the secrets delivered as files.
///
/// # Errors
/// `secret-not-found`, `secret-ambiguous`, `secret-wrong-profile`, `secret-expired`,
/// `secret-unusable`, `no-memory-filesystem`, `file-unusable`.
pub fn resolve(
    policy: &Policy,
    sources: Sources,
    keys: &Keys,
    files: &mut SecretFiles<'_>,
) -> Result<ServerEnv> {
    let Sources {
        inherited,
        values: found,
        network,
        proxies,
        workspace,
    } = sources;
    let mut env = ServerEnv::empty();
    let mut values: BTreeMap<&str, Secret> = BTreeMap::new();
    for ((variable, slot), item) in policy.secrets.iter().zip(found) {
        let Some(secret) = value(policy, variable, slot, item)? else {
            continue;
        };
        env.injected.push(Injected {
            name: slot.from.label(),
            variable: variable.clone(),
            fingerprint: keys.fingerprint(&secret),
            to: slot.to.into(),
        });
        // Masking a weak value would corrupt messages.
        if !secret.is_weak() {
            env.values
                .push((slot.from.label().to_string(), secret.clone()));
        }
        values.insert(variable, secret);
    }
    let mut variables: BTreeMap<OsString, Zeroizing<Vec<u8>>> = inherited
        .into_iter()
        .map(|(name, value)| (name, Zeroizing::new(value.as_bytes().to_vec())))
        .collect();
    for (name, value) in network_values(policy, network, proxies, keys, &mut env)? {
        variables.insert(name.into(), value);
    }
    for (name, text) in &policy.env.set {
        if let Some(value) = fill(policy, text, &values)? {
            variables.insert(name.into(), value);
        }
    }
    for (variable, slot) in &policy.secrets {
        let Some(secret) = values.get(variable.as_str()) else {
            continue;
        };
        let value = match slot.to {
            Delivery::Env => Zeroizing::new(in_variable(policy, variable, secret)?.to_vec()),
            Delivery::File | Delivery::DiskFile => {
                let path = files.write(policy, variable, slot.to, secret)?;
                let text = Zeroizing::new(path.as_os_str().as_bytes().to_vec());
                env.files.push(path);
                text
            }
        };
        variables.insert(variable.into(), value);
    }
    env.arguments = arguments(policy, &values, workspace.as_deref())?;
    env.variables = variables.into_iter().collect();
    for (_, value) in &env.values {
        memory::lock(value.expose());
    }
    Ok(env)
}

/// The command with its values.
fn arguments(
    policy: &Policy,
    values: &BTreeMap<&str, Secret>,
    workspace: Option<&Path>,
) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let absent = || {
        refused(
            policy,
            Code::SecretNotFound,
            "an argument of its command needs a missing secret",
        )
        .cause("`optional` applies to variables, not to arguments")
        .hint(format!(
            "store the secret, or run `mcpwrap policy edit {}` to change the command",
            policy.server
        ))
    };
    let filled = |word: &String| {
        // The path is not a template: a folder may be called `{secret.TOKEN}`.
        if let (Some(prefix), Some(folder)) = (argument::workspace(word), workspace) {
            let bytes = [prefix.as_bytes(), folder.as_os_str().as_bytes()].concat();
            return Ok(Zeroizing::new(bytes));
        }
        fill(policy, word, values)?.ok_or_else(absent)
    };
    policy.command.iter().map(filled).collect()
}

/// The values of proxies with a password, which are masked.
pub(super) fn proxy_values(
    policy: &Policy,
    proxies: Vec<(SecretName, Result<SecretItem>)>,
    env: &mut ServerEnv,
) -> Result<BTreeMap<SecretName, Secret>> {
    let mut secrets = BTreeMap::new();
    for (name, item) in proxies {
        let item = item.map_err(|error| {
            let what = "the proxy of the network settings has no value";
            refused(policy, error.code, what)
                .caused_by(error)
                .hint("run `mcpwrap config network` to approve them again")
        })?;
        env.values.push((name.to_string(), item.value.clone()));
        secrets.insert(name, item.value);
    }
    Ok(secrets)
}

/// The variables of the network settings. A proxy with a password is an injected secret.
fn network_values(
    policy: &Policy,
    network: Vec<NetworkVariable>,
    proxies: Vec<(SecretName, Result<SecretItem>)>,
    keys: &Keys,
    env: &mut ServerEnv,
) -> Result<Vec<(String, Zeroizing<Vec<u8>>)>> {
    let secrets = proxy_values(policy, proxies, env)?;
    let mut all = Vec::new();
    for variable in network {
        match variable {
            NetworkVariable::Plain(name, value) => {
                all.push((name, Zeroizing::new(value.into_bytes())));
            }
            NetworkVariable::Secret(variable, name) => {
                let Some(secret) = secrets.get(&name) else {
                    continue;
                };
                env.injected.push(Injected {
                    name: name.into(),
                    variable: variable.clone(),
                    fingerprint: keys.fingerprint(secret),
                    to: Place::Env,
                });
                all.push((variable, Zeroizing::new(secret.expose().to_vec())));
            }
        }
    }
    Ok(all)
}

pub(super) fn refused(policy: &Policy, code: Code, why: &str) -> Error {
    Error::new(code, why).not_started(&policy.server)
}

/// The value for one variable; `None` if it is optional and absent.
pub(super) fn value(
    policy: &Policy,
    variable: &str,
    slot: &SecretBinding,
    item: Result<SecretItem>,
) -> Result<Option<Secret>> {
    let item = match item {
        Err(error) if error.code == Code::SecretNotFound && slot.optional => return Ok(None),
        Err(error) => {
            let what = format!("`{variable}` has no value");
            return Err(refused(policy, error.code, &what)
                .caused_by(error)
                .required_by(policy.place(slot.line)));
        }
        Ok(item) => item,
    };
    let name = slot.from.label();
    check_profile(policy, &name, &item)?;
    if let Some(end) = item.expires.filter(|end| end.is_over(Timestamp::now())) {
        return Err(refused(
            policy,
            Code::SecretExpired,
            &format!("`{name}` has expired"),
        )
        .cause(format!("expired after {end}"))
        .hint(match name.local() {
            Some(name) => {
                format!(
                    "create a new one with the provider, then run `mcpwrap secret rotate {name}`"
                )
            }
            None => "create a new one with the provider, and store it where the policy reads it"
                .to_owned(),
        }));
    }
    match (item.value.is_empty(), slot.optional) {
        (true, true) => Ok(None),
        (true, false) => Err(refused(
            policy,
            Code::SecretNotFound,
            &format!("`{variable}` has no value"),
        )
        .cause(format!("`{name}` is empty"))
        .required_by(policy.place(slot.line))
        .hint(match name.local() {
            Some(name) => format!("run `mcpwrap secret rotate {name}` to store a new value"),
            None => "store a value there, or correct `from` in the policy".to_owned(),
        })),
        (false, _) => Ok(Some(item.value)),
    }
}

/// Refuses a secret of another profile.
fn check_profile(policy: &Policy, name: &SecretLabel, item: &SecretItem) -> Result<()> {
    if item.profile.is_some() && item.profile != policy.profile {
        let of = item
            .profile
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let this = policy
            .profile
            .as_ref()
            .map_or("no profile".to_owned(), |name| format!("profile `{name}`"));
        return Err(refused(
            policy,
            Code::SecretWrongProfile,
            &format!("`{name}` is for another profile"),
        )
        .cause(format!(
            "the secret belongs to profile `{of}`; this run uses {this}"
        ))
        .hint(format!(
            "run `mcpwrap run {} --profile {of}`, or store another value for this profile",
            policy.server
        )));
    }
    Ok(())
}

/// The value, if it can be used in an environment variable or an argument.
fn in_variable<'a>(policy: &Policy, variable: &str, secret: &'a Secret) -> Result<&'a [u8]> {
    if secret.expose().contains(&0) {
        return Err(refused(
            policy,
            Code::SecretUnusable,
            &format!("the value of `{variable}` contains a NUL byte"),
        )
        .cause("variables and arguments cannot contain NUL bytes")
        .hint(format!(
            "set `to = \"file\"` for `{variable}` if the server can read it from a file"
        )));
    }
    Ok(secret.expose())
}

/// A template with the values inserted; `None` if one of them is absent.
fn fill(
    policy: &Policy,
    text: &str,
    values: &BTreeMap<&str, Secret>,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let mut filled = Zeroizing::new(Vec::with_capacity(text.len()));
    // Templates were checked when the policy was loaded.
    for piece in template::parse(text).unwrap_or_default() {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text.as_bytes()),
            Piece::Secret(variable) => match values.get(variable) {
                Some(secret) => {
                    filled.extend_from_slice(in_variable(policy, variable, secret)?);
                }
                None => return Ok(None),
            },
        }
    }
    Ok(Some(filled))
}
