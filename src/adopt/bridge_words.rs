//! The words of a command that only connects to a remote server: the address, the headers, and the first
//! word that a policy with `url` has nothing for.

use std::iter::Enumerate;
use std::slice::Iter;

use super::extracted::shown;
use crate::policy::remote::RemoteTransport;

/// What the words of a command mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BridgeCall {
    /// The word that is the URL.
    pub(super) url: usize,
    pub(super) headers: Vec<WordHeader>,
    pub(super) transport: RemoteTransport,
}

/// A header in the words of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WordHeader {
    pub(super) name: String,
    /// The word with the value.
    pub(super) word: usize,
    /// Where the value begins in it.
    pub(super) start: usize,
    /// What is sent before it.
    pub(super) prefix: &'static str,
}

/// Why words are no call that a policy can replace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoCall {
    /// They connect to no remote server.
    OtherUse,
    /// They do more than that, and why no policy does the same.
    DoesMore(String),
}

/// The words of a command from its first argument on, with their numbers.
type ArgumentWords<'a> = Enumerate<Iter<'a, String>>;

/// The options of a program that do not change what is sent.
struct Harmless {
    alone: &'static [&'static str],
    /// With a value.
    valued: &'static [&'static str],
}

/// Besides diagnostics and limits of time, those of its own login, and `--disable-cookies`: mcpwrap has none.
const MCP_REMOTE: Harmless = Harmless {
    alone: &[
        "--debug",
        "--silent",
        "--allow-http",
        "--enable-proxy",
        "--disable-cookies",
    ],
    valued: &[
        "--host",
        "--auth-timeout",
        "--auth-success-url",
        "--callback-path",
        "--connect-timeout",
        "--headers-timeout",
        "--body-timeout",
    ],
};
const SUPERGATEWAY: Harmless = Harmless {
    alone: &[],
    valued: &["--logLevel"],
};
const MCP_PROXY: Harmless = Harmless {
    alone: &["--debug", "--no-debug"],
    valued: &["--log-level"],
};
/// With these, mcp-proxy obtains tokens at an address that it is told.
const MCP_PROXY_TOKENS: &[&str] = &["--client-id", "--client-secret", "--token-url"];

impl BridgeCall {
    /// What the words mean to the program of this package. `None` for a package that is no bridge.
    pub(super) fn read(package: &str, args: &[String]) -> Option<Result<Self, NoCall>> {
        Some(match package {
            "mcp-remote" => Self::of_mcp_remote(args),
            "supergateway" => Self::of_supergateway(args),
            "mcp-proxy" => Self::of_mcp_proxy(args),
            _ => return None,
        })
    }

    /// `mcp-remote URL [PORT] [--header 'NAME: VALUE']… [--transport STRATEGY]`
    fn of_mcp_remote(args: &[String]) -> Result<Self, NoCall> {
        let mut call = Self::default();
        let mut url = None;
        if !args.iter().any(|word| is_address(word)) {
            return Err(NoCall::OtherUse);
        }
        let mut words = args.iter().enumerate();
        while let Some((n, word)) = words.next() {
            match word.as_str() {
                "--header" => call.line(value_of(word, &mut words)?)?,
                "--transport" => {
                    call.transport = match value_of(word, &mut words)?.1 {
                        // It tries the other one too.
                        "http-first" | "sse-first" => RemoteTransport::Auto,
                        "http-only" => RemoteTransport::StreamableHttp,
                        "sse-only" => RemoteTransport::Sse,
                        _ => return Err(nothing_for(word)),
                    };
                }
                "--protocol" if value_of(word, &mut words)?.1 == "legacy" => {}
                text if skips(text, &MCP_REMOTE, &mut words)? => {}
                text if is_address(text) && url.is_none() => url = Some(n),
                text if url.is_some() && text.parse::<u16>().is_ok() => {}
                _ => return Err(nothing_for(word)),
            }
        }
        call.url = url.ok_or(NoCall::OtherUse)?;
        Ok(call)
    }

