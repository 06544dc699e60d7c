//! What happens to one item. Pure functions: the item, the news, the time, the limits.

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::followup::{FixStatus, FixType};
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::protocol::followup::{FeedbackItem, FixEntry};

use super::{Fix, FixKey, News, Observed};

/// Remarks that are kept; the newest twelve are shown as strings.
const FEEDBACK_KEPT: usize = 40;
/// Evidence keys that are kept; the newest forty are shown. More than are shown, so that what was seen once does not
/// become news again as soon as it is not shown any more.
const EVIDENCE_KEPT: usize = 1_000;
/// Steps of its life that are kept.
const HISTORY_KEPT: usize = 100;

/// What a rule goes by.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The time.
    pub now: Timestamp,
    /// Attempts before a person is asked.
    pub max_attempts: u32,
    /// The pull request's head, if known.
    pub head: Option<&'a str>,
    /// Whether the head was read just now: only then is what speaks of another commit outdated, and not ahead of what is
    /// known here.
    pub fresh: bool,
}

/// What news did to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// All of it was known: nothing.
    Known,
    /// Added to an item that waits.
    Added,
    /// Kept for after the hand-out that is under way.
    Kept,
    /// A settled item waits again, in a new generation.
    Requeued,
    /// It would, but there were enough attempts: a person has to look.
    Exhausted,
    /// About a commit that is not the head any more: noted, no more.
    Outdated,
    /// The item stays as it is (stale, ignored).
    Stays,
}

/// A new item that waits.
#[must_use]
pub fn new(key: FixKey, news: News, now: Now<'_>) -> Fix {
    let mut fix = Fix {
        key,
        issue: None,
        branch: None,
        url: None,
        title: None,
        author: None,
        lane: None,
        status: FixStatus::Queued,
        fix_type: news.fix_type,
        reason: String::new(),
        feedback: Vec::new(),
        evidence: Vec::new(),
        head: now.head.map(ToOwned::to_owned),
        base_heads: Vec::new(),
        generation: 1,
        attempts: 0,
        attempt: Attempt::default(),
        queued_at: now.now,
        updated_at: now.now,
        claim: None,
        handed: Vec::new(),
        unanswered: 0,
        kept: Vec::new(),
        unverified: None,
        flagged: false,
        observed: None,
        unseen: Vec::new(),
        history: Vec::new(),
    };
    fix.base_heads = heads(&news, now);
    remember(&mut fix, &news.keys);
    absorb(&mut fix, news);
    fix
}

fn heads(news: &News, now: Now<'_>) -> Vec<String> {
    let mut heads: Vec<String> = now.head.map(ToOwned::to_owned).into_iter().collect();
    heads.extend(news.head.clone().filter(|h| now.head != Some(h)));
    heads
}

/// Adds to the item's life; the caller has changed it already.
pub fn note(fix: &mut Fix, now: Timestamp, actor: &str, action: &str, note: Option<String>) {
    fix.updated_at = now;
    fix.history.push(FixEntry {
        at: now,
        actor: actor.to_owned(),
        action: action.to_owned(),
        status: fix.status,
        generation: fix.generation,
        note: note.filter(|n| !n.is_empty()),
    });
    let more = fix.history.len().saturating_sub(HISTORY_KEPT);
    fix.history.drain(..more);
}

/// Remembers evidence; returns whether any of it is new.
fn remember(fix: &mut Fix, keys: &[String]) -> bool {
    let mut new = false;
    for key in keys {
        if !fix.evidence.contains(key) {
            fix.evidence.push(key.clone());
            new = true;
        }
    }
    let more = fix.evidence.len().saturating_sub(EVIDENCE_KEPT);
    fix.evidence.drain(..more);
    new
}

/// Adds what was said; the more urgent kind and its reason win.
fn absorb(fix: &mut Fix, news: News) {
    for key in news.keys {
        if !fix.unseen.contains(&key) {
            fix.unseen.push(key);
        }
    }
    let more = fix.unseen.len().saturating_sub(EVIDENCE_KEPT);
    fix.unseen.drain(..more);
    if fix.reason.is_empty() || news.fix_type < fix.fix_type {
        fix.reason = news.reason;
    }
    fix.fix_type = fix.fix_type.min(news.fix_type);
    for item in news.feedback {
        add_feedback(fix, item);
    }
}

/// Adds one remark: said again it counts as newer, not twice.
fn add_feedback(fix: &mut Fix, item: FeedbackItem) {
    if item.text.trim().is_empty() {
        return;
    }
    fix.feedback.retain(|have| have.line_of_text() != item.line_of_text());
    fix.feedback.push(item);
    let more = fix.feedback.len().saturating_sub(FEEDBACK_KEPT);
    fix.feedback.drain(..more);
}

