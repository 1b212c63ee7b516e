//! Entries whose values are in another store: `op://…` in the environment, and commands that a program
//! with access to a store starts (`op run -- CMD`, see [`super::wrappers`]).
//!
//! Invariant: the server gets the same variables as before, or there is a reason why not.

use std::path::Path;

use super::extract;
use super::extracted::{Extracted, shown};
use super::references::References;
use super::store_files::{absolute, encrypted_names, read};
use super::store_wish::AdoptWish;
use super::wrappers::WrapperCall;
use crate::client::edit::NewWord;
use crate::client::entry::{ServerEntry, SpannedText};
use crate::detect::{self, ValueSite, Verdict};
use crate::env_file;
use crate::policy::template::is_variable_name;

/// How a reference of 1Password starts.
const OP: &str = "op://";

/// What is known outside of the entry.
pub(super) struct StoreSurroundings<'a> {
    pub(super) references: &'a References<'a>,
    /// The variables that the server of a command is known to read.
    pub(super) known: &'a dyn Fn(&[String]) -> Vec<String>,
}

/// Variables of an entry that are for the program of the store: those that are settings of it, and
/// those that are passed on to it.
type OfProgram = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const OF_PROGRAMS: &[OfProgram] = &[
    (
        "op",
        &[("OP_ACCOUNT", "account")],
        &[
            "OP_SERVICE_ACCOUNT_TOKEN",
            "OP_CONNECT_TOKEN",
            "OP_CONNECT_HOST",
        ],
    ),
    (
        "doppler",
        &[("DOPPLER_PROJECT", "project"), ("DOPPLER_CONFIG", "config")],
        &["DOPPLER_TOKEN"],
    ),
    ("infisical", &[], &["INFISICAL_TOKEN"]),
    ("sops", &[], &["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"]),
];

/// Whether an entry has values in another store.
///
/// # Errors
/// Why the command that starts its server is not understood.
pub(super) fn call(entry: &ServerEntry) -> Result<Option<WrapperCall>, String> {
    let words: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    let found = WrapperCall::read(&words)?;
    let refers = entry.env.iter().any(|word| word.text.starts_with(OP));
    let literal = || WrapperCall {
        kind: "op",
        shown: "`op://…` in its environment",
        ..WrapperCall::default()
    };
    Ok(found.or_else(|| (refers && !words.is_empty()).then(literal)))
}

/// Extracts an entry without the program that starts its command, and with references.
///
/// # Errors
/// Why it cannot be adopted like that.
pub(super) fn extract(
    entry: &ServerEntry,
    call: &WrapperCall,
    around: &StoreSurroundings<'_>,
) -> Result<Extracted, String> {
    let mut taker = EntryTaker {
        inner: entry.clone(),
        wish: AdoptWish {
            kind: call.kind,
            settings: call.settings.clone(),
            ..AdoptWish::default()
        },
        set: Vec::new(),
        dropped: Vec::new(),
    };
    taker.words(call)?;
    if call.length > 0 {
        taker.of_program()?;
    }
    taker.references()?;
    taker.of_call(entry, call, around)?;
    let EntryTaker {
        inner,
        wish,
        set,
        dropped,
    } = taker;
    let judged = detect::entry(&inner);
    let mut extracted = extract::extract(&inner, &judged, around.references)?;
    let clash = extracted
        .values
        .iter()
        .find(|value| wish.values.iter().any(|(name, _)| *name == value.variable));
    if let Some(value) = clash {
        return Err(format!("`{}` has two values", value.variable));
    }
    extracted.words = words_of_file(call, &inner, extracted.words);
    extracted.drop_env.extend(dropped);
    extracted.set.extend(set);
    extracted.wish = Some(wish);
    Ok(extracted)
}

