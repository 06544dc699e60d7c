//! The operator's choices, as plain data. Built from the configuration, replaced when that changes.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_shared::protocol::events::Lane;

use super::budget::Budgets;
use super::limits::Limits;
use super::pace::Pace;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The lanes, in order.
    pub lanes: Vec<Lane>,
    /// Alias to lane id.
    pub lane_aliases: BTreeMap<String, String>,
    /// Lease of outside harnesses.
    pub lease: Duration,
    /// Lease of the built-in runner.
    pub runner_lease: Duration,
    /// Lease by agent name, where it differs.
    pub leases: BTreeMap<String, Duration>,
    /// Claims at once by agent name, where it is not 1.
    pub slots: BTreeMap<String, usize>,
    /// Cards with one of these labels are never handed out.
    pub excluded_labels: Vec<String>,
    /// Failed attempts before a person is asked.
    pub max_failures: u32,
    /// How long closed cards stay on the board.
    pub done_retention: Duration,
    /// The name under which the built-in runner works.
    pub runner_agent: String,
    /// Runs of the built-in runner at once.
    pub runner_slots: usize,
    /// The program that works a lane, by lane id.
    pub lane_programs: BTreeMap<String, String>,
    /// Follow-ups of pull requests.
    pub followup: super::fix::FixPolicy,
    /// The program for all other lanes.
    pub default_program: String,
    /// How much may be under way at once.
    pub limits: Limits,
    /// What may be spent.
    pub budgets: Budgets,
    /// How far apart runs start, by `program` or `program:model`.
    pub pacing: BTreeMap<String, Pace>,
    /// What is done about labels that contradict what is known.
    pub reconcile: super::reconcile::Reconcile,
}

fn lane(id: &str, title: &str, claimable: bool, role: Option<&str>, description: &str, color: &str) -> Lane {
    Lane {
        id: id.into(),
        title: title.into(),
        claimable,
        role: role.map(Into::into),
        description: Some(description.into()),
        color: Some(color.into()),
        default_agent: None,
    }
}

impl Default for Policy {
    fn default() -> Self {
        let alias = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        Self {
            lanes: vec![
                lane("local", "Local", true, Some("default"), "Everyday work", "green"),
                lane("cloud", "Cloud", true, None, "Work for hosted agents", "cyan"),
                lane(
                    "frontier",
                    "Frontier",
                    true,
                    Some("escalation"),
                    "Hard work for the best models",
                    "magenta",
                ),
                lane("backlog", "Backlog", false, None, "Not to be handed out", "yellow"),
            ],
            lane_aliases: [("normal", "local"), ("escalated", "frontier"), ("gpt", "frontier")]
                .map(alias)
                .into(),
            lease: Duration::from_secs(30 * 60),
            runner_lease: Duration::from_secs(5 * 60),
            leases: BTreeMap::new(),
            slots: BTreeMap::new(),
            excluded_labels: vec!["renovate".into(), "dependencies".into(), "dependency-dashboard".into()],
            max_failures: 3,
            done_retention: Duration::from_secs(7 * 86_400),
            runner_agent: "dispatch".into(),
            runner_slots: 2,
            lane_programs: BTreeMap::new(),
            followup: super::fix::FixPolicy::default(),
            default_program: "claude".into(),
            limits: Limits::default(),
            budgets: Budgets::default(),
            pacing: BTreeMap::new(),
            reconcile: Default::default(),
        }
    }
}

impl Policy {
    /// The configured lane that `text` names, by id or alias.
    #[must_use]
    pub fn lane(&self, text: &str) -> Option<&Lane> {
        let id = self.lane_aliases.get(text).map_or(text, String::as_str);
        self.lanes.iter().find(|l| l.id == id)
    }

    /// The lane of cards that name none.
    #[must_use]
    pub fn default_lane(&self) -> &str {
        self.lanes
            .iter()
            .find(|l| l.role.as_deref() == Some("default"))
            .or(self.lanes.first())
            .map_or("local", |l| l.id.as_str())
    }

    /// How long a lease of this agent is.
    #[must_use]
    pub fn lease_of(&self, agent: &str, runner: bool) -> Duration {
        if runner { self.runner_lease } else { self.leases.get(agent).copied().unwrap_or(self.lease) }
    }

    /// How many claims this agent may take at once.
    #[must_use]
    pub fn slots_of(&self, agent: &str) -> usize {
        if agent == self.runner_agent {
            self.runner_slots
        } else {
            self.slots.get(agent).copied().unwrap_or(1)
        }
    }

    /// The program that works the lane `id`.
    #[must_use]
    pub fn program_for(&self, id: &str) -> &str {
        self.lane_programs.get(id).map_or(self.default_program.as_str(), String::as_str)
    }
}
