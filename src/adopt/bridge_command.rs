//! Commands that only connect to a remote server (`npx mcp-remote URL --header …`): what they send
//! becomes a remote policy, so that no argument has a secret and no other program sees it.
//!
//! Invariant: only a command whose every word is understood is replaced. Any other is adopted as
//! the program that it is.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Enumerate;
use std::slice::Iter;

use super::extracted::Extracted;
use super::references::References;
use super::remote::{Sender, place_of};
use crate::client::edit::NewWord;
use crate::client::entry::ServerEntry;
use crate::detect::{Judged, ValueSite, Verdict};
use crate::package;
use crate::policy::remote::RemoteTransport;
use crate::policy::{inherit, web};

/// What the words of a command mean.
#[derive(Debug, Default, PartialEq, Eq)]
struct BridgeCall {
    /// The word that is the URL.
    url: Option<usize>,
    headers: Vec<WordHeader>,
    is_sse: bool,
}

/// A header in the words of a command.
#[derive(Debug, PartialEq, Eq)]
struct WordHeader {
    name: String,
    /// The word with the value.
    word: usize,
    /// Where the value begins in it.
    start: usize,
    /// What is sent before it.
    prefix: &'static str,
}

/// The words of a command from its first argument on, with their numbers.
type ArgumentWords<'a> = Enumerate<Iter<'a, String>>;
/// Options without and with a value that do not change what is sent.
type Harmless = (&'static [&'static str], &'static [&'static str]);
const MCP_REMOTE: Harmless = (
    &["--debug", "--silent", "--allow-http", "--enable-proxy"],
    &["--host", "--auth-timeout"],
);
const SUPERGATEWAY: Harmless = (&[], &["--logLevel", "--outputTransport"]);
const MCP_PROXY: Harmless = (&["--debug"], &["--log-level"]);

