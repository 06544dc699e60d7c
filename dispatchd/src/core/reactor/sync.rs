//! Taking in what a forge said: issues, pull requests, and what of it a person changed.
//!
//! Labels are judged against the labels as last read from the forge (`forge_labels`), never against our own wishes: a
//! difference to those is somebody else's change, and the person wins. What was read before our last write reached the
//! forge, or while a write of ours waits, says nothing of a person: the outbox looks at the live labels then.

use dispatch_shared::event::What;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::issue::{Flag, IssueState, LabelFacts, Status, agent_label, read_labels};

use super::automation;
use super::settle::{self, AgentLabel, Relabel};
use super::{repos, standing, umbrella};
use crate::core::automation::SyncKind;
use crate::core::automation::feed::{self, IssueNews};
use crate::core::blockers::{self, Blocker};
use crate::core::command::{Refusal, Reply, Synced};
use crate::core::draft::Draft;
use crate::core::intent::moved_between;
use crate::core::record::{Access, Card, CardKey, Pull, Wish};
use crate::core::seen::{SeenIssue, SeenPull};
use crate::core::transition::{self, CardEvent};
use crate::core::waits::{SeenBlocker, Waits};
use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::task::TaskType;

pub(super) fn synced(d: &mut Draft, synced: &Synced) -> Result<Reply, Refusal> {
    let key = synced.repo.as_ref().ok_or_else(|| Refusal::Invalid("a sync names its repository".into()))?;
    let mut repo = repos::tracked(d, key)?;
    for seen in &synced.issues {
        issue(d, key, seen, synced.read_at)?;
    }
    for seen in &synced.pulls {
        pull(d, key, seen)?;
    }
    for number in &synced.gone {
        standing::gone(d, &CardKey { repo: key.clone(), number: *number })?;
    }
    for number in &synced.denied {
        standing::denied(d, &CardKey { repo: key.clone(), number: *number })?;
    }
    let before = repo.clone();
    if let Some(seen) = &synced.seen {
        repo.name = seen.name.clone();
        repo.default_branch.clone_from(&seen.default_branch);
        standing::become_of(d, &mut repo, Access::seen(seen.standing))?;
    }
    if let Some(resume) = &synced.resume {
        repo.cursor = resume.clone();
    }
    if let Some(cursor) = &synced.cursor {
        super::fix::check_later(d, key, synced.read_at)?;
        super::report::check_later(d, key, synced.read_at)?;
        repo.cursor = cursor.clone();
        repo.last_synced_at = Some(d.now);
        repo.sync_error = None;
        repo.sync_failures = 0;
        repo.access.lasting = false;
    }
    let complete = synced.cursor.is_some();
    if repo.name != before.name {
        d.tell(What::RepoGone(before.name.clone()));
        settle::tell_cards(d, key);
    }
    if repo != before {
        d.repo(repo.clone());
    }
    if complete {
        super::reconcile::pass(d, Some(key), "dispatch")?;
    }
    Ok(match synced.stats.filter(|_| synced.cursor.is_some()) {
        Some(stats) => Reply::SyncRun(automation::sync(d, &repo, SyncKind::Issues, stats, None)),
        None => Reply::Done,
    })
}

/// Tells what became of an issue.
fn tell_issue(d: &mut Draft, repo: &RepoKey, seen: &SeenIssue, what: IssueNews) {
    let Some(repo) = automation::teller(d, repo) else { return };
    let at = match what {
        IssueNews::Opened => seen.created_at,
        IssueNews::Closed => seen.closed_at.unwrap_or(seen.updated_at),
        IssueNews::Reopened => seen.updated_at,
    };
    let news = feed::of_issue(what, seen.number, &seen.title, &seen.url, &seen.author, at);
    automation::tell(d, &repo, [news]);
}

/// Whether a person changed what Dispatch goes by, beside the column.
fn touched(old: &LabelFacts, new: &LabelFacts) -> bool {
    old.flags != new.flags || old.agents != new.agents
}

