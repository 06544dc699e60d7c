//! A file, not a page: a job's log is somewhere else, long, and read in pieces.

use reqwest::StatusCode;
use reqwest::header::{LOCATION, USER_AGENT};

use super::call::Call;
use super::client::{AGENT, Client};
use crate::edges::ForgeError;

/// What is read of a file that is not kept whole.
const MOST_FILE: usize = 256 << 20;

impl Client {
    /// Reads a file to which GitHub redirects, wherever that is, in pieces; false if it is longer than is read. Only the
    /// first request carries the token: the address that it gives is signed by itself.
    pub(super) async fn download(
        &self,
        call: Call<'_>,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<bool, ForgeError> {
        let bearer = self.bearer(call.repo, call.what).await?;
        let answer = self.send(&call, &call.url, &bearer).await?;
        if !answer.status.is_redirection() {
            let answer = self.judge(answer, &call, &bearer)?;
            take(&answer.body);
            return Ok(true);
        }
        let to = answer.headers.get(LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
        let url = self.api.join(to).map_err(|e| {
            ForgeError::Unreachable(format!("{} failed: GitHub pointed to no address: {e}", call.what))
        })?;
        if url.scheme() != self.api.scheme() {
            let why =
                format!("{} failed: GitHub pointed to {}://, which is not followed", call.what, url.scheme());
            return Err(ForgeError::Unreachable(why));
        }
        // Of a file the whole takes long, not the single request.
        let request = self.http.get(url.clone()).header(USER_AGENT, AGENT).timeout(self.timeout * 10);
        let mut response = request.send().await.map_err(|e| self.broken(&e, call.what))?;
        let status = response.status();
        // The query is the signature: whoever reads it may read the file.
        tracing::debug!(host = url.host_str(), status = status.as_u16(), "a file of GitHub's");
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(ForgeError::NotFound(format!(
                    "{} failed: the file is not there any more",
                    call.what
                )));
            }
            other => {
                let why = format!("{} failed: the host of the file answered {other}", call.what);
                return Err(ForgeError::Unreachable(why));
            }
        }
        let mut read = 0;
        while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e, call.what))? {
            take(&chunk);
            read += chunk.len();
            if read > MOST_FILE {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
