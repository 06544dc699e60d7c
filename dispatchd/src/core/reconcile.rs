//! Where labels and what is known contradict each other, and what would put that right.
//!
//! Only what nobody can have meant is put right: labels that say another column than the card stands in, several of them at
//! once, a closed issue that still says it is open work, and work in progress that nobody does. Several agents' labels, and
//! an agent's label without a lease, are somebody's word: they are shown and withheld, never reset. A repair that a person
//! undid is not done again.

use dispatch_shared::Timestamp;
use dispatch_shared::issue::{IssueState, Status};
use serde::{Deserialize, Serialize};

use super::intent::{column, named};
use super::rank::is_agent;
use super::record::{Card, Write};
use super::world::World;

/// What is done about a contradiction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reconcile {
    /// It is put right, by a write to the forge and a row in the audit.
    #[default]
    Repair,
    /// It is shown as a problem, with what would be done.
    Report,
    /// Nothing.
    Off,
}

/// What would put a card right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Labels to be added and removed; the card stays in its column.
    Labels {
        /// To be there.
        add: Vec<String>,
        /// To be gone.
        remove: Vec<String>,
    },
    /// Nobody works on it: it is given back.
    GiveBack,
}

/// A contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What contradicts what, in words.
    pub text: String,
    /// What puts it right.
    pub repair: Repair,
}

impl Finding {
    /// What would be done, in words.
    #[must_use]
    pub fn wanted(&self) -> String {
        match &self.repair {
            Repair::GiveBack => "it would be given back".to_owned(),
            Repair::Labels { add, remove } => {
                let say = |verb: &str, labels: &[String]| {
                    (!labels.is_empty()).then(|| format!("{verb} {}", labels.join(", ")))
                };
                let said: Vec<String> =
                    [say("add", add), say("remove", remove)].into_iter().flatten().collect();
                format!("reconciling would {}", said.join(" and "))
            }
        }
    }
}

/// A repair that was done, to tell when a person has undone it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The labels that were found then, sorted.
    pub labels: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// The labels of a card in an order of their own.
#[must_use]
pub fn sorted(card: &Card) -> Vec<String> {
    let mut labels = card.labels.clone();
    labels.sort();
    labels
}

/// Whether a card alone may be in contradiction: the world keeps an index of these.
#[must_use]
pub fn suspect(card: &Card) -> bool {
    !card.gone
        && (mislabelled(card).is_some()
            || (card.state, card.status) == (IssueState::Open, Status::InProgress))
}

/// What contradicts at `now`, if something does and nothing is under way that changes it.
#[must_use]
pub fn finding(world: &World, card: &Card, now: Timestamp) -> Option<Finding> {
    let settled = !card.gone
        && world.is_tracked(&card.key.repo)
        && world.pending(&card.key).next().is_none()
        && !matches!(card.write, Some(Write::Refused(_)));
    if !settled {
        return None;
    }
    mislabelled(card).or_else(|| stranded(world, card, now))
}

/// Whether a person has undone the repair of what is found now.
#[must_use]
pub fn undone(card: &Card) -> bool {
    card.repaired.as_ref().is_some_and(|repaired| repaired.labels == sorted(card))
}

fn mislabelled(card: &Card) -> Option<Finding> {
    let columns = named(&card.labels);
    let closed = card.state == IssueState::Closed;
    // Most issues were closed long before anybody labelled columns: those are left alone.
    if columns.is_empty() && (closed || card.status == Status::Backlog) {
        return None;
    }
    if columns.len() == 1 && columns.contains(&card.status) {
        return None;
    }
    let goes = |label: &&String| column(label).is_some_and(|c| c != card.status) || closed && is_agent(label);
    let remove: Vec<String> = card.labels.iter().filter(goes).cloned().collect();
    let lacks = !columns.contains(&card.status);
    let add = if lacks { vec![card.status.label()] } else { Vec::new() };
    let says: Vec<&str> = columns.iter().map(|c| c.word()).collect();
    let text = match (closed, says.len()) {
        (true, _) => format!("it is closed, and its labels say {}", says.join(" and ")),
        (false, 0) => format!("it stands in {}, and no label says so", card.status),
        (false, 1) => format!("it stands in {}, and its label says {}", card.status, says.join("")),
        (false, _) => format!("its labels say {} at once; it stands in {}", says.join(" and "), card.status),
    };
    Some(Finding { text, repair: Repair::Labels { add, remove } })
}

/// In progress, and for a whole lease nobody held it, nobody is assigned, and no pull request is open.
fn stranded(world: &World, card: &Card, now: Timestamp) -> Option<Finding> {
    let claim = world.newest_claim(&card.key);
    let idle_since = claim.and_then(|c| c.ended_at).map_or(card.since, |ended| ended.max(card.since));
    let nobody = card.state == IssueState::Open
        && card.status == Status::InProgress
        && card.flags.is_empty()
        && claim.is_none_or(|c| !c.is_held())
        && card.assignees.is_empty()
        && !card.labels.iter().any(|l| is_agent(l));
    let open_pull =
        world.linked_pull(card).is_some_and(|p| p.seen.state == dispatch_shared::followup::PullState::Open);
    if !nobody || open_pull || now.since(idle_since) < world.policy.lease {
        return None;
    }
    let text = format!("it stands in progress since {idle_since}, and nobody holds it or is assigned");
    Some(Finding { text, repair: Repair::GiveBack })
}
