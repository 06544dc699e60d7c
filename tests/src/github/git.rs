//! git over smart HTTP: `git http-backend` as a CGI program on the bare repositories.

use std::process::Stdio;

use axum::body::Body;
use base64::Engine as _;
use bytes::Bytes;
use hyper::{HeaderMap, Response};
use tokio::io::AsyncWriteExt as _;

use super::Shared;
use super::state::Repo;

/// The repository and the rest of the path, if this is git asking: `/owner/name.git/info/refs`.
pub(super) fn wanted(shared: &Shared, path: &str) -> Option<(u64, String, String)> {
    let (repo, rest) = path.trim_start_matches('/').split_once(".git/")?;
    let mut state = shared.state();
    let folded = repo.to_lowercase();
    let moved = |r: &&Repo| r.former.contains(&folded);
    let id = match state.repo(repo) {
        Some(repo) => repo.id,
        None => state.repos.iter().find(moved)?.id,
    };
    let full = state.repos.iter().find(|r| r.id == id)?.full_name();
    Some((id, full, format!("/{id}.git/{rest}")))
}

/// Whether the Basic credential carries a token that is accepted.
pub(super) fn allowed(shared: &Shared, headers: &HeaderMap) -> bool {
    let Some(value) = headers.get("authorization").and_then(|v| v.to_str().ok()) else { return false };
    let Some(encoded) = value.strip_prefix("Basic ") else { return false };
    let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(encoded.trim()) else { return false };
    let plain = String::from_utf8_lossy(&plain).into_owned();
    plain.split_once(':').is_some_and(|(_, token)| shared.state().accepts(token))
}

fn plain(status: u16, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status.try_into().expect("a status in the code is one");
    response
}

/// Serves one request of git.
pub(super) async fn serve(
    shared: &Shared,
    method: &str,
    (id, full, path): (u64, String, String),
    query: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !allowed(shared, headers) {
        let mut response = plain(401, "Authentication required\n");
        let realm = "Basic realm=\"GitHub\"".parse().expect("a header in the code is one");
        response.headers_mut().insert("www-authenticate", realm);
        return response;
    }
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut command = tokio::process::Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", shared.root.path())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("PATH_INFO", &path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "x-access-token")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // Side by side: git answers while it reads. A write that fails only means that it has read enough.
    let feed = async move {
        let _ = stdin.write_all(&body).await;
        let _ = stdin.shutdown().await;
    };
    let (out, ()) = tokio::join!(child.wait_with_output(), feed);
    let out = out.expect("git ends").stdout;
    if path.ends_with("/git-receive-pack") {
        shared.state().follow_heads(&shared.bare(id), &full);
    }
    cgi(&out)
}

/// A CGI answer: headers, an empty line, the body.
fn cgi(out: &[u8]) -> Response<Body> {
    let Some(end) = out.windows(4).position(|w| w == b"\r\n\r\n") else {
        return plain(500, "git http-backend gave no headers\n");
    };
    let mut response = Response::new(Body::from(Bytes::copy_from_slice(&out[end + 4..])));
    for line in String::from_utf8_lossy(&out[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|c| c.parse::<u16>().ok());
            *response.status_mut() = code.and_then(|c| c.try_into().ok()).unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (name.parse::<hyper::header::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
