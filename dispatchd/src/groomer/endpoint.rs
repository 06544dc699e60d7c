//! One question to an OpenAI-compatible endpoint: `POST <base>/chat/completions`.
//!
//! The key goes into one header of that request and nowhere else: not into an address, a log line or an error. Redirects
//! are not followed.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::json;

use super::prompt::Prompt;
use super::settings::Settings;

/// No answer that was asked for is longer.
const ANSWER_MAX: usize = 1 << 20;

/// What the model said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) content: String,
    /// In and out.
    pub(super) tokens: Option<(u64, u64)>,
}

/// Asks.
pub(super) struct Endpoint {
    http: reqwest::Client,
    settings: Settings,
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Used {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Endpoint {
    /// # Errors
    /// If no TLS client can be made here.
    pub(super) fn new(settings: Settings) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.timeout.min(std::time::Duration::from_secs(10)))
            .timeout(settings.timeout)
            .user_agent(concat!("dispatchd/", env!("CARGO_PKG_VERSION")));
        if settings.base_url.host_str().is_some_and(|h| h == "127.0.0.1" || h == "localhost" || h == "[::1]")
        {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|e| format!("no connection can be made here: {}", cause(e)))?;
        Ok(Self { http, settings })
    }

    /// # Errors
    /// A sentence without any secret: the endpoint could not be reached, refused, or answered nonsense.
    pub(super) async fn ask(&self, prompt: &Prompt) -> Result<Said, String> {
        let url = format!("{}/chat/completions", self.settings.base_url.as_str().trim_end_matches('/'));
        let body = json!({
            "model": self.settings.model,
            "messages": [
                { "role": "system", "content": prompt.rules },
                { "role": "user", "content": prompt.issue },
            ],
            "response_format": { "type": "json_object" },
        });
        let mut request = self.http.post(url).json(&body);
        if let Some(key) = &self.settings.api_key {
            request = request.bearer_auth(key.expose());
        }
        let answer = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = answer.status();
        let bytes = self.read(answer).await?;
        if !status.is_success() {
            return Err(self.clean(&format!("the model's endpoint answered {status}{}", complaint(&bytes))));
        }
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|e| format!("the model's endpoint answered what is no chat completion: {e}"))?;
        let content = answer.choices.into_iter().next().and_then(|c| c.message.content);
        let tokens = answer.usage.map(|u| (u.prompt_tokens, u.completion_tokens));
        match content {
            Some(content) => Ok(Said { content, tokens }),
            None => Err("the model's endpoint answered without a message".to_owned()),
        }
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<BytesMut, String> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.unreachable(e))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err("the model's endpoint answered more than 1 MiB".to_owned());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: reqwest::Error) -> String {
        if error.is_timeout() {
            let ms = self.settings.timeout.as_millis();
            return format!(
                "the model's endpoint did not answer within {ms} ms; raise DISPATCH_GROOMER_TIMEOUT_MS"
            );
        }
        self.clean(&format!("the model's endpoint cannot be reached: {}", cause(error)))
    }

    /// Endpoints repeat keys in their complaints.
    fn clean(&self, text: &str) -> String {
        let key = self.settings.api_key.as_ref().filter(|k| !k.is_empty());
        key.map_or_else(|| text.to_owned(), |key| text.replace(key.expose(), "…"))
    }
}

/// What an error's body says, in a few words.
fn complaint(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let said = serde_json::from_slice::<Body>(bytes).map(|b| b.error.message).unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
    if said.is_empty() { said } else { format!(": {said}") }
}

/// The innermost cause, without the address.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    deepest.to_string()
}
