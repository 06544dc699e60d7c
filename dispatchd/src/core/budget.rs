//! What may be spent: by one run, by a program in a day, by all in a day. A warning at 80 %, a stop at 100 %.
//!
//! Each run keeps what it used by the day on which it said so, so that what was spent today is the sum over the runs and
//! survives a restart. A run that tells nothing before its end is counted when it ends.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::run::Usage;
use dispatch_shared::time::Zone;

use super::record::Run;
use super::world::World;

/// Where a warning is due, in percent.
pub const WARNS_AT: u64 = 80;
/// Runs that began longer ago than this say nothing of a day.
const LONGEST_RUN: std::time::Duration = std::time::Duration::from_secs(3 * 86_400);

/// A limit; what is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Millionths of a US dollar.
    pub micros: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
}

/// `[budgets]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Whose midnight turns the day.
    pub zone: Zone,
    /// Each run.
    pub run: Limit,
    /// All runs of a day.
    pub day: Limit,
    /// The runs of a program in a day, by `program` or `program:model`.
    pub programs: BTreeMap<String, Limit>,
}

/// What a budget is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All of a day.
    Day,
    /// A program's of a day.
    Program(String),
    /// One run.
    Run(String),
}

impl Scope {
    /// `day`, `program claude`, `run r-7`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Scope::Day => "day".to_owned(),
            Scope::Program(name) => format!("program {name}"),
            Scope::Run(id) => format!("run {id}"),
        }
    }
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// In all.
    pub usage: Usage,
    /// Runs that used tokens of which nobody knows the price: their dollars are missing here.
    pub unpriced: usize,
}

impl Spent {
    fn add(&mut self, usage: Usage) {
        self.usage = self.usage.plus(usage);
        self.unpriced += usize::from(usage.cost_usd.is_none() && usage.tokens() > 0);
    }

    /// Dollars in millionths.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cost is no negative number"
    )]
    pub fn micros(&self) -> u64 {
        (self.usage.cost_usd.unwrap_or(0.0).max(0.0) * 1e6).round() as u64
    }
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What for.
    pub scope: Scope,
    /// How much.
    pub limit: Limit,
    /// What of it is gone.
    pub spent: Spent,
    /// When it begins anew; never for a run's.
    pub resets_at: Option<Timestamp>,
}

impl State {
    /// How much of it is gone, in whole percent, of the limit that is nearer.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let share = |spent: u64, limit: Option<u64>| match limit {
            None => 0,
            Some(0) => 100,
            Some(limit) => u64::try_from(u128::from(spent) * 100 / u128::from(limit)).unwrap_or(u64::MAX),
        };
        share(self.spent.micros(), self.limit.micros).max(share(self.spent.usage.tokens(), self.limit.tokens))
    }

    /// `$4.10 of $5.00, 120000 of 200000 tokens`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        if let Some(limit) = self.limit.micros {
            let about = if self.spent.usage.estimated { "about " } else { "" };
            words.push(format!("{about}{} of {}", dollars(self.spent.micros()), dollars(limit)));
        }
        if let Some(limit) = self.limit.tokens {
            words.push(format!("{} of {limit} tokens", self.spent.usage.tokens()));
        }
        if self.limit.micros.is_some() && self.spent.unpriced > 0 {
            words.push(format!("{} runs of unknown price not counted", self.spent.unpriced));
        }
        words.join(", ")
    }
}

