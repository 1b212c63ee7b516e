//! Stores of the type `vault` against a real OpenBao server, and against servers that misbehave.

mod bao;
mod login;
mod mint;
mod outage;
mod postgres;
mod read;
mod relay;
mod shown;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcpwrap::testing::config::StoreDefinition;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::error::{Error, Result};
use mcpwrap::testing::reference::StorePlace;
use mcpwrap::testing::secret::{Secret, SecretName, StoreName};
use mcpwrap::testing::store::{SecretSource, SourceValue, StoreNetwork, StoreSetup, source_type};

const VALUE: &str = "xoxb-4f5c2b8e71-vault-value-0001";

/// How long a read may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A store as a launch opens it.
struct Opened {
    source: Box<dyn SecretSource>,
    definition: StoreDefinition,
}

impl Opened {
    /// With `type`, and secrets of the local store.
    #[track_caller]
    fn new(settings: &str, secrets: &[(&str, &str)]) -> Self {
        Self::try_new(settings, secrets).unwrap()
    }

    #[track_caller]
    fn try_new(settings: &str, secrets: &[(&str, &str)]) -> Result<Self> {
        let text = format!("type = \"vault\"\n{settings}");
        let definition: StoreDefinition = toml::from_str(&text).unwrap();
        let kind = source_type("vault").unwrap();
        (kind.check)(&definition).unwrap();
        let secret = |(name, value): &(&str, &str)| {
            let name: SecretName = name.parse().unwrap();
            (name, Secret::new(value.as_bytes().to_vec()))
        };
        let secrets: BTreeMap<_, _> = secrets.iter().map(secret).collect();
        let source = (kind.open)(&StoreSetup {
            name: &StoreName::new("corp").unwrap(),
            definition: &definition,
            secrets: &secrets,
            dirs: &Dirs::under(std::path::Path::new("/nonexistent")),
            network: &StoreNetwork::default(),
            is_interactive: false,
            waits: None,
        })?;
        Ok(Self { source, definition })
    }

    /// With a token.
    #[track_caller]
    fn with_token(url: &str, token: &str) -> Self {
        let auth = "auth = { method = \"token\", token = \"secret:vault/token\" }";
        let settings = format!("address = \"{url}\"\n{auth}");
        Self::new(&settings, &[("vault/token", token)])
    }

    fn read(&self, places: &[&str]) -> Vec<Result<SourceValue>> {
        self.read_within(places, LIMIT)
    }

    fn read_within(&self, places: &[&str], limit: Duration) -> Vec<Result<SourceValue>> {
        let kind = source_type("vault").unwrap();
        let place = |text: &&str| {
            let place = StorePlace::new(text).unwrap();
            (kind.check_place)(&self.definition, &place).unwrap();
            place
        };
        let places: Vec<_> = places.iter().map(place).collect();
        self.source.get_many(&places, Instant::now() + limit)
    }

    #[track_caller]
    fn value(&self, place: &str) -> String {
        let value = self.read(&[place]).remove(0).unwrap();
        String::from_utf8(value.value.expose().to_vec()).unwrap()
    }

    /// The error of a place: its code, and its text.
    #[track_caller]
    fn error(&self, place: &str) -> Error {
        let error = self.read(&[place]).remove(0).unwrap_err();
        assert_eq!(error.store.as_deref(), Some("corp"), "{error}");
        error
    }

    /// Checks the code of an error, and a part of its text.
    #[track_caller]
    fn fails(&self, place: &str, code: &str, part: &str) {
        let error = self.error(place);
        assert_eq!(error.code.name(), code, "{error}");
        assert!(error.text().contains(part), "{error}");
    }
}
