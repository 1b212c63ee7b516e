//! Behaviour of the fake server beyond its tools: requests to the client, open subscriptions, lists of
//! tools that no client can use, and failures with a credential (`TOKEN`) that contains the word `bad`.

use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Moods {
    /// The failure with a bad credential: exit, error, mute, version, capabilities.
    pub(crate) when_bad: String,
    /// Requests the roots as soon as the client is ready.
    pub(crate) asks: bool,
    /// What is wrong with its list of tools (see [`tools`]).
    pub(crate) lists: String,
    /// The call that waits for the client's answer.
    asking: Option<Value>,
    questions: u64,
}

/// How to continue with a message.
pub(crate) enum Left {
    All,
    Nothing,
    /// Answer as usual, then change the answer.
    Changed(fn(&mut Value)),
}

impl Moods {
    pub(crate) fn take(&mut self, message: &Value) -> Left {
        match message["method"].as_str().unwrap_or_default() {
            "initialize" | "server/discover" if is_bad() => return self.go_bad(message),
            "notifications/initialized" if self.asks => self.ask(),
            "tools/list" if !self.lists.is_empty() => {
                let answer = json!({"jsonrpc": "2.0", "id": message["id"]});
                tools(&self.lists, message["params"]["cursor"].as_str(), answer);
                return Left::Nothing;
            }
            "tools/call" if message["params"]["name"] == "ask" => {
                self.asking = Some(message["id"].clone());
                self.ask();
                return Left::Nothing;
            }
            "subscriptions/listen" => {
                let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
                super::say(
                    &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {"_meta": meta}}),
                );
                super::write(2, format!("fake-server: heard {message}\n").as_bytes());
                return Left::Nothing;
            }
            "" => {
                if let Some(id) = self.asking.take() {
                    let result = json!({"content": [{"type": "text", "text": "answered"}]});
                    super::say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
                }
            }
            _ => {}
        }
        Left::All
    }

    fn ask(&mut self) {
        let question = json!({"jsonrpc": "2.0", "id": self.questions, "method": "roots/list"});
        self.questions += 1;
        super::say(&question);
    }

    fn go_bad(&self, message: &Value) -> Left {
        match self.when_bad.as_str() {
            "exit" => {
                super::write(2, b"fake-server: this credential is no good\n");
                std::process::exit(3);
            }
            "error" => {
                let error = json!({"code": -32603, "message": "this credential is no good"});
                super::say(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
                Left::Nothing
            }
            "mute" => Left::Nothing,
            "version" => Left::Changed(|reply| {
                reply["result"]["protocolVersion"] = json!("2024-11-05");
            }),
            "capabilities" => Left::Changed(|reply| {
                reply["result"]["capabilities"] = json!({"tools": {}});
            }),
            _ => Left::All,
        }
    }
}

/// Answers a request for the tools, which begins with this answer.
fn tools(kind: &str, cursor: Option<&str>, mut answer: Value) {
    let tool = |name: &str, text: &str| json!({"name": name, "description": text, "inputSchema": {"type": "object"}});
    let page: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
    answer["result"] = match kind {
        "pages" if page < 2 => {
            json!({"tools": [tool(&format!("page-{page}"), "one of three")], "nextCursor": (page + 1).to_string()})
        }
        "pages" => json!({"tools": [tool("page-2", "the last")]}),
        "loop" => json!({"tools": [tool("again", "")], "nextCursor": "7"}),
        "endless" => json!({"tools": [], "nextCursor": (page + 1).to_string()}),
        "secret" => json!({"tools": [tool("leak", &std::env::var("TOKEN").unwrap())]}),
        "exit" => std::process::exit(4),
        "none" => json!({"tool": []}),
        "nameless" => json!({"tools": [{"description": "who am I?"}]}),
        "hostile" => json!({"tools": [
            tool("\u{1b}[2Kgranted: x", "one\u{1b}]0;title\u{7}\nmcpwrap: error[revoked]: x"),
            tool("\u{9b}31mred", &format!("\u{202e}{}", "long ".repeat(40))),
            tool("two\nlines", "\r\n\r\n  after blank lines\nmore"),
        ]}),
        many => {
            let all = 0..many.parse::<usize>().unwrap();
            json!({"tools": all.map(|n| tool(&format!("tool-{n}"), "one of many")).collect::<Vec<_>>()})
        }
    };
    super::say(&answer);
}

fn is_bad() -> bool {
    std::env::var("TOKEN").is_ok_and(|token| token.contains("bad"))
}

/// Binds a port, like a server with a web page.
pub(crate) fn bind(port: u16) {
    let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) else {
        super::write(2, b"fake-server: the port is in use\n");
        std::process::exit(5);
    };
    Box::leak(Box::new(listener));
}
