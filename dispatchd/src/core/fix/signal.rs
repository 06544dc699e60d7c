//! From an observed pull request to the reasons for working on it again.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::{FixType, PullState};
use dispatch_shared::issue::Flag;
use dispatch_shared::protocol::followup::FeedbackItem;

use super::health::{Check, Health, Remark, Shown, Thread};
use super::{News, pick};

/// The marker of comments that Dispatch wrote itself.
const OWN: &str = "<!-- dispatch:";

/// Why a pull request is left alone; `None` if an agent may work on it.
#[must_use]
pub fn unfit(state: PullState, draft: bool, from_fork: bool, labels: &[String]) -> Option<&'static str> {
    match state {
        PullState::Merged => return Some("it is merged"),
        PullState::Closed => return Some("it is closed"),
        PullState::Open => {}
    }
    if from_fork {
        return Some("it comes from a fork");
    }
    if draft {
        return Some("it is a draft");
    }
    labels.iter().any(|l| Flag::read(l) == Some(Flag::NeedsHuman)).then_some("it is labelled needs-human")
}

/// Whether a check that ended so wants work.
#[must_use]
pub fn failed(conclusion: &str) -> bool {
    ["failure", "cancelled", "timed_out", "action_required"]
        .iter()
        .any(|c| c.eq_ignore_ascii_case(conclusion))
}

/// Whether a text was written by Dispatch itself.
#[must_use]
pub fn is_own(text: &str) -> bool {
    text.contains(OWN)
}

/// `{eventType}:{repo}#{pr}:{sourceId}`.
#[must_use]
pub fn evidence_key(event: &str, repo: &str, pr: u64, source: &str) -> String {
    format!("{event}:{}#{pr}:{source}", repo.to_lowercase())
}

/// Whether a status of a commit wants work.
fn red(state: &str) -> bool {
    ["error", "failure"].iter().any(|w| w.eq_ignore_ascii_case(state))
}

/// What speaks for work on the pull request, most urgent first; nothing for those that are left alone. `identities` are the
/// logins that speak for Dispatch's own side, besides the author's.
#[must_use]
pub fn signals(repo: &str, health: &Health, identities: &[String]) -> Vec<News> {
    let state = health.state.unwrap_or(PullState::Open);
    if unfit(state, health.draft, health.from_fork, &health.labels).is_some() {
        return Vec::new();
    }
    let key = |event: &str, source: &str| evidence_key(event, repo, health.pr, source);
    let is =
        |value: &Option<String>, word: &str| value.as_deref().is_some_and(|v| v.eq_ignore_ascii_case(word));
    let head = Some(health.head_sha.clone()).filter(|h| !h.is_empty());
    let mut found = Vec::new();
    if is(&health.mergeable, "CONFLICTING") || is(&health.merge_state, "DIRTY") {
        found.push(News {
            keys: vec![key("merge_conflict", &health.head_sha)],
            fix_type: FixType::MergeConflict,
            reason: "it conflicts with its base branch".into(),
            feedback: Vec::new(),
            head: head.clone(),
        });
    }
    let checks = health.checks.iter().filter(|c| failed(&c.conclusion)).map(|c| ("check_run", c));
    let statuses = health.statuses.iter().filter(|c| red(&c.conclusion)).map(|c| ("status", c));
    for (event, check) in checks.chain(statuses) {
        found.push(of_check(key(event, &check.id), check, head.clone()));
    }
    let mut asked = false;
    let own = |remark: &Remark| is_own(&remark.item.text);
    let reviews = health.reviews.iter().filter(|r| !own(r)).map(|r| (r, r));
    let reviews = reviews.map(|said| ("pull_request_review", said, "changes are requested"));
    let threads = health.threads.iter().filter_map(|t| heard(t, &health.author, identities));
    let why = "a review thread is not resolved";
    let threads = threads.map(|said| ("pull_request_review_comment", said, why));
    for (event, (source, shown), why) in reviews.chain(threads) {
        asked = true;
        found.push(News {
            keys: vec![key(event, &source.id)],
            fix_type: FixType::ReviewFeedback,
            reason: why.into(),
            feedback: vec![shown.item.clone()],
            head: None,
        });
    }
    if !asked && is(&health.review_decision, "CHANGES_REQUESTED") {
        found.push(News {
            keys: vec![key("review_decision", &health.head_sha)],
            fix_type: FixType::ReviewFeedback,
            reason: "changes are requested".into(),
            feedback: Vec::new(),
            head: None,
        });
    }
    // These alone are no reason: they say that somebody waits, not that the work is wrong.
    if !found.is_empty() {
        let beside =
            ["BEHIND", "BLOCKED", "UNSTABLE", "HAS_HOOKS"].into_iter().find(|w| is(&health.merge_state, w));
        if let Some(word) = beside {
            found.push(News {
                keys: vec![key("merge_state", &format!("{word}-{}", health.head_sha))],
                fix_type: FixType::Other,
                reason: format!("its merge state is {word}"),
                feedback: Vec::new(),
                head,
            });
        }
    }
    found
}

