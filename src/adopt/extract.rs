//! From one entry to its replacement: the secrets, the policy that names them, and the words that
//! stay in the client's file.
//!
//! Invariants: pure; references and ordinary values stay where they are; the server is started with
//! the same program, arguments and variables, or there is a reason why not. The caller names the
//! secrets, since it sees all entries.

use super::bridge_command::MCP_REMOTE;
use super::collect::Extractor;
use super::extracted::{
    Extracted, is_default, is_shell, is_whole, shown, takes_value, variable_of, without_quotes,
};
use super::references::{References, of_environment};
use super::shell_text;

use crate::catalog;
use crate::client::edit::NewWord;
use crate::client::entry::{Program, ServerEntry};
use crate::detect::{self, Judged, SecretPart, ValueSite, Verdict};
use crate::package;
use crate::policy::template::is_variable_name;
use crate::policy::{argument, inherit};

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
    references: &References<'_>,
) -> Result<Extracted, String> {
    if entry.program == Program::None || entry.words.is_empty() {
        return Err("no program".to_owned());
    }
    if entry.env_file {
        return Err("reads an `envFile`: move its variables into `env`, then adopt it".to_owned());
    }
    let whole_line = whole_line(entry)?;
    let texts: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    let line = whole_line.iter().flatten();
    let words: Vec<String> = match &whole_line {
        Some(_) => line.chain(texts.iter().skip(1)).cloned().collect(),
        None => texts,
    };
    let launch = package::parse(&words);
    let known = launch
        .package
        .as_deref()
        .or(Some(&launch.launcher))
        .and_then(catalog::of_package);
    let mut work = Extractor {
        taken: entry.env.iter().map(|word| word.name.clone()).collect(),
        own: entry.env.iter().map(|word| word.name.clone()).collect(),
        docker: launch.registry == package::Registry::Image,
        ..Extractor::new(known)
    };
    work.environment(judged, references)?;
    work.names(&entry.pass)?;
    work.arguments(entry, judged, whole_line.as_deref(), references)?;
    if launch.package.as_deref() == Some(MCP_REMOTE) {
        // It fills in variables of its own environment.
        let words = work.extracted.command.iter();
        let names = words.flat_map(|word| of_environment(word));
        let names = names.filter(|name| !work.own.contains(*name));
        let names: Vec<String> = names.map(str::to_owned).collect();
        work.names(&names)?;
    }
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

impl Extractor {
    fn environment(
        &mut self,
        judged: &[Judged<'_>],
        references: &References<'_>,
    ) -> Result<(), String> {
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
                Verdict::Secret(parts) if is_whole(parts, text) || is_default(parts, text) => {
                    let part = parts.first();
                    let own = part.and_then(|part| text.get(part.range.clone())).unwrap_or(text);
                    self.push_own(name, own, part.map_or("", |part| part.why));
                    self.extracted.drop_env.push(name.to_owned());
                }
                Verdict::Secret(parts) => {
                    if text.contains("{secret.") {
                        return Err(format!("`{name}` in its environment contains `{{secret.`"));
                    }
                    let template = self.template(text, parts, Some(name), &format!("env {name}"));
                    let template = references.value(&template)?;
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
                    let text = references.value(text)?;
                    self.extracted.set.insert(name.to_owned(), text);
                    // Left in the entry, `HOME` would choose the files of mcpwrap itself.
                    self.extracted.drop_env.push(name.to_owned());
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
        references: &References<'_>,
    ) -> Result<(), String> {
        let words: Vec<&Judged<'_>> = judged
            .iter()
            .filter(|value| matches!(value.slot, ValueSite::Command | ValueSite::Argument))
            .collect();
        if words
            .iter()
            .any(|value| value.word.text.contains("{secret."))
        {
            return Err("an argument contains `{secret.`".to_owned());
        }
        if words.len() != entry.words.len() {
            return Err("not all arguments are strings".to_owned());
        }
        let texts: Vec<String> = words.iter().map(|value| value.word.text.clone()).collect();
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
            } else if argument::is_shell_text(&texts, n) && !value.verdict.secrets().is_empty() {
                let shell = texts.iter().position(|word| is_shell(word)).unwrap_or(n);
                let (before, after) = texts.split_at(shell);
                if !shell_text::gets_variables(before) {
                    return Err(format!(
                        "its secret is in the script of a shell, which `{}` may start without the variables of mcpwrap: \
                         pass it on in a variable, then adopt it",
                        shown(&package::program_name(
                            before.first().map_or("", String::as_str)
                        ))
                    ));
                }
                let shell = after.first().map_or("", String::as_str);
                self.script(shell, text, value.verdict.secrets())?
            } else {
                let before = n
                    .checked_sub(1)
                    .and_then(|n| words.get(n))
                    // A word with a secret is no label for the next one.
                    .filter(|before| before.verdict.secrets().is_empty())
                    .map_or("", |w| w.word.text.as_str());
                self.word(before, text, value.verdict.secrets())
            };
            let change = self.expanded(text, change, references)?;
            self.extracted.words.push(change);
        }
        Ok(())
    }

    /// The script of a shell, with a variable in place of each secret.
    fn script(&mut self, shell: &str, text: &str, parts: &[SecretPart]) -> Result<NewWord, String> {
        let mut named = Vec::new();
        for part in parts {
            let range = without_quotes(text, &part.range);
            let value = text.get(range.clone()).unwrap_or_default();
            // `NAME=value` before a command, or exported.
            let before = text.get(..range.start).unwrap_or_default();
            let before = before.trim_end_matches(['\'', '"']);
            let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"_=".contains(c));
            let assigned = word
                .into_iter()
                .next()
                .and_then(|word| word.strip_suffix('='));
            let name = [assigned, Some(part.name.as_str())];
            let name = name.into_iter().flatten().find(|name| !name.is_empty());
            let variable = variable_of(name.unwrap_or("SECRET"));
            let place = "the script of its shell".to_owned();
            let variable = self.push(&variable, value, part.why, place);
            named.push((value.to_owned(), variable));
        }
        Ok(NewWord::Replace(vec![shell_text::with_variables(
            shell, text, &named,
        )?]))
    }

    /// A whole command line, word by word.
    fn line(&mut self, line: &[String]) -> NewWord {
        let verdicts = detect::arguments(line);
        let mut texts = Vec::new();
        for (n, (text, verdict)) in line.iter().zip(&verdicts).enumerate() {
            let before = n
                .checked_sub(1)
                .filter(|n| verdicts.get(*n).is_some_and(|it| it.secrets().is_empty()))
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
        if is_default(parts, text) {
            self.extracted.argv_secrets = true;
            let value = text.get(first.range.clone()).unwrap_or_default();
            let name = if before.starts_with('-') {
                before
            } else {
                &first.name
            };
            let variable = self.push(
                &variable_of(name),
                value,
                first.why,
                "an argument".to_owned(),
            );
            return NewWord::Replace(vec![format!("{{secret.{variable}}}")]);
        }
        // A `=` after the secret, as in the query of its URL, has no name before it.
        let assigned = text.split_once('=');
        let assigned = assigned.filter(|(name, _)| name.len() < first.range.start);
        let (name, rest) = assigned.unwrap_or((text, ""));
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
        let place = if takes_value(before) && !text.starts_with('-') {
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
}
