//! One intent, from the live look to the read-back.

use dispatch_shared::Timestamp;

use crate::core::command::IntentResult;
use crate::core::grooming::NewChild;
use crate::core::intent::{Decided, Verdict, already, judge_labels};
use crate::core::record::{Intent, Repo, Wish};
use crate::core::seen::SeenIssue;
use crate::core::throttle::Priority;
use crate::core::umbrella;
use crate::edges::{Forge, ForgeError, Forges as _, NewIssue};
use crate::forge::Forges;

/// A try that broke off.
#[derive(Debug)]
pub(super) struct Broken {
    error: ForgeError,
    /// Labels that are known to have been put there before.
    wrote: Vec<String>,
    /// Whether anything may have been written.
    touched: bool,
    /// The issue as it was looked at afterwards, if something may have been written.
    live: Option<Box<SeenIssue>>,
    /// What somebody else had done already.
    same: Vec<String>,
}

impl From<ForgeError> for Broken {
    fn from(error: ForgeError) -> Self {
        Self { error, wrote: Vec::new(), touched: false, live: None, same: Vec::new() }
    }
}

/// Carries out `intent` at the repository's forge; `again` if it may have been tried before.
pub(super) async fn out(
    forges: &Forges,
    repo: &Repo,
    intent: &Intent,
    again: bool,
) -> Result<IntentResult, Broken> {
    let forge = forges.for_repo_at(repo, Priority::Write)?;
    let number = intent.card.number;
    match &intent.wish {
        Wish::Labels { add, remove } => labels(forge.as_ref(), repo, intent, (add, remove), again).await,
        Wish::Comment { body } => {
            let marker = format!("<!-- dispatch:{} -->", intent.id);
            forge.comment(repo, number, &format!("{body}\n\n{marker}"), &marker).await?;
            Ok(IntentResult::Done { live: Box::new(forge.issue(repo, number).await?), same: Vec::new() })
        }
        Wish::Child(child) => Ok(make(forge.as_ref(), repo, intent, child).await?),
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
    (add, remove): (&[String], &[String]),
    again: bool,
) -> Result<IntentResult, Broken> {
    let number = intent.card.number;
    let live = Box::new(forge.issue(repo, number).await?);
    let events = if again { forge.label_events(repo, number, intent.created_at).await? } else { Vec::new() };
    let took: Vec<String> = events.iter().filter(|e| !e.added).map(|e| e.label.clone()).collect();
    let mut wrote = intent.wrote.clone();
    // Added since, and not there any more; what it was before that says nothing.
    wrote.extend(events.iter().filter(|e| e.added).map(|e| e.label.clone()));
    let decided = Decided { seen: &intent.seen_labels, add, remove, wrote: &wrote, took: &took };
    let Verdict::CarryOut { add, remove } = judge_labels(decided, &live) else {
        return Ok(IntentResult::Superseded { live, took });
    };
    // What an earlier try may have put there is not somebody else's.
    let same = if again { intent.same.clone() } else { already(decided, &live.labels) };
    if add.is_empty() && remove.is_empty() {
        return Ok(IntentResult::Done { live, same });
    }
    // First what is wanted, then away with the rest: a break in between leaves a card that is still in a column.
    if !add.is_empty()
        && let Err(error) = forge.add_labels(repo, number, &add).await
    {
        // The answer may be lost and the labels there: what is there now and missing later, a person took away.
        let live = look_again(forge, repo, number, &error).await;
        let there = |label: &&String| {
            live.as_ref().is_some_and(|live| live.labels.iter().any(|l| l.eq_ignore_ascii_case(label)))
        };
        let wrote = add.iter().filter(there).cloned().collect();
        let touched = !matches!(error, ForgeError::RateLimited { .. } | ForgeError::Unauthorized(_));
        return Err(Broken { error, wrote, touched, live, same });
    }
    for label in &remove {
        if let Err(error) = forge.remove_label(repo, number, label).await {
            let live = look_again(forge, repo, number, &error).await;
            return Err(Broken { error, wrote: add, touched: true, live, same });
        }
    }
    match forge.issue(repo, number).await {
        Ok(live) => Ok(IntentResult::Done { live: Box::new(live), same }),
        // It is written; only what it led to is not known yet.
        Err(ForgeError::Refused(said)) => {
            Err(Broken { error: ForgeError::Unreachable(said), wrote: add, touched: true, live: None, same })
        }
        Err(error) => Err(Broken { error, wrote: add, touched: true, live: None, same }),
    }
}

/// The issue after a write that failed, where the forge may be asked.
async fn look_again(
    forge: &dyn Forge,
    repo: &Repo,
    number: u64,
    error: &ForgeError,
) -> Option<Box<SeenIssue>> {
    if matches!(error, ForgeError::RateLimited { .. } | ForgeError::Unauthorized(_)) {
        return None;
    }
    forge.issue(repo, number).await.ok().map(Box::new)
}

/// What a failure means for the intent; `retry_at` says when to try again, given until when the forge wants silence.
pub(super) fn failed(broken: Broken, retry_at: impl FnOnce(Option<Timestamp>) -> Timestamp) -> IntentResult {
    let Broken { error, wrote, touched, live, same } = broken;
    let (until, said) = match error {
        ForgeError::NotFound(why) | ForgeError::Refused(why) => {
            return IntentResult::Refused { why, live, same };
        }
        ForgeError::RateLimited { until, .. } => (Some(until), error.to_string()),
        // A token that expired, or is missing at this start, comes back; what was wanted is not thrown away for it.
        ForgeError::Unauthorized(said) | ForgeError::Unreachable(said) => (None, said),
    };
    IntentResult::Later { due: retry_at(until), error: said, wrote, touched, same }
}

/// One word for the log.
pub(super) fn word(result: &IntentResult) -> &'static str {
    match result {
        IntentResult::Done { .. } => "done",
        IntentResult::Created { .. } => "created",
        IntentResult::Superseded { .. } => "superseded",
        IntentResult::Refused { .. } => "refused",
        IntentResult::Later { .. } => "later",
    }
}
