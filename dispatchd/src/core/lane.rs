//! In which lane an issue is worked: set by hand or by a groomer, else by its label, else the default; and what labels
//! and text suggest.
//!
//! What labels and text suggest moves nothing by itself: it is shown, and a groomer or a person may take it up. Only a
//! label that asks for escalation by name does. A lane that is not configured is shown as it stands and never rewritten.

use dispatch_shared::protocol::lanes::{Classification, Confidence, LaneAnswer};

use super::policy::Policy;
use super::record::Card;
use super::world::World;

/// Labels that ask for escalation by name.
const ESCALATED: [&str; 4] = ["escalate", "escalated", "escalation", "needs-escalation"];
/// Labels that speak for hard work.
const HARD_LABELS: [&str; 12] = [
    "epic",
    "architecture",
    "security",
    "performance",
    "refactor",
    "breaking-change",
    "complexity/high",
    "difficulty/hard",
    "effort/high",
    "size/l",
    "size/xl",
    "size/xxl",
];
/// Labels that speak for everyday work.
const EASY_LABELS: [&str; 10] = [
    "good first issue",
    "documentation",
    "docs",
    "typo",
    "chore",
    "complexity/low",
    "difficulty/easy",
    "effort/low",
    "size/s",
    "size/xs",
];
/// Phrases that speak for hard work.
const HARD_WORDS: [&str; 22] = [
    "architecture",
    "redesign",
    "rewrite",
    "race condition",
    "deadlock",
    "concurrency",
    "data loss",
    "migration",
    "vulnerability",
    "cve-",
    "cryptograph",
    "distributed",
    "memory leak",
    "backward compat",
    "backwards compat",
    "breaking change",
    "performance regression",
    "root cause",
    "across services",
    "across the codebase",
    "protocol change",
    "undefined behaviour",
];
/// Phrases that speak for everyday work.
const EASY_WORDS: [&str; 10] = [
    "typo",
    "spelling",
    "wording",
    "readme",
    "bump",
    "rename",
    "dead link",
    "broken link",
    "comment only",
    "changelog",
];

/// The lane that a label asks for without naming it.
#[must_use]
pub fn escalated<'a>(policy: &'a Policy, labels: &[String]) -> Option<&'a str> {
    let asked = labels.iter().any(|l| ESCALATED.iter().any(|e| e.eq_ignore_ascii_case(l)));
    asked.then(|| escalation(policy)).flatten()
}

/// The lane with the role `escalation`.
#[must_use]
pub fn escalation(policy: &Policy) -> Option<&str> {
    policy.lanes.iter().find(|l| l.role.as_deref() == Some("escalation")).map(|l| l.id.as_str())
}

/// The lane that `lane/…` names, as spelled.
#[must_use]
pub fn labelled(labels: &[String]) -> Option<&str> {
    labels.iter().find_map(|l| {
        let (head, id) = l.split_at_checked(5)?;
        head.eq_ignore_ascii_case("lane/").then_some(id)
    })
}

fn said(lane: &str, confidence: Confidence, reason: impl Into<String>) -> Classification {
    Classification { lane: lane.to_owned(), confidence, reason: reason.into() }
}

/// What labels, title and text suggest. The lane is one that is configured, but for a label that names another.
#[must_use]
pub fn classify(policy: &Policy, labels: &[String], title: &str, body: &str) -> Classification {
    if let Some(text) = labelled(labels) {
        return match policy.lane(text) {
            Some(lane) => said(&lane.id, Confidence::High, format!("the label lane/{text} says so")),
            None => said(
                text,
                Confidence::High,
                format!(
                    "the label says lane/{text}, which is not configured: it is shown and nothing is handed out"
                ),
            ),
        };
    }
    if let Some(lane) = escalated(policy, labels) {
        return said(lane, Confidence::High, "a label asks for escalation");
    }
    // A label that is a lane's bare name may mean something else: it is a suggestion.
    if let Some((label, lane)) = labels.iter().find_map(|l| Some((l, policy.lane(&l.to_ascii_lowercase())?)))
    {
        return said(&lane.id, Confidence::Medium, format!("the label {label} is a lane's name"));
    }
    weigh(policy, labels, title, body)
}

