//! Which items a request means, and what happens if they are locked, missing or there several times.
//!
//! Invariant: the user is prompted only if that is allowed; without it, nothing waits for the user.

use std::collections::HashMap;

use dbus::Path;

use super::calls::Link;
use super::error::ServiceError;
use super::provider::Provider;
use super::wire::{Paths, SearchResult, default_collection};
use crate::store::keychain::batch::AttributeChanges;

/// Attributes that a program adds when it is asked, and would store a second time.
const ADDED: &[&str] = &["Uuid", "Path"];

impl Link {
    /// Whether the default collection can be used without a prompt.
    ///
    /// # Errors
    /// `Locked`, `NoCollection`, a fault.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        match self.default_is_locked()? {
            Some(false) => Ok(()),
            Some(true) if self.is_open_wallet()? => Ok(()),
            Some(true) => Err(ServiceError::Locked),
            None => Err(ServiceError::NoCollection),
        }
    }

    /// Unlocks locked items or collections, if prompting is allowed or not necessary.
    pub(super) fn open_up(&self, locked: &[Path<'static>]) -> Result<(), ServiceError> {
        match self.prompt {
            Some(limit) => match self.unlock(locked, Some(limit)) {
                // What this prompt was for may have been unlocked by the prompt of another program.
                Err(ServiceError::Dismissed) if self.are_unlocked(locked)? => Ok(()),
                answer => answer,
            },
            None if self.is_open_wallet()? => self.unlock(locked, Some(self.left())),
            None => Err(ServiceError::Locked),
        }
    }

    fn open_default(&self) -> Result<(), ServiceError> {
        self.open_up(&[default_collection()])
    }

    /// The unlocked items with these attributes.
    pub(super) fn find_all(
        &self,
        wanted: &[HashMap<&str, &str>],
    ) -> Result<Vec<Paths>, ServiceError> {
        let mut found = self.look(wanted)?;
        let locked = locked_of(&found);
        if !locked.is_empty() {
            self.open_items(&locked)?;
            found = self.search(wanted)?;
        } else if found.iter().any(SearchResult::is_empty)
            && self.default_is_locked()? == Some(true)
        {
            // Some programs do not list their items while they are locked.
            self.open_default()?;
            found = self.search(wanted)?;
        }
        if !locked_of(&found).is_empty() {
            return Err(ServiceError::Locked);
        }
        Ok(found.into_iter().map(|one| one.unlocked).collect())
    }

    /// All items with these attributes. Locked ones stay locked.
    pub(super) fn list(&self, wanted: HashMap<&str, &str>) -> Result<Paths, ServiceError> {
        let wanted = [wanted];
        let mut found = self.look(&wanted)?;
        if found.iter().all(SearchResult::is_empty) && self.default_is_locked()? == Some(true) {
            self.open_default()?;
            found = self.search(&wanted)?;
        }
        let all = found.into_iter();
        Ok(all
            .flat_map(|one| one.unlocked.into_iter().chain(one.locked))
            .collect())
    }

    /// The only item with these attributes.
    pub(super) fn find_one(
        &self,
        wanted: HashMap<&str, &str>,
    ) -> Result<Path<'static>, ServiceError> {
        let mut found = self.find_all(&[wanted])?.pop().unwrap_or_default();
        match found.len() {
            0 | 1 => found.pop().ok_or(ServiceError::NoItem),
            _ => Err(ServiceError::Ambiguous(found)),
        }
    }

    /// Unlocks one item, if necessary and allowed.
    pub(super) fn open_item(&self, path: &Path<'static>) -> Result<(), ServiceError> {
        match self.item_is_locked(path)? {
            Some(false) => Ok(()),
            Some(true) => self.open_items(std::slice::from_ref(path)),
            None => Err(ServiceError::NoItem),
        }
    }

    /// Creates an item, or replaces the value of the only one with these attributes. It stays the same
    /// item, because a second one with other attributes would make the name ambiguous.
    pub(super) fn write(
        &self,
        wanted: HashMap<&str, &str>,
        label: &str,
        value: &[u8],
        changes: &AttributeChanges<'_>,
    ) -> Result<(), ServiceError> {
        match self.find_one(wanted.clone()) {
            Ok(path) => self.change(&path, Some(value), changes),
            Err(ServiceError::NoItem) => {
                let set = changes
                    .iter()
                    .filter_map(|(key, value)| Some((*key, (*value)?)));
                let all = wanted.into_iter().chain(set);
                let all = all
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect();
                match self.create(label, &all, value) {
                    Err(ServiceError::Locked) => {
                        self.open_default()?;
                        self.create(label, &all, value)
                    }
                    other => other,
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces the value and some attributes of an item.
    pub(super) fn change(
        &self,
        path: &Path<'static>,
        value: Option<&[u8]>,
        changes: &AttributeChanges<'_>,
    ) -> Result<(), ServiceError> {
        let old = self.attributes(std::slice::from_ref(path))?;
        let mut new: HashMap<_, _> = old.into_iter().flatten().collect();
        new.retain(|key, _| !ADDED.contains(&key.as_str()));
        let before = new.clone();
        for (key, value) in changes {
            match value {
                Some(value) => new.insert((*key).to_owned(), (*value).to_owned()),
                None => new.remove(*key),
            };
        }
        let is_other = new != before;
        let now = self.replace(path, value, is_other.then_some(&new))?;
        // A program that only adds attributes is told that those are empty.
        let removed = changes.iter().filter(|(_, value)| value.is_none());
        let stays = |key: &str| now.get(key).is_some_and(|value| !value.is_empty());
        let mut empty = removed.filter(|(key, _)| stays(key)).peekable();
        if empty.peek().is_some() {
            new.extend(empty.map(|(key, _)| ((*key).to_owned(), String::new())));
            self.replace(path, None, Some(&new))?;
        }
        Ok(())
    }

    /// Searches, after what must be unlocked before.
    fn look(&self, wanted: &[HashMap<&str, &str>]) -> Result<Vec<SearchResult>, ServiceError> {
        self.greet()?;
        let provider = self.find_provider()?;
        if provider.as_ref().is_some_and(Provider::prompts_on_search)
            && self.default_is_locked()? == Some(true)
        {
            self.open_default()?;
        }
        Ok(self.search(wanted)?)
    }

    fn open_items(&self, locked: &[Path<'static>]) -> Result<(), ServiceError> {
        let provider = self.find_provider()?;
        let confirms = provider.as_ref().is_some_and(Provider::confirms_items);
        match self.open_up(locked) {
            Err(ServiceError::Locked) if confirms && self.default_is_locked()? == Some(false) => {
                Err(ServiceError::Unconfirmed)
            }
            answer => answer,
        }
    }
}

fn locked_of(found: &[SearchResult]) -> Paths {
    found.iter().flat_map(|one| one.locked.clone()).collect()
}
