//! An OpenAI-compatible endpoint in this process: `POST /v1/chat/completions`, answered with what a test put on its list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What it says next.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A message with this content.
    Content(String),
    /// An error with this status and message.
    Error(u16, String),
    /// Nothing, for so long.
    Silence(Duration),
}

/// A request that it got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The header `authorization`.
    pub authorization: Option<String>,
    /// The path.
    pub path: String,
    /// The body.
    pub body: Value,
}

impl Asked {
    /// The content of the message of `role`.
    #[must_use]
    pub fn message(&self, role: &str) -> String {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let found = messages.iter().find(|m| m["role"] == role);
        found.and_then(|m| m["content"].as_str()).unwrap_or_default().to_owned()
    }
}

#[derive(Default)]
struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
}

/// See the module. Ends when dropped.
pub struct FakeOpenAi {
    shared: Arc<Shared>,
    origin: String,
    stop: CancellationToken,
}

impl FakeOpenAi {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let origin = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let (shared, stop) = (Arc::new(Shared::default()), CancellationToken::new());
        let (served, stopped) = (shared.clone(), stop.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else { continue };
                let shared = served.clone();
                let service = hyper::service::service_fn(move |request| handle(shared.clone(), request));
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { shared, origin, stop }
    }

    /// What goes into `DISPATCH_LLM_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin)
    }

    /// Puts an answer on the list.
    pub fn say(&self, reply: Reply) {
        self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner).push_back(reply);
    }

    /// Puts the JSON of a decision on the list.
    pub fn decide(&self, decision: &Value) {
        self.say(Reply::Content(decision.to_string()));
    }

    /// Every request so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FakeOpenAi {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let header = head.headers.get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
    shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
        authorization: header,
        path: head.uri.path().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    });
    let reply = shared.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (status, body) = match reply {
        Some(Reply::Content(content)) => (
            200,
            json!({
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } }],
                "usage": { "prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160 },
            }),
        ),
        Some(Reply::Error(status, message)) => {
            (status, json!({ "error": { "message": message, "type": "fake" } }))
        }
        Some(Reply::Silence(long)) => {
            tokio::time::sleep(long).await;
            (200, json!({}))
        }
        None => (500, json!({ "error": { "message": "the test put no answer on the list" } })),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}
