//! What the model is told: rules in one message, the issue, which is untrusted, fenced in another. Both together are no
//! longer than the settings allow.

use std::collections::BTreeSet;

use dispatch_shared::prompt::text;
use dispatch_shared::protocol::events::Lane;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::core::policy::Policy;
use crate::core::record::{Card, Repo};
use crate::core::world::World;

const RULES: &str = include_str!("../../../assets/prompts/hosted-groomer.md");
/// The kinds of work that a groomer may name.
const KINDS: [&str; 9] =
    ["bug", "feature", "enhancement", "chore", "docs", "refactor", "test", "performance", "question"];
/// The most labels `area/…` that are offered.
const AREAS_MAX: usize = 50;
const CUT: &str = "\n… (cut)";

/// The two messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) rules: String,
    pub(super) issue: String,
}

/// The labels that a groomer may add to `card`: a priority and a type where it has none, and areas that the repository
/// uses already. Whatever else a label may set off is out of its reach.
pub(super) fn allowed(world: &World, card: &Card) -> Vec<String> {
    let starts = |label: &str, prefix: &str| {
        label.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    };
    let lacks = |prefix: &str| !card.labels.iter().any(|l| starts(l, prefix));
    let mut labels = Vec::new();
    if lacks("priority/") {
        labels.extend((0..=4).map(|n| format!("priority/p{n}")));
    }
    if lacks("type/") {
        labels.extend(KINDS.iter().map(|kind| format!("type/{kind}")));
    }
    let cards = world.cards_of(&card.key.repo);
    let used = cards.iter().flat_map(|c| &c.labels).filter(|l| starts(l, "area/") && l.len() <= 50);
    let areas: BTreeSet<&String> = used.filter(|l| !card.labels.contains(l)).collect();
    labels.extend(areas.into_iter().take(AREAS_MAX).cloned());
    labels
}

/// # Errors
/// A sentence, if the template cannot be filled, or leaves no room for an issue.
pub(super) fn make(
    policy: &Policy,
    repo: &Repo,
    card: &Card,
    body: &str,
    allowed: &[String],
    max: usize,
) -> Result<Prompt, String> {
    let (title, labels) = (text::line(&card.title, 500), text::line(&card.labels.join(", "), 1_000));
    let body = text::head(body, usize::MAX);
    let fence = text::mark([title.as_str(), &labels, &body]);
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let values = context! {
        repo => repo.name.to_string(),
        fence => fence.as_str(),
        lanes => policy.lanes.iter().map(lane).collect::<Vec<_>>().join("\n"),
        labels => allowed.iter().map(|l| format!("- {l}")).collect::<Vec<_>>().join("\n"),
    };
    let rules = env.render_str(RULES, values).map_err(|e| format!("the prompt cannot be made: {e:#}"))?;
    let head = format!(
        "Issue #{} of {}\n<issue-{fence}>\nTitle: {title}\nLabels now: {labels}\n\n",
        card.key.number, repo.name,
    );
    let tail = format!("\n</issue-{fence}>\n");
    let room = max.checked_sub(rules.len() + head.len() + tail.len()).filter(|room| *room >= 256);
    let room = room.ok_or_else(|| {
        format!("{max} bytes are too few for the rules; raise DISPATCH_GROOMER_MAX_CONTEXT_BYTES")
    })?;
    Ok(Prompt { rules, issue: format!("{head}{}{tail}", cut(&body, room)) })
}

fn lane(lane: &Lane) -> String {
    let about = lane.description.as_deref().unwrap_or(&lane.title);
    let closed = if lane.claimable { "" } else { " (nothing is handed out from it)" };
    format!("- {}: {about}{closed}", lane.id)
}

/// At most `max` bytes of `text`, with a mark if some are missing.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_characters_and_says_so() {
        assert_eq!(cut("short", 10), "short");
        let long = cut(&"ä".repeat(100), 51);
        assert!(long.len() <= 51 && long.ends_with("(cut)"), "{long}");
    }
}
