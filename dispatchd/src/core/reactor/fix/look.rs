//! A look at a pull request: what it shows is kept, what speaks for work becomes an item, and what is gone settles one. A
//! look that finds what the one before found changes nothing.

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RepoKey;

use super::enqueue::enqueue;
use super::{put, row};
use crate::core::command::Refusal;
use crate::core::draft::Draft;
use crate::core::fix::ask::Enqueue;
use crate::core::fix::health::{Health, Shown};
use crate::core::fix::{FixKey, News, Observed, pick, rules, signal};
use crate::core::reactor::sync;
use crate::core::record::Pull;
use crate::core::seen::SeenPull;

pub(super) fn observe(d: &mut Draft, repo: &RepoKey, health: &Health, at: Timestamp) -> Result<(), Refusal> {
    let key = FixKey { repo: repo.clone(), pr: health.pr };
    let Some(full) = d.world.repos.get(repo).filter(|r| r.tracked).map(|r| r.name.to_string()) else {
        return Err(Refusal::NotFound(format!("repository {repo} is not tracked any more")));
    };
    let identities = d.world.policy.followup.bot_identities.clone();
    let found = signal::signals(&full, health, &identities);
    known(d, &key, health, &found, at)?;
    let ours = |p: &&std::sync::Arc<Pull>| pick::ours(&d.world, repo, &p.seen.author, &p.seen.head_branch);
    if d.world.fixes.get(&key).is_none() && pick::pull(&d.world, &key).filter(ours).is_none() {
        return Ok(());
    }
    for news in &found {
        let ask = Enqueue {
            key: key.clone(),
            news: news.clone(),
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
    item(d, &key, &full, health, &found, at)
}

/// What the pull request itself shows: like a sync's reading of it, but for what only a look can see.
fn known(d: &mut Draft, key: &FixKey, health: &Health, found: &[News], at: Timestamp) -> Result<(), Refusal> {
    let Some(old) = pick::pull(&d.world, key).cloned() else { return Ok(()) };
    let seen = brought_up(&old.seen, health);
    if seen != old.seen {
        sync::pull(d, &key.repo, &seen)?;
    }
    let Some(old) = pick::pull(&d.world, key).cloned() else { return Ok(()) };
    let mut shown = signal::shown(health, found, at);
    if let Some(before) = &old.health {
        let same = Shown { since: before.since, ..shown.clone() };
        if same == *before {
            shown = same;
        }
    }
    let closing = health.closes.clone().or_else(|| old.closing.clone());
    let new = Pull { health: Some(shown), closing, ..(*old).clone() };
    if new == *old {
        return Ok(());
    }
    let mut cards = new.targets();
    let relinked = cards != old.targets();
    if relinked {
        cards.extend(old.targets());
        cards.sort();
        cards.dedup();
    }
    d.pull(new);
    for card in cards {
        if relinked {
            sync::relink(d, &card, None)?;
        }
        if d.world.cards.get(&card).is_some_and(|c| c.linked_pull == Some(key.pr)) {
            d.tell(What::Issue(card.id()));
        }
    }
    Ok(())
}

/// What was read of the pull request before, with what the look says of the same things, unless that is older.
fn brought_up(old: &SeenPull, health: &Health) -> SeenPull {
    let mut seen = old.clone();
    if health.updated_at.is_some_and(|at| at < old.updated_at) {
        return seen;
    }
    let sorted = |labels: &[String]| {
        let mut labels = labels.to_vec();
        labels.sort();
        labels
    };
    // Each way of asking has an order of its own.
    if sorted(&health.labels) != sorted(&seen.labels) {
        seen.labels.clone_from(&health.labels);
    }
    seen.draft = health.draft;
    seen.state = health.state.unwrap_or(seen.state);
    if !health.head_sha.is_empty() {
        seen.head_sha.clone_from(&health.head_sha);
    }
    if seen != *old {
        seen.updated_at = health.updated_at.unwrap_or(old.updated_at);
    }
    seen
}

/// What the item knows of it, and whether it is settled thereby.
fn item(
    d: &mut Draft,
    key: &FixKey,
    full: &str,
    health: &Health,
    found: &[News],
    at: Timestamp,
) -> Result<(), Refusal> {
    let Some(old) = d.world.fixes.get(key).cloned() else { return Ok(()) };
    let remarks = health.threads.iter().flat_map(|t| &t.said);
    let remarks = remarks.map(|r| signal::evidence_key("pull_request_review_comment", full, key.pr, &r.id));
    let mut seen = Observed {
        at,
        head: health.head_sha.clone(),
        reasons: found.iter().map(|n| n.reason.clone()).collect(),
        keys: found.iter().flat_map(|n| n.keys.clone()).chain(remarks).collect(),
    };
    let open = health.state.is_none_or(|s| s == PullState::Open);
    let left_alone = signal::unfit(PullState::Open, health.draft, health.from_fork, &health.labels).is_some();
    // A draft or one for a person says nothing, which does not mean that nothing is left to do.
    let hidden = |key: &&String| left_alone || !open || health.blind.iter().any(|b| hides(b, key));
    let mut standing = false;
    if let Some(before) = &old.observed {
        let kept: Vec<String> =
            before.keys.iter().filter(|k| !seen.keys.contains(k)).filter(hidden).cloned().collect();
        standing = !kept.is_empty();
        if standing {
            seen.keys.extend(kept);
            let more = before.reasons.iter().filter(|r| !seen.reasons.contains(r)).cloned();
            seen.reasons.extend(more.collect::<Vec<_>>());
        }
    }
    seen.keys.sort();
    seen.keys.dedup();
    // For the report that ends a hand-out it matters that there was a look after it began.
    let claimed = old.claim.and_then(|id| d.world.claims.get(&id)).map(|c| c.claimed_at);
    if let Some(before) = &old.observed {
        let same = Observed { at: before.at, ..seen.clone() };
        if same == *before && claimed.is_none_or(|since| before.at > since) {
            seen = same;
        }
    }
    let mut fix = (*old).clone();
    let before = fix.status;
    if rules::observed(&mut fix, seen, found, standing) {
        let why = "what spoke for work is gone";
        rules::note(&mut fix, d.now, "dispatch", "observe", Some(why.into()));
        d.audit(row(d, "dispatch", "mark_pr_fix", &fix, Some(&format!("FIXED: {why}"))));
        return put(d, fix, Some(before), "dispatch", why);
    }
    if fix != *old {
        d.fix(fix);
    }
    Ok(())
}

/// Whether what could not be seen may hide that this evidence still stands.
fn hides(blind: &str, key: &str) -> bool {
    let kinds: &[&str] = match blind {
        "reviewThreads" => &["pull_request_review_comment:"],
        "reviews" => &["pull_request_review:", "review_decision:"],
        "statusCheckRollup" => &["check_run:", "status:"],
        // A field that nobody here has heard of may hide anything.
        _ => &[""],
    };
    kinds.iter().any(|kind| key.starts_with(kind))
}
