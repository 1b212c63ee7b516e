//! From one entry to its replacement: the secrets, the policy that names them, and the words that
//! stay in the client's file.
//!
//! Invariants: pure; references and ordinary values stay where they are; the server is started with
//! the same program, arguments and variables, or there is a reason why not. The caller names the
//! secrets, since it sees all entries.

use std::collections::{BTreeMap, BTreeSet};

use super::extracted::{Extracted, ExtractedSecret, is_filled_in, is_whole, shown, variable_of};

use crate::catalog;
use crate::client::edit::NewWord;
use crate::client::entry::{Program, ServerEntry};
use crate::detect::{self, Judged, SecretPart, ValueSite, Verdict};
use crate::package;
use crate::policy::template::is_variable_name;
use crate::policy::{Cwd, inherit};

/// Whether an entry holds a secret anywhere.
pub(super) fn holds_secret(judged: &[Judged<'_>]) -> bool {
    judged
        .iter()
        .any(|value| matches!(value.verdict, Verdict::Secret(_)))
}

/// Extracts the secrets of an entry, or says why it cannot be adopted.
pub(super) fn extract(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    fills_in: bool,
) -> Result<Extracted, String> {
    if entry.program == Program::None || entry.words.is_empty() {
        return Err("no program".to_owned());
    }
    if entry.env_file {
        return Err("reads an `envFile`: move its variables into `env`, then adopt it".to_owned());
    }
    let whole_line = whole_line(entry)?;
    let texts: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    let launch = package::parse(whole_line.as_deref().unwrap_or(&texts));
    let known = launch
        .package
        .as_deref()
        .or(Some(&launch.launcher))
        .and_then(catalog::of_package);
    let mut work = Extractor {
        extracted: Extracted {
            command: Vec::new(),
            words: Vec::new(),
            values: Vec::new(),
            pass: Vec::new(),
            set: BTreeMap::new(),
            drop_env: Vec::new(),
            argv_secrets: false,
            cwd: Cwd::Private,
            shipped: known,
            notes: Vec::new(),
        },
        taken: entry.env.iter().map(|word| word.name.clone()).collect(),
        docker: launch.registry == package::Registry::Image,
    };
    work.environment(judged)?;
    work.names(&entry.pass)?;
    work.arguments(entry, judged, whole_line.as_deref(), fills_in)?;
    Ok(work.extracted)
}

/// The words of a command that is one string, e.g. `"command": "npx -y server"`.
fn whole_line(entry: &ServerEntry) -> Result<Option<Vec<String>>, String> {
    let (Program::Text(_), Some(first)) = (&entry.program, entry.words.first()) else {
        return Ok(None);
    };
    let path = first.text.starts_with(['/', '~', '.', '\\']) || first.text.contains(":\\");
    if !first.text.contains(' ') || path && entry.args.is_some() {
        return Ok(None);
    }
    if first
        .text
        .contains(['"', '\'', '\\', '|', '&', ';', '>', '<', '`'])
    {
        return Err(
            "its command is a shell command: split it into the program and `args`, then adopt it"
                .to_owned(),
        );
    }
    Ok(Some(
        first.text.split_whitespace().map(str::to_owned).collect(),
    ))
}

struct Extractor {
    extracted: Extracted,
    /// Names of variables that are in use.
    taken: BTreeSet<String>,
    docker: bool,
}

impl Extractor {
    fn environment(&mut self, judged: &[Judged<'_>]) -> Result<(), String> {
        for value in judged {
            let ValueSite::Env(name) = value.slot else {
                continue;
            };
            if !is_variable_name(name) {
                return Err(format!(
                    "`{name}` in its environment is not a variable name"
                ));
            }
            let text = value.word.text.as_str();
            match &value.verdict {
                Verdict::Secret(parts) if is_whole(parts, text) => {
                    self.push(name, text, parts.first().map_or("", |part| part.why), format!("env {name}"));
                    self.extracted.drop_env.push(name.to_owned());
                }
                Verdict::Secret(parts) => {
                    if text.contains("{secret.") {
                        return Err(format!("`{name}` in its environment contains `{{secret.`"));
                    }
                    let template = self.template(text, parts, Some(name), &format!("env {name}"));
                    self.extracted.set.insert(name.to_owned(), template);
                    self.extracted.drop_env.push(name.to_owned());
                }
                Verdict::Reference if inherit::never(name).is_some() => self.extracted.notes.push(format!(
                    "`{name}` refers to a variable of the client and is not inherited: it can make programs load code"
                )),
                Verdict::Reference if inherit::is_network(name) => self.extracted.notes.push(format!(
                    "`{name}` refers to a variable of the client and is not inherited: run `mcpwrap config network` to approve network settings"
                )),
                // The server gets the value of the terminal in which the policy is granted.
                Verdict::Reference if inherit::is_sealed(name) => {}
                _ if inherit::never(name).is_some() || inherit::is_network(name) || inherit::is_sealed(name) => {
                    self.extracted.set.insert(name.to_owned(), text.to_owned());
                }
                _ => self.extracted.pass.push(name.to_owned()),
            }
        }
        Ok(())
    }

    fn names(&mut self, names: &[String]) -> Result<(), String> {
        for name in names {
            if !is_variable_name(name) || inherit::never(name).is_some() {
                return Err(format!(
                    "inherits `{name}` from the client, which no policy may inherit"
                ));
            }
            if inherit::is_sealed(name) || inherit::is_network(name) {
                continue;
            }
            if !self.extracted.pass.contains(name) {
                self.extracted.pass.push(name.clone());
            }
        }
        Ok(())
    }

    fn arguments(
        &mut self,
        entry: &ServerEntry,
        judged: &[Judged<'_>],
        whole_line: Option<&[String]>,
        fills_in: bool,
    ) -> Result<(), String> {
        let words: Vec<&Judged<'_>> = judged
            .iter()
            .filter(|value| matches!(value.slot, ValueSite::Command | ValueSite::Argument))
            .collect();
        if let Some(word) = words
            .iter()
            .find(|value| fills_in && is_filled_in(&value.word.text))
        {
            return Err(format!(
                "the client expands `{}`, but a policy needs the exact command: write the value, then adopt it",
                shown(&word.word.text)
            ));
        }
        if words
            .iter()
            .any(|value| value.word.text.contains("{secret."))
        {
            return Err("an argument contains `{secret.`".to_owned());
        }
        if words.len() != entry.words.len() {
            return Err("not all arguments are strings".to_owned());
        }
        let mut dropped_next = false;
        for (n, value) in words.iter().enumerate() {
            let text = value.word.text.as_str();
            let next = words.get(n + 1).copied();
            let line = whole_line.filter(|_| n == 0);
            let change = if std::mem::take(&mut dropped_next) {
                NewWord::Drop
            } else if let Some(line) = line {
                self.line(line)
            } else if let Some(next) = next.filter(|next| self.drops_flag(text, next)) {
                let parts = next.verdict.secrets();
                let variable = self.flag_variable(text);
                let whole = next.word.text.as_str();
                let value = parts
                    .first()
                    .and_then(|part| whole.get(part.range.clone()))
                    .unwrap_or(whole);
                self.push(
                    &variable,
                    value,
                    parts.first().map_or("", |part| part.why),
                    format!("argument `{text}`"),
                );
                dropped_next = true;
                NewWord::Drop
            } else {
                let before = n
                    .checked_sub(1)
                    .and_then(|n| words.get(n))
                    .map_or("", |w| w.word.text.as_str());
                self.word(before, text, value.verdict.secrets())
            };
            match &change {
                NewWord::Keep => self.extracted.command.push(text.to_owned()),
                NewWord::Replace(texts) => self.extracted.command.extend(texts.iter().cloned()),
                NewWord::Drop => {}
            }
            self.extracted.words.push(change);
        }
        Ok(())
    }

    /// A whole command line, word by word.
    fn line(&mut self, line: &[String]) -> NewWord {
        let verdicts = detect::arguments(line);
        let mut texts = Vec::new();
        for (n, (text, verdict)) in line.iter().zip(&verdicts).enumerate() {
            let before = n
                .checked_sub(1)
                .and_then(|n| line.get(n))
                .map_or("", String::as_str);
            match self.word(before, text, verdict.secrets()) {
                NewWord::Keep => texts.push(text.clone()),
                NewWord::Replace(new) => texts.extend(new),
                NewWord::Drop => {}
            }
        }
        NewWord::Replace(texts)
    }

    /// Whether `--api-key X` can be dropped, because the server is known to read a variable
    /// instead.
    fn drops_flag(&self, flag: &str, next: &Judged<'_>) -> bool {
        let known = self
            .extracted
            .shipped
            .and_then(|shipped| shipped.secret_for_flag(flag));
        let free = known.is_some_and(|(variable, _)| !self.taken.contains(variable));
        flag.starts_with('-') && free && is_whole(next.verdict.secrets(), &next.word.text)
    }

    fn flag_variable(&self, flag: &str) -> String {
        let known = self
            .extracted
            .shipped
            .and_then(|shipped| shipped.secret_for_flag(flag));
        known.map_or_else(|| variable_of(flag), |(variable, _)| variable.to_owned())
    }

    fn word(&mut self, before: &str, text: &str, parts: &[SecretPart]) -> NewWord {
        let Some(first) = parts.first() else {
            return NewWord::Keep;
        };
        let (name, rest) = text.split_once('=').unwrap_or((text, ""));
        let after = text.len() - rest.len();
        let quoted = rest.len() >= 2
            && (rest.starts_with(['"', '\'']))
            && first.range == (after + 1..text.len() - 1);
        let all =
            !rest.is_empty() && parts.len() == 1 && (first.range == (after..text.len()) || quoted);
        let value = text.get(first.range.clone()).unwrap_or_default().to_owned();
        let known = self
            .extracted
            .shipped
            .and_then(|shipped| shipped.secret_for_flag(name));
        if let Some((variable, _)) =
            known.filter(|(variable, _)| all && !self.taken.contains(*variable))
        {
            self.push(variable, &value, first.why, format!("argument `{name}`"));
            return NewWord::Drop;
        }
        if let Some((at, variable)) = self.docker_variable(before, text) {
            return self.docker(text, parts, at, &variable);
        }
        self.extracted.argv_secrets = true;
        let place = if before.starts_with('-') && !text.starts_with('-') {
            before
        } else {
            name
        };
        let place = if place == text {
            "an argument".to_owned()
        } else {
            format!("argument `{}`", shown(place))
        };
        let owner = Some(before).filter(|flag| flag.starts_with('-') && !flag.contains('='));
        NewWord::Replace(vec![self.template(text, parts, owner, &place)])
    }

    /// `docker run -e NAME=value`: the start of the value, and the name.
    fn docker_variable(&self, before: &str, text: &str) -> Option<(usize, String)> {
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
    fn docker(&mut self, text: &str, parts: &[SecretPart], at: usize, variable: &str) -> NewWord {
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
    fn template(
        &mut self,
        text: &str,
        parts: &[SecretPart],
        owner: Option<&str>,
        place: &str,
    ) -> String {
        let mut out = String::new();
        let mut at = 0;
        for part in parts {
            let value = text.get(part.range.clone()).unwrap_or_default().to_owned();
            let own = [Some(part.name.as_str()), owner]
                .into_iter()
                .flatten()
                .find(|name| !name.is_empty());
            let name = match owner {
                Some(owner) if !owner.starts_with('-') && !part.name.is_empty() => {
                    format!("{owner}_{}", part.name)
                }
                _ => own.unwrap_or("SECRET").to_owned(),
            };
            let variable = self.push(&variable_of(&name), &value, part.why, place.to_owned());
            out.push_str(text.get(at..part.range.start).unwrap_or_default());
            out.push_str("{secret.");
            out.push_str(&variable);
            out.push('}');
            at = part.range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// Adds a secret under a new variable, or finds the one with the same value.
    fn push(&mut self, variable: &str, text: &str, why: &'static str, place: String) -> String {
        let from_env = place.starts_with("env ") && place.get(4..) == Some(variable);
        let same = |value: &&ExtractedSecret| value.text == text && !from_env;
        if let Some(value) = self.extracted.values.iter().find(same) {
            return value.variable.clone();
        }
        let mut free = variable.to_owned();
        let mut n = 2;
        while !from_env && self.taken.contains(&free) {
            free = format!("{variable}_{n}");
            n += 1;
        }
        self.taken.insert(free.clone());
        self.extracted.values.push(ExtractedSecret {
            variable: free.clone(),
            text: text.to_owned(),
            why,
            place,
        });
        free
    }
}
