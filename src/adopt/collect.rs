//! What is taken out of an entry so far, and the names of its variables.

use std::collections::{BTreeMap, BTreeSet};

use super::extracted::{
    Extracted, ExtractedSecret, OF_TERMINAL, is_whole, shown, variable_of, with_places,
};
use super::references::{Expanded, References};
use crate::catalog::KnownServer;
use crate::client::edit::NewWord;
use crate::detect::SecretPart;
use crate::policy::Cwd;
use crate::policy::template::is_variable_name;

#[derive(Debug)]
pub(super) struct Extractor {
    pub(super) extracted: Extracted,
    /// Names of variables that are in use.
    pub(super) taken: BTreeSet<String>,
    /// The variables of the entry.
    pub(super) own: BTreeSet<String>,
    pub(super) docker: bool,
}

impl Extractor {
    /// Nothing is taken out yet.
    pub(super) const fn new(shipped: Option<&'static KnownServer>) -> Self {
        Self {
            extracted: Extracted {
                remote: None,
                command: Vec::new(),
                words: Vec::new(),
                values: Vec::new(),
                pass: Vec::new(),
                set: BTreeMap::new(),
                drop_env: Vec::new(),
                argv_secrets: false,
                cwd: Cwd::Private,
                shipped,
                wish: None,
                references: BTreeMap::new(),
                notes: Vec::new(),
            },
            taken: BTreeSet::new(),
            own: BTreeSet::new(),
            docker: false,
        }
    }

    /// `docker run -e NAME=value`: the start of the value, and the name.
    pub(super) fn docker_variable(&self, before: &str, text: &str) -> Option<(usize, String)> {
        let start = match before {
            "-e" | "--env" => 0,
            _ if text.starts_with("--env=") => 6,
            _ => return None,
        };
        let (name, _) = text.get(start..)?.split_once('=')?;
        let free = is_variable_name(name) && !self.taken.contains(name);
        (self.docker && free).then(|| (start + name.len() + 1, name.to_owned()))
    }

    /// Changes it to `-e NAME`, since docker reads the value from its own environment.
    pub(super) fn docker(
        &mut self,
        text: &str,
        parts: &[SecretPart],
        at: usize,
        variable: &str,
    ) -> NewWord {
        let place = format!("argument `-e {variable}`");
        let value = text.get(at..).unwrap_or_default();
        let moved: Vec<SecretPart> = parts
            .iter()
            .map(|part| SecretPart {
                range: part.range.start.saturating_sub(at)..part.range.end.saturating_sub(at),
                ..part.clone()
            })
            .collect();
        if is_whole(&moved, value) {
            let why = moved.first().map_or("", |part| part.why);
            self.push(variable, value, why, place);
        } else {
            let template = self.template(value, &moved, Some(variable), &place);
            self.taken.insert(variable.to_owned());
            self.extracted.set.insert(variable.to_owned(), template);
        }
        NewWord::Replace(vec![text.get(..at - 1).unwrap_or_default().to_owned()])
    }

    /// The text with a place for each secret part.
    pub(super) fn template(
        &mut self,
        text: &str,
        parts: &[SecretPart],
        owner: Option<&str>,
        place: &str,
    ) -> String {
        with_places(text, parts, |part, value| {
            let own = [Some(part.name.as_str()), owner]
                .into_iter()
                .flatten()
                .find(|name| !name.is_empty());
            let name = match owner {
                // A part of a variable, which has the name already.
                Some(owner) if !owner.starts_with('-') => {
                    let part = if part.name.is_empty() || part.name == owner {
                        "secret"
                    } else {
                        &part.name
                    };
                    format!("{owner}_{part}")
                }
                _ => own.unwrap_or("SECRET").to_owned(),
            };
            self.push(&variable_of(&name), value, part.why, place.to_owned())
        })
    }

    /// Adds a word to the policy's command, with its references resolved.
    pub(super) fn expanded(
        &mut self,
        text: &str,
        change: NewWord,
        references: &References<'_>,
    ) -> Result<NewWord, String> {
        match change {
            NewWord::Keep => {
                let new = self.resolved(text, references)?;
                Ok(if new == text {
                    NewWord::Keep
                } else {
                    NewWord::Replace(vec![new])
                })
            }
            NewWord::Replace(texts) => {
                let texts = texts.iter().map(|text| self.resolved(text, references));
                Ok(NewWord::Replace(texts.collect::<Result<_, String>>()?))
            }
            NewWord::Drop => Ok(NewWord::Drop),
        }
    }

    /// Adds one text to the policy's command; returns what the client's file has in its place.
    fn resolved(&mut self, text: &str, references: &References<'_>) -> Result<String, String> {
        let (of_client, of_policy) = match references.argument(text, &self.own)? {
            Expanded::Same => (text.to_owned(), text.to_owned()),
            Expanded::Text(new) => (new.clone(), new),
            Expanded::Workspace(word) if !self.extracted.command.is_empty() => {
                (text.to_owned(), word)
            }
            Expanded::Workspace(_) => {
                return Err(format!(
                    "the client expands `{}`, which cannot be the program: write its path, then adopt it",
                    shown(text)
                ));
            }
            Expanded::Secret(before, name, value, after) => {
                self.extracted.argv_secrets = true;
                let place = "an argument".to_owned();
                let variable = self.push(&variable_of(&name), &value, OF_TERMINAL, place);
                let new = format!("{before}{{secret.{variable}}}{after}");
                (new.clone(), new)
            }
        };
        self.extracted.command.push(of_policy);
        Ok(of_client)
    }

    /// Adds a secret under a new variable, or finds the one with the same value.
    pub(super) fn push(
        &mut self,
        variable: &str,
        text: &str,
        why: &'static str,
        place: String,
    ) -> String {
        let same = |value: &&ExtractedSecret| value.text == text;
        if let Some(value) = self.extracted.values.iter().find(same) {
            return value.variable.clone();
        }
        let mut free = variable.to_owned();
        let mut n = 2;
        while self.taken.contains(&free) {
            free = format!("{variable}_{n}");
            n += 1;
        }
        self.add(free.clone(), text, why, place);
        free
    }

    /// Adds a variable of the entry, all of whose value is a secret.
    pub(super) fn push_own(&mut self, variable: &str, text: &str, why: &'static str) {
        self.add(variable.to_owned(), text, why, format!("env {variable}"));
    }

    fn add(&mut self, variable: String, text: &str, why: &'static str, place: String) {
        self.taken.insert(variable.clone());
        self.extracted.values.push(ExtractedSecret {
            variable,
            text: text.to_owned(),
            why,
            place,
        });
    }
}
