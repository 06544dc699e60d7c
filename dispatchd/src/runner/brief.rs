//! What a prompt tells of its task: from the store, the mirror and the logs of earlier runs; the forge
//! is asked for the issue's comments alone.

mod base;
mod comments;

use std::io::Read as _;
use std::sync::Arc;

use dispatch_shared::followup::FixStatus;
use dispatch_shared::prompt::{Earlier, Facts, Issue, Pull};
use dispatch_shared::protocol::followup::FeedbackItem;
use dispatch_shared::run::{EndClass, RunState};
use dispatch_shared::task::{Forbid, TaskType};

use self::base::Base;
use super::context::Context;
use super::log::{Line, RunLogs, Stream};
use super::mirror::Say;
use super::prompt;
use super::stream::Kind;
use super::workspace::Workspace;
use crate::core::contract;
use crate::core::fix::{Fix, FixKey};
use crate::core::record::{Card, Repo, Run, Target};
use crate::core::world::World;

/// So much is read from the end of an earlier run's log.
const TAIL: u64 = 64 << 10;

/// All that the prompt for `run` is made of. What is missing of it is said.
///
/// # Errors
/// A sentence, if the store cannot be read.
pub(super) async fn facts(
    ctx: &Context,
    repo: &Repo,
    card: Option<&Card>,
    run: &Run,
    ws: &Workspace,
    say: Say<'_>,
) -> Result<Facts, String> {
    let world = ctx.ledger.snapshot();
    // A pull request's run may be for an issue too.
    let linked = world.cards.get(&run.card).filter(|_| matches!(run.target, Target::Pull(_)));
    let card = card.or(linked.map(Arc::as_ref));
    let body = match card {
        Some(card) => ctx.ledger.body(&card.key).map_err(|e| e.to_string())?,
        None => String::new(),
    };
    let comments = match card {
        Some(card) => Some(comments::under(ctx, repo, card, say).await),
        None => None,
    };
    let own = match run.target {
        Target::Pull(number) => Some(number),
        _ => None,
    };
    let pull = own.and_then(|n| world.pulls.get(&(run.card.repo.clone(), n)));
    let fix = own.and_then(|pr| world.fixes.get(&FixKey { repo: run.card.repo.clone(), pr }));
    let fix = fix.filter(|f| matches!(f.status, FixStatus::Queued | FixStatus::Blocked));
    let base = Base { git: ctx.spaces.git(), mirror: &ws.mirror, name: &ws.base_ref() };
    let (files, commits) = (base.files().await, base.commits().await);
    let asked = before(&world, run).find(|r| r.state == RunState::Ended(EndClass::Blocked));
    Ok(Facts {
        repo: repo.name.to_string(),
        kind: prompt::subject(&run.target),
        issue: card.map(|c| Issue {
            number: c.key.number,
            url: c.url.clone(),
            title: c.title.clone(),
            labels: c.labels.clone(),
            body: body.clone(),
        }),
        comments,
        pull: own.map(|number| Pull {
            number,
            url: pull.map(|p| p.seen.url.clone()).unwrap_or_default(),
            title: pull.map(|p| p.seen.title.clone()).unwrap_or_default(),
        }),
        branch: Some(ws.branch.clone()),
        base: Some(ws.base.clone()),
        tag: ws.tag.clone(),
        head: pull.map(|p| p.seen.head_sha.clone()),
        request: run.hand.as_ref().map(|h| h.task.clone()),
        answer: run.answer.clone(),
        question: asked.and_then(|r| r.question.clone()).filter(|_| run.answer.is_some()),
        criteria: contract::acceptance_criteria(&body),
        reasons: fix.map(|f| reasons(f)).unwrap_or_default(),
        feedback: fix.map(|f| feedback(f)).unwrap_or_default(),
        related: contract::related(&world, &run.card, &body, own),
        commits,
        files,
        earlier: earlier(&ctx.logs, &world, run),
        rules: rules(&run.target),
        allowed: Vec::new(),
        last_line: false,
    })
}

