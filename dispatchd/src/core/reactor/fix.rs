//! The PR-fix queue: taking in what speaks for work on a pull request, and what people and agents say of it.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::{FixLane, FixStatus, PullState};
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::Flag;
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::task::Outcome;

use super::settle::{self, Relabel};
use super::{DONE, followup, report, sync};
use crate::core::command::{Evidence, Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::fix::ask::{By, Enqueue, FixCommand};
use crate::core::fix::pick::{self, LaneAsk};
use crate::core::fix::rules::{self, Effect, Now};
use crate::core::fix::signal::{self, Health};
use crate::core::fix::{Delivery, Fix, FixKey, Observed};
use crate::core::seen::SeenPull;
use crate::core::transition::ClaimEvent;

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

/// The lane that a request means: `None` leaves it to the card.
fn lane(d: &Draft, fix: &Fix, ask: &LaneAsk) -> Result<Option<String>, Refusal> {
    let policy = &d.world.policy;
    match ask {
        LaneAsk::Tier(FixLane::NeedsHuman) => Ok(fix.lane.clone()),
        LaneAsk::Tier(FixLane::Escalated) => Ok(Some(pick::escalation(policy).to_owned())),
        LaneAsk::Tier(FixLane::Normal) => {
            let of_card = Fix { lane: None, ..fix.clone() };
            let own = pick::lane_of(&d.world, &of_card);
            let fits = pick::tier(policy, &own) == Some(FixLane::Normal);
            Ok((!fits).then(|| policy.default_lane().to_owned()))
        }
        LaneAsk::Id(id) if pick::tier(policy, id).is_some() => Ok(Some(id.clone())),
        LaneAsk::Id(id) => {
            Err(Refusal::Invalid(format!("nothing is handed out from lane {id}; name another")))
        }
    }
}

fn read_lane(d: &Draft, text: Option<&str>) -> Result<Option<LaneAsk>, Refusal> {
    text.map(|t| pick::read_lane(&d.world.policy, t)).transpose().map_err(Refusal::UnknownLane)
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

fn enqueue(d: &mut Draft, ask: &Enqueue) -> Result<(), Refusal> {
    let key = &ask.key;
    if !d.world.is_tracked(&key.repo) {
        return Err(Refusal::NotFound(format!("{} is in a repository that is not tracked", name(d, key))));
    }
    let wanted = read_lane(d, ask.lane.as_deref())?;
    let seen = pick::pull(&d.world, key).map(|p| p.seen.clone());
    if !ask.automatic && seen.as_ref().is_some_and(|s| s.from_fork) {
        let why = "comes from a fork: such pull requests are never handed out";
        return Err(Refusal::Illegal(format!("{} {why}", name(d, key))));
    }
    let old = d.world.fixes.get(key).map(|f| (**f).clone());
    let before = old.as_ref().map(|f| f.status);
    let ended = seen.as_ref().is_some_and(|s| s.state != PullState::Open);
    if ask.automatic && !ended && waits_for_person(d, key, old.as_ref()) {
        return keep(d, old, ask);
    }
    if ask.automatic && old.is_none() && pick::unfit(&d.world, key).is_some() {
        return Ok(());
    }
    let known_before = old.is_some();
    let (mut fix, effect) = match old {
        None => {
            let facts = Facts::of(d, key, ask.fresh);
            (rules::new(key.clone(), ask.news.clone(), facts.now()), Effect::Added)
        }
        Some(mut fix) => {
            let effect =
                with_facts(d, &mut fix, ask.fresh, |fix, now| rules::take_in(fix, ask.news.clone(), now));
            (fix, effect)
        }
    };
    let settled = matches!(fix.status, FixStatus::Stale | FixStatus::Ignored);
    let to_person = wanted == Some(LaneAsk::Tier(FixLane::NeedsHuman)) && !settled;
    if effect == Effect::Known && !(to_person && fix.status != FixStatus::Blocked) && !ended {
        return Ok(());
    }
    fill(&mut fix, ask);
    fix.issue = pick::issue_of(&d.world, key, fix.issue);
    if let Some(seen) = &seen {
        describe(&mut fix, seen);
    }
    if let Some(wanted) = &wanted {
        fix.lane = lane(d, &fix, wanted)?;
    }
    if ended && !settled {
        take_back(d, &mut fix, ClaimEvent::Revoke("the pull request is merged or closed".into()))?;
        rules::settle(&mut fix, FixStatus::Stale);
    } else if to_person {
        take_back(d, &mut fix, ClaimEvent::Revoke("a person has to look".into()))?;
        rules::settle(&mut fix, FixStatus::Blocked);
    }
    let action = if known_before { "evidence" } else { "enqueue" };
    let said = format!("{}{}", ask.news.reason, effect_words(effect));
    rules::note(&mut fix, d.now, &ask.actor, action, Some(said));
    d.audit(row(d, &ask.actor, "enqueue_pr_fix", &fix, Some(&ask.news.reason)));
    let why = match effect {
        Effect::Exhausted => format!("{} attempts did not settle it: {}", fix.attempts, fix.reason),
        _ => ask.news.reason.clone(),
    };
    put(d, fix, before, &ask.actor, &why)
}

fn effect_words(effect: Effect) -> &'static str {
    match effect {
        Effect::Kept => " (kept for after the hand-out)",
        Effect::Outdated => " (about a commit that is not the head any more)",
        Effect::Exhausted => " (enough attempts)",
        _ => "",
    }
}

/// Whether a person has been asked to look at the pull request or its issue.
fn waits_for_person(d: &Draft, key: &FixKey, fix: Option<&Fix>) -> bool {
    let labelled = |labels: &[String]| labels.iter().any(|l| Flag::read(l) == Some(Flag::NeedsHuman));
    let pull = pick::pull(&d.world, key).is_some_and(|p| labelled(&p.seen.labels));
    pull || fix.and_then(|f| pick::card(&d.world, f)).is_some_and(|c| c.flags.contains(&Flag::NeedsHuman))
}

/// What Dispatch finds while a person is asked changes nothing, but is there when the item is requeued.
fn keep(d: &mut Draft, old: Option<Fix>, ask: &Enqueue) -> Result<(), Refusal> {
    let Some(mut fix) = old.filter(|f| f.status == FixStatus::Blocked) else { return Ok(()) };
    if rules::keep(&mut fix, ask.news.clone()) == Effect::Kept {
        rules::note(&mut fix, d.now, &ask.actor, "evidence", Some(format!("{} (kept)", ask.news.reason)));
        d.fix(fix);
    }
    Ok(())
}

fn fill(fix: &mut Fix, ask: &Enqueue) {
    let set = |to: &mut Option<String>, from: &Option<String>| {
        if from.is_some() {
            to.clone_from(from);
        }
    };
    set(&mut fix.branch, &ask.branch);
    set(&mut fix.url, &ask.url);
    set(&mut fix.title, &ask.title);
    set(&mut fix.author, &ask.author);
    set(&mut fix.head, &ask.news.head);
    fix.issue = ask.issue.or(fix.issue);
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

fn mark(
    d: &mut Draft,
    key: &FixKey,
    by: &By,
    status: FixStatus,
    note: Option<&str>,
    evidence: &Evidence,
) -> Result<(), Refusal> {
    fence(d, &item(d, key)?, by)?;
    let head_seen =
        item(d, key)?.claim.and_then(|id| d.world.claims.get(&id)).and_then(|c| c.head_seen.clone());
    if let Evidence::Pull(seen) = evidence {
        sync::pull(d, &key.repo, seen)?;
    }
    let mut fix = item(d, key)?;
    let before = fix.status;
    let over = matches!(evidence, Evidence::Absent(_))
        || pick::pull(&d.world, key).is_some_and(|p| p.seen.state != PullState::Open);
    let repeat = before == status && !(status == FixStatus::Fixed && over);
    if repeat || matches!(before, FixStatus::Stale | FixStatus::Ignored) {
        return Ok(());
    }
    let outcome = match status {
        FixStatus::Fixed => Outcome::PrUpdated,
        FixStatus::Blocked => Outcome::Blocked,
        _ => Outcome::NoChangesNeeded,
    };
    let said = note.unwrap_or_default().to_owned();
    let mut why = if said.is_empty() { format!("{} says so", by.actor) } else { said };
    take_back(d, &mut fix, ClaimEvent::Finish(outcome))?;
    if status != FixStatus::Fixed {
        rules::settle(&mut fix, status);
    } else if over {
        rules::settle(&mut fix, FixStatus::Stale);
        why = format!("the pull request is merged, closed or gone; {why}");
    } else {
        why = settle_fixed(d, &mut fix, head_seen.as_deref(), evidence, why);
    }
    rules::note(&mut fix, d.now, &by.actor, "mark", Some(why.clone()));
    d.audit(row(d, &by.actor, "mark_pr_fix", &fix, Some(&format!("{}: {why}", fix.status.word()))));
    put(d, fix, Some(before), &by.actor, &why)
}

/// Somebody says fixed, and the forge shows a head, or cannot be asked; returns what came of it, in words.
pub(super) fn settle_fixed(
    d: &Draft,
    fix: &mut Fix,
    head_seen: Option<&str>,
    evidence: &Evidence,
    why: String,
) -> String {
    let fresh = matches!(evidence, Evidence::Pull(_));
    let generation = fix.generation;
    let moved = with_facts(d, fix, fresh, |fix, now| {
        let moved = if fresh { rules::moved(fix, head_seen, now.head) } else { None };
        rules::fixed(fix, moved, now);
        moved
    });
    if !fresh && fix.status == FixStatus::Fixed {
        fix.unverified = Some(d.now);
        if let Some(seen) = head_seen {
            fix.base_heads = vec![seen.to_owned()];
        }
    }
    match (moved, fix.status) {
        (Some(false), FixStatus::Queued) => format!("the head has not moved, so it waits again; {why}"),
        (Some(false), _) => {
            format!("the head has not moved, and {} attempts are enough; {why}", fix.attempts)
        }
        (_, FixStatus::Queued) if fix.generation != generation => format!("{why}; more came in meanwhile"),
        (_, FixStatus::Blocked) => {
            format!("more came in meanwhile, and {} attempts are enough; {why}", fix.attempts)
        }
        _ => why,
    }
}

fn requeue(
    d: &mut Draft,
    key: &FixKey,
    by: &By,
    to_lane: Option<&str>,
    note: Option<&str>,
) -> Result<(), Refusal> {
    let mut fix = item(d, key)?;
    fence(d, &fix, by)?;
    let before = fix.status;
    if matches!(before, FixStatus::Stale | FixStatus::Ignored) {
        let subject = name(d, key);
        return Err(Refusal::Illegal(format!(
            "the PR-fix item of {subject} is {} and stays so",
            before.word()
        )));
    }
    let wanted = read_lane(d, to_lane)?;
    if let Some(wanted) = &wanted {
        fix.lane = lane(d, &fix, wanted)?;
    }
    let why = note.unwrap_or("requeued by hand").to_owned();
    if wanted == Some(LaneAsk::Tier(FixLane::NeedsHuman)) {
        take_back(d, &mut fix, ClaimEvent::Revoke("a person has to look".into()))?;
        rules::settle(&mut fix, FixStatus::Blocked);
    } else if fix.claim.is_none() {
        with_facts(d, &mut fix, false, rules::requeue);
        // By a person's word: whoever set the label, it has been looked at.
        fix.flagged = true;
    }
    rules::note(&mut fix, d.now, &by.actor, "requeue", Some(why.clone()));
    d.audit(row(d, &by.actor, "requeue_pr_fix", &fix, Some(&why)));
    put(d, fix, Some(before), &by.actor, &why)
}

/// What a look at a pull request says for its item.
fn observe(d: &mut Draft, repo: &RepoKey, health: &Health, at: Timestamp) -> Result<(), Refusal> {
    let key = FixKey { repo: repo.clone(), pr: health.pr };
    let Some(full) = d.world.repos.get(repo).filter(|r| r.tracked).map(|r| r.name.to_string()) else {
        return Err(Refusal::NotFound(format!("repository {repo} is not tracked any more")));
    };
    let found = signal::signals(&full, health);
    let reasons: Vec<String> = found.iter().map(|n| n.reason.clone()).collect();
    for news in found {
        let ask = Enqueue {
            key: key.clone(),
            news,
            lane: None,
            issue: None,
            branch: None,
            url: None,
            title: None,
            author: None,
            actor: "dispatch".into(),
            fresh: true,
            automatic: true,
        };
        enqueue(d, &ask)?;
    }
    if let Some(mut fix) = d.world.fixes.get(&key).map(|f| (**f).clone()) {
        let observed = Some(Observed { at, head: health.head_sha.clone(), reasons });
        if fix.observed != observed {
            fix.observed = observed;
            d.fix(fix);
        }
    }
    Ok(())
}

/// A pull request was read: its item knows its title and head; one that is merged or closed is stale, and whoever works on
/// it stops.
pub(super) fn pulled(d: &mut Draft, repo: &RepoKey, seen: &SeenPull) -> Result<(), Refusal> {
    let key = FixKey { repo: repo.clone(), pr: seen.number };
    let Some(old) = d.world.fixes.get(&key).cloned() else { return Ok(()) };
    let mut fix = (*old).clone();
    describe(&mut fix, seen);
    fix.issue = pick::issue_of(&d.world, &key, fix.issue);
    if seen.state != PullState::Open && matches!(fix.status, FixStatus::Queued | FixStatus::Blocked) {
        let before = fix.status;
        let why = format!(
            "the pull request is {}",
            if seen.state == PullState::Merged { "merged" } else { "closed" }
        );
        take_back(d, &mut fix, ClaimEvent::Revoke(why.clone()))?;
        rules::settle(&mut fix, FixStatus::Stale);
        rules::note(&mut fix, d.now, "dispatch", "observe", Some(why.clone()));
        d.audit(row(d, "dispatch", "mark_pr_fix", &fix, Some(&format!("STALE: {why}"))));
        return put(d, fix, Some(before), "dispatch", &why);
    }
    if fix != *old {
        d.fix(fix);
    }
    Ok(())
}

/// After a whole sync: what was said to be fixed while the forge could not be asked is checked against what it shows now.
pub(super) fn check_later(d: &mut Draft, repo: &RepoKey, read_at: Option<Timestamp>) -> Result<(), Refusal> {
    let open: Vec<Fix> = d
        .world
        .fixes
        .of(repo)
        .filter(|f| f.unverified.is_some_and(|since| read_at.is_some_and(|read| since < read)))
        .map(|f| (**f).clone())
        .collect();
    for mut fix in open {
        let before = fix.status;
        if with_facts(d, &mut fix, true, rules::checked_later) {
            let why = "said to be fixed, but the head has not moved";
            rules::note(&mut fix, d.now, "dispatch", "observe", Some(why.into()));
            d.audit(row(d, "dispatch", "requeue_pr_fix", &fix, Some(why)));
            put(d, fix, Some(before), "dispatch", why)?;
        } else {
            d.fix(fix);
        }
    }
    Ok(())
}
