//! Why a request got no answer from the server, as the client sees it.
//!
//! Invariant: a text names the host and the reason, never a path, a query or the value of a header.

use serde_json::Value;

use crate::error::Code;
use crate::secret::ServerName;
use crate::session::answer::{self, RequestOutcome, Unavailable};
use crate::session::envelope::Id;

/// What helps if there is something else at the address.
pub const CHECK_URL: &str = "check the URL in the policy";
/// What helps if there may be a server of another transport.
pub const CHECK_TRANSPORT: &str = "check `url` and `transport` in the policy";
/// What helps if nothing answers at the address.
pub const CHECK_NETWORK: &str = "check the network and the URL in the policy";
/// What helps if a server fails now and then.
pub const IF_AGAIN: &str = "if this happens again, tell the operator of the server";
/// What helps if a server answers against the rules of MCP or HTTP.
pub const BREAKS_RULES: &str = "tell the operator of the server";

/// What went wrong with one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeFault {
    pub code: Code,
    /// Without a period, not capitalised.
    pub text: String,
    pub hint: Option<String>,
    pub outcome: RequestOutcome,
    /// It took so long that nothing is tried again.
    pub is_final: bool,
    /// The text names the server and the program already.
    is_whole: bool,
}

impl BridgeFault {
    /// The request did not reach the server, or was refused by it.
    pub fn not_sent(text: impl Into<String>) -> Self {
        Self {
            code: Code::RemoteFailed,
            text: text.into(),
            hint: None,
            outcome: RequestOutcome::NotSent,
            is_final: false,
            is_whole: false,
        }
    }

    /// The server has got the request before.
    pub const fn after_sending(mut self) -> Self {
        self.outcome = RequestOutcome::Unknown;
        self
    }

    /// Nothing is tried again: the client waits long enough already.
    pub const fn last(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// An error of the supervisor.
    pub fn said(code: &str, line: String, hint: Option<String>) -> Self {
        let mut codes = Code::ALL.iter().copied();
        Self {
            code: codes
                .find(|known| known.name() == code)
                .unwrap_or(Code::RemoteRefused),
            hint,
            is_whole: true,
            ..Self::not_sent(line)
        }
    }

    /// The server may have carried the request out.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self {
            outcome: RequestOutcome::Unknown,
            ..Self::not_sent(text)
        }
    }

    /// The server refused the credentials.
    pub fn refused(text: impl Into<String>) -> Self {
        Self {
            code: Code::RemoteRefused,
            ..Self::not_sent(text)
        }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Whether the request may have had an effect.
    pub fn is_unknown(&self) -> bool {
        self.outcome == RequestOutcome::Unknown
    }

    /// What went wrong, in one line.
    pub fn line(&self, server: &ServerName) -> String {
        if self.is_whole {
            self.text.clone()
        } else {
            format!("mcpwrap: server `{server}`: {}", self.text)
        }
    }

    /// The answer to the request.
    pub fn answer(&self, id: &Id, server: &ServerName) -> Vec<u8> {
        let mut text = self.line(server);
        if self.is_unknown() {
            text.push_str("; the outcome of the request is unknown");
        }
        if let Some(hint) = self.hint.as_ref().filter(|_| !self.is_whole) {
            text.push_str("; ");
            text.push_str(hint);
        }
        let trouble = Unavailable {
            code: self.code.name().to_owned(),
            server: server.clone(),
            text,
            hint: self.hint.clone(),
            store: None,
        };
        answer::error(id, &trouble, self.outcome)
    }
}

/// The causes of an error, from the outermost: hyper's own texts say little without them.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut at: &dyn std::error::Error = error;
    let mut text = plain(&at.to_string());
    while let Some(source) = at.source() {
        let more = plain(&source.to_string());
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        at = source;
    }
    text
}

/// What a server wrote, short and without control characters.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// An error of the server without a usable ID, as the answer to this request. `None` if the body is no
/// JSON-RPC error.
pub fn error_for(id: &Id, body: &[u8]) -> Option<Vec<u8>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    error.get("code")?.as_i64()?;
    let id: Value = serde_json::from_slice(id.as_bytes()).ok()?;
    let answer = serde_json::json!({"jsonrpc": "2.0", "id": id, "error": error});
    Some(answer.to_string().into_bytes())
}

/// The code of a JSON-RPC error, and the versions that it names.
pub fn error_code(body: &[u8]) -> Option<(i64, Vec<String>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    let versions = error.pointer("/data/supported").and_then(Value::as_array);
    let versions = versions.into_iter().flatten().filter_map(Value::as_str);
    Some((
        error.get("code")?.as_i64()?,
        versions.take(8).map(plain).collect(),
    ))
}