pub(super) fn issue(
    d: &mut Draft,
    repo: &RepoKey,
    seen: &SeenIssue,
    read_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    let key = CardKey { repo: repo.clone(), number: seen.number };
    let Some(old) = d.world.cards.get(&key).cloned() else {
        d.body(&key, &seen.body);
        let mut card = fresh(key.clone(), seen);
        card.linked_pull = best_pull(d, &key);
        d.card(card);
        tell_issue(d, repo, seen, IssueNews::Opened);
        if seen.state == IssueState::Closed {
            tell_issue(d, repo, seen, IssueNews::Closed);
        }
        return Ok(());
    };
    if seen.updated_at < old.updated_at {
        if old.denied.is_some() {
            d.card(Card { denied: None, ..(*old).clone() });
        }
        return Ok(());
    }
    if seen.updated_at != old.updated_at || seen.title != old.title {
        d.body(&key, &seen.body);
    }
    let mut card = (*old).clone();
    card.gone = false;
    card.denied = None;
    card.title.clone_from(&seen.title);
    card.url.clone_from(&seen.url);
    card.assignees.clone_from(&seen.assignees);
    card.author.clone_from(&seen.author);
    card.updated_at = seen.updated_at;
    card.closed_at = seen.closed_at;
    (card.blocked_by, card.blocked_elsewhere) = split(blockers::read(&seen.body));
    card.waits.count(seen.open_blockers);
    let stale = old.wrote_at.is_some_and(|wrote| read_at.is_none_or(|read| read <= wrote));
    let waiting = d.world.pending(&key).any(|i| matches!(i.wish, Wish::Labels { .. }));
    let before = read_labels(card.forge_labels.iter().map(String::as_str));
    let mut now = read_labels(seen.labels.iter().map(String::as_str));
    let moved = moved_between(&card.forge_labels, &seen.labels, card.status);
    if !stale {
        card.forge_labels.clone_from(&seen.labels);
        card.labels = overlaid(d, &key, &seen.labels);
        settle::read_flags(&mut card);
    }
    let closed_now = seen.state == IssueState::Closed && card.state == IssueState::Open;
    let opened_now = seen.state == IssueState::Open && card.state == IssueState::Closed;
    card.state = seen.state;
    if closed_now {
        enter(&mut card, d.now, CardEvent::Closed)?;
    }
    if opened_now {
        enter(&mut card, d.now, CardEvent::Reopened)?;
        card.failures = 0;
        card.not_before = None;
        card.question = None;
        // A label left from before it was closed says nothing; one that somebody set since does.
        if let Some(status) = now.status.filter(|s| *s != Status::Done && before.status != Some(*s)) {
            enter(&mut card, d.now, CardEvent::Moved(status))?;
        }
    }
    let changed = moved.is_some() || touched(&before, &now);
    let by_person = !stale && !waiting && changed && card.state == IssueState::Open;
    if let Some(to) = moved.filter(|_| by_person && !opened_now) {
        enter(&mut card, d.now, CardEvent::Moved(to))?;
    }
    now.status = Some(card.status);
    // A lane that a person names on the forge is newer than what was set here.
    if !stale && before.lane != now.lane && now.lane.is_some() {
        card.lane_override = None;
        card.grooming.lane = None;
    }
    // Answered: a groomer looks again.
    if by_person && before.flags.contains(&Flag::NeedsInfo) && !now.flags.contains(&Flag::NeedsInfo) {
        card.grooming.groomed_at = None;
    }
    if card != *old {
        d.card(card);
    }
    if closed_now || opened_now {
        tell_issue(d, repo, seen, if closed_now { IssueNews::Closed } else { IssueNews::Reopened });
        umbrella::child_changed(d, &key)?;
    }
    if closed_now {
        settle::revoke(d, &key, "the issue was closed")?;
        let mut card = settle::card(d, &key)?;
        let change = Relabel {
            event: Some(CardEvent::Closed),
            agent: AgentLabel::Clear,
            ..Relabel::new("dispatch", "close_issue")
        };
        settle::relabel(d, &mut card, &change)?;
    } else if by_person {
        let agent = after_person(d, &key, &before.agents, &now)?;
        if moved.is_some() {
            settle::follow(d, &key, &agent.iter().map(agent_label).collect::<Vec<_>>())?;
        }
    }
    if opened_now {
        settle::follow(d, &key, &[])?;
    }
    Ok(())
}

