//! Real clients with real remote servers: through mcpwrap, which speaks stdio to the client, a client
//! observes what it observes when it speaks HTTP to the server itself.

use serde_json::{Value, json};

use super::{Client, assert_same, six_variables};
use crate::harness::{TOKEN, Test};
use crate::remote::servers::{BEARER, RemoteServer, grant, has};

/// The servers and what a client does with them.
enum Remote {
    /// The reference server, of the legacy era, with what servers ask of clients.
    Everything,
    /// The same with the older transport.
    EverythingSse,
    /// A server of both eras.
    FastMcp,
}

impl Remote {
    fn needs(&self) -> &'static str {
        match self {
            Self::Everything | Self::EverythingSse => "npm",
            Self::FastMcp => "fastmcp",
        }
    }

    fn start<'a>(&self, test: &'a Test) -> RemoteServer<'a> {
        match self {
            Self::Everything => RemoteServer::everything(test, "streamableHttp"),
            Self::EverythingSse => RemoteServer::everything(test, "sse"),
            Self::FastMcp => RemoteServer::fastmcp(test, &[]),
        }
    }

    fn plan(&self, client: Client) -> Value {
        let call = |name: &str, arguments: Value| json!(["tools/call", {"name": name, "arguments": arguments}]);
        if matches!(self, Self::FastMcp) {
            return json!({"steps": [
                "tools/list", "resources/list", "prompts/list",
                ["resources/read", {"uri": "text://one"}],
                ["resources/read", {"uri": "text://none"}],
                ["prompts/get", {"name": "greet", "arguments": {"name": "Zoë"}}],
                call("echo", json!({"text": "naïve \u{1f980} \"quoted\" \\ \n end \u{2028}"})),
                call("echo", json!({"text": 1})),
                call("wait", json!({"seconds": 0.3})),
                call("fill", json!({"bytes": 400_000})),
                call("no-such-tool", json!({})),
            ]});
        }
        let sampled = json!({"role": "assistant", "model": "m",
            "content": {"type": "text", "text": "sampled"}});
        let given = json!({"action": "accept", "content": {"name": "Ana", "check": true}});
        let long = json!({"name": "trigger-long-running-operation",
            "arguments": {"duration": 0.4, "steps": 4}});
        let mut steps = vec![
            json!("tools/list"),
            json!("resources/list"),
            json!("resources/templates/list"),
            json!("prompts/list"),
            json!(["prompts/get", {"name": "args-prompt", "arguments": {"city": "Zürich"}}]),
            call(
                "echo",
                json!({"message": "naïve \u{1f980} \"quoted\" \\ \n end"}),
            ),
            call("get-sum", json!({"a": 0.1, "b": 1e21})),
            call("get-sum", json!({"a": "not a number"})),
            call("get-tiny-image", json!({})),
            call("get-structured-content", json!({"location": "New York"})),
            json!(["tools/call", long]),
            call("trigger-sampling-request", json!({"prompt": "p"})),
            call("trigger-elicitation-request", json!({})),
            call("no-such-tool", json!({})),
            json!(["resources/read", {"uri": "demo://no/such"}]),
            // Not earlier: the server tells at level "info" that it has the roots.
            json!(["logging/setLevel", {"level": "error"}]),
        ];
        if matches!(client, Client::TypeScript(_)) {
            // The others do not give up a call that runs.
            steps.push(json!(["cancel", long]));
            steps.push(json!("ping"));
        }
        json!({"steps": steps, "answers": {"sampling": sampled, "elicitation": given},
            "roots": [{"uri": "file:///projects/one", "name": "one"}]})
    }
}

/// Removes what a transport says about itself, and the order of two streams. Some SDKs lose the last
/// progress, if they read it together with the answer.
fn level(seen: &mut Value) {
    for field in ["stderr", "errors", "close"] {
        seen.as_object_mut().unwrap().remove(field);
    }
    if let Some(notices) = seen["notices"].as_array_mut() {
        let is_last = |notice: &Value| {
            let progress = &notice["progress"];
            progress["progress"].is_u64() && progress["progress"] == progress["total"]
        };
        notices.retain(|notice| !is_last(notice));
        notices.sort_by_key(Value::to_string);
    }
}

fn check(client: Client, remote: &Remote) {
    if !has(&[client.needs(), remote.needs()]) {
        return;
    }
    let test = six_variables();
    let server = remote.start(&test);
    test.secret("t/token", TOKEN);
    grant(&test, "remote", &server.url, BEARER);
    let plan = remote.plan(client);
    let with = |more: Value| {
        let mut plan = plan.clone();
        let fields = plan.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let mut seen = client.drive(&test, &plan);
        level(&mut seen);
        seen
    };
    let is_sse = matches!(remote, Remote::EverythingSse);
    let direct = with(json!({"url": server.url, "sse": is_sse}));
    let program = test.program().display().to_string();
    let through = with(json!({"command": program, "args": ["run", "remote"]}));
    assert!(
        direct["steps"][0]["result"]["tools"][0].is_object(),
        "the direct session works: {direct:#}"
    );
    assert_same(&direct, &through, "");
    server.end();
}

macro_rules! pairs {
    ($($client:ident = $kind:expr;)+) => {$(
        mod $client {
            use super::{Client, Remote, check};

            #[test]
            fn with_everything() { check($kind, &Remote::Everything); }
            #[test]
            fn with_fastmcp() { check($kind, &Remote::FastMcp); }
        }
    )+};
}

pairs! {
    typescript_1 = Client::TypeScript("ts-1");
    typescript_2 = Client::TypeScript("ts-2");
    typescript_2_probing = Client::TypeScript("ts-2-auto");
    python_1 = Client::Python("py-1");
    python_2 = Client::Python("py-2");
    python_2_probing = Client::Python("py-2-auto");
    rmcp = Client::Rust("rmcp");
    rmcp_probing = Client::Rust("rmcp-auto");
}

// The Rust SDK does not speak the older transport.

#[test]
fn typescript_1_with_the_older_transport() {
    check(Client::TypeScript("ts-1"), &Remote::EverythingSse);
}

#[test]
fn python_2_with_the_older_transport() {
    check(Client::Python("py-2"), &Remote::EverythingSse);
}
