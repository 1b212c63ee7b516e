//! The few fields inside a line that the session needs.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Code;

use super::envelope::Id;

/// The name and version that the client reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientName {
    pub name: Option<String>,
    pub version: Option<String>,
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT: &str = "io.modelcontextprotocol/clientInfo";

/// The fields of a request or notification.
#[derive(Debug, Default)]
pub struct Fields {
    pub params: Value,
    pub name: Option<String>,
    pub uri: Option<String>,
    pub request_id: Option<Id>,
    pub meta: Option<Value>,
    pub subscription: Option<Id>,
}

#[derive(Deserialize)]
struct RpcLine<'a> {
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "clientInfo")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "protocolVersion")]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/subscriptionId")]
    id: &'a RawValue,
}

impl Fields {
    /// Reads a line. Missing and invalid fields are `None`.
    pub fn read(line: &[u8]) -> Self {
        let params = serde_json::from_slice::<RpcLine<'_>>(line)
            .ok()
            .and_then(|line| line.params);
        let Some(params) = params else {
            return Self::default();
        };
        let Ok(read) = serde_json::from_str::<Params<'_>>(params.get()) else {
            return Self::default();
        };
        let id = |raw: &RawValue| Id::new(raw.get().as_bytes());
        let subscription = |raw: &RawValue| {
            serde_json::from_str::<Subscription<'_>>(raw.get())
                .ok()
                .map(|found| id(found.id))
        };
        Self {
            subscription: read.meta.and_then(subscription),
            meta: read
                .meta
                .and_then(|raw| serde_json::from_str(raw.get()).ok()),
            params: head(&read),
            name: read.name.map(Cow::into_owned),
            uri: read.uri.map(Cow::into_owned),
            request_id: read.request_id.map(id),
        }
    }

    /// The client's name in an `initialize`.
    pub fn client(&self) -> ClientName {
        name_and_version(self.params.get("clientInfo"))
    }
}

/// The offset of `params.requestId` in a line (bytes), and its value.
pub fn request_id(line: &[u8]) -> Option<(usize, Id)> {
    let params = serde_json::from_slice::<RpcLine<'_>>(line).ok()?.params?;
    let raw = serde_json::from_str::<Params<'_>>(params.get())
        .ok()?
        .request_id?
        .get();
    // The text is borrowed from the line, so it is inside it.
    let at = (raw.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    Some((at, Id::new(raw.as_bytes())))
}

/// The parameters that the handshake needs.
fn head(params: &Params<'_>) -> Value {
    let mut head = serde_json::Map::new();
    if let Some(version) = &params.protocol_version {
        head.insert("protocolVersion".to_owned(), Value::from(version.as_ref()));
    }
    if let Some(info) = params
        .client_info
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
    {
        head.insert("clientInfo".to_owned(), info);
    }
    Value::Object(head)
}

/// Whether a request's `_meta` belongs to the modern era.
pub fn is_modern(meta: &Value) -> bool {
    meta.get(VERSION).is_some_and(Value::is_string)
}

/// The client's name in a modern `_meta`.
pub fn client_of(meta: &Value) -> ClientName {
    name_and_version(meta.get(CLIENT))
}

fn name_and_version(info: Option<&Value>) -> ClientName {
    let text = |key| {
        let text = info?.get(key)?.as_str()?;
        Some(text.chars().filter(|c| !c.is_control()).take(100).collect())
    };
    ClientName {
        name: text("name"),
        version: text("version"),
    }
}

/// The beginning of an answer that reports a failure, to find out why. It may contain a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct FailureText {
    /// The failure is the result of a tool, which may quote anybody.
    pub is_of_tool: bool,
    text: String,
}

/// This much of a failure is looked at (bytes).
const FAILURE_BYTES_MAX: usize = 512;

impl fmt::Debug for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureText(…)")
    }
}

impl FailureText {
    fn new(text: &str, is_of_tool: bool) -> Self {
        let end = text.floor_char_boundary(FAILURE_BYTES_MAX);
        let text = text.get(..end).unwrap_or_default().to_lowercase();
        Self { is_of_tool, text }
    }

