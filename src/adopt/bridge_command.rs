//! Commands that only connect to a remote server (`npx mcp-remote URL --header …`): what they send
//! becomes a remote policy, so that no argument has a secret and no other program sees it.
//!
//! Invariant: only a command whose every word is understood is replaced. Any other is adopted as
//! the program that it is.

use std::collections::{BTreeMap, BTreeSet};

use super::bridge_words::{BridgeCall, NoCall, WordHeader};
use super::extracted::{Extracted, shown};
use super::references::{References, of_environment};
use super::remote::{Sender, place_of};
use crate::client::edit::NewWord;
use crate::client::entry::ServerEntry;
use crate::detect::{Judged, ValueSite, Verdict};
use crate::package::{self, ParsedCommand};
use crate::policy::{inherit, web};

pub(super) const MCP_REMOTE: &str = "mcp-remote";
const MCP_PROXY: &str = "mcp-proxy";
const PROGRAMS: &[&str] = &[MCP_REMOTE, "supergateway", MCP_PROXY];

/// Extracts what the command sends, if it is such a command and has secrets.
///
/// # Errors
/// Why the program is not replaced; `None` for another command.
pub(super) fn extract(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Result<Extracted, Option<String>> {
    let (program, found) = read(entry, judged, references).ok_or(None)?;
    match found {
        Ok(found) if found.values.is_empty() => Err(None),
        Ok(found) => Ok(found),
        Err(why) => Err(Some(format!("it still runs `{program}`: {why}"))),
    }
}

/// Extracts what a command sends that logs in with OAuth, or says why that is not possible. `None` for
/// another command. Of the known ones only `mcp-remote` asks the user.
pub(super) fn without_secret(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Result<Extracted, String>> {
    let (program, found) = read(entry, judged, references)?;
    if program != MCP_REMOTE {
        return None;
    }
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            return Some(Err(format!(
                "mcpwrap cannot take over its `{program}`: {why}: write a policy with `mcpwrap policy new NAME --url URL`"
            )));
        }
    };
    let remote = found.remote.as_ref()?;
    let mut names = remote.headers.keys();
    let has_own = names.any(|name| name.eq_ignore_ascii_case("authorization"));
    (found.values.is_empty() && !has_own).then_some(Ok(found))
}

