//! The calls of the Secret Service that mcpwrap needs: search, read, create, replace, delete, unlock.
//!
//! The session is opened together with the first request. The caller decides about locked, missing and
//! duplicate items. The names are those of the freedesktop.org Secret Service specification 0.2.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use dbus::arg::{RefArg, Variant};
use dbus::{Message, Path};

use super::bus::{Bus, BusReply, Fault, add_match, call};
use super::error::KeychainError;
use crate::secret::{ProfileName, Secret};
use crate::store::SecretItem;

/// How long a prompt of the keychain may stay open (seconds).
pub(super) const PROMPT_S: u64 = 60;

const SECRETS: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const DEFAULT: &str = "/org/freedesktop/secrets/aliases/default";
const SERVICE_API: &str = "org.freedesktop.Secret.Service";
const COLLECTION_API: &str = "org.freedesktop.Secret.Collection";
const ITEM_API: &str = "org.freedesktop.Secret.Item";
const PROMPT_API: &str = "org.freedesktop.Secret.Prompt";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The path that means "none".
const NONE: &str = "/";

type Paths = Vec<Path<'static>>;
/// Session, parameters, value, content type.
type Struct<'a> = (Path<'static>, &'a [u8], &'a [u8], &'a str);
type OwnedStruct = (Path<'static>, Vec<u8>, Vec<u8>, String);

/// The items that a search found.
#[derive(Debug)]
pub(super) struct SearchResult {
    pub(super) unlocked: Paths,
    pub(super) locked: Paths,
}

impl SearchResult {
    pub(super) const fn is_empty(&self) -> bool {
        self.unlocked.is_empty() && self.locked.is_empty()
    }
}

/// The session with the keychain program.
pub(super) struct Link {
    bus: Bus,
    session: RefCell<Option<Path<'static>>>,
}

pub(super) fn default_collection() -> Path<'static> {
    Path::from(DEFAULT)
}

impl Link {
    pub(super) const fn new(bus: Bus) -> Self {
        Self {
            bus,
            session: RefCell::new(None),
        }
    }

    pub(super) fn left(&self) -> Duration {
        self.bus.left()
    }

    /// Sends all requests at once, and opens the session with them if needed.
    fn ask(&self, mut questions: Vec<Message>) -> Result<Vec<BusReply>, Fault> {
        let opening = self.session.borrow().is_none();
        if opening {
            let open = call(SECRETS, ROOT, SERVICE_API, "OpenSession");
            questions.insert(0, open.append2("plain", Variant("")));
        }
        let mut answers = self.bus.ask(questions)?.into_iter();
        if opening {
            let answer = answers
                .next()
                .expect("there is an answer to each question")?;
            let (_, path) = answer
                .read2::<Variant<Box<dyn RefArg>>, Path<'static>>()
                .map_err(|error| odd("OpenSession", error))?;
            self.session.replace(Some(path));
        }
        Ok(answers.collect())
    }

    fn ask_one(&self, question: Message) -> BusReply {
        self.ask(vec![question])?
            .pop()
            .expect("there is an answer to each question")
    }

