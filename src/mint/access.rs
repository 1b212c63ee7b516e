//! What reaches the makers of credentials: the stores of `config.toml` with what they need themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::ANSWER_LIMIT;
use super::github_app::GithubMinter;
use super::kept::{KeptMaker, KeptMint};
use crate::config::{Config, StoreDefinition};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::network;
use crate::policy::mint::MintSource;
use crate::policy::{MintRules, OAuthMint};
use crate::secret::{SecretName, StoreName};
use crate::store::source::{MintIssuer, MintRequest, Minted, Minter, StoreNetwork, StoreSetup};
use crate::store::types::{LocalValues, NamedStore, own_secrets};
use crate::store::waits::StoreWaits;
use crate::store::{self, Prompt, Store};

/// See the module.
#[derive(Debug)]
pub struct MintAccess<'a> {
    pub dirs: &'a Dirs,
    pub config: &'a Config,
    /// The secrets that the stores and the mints need.
    pub local: &'a LocalValues,
    pub network: &'a StoreNetwork,
    /// Where a session notes what it waits for.
    pub waits: Option<&'a Arc<StoreWaits>>,
}

/// A credential that was made.
#[derive(Debug)]
pub struct MadeCredential {
    pub minted: Minted,
    /// Who made it, for users.
    pub by: String,
    /// Who withdraws it; `None` for a token that other sessions have, too.
    pub maker: Option<KeptMaker>,
    /// Kept by the server that has it.
    pub holder: Arc<()>,
}

impl MadeCredential {
    fn new(minted: Minted, maker: KeptMaker) -> Self {
        Self {
            minted,
            by: maker.shown(),
            maker: Some(maker),
            holder: Arc::default(),
        }
    }
}

/// The secrets that making these credentials needs.
///
/// # Errors
/// `store-unknown`.
pub fn needed(mints: &[&MintRules], config: &Config) -> Result<BTreeSet<SecretName>> {
    let mut names = BTreeSet::new();
    for rules in mints {
        // What proves the client of an account is read by the process that refreshes its token.
        if rules.oauth().is_none() {
            names.extend(rules.secret().cloned());
        }
        if let Some(store) = rules.store() {
            names.extend(NamedStore::find(config, store)?.definition.secrets());
        }
    }
    Ok(names)
}