    /// Whether it contains one of these words, in lower case, not as a part of a longer word.
    pub fn has_any(&self, words: &[impl AsRef<str>]) -> bool {
        let is_end = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        words.iter().map(AsRef::as_ref).any(|word: &str| {
            self.text.match_indices(word).any(|(at, found)| {
                let (before, after) = (self.text.get(..at), self.text.get(at + found.len()..));
                is_end(before.and_then(|text| text.chars().next_back()))
                    && is_end(after.and_then(|text| text.chars().next()))
            })
        })
    }
}

/// The content of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The result of a handshake.
    pub result: Option<Value>,
    pub error: Option<i64>,
    pub tool_error: bool,
    pub failure: Option<FailureText>,
}

#[derive(Deserialize)]
struct RpcResponse<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorHead {
    #[serde(default)]
    code: i64,
}

#[derive(Deserialize)]
struct ToolResult {
    #[serde(default, rename = "isError")]
    is_error: bool,
}

#[derive(Deserialize)]
struct HandshakeResult {
    #[serde(default, rename = "protocolVersion")]
    protocol_version: Value,
    #[serde(default)]
    capabilities: Value,
}

impl Outcome {
    /// Reads an answer's line.
    pub fn read(line: &[u8]) -> Self {
        let Ok(answer) = serde_json::from_slice::<RpcResponse<'_>>(line) else {
            return Self::default();
        };
        let text = answer.result.map(RawValue::get).unwrap_or_default();
        let tool_error = text.contains("isError")
            && serde_json::from_str(text).is_ok_and(|r: ToolResult| r.is_error);
        let error = answer.error.map(RawValue::get);
        let failure = match error {
            Some(error) => Some(FailureText::new(error, false)),
            None => tool_error.then(|| FailureText::new(text, true)),
        };
        let code = |error| serde_json::from_str(error).map_or(0, |head: ErrorHead| head.code);
        Self {
            result: handshake(text),
            error: error.map(code),
            tool_error,
            failure,
        }
    }
}

/// The error of mcpwrap in an answer that the bridge to a remote server made.
pub fn own_error(line: &[u8]) -> Option<Code> {
    let answer: Value = serde_json::from_slice(line).ok()?;
    let name = answer.pointer("/error/data/mcpwrap/code")?.as_str()?;
    Code::of(name)
}

/// The protocol versions in an answer to `server/discover`.
pub fn supported_versions(line: &[u8]) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(line).ok()?;
    let versions = answer.pointer("/result/supportedVersions")?.as_array()?;
    let text = |version: &Value| version.as_str().map(str::to_owned);
    Some(versions.iter().filter_map(text).collect())
}

/// The protocol version in a request's `_meta`.
pub fn version_of(meta: &Value) -> Option<&str> {
    meta.get(VERSION)?.as_str()
}

fn handshake(text: &str) -> Option<Value> {
    if !text.contains("protocolVersion") && !text.contains("capabilities") {
        return None;
    }
    let result: HandshakeResult = serde_json::from_str(text).ok()?;
    Some(serde_json::json!({
        "protocolVersion": result.protocol_version, "capabilities": result.capabilities,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> FailureText {
        FailureText::new(text, false)
    }

    #[test]
    fn words_of_a_failure_are_whole_and_at_its_beginning() {
        for text in [
            "401",
            "HTTP 401:",
            "a (401)",
            "Error 401 Bad Credentials",
            "4011 401",
        ] {
            assert!(failure(text).has_any(&["401"]), "{text}");
        }
        for text in ["4011", "x401", "HTTP401", "é401", "40 1", ""] {
            assert!(!failure(text).has_any(&["401"]), "{text}");
        }
        assert!(failure("Error: BAD Credentials").has_any(&["no", "bad credentials"]));
        let at = |n: usize| failure(&format!("{}401", " ".repeat(n)));
        assert!(at(FAILURE_BYTES_MAX - 3).has_any(&["401"]));
        assert!(!at(FAILURE_BYTES_MAX - 2).has_any(&["401"]));
        // The limit is inside a character.
        assert!(!failure(&"é".repeat(FAILURE_BYTES_MAX)).has_any(&["401"]));
        assert!(!format!("{:?}", failure("hidden")).contains("hidden"));
    }
}