fn is_outdated(news: &News, now: Now<'_>) -> bool {
    now.fresh && matches!((&news.head, now.head), (Some(about), Some(head)) if about != head)
}

/// Takes in news. Known evidence never requeues; what comes during a hand-out is kept for after it; what is about a commit
/// that was pushed over is no reason to begin again.
pub fn take_in(fix: &mut Fix, news: News, now: Now<'_>) -> Effect {
    if !remember(fix, &news.keys) {
        return Effect::Known;
    }
    match fix.status {
        FixStatus::Stale | FixStatus::Ignored => Effect::Stays,
        FixStatus::Queued if fix.claim.is_some() => {
            fix.kept.push(news);
            Effect::Kept
        }
        FixStatus::Queued => {
            absorb(fix, news);
            Effect::Added
        }
        FixStatus::Fixed | FixStatus::Blocked if is_outdated(&news, now) => Effect::Outdated,
        FixStatus::Fixed | FixStatus::Blocked => {
            if fix.status == FixStatus::Fixed {
                forget_reasons(fix, &news);
            }
            let heads = heads(&news, now);
            absorb(fix, news);
            if raise(fix, heads, now) { Effect::Requeued } else { Effect::Exhausted }
        }
    }
}

/// A settled item begins anew: what was dealt with is not said again.
fn forget_reasons(fix: &mut Fix, news: &News) {
    fix.feedback.clear();
    fix.unseen.clear();
    fix.fix_type = news.fix_type;
    fix.reason.clear();
}

/// A fresh attempt: the next generation; false, and blocked, if there were enough attempts.
fn raise(fix: &mut Fix, base_heads: Vec<String>, now: Now<'_>) -> bool {
    fix.claim = None;
    fix.unverified = None;
    if fix.attempts >= now.max_attempts {
        fix.status = FixStatus::Blocked;
        return false;
    }
    fix.status = FixStatus::Queued;
    fix.generation += 1;
    fix.handed.clear();
    fix.unanswered = 0;
    fix.base_heads = base_heads;
    fix.queued_at = now.now;
    true
}

/// A fresh attempt by a person's word: attempts count from the start. What waits already stays in its generation, and may
/// be handed again to those who had it.
pub fn requeue(fix: &mut Fix, now: Now<'_>) {
    fix.attempts = 0;
    if fix.status == FixStatus::Queued {
        fix.handed.clear();
        fix.unanswered = 0;
    } else {
        let heads = now.head.map(ToOwned::to_owned).into_iter().collect();
        raise(fix, heads, now);
        release_kept(fix, Some(now));
    }
}

/// Hands it out.
pub fn hand_out(fix: &mut Fix, agent: &AgentName, claim: ClaimId) {
    fix.claim = Some(claim);
    if !fix.handed.contains(agent) {
        fix.handed.push(agent.clone());
    }
}

/// Whether the head has moved away from where it stood: `seen` when it was handed out, else those of the generation.
/// `None` if one of the two is not known.
#[must_use]
pub fn moved(fix: &Fix, seen: Option<&str>, head: Option<&str>) -> Option<bool> {
    let head = head?;
    match seen {
        Some(seen) => Some(seen != head),
        None if fix.base_heads.is_empty() => None,
        None => Some(!fix.base_heads.iter().any(|base| base == head)),
    }
}

/// Somebody says it is fixed. With a head that has not moved it waits again in the next generation; else it is fixed, and
/// what came in meanwhile and is still about this head makes it wait again.
pub fn fixed(fix: &mut Fix, moved: Option<bool>, now: Now<'_>) {
    fix.attempts = fix.attempts.saturating_add(1);
    fix.claim = None;
    if let Some(head) = now.head {
        fix.head = Some(head.to_owned());
    }
    let heads: Vec<String> = now.head.map(ToOwned::to_owned).into_iter().collect();
    if moved == Some(false) {
        release_kept(fix, Some(now));
        raise(fix, heads, now);
        return;
    }
    fix.status = FixStatus::Fixed;
    let kept: Vec<News> =
        std::mem::take(&mut fix.kept).into_iter().filter(|n| !is_outdated(n, now)).collect();
    let Some(first) = kept.first() else { return };
    forget_reasons(fix, first);
    for news in kept {
        absorb(fix, news);
    }
    raise(fix, heads, now);
}

/// An attempt that failed: back in the queue in the same generation, or blocked after too many.
pub fn deferred(fix: &mut Fix, now: Now<'_>) {
    fix.attempts = fix.attempts.saturating_add(1);
    fix.claim = None;
    release_kept(fix, Some(now));
    if fix.attempts >= now.max_attempts {
        fix.status = FixStatus::Blocked;
    }
}

