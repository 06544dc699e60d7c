//! From an observed pull request to the reasons for working on it again. Pure: whatever looks at a forge fills in a
//! [`Health`], as far as it can see.

use dispatch_shared::followup::{FixType, PullState};
use dispatch_shared::issue::Flag;
use dispatch_shared::protocol::followup::FeedbackItem;

use super::News;

/// The marker of comments that Dispatch wrote itself.
const OWN: &str = "<!-- dispatch:";

/// What was seen of a pull request. Enums of the forge are kept as it spells them: they grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its number.
    pub pr: u64,
    /// Open, closed or merged; open if not known.
    pub state: Option<PullState>,
    /// Not ready for review.
    pub draft: bool,
    /// From another repository.
    pub from_fork: bool,
    /// Its labels.
    pub labels: Vec<String>,
    /// The commit at its head.
    pub head_sha: String,
    /// `CHANGES_REQUESTED`, `APPROVED`, …
    pub review_decision: Option<String>,
    /// Reviews that ask for changes: id, author, text.
    pub reviews: Vec<Remark>,
    /// Review threads that are not resolved, each by its newest comment.
    pub threads: Vec<Remark>,
    /// Check runs that have ended.
    pub checks: Vec<Check>,
    /// Commit statuses; the conclusion is their state.
    pub statuses: Vec<Check>,
    /// `MERGEABLE`, `CONFLICTING`, `UNKNOWN`.
    pub mergeable: Option<String>,
    /// `CLEAN`, `DIRTY`, `BEHIND`, …
    pub merge_state: Option<String>,
}

/// Something that a person or a bot said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// The forge's id of it.
    pub id: String,
    /// What, where, by whom.
    pub item: FeedbackItem,
}

/// A check or a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The forge's id of it.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How it ended, as the forge spells it.
    pub conclusion: String,
    /// A bounded excerpt of its log, or its summary.
    pub text: Option<String>,
}

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

/// What speaks for work on the pull request, most urgent first; nothing for those that are left alone.
#[must_use]
pub fn signals(repo: &str, health: &Health) -> Vec<News> {
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
    let red = |c: &&Check| ["error", "failure"].iter().any(|w| w.eq_ignore_ascii_case(&c.conclusion));
    let statuses = health.statuses.iter().filter(red).map(|c| ("status", c));
    for (event, check) in checks.chain(statuses) {
        found.push(of_check(key(event, &check.id), check, head.clone()));
    }
    let mut asked = false;
    for (event, remark, why) in health
        .reviews
        .iter()
        .map(|r| ("pull_request_review", r, "changes are requested"))
        .chain(
            health
                .threads
                .iter()
                .map(|r| ("pull_request_review_comment", r, "a review thread is not resolved")),
        )
        .filter(|(_, r, _)| !is_own(&r.item.text))
    {
        asked = true;
        found.push(News {
            keys: vec![key(event, &remark.id)],
            fix_type: FixType::ReviewFeedback,
            reason: why.into(),
            feedback: vec![remark.item.clone()],
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
                text: None,
            }],
            ..Health::default()
        }
    }

    fn kinds(health: &Health) -> Vec<FixType> {
        signals("Acme/Api", health).iter().map(|n| n.fix_type).collect()
    }

    #[test]
    fn each_signal_is_one() {
        let said = |text: &str| Remark { id: "7".into(), item: FeedbackItem::text(text) };
        let some = |word: &str| Some(word.to_owned());
        let plain = Health { pr: 4, head_sha: "abc".into(), ..Health::default() };
        assert_eq!(kinds(&plain), []);
        assert_eq!(kinds(&red()), [FixType::CiFailure]);
        assert_eq!(signals("Acme/Api", &red())[0].keys, ["check_run:acme/api#4:1"]);
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
        let status = Check { id: "2".into(), name: "ci".into(), conclusion: "error".into(), text: None };
        assert_eq!(kinds(&Health { statuses: vec![status], ..plain.clone() }), [FixType::CiFailure]);
        for fine in ["success", "neutral", "skipped", "pending", "stale"] {
            let check = Check { conclusion: fine.into(), ..red().checks[0].clone() };
            assert_eq!(kinds(&Health { checks: vec![check], ..plain.clone() }), [], "{fine}");
        }
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