fn reasons(fix: &Fix) -> Vec<String> {
    let kept = fix.kept.iter().map(|n| n.reason.clone());
    let seen = fix.observed.iter().flat_map(|o| o.reasons.iter().cloned());
    let mut all: Vec<String> = Vec::new();
    for reason in std::iter::once(fix.reason.clone()).chain(seen).chain(kept) {
        if !reason.is_empty() && !all.contains(&reason) {
            all.push(reason);
        }
    }
    all
}

fn feedback(fix: &Fix) -> Vec<FeedbackItem> {
    let mut all = fix.feedback.clone();
    for item in fix.kept.iter().flat_map(|n| &n.feedback) {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
    all
}

fn rules(target: &Target) -> Vec<String> {
    let forbids = match target {
        Target::Issue => TaskType::Implement.forbids(),
        Target::Pull(_) => TaskType::FollowupPr.forbids(),
        Target::Branch(_) | Target::Tag(_) => &[Forbid::MergePullRequest],
    };
    forbids.iter().map(|f| f.sentence().to_owned()).collect()
}

/// Earlier runs in the same workspace, newest first.
fn before<'a>(world: &'a World, run: &'a Run) -> impl Iterator<Item = &'a Arc<Run>> {
    let same = |r: &&Arc<Run>| r.id < run.id && r.card.repo == run.card.repo && r.place() == run.place();
    world.runs.values().rev().filter(same)
}

/// How the attempt before this one ended, if it did not come to its good end: as it was told when this run was made, else
/// as the store knows it.
fn earlier(logs: &RunLogs, world: &World, run: &Run) -> Option<Earlier> {
    let last = before(world, run).next();
    if let Some(previous) = &run.previous {
        let (class, reason) = apart(previous);
        let same = last.filter(|r| r.state == RunState::Ended(class));
        return Some(Earlier {
            class: class.to_string(),
            reason,
            output: same.and_then(|last| output(logs, last)),
        });
    }
    match last?.state {
        // A question is answered, and what was published is there.
        RunState::Live(_) | RunState::Ended(EndClass::Succeeded | EndClass::Blocked) => None,
        RunState::Ended(class) => Some(Earlier {
            class: class.to_string(),
            reason: last?.reason.clone(),
            output: output(logs, last?),
        }),
    }
}

/// Takes `class: reason` apart. What names no class is what checks said.
fn apart(previous: &str) -> (EndClass, Option<String>) {
    let end = previous.find([':', '\n']).unwrap_or(previous.len());
    let (word, rest) = previous.split_at(end);
    match serde_json::from_value(word.into()) {
        Ok(class) => {
            let rest = rest.trim_start_matches(':').trim();
            (class, Some(rest.to_owned()).filter(|r| !r.is_empty()))
        }
        Err(_) => (EndClass::VerifyFailed, Some(previous.to_owned())),
    }
}

/// The end of what a run's program said and did, as its events tell it. No secret is in them.
fn output(logs: &RunLogs, run: &Run) -> Option<String> {
    let from = logs.len(run.id, Stream::Events).saturating_sub(TAIL);
    let mut bytes = Vec::new();
    logs.open(run.id, Stream::Events, from).ok()?.take(2 * TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may be half of one, which is none.
    let events = text.lines().filter_map(|l| serde_json::from_str::<Line>(l).ok()).map(|l| l.event);
    let said: Vec<String> = events.filter(|e| e.kind != Kind::Note).map(|e| e.text).collect();
    Some(said.join("\n")).filter(|t| !t.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_failure_is_taken_apart() {
        for (previous, class, reason) in [
            ("failed: exit code 3: oh", EndClass::Failed, Some("exit code 3: oh")),
            ("timed-out", EndClass::TimedOut, None),
            ("verify-failed\n\n2 tests failed", EndClass::VerifyFailed, Some("2 tests failed")),
            ("Your checks: red", EndClass::VerifyFailed, Some("Your checks: red")),
        ] {
            assert_eq!(apart(previous), (class, reason.map(ToOwned::to_owned)), "{previous}");
        }
    }
}
