//! The calls of the Secret Service: search, read, create, replace, delete, unlock.
//!
//! The session is opened together with the first request. What is locked, missing or there twice is
//! decided in `access`. The names are those of the freedesktop.org Secret Service specification 0.2.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use dbus::arg::{RefArg, Variant};
use dbus::{Message, Path};

use super::bus::{Asked, Bus, BusFault, BusReply, add_match, call, process_of};
use super::error::ServiceError;
use super::provider::Provider;
use super::wire::{
    DEFAULT, ITEM_API, OwnedStruct, PROPERTIES, Paths, SECRETS, SearchResult, attributes,
    attributes_of, enclosed, found, no_session, odd, one, property,
};
use crate::store::keychain::batch::StoredCredential;

const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE_API: &str = "org.freedesktop.Secret.Service";
const COLLECTION_API: &str = "org.freedesktop.Secret.Collection";
const PROMPT_API: &str = "org.freedesktop.Secret.Prompt";
/// The path that means "none".
const NONE: &str = "/";

/// How long to wait for the user, if prompts are allowed.
pub(super) type PromptLimit = Option<Duration>;

/// The connection to the program, and the session with it.
pub(super) struct Link {
    bus: Bus,
    pub(super) prompt: PromptLimit,
    opening: Cell<Option<Asked>>,
    session: RefCell<Option<Path<'static>>>,
    provider: RefCell<Option<Provider>>,
}

impl Link {
    pub(super) const fn new(bus: Bus, prompt: PromptLimit) -> Self {
        Self {
            bus,
            prompt,
            opening: Cell::new(None),
            session: RefCell::new(None),
            provider: RefCell::new(None),
        }
    }

    /// The rest of the time that may be waited.
    pub(super) fn left(&self) -> Duration {
        self.bus.left()
    }

    /// Begins to open the session, and meanwhile asks the bus which program this is.
    pub(super) fn greet(&self) -> Result<(), BusFault> {
        let opening = self.opening.take();
        if opening.is_some() || self.session.borrow().is_some() {
            self.opening.set(opening);
            return Ok(());
        }
        let open = call(SECRETS, ROOT, SERVICE_API, "OpenSession");
        let asked = self.bus.send(open.append2("plain", Variant("")))?;
        self.opening.set(Some(asked));
        self.find_provider().map(drop)
    }

    /// The program that offers the service. `None` if none does yet.
    pub(super) fn find_provider(&self) -> Result<Option<Provider>, BusFault> {
        if self.provider.borrow().is_none() {
            let answer = one(self.bus.ask(vec![process_of(SECRETS)])?);
            let pid = answer.ok().and_then(|answer| answer.read1::<u32>().ok());
            *self.provider.borrow_mut() = pid.and_then(Provider::of_process);
        }
        Ok(self.provider.borrow().clone())
    }

    /// Sends all requests at once, and opens the session with them if needed.
    fn ask(&self, questions: Vec<Message>) -> Result<Vec<BusReply>, BusFault> {
        if self.session.borrow().is_some() {
            return self.bus.ask(questions);
        }
        self.greet()?;
        let mut asked = vec![self.opening.take().ok_or_else(no_session)?];
        for question in questions {
            asked.push(self.bus.send(question)?);
        }
        let mut answers = self.bus.wait(&asked)?.into_iter();
        let answer = answers.next().ok_or_else(no_session)??;
        let (_, path) = answer
            .read2::<Variant<Box<dyn RefArg>>, Path<'static>>()
            .map_err(|error| odd("OpenSession", error))?;
        self.session.replace(Some(path));
        Ok(answers.collect())
    }

    fn ask_one(&self, question: Message) -> BusReply {
        one(self.ask(vec![question])?)
    }

