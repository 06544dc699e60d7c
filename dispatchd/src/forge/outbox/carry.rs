//! One intent, from the live look to the read-back.

use dispatch_shared::Timestamp;

use crate::core::command::IntentResult;
use crate::core::intent::{Verdict, judge_labels};
use crate::core::record::{Intent, Repo, Wish};
use crate::edges::{Forge, ForgeError, Forges as _};
use crate::forge::Forges;

/// Carries out `intent` at the repository's forge.
pub(super) async fn out(forges: &Forges, repo: &Repo, intent: &Intent) -> Result<IntentResult, ForgeError> {
    let forge = forges.for_repo(repo)?;
    let number = intent.card.number;
    match &intent.wish {
        Wish::Labels { add, remove } => labels(forge.as_ref(), repo, intent, add, remove).await,
        Wish::Comment { body } => {
            let marker = format!("<!-- dispatch:{} -->", intent.id);
            forge.comment(repo, number, &format!("{body}\n\n{marker}"), &marker).await?;
            Ok(IntentResult::Done { labels: forge.issue(repo, number).await?.labels })
        }
    }
}

async fn labels(
    forge: &dyn Forge,
    repo: &Repo,
    intent: &Intent,
    add: &[String],
    remove: &[String],
) -> Result<IntentResult, ForgeError> {
    let number = intent.card.number;
    let live = forge.issue(repo, number).await?;
    let Verdict::CarryOut { add, remove } = judge_labels(&intent.seen_labels, add, remove, &live) else {
        return Ok(IntentResult::Superseded { labels: live.labels });
    };
    if add.is_empty() && remove.is_empty() {
        return Ok(IntentResult::Done { labels: live.labels });
    }
    // First what is wanted, then away with the rest: a break in between leaves a card that is still in a column.
    if !add.is_empty() {
        forge.add_labels(repo, number, &add).await?;
    }
    for label in &remove {
        forge.remove_label(repo, number, label).await?;
    }
    Ok(IntentResult::Done { labels: forge.issue(repo, number).await?.labels })
}

/// What a failure means for the intent; `retry_at` says when to try again, given until when the forge wants silence.
pub(super) fn failed(
    error: ForgeError,
    retry_at: impl FnOnce(Option<Timestamp>) -> Timestamp,
) -> IntentResult {
    match error {
        ForgeError::NotFound(said) | ForgeError::Refused(said) => IntentResult::Refused(said),
        // A token that expired, or is missing at this start, comes back; what was wanted is not thrown away for it.
        ForgeError::Unauthorized(said) => IntentResult::Later { due: retry_at(None), error: said },
        ForgeError::RateLimited { until, .. } => {
            IntentResult::Later { due: retry_at(Some(until)), error: error.to_string() }
        }
        ForgeError::Unreachable(said) => IntentResult::Later { due: retry_at(None), error: said },
    }
}

/// One word for the log.
pub(super) fn word(result: &IntentResult) -> &'static str {
    match result {
        IntentResult::Done { .. } => "done",
        IntentResult::Superseded { .. } => "superseded",
        IntentResult::Refused(_) => "refused",
        IntentResult::Later { .. } => "later",
    }
}