fn dollars(micros: u64) -> String {
    format!("${}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

impl Limit {
    /// Whether it limits anything.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.micros.is_some() || self.tokens.is_some()
    }
}

impl Run {
    /// Takes in what it has used in all: what came on top belongs to the day of `now`.
    pub fn used(&mut self, usage: Usage, zone: &Zone, now: Timestamp) {
        let day = zone.day(now);
        self.spent.retain(|(d, _)| *d != day);
        let earlier = self.spent.iter().fold(Usage::default(), |sum, (_, used)| sum.plus(*used));
        let mut today = usage.minus(earlier);
        // Below zero where a sum that was an estimate is told at last: the days together are right.
        today.cost_usd = usage.cost_usd.map(|cost| cost - earlier.cost_usd.unwrap_or(0.0));
        self.spent.push((day, today));
        self.usage = usage;
    }
}

/// What was spent on the day of `now` by the runs that `counts`.
#[must_use]
pub fn spent(world: &World, now: Timestamp, counts: impl Fn(&Run) -> bool) -> Spent {
    let zone = &world.policy.budgets.zone;
    let day = zone.day(now);
    let mut sum = Spent::default();
    let young = |run: &&std::sync::Arc<Run>| run.state.is_live() || run.created_at + LONGEST_RUN >= now;
    for run in world.runs.values().rev().filter(young).filter(|r| counts(r)) {
        for (_, used) in run.spent.iter().filter(|(d, _)| *d == day) {
            sum.add(*used);
        }
    }
    sum
}

/// What the runs used, by what: of each of the last seven days, and of the day of `now` by program, lane, agent and issue.
#[must_use]
pub fn usage(world: &World, now: Timestamp) -> Vec<(&'static str, String, usize, Usage)> {
    let zone = &world.policy.budgets.zone;
    let today = zone.day(now);
    let mut rows: BTreeMap<(usize, String), (usize, Usage)> = BTreeMap::new();
    let mut add = |by: usize, name: String, used: Usage| {
        let row = rows.entry((by, name)).or_default();
        *row = (row.0 + 1, row.1.plus(used));
    };
    for run in world.runs.values() {
        for (day, used) in run.spent.iter().filter(|(day, _)| (today - 6..=today).contains(day)) {
            add(0, Zone::date(*day), *used);
            if *day != today {
                continue;
            }
            add(1, run.program.clone(), *used);
            if let Some(lane) = &run.lane {
                add(2, lane.clone(), *used);
            }
            add(3, run.agent.to_string(), *used);
            if let (true, Some(repo)) = (world.cards.contains_key(&run.card), world.repos.get(&run.card.repo))
            {
                add(4, format!("{}#{}", repo.name, run.card.number), *used);
            }
        }
    }
    const BY: [&str; 5] = ["day", "program", "lane", "agent", "issue"];
    rows.into_iter().map(|((by, name), (runs, used))| (BY[by], name, runs, used)).collect()
}

/// Whether `name`, as a budget or a pace is called, is about `program`.
#[must_use]
pub fn is_about(name: &str, program: &str) -> bool {
    program.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// The budgets of the day and of each program.
#[must_use]
pub fn states(world: &World, now: Timestamp) -> Vec<State> {
    let budgets = &world.policy.budgets;
    let resets_at = Some(budgets.zone.next_day(now));
    let mut states = Vec::new();
    if budgets.day.is_some() {
        let spent = spent(world, now, |_| true);
        states.push(State { scope: Scope::Day, limit: budgets.day, spent, resets_at });
    }
    for (name, limit) in budgets.programs.iter().filter(|(_, l)| l.is_some()) {
        let spent = spent(world, now, |run| is_about(name, &run.program));
        states.push(State { scope: Scope::Program(name.clone()), limit: *limit, spent, resets_at });
    }
    states
}

/// The budget of one run; `None` if runs have none.
#[must_use]
pub fn of_run(world: &World, run: &Run) -> Option<State> {
    let limit = world.policy.budgets.run;
    let mut spent = Spent::default();
    spent.add(run.usage);
    limit.is_some().then(|| State { scope: Scope::Run(run.id.to_string()), limit, spent, resets_at: None })
}

/// The budget of the day or of `program` that is used up, if one is.
#[must_use]
pub fn exhausted(world: &World, now: Timestamp, program: &str) -> Option<State> {
    let ours = |state: &State| match &state.scope {
        Scope::Program(name) => is_about(name, program),
        _ => true,
    };
    states(world, now).into_iter().find(|state| ours(state) && state.percent() >= 100)
}

/// The budget that ends `run` now: its own, its program's, or the day's.
#[must_use]
pub fn ends(world: &World, now: Timestamp, run: &Run) -> Option<State> {
    of_run(world, run).filter(|state| state.percent() >= 100).or_else(|| exhausted(world, now, &run.program))
}