/// A person changed status, flags or agent label: a live claim that does not fit any more is taken away. `had` are the
/// agents whose label was there. Returns whose claim it was, if that label is still to go.
pub(super) fn after_person(
    d: &mut Draft,
    key: &CardKey,
    had: &[AgentName],
    now: &LabelFacts,
) -> Result<Option<AgentName>, Refusal> {
    // A groomer changes labels itself; its claim moves nothing and is not lost by that.
    let Some(held) = d.world.held(key).filter(|c| c.kind != TaskType::Groom).cloned() else {
        return Ok(None);
    };
    let moved = !matches!(now.status, Some(Status::InProgress | Status::InReview));
    // A follow-up puts no agent label on the card.
    let unassigned =
        held.kind == TaskType::Implement && had.contains(&held.agent) && !now.agents.contains(&held.agent);
    if moved {
        settle::revoke(d, key, "a person moved the card")?;
        return Ok(Some(held.agent.clone()));
    } else if unassigned {
        settle::revoke(d, key, "a person removed the agent label")?;
        if now.status == Some(Status::InProgress) {
            settle::give_back(d, key, "dispatch", "unclaim_issue", Some("a person removed the agent label"))?;
        }
    }
    Ok(None)
}

fn enter(card: &mut Card, now: Timestamp, event: CardEvent) -> Result<(), Refusal> {
    let next = transition::card(card.status, event)?;
    if next != card.status {
        card.status = next;
        card.since = now;
    }
    Ok(())
}

/// The forge's labels with what our pending intents will do to them.
pub(super) fn overlaid(d: &Draft, key: &CardKey, labels: &[String]) -> Vec<String> {
    let mut labels = labels.to_vec();
    for intent in d.world.pending(key) {
        if let Wish::Labels { add, remove } = &intent.wish {
            labels.retain(|l| !remove.contains(l));
            labels.extend(add.iter().filter(|l| !labels.contains(l)).cloned().collect::<Vec<_>>());
        }
    }
    labels
}

fn fresh(key: CardKey, seen: &SeenIssue) -> Card {
    let facts = read_labels(seen.labels.iter().map(String::as_str));
    let status = match seen.state {
        IssueState::Closed => Status::Done,
        IssueState::Open => facts.status.filter(|s| *s != Status::Done).unwrap_or(Status::Backlog),
    };
    let (blocked_by, blocked_elsewhere) = split(blockers::read(&seen.body));
    let mut waits = Waits::default();
    waits.count(seen.open_blockers);
    Card {
        key,
        title: seen.title.clone(),
        url: seen.url.clone(),
        state: seen.state,
        labels: seen.labels.clone(),
        forge_labels: seen.labels.clone(),
        wrote_at: None,
        assignees: seen.assignees.clone(),
        author: seen.author.clone(),
        created_at: seen.created_at,
        updated_at: seen.updated_at,
        closed_at: seen.closed_at,
        status,
        since: seen.closed_at.unwrap_or(seen.created_at),
        flags: facts.flags,
        lane_override: None,
        blocked_by,
        blocked_elsewhere,
        waits,
        attempt: Attempt::default(),
        failures: 0,
        deferred: 0,
        not_before: None,
        question: None,
        answer: None,
        linked_pull: None,
        last_run: None,
        write: None,
        gone: false,
        denied: None,
        grooming: Default::default(),
        unverified: None,
        repaired: None,
    }
}

/// Takes in which issues the forge lists as a card's blockers, or why it does not.
pub(super) fn blockers(d: &mut Draft, key: &CardKey, seen: &Result<Vec<SeenBlocker>, String>) -> Reply {
    if let Some(old) = d.world.cards.get(key).cloned() {
        let mut card = (*old).clone();
        card.waits.list(seen);
        if card != *old {
            d.card(card);
        }
    }
    Reply::Done
}

/// The blockers of the same repository, and those of others.
fn split(found: Vec<Blocker>) -> (Vec<u64>, Vec<Blocker>) {
    let (here, elsewhere): (Vec<_>, Vec<_>) = found.into_iter().partition(|b| b.repo.is_none());
    (here.into_iter().map(|b| b.number).collect(), elsewhere)
}

