//! The PR-fix queue: taking in what speaks for work on a pull request, and what people and agents say of it.
//!
//! - here: what all of it needs: the item, its audit row, the fence, and what its status means for its card.
//! - `enqueue`: news; `mark`: words of people and agents; `look`, `observe`: what looks and syncs see; `lane`: the lane asked for.

mod enqueue;
mod lane;
mod look;
mod mark;
mod observe;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::FixStatus;
use dispatch_shared::issue::Flag;
use dispatch_shared::protocol::activity::AuditRow;

use super::settle::{self, Relabel};
use super::{DONE, followup, report};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::fix::ask::{By, FixCommand};
use crate::core::fix::rules::Now;
use crate::core::fix::{Delivery, Fix, FixKey, pick};
use crate::core::seen::SeenPull;
use crate::core::transition::ClaimEvent;

use self::enqueue::enqueue;
use self::look::observe;
pub(super) use self::mark::settle_fixed;
use self::mark::{mark, requeue};
pub(super) use self::observe::{check_later, pulled};

pub(super) fn command(d: &mut Draft, command: &FixCommand) -> Result<Reply, Refusal> {
    match command {
        FixCommand::Enqueue(news) => enqueue(d, news)?,
        FixCommand::Mark { key, by, status: FixStatus::Queued, note, .. } => {
            requeue(d, key, by, None, note.as_deref())?;
        }
        FixCommand::Mark { key, by, status, note, evidence } => {
            mark(d, key, by, *status, note.as_deref(), evidence)?;
        }
        FixCommand::Requeue { key, by, lane, note } => requeue(d, key, by, lane.as_deref(), note.as_deref())?,
        FixCommand::Ack { key, agent, generation } => return followup::ack(d, key, agent, *generation),
        FixCommand::Observe { repo, health, at } => observe(d, repo, health, *at)?,
        FixCommand::Deliver { id, news } => {
            if d.world.fixes.was_delivered(id) {
                return Ok(Reply::Repeated);
            }
            d.delivery(Delivery { n: d.world.fixes.next_delivery(), id: id.clone(), at: d.now });
            for news in news {
                enqueue(d, news)?;
            }
        }
    }
    Ok(DONE)
}

/// The item, or a refusal that names the pull request.
pub(super) fn item(d: &Draft, key: &FixKey) -> Result<Fix, Refusal> {
    d.world.fixes.get(key).map(|f| (**f).clone()).ok_or_else(|| {
        Refusal::NotFound(format!("there is no PR-fix item for {}; enqueue it first", name(d, key)))
    })
}

/// The pull request as a person names it.
pub(super) fn name(d: &Draft, key: &FixKey) -> String {
    settle::name(d, &key.subject())
}

/// An audit row about an item: of its card, if it has one.
pub(super) fn row(d: &Draft, actor: &str, action: &str, fix: &Fix, notes: Option<&str>) -> AuditRow {
    let said = format!("pull request #{}, generation {}", fix.key.pr, fix.generation);
    let notes = Some(notes.filter(|n| !n.is_empty()).map_or(said.clone(), |n| format!("{said}: {n}")));
    match pick::card(&d.world, fix).map(|c| c.key.clone()) {
        Some(card) => AuditRow { notes, ..settle::row(d, actor, action, &card) },
        None => AuditRow {
            notes,
            issue_number: None,
            issue_id: None,
            ..settle::row(d, actor, action, &fix.key.subject())
        },
    }
}

/// What the rules go by.
struct Facts {
    head: Option<String>,
    now: Timestamp,
    max_attempts: u32,
    fresh: bool,
}

impl Facts {
    fn of(d: &Draft, key: &FixKey, fresh: bool) -> Self {
        Self {
            head: pick::pull(&d.world, key).map(|p| p.seen.head_sha.clone()),
            now: d.now,
            max_attempts: d.world.policy.followup.max_attempts,
            fresh,
        }
    }

    fn now(&self) -> Now<'_> {
        Now { now: self.now, max_attempts: self.max_attempts, head: self.head.as_deref(), fresh: self.fresh }
    }
}

/// Runs a rule on the item with the time, the limits and the head as they are now.
pub(super) fn with_facts<T>(
    d: &Draft,
    fix: &mut Fix,
    fresh: bool,
    rule: impl FnOnce(&mut Fix, Now<'_>) -> T,
) -> T {
    let facts = Facts::of(d, &fix.key, fresh);
    rule(fix, facts.now())
}

/// Puts a changed item, and what its status means for its card: blocked flags it, waiting again takes the flag away.
pub(super) fn put(
    d: &mut Draft,
    mut fix: Fix,
    before: Option<FixStatus>,
    actor: &str,
    why: &str,
) -> Result<(), Refusal> {
    let card = pick::card(&d.world, &fix).map(|c| (**c).clone());
    if fix.status == FixStatus::Blocked
        && before != Some(FixStatus::Blocked)
        && let Some(card) = &card
    {
        fix.flagged = fix.flagged || !card.flags.contains(&Flag::NeedsHuman);
        let why = format!("pull request #{}: {why}", fix.key.pr);
        d.fix(fix);
        return report::ask(d, &card.key, actor, &why);
    }
    let freed = fix.status != FixStatus::Blocked && before == Some(FixStatus::Blocked) && fix.flagged;
    if freed {
        fix.flagged = false;
    }
    d.fix(fix);
    if let Some(mut card) = card.filter(|c| freed && c.flags.contains(&Flag::NeedsHuman)) {
        card.question = None;
        let change = Relabel { clear: &[Flag::NeedsHuman], ..Relabel::new(actor, "move_issue") };
        settle::relabel(d, &mut card, &change)?;
    }
    Ok(())
}

/// Ends the live hand-out of an item that does not wait for an answer any more.
fn take_back(d: &mut Draft, fix: &mut Fix, event: ClaimEvent) -> Result<(), Refusal> {
    let claim = fix.claim.take().and_then(|id| d.world.claims.get(&id)).filter(|c| c.is_held()).cloned();
    d.fix(fix.clone());
    match claim {
        Some(claim) => settle::end_claim(d, &claim, event),
        None => Ok(()),
    }
}

fn describe(fix: &mut Fix, seen: &SeenPull) {
    fix.title = Some(seen.title.clone());
    fix.url = Some(seen.url.clone());
    fix.branch = Some(seen.head_branch.clone());
    fix.author = Some(seen.author.clone());
    fix.head = Some(seen.head_sha.clone());
}

/// Refuses a caller who saw another generation, names another claim, or is not the agent that works on it.
pub(super) fn fence(d: &Draft, fix: &Fix, by: &By) -> Result<(), Refusal> {
    let subject = name(d, &fix.key);
    if let Some(seen) = by.generation.filter(|g| *g != fix.generation) {
        return Err(Refusal::Stale(format!(
            "the PR-fix item of {subject} is at generation {}, not {seen}; look again",
            fix.generation
        )));
    }
    if let Some(named) = by.claim.filter(|id| fix.claim != Some(*id)) {
        return Err(settle::ended(d, &pick::subject(&d.world, fix), named));
    }
    let holder = fix.claim.and_then(|id| d.world.claims.get(&id)).filter(|_| by.claim.is_none());
    match (holder, &by.agent) {
        (Some(claim), Some(agent)) if claim.agent != *agent => Err(Refusal::Held(format!(
            "{subject} is worked on by {} until {}, not by {agent}",
            claim.agent, claim.expires_at
        ))),
        _ => Ok(()),
    }
}
