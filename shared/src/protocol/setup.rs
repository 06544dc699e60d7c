//! `GET` and `PUT /api/setup`: what is configured. Credentials go in and never out.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{AgentName, RepoName};

/// Whether a credential is there, and where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// It is there.
    pub configured: bool,
    /// `environment`, `file`, `systemd`, `setup`, `gh` or `app`.
    pub source: Option<String>,
    /// What is wrong with it, or where exactly it is; never what it is.
    #[serde(default)]
    pub note: Option<String>,
}

/// What may be done with a repository, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    /// `owner/name`.
    pub repo_full_name: RepoName,
    /// `github` or `local`.
    pub forge: String,
    /// Whether it can be read; null before the first sync.
    pub read: Option<bool>,
    /// Whether labels can be written; null before the first write.
    pub write: Option<bool>,
    /// What the forge said.
    pub note: Option<String>,
    /// Each missing permission in words: what it is, what cannot be done without it, where it is granted.
    #[serde(default)]
    pub missing: Vec<String>,
    /// `classic`, `fine-grained` or `app`: what the permissions are granted to; null before they were looked at.
    #[serde(default)]
    pub token_kind: Option<String>,
    /// When the permissions were looked at; null before that.
    #[serde(default)]
    pub checked_at: Option<Timestamp>,
}

/// The query of `GET /api/setup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetupQuery {
    /// Look at the permissions anew and wait for it; else what the last look found is shown.
    pub check: bool,
}

/// `GET /api/setup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setup {
    /// `socket`, `token` or `off`.
    pub auth_mode: String,
    /// The address of the TCP listener, if there is one.
    pub listen: Option<String>,
    /// The local socket.
    pub socket: String,
    /// The state directory.
    pub state_dir: String,
    /// The configuration file.
    pub config_path: String,
    /// Whether it is there; without it the defaults hold.
    pub config_found: bool,
    /// GitHub's API.
    pub github_api_url: String,
    /// Where people see GitHub.
    #[serde(default)]
    pub github_web_url: String,
    /// GitHub's token.
    pub github_token: Credential,
    /// The secret of webhooks.
    pub webhook_secret: Credential,
    /// The key of the hosted groomer's model.
    pub llm_api_key: Credential,
    /// The token of operators.
    pub maintainer_token: Credential,
    /// The token of workers of any name.
    pub worker_token: Credential,
    /// The names that have a token of their own.
    pub bound_workers: Vec<AgentName>,
    /// The engine in use, or why there is none.
    pub runtime: String,
    /// What may be done with each tracked repository.
    pub repositories: Vec<Permissions>,
    /// Credentials were changed since the start; they hold from the next one on.
    pub restart_needed: bool,
}

/// `PUT /api/setup`: an absent field stays as it is, an empty text removes the credential.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SetupRequest {
    /// GitHub's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_token: Option<String>,
    /// The secret of webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<String>,
    /// The key of the hosted groomer's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_api_key: Option<String>,
    /// The token of operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintainer_token: Option<String>,
    /// The token of workers of any name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_token: Option<String>,
}

impl SetupRequest {
    /// The fields that are there, by name, each with its text.
    #[must_use]
    pub fn given(&self) -> Vec<(&'static str, &str)> {
        [
            ("githubToken", &self.github_token),
            ("webhookSecret", &self.webhook_secret),
            ("llmApiKey", &self.llm_api_key),
            ("maintainerToken", &self.maintainer_token),
            ("workerToken", &self.worker_token),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref()?)))
        .collect()
    }
}

impl fmt::Debug for SetupRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.given().into_iter().map(|(name, _)| name).collect();
        f.debug_tuple("SetupRequest").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let request = SetupRequest { github_token: Some("ghp_abc".into()), ..SetupRequest::default() };
        assert_eq!(format!("{request:?}"), r#"SetupRequest(["githubToken"])"#);
    }
}
