//! Requests of the modern era (2026-07-28): their headers, refusals, and subscriptions.
//!
//! Invariants: the version header is that of the request; a subscription that breaks is opened again under
//! its own ID until the client or the server ends it.

use std::rc::Rc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::deliver::{ClientRequest, ExpectedAnswers, StreamRole};
use super::fault::{BREAKS_RULES, BridgeFault, IF_AGAIN};
use super::send::Sending;
use super::state::Bridge;
use super::stream::EventStream;
use super::streamable::{Attempt, VERSION, is_stream};
use super::tools::{header_text, param_value};
use crate::session::envelope::Scanner;
use crate::session::fields::{self, Fields};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The error codes of the modern era: headers that do not fit, a capability that is missing, a version that
/// is not spoken.
const HEADER_MISMATCH: i64 = -32_020;
const VERSION_UNSUPPORTED: i64 = -32_022;
const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;

/// How many pages of a list are asked for.
const PAGES_MAX: u32 = 50;
/// The bounds of the time before a subscription is opened again.
const LISTEN_MIN: Duration = Duration::from_secs(1);
const LISTEN_MAX: Duration = Duration::from_secs(30);

impl Bridge {
    /// The headers that this revision asks for.
    pub async fn modern_headers(
        self: &Rc<Self>,
        request: &ClientRequest,
        modern: &(String, Value),
    ) -> HeaderMap {
        let (version, meta) = modern;
        let mut headers = HeaderMap::new();
        // What is no valid header is no version and no method either; the server says so.
        if let Ok(value) = HeaderValue::from_str(version) {
            headers.insert(VERSION, value);
        }
        if let Ok(value) = HeaderValue::from_str(&request.method) {
            headers.insert(METHOD, value);
        }
        let named = match request.method.as_str() {
            "tools/call" | "prompts/get" => request.name.as_deref(),
            "resources/read" => request.uri.as_deref(),
            _ => None,
        };
        if let Some(value) = named.and_then(header_text) {
            headers.insert(NAME, value);
        }
        if let (Some(tool), "tools/call") = (&request.name, request.method.as_str()) {
            if self.tools.borrow().of(tool).is_none() {
                self.list_tools(version, meta).await;
                self.tools.borrow_mut().note_unlisted(tool);
            }
            headers.extend(self.param_headers(tool, &request.line));
        }
        headers
    }

    fn param_headers(&self, tool: &str, line: &[u8]) -> HeaderMap {
        let tools = self.tools.borrow();
        let wanted = tools.of(tool).unwrap_or_default();
        let mut headers = HeaderMap::new();
        if wanted.is_empty() {
            return headers;
        }
        let line: Value = serde_json::from_slice(line).unwrap_or_default();
        let Some(arguments) = line.pointer("/params/arguments") else {
            return headers;
        };
        for header in wanted {
            if let Some(value) = param_value(arguments, &header.path) {
                headers.insert(header.name.clone(), value);
            }
        }
        headers
    }