fn weigh(policy: &Policy, labels: &[String], title: &str, body: &str) -> Classification {
    let text = format!("{title}\n{body}").to_lowercase();
    let found = |marks: &[&str], words: &[&str]| -> Vec<String> {
        let by_label = labels.iter().filter(|l| marks.iter().any(|m| m.eq_ignore_ascii_case(l)));
        let by_text = words.iter().filter(|w| text.contains(*w));
        by_label
            .map(|l| format!("label {l}"))
            .chain(by_text.map(|w| format!("\u{201c}{w}\u{201d}")))
            .collect()
    };
    let mut hard = found(&HARD_LABELS, &HARD_WORDS);
    let easy = found(&EASY_LABELS, &EASY_WORDS);
    let tasks = body.lines().filter(|l| l.trim_start().starts_with("- [")).count();
    if tasks >= 8 {
        hard.push(format!("{tasks} check-list items"));
    }
    let home = policy.default_lane();
    let Some(up) = escalation(policy).filter(|_| hard.len() > easy.len()) else {
        return match easy.as_slice() {
            [] => said(home, Confidence::Low, "nothing speaks for another lane than the default"),
            easy => said(home, Confidence::Medium, format!("everyday work: {}", easy.join(", "))),
        };
    };
    let sure = if hard.len() - easy.len() >= 2 { Confidence::Medium } else { Confidence::Low };
    said(up, sure, format!("hard work: {}", hard.join(", ")))
}

/// Whether a card names a lane that is not configured.
#[must_use]
pub fn is_unknown(world: &World, card: &Card) -> bool {
    world.policy.lane(world.lane_of(card)).is_none()
}

/// What `/api/issues/{id}/lane` answers.
#[must_use]
pub fn answer(world: &World, card: &Card, body: &str) -> LaneAnswer {
    let current = world.lane_of(card).to_owned();
    let (found, model) = match (&card.lane_override, &card.grooming.lane) {
        (Some(_), Some(note)) => (said(&current, note.confidence, note.reason.clone()), note.model.clone()),
        (Some(_), None) => (said(&current, Confidence::High, "set by hand"), None),
        (None, _) => {
            let found = classify(&world.policy, &card.labels, &card.title, body);
            let model = labelled(&card.labels).is_none().then(|| "heuristics".to_owned());
            (found, model)
        }
    };
    LaneAnswer {
        success: true,
        lane: found.lane,
        confidence: found.confidence,
        reason: found.reason,
        model,
        configured: world.policy.lane(&current).is_some(),
        current_lane: current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(labels: &[&str], title: &str, body: &str) -> (String, Confidence) {
        let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        let found = classify(&Policy::default(), &labels, title, body);
        assert!(!found.reason.is_empty());
        (found.lane, found.confidence)
    }

    #[test]
    fn labels_and_text_suggest_a_lane() {
        assert_eq!(lane(&["Lane/cloud"], "", ""), ("cloud".into(), Confidence::High));
        assert_eq!(lane(&["lane/gpt"], "", ""), ("frontier".into(), Confidence::High));
        assert_eq!(lane(&["escalated"], "", ""), ("frontier".into(), Confidence::High));
        assert_eq!(lane(&["cloud"], "", ""), ("cloud".into(), Confidence::Medium));
        assert_eq!(
            lane(&["security"], "Deadlock in the pool", "A race condition."),
            ("frontier".into(), Confidence::Medium)
        );
        assert_eq!(lane(&[], "Redesign the parser", ""), ("frontier".into(), Confidence::Low));
        assert_eq!(lane(&["documentation"], "Fix a typo", ""), ("local".into(), Confidence::Medium));
        assert_eq!(lane(&[], "Say hello", ""), ("local".into(), Confidence::Low));
        assert_eq!(lane(&["lane/warp"], "Fix a typo", ""), ("warp".into(), Confidence::High));
    }

    #[test]
    fn without_a_lane_for_escalations_nothing_is_escalated() {
        let mut policy = Policy::default();
        policy.lanes.retain(|l| l.id != "frontier");
        let found = classify(&policy, &["escalated".to_owned()], "Redesign", "deadlock, migration");
        assert_eq!(found.lane, "local");
    }
}
