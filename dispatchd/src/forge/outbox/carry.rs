//! One intent, from the live look to the read-back.

use dispatch_shared::Timestamp;

use crate::core::command::IntentResult;
use crate::core::grooming::NewChild;
use crate::core::intent::{Verdict, judge_labels};
use crate::core::record::{Intent, Repo, Wish};
use crate::core::seen::SeenIssue;
use crate::core::throttle::Priority;
use crate::core::umbrella;
use crate::edges::{Forge, ForgeError, Forges as _, NewIssue};
use crate::forge::Forges;

/// Carries out `intent` at the repository's forge.
pub(super) async fn out(forges: &Forges, repo: &Repo, intent: &Intent) -> Result<IntentResult, ForgeError> {
    let forge = forges.for_repo_at(repo, Priority::Write)?;
    let number = intent.card.number;
    match &intent.wish {
        Wish::Labels { add, remove } => labels(forge.as_ref(), repo, intent, add, remove).await,
        Wish::Comment { body } => {
            let marker = format!("<!-- dispatch:{} -->", intent.id);
            forge.comment(repo, number, &format!("{body}\n\n{marker}"), &marker).await?;
            Ok(IntentResult::Done { labels: forge.issue(repo, number).await?.labels })
        }
        Wish::Child(child) => make(forge.as_ref(), repo, intent, child).await,
    }
}

/// Makes the child, then names it in its parent's text. Both are safe to repeat.
async fn make(
    forge: &dyn Forge,
    repo: &Repo,
    intent: &Intent,
    child: &NewChild,
) -> Result<IntentResult, ForgeError> {
    let parent = intent.card.number;
    let marker = format!("<!-- dispatch:{} -->", intent.id);
    let new = NewIssue {
        title: child.title.clone(),
        body: format!("{}\n\n{marker}\n", umbrella::body(child, parent)),
        labels: child.labels.clone(),
        marker,
        since: intent.created_at,
    };
    let made = forge.create_issue(repo, &new).await?;
    let unlinked = match link(forge, repo, parent, &made).await {
        Ok(()) => None,
        // The child is there and stays; only its parent's text lacks it.
        Err(ForgeError::NotFound(said) | ForgeError::Refused(said) | ForgeError::Unauthorized(said)) => {
            Some(said)
        }
        Err(later) => return Err(later),
    };
    Ok(IntentResult::Created { child: Box::new(made), unlinked })
}

async fn link(forge: &dyn Forge, repo: &Repo, parent: u64, child: &SeenIssue) -> Result<(), ForgeError> {
    let live = forge.issue(repo, parent).await?;
    match umbrella::linked(&live.body, &child.title, child.number) {
        Some(body) => forge.set_body(repo, parent, &body).await,
        None => Ok(()),
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
        IntentResult::Created { .. } => "created",
        IntentResult::Superseded { .. } => "superseded",
        IntentResult::Refused(_) => "refused",
        IntentResult::Later { .. } => "later",
    }
}
