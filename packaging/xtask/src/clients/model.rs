//! A scripted model: it answers a request that offers the tool `echo` by a call of it, and the tool's
//! result by a text that has the result. Clients reach it as they reach the real ones, at a URL of this
//! machine, with a key that opens nothing.

mod dialect;
mod http;

use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use self::dialect::Dialect;
use self::http::Request;
use crate::shell::Done;

/// Runs to the end of the program, in threads of its own.
pub struct Model {
    /// Without a path.
    pub url: String,
    said: Arc<Mutex<Vec<String>>>,
}

/// What the model is told in one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The names of the tools offered.
    tools: Vec<Tool>,
    /// The text of the last result of a tool, if there is one.
    result: Option<String>,
}

/// A tool, and the group in which some APIs offer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    name: String,
    group: Option<String>,
}

/// What the model answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Call(Tool, Value),
    Text(String),
}

impl Turn {
    /// A tool is called once: `echo` with this text, or the one that mcpwrap offers in place of the tools
    /// of a server that does not start.
    fn reply(self, text: &str) -> Reply {
        if let Some(result) = self.result {
            return Reply::Text(format!("The tool answered: {result}"));
        }
        let named = |end: &str| {
            self.tools
                .iter()
                .find(|tool| tool.name.ends_with(end))
                .cloned()
        };
        match (named("echo"), named("mcpwrap_status")) {
            (Some(tool), _) => Reply::Call(tool, json!({ "text": text })),
            (None, Some(tool)) => Reply::Call(tool, json!({})),
            (None, None) => Reply::Text("There is no tool to call.".to_owned()),
        }
    }
}

impl Model {
    /// A model that calls the tool with this text.
    pub fn start(text: &'static str) -> Done<Self> {
        let problem = |error: io::Error| format!("the scripted model: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(problem)?;
        let port = listener.local_addr().map_err(problem)?.port();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                // A client that hangs up in the middle is no concern of the others.
                std::thread::spawn(move || drop(serve(stream, text, &heard)));
            }
        });
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { url, said })
    }

    /// What was asked and answered since the last time, for the report of a failure.
    pub fn said(&self) -> String {
        let mut said = self
            .said
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *said).join("\n")
    }
}

/// Answers the requests of one connection, one after the other.
fn serve(stream: TcpStream, text: &str, heard: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = io::BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader)? {
        let (kind, body) = answer(&request, text, heard);
        let start = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(start.as_bytes())?;
        writer.write_all(body.as_bytes())?;
        writer.flush()?;
    }
    Ok(())
}

/// The type and the text of the answer.
fn answer(request: &Request, text: &str, heard: &Mutex<Vec<String>>) -> (&'static str, String) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (answer, note) = match Dialect::of(&request.path).filter(|_| request.method == "POST") {
        None => (dialect::plain(&request.path), String::new()),
        Some(dialect) => {
            let turn = dialect.turn(&body);
            let names: Vec<_> = turn.tools.iter().map(|tool| tool.name.clone()).collect();
            let reply = turn.reply(text);
            let note = format!(": {reply:?} of the tools {}", names.join(" "));
            (dialect.answer(&request.path, &body, &reply), note)
        }
    };
    let line = format!("model: {} {}{note}", request.method, request.path);
    heard
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(line);
    answer
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// How each API offers the tool, and says what it answered.
    const ASKED: [(&str, &str, &str); 4] = [
        (
            "/v1/chat/completions",
            r#"{"tools": [{"function": {"name": "other"}}, {"function": {"name": "probe__echo"}}]}"#,
            r#"{"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "hello"}]}"#,
        ),
        (
            "/v1/responses",
            r#"{"tools": [{"type": "namespace", "name": "probe", "tools": [{"name": "echo"}]}]}"#,
            r#"{"input": [{"type": "function_call_output", "output": [{"type": "output_text", "text": "hello"}]}]}"#,
        ),
        (
            "/v1/messages?beta=true",
            r#"{"tools": [{"name": "mcp__probe__echo"}]}"#,
            r#"{"messages": [{"content": [{"type": "tool_result", "content": [{"type": "text", "text": "hello"}]}]}]}"#,
        ),
        (
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            r#"{"tools": [{"functionDeclarations": [{"name": "mcp_probe_echo"}]}]}"#,
            r#"{"contents": [{"parts": [{"functionResponse": {"response": {"output": "hello"}}}]}]}"#,
        ),
    ];

    /// What a model on this machine answers, without its head.
    fn asked(path: &str, body: &str) -> String {
        let model = Model::start("said").expect("a port");
        let address = model.url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        body.to_owned()
    }

    /// The same body, for an answer in pieces.
    fn streamed(body: &str) -> String {
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        body["stream"] = json!(true);
        body.to_string()
    }

    #[test]
    fn an_offered_tool_is_called_with_the_text() {
        for (path, offer, _) in ASKED {
            for body in [offer.to_owned(), streamed(offer)] {
                let answer = asked(path, &body);
                assert!(
                    answer.contains("echo") && !answer.contains("other"),
                    "{answer}"
                );
                assert!(
                    answer.replace('\\', "").contains(r#"{"text":"said"}"#),
                    "{answer}"
                );
            }
        }
    }

    #[test]
    fn what_the_tool_answered_is_said() {
        for (path, _, result) in ASKED {
            for body in [result.to_owned(), streamed(result)] {
                let answer = asked(path, &body);
                assert!(answer.contains("The tool answered: "), "{answer}");
                assert!(answer.contains("hello"), "{answer}");
            }
        }
    }

    #[test]
    fn each_event_of_a_stream_is_json() {
        for (path, offer, result) in ASKED {
            for body in [streamed(offer), streamed(result)] {
                let answer = asked(path, &body);
                let events = answer
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "));
                let parsed =
                    |event: &str| event == "[DONE]" || serde_json::from_str::<Value>(event).is_ok();
                assert!(
                    events.clone().count() > 0 && events.clone().all(parsed),
                    "{answer}"
                );
            }
        }
    }

    #[test]
    fn a_server_that_does_not_start_is_asked_why() {
        let offer = r#"{"tools": [{"function": {"name": "probe_mcpwrap_status"}}]}"#;
        let answer = asked("/v1/chat/completions", offer);
        assert!(
            answer.contains(r#""name":"probe_mcpwrap_status""#),
            "{answer}"
        );
    }

    #[test]
    fn a_result_of_an_earlier_question_is_not_the_answer() {
        let body = r#"{"messages": [{"role": "tool", "content": "hello"}, {"role": "user", "content": "x"}],
            "tools": [{"function": {"name": "echo"}}]}"#;
        let answer = asked("/v1/chat/completions", body);
        assert!(!answer.contains("hello"), "{answer}");
    }

    #[test]
    fn without_the_tool_nothing_is_called() {
        let answer = asked(
            "/v1/chat/completions",
            r#"{"tools": [{"function": {"name": "other"}}]}"#,
        );
        assert!(answer.contains("There is no tool to call."), "{answer}");
    }
}
