//! `--verify`: opens the store, and asks the services whether secrets are good.
//!
//! *Always* asks the user first, and says which secret goes to which host. *Never* sends one to a
//! host that its shipped policy does not name. What a service does not tell stays unknown.

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use super::service;
use crate::audit::{Head, anchor};
use crate::check::{
    CheckedServer, ConfigFile, ConfigValue, Facts, FieldKind, Location, ProbeRecord,
};
use crate::cli::{Context, ask as question, print};
use crate::config::Config;
use crate::error::{Code, Result};
use crate::mask;
use crate::package;
use crate::secret::{Keys, Secret, SecretName};
use crate::shipped::{self, Probe, Shipped};
use crate::store::{self, Index, Prompt, Store};

/// The store, opened because the user said `--verify`.
pub(super) struct Opened {
    pub(super) keys: Keys,
    /// The head of the audit log that the store keeps.
    pub(super) head: Option<Head>,
    /// Every stored secret.
    secrets: Vec<(SecretName, Secret)>,
}

/// Opens the store. Nothing if there is none yet: what stands in files can be asked about all the
/// same.
pub(super) fn open(cx: &Context) -> Result<Option<Opened>> {
    let config = Config::load(&cx.dirs)?;
    let index = Index::load(&cx.dirs)?;
    if index.secrets.is_empty() && !cx.dirs.audit().exists() {
        return Ok(None);
    }
    let opened = store::open(&cx.dirs, &config, Prompt::Allowed)
        .and_then(|store| Ok((store::keys(&*store)?, store)));
    match opened {
        Ok((keys, store)) => Ok(Some(Opened {
            head: anchor::kept(&*store)?,
            secrets: read(&*store, &index)?,
            keys,
        })),
        Err(error) if matches!(error.code, Code::NotSetUp | Code::VaultAbsent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is stored. What the store has lost is no question here: `check` 8 tells.
fn read(store: &dyn Store, index: &Index) -> Result<Vec<(SecretName, Secret)>> {
    let names: Vec<SecretName> = index.secrets.keys().cloned().collect();
    let batch = store.get_all(&names)?;
    let items = names.into_iter().zip(batch.items);
    Ok(items
        .filter_map(|(name, item)| Some((name, item.ok()?.value)))
        .collect())
}

impl Opened {
    /// The spellings of every stored secret, with its name.
    pub(super) fn spellings(&self) -> Vec<(Zeroizing<Vec<u8>>, &SecretName)> {
        let mut all = Vec::new();
        for (name, secret) in &self.secrets {
            all.extend(mask::spellings(secret).into_iter().map(|form| (form, name)));
        }
        all
    }
}

/// Finds stored secrets in the files that were looked at.
pub(super) fn copies(opened: Option<&Opened>, facts: &mut Facts) {
    let Some(opened) = opened else { return };
    let spellings = opened.spellings();
    let Ok(finder) = AhoCorasick::new(spellings.iter().map(|(form, _)| form.as_slice())) else {
        return;
    };
    for file in &facts.files {
        for hit in finder.find_iter(&file.text) {
            if let Some((_, name)) = spellings.get(hit.pattern().as_usize()) {
                facts
                    .copies
                    .push((file.location(hit.start()), name.to_string()));
            }
        }
    }
}

/// One question to a service.
pub(super) struct Wish {
    pub(super) shipped: &'static Shipped,
    pub(super) probe: &'static Probe,
    location: Location,
    server: String,
    /// What the user calls it.
    secret: String,
    stored: bool,
    pub(super) value: Secret,
}

/// Asks the services, if the user agrees.
///
/// # Errors
/// `no-terminal`.
pub(super) fn ask(opened: Option<&Opened>, facts: &mut Facts) -> Result<()> {
    let mut wishes = stored(opened, facts);
    for file in &facts.files {
        wishes.extend(file.values.iter().filter_map(|value| wish(file, value)));
    }
    wishes.sort_by(|a, b| (a.shipped.id, &a.secret).cmp(&(b.shipped.id, &b.secret)));
    wishes.dedup_by(|a, b| a.shipped.id == b.shipped.id && a.value == b.value);
    let mut text = String::new();
    let mut allowed = Vec::new();
    for wish in wishes {
        match service::address(wish.shipped, wish.probe) {
            Ok(address) => {
                let line = format!("  {} -> {}\n", wish.secret, address.shown());
                text.push_str(&line);
                allowed.push((address, wish));
            }
            Err(why) => print::warning(&format!("`{}` is not asked about: {why}", wish.secret)),
        }
    }
    if allowed.is_empty() {
        print::note("no service to ask: no secret here belongs to one that tells");
        return Ok(());
    }
    let text = format!(
        "this sends secrets to the services that they belong to, over TLS:\n{text}send them?"
    );
    if !question::confirm(&text)? {
        print::note("nothing was sent");
        return Ok(());
    }
    let services = service::Services::new()?;
    for (address, wish) in allowed {
        let result = services.ask(&address, &wish);
        facts.probes.push(ProbeRecord {
            host: address.host.clone(),
            location: wish.location,
            server: wish.server,
            secret: wish.secret,
            stored: wish.stored,
            result,
        });
    }
    Ok(())
}

/// The stored secrets of policies whose package is known.
fn stored(opened: Option<&Opened>, facts: &Facts) -> Vec<Wish> {
    let (Some(opened), Some(machine)) = (opened, &facts.machine) else {
        return Vec::new();
    };
    let mut wishes = Vec::new();
    for (file, policy) in machine.read_policies() {
        let launch = package::parse(&policy.command);
        let Some(shipped) = launch.package.as_deref().and_then(shipped::of_package) else {
            continue;
        };
        let Some(probe) = probe(shipped) else {
            continue;
        };
        let Some(slot) = policy.secrets.get(&probe.secret) else {
            continue;
        };
        let name = slot.from.name();
        let value = opened.secrets.iter().find(|(known, _)| known == name);
        wishes.extend(value.map(|(_, value)| Wish {
            shipped,
            probe,
            location: Location::line(file.shown.clone(), slot.line),
            server: file.server.to_string(),
            secret: name.to_string(),
            stored: true,
            value: value.clone(),
        }));
    }
    wishes
}

/// A value of a file that is the secret of its server's service.
fn wish(file: &ConfigFile, value: &ConfigValue) -> Option<Wish> {
    let server = file.server_of(value)?;
    let shipped = server.shipped?;
    let probe = probe(shipped)?;
    let part = value.verdict.secrets().first()?;
    let text = value.text.get(part.range.clone())?;
    belongs(server, shipped, probe, value, text).then(|| Wish {
        shipped,
        probe,
        location: file.location_of(value, &part.range),
        server: server.entry.name.clone(),
        secret: format!("{} in {}", value.name.trim_start_matches('-'), file.shown),
        stored: false,
        value: Secret::new(text.as_bytes().to_vec()),
    })
}

/// Whether a value stands where this server takes the secret of the probe.
fn belongs(
    server: &CheckedServer,
    shipped: &Shipped,
    probe: &Probe,
    value: &ConfigValue,
    text: &str,
) -> bool {
    let Some(slot) = shipped.secrets.get(&probe.secret) else {
        return false;
    };
    match value.kind {
        FieldKind::Env => value.name == probe.secret,
        FieldKind::Argument => slot.flags.contains(&value.name),
        // The remote form of the server takes the same token.
        FieldKind::Header => {
            server.url().is_some()
                && slot
                    .looks
                    .iter()
                    .any(|look| text.starts_with(look.as_str()))
        }
        FieldKind::Url | FieldKind::Setting => false,
    }
}

/// The question of a service, if somebody confirmed that it is the right one.
fn probe(shipped: &'static Shipped) -> Option<&'static Probe> {
    shipped.probe.as_ref().filter(|probe| probe.verified)
}