/// What a thread that is not resolved says: the remark that stands for it, and the one to be read. An answer of the own side
/// is no news, or an agent that answers would find work for ever; where only the own side speaks (a person who works under
/// the same account), the first remark stands for the thread. `None` if Dispatch itself began it.
fn heard<'a>(thread: &'a Thread, author: &str, identities: &[String]) -> Option<(&'a Remark, &'a Remark)> {
    let first = thread.said.first().filter(|r| !is_own(&r.item.text))?;
    let ours = identities.iter().map(String::as_str).chain([author]);
    let others = |r: &&Remark| {
        let login = r.item.author.as_deref().unwrap_or_default();
        !is_own(&r.item.text) && !pick::is_identity(ours.clone(), login)
    };
    if let Some(newest) = thread.said.iter().rev().find(others) {
        return Some((newest, newest));
    }
    Some((first, thread.said.iter().rev().find(|r| !is_own(&r.item.text)).unwrap_or(first)))
}

/// What is kept of a look, `found` being what speaks for work in it.
#[must_use]
pub fn shown(health: &Health, found: &[News], at: Timestamp) -> Shown {
    let ended = (health.checks.len() + health.statuses.len()) as u64;
    let failed = health.checks.iter().filter(|c| self::failed(&c.conclusion)).count()
        + health.statuses.iter().filter(|c| red(&c.conclusion)).count();
    let mut reasons: Vec<String> = Vec::new();
    for news in found.iter().filter(|n| n.fix_type != FixType::Other) {
        if !reasons.contains(&news.reason) {
            reasons.push(news.reason.clone());
        }
    }
    Shown {
        head: health.head_sha.clone(),
        review_decision: health.review_decision.clone(),
        merge_state: health.merge_state.clone().or_else(|| health.mergeable.clone()),
        passed: ended - failed as u64,
        failed: failed as u64,
        pending: health.pending,
        unresolved: health.threads.len() as u64,
        reasons,
        blind: health.blind.clone(),
        since: at,
    }
}