/// Opens the local store and calls `act` with access to these stores.
///
/// # Errors
/// Those of the local store; `network-changed`; those of `act`.
pub fn open<T>(
    dirs: &Dirs,
    stores: &BTreeSet<StoreName>,
    act: impl FnOnce(&MintAccess<'_>, &dyn Store) -> Result<T>,
) -> Result<T> {
    let config = Config::load(dirs)?;
    let mut names = BTreeSet::new();
    for name in stores {
        // One that is no longer defined is an error of its own credentials.
        if let Ok(store) = NamedStore::find(&config, name) {
            names.extend(store.definition.secrets());
        }
    }
    let record = network::find(dirs)?;
    let of_network: Vec<_> = record
        .iter()
        .flat_map(network::NetworkRecord::secrets)
        .collect();
    let names: Vec<_> = names
        .into_iter()
        .chain(of_network.iter().cloned())
        .collect();
    let store = store::open(dirs, &config, Prompt::Never)?;
    let batch = store.get_all(&names)?;
    let network = network::verify(dirs, record, &batch.keys()?)?;
    let local: LocalValues = names.into_iter().zip(batch.items).collect();
    let network = network::for_stores(&network, &local)?;
    let access = MintAccess {
        dirs,
        config: &config,
        local: &local,
        network: &network,
        waits: None,
    };
    act(&access, &*store)
}

impl MintAccess<'_> {
    /// Makes one credential. `account`: takes the token of an account.
    ///
    /// # Errors
    /// Those of its maker.
    pub fn make(
        &self,
        rules: &MintRules,
        account: impl FnOnce(&OAuthMint) -> Result<MadeCredential>,
    ) -> Result<MadeCredential> {
        match &rules.source {
            MintSource::Store { store, path, .. } => {
                let request = MintRequest {
                    path: path.clone(),
                    life: rules.life.map(|life| life.as_secs()),
                };
                let named = NamedStore::find(self.config, store)?;
                let maker = KeptMaker::Store {
                    name: store.clone(),
                    definition: named.digest(),
                };
                let deadline = Instant::now() + named.definition.deadline();
                let minted = self.with_store(&named, |minter| minter.mint(&request, deadline))?;
                Ok(MadeCredential::new(minted, maker))
            }
            MintSource::OAuth(oauth) => account(oauth),
            MintSource::GithubApp(app) => {
                let key = match self.local.get(&app.key) {
                    Some(Ok(item)) => item.value.clone(),
                    Some(Err(error)) => return Err(error.clone()),
                    None => return Err(Error::new(Code::SecretNotFound, "the App has no key")),
                };
                let minter = GithubMinter::new(&app.api, self.network)?;
                let deadline = Instant::now() + ANSWER_LIMIT;
                let maker = KeptMaker::Github {
                    api: app.api.clone(),
                };
                Ok(MadeCredential::new(
                    minter.mint(app, &key, deadline)?,
                    maker,
                ))
            }
        }
    }

    /// How long a request to this maker may take: a store says it itself.
    pub fn limit(&self, maker: &KeptMaker) -> Duration {
        match maker {
            KeptMaker::Store { name, .. } => {
                let store = self.config.stores.get(name);
                store.map_or(ANSWER_LIMIT, StoreDefinition::deadline)
            }
            KeptMaker::Github { .. } => ANSWER_LIMIT,
        }
    }

    /// Calls `act` with the maker of an earlier credential.
    ///
    /// # Errors
    /// `store-unknown` if the store is not defined as it was; those of `act`.
    pub fn with_maker<T>(
        &self,
        maker: &KeptMaker,
        act: impl FnOnce(&dyn MintIssuer) -> Result<T>,
    ) -> Result<T> {
        match maker {
            KeptMaker::Store { name, definition } => {
                let store = NamedStore::find(self.config, name)?;
                if store.digest() != *definition {
                    let what = format!("store `{name}` does not know this credential");
                    return Err(Error::new(Code::StoreUnknown, what).of_store(name).cause(
                        format!(
                            "{} is not the definition that made it",
                            store.definition.place(name)
                        ),
                    ));
                }
                self.with_store(&store, |minter| act(minter))
            }
            KeptMaker::Github { api } => act(&GithubMinter::new(api, self.network)?),
        }
    }

    /// Withdraws one credential at its maker.
    ///
    /// # Errors
    /// Those of [`Self::with_maker`].
    pub fn withdraw(&self, kept: &KeptMint) -> Result<()> {
        let deadline = Instant::now() + self.limit(&kept.maker);
        let handle = kept.handle();
        self.with_maker(&kept.maker, |minter| minter.revoke(&handle, deadline))
    }

    /// Withdraws credentials, each whatever became of the one before. `report`: called for each. Returns the
    /// IDs of those that are gone, and the last failure.
    pub fn withdraw_each(
        &self,
        kept: &[KeptMint],
        report: impl Fn(&KeptMint, &Result<()>),
    ) -> (BTreeSet<String>, Option<Error>) {
        let (mut gone, mut failed) = (BTreeSet::new(), None);
        for one in kept {
            let done = self.withdraw(one);
            report(one, &done);
            match done {
                Ok(()) => drop(gone.insert(one.id.clone())),
                Err(error) => failed = Some(error),
            }
        }
        (gone, failed)
    }

    fn with_store<T>(
        &self,
        store: &NamedStore<'_>,
        act: impl FnOnce(&dyn Minter) -> Result<T>,
    ) -> Result<T> {
        let setup = StoreSetup {
            name: store.name,
            definition: store.definition,
            secrets: &own_secrets(store, self.local)?,
            dirs: self.dirs,
            network: self.network,
            is_interactive: false,
            waits: self.waits,
        };
        let source = store.open(&setup)?;
        let minter = source.minter().ok_or_else(|| {
            let what = format!("store `{}` makes no credentials", store.name);
            Error::new(Code::MintRefused, what)
                .of_store(store.name)
                .cause(format!(
                    "stores of type `{}` only keep values",
                    store.kind.id
                ))
        })?;
        act(minter)
    }
}
