//! The APIs of models that clients speak: how each asks, and how it is answered, whole or as a stream.

use serde_json::{Value, json};

use super::{Reply, Tool, Turn};

/// An API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `OpenAI`'s chat completions, which most clients speak to other models.
    Chat,
    /// `OpenAI`'s responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's content.
    Gemini,
}

/// Text of an event stream, or of a whole answer.
type Answer = (&'static str, String);

const ID: &str = "answer-1";
const CALL: &str = "call_1";

/// What is not a question to the model: which models there are, and how many tokens a text has.
pub fn plain(path: &str) -> Answer {
    let body = if path.contains("count") {
        json!({"input_tokens": 1, "totalTokens": 1})
    } else {
        json!({"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "test"}]})
    };
    whole(&body)
}

fn whole(body: &Value) -> Answer {
    ("application/json", body.to_string())
}

/// Events, each with its type on a line of its own if it has one.
fn stream(events: &[Value]) -> Answer {
    let event = |event: &Value| {
        let name = event["type"].as_str();
        let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
        format!("{name}data: {event}\n\n")
    };
    ("text/event-stream", events.iter().map(event).collect())
}

/// The text of what may be a text, a list of texts, or something else.
fn text(value: &Value) -> String {
    let part = |part: &Value| part["text"].as_str().map(str::to_owned);
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(part).collect(),
        other => other.to_string(),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn tool(value: &Value, group: Option<&str>) -> Option<Tool> {
    let name = value["name"].as_str()?.to_owned();
    Some(Tool {
        name,
        group: group.map(str::to_owned),
    })
}

impl Dialect {
    /// The API of this path, if it asks the model.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        let ends = |end: &str| path.ends_with(end);
        match () {
            () if ends("/chat/completions") => Some(Self::Chat),
            () if ends("/responses") => Some(Self::Responses),
            () if ends("/messages") => Some(Self::Messages),
            () if ends("enerateContent") => Some(Self::Gemini),
            () => None,
        }
    }

    /// What this request tells the model.
    pub fn turn(self, body: &Value) -> Turn {
        match self {
            Self::Chat => {
                // A session may go on: what was answered before the last question is not looked at.
                let mut messages: Vec<_> = items(&body["messages"]).collect();
                let asked = messages.iter().rposition(|one| one["role"] == "user");
                let after = messages.split_off(asked.unwrap_or(0));
                let result = after.into_iter().rfind(|one| one["role"] == "tool");
                Turn {
                    tools: items(&body["tools"])
                        .filter_map(|one| tool(&one["function"], None))
                        .collect(),
                    result: result.map(|one| text(&one["content"])),
                }
            }
            Self::Responses => {
                let results =
                    items(&body["input"]).filter(|one| one["type"] == "function_call_output");
                let tools = items(&body["tools"]).flat_map(|one| {
                    let inner =
                        items(&one["tools"]).filter_map(|inner| tool(inner, one["name"].as_str()));
                    inner.chain(tool(one, None)).collect::<Vec<_>>()
                });
                Turn {
                    tools: tools.collect(),
                    result: results.last().map(|one| text(&one["output"])),
                }
            }
            Self::Messages => {
                let parts = items(&body["messages"]).flat_map(|one| items(&one["content"]));
                let results = parts.filter(|part| part["type"] == "tool_result");
                Turn {
                    tools: items(&body["tools"])
                        .filter_map(|one| tool(one, None))
                        .collect(),
                    result: results.last().map(|part| text(&part["content"])),
                }
            }
            Self::Gemini => {
                let parts = items(&body["contents"]).flat_map(|one| items(&one["parts"]));
                let results = parts.filter_map(|part| part.get("functionResponse"));
                let tools =
                    items(&body["tools"]).flat_map(|one| items(&one["functionDeclarations"]));
                Turn {
                    tools: tools.filter_map(|one| tool(one, None)).collect(),
                    result: results.last().map(|one| text(&one["response"])),
                }
            }
        }
    }

    /// How the reply is said.
    pub fn answer(self, path: &str, body: &Value, reply: &Reply) -> Answer {
        let is_stream = body["stream"] == true || path.contains(":streamGenerateContent");
        match self {
            Self::Chat => chat(reply, is_stream),
            Self::Responses => responses(reply, is_stream),
            Self::Messages => messages(reply, is_stream),
            Self::Gemini => gemini(reply, is_stream),
        }
    }
}

fn chat(reply: &Reply, is_stream: bool) -> Answer {
    let (message, reason) = match reply {
        Reply::Text(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Reply::Call(tool, arguments) => {
            let call = json!({"index": 0, "id": CALL, "type": "function",
                "function": {"name": tool.name, "arguments": arguments.to_string()}});
            (
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                "tool_calls",
            )
        }
    };
    let answer = |object: &str, choices: Value, usage: Value| json!({"id": ID, "object": object, "created": 1, "model": "scripted", "choices": choices, "usage": usage});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    if !is_stream {
        let choice = json!([{"index": 0, "message": message, "finish_reason": reason}]);
        return whole(&answer("chat.completion", choice, usage));
    }
    let part = |delta: Value, reason: Option<&str>| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let chunk = |choices: Value, usage: Value| answer("chat.completion.chunk", choices, usage);
    // The usage comes in a chunk of its own: some clients look at nothing else in a chunk that has it.
    let (kind, mut text) = stream(&[
        chunk(part(message, None), Value::Null),
        chunk(part(json!({}), Some(reason)), Value::Null),
        chunk(json!([]), usage),
    ]);
    text.push_str("data: [DONE]\n\n");
    (kind, text)
}

fn responses(reply: &Reply, is_stream: bool) -> Answer {
    let item = match reply {
        Reply::Text(text) => {
            json!({"type": "message", "id": "item_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
        }
        Reply::Call(tool, arguments) => {
            let mut item = json!({"type": "function_call", "id": "item_1", "call_id": CALL, "name": tool.name,
                "arguments": arguments.to_string(), "status": "completed"});
            if let Some(group) = &tool.group {
                item["namespace"] = json!(group);
            }
            item
        }
    };
    let response = |status: &str, output: &[Value]| {
        json!({"id": ID, "object": "response", "created_at": 1, "model": "scripted", "status": status, "output": output,
            "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}})
    };
    let done = response("completed", std::slice::from_ref(&item));
    if !is_stream {
        return whole(&done);
    }
    let mut events = vec![
        json!({"type": "response.created", "response": response("in_progress", &[])}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
    ];
    let at = json!({"item_id": "item_1", "output_index": 0, "content_index": 0});
    let event = |kind: &str, key: &str, value: &Value| {
        let mut event = at.clone();
        event["type"] = json!(kind);
        event[key] = value.clone();
        event
    };
    match reply {
        Reply::Text(text) => events.extend([
            event(
                "response.content_part.added",
                "part",
                &json!({"type": "output_text", "text": "", "annotations": []}),
            ),
            event("response.output_text.delta", "delta", &json!(text)),
            event("response.output_text.done", "text", &json!(text)),
            event("response.content_part.done", "part", &item["content"][0]),
        ]),
        Reply::Call(..) => events.extend([
            event(
                "response.function_call_arguments.delta",
                "delta",
                &item["arguments"],
            ),
            event(
                "response.function_call_arguments.done",
                "arguments",
                &item["arguments"],
            ),
        ]),
    }
    events.extend([
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": done}),
    ]);
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    stream(&events)
}

fn messages(reply: &Reply, is_stream: bool) -> Answer {
    let (part, empty, delta, reason) = match reply {
        Reply::Text(text) => (
            json!({"type": "text", "text": text}),
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": text}),
            "end_turn",
        ),
        Reply::Call(tool, arguments) => (
            json!({"type": "tool_use", "id": "toolu_1", "name": tool.name, "input": arguments}),
            json!({"type": "tool_use", "id": "toolu_1", "name": tool.name, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
            "tool_use",
        ),
    };
    let message = |content: &[Value], reason: Option<&str>| {
        json!({"id": ID, "type": "message", "role": "assistant", "model": "scripted", "content": content,
            "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
    };
    if !is_stream {
        return whole(&message(&[part], Some(reason)));
    }
    stream(&[
        json!({"type": "message_start", "message": message(&[], None)}),
        json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"input_tokens": 1, "output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ])
}

fn gemini(reply: &Reply, is_stream: bool) -> Answer {
    let part = match reply {
        Reply::Text(text) => json!({"text": text}),
        Reply::Call(tool, arguments) => {
            json!({"functionCall": {"name": tool.name, "args": arguments}})
        }
    };
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "scripted", "responseId": ID,
    });
    if is_stream {
        stream(&[answer])
    } else {
        whole(&answer)
    }
}