/// The program and what it sends, if it only connects to a remote server and every word is understood, or
/// why it is not replaced.
fn read(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<(&'static str, Result<Extracted, String>)> {
    let words: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    let launch = package::parse(&words);
    let package = launch.package.as_deref();
    let program = PROGRAMS.iter().find(|name| package == Some(**name))?;
    let call = match BridgeCall::read(program, &launch.args)? {
        Ok(call) => replaceable(entry, &words, &launch).map(|()| call),
        Err(NoCall::OtherUse) => return None,
        Err(NoCall::DoesMore(why)) => Err(why),
    };
    let first = words.len().saturating_sub(launch.args.len());
    let found = call.and_then(|call| sent(entry, judged, references, (program, first), &call));
    Some((program, found))
}

/// Whether nothing but the words decides what the program does.
fn replaceable(
    entry: &ServerEntry,
    words: &[String],
    launch: &ParsedCommand,
) -> Result<(), String> {
    let is_alone = launch.obstacle.is_none() && launch.wrapper.is_empty();
    if !is_alone || !words.ends_with(&launch.args) {
        return Err("another program starts it".to_owned());
    }
    if !launch.env.is_empty() || entry.env_file || !entry.pass.is_empty() {
        return Err("it also gets variables from elsewhere".to_owned());
    }
    Ok(())
}

/// What a call sends. `first`: the number of the first argument.
fn sent(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
    (program, first): (&str, usize),
    call: &BridgeCall,
) -> Result<Extracted, String> {
    let not_text = || "not all its arguments are strings".to_owned();
    let of_word = |n: usize| {
        let is_word =
            |value: &&Judged<'_>| matches!(value.slot, ValueSite::Command | ValueSite::Argument);
        let mut all = judged.iter().filter(is_word);
        all.find(|value| value.index == first + n)
    };
    let address = of_word(call.url).ok_or_else(not_text)?;
    let mut sender = Sender::new(&address.word.text, references);
    let url = sender.url(address)?;
    let mut headers = BTreeMap::new();
    let mut used = BTreeSet::new();
    for one in &call.headers {
        let word = of_word(one.word).ok_or_else(not_text)?;
        let value = header(&mut sender, judged, (one, word), &mut used);
        let left = value
            .as_deref()
            .and_then(|text| of_environment(text).into_iter().next());
        if let Some(left) = left.filter(|_| program == MCP_REMOTE) {
            return Err(format!(
                "its header `{}` has `{}`, which it takes from the environment of your client",
                shown(&one.name),
                shown(&format!("${{{left}}}"))
            ));
        }
        let value = value
            .filter(|_| web::name_fault(&one.name).is_none())
            .ok_or_else(|| format!("no policy has its header `{}`", shown(&one.name)))?;
        headers.insert(one.name.clone(), format!("{}{value}", one.prefix));
    }
    // mcp-proxy takes a bearer token from its environment.
    let token = judged.iter().find(|value| {
        program == MCP_PROXY && matches!(value.slot, ValueSite::Env("API_ACCESS_TOKEN"))
    });
    if let Some(token) = token {
        let (text, parts) = (token.word.text.as_str(), token.verdict.secrets());
        let value = sender.places(text, parts, Some("Authorization"), "env API_ACCESS_TOKEN");
        headers.insert("Authorization".to_owned(), format!("Bearer {value}"));
        used.insert("API_ACCESS_TOKEN");
    }
    let sent = call.headers.iter().map(|one| first + one.word);
    let sent: BTreeSet<usize> = sent.chain([address.index]).collect();
    if !are_all_sent(judged, &sent, &used) {
        return Err("it has a secret that is in no header and not in the URL".to_owned());
    }
    let extracted = sender.extracted();
    extracted.words = vec![NewWord::Drop; entry.words.len()];
    extracted.drop_env = used.iter().map(|name| (*name).to_owned()).collect();
    extracted.notes.extend(network_note(entry));
    sender.finish(url, call.transport, headers)
}

/// Whether each secret of the entry is in what is sent: in one of these words or variables.
fn are_all_sent(
    judged: &[Judged<'_>],
    words: &BTreeSet<usize>,
    variables: &BTreeSet<&str>,
) -> bool {
    let is_sent = |value: &Judged<'_>| match value.slot {
        ValueSite::Env(name) => variables.contains(name),
        ValueSite::Command | ValueSite::Argument => words.contains(&value.index),
        _ => false,
    };
    let is_secret = |value: &&Judged<'_>| matches!(value.verdict, Verdict::Secret(_));
    judged.iter().filter(is_secret).all(is_sent)
}

/// The network settings of an entry, which are those of all servers now.
fn network_note(entry: &ServerEntry) -> Option<String> {
    let names = entry.env.iter().map(|word| word.name.as_str());
    let names: Vec<_> = names.filter(|name| inherit::is_network(name)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "`{}` no longer applies to it: run `mcpwrap config network` to approve network settings",
            names.join("`, `")
        )
    })
}

/// The value of a header, with `${NAME}` of the entry's variables filled in as the program does.
fn header<'a>(
    sender: &mut Sender<'_>,
    judged: &'a [Judged<'a>],
    (one, word): (&WordHeader, &Judged<'_>),
    used: &mut BTreeSet<&'a str>,
) -> Option<String> {
    let WordHeader { name, start, .. } = one;
    let (name, start) = (name.as_str(), *start);
    let place = place_of(name);
    let whole = word.word.text.as_str();
    if whole.contains("{secret.") {
        return None;
    }
    let mut parts = word.verdict.secrets().to_vec();
    for part in &mut parts {
        // A part that begins before the value would be cut.
        part.range = part.range.start.checked_sub(start)?..part.range.end.checked_sub(start)?;
    }
    let mut text = sender.places(whole.get(start..)?, &parts, Some(name), &place);
    for value in judged {
        let ValueSite::Env(variable) = value.slot else {
            continue;
        };
        let reference = format!("${{{variable}}}");
        if text.contains(&reference) {
            let own = value.word.text.as_str();
            if own.contains("{secret.") {
                return None;
            }
            let own = sender.places(own, value.verdict.secrets(), Some(name), &place);
            text = text.replace(&reference, &own);
            used.insert(variable);
        }
    }
    // A reference that is left is text for the program.
    let text = sender.expanded(&text, &Verdict::Nothing, "TOKEN", &place);
    let text = text.ok()?;
    let text = text.trim().to_owned();
    web::value_fault(&text).is_none().then_some(text)
}
