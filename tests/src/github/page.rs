//! An asked thing and its answer; lists in pages with `Link`.

use serde_json::{Value, json};

/// A request that may be answered.
pub(super) struct Asked {
    pub(super) method: String,
    /// Decoded segments of the path.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// `http://127.0.0.1:port`, and below it where the API is mounted.
    pub(super) origin: String,
}

impl Asked {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }
}

/// An answer.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

pub(super) fn said(status: u16, body: Value) -> Said {
    Said { status, body, headers: Vec::new() }
}

/// GitHub's complaint.
pub(super) fn complaint(status: u16, message: &str) -> Said {
    said(
        status,
        json!({ "message": message, "documentation_url": "https://docs.example.com", "status": status.to_string() }),
    )
}

pub(super) fn not_found() -> Said {
    complaint(404, "Not Found")
}

/// One page of `all`. `tail` is the path below `/repositories/ID`.
pub(super) fn paged(asked: &Asked, repo: u64, tail: &str, all: Vec<Value>) -> Said {
    paged_of(asked, repo, tail, all, |row| row)
}

/// The same of things that are written only if they are on the page.
pub(super) fn paged_of<T>(
    asked: &Asked,
    repo: u64,
    tail: &str,
    all: Vec<T>,
    write: impl FnMut(T) -> Value,
) -> Said {
    let number = |name, otherwise: usize| asked.query(name).and_then(|v| v.parse().ok()).unwrap_or(otherwise);
    let per_page = number("per_page", 30).clamp(1, 100);
    let page = number("page", 1).max(1);
    let last = all.len().div_ceil(per_page).max(1);
    let address = |page: usize| {
        let mut query: Vec<(&str, String)> =
            asked.query.iter().filter(|(k, _)| k != "page").map(|(k, v)| (k.as_str(), v.clone())).collect();
        query.push(("page", page.to_string()));
        let base = format!("{}/repositories/{repo}{tail}", asked.origin);
        reqwest::Url::parse_with_params(&base, query).map_or(base, String::from)
    };
    let mut links = Vec::new();
    if page < last {
        links.push(format!("<{}>; rel=\"next\"", address(page + 1)));
        links.push(format!("<{}>; rel=\"last\"", address(last)));
    }
    if page > 1 {
        links.push(format!("<{}>; rel=\"first\"", address(1)));
        links.push(format!("<{}>; rel=\"prev\"", address(page - 1)));
    }
    let rows: Vec<Value> = all.into_iter().skip((page - 1) * per_page).take(per_page).map(write).collect();
    let mut answer = said(200, Value::Array(rows));
    if !links.is_empty() {
        answer.headers.push(("link", links.join(", ")));
    }
    answer
}