    fn session(&self) -> Result<Path<'static>, BusFault> {
        if self.session.borrow().is_none() {
            self.ask(Vec::new())?;
        }
        let session = self.session.borrow();
        session.clone().ok_or_else(no_session)
    }

    /// Whether the default collection is locked; `None` if there is none.
    pub(super) fn default_is_locked(&self) -> Result<Option<bool>, BusFault> {
        self.is_locked(DEFAULT, COLLECTION_API)
    }

    /// Whether an item is locked; `None` if there is none, or no longer.
    pub(super) fn item_is_locked(&self, path: &Path<'static>) -> Result<Option<bool>, BusFault> {
        self.is_locked(path, ITEM_API)
    }

    /// Whether all of these items and collections are unlocked.
    pub(super) fn are_unlocked(&self, paths: &[Path<'static>]) -> Result<bool, BusFault> {
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
    fn is_locked(&self, path: &str, interface: &str) -> Result<Option<bool>, BusFault> {
        match self.ask_one(property(path, interface, "Locked")) {
            Ok(answer) => {
                let locked = answer
                    .read1::<Variant<bool>>()
                    .map_err(|e| odd("Locked", e))?;
                Ok(Some(locked.0))
            }
            Err(BusFault::Refused(..)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Whether a wallet of KDE is open, although its collection says that it is locked: until the first
    /// request to unlock it, it does not know that the wallet was opened at login.
    pub(super) fn is_open_wallet(&self) -> Result<bool, BusFault> {
        let provider = self.find_provider()?;
        let Some((name, object)) = provider.as_ref().and_then(Provider::wallet) else {
            return Ok(false);
        };
        let Ok(label) = self.ask_one(property(DEFAULT, COLLECTION_API, "Label")) else {
            return Ok(false);
        };
        let label = label
            .read1::<Variant<String>>()
            .map_err(|e| odd("Label", e))?;
        let open = call(&name, &object, "org.kde.KWallet", "isOpen").append1(label.0);
        let answer = self.ask_one(open);
        Ok(answer.is_ok_and(|answer| answer.read1().unwrap_or(false)))
    }

    /// Searches items by their attributes.
    pub(super) fn search(
        &self,
        wanted: &[HashMap<&str, &str>],
    ) -> Result<Vec<SearchResult>, BusFault> {
        let search = |attributes: &HashMap<&str, &str>| {
            call(SECRETS, ROOT, SERVICE_API, "SearchItems").append1(attributes.clone())
        };
        self.ask(wanted.iter().map(search).collect())?
            .into_iter()
            .map(|answer| found(&answer?))
            .collect()
    }

    /// The attributes of items, locked ones included, in order.
    pub(super) fn attributes(
        &self,
        paths: &[Path<'static>],
    ) -> Result<Vec<HashMap<String, String>>, BusFault> {
        let questions = paths.iter().map(attributes_of);
        self.ask(questions.collect())?
            .into_iter()
            .map(|answer| attributes(&answer?))
            .collect()
    }

    /// Reads unlocked items, in order, each with or without its attributes.
    pub(super) fn read(
        &self,
        items: &[(Path<'static>, bool)],
    ) -> Result<Vec<StoredCredential>, ServiceError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let paths: Paths = items.iter().map(|(path, _)| path.clone()).collect();
        let get = call(SECRETS, ROOT, SERVICE_API, "GetSecrets");
        let mut questions = vec![get.append2(paths, self.session()?)];
        let with_attributes = items.iter().filter(|(_, with)| *with);
        questions.extend(with_attributes.map(|(path, _)| attributes_of(path)));
        let mut answers = self.ask(questions)?.into_iter();
        let values = answers.next().ok_or_else(no_session)??;
        let mut values = values
            .read1::<HashMap<Path<'static>, OwnedStruct>>()
            .map_err(|error| odd("GetSecrets", error))?;
        let mut found = Vec::with_capacity(items.len());
        for (path, with_attributes) in items {
            let attributes = match with_attributes.then(|| answers.next()).flatten() {
                Some(answer) => attributes(&answer?)?,
                None => HashMap::new(),
            };
            let (.., value, _) = values.remove(path).ok_or(ServiceError::Locked)?;
            found.push(StoredCredential { value, attributes });
        }
        Ok(found)
    }

    /// Creates an item in the default collection.
    pub(super) fn create(
        &self,
        label: &str,
        attributes: &HashMap<String, String>,
        value: &[u8],
    ) -> Result<(), ServiceError> {
        let mut properties: HashMap<&str, Variant<Box<dyn RefArg>>> = HashMap::new();
        properties.insert(
            "org.freedesktop.Secret.Item.Label",
            Variant(Box::new(label.to_owned())),
        );
        properties.insert(
            "org.freedesktop.Secret.Item.Attributes",
            Variant(Box::new(attributes.clone())),
        );
        let question = call(SECRETS, DEFAULT, COLLECTION_API, "CreateItem").append3(
            properties,
            enclosed(self.session()?, value),
            true,
        );
        let answer = match self.ask_one(question) {
            Err(BusFault::Refused(name, _))
                if name.ends_with(".NoSuchObject") || name.contains(".Error.Unknown") =>
            {
                return Err(ServiceError::NoCollection);
            }
            other => other?,
        };
        let (_, prompt) = answer
            .read2::<Path<'static>, Path<'static>>()
            .map_err(|error| odd("CreateItem", error))?;
        self.prompt(&prompt, self.action_limit()?)
    }

    /// Replaces value and attributes of an item, and returns the attributes that it has then.
    pub(super) fn replace(
        &self,
        path: &Path<'static>,
        value: Option<&[u8]>,
        attributes: Option<&HashMap<String, String>>,
    ) -> Result<HashMap<String, String>, ServiceError> {
        let mut questions = Vec::new();
        if let Some(value) = value {
            let set = call(SECRETS, path, ITEM_API, "SetSecret");
            questions.push(set.append1(enclosed(self.session()?, value)));
        }
        if let Some(all) = attributes {
            let set = call(SECRETS, path, PROPERTIES, "Set");
            questions.push(set.append3(ITEM_API, "Attributes", Variant(all.clone())));
        }
        questions.push(attributes_of(path));
        let answers: Result<Vec<_>, _> = self.ask(questions)?.into_iter().collect();
        let now = answers?.last().map(super::wire::attributes).transpose()?;
        Ok(now.unwrap_or_default())
    }

    pub(super) fn delete(&self, paths: &[Path<'static>]) -> Result<(), ServiceError> {
        let questions = paths
            .iter()
            .map(|path| call(SECRETS, path, ITEM_API, "Delete"));
        for answer in self.ask(questions.collect())? {
            let prompt = answer?
                .read1::<Path<'static>>()
                .map_err(|e| odd("Delete", e))?;
            self.prompt(&prompt, self.action_limit()?)?;
        }
        Ok(())
    }

    /// The limit of a prompt that creates or deletes an item.
    fn action_limit(&self) -> Result<PromptLimit, BusFault> {
        let provider = self.find_provider()?;
        let silent = provider.is_some_and(|provider| provider.acts_by_prompt());
        Ok(self.prompt.or(silent.then(|| self.left())))
    }

    /// Requests to unlock these objects. The user may be prompted, within the limit.
    pub(super) fn unlock(
        &self,
        paths: &[Path<'static>],
        limit: PromptLimit,
    ) -> Result<(), ServiceError> {
        let question = call(SECRETS, ROOT, SERVICE_API, "Unlock").append1(paths.to_vec());
        let (_, prompt) = self
            .ask_one(question)?
            .read2::<Paths, Path<'static>>()
            .map_err(|error| odd("Unlock", error))?;
        self.prompt(&prompt, limit)
    }

    /// Shows a prompt and waits for the user.
    fn prompt(&self, path: &Path<'static>, limit: PromptLimit) -> Result<(), ServiceError> {
        if &**path == NONE {
            return Ok(());
        }
        let Some(limit) = limit else {
            self.bus.tell(call(SECRETS, path, PROMPT_API, "Dismiss"));
            return Err(ServiceError::Locked);
        };
        let rule = format!("type='signal',interface='{PROMPT_API}',path='{path}'");
        let show = call(SECRETS, path, PROMPT_API, "Prompt").append1("");
        for answer in self.ask(vec![add_match(&rule), show])? {
            answer?;
        }
        let Some(signal) = self.bus.signal(path, "Completed", limit)? else {
            self.bus.tell(call(SECRETS, path, PROMPT_API, "Dismiss"));
            return Err(ServiceError::Unanswered(limit));
        };
        match signal.get1::<bool>() {
            Some(false) => Ok(()),
            _ => Err(ServiceError::Dismissed),
        }
    }
}
