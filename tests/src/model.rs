//! A model server on loopback for real programs: it speaks what Anthropic, OpenAI (chat and responses), and Google speak, says
//! one sentence, and counts the same tokens always; or it answers everything with one HTTP status.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

/// See the module. Its threads live as long as the test's process.
#[derive(Debug)]
pub struct FakeModel {
    origin: String,
}

impl FakeModel {
    /// Starts one on a free port of 127.0.0.1; with a status it answers nothing else.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn start(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let origin = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream, status));
            }
        });
        Self { origin }
    }

    /// `http://127.0.0.1:…`
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// One request a connection. A program that goes away is none of ours.
fn serve(stream: TcpStream, status: Option<u16>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split_whitespace().nth(1)?.split('?').next()?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, kind, body) = match status.filter(|_| first.starts_with("POST")) {
        Some(status) => {
            let said = json!({"error": {"message": format!("fake {status}"), "type": "fake", "code": status.to_string()}});
            (status, "application/json", said.to_string())
        }
        None => answer(&path, asked["stream"] == true),
    };
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {status} Fake\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}

const SAYS: &str = "Hello from the fake model.";

fn event(name: &str, mut data: Value) -> String {
    data["type"] = json!(name);
    format!("event: {name}\ndata: {data}\n\n")
}

fn answer(path: &str, stream: bool) -> (u16, &'static str, String) {
    const EVENTS: &str = "text/event-stream";
    if path.ends_with("/messages") {
        let usage = json!({"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 300, "output_tokens": 1});
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
        let text = [
            event("message_start", json!({"message": message})),
            event("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}})),
            event("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": SAYS}})),
            event("content_block_stop", json!({"index": 0})),
            event(
                "message_delta",
                json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 12}}),
            ),
            event("message_stop", json!({})),
        ];
        return (200, EVENTS, text.concat());
    }
    if path.ends_with("/responses") {
        let item = json!({"type": "message", "id": "m1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": SAYS, "annotations": []}]});
        let usage = json!({"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400}, "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 10}, "total_tokens": 1050});
        let text = [
            event("response.created", json!({"response": {"id": "r1"}})),
            event("response.output_item.done", json!({"output_index": 0, "item": item})),
            event("response.completed", json!({"response": {"id": "r1", "output": [item], "usage": usage}})),
        ];
        return (200, EVENTS, text.concat());
    }
    if path.contains("enerateContent") {
        let said = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": SAYS}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 50, "cachedContentTokenCount": 400,
                "thoughtsTokenCount": 10, "totalTokenCount": 1060}, "modelVersion": "fake"});
        return match path.contains("stream") {
            true => (200, EVENTS, format!("data: {said}\n\n")),
            false => (200, "application/json", said.to_string()),
        };
    }
    if path.ends_with("/chat/completions") {
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050, "prompt_tokens_details": {"cached_tokens": 400}});
        if !stream {
            let choice = json!({"index": 0, "message": {"role": "assistant", "content": SAYS}, "finish_reason": "stop"});
            let said = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "fake-model", "choices": [choice], "usage": usage});
            return (200, "application/json", said.to_string());
        }
        let chunk = |choices: Value, usage: Value| {
            let said = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "fake-model", "choices": choices, "usage": usage});
            format!("data: {said}\n\n")
        };
        let text = [
            chunk(
                json!([{"index": 0, "delta": {"role": "assistant", "content": SAYS}, "finish_reason": null}]),
                json!(null),
            ),
            chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), json!(null)),
            chunk(json!([]), usage),
            "data: [DONE]\n\n".to_owned(),
        ];
        return (200, EVENTS, text.concat());
    }
    (
        if path.ends_with("/models") { 200 } else { 404 },
        "application/json",
        r#"{"object":"list","data":[]}"#.to_owned(),
    )
}
