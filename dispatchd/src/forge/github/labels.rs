//! The labels of a repository as a whole.

use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::link::link;
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::edges::ForgeError;

/// Grey, as GitHub colours labels that it makes by itself.
const COLOR: &str = "ededed";

impl GithubForge {
    pub(super) async fn read_labels(&self, repo: &Repo) -> Result<Vec<String>, ForgeError> {
        let what = format!("reading the labels of {}", repo.name);
        let mut page = self.client.url(&format!("/repos/{}/labels", repo.name))?;
        page.set_query(Some("per_page=100"));
        let mut labels = Vec::new();
        loop {
            let answer = self.client.call(Call::get(page, &what).of(repo)).await?;
            labels.extend(wire::names(answer.json(&what)?));
            match link(&answer.headers, "next") {
                Some(next) => page = self.client.given(&next, &what)?,
                None => return Ok(labels),
            }
        }
    }

    pub(super) async fn make_label(&self, repo: &Repo, label: &str) -> Result<(), ForgeError> {
        let what = format!("making the label `{label}` in {}", repo.name);
        self.hook("forge.create_label", &what)?;
        let url = self.client.url(&format!("/repos/{}/labels", repo.name))?;
        let body = json!({ "name": label, "color": COLOR });
        let call = Call { body: Some(body), ..Call::write(Method::POST, url, &what).of(repo) };
        match self.client.call(call).await {
            // 422 is also what a label gets that somebody made since.
            Err(ForgeError::Refused(said)) => {
                let there = self.read_labels(repo).await?.iter().any(|l| l.eq_ignore_ascii_case(label));
                if there { Ok(()) } else { Err(ForgeError::Refused(said)) }
            }
            other => other.map(drop),
        }
    }
}