    /// `supergateway --streamableHttp URL [--header 'NAME: VALUE']… [--oauth2Bearer TOKEN]`
    fn of_supergateway(args: &[String]) -> Result<Self, NoCall> {
        let mut call = Self::default();
        let mut url = None;
        let is_client = |word: &String| matches!(word.as_str(), "--sse" | "--streamableHttp");
        if !args.iter().any(is_client) {
            return Err(NoCall::OtherUse);
        }
        let mut words = args.iter().enumerate();
        while let Some((_, word)) = words.next() {
            match word.as_str() {
                "--sse" | "--streamableHttp" if url.is_none() => {
                    call.transport = if word == "--sse" {
                        RemoteTransport::Sse
                    } else {
                        RemoteTransport::StreamableHttp
                    };
                    url = Some(value_of(word, &mut words)?.0);
                }
                "--header" => call.line(value_of(word, &mut words)?)?,
                "--oauth2Bearer" => {
                    let (n, _) = value_of(word, &mut words)?;
                    call.push("Authorization", n, 0, "Bearer ");
                }
                "--outputTransport" if value_of(word, &mut words)?.1 == "stdio" => {}
                text if skips(text, &SUPERGATEWAY, &mut words)? => {}
                _ => return Err(nothing_for(word)),
            }
        }
        call.url = url.ok_or(NoCall::OtherUse)?;
        Ok(call)
    }

    /// `mcp-proxy URL [--headers NAME VALUE]… [--transport sse|streamablehttp]`
    fn of_mcp_proxy(args: &[String]) -> Result<Self, NoCall> {
        // Without `--transport` it speaks HTTP+SSE.
        let mut call = Self {
            transport: RemoteTransport::Sse,
            ..Self::default()
        };
        let mut url = None;
        let mut obstacle = None;
        let mut words = args.iter().enumerate();
        while let Some((n, word)) = words.next() {
            match word.as_str() {
                "--headers" | "-H" => {
                    let (_, name) = value_of(word, &mut words)?;
                    let (n, _) = value_of(word, &mut words)?;
                    call.push(name, n, 0, "");
                }
                "--transport" => {
                    call.transport = match value_of(word, &mut words)?.1 {
                        "sse" => RemoteTransport::Sse,
                        "streamablehttp" => RemoteTransport::StreamableHttp,
                        _ => return Err(nothing_for(word)),
                    };
                }
                text if skips(text, &MCP_PROXY, &mut words)? => {}
                text if MCP_PROXY_TOKENS.contains(&text) => {
                    value_of(word, &mut words)?;
                    obstacle = obstacle.or(Some(obtains_tokens()));
                }
                text if text.starts_with('-') => {
                    // Whether a value follows is not known; the address is searched all the same.
                    obstacle = obstacle.or(Some(nothing_for(word)));
                }
                text if is_address(text) && url.is_none() => url = Some(n),
                // The program of a local server, or a value.
                _ if obstacle.is_none() => return Err(NoCall::OtherUse),
                _ => {}
            }
        }
        call.url = url.ok_or(NoCall::OtherUse)?;
        obstacle.map_or(Ok(call), Err)
    }

