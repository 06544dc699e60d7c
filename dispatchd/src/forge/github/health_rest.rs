//! The health of one pull request by REST: where there is no GraphQL. REST does not tell which review threads are resolved.

use dispatch_shared::Timestamp;
use dispatch_shared::protocol::followup::FeedbackItem;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::assemble::{Checks, Ran, cut};
use super::call::Call;
use super::link::link;
use super::{GithubForge, wire};
use crate::core::fix::health::{Health, Remark};
use crate::core::record::Repo;
use crate::edges::ForgeError;

/// Pages of 100 that are read of one list.
const PAGES: usize = 10;

#[derive(Deserialize)]
struct Pull {
    #[serde(flatten)]
    seen: wire::Pull,
    mergeable: Option<bool>,
    mergeable_state: Option<String>,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    #[serde(default)]
    node_id: String,
    name: String,
    status: String,
    conclusion: Option<String>,
    started_at: Option<Timestamp>,
    app: Option<App>,
    output: Option<Output>,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    id: u64,
    node_id: Option<String>,
    context: String,
    state: String,
    description: Option<String>,
}

#[derive(Deserialize)]
struct Review {
    id: u64,
    user: Option<wire::Account>,
    state: String,
    body: Option<String>,
}

impl GithubForge {
    /// What REST shows of a pull request.
    pub(super) async fn rest_health(
        &self,
        repo: &Repo,
        number: u64,
        requests: &mut usize,
    ) -> Result<Health, ForgeError> {
        let what = format!("looking at pull request {}#{number}", repo.name);
        let url = self.client.url(&format!("/repos/{}/pulls/{number}", repo.name))?;
        *requests += 1;
        let pull: Pull = self.client.read(repo, url, &what).await?;
        let seen = pull.seen.seen();
        let mut health = Health {
            pr: number,
            state: Some(seen.state),
            draft: seen.draft,
            from_fork: seen.from_fork,
            author: seen.author,
            labels: seen.labels,
            head_sha: seen.head_sha,
            updated_at: Some(seen.updated_at),
            mergeable: Some(match pull.mergeable {
                None => "UNKNOWN".to_owned(),
                Some(true) => "MERGEABLE".to_owned(),
                Some(false) => "CONFLICTING".to_owned(),
            }),
            merge_state: pull.mergeable_state.map(|s| s.to_ascii_uppercase()),
            blind: vec!["reviewThreads".to_owned()],
            ..Health::default()
        };
        match self.rest_checks(repo, &health.head_sha, requests).await {
            Ok(checks) => checks.into_health(&mut health),
            Err(ForgeError::Refused(_) | ForgeError::NotFound(_)) => {
                health.blind.push("statusCheckRollup".to_owned());
            }
            Err(other) => return Err(other),
        }
        match self.rest_reviews(repo, number, requests).await {
            Ok(reviews) => {
                health.review_decision = decision(&reviews).map(str::to_owned);
                health.reviews = asking(reviews);
            }
            Err(ForgeError::Refused(_) | ForgeError::NotFound(_)) => health.blind.push("reviews".to_owned()),
            Err(other) => return Err(other),
        }
        Ok(health)
    }

    /// Check runs and statuses of a commit.
    pub(super) async fn rest_checks(
        &self,
        repo: &Repo,
        sha: &str,
        requests: &mut usize,
    ) -> Result<Checks, ForgeError> {
        let what = format!("reading the checks of {} at {sha}", repo.name);
        let mut checks = Checks::default();
        let path = format!("/repos/{}/commits/{sha}/check-runs?filter=latest&per_page=100", repo.name);
        for page in self.pages::<Runs>(repo, &path, &what, requests).await? {
            checks.runs.extend(page.check_runs.into_iter().map(ran));
        }
        let path = format!("/repos/{}/commits/{sha}/status?per_page=100", repo.name);
        for page in self.pages::<Combined>(repo, &path, &what, requests).await? {
            let status = |s: Status| {
                (s.node_id.unwrap_or_else(|| s.id.to_string()), s.context, s.state, s.description)
            };
            checks.statuses.extend(page.statuses.into_iter().map(status));
        }
        Ok(checks)
    }

    async fn rest_reviews(
        &self,
        repo: &Repo,
        number: u64,
        requests: &mut usize,
    ) -> Result<Vec<Review>, ForgeError> {
        let what = format!("reading the reviews of {}#{number}", repo.name);
        let path = format!("/repos/{}/pulls/{number}/reviews?per_page=100", repo.name);
        let pages = self.pages::<Vec<Review>>(repo, &path, &what, requests).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        repo: &Repo,
        path: &str,
        what: &str,
        requests: &mut usize,
    ) -> Result<Vec<T>, ForgeError> {
        let mut url = self.client.url(path)?;
        let mut pages = Vec::new();
        for _ in 0..PAGES {
            *requests += 1;
            let answer = self.client.call(Call::get(url, what).of(repo)).await?;
            pages.push(answer.json(what)?);
            match link(&answer.headers, "next") {
                Some(next) => url = self.client.given(&next, what)?,
                None => return Ok(pages),
            }
        }
        Err(ForgeError::Refused(format!("{what} failed: there are more than {PAGES} pages")))
    }
}

fn ran(run: Run) -> Ran {
    let slug = run.app.and_then(|a| a.slug).unwrap_or_default();
    let text =
        run.output.map(|o| cut(&[o.title, o.summary].into_iter().flatten().collect::<Vec<_>>().join("\n")));
    Ran {
        job: (slug == "github-actions").then_some(run.id),
        // The newest of each name within its suite was asked for; the same name of two suites is two checks.
        kind: (slug, String::new(), run.id.to_string()),
        node: run.node_id,
        id: run.id.to_string(),
        name: run.name,
        ended: run.status.eq_ignore_ascii_case("completed"),
        conclusion: run.conclusion,
        started_at: run.started_at,
        text: text.filter(|t| !t.is_empty()),
    }
}

/// The newest opinion of each reviewer; the lists are oldest first.
fn opinions(reviews: &[Review]) -> Vec<&Review> {
    let mut newest: Vec<&Review> = Vec::new();
    let login = |r: &Review| r.user.as_ref().and_then(|u| u.login.clone());
    for review in reviews {
        if matches!(review.state.as_str(), "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED") {
            newest.retain(|r| login(r) != login(review));
            newest.push(review);
        }
    }
    newest
}

fn decision(reviews: &[Review]) -> Option<&'static str> {
    let opinions = opinions(reviews);
    let any = |state: &str| opinions.iter().any(|r| r.state == state);
    match (any("CHANGES_REQUESTED"), any("APPROVED")) {
        (true, _) => Some("CHANGES_REQUESTED"),
        (false, true) => Some("APPROVED"),
        (false, false) => None,
    }
}

fn asking(reviews: Vec<Review>) -> Vec<Remark> {
    let asks = opinions(&reviews).into_iter().filter(|r| r.state == "CHANGES_REQUESTED");
    let remark = |r: &Review| Remark {
        id: r.id.to_string(),
        item: FeedbackItem {
            author: r.user.as_ref().and_then(|u| u.login.clone()),
            ..FeedbackItem::text(cut(r.body.as_deref().unwrap_or_default()))
        },
    };
    asks.map(remark).collect()
}