/// What the client's file has in place of the whole command line.
fn words_of_file(call: &WrapperCall, inner: &ServerEntry, words: Vec<NewWord>) -> Vec<NewWord> {
    let dropped = std::iter::repeat_n(NewWord::Drop, call.length);
    if !call.is_text {
        return dropped.chain(words).collect();
    }
    let texts = words.into_iter().zip(&inner.words);
    let texts = texts.flat_map(|(change, word)| match change {
        NewWord::Keep => vec![word.text.clone()],
        NewWord::Replace(texts) => texts,
        NewWord::Drop => Vec::new(),
    });
    let whole = NewWord::Replace(texts.collect());
    dropped.chain([whole]).collect()
}

/// An entry, while it is taken apart.
struct EntryTaker {
    /// What is left for the usual extraction.
    inner: ServerEntry,
    wish: AdoptWish,
    /// Variables of files, which are no secrets.
    set: Vec<(String, String)>,
    /// Variables that do not stay in the client's file.
    dropped: Vec<String>,
}

impl EntryTaker {
    /// Leaves the words of the command that is started.
    fn words(&mut self, call: &WrapperCall) -> Result<(), String> {
        let rest = self.inner.words.split_off(call.length);
        self.inner.words = rest;
        let Some(text) = self.inner.words.first().filter(|_| call.is_text) else {
            return Ok(());
        };
        let special = [
            '"', '\'', '\\', '|', '&', ';', '>', '<', '`', '$', '(', '*', '?', '~', '#', '=',
        ];
        if text.text.contains(special) {
            return Err(format!(
                "`{}` starts a shell command: write the program and its arguments after it without a shell",
                call.shown
            ));
        }
        let word = |part: &str| SpannedText {
            text: part.to_owned(),
            ..text.clone()
        };
        self.inner.words = text.text.split_whitespace().map(word).collect();
        Ok(())
    }

    /// Takes the variables of the store's program.
    fn of_program(&mut self) -> Result<(), String> {
        let kind = self.wish.kind;
        let Some((_, settings, passed)) = OF_PROGRAMS.iter().find(|(of, _, _)| *of == kind) else {
            return Ok(());
        };
        for word in std::mem::take(&mut self.inner.env) {
            let name = word.name.as_str();
            let setting = settings.iter().find(|(variable, _)| *variable == name);
            if setting.is_none() && !passed.contains(&name) {
                self.inner.env.push(word);
                continue;
            }
            match detect::value(ValueSite::Env(name), &word.text) {
                Verdict::Reference => {
                    return Err(format!(
                        "its client fills in `{name}`, which is for the store: write its value, or add the \
                         store with `mcpwrap store add`"
                    ));
                }
                Verdict::Secret(_) => self.wish.logins.push((word.name.clone(), word.text)),
                _ => match setting {
                    Some((_, setting)) => self.wish.settings.push((setting, word.text)),
                    None => self.wish.env.push((word.name.clone(), word.text)),
                },
            }
            self.dropped.push(word.name);
        }
        Ok(())
    }

    /// Takes the variables that are references of 1Password.
    fn references(&mut self) -> Result<(), String> {
        for word in std::mem::take(&mut self.inner.env) {
            if self.wish.kind == "op" && word.text.starts_with(OP) {
                self.value(&word.name, &word.text)?;
                self.dropped.push(word.name);
            } else {
                self.inner.env.push(word);
            }
        }
        Ok(())
    }

    fn value(&mut self, name: &str, place: &str) -> Result<(), String> {
        if !is_variable_name(name) {
            return Err(format!("`{}` is not a variable name", shown(name)));
        }
        if place.contains('$') {
            return Err(format!(
                "`{name}` has a variable in its reference: write the reference out, then adopt it"
            ));
        }
        self.wish.values.retain(|(known, _)| known != name);
        self.wish.values.push((name.to_owned(), place.to_owned()));
        Ok(())
    }

    /// Takes the values that the program gives to the command.
    fn of_call(
        &mut self,
        entry: &ServerEntry,
        call: &WrapperCall,
        around: &StoreSurroundings<'_>,
    ) -> Result<(), String> {
        for file in &call.files {
            let path = absolute(file, entry, around.references)?;
            let text =
                read(&path).map_err(|why| format!("cannot read `{}`: {why}", shown(file)))?;
            match self.wish.kind {
                "sops" => self.of_encrypted(&path, &text)?,
                _ => self.of_file(file, &text)?,
            }
        }
        match self.wish.kind {
            "bws" => return Err(self.by_id(&entry.name, call, around)),
            "doppler" | "infisical" => self.of_names(call, around)?,
            _ => {}
        }
        if self.wish.values.is_empty() {
            return Err(format!("`{}` gives it no value that is known", call.shown));
        }
        Ok(())
    }

