//! A look beforehand at what may be done with a repository.
//!
//! An installation says what it may, and a classic token lists its scopes. A fine-grained token tells neither: it is tried
//! with requests that change nothing whatever the answer, reads of one row and writes without a body, which GitHub refuses
//! as incomplete (422) where they are allowed and as forbidden (403) where they are not.

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::GithubForge;
use super::call::Call;
use super::permission::{self, Kind, Need};
use crate::core::record::Repo;
use crate::edges::ForgeError;

/// What may be done with a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// What kind of token it is: `classic`, `fine-grained` or `app`.
    pub kind: &'static str,
    /// Each missing permission in words: what it is, what cannot be done without it, where it is granted.
    pub missing: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Roles {
    push: bool,
    triage: bool,
    maintain: bool,
    admin: bool,
}

#[derive(Debug, Deserialize)]
struct Repository {
    #[serde(default)]
    private: bool,
    permissions: Option<Roles>,
}

impl GithubForge {
    /// Looks what may be done with `repo`. Changes nothing there.
    ///
    /// # Errors
    /// If the repository cannot be seen at all, or GitHub not be reached.
    pub async fn allowed(&self, repo: &Repo) -> Result<Allowed, ForgeError> {
        let what = format!("looking at the permissions for {}", repo.name);
        let url = self.client.url(&format!("/repos/{}", repo.name))?;
        let call = Call::get(url, &what).of(repo);
        let (answer, bearer) = self.client.ask(&call).await?;
        let answer = self.client.judge(answer, &call, &bearer)?;
        let seen: Repository = answer.json(&what)?;
        let scopes = answer.headers.get("x-oauth-scopes").and_then(|v| v.to_str().ok());
        let kind = match (permission::kind(&bearer), scopes) {
            (Kind::App, _) => Kind::App,
            (_, Some(_)) => Kind::Classic,
            (Kind::Classic, None) if bearer.token.is_none() => Kind::Classic,
            (_, None) => Kind::FineGrained,
        };
        let (name, web) = (repo.name.to_string(), self.client.web());
        let missing = match kind {
            Kind::App => {
                let lacks = |need: &&Need| {
                    let granted = bearer.granted.get(need.api).map_or("", String::as_str);
                    !permission::suffices(granted, need.level)
                };
                permission::ALL
                    .iter()
                    .filter(lacks)
                    .copied()
                    .map(|n| permission::missing(n, &name, kind, &web))
                    .collect()
            }
            Kind::Classic => classic(&name, &seen, scopes.unwrap_or_default(), &web),
            Kind::FineGrained => {
                let mut missing = Vec::new();
                for (need, method, path) in PROBES {
                    if !self.try_out(repo, method, path, &what).await? {
                        missing.push(permission::missing(need, &name, kind, &web));
                    }
                }
                missing
            }
        };
        let kind = match kind {
            Kind::App => "app",
            Kind::Classic => "classic",
            Kind::FineGrained => "fine-grained",
        };
        Ok(Allowed { kind, missing })
    }

    /// Which permission a push lacked that was answered with 403; `None` if none is missing: then a rule of the branch said no.
    pub(super) async fn denied_push(&self, repo: &Repo) -> Option<String> {
        let missing = match self.allowed(repo).await {
            Ok(allowed) => allowed.missing,
            Err(error) => {
                tracing::warn!(repo = %repo.name, %error, "what the push lacked is not known");
                return None;
            }
        };
        missing.into_iter().find(|m| m.starts_with(permission::CONTENTS.title) || m.contains("the scope"))
    }

    async fn try_out(&self, repo: &Repo, method: Method, path: &str, what: &str) -> Result<bool, ForgeError> {
        let url = self.client.url(&format!("/repos/{}/{path}", repo.name))?;
        let call = match method {
            Method::GET => Call::get(url, what).of(repo),
            _ => Call { body: Some(serde_json::json!({})), ..Call::write(method, url, what).of(repo) },
        };
        let (answer, bearer) = self.client.ask(&call).await?;
        // A limit, a gateway's page and the like are no answer to the question.
        match answer.status {
            StatusCode::FORBIDDEN => match self.client.judge(answer, &call, &bearer) {
                Err(limited @ ForgeError::RateLimited { .. }) => Err(limited),
                _ => Ok(false),
            },
            status if status.is_success() || status.is_client_error() => Ok(true),
            _ => self.client.judge(answer, &call, &bearer).map(|_| true),
        }
    }
}

/// What each permission is tried with. No write here can have an effect: a body without its required fields is refused, and
/// there is no run 0.
const PROBES: [(Need, Method, &str); 6] = [
    (permission::ISSUES, Method::POST, "labels"),
    (permission::PULLS, Method::POST, "pulls"),
    (permission::CONTENTS, Method::POST, "git/refs"),
    (permission::CHECKS, Method::GET, "commits/HEAD/check-runs?per_page=1"),
    (permission::STATUSES, Method::GET, "commits/HEAD/status?per_page=1"),
    (permission::ACTIONS, Method::POST, "actions/runs/0/rerun"),
];

fn classic(repo: &str, seen: &Repository, scopes: &str, web: &str) -> Vec<String> {
    if !permission::scope_suffices(scopes, seen.private) {
        return vec![permission::no_scope(repo, scopes, web)];
    }
    let Some(roles) = &seen.permissions else { return Vec::new() };
    let writes = roles.push || roles.maintain || roles.admin;
    let mut missing = Vec::new();
    if !(writes || roles.triage) {
        missing.push(permission::no_role(permission::ISSUES, repo, web));
    }
    if !writes {
        missing.push(permission::no_role(permission::CONTENTS, repo, web));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classic_token_lacks_a_scope_or_its_account_a_role() {
        let seen = |json: &str| serde_json::from_str::<Repository>(json).unwrap();
        let writer = seen(r#"{"private":true,"permissions":{"push":true,"pull":true}}"#);
        assert!(classic("a/b", &writer, "repo", "w").is_empty());
        assert!(classic("a/b", &writer, "gist", "w")[0].contains("scope `repo`"));
        let triage = seen(r#"{"private":false,"permissions":{"triage":true,"pull":true}}"#);
        let lacks = classic("a/b", &triage, "public_repo", "w");
        assert!(lacks.len() == 1 && lacks[0].contains("Contents: write"), "{lacks:?}");
        let reader = seen(r#"{"private":false,"permissions":{"pull":true}}"#);
        assert_eq!(classic("a/b", &reader, "public_repo", "w").len(), 2);
    }
}
