//! The Rust SDK as a client: runs the steps and prints what it saw as JSON.
//!
//!     rmcp-client CLIENT PLAN
//!
//! CLIENT is `rmcp` or `rmcp-auto`. PLAN is JSON: {command, args, env?, cwd?, roots?, answers?, steps},
//! or {url, …} for a remote server; a step is a method without parameters, [method, params], or
//! ["!", program]. With `roots`, the client declares roots and prints the notifications of the
//! server; with `answers`, it declares sampling and elicitation, and answers with those. Unlike the
//! other SDKs, this one passes its whole environment to the server.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientConfig, ClientRequest, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, ListRootsResult, LoggingMessageNotificationParam,
    ProgressNotificationParam, ProtocolVersion, ResourceUpdatedNotificationParam,
};
use rmcp::service::{
    ClientLifecycleMode, NotificationContext, RequestContext, RoleClient,
    serve_client_with_lifecycle,
};
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport, TokioChildProcess};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// The client side of a session.
struct Handler {
    /// The roots, if the client has any.
    roots: Value,
    /// What it answers to sampling and elicitation, if it declares those.
    answers: Value,
    notices: Arc<Mutex<Vec<Value>>>,
}

impl Handler {
    fn note(&self, method: &str, params: &impl serde::Serialize) {
        let notice = json!({"method": method, "params": params});
        self.notices.lock().expect("sound").push(notice);
    }
}

impl rmcp::ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        if self.roots.is_array() {
            info.capabilities.roots = Some(Default::default());
        }
        if self.answers.is_object() {
            info.capabilities.sampling = Some(Default::default());
            info.capabilities.elicitation = Some(Default::default());
        }
        info
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, rmcp::ErrorData> {
        self.note("sampling/createMessage", &params);
        Ok(serde_json::from_value(self.answers["sampling"].clone()).expect("an answer"))
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, rmcp::ErrorData> {
        self.note("elicitation/create", &params);
        Ok(serde_json::from_value(self.answers["elicitation"].clone()).expect("an answer"))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note("notifications/progress", &params);
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, rmcp::ErrorData> {
        let roots = serde_json::from_value(self.roots.clone()).unwrap_or_default();
        Ok(ListRootsResult::new(roots))
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note("notifications/message", &params);
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note("notifications/resources/updated", &params);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let plan: Value = serde_json::from_str(&arguments[2]).expect("the plan is JSON");
    let lifecycle = match arguments[1].as_str() {
        "rmcp-auto" => ClientLifecycleMode::Auto {
            preferred_versions: vec![version("2026-07-28")],
            legacy_version: Some(version("2025-11-25")),
        },
        _ => ClientLifecycleMode::Initialize,
    };

    if let Some(url) = plan["url"].as_str() {
        let transport = StreamableHttpClientTransport::from_uri(url);
        println!("{}", session(&plan, transport, lifecycle).await);
        return;
    }
    let mut command = Command::new(plan["command"].as_str().expect("a command"));
    for argument in plan["args"].as_array().into_iter().flatten() {
        command.arg(argument.as_str().expect("an argument is a string"));
    }
    for (name, value) in plan["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().expect("a value is a string"));
    }
    if let Some(dir) = plan["cwd"].as_str() {
        command.current_dir(dir);
    }
    let (transport, stderr) =
        TokioChildProcess::builder(command).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = stderr.expect("stderr is a pipe");
    let heard = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.map(|_| text).unwrap_or_default()
    });
    let mut seen = session(&plan, transport, lifecycle).await;
    seen["stderr"] = json!(heard.await.unwrap_or_default());
    println!("{seen}");
}

/// Connects, takes the steps, and ends the session.
async fn session<T, E, A>(plan: &Value, transport: T, lifecycle: ClientLifecycleMode) -> Value
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let mut seen = json!({"steps": []});
    let notices = Arc::default();
    let (roots, answers) = (plan["roots"].clone(), plan["answers"].clone());
    let has_notices = roots.is_array() || answers.is_object();
    let handler = Handler { roots, answers, notices: Arc::clone(&notices) };
    match serve_client_with_lifecycle(handler, transport, lifecycle).await {
        Ok(client) => {
            seen["server"] = json!(client.peer_info());
            for step in plan["steps"].as_array().into_iter().flatten() {
                let seen_step = take(&client, step).await;
                seen["steps"].as_array_mut().expect("a list").push(seen_step);
            }
            seen["close"] = json!(client.cancel().await.is_ok());
        }
        Err(error) => seen["connect"] = json!(error.to_string()),
    }
    if has_notices {
        seen["notices"] = json!(*notices.lock().expect("sound"));
    }
    seen
}

fn version(text: &str) -> ProtocolVersion {
    serde_json::from_value(json!(text)).expect("a protocol version")
}

async fn take(client: &rmcp::Peer<rmcp::RoleClient>, step: &Value) -> Value {
    let method = step.as_str().or(step[0].as_str()).expect("a method");
    if method == "!" {
        // Not a method: a program to run during the session.
        let program = step[1].as_str().expect("a program");
        let ended = Command::new(program).stdout(Stdio::null()).stdin(Stdio::null()).status().await;
        return json!({"method": method, "result": {"code": ended.expect("the program runs").code()}});
    }
    let request = match step.get(1) {
        Some(params) => json!({"method": method, "params": params}),
        None => json!({"method": method}),
    };
    let request: ClientRequest = serde_json::from_value(request).expect("an MCP request");
    match client.send_request(request).await {
        Ok(result) => json!({"method": method, "result": result}),
        Err(error) => json!({"method": method, "error": error.to_string()}),
    }
}
