//! One repository, one issue, its labels and comments.

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::link::{escape, link};
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::core::seen::{SeenIssue, SeenRepo};
use crate::core::waits::SeenBlocker;
use crate::edges::{ForgeError, LabelEvent};

/// GitHub takes no longer comment.
const COMMENT_MAX: usize = 65_536;

/// More than GitHub lets one issue have.
const MOST_BLOCKERS: usize = 1_000;

impl GithubForge {
    /// What the repository is now. A tracked one whose name is gone, or another's by now, is looked for by its id.
    pub(super) async fn read_repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        let what = format!("reading the repository {}", repo.name);
        let named = self.repository_at(repo, &format!("/repos/{}", repo.name), &what).await;
        if repo.key.as_str().is_empty() {
            return named;
        }
        let denied = match named {
            Ok(seen) if seen.key == repo.key => return Ok(seen),
            Ok(other) => format!(
                "{} is another repository than the one tracked ({}, not {}): the old one was deleted or moved; \
                 remove it and add it again to track the new one",
                repo.name, other.key, repo.key
            ),
            Err(ForgeError::NotFound(said)) => said,
            Err(other) => return Err(other),
        };
        let Some(id) = repo.key.as_str().strip_prefix("gh") else { return Err(ForgeError::NotFound(denied)) };
        match self.repository_at(repo, &format!("/repositories/{id}"), &what).await {
            Ok(seen) if seen.key == repo.key => Ok(seen),
            Ok(_) | Err(ForgeError::NotFound(_)) => Err(ForgeError::NotFound(denied)),
            Err(other) => Err(other),
        }
    }

    /// How large it is, in bytes.
    pub(super) async fn read_size(&self, repo: &Repo) -> Result<Option<u64>, ForgeError> {
        let what = format!("reading the size of {}", repo.name);
        let url = self.client.url(&format!("/repos/{}", repo.name))?;
        let got: wire::Repository = self.client.remembered(repo, url, &what).await?;
        Ok(got.bytes())
    }

    async fn repository_at(&self, repo: &Repo, path: &str, what: &str) -> Result<SeenRepo, ForgeError> {
        let got: wire::Repository = self.client.remembered(repo, self.client.url(path)?, what).await?;
        let name =
            got.full_name.parse().map_err(|e| ForgeError::Unreachable(format!("{what} failed: {e}")))?;
        Ok(SeenRepo {
            key: RepoKey::new(format!("gh{}", got.id)),
            name,
            standing: got.standing(),
            default_branch: got.default_branch.unwrap_or_else(|| "main".to_owned()),
        })
    }

    /// Who the credential is: an App's token is nobody and is refused that, which is an answer as well.
    pub(super) async fn whoami(&self) -> Result<(), ForgeError> {
        let url = self.client.url("/user")?;
        match self.client.call(Call::get(url, "asking GitHub who the token is")).await {
            Ok(_) | Err(ForgeError::Refused(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    pub(super) async fn read_issue(&self, repo: &Repo, number: u64) -> Result<SeenIssue, ForgeError> {
        let what = format!("reading {}#{number}", repo.name);
        let url = self.client.url(&format!("/repos/{}/issues/{number}", repo.name))?;
        Ok(self.client.read::<wire::Issue>(repo, url, &what).await?.seen())
    }

    /// The issues that block this one, as GitHub lists them.
    pub(super) async fn read_blockers(
        &self,
        repo: &Repo,
        number: u64,
    ) -> Result<Vec<SeenBlocker>, ForgeError> {
        let what = format!("listing what blocks {}#{number}", repo.name);
        let path = format!("/repos/{}/issues/{number}/dependencies/blocked_by?per_page=100", repo.name);
        let (mut page, mut found) = (Some(self.client.url(&path)?), Vec::new());
        while let Some(url) = page.filter(|_| found.len() < MOST_BLOCKERS) {
            let (list, next) = self.client.remembered_page::<Vec<wire::Blocker>>(repo, url, &what).await?;
            found.extend(list.into_iter().filter_map(wire::Blocker::seen));
            page = next;
        }
        Ok(found)
    }

    pub(super) async fn post_labels(
        &self,
        repo: &Repo,
        number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        let what = format!("adding {} to {}#{number}", quoted(labels), repo.name);
        self.hook("forge.add_labels", &what)?;
        let url = self.client.url(&format!("/repos/{}/issues/{number}/labels", repo.name))?;
        let call = Call {
            body: Some(json!({ "labels": labels })),
            ..Call::write(Method::POST, url, &what).of(repo)
        };
        Ok(wire::names(self.client.call(call).await?.json(&what)?))
    }

    pub(super) async fn delete_label(&self, repo: &Repo, number: u64, label: &str) -> Result<(), ForgeError> {
        let what = format!("removing {} from {}#{number}", quoted(&[label.to_owned()]), repo.name);
        // As the last segment of the address these would name the whole set of labels.
        if matches!(label, "" | "." | "..") {
            return Err(ForgeError::Refused(format!("{what} is not possible: that is no label's name")));
        }
        self.hook("forge.remove_label", &what)?;
        let url =
            self.client.url(&format!("/repos/{}/issues/{number}/labels/{}", repo.name, escape(label)))?;
        match self.client.call(Call::write(Method::DELETE, url, &what).of(repo)).await {
            Ok(_) => Ok(()),
            // Either the label is gone, which is what was wanted, or the issue is.
            Err(ForgeError::NotFound(said)) => {
                let live = self.read_issue(repo, number).await?;
                let there = live.labels.iter().any(|l| l.eq_ignore_ascii_case(label));
                if there { Err(ForgeError::NotFound(said)) } else { Ok(()) }
            }
            Err(other) => Err(other),
        }
    }

    /// Labels that came and went since, oldest first. A server that keeps no such list has none.
    pub(super) async fn read_label_events(
        &self,
        repo: &Repo,
        number: u64,
        since: Timestamp,
    ) -> Result<Vec<LabelEvent>, ForgeError> {
        let what = format!("reading the events of {}#{number}", repo.name);
        // Whole seconds over there.
        let since = Timestamp(since.0.div_euclid(1_000) * 1_000);
        let mut page =
            self.client.url(&format!("/repos/{}/issues/{number}/events?per_page=100", repo.name))?;
        let mut found = Vec::new();
        loop {
            let answer = match self.client.call(Call::get(page, &what).of(repo)).await {
                Ok(answer) => answer,
                Err(ForgeError::NotFound(_) | ForgeError::Refused(_)) => return Ok(found),
                Err(other) => return Err(other),
            };
            let events: Vec<wire::IssueEvent> = answer.json(&what)?;
            found.extend(events.into_iter().filter_map(wire::IssueEvent::label).filter(|e| e.at >= since));
            match link(&answer.headers, "next") {
                Some(next) => page = self.client.given(&next, &what)?,
                None => return Ok(found),
            }
        }
    }

    pub(super) async fn post_comment(
        &self,
        repo: &Repo,
        number: u64,
        body: &str,
        marker: &str,
    ) -> Result<(), ForgeError> {
        let what = format!("commenting on {}#{number}", repo.name);
        let comments = self.client.url(&format!("/repos/{}/issues/{number}/comments", repo.name))?;
        let mut page = comments.clone();
        page.set_query(Some("per_page=100"));
        loop {
            let answer = self.client.call(Call::get(page, &what).of(repo)).await?;
            let there: Vec<wire::Comment> = answer.json(&what)?;
            if there.iter().any(|c| c.body.as_deref().is_some_and(|b| b.contains(marker))) {
                return Ok(());
            }
            match link(&answer.headers, "next") {
                Some(next) => page = self.client.given(&next, &what)?,
                None => break,
            }
        }
        self.hook("forge.comment", &what)?;
        let body = json!({ "body": marked(body, marker) });
        let call = Call { body: Some(body), ..Call::write(Method::POST, comments, &what).of(repo) };
        self.client.call(call).await.map(drop)
    }
}

fn quoted(labels: &[String]) -> String {
    labels.iter().map(|l| format!("`{l}`")).collect::<Vec<_>>().join(", ")
}

/// The body with the marker in it, no longer than GitHub takes.
fn marked(body: &str, marker: &str) -> String {
    const CUT: &str = "\n\n… (cut: longer than a comment may be)";
    let text = body.replace(marker, "");
    let text = text.trim_end();
    let room = COMMENT_MAX - marker.chars().count() - 2;
    if text.chars().count() <= room {
        return format!("{text}\n\n{marker}");
    }
    let kept: String = text.chars().take(room - CUT.chars().count()).collect();
    format!("{kept}{CUT}\n\n{marker}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_keep_their_marker_when_cut() {
        let marker = "<!-- dispatch:i-7 -->";
        assert_eq!(marked(&format!("Hello\n\n{marker}"), marker), format!("Hello\n\n{marker}"));
        let long = marked(&"ä".repeat(70_000), marker);
        assert_eq!(long.chars().count(), COMMENT_MAX);
        assert!(long.ends_with(marker) && long.contains("cut"));
    }
}
