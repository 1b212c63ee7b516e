//! A program that does what the test tells it, and the store that it belongs to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcpwrap::testing::config::StoreDefinition;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::error::Result;
use mcpwrap::testing::reference::{Reference, StorePlace};
use mcpwrap::testing::secret::{Secret, SecretName, StoreName};
use mcpwrap::testing::store::source_type;
use mcpwrap::testing::store::{
    SecretSource, SourceType, SourceValue, StoreNetwork, StoreSetup, StoreWaits,
};

use crate::harness::{DEADLINE, Test};

/// Notes what it was asked, and does what is in `act`.
const SCRIPT: &str = "#!/bin/sh
d=${0%/*}
printf '%s\\n' \"$*\" >>\"$d/asked\"
cat >\"$d/input\"
env >\"$d/environment\"
. \"$d/act\"
";

/// A store whose program is a fake.
pub(crate) struct FakeStore<'a> {
    pub(crate) test: &'a Test,
    pub(crate) dir: PathBuf,
    pub(crate) kind: &'static SourceType,
    pub(crate) definition: StoreDefinition,
    pub(crate) secrets: RefCell<BTreeMap<SecretName, Secret>>,
    pub(crate) network: RefCell<StoreNetwork>,
    pub(crate) deadline: Duration,
    pub(crate) is_interactive: bool,
    /// Whether a session asks.
    pub(crate) has_session: bool,
}

impl<'a> FakeStore<'a> {
    /// A store of this type with these settings beside `program`.
    pub(crate) fn new(test: &'a Test, id: &str, settings: &str) -> Self {
        let program = test.program_file(&format!("{id}/program"), SCRIPT);
        Self::of_program(test, id, &program, settings)
    }

    /// A store whose program is this one.
    pub(crate) fn of_program(
        test: &'a Test,
        id: &str,
        program: &std::path::Path,
        settings: &str,
    ) -> Self {
        let table = format!("program = \"{}\"\n{settings}", program.display());
        let kind = source_type(id).unwrap();
        Self {
            test,
            dir: program.parent().unwrap().to_owned(),
            kind,
            definition: StoreDefinition::new(id, table.parse().unwrap()),
            secrets: RefCell::default(),
            network: RefCell::default(),
            deadline: DEADLINE,
            is_interactive: false,
            has_session: false,
        }
    }

    /// A secret of the local store that the definition names.
    pub(crate) fn secret(self, name: &str, value: &str) -> Self {
        let value = Secret::new(value.as_bytes().to_vec());
        self.secrets
            .borrow_mut()
            .insert(SecretName::new(name).unwrap(), value);
        self
    }

    /// From now on the program does this.
    pub(crate) fn act(&self, script: &str) {
        std::fs::write(self.dir.join("act"), script).unwrap();
        for name in ["asked", "input", "environment"] {
            drop(std::fs::remove_file(self.dir.join(name)));
        }
    }

    /// From now on the program prints this and ends with this code.
    pub(crate) fn answer(&self, code: i32, stdout: &[u8], stderr: &str) {
        std::fs::write(self.dir.join("out"), stdout).unwrap();
        std::fs::write(self.dir.join("err"), stderr).unwrap();
        self.act(&format!("cat \"$d/out\"; cat \"$d/err\" >&2; exit {code}"));
    }

    /// A file that the program wrote.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// The lines of arguments of its runs.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.file("asked").lines().map(str::to_owned).collect()
    }

    /// The variables of its last run.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let text = self.file("environment");
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&dyn SecretSource, Instant) -> T) -> T {
        (self.kind.check)(&self.definition).unwrap();
        let name = StoreName::new("store").unwrap();
        let dirs = Dirs::under(&self.test.home);
        let waits = StoreWaits::new(|| true);
        let setup = StoreSetup {
            name: &name,
            definition: &self.definition,
            secrets: &self.secrets.borrow(),
            dirs: &dirs,
            network: &self.network.borrow(),
            is_interactive: self.is_interactive,
            waits: self.has_session.then_some(&waits),
        };
        let source = (self.kind.open)(&setup).unwrap();
        use_it(&*source, Instant::now() + self.deadline)
    }

    pub(crate) fn get_many(&self, places: &[&str]) -> Vec<Result<SourceValue>> {
        let place = |text: &&str| {
            let place = match Reference::new(text) {
                Ok(Reference::Store(verbatim)) if text.starts_with("op://") => verbatim.place,
                _ => StorePlace::new(text).unwrap(),
            };
            (self.kind.check_place)(&self.definition, &place).unwrap();
            place
        };
        let places: Vec<_> = places.iter().map(place).collect();
        self.with(|source, deadline| source.get_many(&places, deadline))
    }

    pub(crate) fn get(&self, place: &str) -> Result<SourceValue> {
        self.get_many(&[place]).pop().unwrap()
    }

    /// The value as text, or the code of the error.
    pub(crate) fn text(&self, place: &str) -> Result<String, &'static str> {
        text(self.get(place))
    }

    /// [`Self::text`] for several.
    pub(crate) fn texts(&self, places: &[&str]) -> Vec<Result<String, &'static str>> {
        self.get_many(places).into_iter().map(text).collect()
    }
}

fn text(found: Result<SourceValue>) -> Result<String, &'static str> {
    match found {
        Ok(value) => Ok(String::from_utf8(value.value.expose().to_vec()).unwrap()),
        Err(error) => Err(error.code.name()),
    }
}