    fn session(&self) -> Result<Path<'static>, Fault> {
        if self.session.borrow().is_none() {
            self.ask(Vec::new())?;
        }
        let session = self.session.borrow();
        session
            .clone()
            .ok_or_else(|| Fault::Gone("the keychain did not open a session".to_owned()))
    }

    /// Whether the default collection is locked; `None` if there is none.
    pub(super) fn default_is_locked(&self) -> Result<Option<bool>, Fault> {
        self.is_locked(DEFAULT, COLLECTION_API)
    }

    /// Whether all of these items and collections are unlocked.
    pub(super) fn are_unlocked(&self, paths: &[Path<'static>]) -> Result<bool, Fault> {
        for path in paths {
            let state = match self.is_locked(path, ITEM_API)? {
                None => self.is_locked(path, COLLECTION_API)?,
                of_item => of_item,
            };
            if state != Some(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one object is locked; `None` if there is no such object with this interface.
    fn is_locked(&self, path: &str, interface: &str) -> Result<Option<bool>, Fault> {
        match self.ask_one(property(path, interface, "Locked")) {
            Ok(answer) => {
                let locked = answer
                    .read1::<Variant<bool>>()
                    .map_err(|e| odd("Locked", e))?;
                Ok(Some(locked.0))
            }
            Err(Fault::Refused(..)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Searches items by service and name.
    pub(super) fn search(&self, wanted: &[(&str, &str)]) -> Result<Vec<SearchResult>, Fault> {
        let questions = wanted.iter().map(|(service, name)| {
            search_for(HashMap::from([("service", *service), ("username", *name)]))
        });
        self.ask(questions.collect())?
            .into_iter()
            .map(|answer| found(&answer?))
            .collect()
    }

    /// The user names of all items of a service, including locked ones.
    pub(super) fn names(&self, service: &str) -> Result<Vec<String>, Fault> {
        let answer = self.ask_one(search_for(HashMap::from([("service", service)])))?;
        let SearchResult { unlocked, locked } = found(&answer)?;
        let questions = unlocked
            .iter()
            .chain(&locked)
            .map(|p| property(p, ITEM_API, "Attributes"));
        let mut names = Vec::new();
        for answer in self.ask(questions.collect())? {
            names.extend(attributes(&answer?)?.remove("username"));
        }
        Ok(names)
    }

    /// Reads unlocked items, in order.
    pub(super) fn read(&self, paths: &[Path<'static>]) -> Result<Vec<SecretItem>, KeychainError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let get = call(SECRETS, ROOT, SERVICE_API, "GetSecrets");
        let mut questions = vec![get.append2(paths.to_vec(), self.session()?)];
        questions.extend(
            paths
                .iter()
                .map(|path| property(path, ITEM_API, "Attributes")),
        );
        let mut answers = self.ask(questions)?.into_iter();
        let values = answers
            .next()
            .expect("there is an answer to each question")?;
        let mut values = values
            .read1::<HashMap<Path<'static>, OwnedStruct>>()
            .map_err(|error| odd("GetSecrets", error))?;
        paths
            .iter()
            .zip(answers)
            .map(|(path, answer)| {
                let attributes = attributes(&answer?)?;
                let (.., value, _) = values.remove(path).ok_or(KeychainError::Locked)?;
                item(Secret::new(value), &attributes)
            })
            .collect()
    }

    /// Creates an item in the default collection.
    pub(super) fn create(
        &self,
        service: &str,
        name: &str,
        label: &str,
        item: &SecretItem,
    ) -> Result<(), KeychainError> {
        let mut properties: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
        properties.insert(
            "org.freedesktop.Secret.Item.Label",
            Variant(Box::new(label.to_owned())),
        );
        properties.insert(
            "org.freedesktop.Secret.Item.Attributes",
            Variant(Box::new(attributes_of(service, name, item))),
        );
        let question = call(SECRETS, DEFAULT, COLLECTION_API, "CreateItem").append3(
            properties,
            sealed(self.session()?, &item.value),
            true,
        );
        let answer = match self.ask_one(question) {
            Err(Fault::Refused(name, _))
                if name.ends_with(".NoSuchObject") || name.contains(".Error.Unknown") =>
            {
                return Err(KeychainError::NoCollection);
            }
            other => other?,
        };
        let (_, prompt) = answer
            .read2::<Path<'static>, Path<'static>>()
            .map_err(|error| odd("CreateItem", error))?;
        self.prompt(&prompt)
    }

    /// Replaces value, profile and expiry date of an item. It stays the same item, because a second
    /// one with other attributes would make the name ambiguous.
    pub(super) fn replace(
        &self,
        path: &Path<'static>,
        service: &str,
        name: &str,
        item: &SecretItem,
    ) -> Result<(), KeychainError> {
        let value = call(SECRETS, path, ITEM_API, "SetSecret")
            .append1(sealed(self.session()?, &item.value));
        let rest = call(SECRETS, path, PROPERTIES, "Set").append3(
            ITEM_API,
            "Attributes",
            Variant(attributes_of(service, name, item)),
        );
        for answer in self.ask(vec![value, rest])? {
            answer?;
        }
        Ok(())
    }

    pub(super) fn delete(&self, paths: &[Path<'static>]) -> Result<(), KeychainError> {
        let questions = paths
            .iter()
            .map(|path| call(SECRETS, path, ITEM_API, "Delete"));
        for answer in self.ask(questions.collect())? {
            let prompt = answer?
                .read1::<Path<'static>>()
                .map_err(|e| odd("Delete", e))?;
            self.prompt(&prompt)?;
        }
        Ok(())
    }

    /// Requests the keychain to unlock these objects; it may prompt the user.
    pub(super) fn unlock(&self, paths: &[Path<'static>]) -> Result<(), KeychainError> {
        let question = call(SECRETS, ROOT, SERVICE_API, "Unlock").append1(paths.to_vec());
        let (_, prompt) = self
            .ask_one(question)?
            .read2::<Paths, Path<'static>>()
            .map_err(|error| odd("Unlock", error))?;
        self.prompt(&prompt)
    }

    /// Shows a prompt of the keychain and waits for the user.
    fn prompt(&self, path: &Path<'static>) -> Result<(), KeychainError> {
        if &**path == NONE {
            return Ok(());
        }
        let rule = format!("type='signal',interface='{PROMPT_API}',path='{path}'");
        let show = call(SECRETS, path, PROMPT_API, "Prompt").append1("");
        for answer in self.ask(vec![add_match(&rule), show])? {
            answer?;
        }
        let limit = Duration::from_secs(PROMPT_S);
        let Some(signal) = self.bus.signal(path, "Completed", limit)? else {
            self.bus.tell(call(SECRETS, path, PROMPT_API, "Dismiss"));
            return Err(KeychainError::Unanswered);
        };
        match signal.get1::<bool>() {
            Some(false) => Ok(()),
            _ => Err(KeychainError::Dismissed),
        }
    }
}

fn search_for(attributes: HashMap<&str, &str>) -> Message {
    call(SECRETS, ROOT, SERVICE_API, "SearchItems").append1(attributes)
}

fn property(path: &str, interface: &str, name: &str) -> Message {
    call(SECRETS, path, PROPERTIES, "Get").append2(interface, name)
}

fn sealed<'a>(session: Path<'static>, value: &'a Secret) -> Struct<'a> {
    let bytes = value.expose();
    let text = std::str::from_utf8(bytes).is_ok();
    let kind = if text {
        "text/plain; charset=utf8"
    } else {
        "application/octet-stream"
    };
    (session, &[], bytes, kind)
}

fn attributes_of(service: &str, name: &str, item: &SecretItem) -> HashMap<String, String> {
    let mut all = HashMap::from([
        ("service".into(), service.into()),
        ("username".into(), name.into()),
    ]);
    all.extend(
        item.profile
            .iter()
            .map(|profile| ("profile".into(), profile.to_string())),
    );
    all.extend(
        item.expires
            .iter()
            .map(|date| ("expires".into(), date.to_string())),
    );
    all
}

fn attributes(answer: &Message) -> Result<HashMap<String, String>, Fault> {
    let all = answer.read1::<Variant<HashMap<String, String>>>();
    all.map(|all| all.0)
        .map_err(|error| odd("Attributes", error))
}

/// An invalid attribute is an error, not ignored: it could be a restriction.
fn item(value: Secret, attributes: &HashMap<String, String>) -> Result<SecretItem, KeychainError> {
    let odd = |key: &str| {
        let fact = format!("the attribute `{key}` of the item was changed by another program");
        KeychainError::Malformed(fact)
    };
    let profile = attributes.get("profile").map(|text| ProfileName::new(text));
    let expires = attributes.get("expires").map(|text| text.parse());
    Ok(SecretItem {
        value,
        profile: profile.transpose().map_err(|_| odd("profile"))?,
        expires: expires.transpose().map_err(|_| odd("expires"))?,
    })
}

fn found(answer: &Message) -> Result<SearchResult, Fault> {
    let (unlocked, locked) = answer
        .read2::<Paths, Paths>()
        .map_err(|error| odd("SearchItems", error))?;
    Ok(SearchResult { unlocked, locked })
}

fn odd(method: &str, error: dbus::arg::TypeMismatchError) -> Fault {
    Fault::Refused(
        method.to_owned(),
        format!("unexpected type of reply: {error}"),
    )
}