    /// `NAME: VALUE` in one word.
    fn line(&mut self, (n, line): (usize, &str)) -> Result<(), NoCall> {
        let (name, value) = line.split_once(':').ok_or_else(no_header)?;
        let start = line.len() - value.trim_start().len();
        self.push(name.trim(), n, start, "");
        Ok(())
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

fn is_address(word: &str) -> bool {
    word.contains("://")
}

/// The value of an option: the next word.
fn value_of<'a>(option: &str, words: &mut ArgumentWords<'a>) -> Result<(usize, &'a str), NoCall> {
    let next = words.next().map(|(n, word)| (n, word.as_str()));
    next.ok_or_else(|| NoCall::DoesMore(format!("its `{}` has no value", shown(option))))
}

/// Whether an option does not matter; its value is skipped.
fn skips(word: &str, harmless: &Harmless, words: &mut ArgumentWords<'_>) -> Result<bool, NoCall> {
    if harmless.valued.contains(&word) {
        value_of(word, words)?;
        return Ok(true);
    }
    Ok(harmless.alone.contains(&word))
}

/// Names an option, and no other word: it may be a secret.
fn nothing_for(word: &str) -> NoCall {
    let option = word.split('=').next().unwrap_or_default();
    NoCall::DoesMore(if option.starts_with('-') && option.len() > 1 {
        let option = shown(option);
        format!("no field of a policy with `url` does what its `{option}` does")
    } else {
        "no field of a policy with `url` stands for its other arguments".to_owned()
    })
}

fn no_header() -> NoCall {
    NoCall::DoesMore("its header has no colon".to_owned())
}

fn obtains_tokens() -> NoCall {
    let why = "it obtains tokens at its `--token-url`; a policy with `url` names the authorization server instead (`issuer` \
               below `[oauth]`), and also asks for scopes and a resource, so the tokens may differ";
    NoCall::DoesMore(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: &str, line: &str) -> Result<BridgeCall, NoCall> {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        BridgeCall::read(program, &words).unwrap()
    }

    fn places(call: &BridgeCall) -> Vec<(&str, usize, usize)> {
        let headers = call.headers.iter();
        headers
            .map(|one| (one.name.as_str(), one.word, one.start))
            .collect()
    }

    #[track_caller]
    fn why(program: &str, line: &str) -> String {
        match read(program, line) {
            Err(NoCall::DoesMore(why)) => why,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn only_commands_that_are_understood() {
        let call = read(
            "mcp-remote",
            "https://h/sse|3334|--header|X-Key: abc|--transport|sse-only|--debug|--host|localhost",
        )
        .unwrap();
        assert_eq!((call.url, call.transport), (0, RemoteTransport::Sse));
        assert_eq!(places(&call), [("X-Key", 3, 7)]);
        let line = "--streamableHttp|https://h/|--header|A:b";
        assert_eq!(places(&read("supergateway", line).unwrap()), [("A", 3, 2)]);
        let call = read("supergateway", "--sse|https://h/|--oauth2Bearer|t").unwrap();
        assert_eq!(places(&call), [("Authorization", 3, 0)]);
        assert_eq!(call.headers.first().unwrap().prefix, "Bearer ");
        let line = "--headers|X-Key|abc|--transport|streamablehttp|https://h/";
        let call = read("mcp-proxy", line).unwrap();
        let expected = (5, RemoteTransport::StreamableHttp);
        assert_eq!((call.url, call.transport), expected);
        assert_eq!(places(&call), [("X-Key", 2, 0)]);
    }

    #[test]
    fn the_transport_is_the_one_of_the_program() {
        use RemoteTransport::{Auto, Sse, StreamableHttp};
        for (program, line, expected) in [
            ("mcp-remote", "https://h/", Auto),
            ("mcp-remote", "https://h/|--transport|http-first", Auto),
            ("mcp-remote", "https://h/|--transport|sse-first", Auto),
            (
                "mcp-remote",
                "https://h/|--transport|http-only",
                StreamableHttp,
            ),
            ("mcp-remote", "https://h/|--transport|sse-only", Sse),
            (
                "supergateway",
                "--sse|https://h/|--outputTransport|stdio",
                Sse,
            ),
            (
                "supergateway",
                "--streamableHttp|https://h/",
                StreamableHttp,
            ),
            ("mcp-proxy", "https://h/", Sse),
            (
                "mcp-proxy",
                "https://h/|--transport|streamablehttp",
                StreamableHttp,
            ),
        ] {
            assert_eq!(read(program, line).unwrap().transport, expected, "{line}");
        }
    }

    #[test]
    fn what_is_not_taken_over_is_said_without_a_value() {
        for (program, line, option) in [
            (
                "mcp-remote",
                "https://h/|--ignore-tool|x",
                "`--ignore-tool`",
            ),
            ("mcp-remote", "https://h/|--header", "`--header`"),
            ("mcp-remote", "https://h/|--header|X", "no colon"),
            ("mcp-remote", "https://h/|https://i/", "other arguments"),
            (
                "mcp-remote",
                "https://h/|--resource=s3cret",
                "`--resource` does",
            ),
            ("mcp-remote", "https://h/|--transport|x", "`--transport`"),
            ("mcp-remote", "https://h/|--protocol|auto", "`--protocol`"),
            (
                "supergateway",
                "--sse|https://h/|--outputTransport|ws",
                "`--outputTransport`",
            ),
            (
                "mcp-proxy",
                "--no-verify-ssl|https://h/",
                "`--no-verify-ssl`",
            ),
            (
                "mcp-proxy",
                "--username|u|--password|s3cret|https://h/",
                "`--username`",
            ),
            (
                "mcp-proxy",
                "https://h/|--client-id|c|--client-secret|s3cret|--token-url|https://t/",
                "`issuer`",
            ),
        ] {
            let why = why(program, line);
            assert!(why.contains(option), "{line}: {why}");
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn a_command_that_serves_a_local_server_is_no_call() {
        for (program, line) in [
            ("mcp-remote", "3334"),
            ("supergateway", "--stdio|npx s|--port|8000"),
            ("mcp-proxy", "--port|8080|npx|s"),
            ("mcp-proxy", "npx|mcp-remote|https://h/"),
        ] {
            assert_eq!(read(program, line), Err(NoCall::OtherUse), "{line}");
        }
    }
}