/// Extracts what the command sends, if it is such a command and has secrets.
pub(super) fn extract(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Extracted> {
    read(entry, judged, references).filter(|found| !found.values.is_empty())
}

/// Extracts what a command sends that logs in with OAuth, or says why that is not possible. `None` for
/// another command. Of the known ones only `mcp-remote` asks the user.
pub(super) fn without_secret(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Result<Extracted, String>> {
    let words: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    if package::parse(&words).package.as_deref() != Some("mcp-remote") {
        return None;
    }
    let Some(found) = read(entry, judged, references) else {
        return Some(Err(
            "mcpwrap does not know all arguments of its `mcp-remote`: write a policy with \
             `mcpwrap policy new NAME --url URL`"
                .to_owned(),
        ));
    };
    let remote = found.remote.as_ref()?;
    let mut names = remote.headers.keys();
    let has_own = names.any(|name| name.eq_ignore_ascii_case("authorization"));
    (found.values.is_empty() && !has_own).then_some(Ok(found))
}

/// What the command sends, if it is such a command and every word is understood.
fn read(
    entry: &ServerEntry,
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Extracted> {
    let words: Vec<String> = entry.words.iter().map(|word| word.text.clone()).collect();
    let launch = package::parse(&words);
    if launch.obstacle.is_some() || !launch.wrapper.is_empty() || !words.ends_with(&launch.args) {
        return None;
    }
    let is_plain = launch.env.is_empty() && !entry.env_file && entry.pass.is_empty();
    let call = match launch.package.as_deref() {
        _ if !is_plain => None,
        Some("mcp-remote") => BridgeCall::of_mcp_remote(&launch.args),
        Some("supergateway") => BridgeCall::of_supergateway(&launch.args),
        Some("mcp-proxy") => BridgeCall::of_mcp_proxy(&launch.args),
        _ => None,
    }?;
    let first = words.len() - launch.args.len();
    let of_word = |n: usize| {
        let is_word =
            |value: &&Judged<'_>| matches!(value.slot, ValueSite::Command | ValueSite::Argument);
        let mut all = judged.iter().filter(is_word);
        all.find(|value| value.index == first + n)
    };
    let address = of_word(call.url?)?;
    let mut sender = Sender::new(&address.word.text, references);
    let url = sender.url(address).ok()?;
    let mut headers = BTreeMap::new();
    let mut used = BTreeSet::new();
    for one in &call.headers {
        let word = of_word(one.word)?;
        if web::name_fault(&one.name).is_some() {
            return None;
        }
        let value = header(&mut sender, judged, (one, word), &mut used)?;
        headers.insert(one.name.clone(), format!("{}{value}", one.prefix));
    }
    // mcp-proxy takes a bearer token from its environment.
    let token = judged.iter().find(|value| {
        launch.package.as_deref() == Some("mcp-proxy")
            && matches!(value.slot, ValueSite::Env("API_ACCESS_TOKEN"))
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
        return None;
    }
    let extracted = sender.extracted();
    extracted.words = vec![NewWord::Drop; words.len()];
    extracted.drop_env = used.iter().map(|name| (*name).to_owned()).collect();
    extracted.notes.extend(network_note(entry));
    let transport = if call.is_sse {
        RemoteTransport::Sse
    } else {
        RemoteTransport::Auto
    };
    sender.finish(url, transport, headers).ok()
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

/// Whether an option does not matter; its value is skipped. None if the value is missing.
fn skips(word: &str, (alone, valued): Harmless, words: &mut ArgumentWords<'_>) -> Option<bool> {
    if valued.contains(&word) {
        words.next()?;
        return Some(true);
    }
    Some(alone.contains(&word))
}

impl BridgeCall {
    /// `mcp-remote URL [PORT] [--header 'NAME: VALUE']… [--transport STRATEGY]`
    fn of_mcp_remote(args: &[String]) -> Option<Self> {
        let mut call = Self::default();
        let mut words = args.iter().enumerate();
        while let Some((n, word)) = words.next() {
            match word.as_str() {
                "--header" => {
                    let (n, line) = words.next()?;
                    call.line(n, line)?;
                }
                "--transport" => call.is_sse = words.next()?.1.starts_with("sse-"),
                word if skips(word, MCP_REMOTE, &mut words)? => {}
                word if word.contains("://") && call.url.is_none() => call.url = Some(n),
                word if call.url.is_some() && word.parse::<u16>().is_ok() => {}
                _ => return None,
            }
        }
        Some(call)
    }

    /// `supergateway --streamableHttp URL [--header 'NAME: VALUE']… [--oauth2Bearer TOKEN]`
    fn of_supergateway(args: &[String]) -> Option<Self> {
        let mut call = Self::default();
        let mut words = args.iter().enumerate();
        while let Some((_, word)) = words.next() {
            match word.as_str() {
                "--sse" | "--streamableHttp" if call.url.is_none() => {
                    call.is_sse = word == "--sse";
                    call.url = Some(words.next()?.0);
                }
                "--header" => {
                    let (n, line) = words.next()?;
                    call.line(n, line)?;
                }
                "--oauth2Bearer" => {
                    let (n, _) = words.next()?;
                    call.push("Authorization", n, 0, "Bearer ");
                }
                word if skips(word, SUPERGATEWAY, &mut words)? => {}
                _ => return None,
            }
        }
        Some(call)
    }

    /// `mcp-proxy URL [--headers NAME VALUE]… [--transport sse|streamablehttp]`
    fn of_mcp_proxy(args: &[String]) -> Option<Self> {
        let mut call = Self::default();
        let mut words = args.iter().enumerate();
        // Without `--transport` it speaks HTTP+SSE.
        call.is_sse = true;
        while let Some((n, word)) = words.next() {
            match word.as_str() {
                "--headers" | "-H" => {
                    let (_, name) = words.next()?;
                    let (n, _) = words.next()?;
                    call.push(name, n, 0, "");
                }
                "--transport" => call.is_sse = words.next()?.1 == "sse",
                word if skips(word, MCP_PROXY, &mut words)? => {}
                word if word.contains("://") && call.url.is_none() => call.url = Some(n),
                _ => return None,
            }
        }
        Some(call)
    }

    /// `NAME: VALUE` in one word.
    fn line(&mut self, n: usize, line: &str) -> Option<()> {
        let (name, value) = line.split_once(':')?;
        let start = line.len() - value.trim_start().len();
        self.push(name.trim(), n, start, "");
        Some(())
    }

    fn push(&mut self, name: &str, word: usize, start: usize, prefix: &'static str) {
        self.headers.push(WordHeader {
            name: name.to_owned(),
            word,
            start,
            prefix,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split('|').map(str::to_owned).collect()
    }

    fn places(call: &BridgeCall) -> Vec<(&str, usize, usize)> {
        let headers = call.headers.iter();
        headers
            .map(|one| (one.name.as_str(), one.word, one.start))
            .collect()
    }

    #[test]
    fn only_commands_that_are_understood() {
        let call = BridgeCall::of_mcp_remote(&words(
            "https://h/sse|3334|--header|X-Key: abc|--transport|sse-only|--debug|--host|localhost",
        ));
        let call = call.unwrap();
        assert_eq!((call.url, call.is_sse), (Some(0), true));
        assert_eq!(places(&call), [("X-Key", 3, 7)]);
        for line in [
            "https://h/sse|--ignore-tool|x",
            "https://h/sse|--header",
            "https://h/sse|--header|X",
            "https://h/sse|https://i/sse",
            "3334",
        ] {
            assert_eq!(BridgeCall::of_mcp_remote(&words(line)), None, "{line}");
        }
        let call = BridgeCall::of_supergateway(&words("--streamableHttp|https://h/|--header|A:b"));
        assert_eq!(places(&call.unwrap()), [("A", 3, 2)]);
        let call =
            BridgeCall::of_supergateway(&words("--sse|https://h/|--oauth2Bearer|t")).unwrap();
        assert_eq!(places(&call), [("Authorization", 3, 0)]);
        assert_eq!(call.headers.first().unwrap().prefix, "Bearer ");
        let line = "--stdio|npx s|--port|8000";
        assert_eq!(BridgeCall::of_supergateway(&words(line)), None);
        let line = "--headers|X-Key|abc|--transport|streamablehttp|https://h/";
        let call = BridgeCall::of_mcp_proxy(&words(line)).unwrap();
        assert_eq!((call.url, call.is_sse), (Some(5), false));
        assert_eq!(places(&call), [("X-Key", 2, 0)]);
        let line = "--port|8080|npx|s";
        assert_eq!(BridgeCall::of_mcp_proxy(&words(line)), None);
    }
}