    /// The variables of a file for `op run`.
    fn of_file(&mut self, file: &str, text: &str) -> Result<(), String> {
        let pairs = env_file::pairs(text);
        let pairs = pairs.map_err(|why| format!("`{}` {why}", shown(file)))?;
        for (name, value) in pairs {
            if value.starts_with(OP) {
                self.value(&name, &value)?;
            } else if !is_variable_name(&name) || value.contains("{secret.") {
                return Err(format!(
                    "`{}` has a variable that no policy can have",
                    shown(file)
                ));
            } else if detect::value(ValueSite::Env(&name), &value)
                .secrets()
                .is_empty()
            {
                self.set.push((name.clone(), value));
            } else {
                return Err(format!(
                    "`{}` has the value of `{name}` in plaintext: move it into a store, then adopt it",
                    shown(file)
                ));
            }
            // A variable of the file wins over one of the entry.
            let old = self.inner.env.iter().position(|word| word.name == name);
            if let Some(at) = old {
                self.dropped.push(self.inner.env.remove(at).name);
            }
        }
        Ok(())
    }

    /// The names in a file for `sops exec-env`, which are not encrypted.
    fn of_encrypted(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let names = encrypted_names(path, text)
            .ok_or_else(|| format!("`{}` is no file of SOPS", path.display()))?;
        for name in names {
            let place = format!("{}#{name}", path.display());
            self.value(&name, &place)?;
        }
        Ok(())
    }

    /// Why a call of `bws` is left, and how to refer to its values: by an ID, as their names can occur twice.
    fn by_id(&self, server: &str, call: &WrapperCall, around: &StoreSurroundings<'_>) -> String {
        let mut settings = call.settings.iter();
        let project = settings.find(|(name, _)| *name == "project");
        let project = project.map_or_else(String::new, |(_, id)| format!(" {}", shown(id)));
        let read = self.names(around);
        let secrets = match read.as_slice() {
            [] => "--secret NAME=STORE:ID".to_owned(),
            names => {
                let words = names.iter().map(|name| format!("--secret {name}=STORE:ID"));
                words.collect::<Vec<_>>().join(" ")
            }
        };
        format!(
            "`{}` gives it all values of a project, and `bws` finds a value by its ID only: add a store with \
             `mcpwrap store add`, list the IDs with `bws secret list{project} | jq -r '.[] | .key + \" \" + .id'`, \
             and run `mcpwrap policy new {server} {secrets} -- COMMAND`",
            call.shown
        )
    }

    /// The variables that the server is known to read, without those that the entry sets.
    fn names(&self, around: &StoreSurroundings<'_>) -> Vec<String> {
        let words = self.inner.words.iter();
        let words: Vec<String> = words.map(|word| word.text.clone()).collect();
        let is_own = |name: &String| self.inner.env.iter().any(|word| word.name == *name);
        let names = (around.known)(&words).into_iter();
        names.filter(|name| !is_own(name)).collect()
    }

    /// The variables that the server reads, for a program that does not say which it gives.
    fn of_names(
        &mut self,
        call: &WrapperCall,
        around: &StoreSurroundings<'_>,
    ) -> Result<(), String> {
        let names = self.names(around);
        if names.is_empty() {
            return Err(format!(
                "`{}` does not say which variables it gives, and it is not known which the server reads: name \
                 them in a policy (`mcpwrap policy new`)",
                call.shown
            ));
        }
        self.wish.is_optional = names.len() > 1;
        for name in names {
            let place = match call.folder.as_str() {
                "" => name.clone(),
                folder => format!("/{folder}/{name}"),
            };
            self.value(&name, &place)?;
        }
        Ok(())
    }
}