/// The hand-out ended without an answer: given back, taken away, or run out (`unanswered`), which may happen
/// `max_unanswered` times in a generation.
pub fn returned(fix: &mut Fix, unanswered: bool, max_unanswered: u32) {
    fix.claim = None;
    release_kept(fix, None);
    if unanswered {
        fix.unanswered = fix.unanswered.saturating_add(1);
        if fix.unanswered > max_unanswered && fix.status == FixStatus::Queued {
            fix.status = FixStatus::Blocked;
        }
    }
}

/// It ends in `status`; nothing is handed out any more.
pub fn settle(fix: &mut Fix, status: FixStatus) {
    fix.status = status;
    fix.claim = None;
    fix.unverified = None;
    // A person reads what came in meanwhile.
    release_kept(fix, None);
}

/// What was kept during a hand-out joins what waits.
fn release_kept(fix: &mut Fix, now: Option<Now<'_>>) {
    for news in std::mem::take(&mut fix.kept) {
        if !now.is_some_and(|now| is_outdated(&news, now)) {
            absorb(fix, news);
        }
    }
}

/// Notes news for an item that waits for a person: they come out when it is requeued.
pub fn keep(fix: &mut Fix, news: News) -> Effect {
    if !remember(fix, &news.keys) {
        return Effect::Known;
    }
    fix.kept.push(news);
    Effect::Kept
}

/// A claim of success that could not be checked at the time is checked now; returns whether it did not hold, and the item
/// waits again.
pub fn checked_later(fix: &mut Fix, now: Now<'_>) -> bool {
    fix.unverified = None;
    if fix.status != FixStatus::Fixed || moved(fix, None, now.head) != Some(false) {
        return false;
    }
    let heads = now.head.map(ToOwned::to_owned).into_iter().collect();
    raise(fix, heads, now);
    true
}

/// Whether two remarks are one, of which one may tell more: a check without and with an excerpt of its log.
fn same_subject(a: &FeedbackItem, b: &FeedbackItem) -> bool {
    let first =
        |item: &FeedbackItem| item.text.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    (&a.author, &a.path, a.line) == (&b.author, &b.path, b.line) && first(a) == first(b)
}

/// Puts a remark in place of one that told less; one that is not there is added.
fn renew_feedback(fix: &mut Fix, item: FeedbackItem) {
    match fix.feedback.iter_mut().find(|have| same_subject(have, &item)) {
        Some(have) if have.text.len() < item.text.len() => *have = item,
        Some(_) => {}
        None => add_feedback(fix, item),
    }
}

/// A look saw what speaks for work now (`found`): the item knows, and if all that made it wait is gone, and nothing of it is
/// hidden, it is settled before anybody starts on it. Returns whether it was.
pub fn observed(fix: &mut Fix, seen: Observed, found: &[News], hidden: bool) -> bool {
    fix.unseen.retain(|key| !seen.keys.contains(key));
    let before = fix.observed.replace(seen);
    if fix.status != FixStatus::Queued || fix.claim.is_some() {
        return false;
    }
    let items: Vec<FeedbackItem> = found.iter().flat_map(|n| n.feedback.clone()).collect();
    // What somebody else enqueued, and what this look could not see, may still stand.
    if !fix.unseen.is_empty() || hidden {
        items.into_iter().for_each(|item| renew_feedback(fix, item));
        return false;
    }
    let had = before.is_some_and(|b| !b.reasons.is_empty());
    match found.first() {
        Some(first) => {
            // What is gone is not asked for any more.
            fix.fix_type = first.fix_type;
            fix.reason.clone_from(&first.reason);
            let fuller = |item: FeedbackItem, had: &[FeedbackItem]| {
                had.iter()
                    .find(|h| same_subject(h, &item) && h.text.len() > item.text.len())
                    .cloned()
                    .unwrap_or(item)
            };
            let had = std::mem::take(&mut fix.feedback);
            for item in items {
                add_feedback(fix, fuller(item, &had));
            }
            false
        }
        None if had => {
            settle(fix, FixStatus::Fixed);
            fix.feedback.clear();
            true
        }
        None => false,
    }
}

/// Whether the signal that made the item is gone, as far as is known: nothing was observed to speak for work since
/// `since`, or it was about a head that has moved (`moved`).
#[must_use]
pub fn signal_gone(fix: &Fix, since: Timestamp, moved: Option<bool>) -> bool {
    if let Some(seen) = fix.observed.as_ref().filter(|o| o.at > since) {
        return seen.reasons.is_empty();
    }
    moved == Some(true) && matches!(fix.fix_type, FixType::MergeConflict | FixType::CiFailure)
}