/// The pull request that counts for a card: the newest open one, else the newest.
fn best_pull(d: &Draft, key: &CardKey) -> Option<u64> {
    d.world
        .pulls_for(key)
        .max_by_key(|p| (p.seen.state == PullState::Open, p.seen.created_at, p.seen.number))
        .map(|p| p.seen.number)
}

/// Takes in a pull request and what it means for the cards that it belongs to.
pub(super) fn pull(d: &mut Draft, repo: &RepoKey, seen: &SeenPull) -> Result<(), Refusal> {
    let old = d.world.pulls.get(&(repo.clone(), seen.number)).cloned();
    let new = match &old {
        Some(old) => Pull { seen: seen.clone(), ..(**old).clone() },
        None => Pull::new(repo.clone(), seen.clone()),
    };
    if old.as_ref().is_some_and(|o| o.seen == *seen || o.seen.updated_at > seen.updated_at) {
        return Ok(());
    }
    let mut cards = new.targets();
    cards.extend(old.iter().flat_map(|o| o.targets()));
    cards.sort();
    cards.dedup();
    d.pull(new);
    if let Some(repo) = automation::teller(d, repo) {
        automation::tell(d, &repo, feed::of_pull(old.as_ref().map(|o| o.seen.state), seen));
    }
    super::fix::pulled(d, repo, seen)?;
    let closed_unmerged =
        seen.state == PullState::Closed && old.is_some_and(|o| o.seen.state == PullState::Open);
    for key in cards {
        relink(d, &key, closed_unmerged.then_some(seen.number))?;
    }
    Ok(())
}

/// Remembers that a pull request was made for a card.
pub(super) fn belongs(d: &mut Draft, key: &CardKey, number: u64) -> Result<(), Refusal> {
    let Some(pull) = d.world.pulls.get(&(key.repo.clone(), number)).cloned() else { return Ok(()) };
    if pull.targets().contains(key) {
        return Ok(());
    }
    let mut made_for = pull.made_for.clone();
    made_for.push(key.number);
    d.pull(Pull { made_for, ..(*pull).clone() });
    Ok(())
}

/// Whether the card's pull request was opened and merged since the last whole sync.
fn merged_since(d: &Draft, card: &Card) -> bool {
    let synced = d.world.repos.get(&card.key.repo).and_then(|r| r.last_synced_at);
    let born = |at: Timestamp| synced.is_some_and(|synced| at >= synced);
    d.world.linked_pull(card).is_some_and(|p| p.seen.state == PullState::Merged && born(p.seen.created_at))
}

/// The card's pull request, chosen anew, and the column that it means.
pub(super) fn relink(d: &mut Draft, key: &CardKey, closed: Option<u64>) -> Result<(), Refusal> {
    let Some(old) = d.world.cards.get(key).filter(|c| !c.gone).cloned() else { return Ok(()) };
    let mut card = (*old).clone();
    card.linked_pull = best_pull(d, key);
    let open = settle::has_open_pull(d, &card);
    let free = card.state == IssueState::Open && d.world.held(key).is_none();
    let news = old.linked_pull != card.linked_pull || closed.is_some();
    // One that came and was merged between two syncs did its part; what was merged before says nothing.
    let done = old.linked_pull != card.linked_pull && merged_since(d, &card);
    d.card(card.clone());
    if free && ((news && open) || done) && card.status != Status::InReview {
        let change = Relabel {
            event: Some(CardEvent::PullOpen),
            notes: Some(if done { "its pull request is merged" } else { "an open pull request is linked" }),
            ..Relabel::new("dispatch", "move_issue")
        };
        settle::relabel(d, &mut card, &change)?;
    } else if let Some(number) = closed.filter(|_| free && !open && card.status == Status::InReview) {
        let why = format!("pull request #{number} was closed without a merge");
        card.question = Some(why.clone());
        let change = Relabel {
            event: Some(CardEvent::PullClosed),
            agent: AgentLabel::Clear,
            raise: &[Flag::NeedsHuman],
            notes: Some(&why),
            ..Relabel::new("dispatch", "move_issue")
        };
        settle::relabel(d, &mut card, &change)?;
    }
    Ok(())
}
