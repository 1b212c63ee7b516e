//! What a grant and `policy show` show of a store that a policy reads from.

use crate::secret::StoreName;
use crate::store::source::StoreFact;
use crate::store::types::NamedStore;

/// What the user sees of a store that a policy reads from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownStore {
    pub name: StoreName,
    /// The field `type`, and what that is.
    pub kind: &'static str,
    about: &'static str,
    /// Its program, and what runs that.
    pub files: Vec<String>,
    /// The settings that a user approves.
    pub facts: Vec<StoreFact>,
    pub is_interactive: bool,
}

impl ShownStore {
    pub(super) fn new(store: &NamedStore<'_>, files: Vec<String>) -> Self {
        Self {
            name: store.name.clone(),
            kind: store.kind.id,
            about: store.kind.about,
            files,
            facts: (store.kind.shown)(store.definition),
            is_interactive: store.definition.interactive,
        }
    }

    /// Lines of a name and a fact.
    pub fn rows(&self) -> Vec<StoreFact> {
        let mut rows = vec![("store", format!("{}: {}", self.name, self.about))];
        rows.extend(self.files.iter().map(|file| ("", file.clone())));
        let facts = self.facts.iter();
        rows.extend(facts.map(|(name, fact)| ("", format!("{name} {fact}"))));
        if self.is_interactive {
            let note = "may show a dialog of its own while the server waits";
            rows.push(("", note.to_owned()));
        }
        rows
    }
}
