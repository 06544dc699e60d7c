//! `[followup]`

use serde::Deserialize;

use super::ConfigError;
use crate::core::fix::FixPolicy;

/// `[followup]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Followup {
    /// Attempts at one pull request before a person is asked.
    pub max_attempts: u32,
    /// Logins whose pull requests count.
    pub bot_identities: Vec<String>,
    /// First parts of branches whose pull requests count.
    pub branch_owners: Vec<String>,
}

impl Default for Followup {
    fn default() -> Self {
        let policy = FixPolicy::default();
        Self {
            max_attempts: policy.max_attempts,
            bot_identities: policy.bot_identities,
            branch_owners: policy.branch_owners,
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split([',', '\n']).map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect()
}

/// What comes of it, with `PR_FIX_MAX_ATTEMPTS`, `PR_FOLLOWUP_BOT_IDENTITIES` and `PR_FOLLOWUP_BRANCH_OWNERS` over it.
pub(super) fn policy(
    file: &Followup,
    env: impl Fn(&str) -> Option<String>,
) -> Result<FixPolicy, ConfigError> {
    let max_attempts = match env("PR_FIX_MAX_ATTEMPTS") {
        None => file.max_attempts,
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| ConfigError(format!("PR_FIX_MAX_ATTEMPTS: `{text}` is no number of attempts")))?,
    };
    Ok(FixPolicy {
        max_attempts: max_attempts.max(1),
        bot_identities: env("PR_FOLLOWUP_BOT_IDENTITIES")
            .map_or_else(|| file.bot_identities.clone(), |t| list(&t)),
        branch_owners: env("PR_FOLLOWUP_BRANCH_OWNERS")
            .map_or_else(|| file.branch_owners.clone(), |t| list(&t)),
        ..FixPolicy::default()
    })
}