/// News of a check that failed.
#[must_use]
pub fn of_check(key: String, check: &Check, head: Option<String>) -> News {
    let said = format!("{} ended with {}", check.name, check.conclusion.to_lowercase());
    let text = check.text.as_deref().filter(|t| !t.trim().is_empty());
    News {
        keys: vec![key],
        fix_type: FixType::CiFailure,
        feedback: vec![FeedbackItem {
            author: Some(check.name.clone()),
            ..FeedbackItem::text(text.map_or_else(|| said.clone(), |t| format!("{said}:\n{t}")))
        }],
        reason: said,
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn red() -> Health {
        Health {
            pr: 4,
            head_sha: "abc".into(),
            checks: vec![Check {
                id: "1".into(),
                name: "ci".into(),
                conclusion: "FAILURE".into(),
                ..Check::default()
            }],
            ..Health::default()
        }
    }

    fn kinds(health: &Health) -> Vec<FixType> {
        signals("Acme/Api", health, &[]).iter().map(|n| n.fix_type).collect()
    }

    #[test]
    fn each_signal_is_one() {
        let said = |text: &str| Thread {
            id: "t".into(),
            said: vec![Remark { id: "7".into(), item: FeedbackItem::text(text) }],
        };
        let some = |word: &str| Some(word.to_owned());
        let plain = Health { pr: 4, head_sha: "abc".into(), ..Health::default() };
        assert_eq!(kinds(&plain), []);
        assert_eq!(kinds(&red()), [FixType::CiFailure]);
        assert_eq!(signals("Acme/Api", &red(), &[])[0].keys, ["check_run:acme/api#4:1"]);
        for word in ["CONFLICTING", "conflicting"] {
            assert_eq!(kinds(&Health { mergeable: some(word), ..plain.clone() }), [FixType::MergeConflict]);
        }
        assert_eq!(kinds(&Health { merge_state: some("DIRTY"), ..plain.clone() }), [FixType::MergeConflict]);
        let asked = Health { review_decision: some("CHANGES_REQUESTED"), ..plain.clone() };
        assert_eq!(kinds(&asked), [FixType::ReviewFeedback]);
        assert_eq!(
            kinds(&Health { threads: vec![said("why?")], ..plain.clone() }),
            [FixType::ReviewFeedback]
        );
        assert_eq!(kinds(&Health { threads: vec![said("x <!-- dispatch:i-1 -->")], ..plain.clone() }), []);
        let status = Check { id: "2".into(), conclusion: "error".into(), ..Check::default() };
        assert_eq!(kinds(&Health { statuses: vec![status], ..plain.clone() }), [FixType::CiFailure]);
        for fine in ["success", "neutral", "skipped", "pending", "stale"] {
            let check = Check { conclusion: fine.into(), ..red().checks[0].clone() };
            assert_eq!(kinds(&Health { checks: vec![check], ..plain.clone() }), [], "{fine}");
        }
    }

    #[test]
    fn a_thread_is_heard_once_whoever_answers() {
        let by = |id: &str, who: &str, text: &str| Remark {
            id: id.into(),
            item: FeedbackItem { author: Some(who.into()), ..FeedbackItem::text(text) },
        };
        let keys = |said: Vec<Remark>| {
            let threads = vec![Thread { id: "t".into(), said }];
            let health = Health { pr: 4, author: "kai[bot]".into(), threads, ..Health::default() };
            let found = signals("a/b", &health, &["saffron".into()]);
            found.into_iter().map(|n| (n.keys[0].clone(), n.feedback[0].text.clone())).collect::<Vec<_>>()
        };
        let of =
            |id: &str, text: &str| vec![(format!("pull_request_review_comment:a/b#4:{id}"), text.to_owned())];
        assert_eq!(keys(vec![by("1", "ada", "why?")]), of("1", "why?"));
        let answered =
            vec![by("1", "ada", "why?"), by("2", "kai", "because"), by("3", "saffron[bot]", "yes")];
        assert_eq!(keys(answered.clone()), of("1", "why?"), "an answer of the own side is no news");
        let insisted = [answered, vec![by("4", "ada", "still?")]].concat();
        assert_eq!(keys(insisted), of("4", "still?"));
        let alone = vec![by("1", "kai", "rename this"), by("2", "kai", "to b")];
        assert_eq!(keys(alone), of("1", "to b"), "a person may work under the same account");
        assert_eq!(keys(vec![by("1", "ada", "x <!-- dispatch:i-1 -->"), by("2", "ada", "y")]), []);
        assert_eq!(keys(vec![]), []);
    }

    #[test]
    fn what_is_shown_is_counted() {
        let check = |conclusion: &str| Check { conclusion: conclusion.into(), ..Check::default() };
        let health = Health {
            checks: ["FAILURE", "SUCCESS", "SKIPPED", "TIMED_OUT"].map(check).to_vec(),
            statuses: ["ERROR", "SUCCESS"].map(check).to_vec(),
            pending: 2,
            mergeable: Some("MERGEABLE".into()),
            ..red()
        };
        let found = signals("a/b", &health, &[]);
        let shown = shown(&health, &found, Timestamp(7));
        assert_eq!((shown.passed, shown.failed, shown.pending), (3, 3, 2));
        assert_eq!(shown.merge_state.as_deref(), Some("MERGEABLE"));
        assert_eq!(shown.reasons.len(), 3, "each once: {:?}", shown.reasons);
    }

    #[test]
    fn being_behind_is_none_by_itself() {
        for word in ["BEHIND", "BLOCKED", "UNSTABLE", "HAS_HOOKS"] {
            let alone = Health { merge_state: Some(word.into()), pr: 4, ..Health::default() };
            assert_eq!(kinds(&alone), [], "{word}");
            let beside = Health { merge_state: Some(word.into()), ..red() };
            assert_eq!(kinds(&beside), [FixType::CiFailure, FixType::Other], "{word}");
        }
    }

    #[test]
    fn what_is_not_ours_to_work_on_says_nothing() {
        let unfit = [
            Health { draft: true, ..red() },
            Health { from_fork: true, ..red() },
            Health { state: Some(PullState::Closed), ..red() },
            Health { state: Some(PullState::Merged), ..red() },
            Health { labels: vec!["Needs-Human".into()], ..red() },
        ];
        for health in unfit {
            assert_eq!(kinds(&health), [], "{health:?}");
        }
    }
}