    /// Lists the server's tools, to know their headers. Without an answer they have none.
    async fn list_tools(self: &Rc<Self>, version: &str, meta: &Value) {
        let mut meta = meta.clone();
        if let Some(members) = meta.as_object_mut() {
            members.remove("progressToken");
        }
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut params = json!({"_meta": meta});
            if let (Some(cursor), Some(members)) = (&cursor, params.as_object_mut()) {
                members.insert("cursor".to_owned(), json!(cursor));
            }
            let id = self.own_id();
            let raw: Value = serde_json::from_slice(id.as_bytes()).unwrap_or_default();
            let line =
                json!({"jsonrpc": "2.0", "id": raw, "method": "tools/list", "params": params});
            let request = ClientRequest {
                id,
                method: "tools/list".to_owned(),
                line: line.to_string().into(),
                name: None,
                uri: None,
                modern: Some((version.to_owned(), meta.clone())),
            };
            let attempt = Box::pin(self.attempt_streamable(&request)).await;
            let Ok((line, _)) = attempt.settled() else {
                return;
            };
            cursor = self.tools.borrow_mut().learn(line).next_cursor;
            if cursor.is_none() {
                return;
            }
        }
    }

    /// Lists the tools again, because the server wants other headers.
    pub async fn relearn_tools(self: &Rc<Self>, request: &ClientRequest) {
        if let Some((version, meta)) = &request.modern {
            self.tools.borrow_mut().clear();
            self.list_tools(version, meta).await;
        }
    }

    /// What the client gets of the server's list of tools.
    pub fn listed_tools(&self, line: Vec<u8>) -> Vec<u8> {
        let page = self.tools.borrow_mut().learn(line);
        if !page.left_out.is_empty() {
            let count = page.left_out.len();
            super::state::say(&format!(
                "mcpwrap: server `{}`: left out {count} tool(s) with an invalid `x-mcp-header`",
                self.server
            ));
        }
        page.line
    }

    /// What a status other than 2xx means for a request of this era.
    pub fn modern_refusal(
        &self,
        request: &ClientRequest,
        status: StatusCode,
        code: Option<(i64, Vec<String>)>,
        attempt: Attempt,
    ) -> Attempt {
        let code = code.map(|(code, _)| code);
        if code == Some(HEADER_MISMATCH) && request.method == "tools/call" {
            return Attempt::HeaderMismatch(Box::new(attempt));
        }
        let is_modern = self.modern_works.get()
            || match code {
                Some(VERSION_UNSUPPORTED..=HEADER_MISMATCH | INVALID_PARAMS) => true,
                Some(METHOD_NOT_FOUND) => status == StatusCode::NOT_FOUND,
                _ => false,
            };
        if is_modern || !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return attempt;
        }
        let host = self.host();
        let status = status.as_u16();
        if request.method == "server/discover" {
            // A client of both eras goes on with `initialize`.
            let raw: Value = serde_json::from_slice(request.id.as_bytes()).unwrap_or_default();
            let message = format!("{host} does not know `server/discover` (HTTP status {status})");
            let answer = json!({
                "jsonrpc": "2.0", "id": raw,
                "error": {"code": METHOD_NOT_FOUND, "message": message},
            });
            return Attempt::Answer(answer.to_string().into_bytes(), None);
        }
        Attempt::Fault(
            BridgeFault::not_sent(format!(
                "{host} speaks only older revisions of MCP than the client (HTTP status {status})"
            ))
            .hint("use a client that speaks older revisions, too"),
        )
    }

    /// Keeps a subscription open; its end is the server's result or refusal.
    ///
    /// # Errors
    /// It could not be opened the first time.
    pub async fn listen(self: &Rc<Self>, request: &ClientRequest) -> Result<Vec<u8>, BridgeFault> {
        let mut role = StreamRole {
            epoch: self.legacy.borrow().epoch,
            expected: ExpectedAnswers::One(request.id.clone()),
            is_acknowledged: false,
        };
        let mut wait = LISTEN_MIN;
        loop {
            let start = Instant::now();
            let ended = tokio::select! {
                ended = self.listen_once(request, &mut role) => ended,
                // The connection may be dead without a sign.
                () = self.woke.notified() => Ok(None),
            };
            match ended {
                Ok(Some(answer)) => return Ok(answer),
                Err(fault) if !role.is_acknowledged => return Err(fault),
                Ok(None) | Err(_) => {}
            }
            if start.elapsed() > LISTEN_MAX {
                wait = LISTEN_MIN;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LISTEN_MAX);
        }
    }

    /// One connection of a subscription: its answer, or `None` if it broke.
    async fn listen_once(
        self: &Rc<Self>,
        request: &ClientRequest,
        role: &mut StreamRole,
    ) -> Result<Option<Vec<u8>>, BridgeFault> {
        let Some(modern) = &request.modern else {
            return Ok(None);
        };
        let headers = self.modern_headers(request, modern).await;
        let sending = Sending::Message(request.line.clone(), None);
        let mut reply = self.send(&sending, &headers).await?;
        if is_stream(&reply) {
            let mut stream = EventStream::new(reply, &self.meter);
            while let Some(event) = stream.next().await? {
                if event.name == b"message"
                    && let Some(answer) = self.deliver(role, event.data.into()).await
                {
                    return Ok(Some(answer));
                }
            }
            return if role.is_acknowledged {
                Ok(None)
            } else {
                Err(BridgeFault::not_sent(format!(
                    "{} ended the subscription before it began",
                    self.host()
                ))
                .hint(IF_AGAIN))
            };
        }
        if reply.status.is_success() {
            let body = super::stream::json_body(&mut reply, &self.meter).await?;
            let answer = self.deliver(role, body).await;
            let missing = || {
                BridgeFault::not_sent(format!("{} opened no subscription", self.host()))
                    .hint(BREAKS_RULES)
            };
            return answer.map(Some).ok_or_else(missing);
        }
        let is_temporary = reply.status.is_server_error() && role.is_acknowledged;
        let attempt = self.refusal(request, reply, false).await;
        if is_temporary {
            return Ok(None);
        }
        let (line, _) = attempt.settled()?;
        Ok(Some(line))
    }

    /// The headers of a notification of this era, whose version may be in its `_meta` or only known from
    /// earlier requests.
    pub fn modern_notification_headers(&self, line: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let method = Scanner::scan(line).method.unwrap_or_default();
        let meta = Fields::read(line).meta;
        let own = meta
            .as_ref()
            .and_then(fields::version_of)
            .map(str::to_owned);
        let version = own.or_else(|| self.legacy.borrow().version.clone());
        if let Some(Ok(value)) = version.map(|version| HeaderValue::from_str(&version)) {
            headers.insert(VERSION, value);
        }
        if let Ok(value) = HeaderValue::from_str(&method) {
            headers.insert(METHOD, value);
        }
        headers
    }
}
