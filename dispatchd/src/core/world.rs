//! The state in memory: every record but bodies, audit and events, and the indexes that make decisions fast.
//!
//! The maps share structure, so that a copy costs a few pointers: a decision is made on a copy, and readers keep theirs
//! for as long as they like.

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, ClaimId, IntentId, IssueId, RepoKey, RepoName, RunId};
use dispatch_shared::issue::{IssueState, Status, read_labels};
use imbl::{OrdMap, OrdSet};

use super::activity::Activity;
use super::change::Change;
use super::policy::Policy;
use super::rank::Rule;
use super::record::{Card, CardKey, Claim, Intent, IntentState, Meta, Pull, Repo, Run, StoredReport};

/// How many ended runs stay in memory.
const RUNS_KEPT: usize = 2_000;
/// How many accepted reports stay in memory to answer a repeat.
const REPORTS_KEPT: usize = 10_000;

/// A heap of ready cards that differ only in age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The lane.
    pub lane: String,
    /// The agent whose label the cards carry.
    pub agent: Option<AgentName>,
    /// The repository.
    pub repo: RepoKey,
    /// Priority without aging; 4 if there is none.
    pub priority: u8,
}

/// Where the index has a card, so that it is found again whatever has changed since.
#[derive(Clone, Debug)]
enum Place {
    Ready(Arc<Bucket>, Timestamp),
    Withheld(Rule),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Counters and switches.
    pub meta: Meta,
    /// The operator's choices.
    pub policy: Arc<Policy>,
    /// Repositories, untracked ones too.
    pub repos: OrdMap<RepoKey, Arc<Repo>>,
    /// Cards, those of untracked repositories too.
    pub cards: OrdMap<CardKey, Arc<Card>>,
    /// Pull requests by repository and number.
    pub pulls: OrdMap<(RepoKey, u64), Arc<Pull>>,
    /// Held claims, and the newest ended one of each card.
    pub claims: OrdMap<ClaimId, Arc<Claim>>,
    /// Live runs and the newest ended ones.
    pub runs: OrdMap<RunId, Arc<Run>>,
    /// Intents that are pending.
    pub intents: OrdMap<IntentId, Arc<Intent>>,
    /// Accepted reports by key.
    pub reports: OrdMap<String, Arc<StoredReport>>,
    /// PR-fix items.
    pub fixes: super::fix::index::Fixes,
    /// What agents did.
    pub activity: Activity,
    newest_claim: OrdMap<CardKey, ClaimId>,
    held_by: OrdMap<AgentName, OrdSet<ClaimId>>,
    leases: OrdSet<(Timestamp, ClaimId)>,
    ready: OrdMap<Bucket, OrdSet<(Timestamp, u64)>>,
    places: OrdMap<CardKey, Place>,
    withheld: OrdMap<Rule, usize>,
    attention: OrdSet<CardKey>,
    rests: OrdSet<(Timestamp, CardKey)>,
    pending: OrdMap<CardKey, OrdSet<IntentId>>,
    pulls_for: OrdMap<CardKey, OrdSet<u64>>,
    names: OrdMap<String, RepoKey>,
    live_runs: OrdSet<RunId>,
    open_reviews: OrdMap<RepoKey, usize>,
    report_ages: OrdSet<(Timestamp, String)>,
    /// What waits for grooming, whose parent is who, and what the hosted groomer did.
    pub grooming: super::grooming::Index,
    aside: OrdSet<CardKey>,
}

impl World {
    /// Puts one row, and keeps the indexes true.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Repo(repo) => self.put_repo(repo),
            Change::Card(card) => self.put_card(card),
            Change::Pull(pull) => self.put_pull(pull),
            Change::Claim(claim) => self.put_claim(claim),
            Change::Run(run) => self.put_run(run),
            Change::Intent(intent) => self.put_intent(intent),
            Change::Report(report) => self.put_report(report),
            Change::Fix(fix) => self.fixes.put(fix),
            Change::Delivery(delivery) => self.fixes.deliver(delivery),
            Change::AgentRun(run) => self.activity.put(run),
            Change::Meta(meta) => self.meta = meta.clone(),
            Change::GroomerRun(run) => self.grooming.put_run(run),
            Change::Body(..) | Change::Audit(_) | Change::Event(_) => {}
        }
    }

    /// Takes new choices of the operator and orders the ready cards anew.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        self.policy = policy;
        let cards: Vec<Arc<Card>> = self.cards.values().cloned().collect();
        for card in cards {
            self.reindex(&card);
        }
    }

    fn put_repo(&mut self, repo: &Repo) {
        let before = self.repos.insert(repo.key.clone(), Arc::new(repo.clone()));
        if let Some(old) = &before {
            self.names.remove(&old.name.folded());
        }
        if repo.tracked {
            self.names.insert(repo.name.folded(), repo.key.clone());
        }
        if before.is_none_or(|old| old.tracked != repo.tracked) {
            for card in self.cards_of(&repo.key) {
                self.reindex(&card);
            }
        }
    }

    fn put_card(&mut self, card: &Card) {
        let card = Arc::new(card.clone());
        let old = self.cards.insert(card.key.clone(), card.clone());
        self.grooming.family(old.as_deref(), &card);
        if let Some(old) = old {
            self.count_review(&old, -1);
            if let Some(until) = old.not_before {
                self.rests.remove(&(until, old.key.clone()));
            }
        }
        self.count_review(&card, 1);
        if let Some(until) = card.not_before {
            self.rests.insert((until, card.key.clone()));
        }
        if super::problem::wants_look(&card) {
            self.attention.insert(card.key.clone());
        } else {
            self.attention.remove(&card.key);
        }
        self.reindex(&card);
    }

    fn count_review(&mut self, card: &Card, by: isize) {
        if card.status == Status::InReview && card.state == IssueState::Open && !card.gone {
            let count = self.open_reviews.entry(card.key.repo.clone()).or_insert(0);
            *count = count.saturating_add_signed(by);
        }
    }

    fn put_claim(&mut self, claim: &Claim) {
        if let Some(old) = self.claims.get(&claim.id).filter(|c| c.is_held()) {
            self.leases.remove(&(old.expires_at, old.id));
        }
        if let Some(previous) = self.newest_claim.insert(claim.card.clone(), claim.id)
            && previous != claim.id
        {
            self.claims.remove(&previous);
        }
        let held = self.held_by.entry(claim.agent.clone()).or_default();
        if claim.is_held() {
            held.insert(claim.id);
            self.leases.insert((claim.expires_at, claim.id));
        } else {
            held.remove(&claim.id);
        }
        if held.is_empty() {
            self.held_by.remove(&claim.agent);
        }
        self.claims.insert(claim.id, Arc::new(claim.clone()));
        if let Some(card) = self.cards.get(&claim.card).cloned() {
            self.reindex(&card);
        }
    }

    fn put_run(&mut self, run: &Run) {
        self.runs.insert(run.id, Arc::new(run.clone()));
        if run.state.is_live() {
            self.live_runs.insert(run.id);
        } else {
            self.live_runs.remove(&run.id);
        }
        while self.runs.len() > RUNS_KEPT + self.live_runs.len() {
            let Some(oldest) = self.runs.values().find(|r| !r.state.is_live()).map(|r| r.id) else { break };
            self.runs.remove(&oldest);
        }
    }

    fn put_pull(&mut self, pull: &Pull) {
        let number = pull.seen.number;
        let key = (pull.repo.clone(), number);
        if let Some(old) = self.pulls.insert(key, Arc::new(pull.clone())) {
            for card in old.targets() {
                if let Some(set) = self.pulls_for.get_mut(&card) {
                    set.remove(&number);
                }
            }
        }
        for card in pull.targets() {
            self.pulls_for.entry(card).or_default().insert(number);
        }
    }

    fn put_intent(&mut self, intent: &Intent) {
        let of_card = self.pending.entry(intent.card.clone()).or_default();
        if matches!(intent.state, IntentState::Pending(_)) {
            of_card.insert(intent.id);
            self.intents.insert(intent.id, Arc::new(intent.clone()));
        } else {
            of_card.remove(&intent.id);
            self.intents.remove(&intent.id);
        }
        if of_card.is_empty() {
            self.pending.remove(&intent.card);
        }
    }

    fn put_report(&mut self, report: &StoredReport) {
        self.report_ages.insert((report.at, report.key.clone()));
        self.reports.insert(report.key.clone(), Arc::new(report.clone()));
        while self.report_ages.len() > REPORTS_KEPT {
            let Some((at, key)) = self.report_ages.get_min().cloned() else { break };
            self.report_ages.remove(&(at, key.clone()));
            self.reports.remove(&key);
        }
    }

    fn bucket(&self, card: &Card) -> Bucket {
        let facts = read_labels(card.labels.iter().map(String::as_str));
        Bucket {
            lane: self.lane_of(card).to_owned(),
            agent: facts.agents.into_iter().next(),
            repo: card.key.repo.clone(),
            priority: facts.priority.map_or(4, |p| p.0),
        }
    }

    fn reindex(&mut self, card: &Card) {
        let number = card.key.number;
        let turn = super::grooming::turn(self, card);
        self.grooming.place(&card.key, turn);
        self.aside.remove(&card.key);
        match self.places.remove(&card.key) {
            Some(Place::Ready(bucket, since)) => {
                if let Some(set) = self.ready.get_mut(&*bucket) {
                    set.remove(&(since, number));
                    if set.is_empty() {
                        self.ready.remove(&*bucket);
                    }
                }
            }
            Some(Place::Withheld(rule)) => {
                if let Some(count) = self.withheld.get_mut(&rule) {
                    *count = count.saturating_sub(1);
                }
            }
            None => {}
        }
        let place = match super::rank::withheld_by(self, card) {
            None => {
                let bucket = self.bucket(card);
                self.ready.entry(bucket.clone()).or_default().insert((card.since, number));
                Place::Ready(Arc::new(bucket), card.since)
            }
            Some(rule) => {
                *self.withheld.entry(rule).or_insert(0) += 1;
                if super::rank::LIFTABLE.contains(&rule) {
                    self.aside.insert(card.key.clone());
                }
                Place::Withheld(rule)
            }
        };
        self.places.insert(card.key.clone(), place);
    }

    /// How many cards the index withholds for which rule.
    pub fn withheld_counts(&self) -> impl Iterator<Item = (Rule, usize)> {
        self.withheld.iter().map(|(rule, count)| (*rule, *count))
    }

    /// Cards that may want a person: see [`super::problem`].
    pub fn attention(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.attention.iter().filter_map(|key| self.cards.get(key))
    }

    /// The ready cards nobody holds, by bucket; what only time or other cards decide is not looked at.
    pub fn ready(&self) -> impl Iterator<Item = (&Bucket, &OrdSet<(Timestamp, u64)>)> {
        self.ready.iter()
    }

    /// Cards that would be ready, but for a rule that a request may lift.
    pub fn aside(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.aside.iter().filter_map(|key| self.cards.get(key))
    }

    /// The lane that a card is worked in: set by hand, else by its label, else the default. May name a lane that is not
    /// configured.
    #[must_use]
    pub fn lane_of<'a>(&'a self, card: &'a Card) -> &'a str {
        let named = card.lane_override.as_deref().or_else(|| super::lane::labelled(&card.labels));
        match named {
            Some(text) => self.policy.lane(text).map_or(text, |l| l.id.as_str()),
            None => super::lane::escalated(&self.policy, &card.labels)
                .unwrap_or_else(|| self.policy.default_lane()),
        }
    }

    /// The tracked repository of this name, however it is cased.
    #[must_use]
    pub fn repo_named(&self, name: &RepoName) -> Option<&Arc<Repo>> {
        self.repos.get(self.names.get(&name.folded())?)
    }

    /// The tracked repositories.
    pub fn tracked(&self) -> impl Iterator<Item = &Arc<Repo>> {
        self.repos.values().filter(|r| r.tracked)
    }

    /// Whether the repository is on the board.
    #[must_use]
    pub fn is_tracked(&self, repo: &RepoKey) -> bool {
        self.repos.get(repo).is_some_and(|r| r.tracked)
    }

    /// The card with this id on the wire.
    #[must_use]
    pub fn card_by_id(&self, id: &IssueId) -> Option<&Arc<Card>> {
        let (repo, number) = id.parts()?;
        self.cards.get(&CardKey { repo, number })
    }

    /// All cards of a repository.
    #[must_use]
    pub fn cards_of(&self, repo: &RepoKey) -> Vec<Arc<Card>> {
        let from = CardKey { repo: repo.clone(), number: 0 };
        let to = CardKey { repo: repo.clone(), number: u64::MAX };
        self.cards.range(from..=to).map(|(_, card)| card.clone()).collect()
    }

    /// All pull requests of a repository.
    pub fn pulls_of<'a>(&'a self, repo: &RepoKey) -> impl Iterator<Item = &'a Arc<Pull>> + use<'a> {
        self.pulls.range((repo.clone(), 0)..=(repo.clone(), u64::MAX)).map(|(_, pull)| pull)
    }

    /// The pull request linked to a card.
    #[must_use]
    pub fn linked_pull(&self, card: &Card) -> Option<&Arc<Pull>> {
        self.pulls.get(&(card.key.repo.clone(), card.linked_pull?))
    }

    /// The pull requests that say they belong to a card: by closing reference or by branch name.
    pub fn pulls_for(&self, card: &CardKey) -> impl Iterator<Item = &Arc<Pull>> {
        let repo = card.repo.clone();
        self.pulls_for
            .get(card)
            .into_iter()
            .flatten()
            .filter_map(move |n| self.pulls.get(&(repo.clone(), *n)))
    }

    /// The pending intents of a card, in the order in which they are carried out.
    pub fn pending(&self, card: &CardKey) -> impl Iterator<Item = &Arc<Intent>> {
        self.pending.get(card).into_iter().flatten().filter_map(|id| self.intents.get(id))
    }

    /// The live claim on a card.
    #[must_use]
    pub fn held(&self, card: &CardKey) -> Option<&Arc<Claim>> {
        self.newest_claim(card).filter(|c| c.is_held())
    }

    /// The newest claim on a card, live or ended.
    #[must_use]
    pub fn newest_claim(&self, card: &CardKey) -> Option<&Arc<Claim>> {
        self.claims.get(self.newest_claim.get(card)?)
    }

    /// The live claims of an agent, oldest first.
    pub fn held_by(&self, agent: &AgentName) -> impl Iterator<Item = &Arc<Claim>> {
        self.held_by.get(agent).into_iter().flatten().filter_map(|id| self.claims.get(id))
    }

    /// All live claims, the first to run out first.
    pub fn leases(&self) -> impl Iterator<Item = &Arc<Claim>> {
        self.leases.iter().filter_map(|(_, id)| self.claims.get(id))
    }

    /// Cards that rest after a failure, and until when, the first to be over first.
    pub fn rests(&self) -> impl Iterator<Item = &(Timestamp, CardKey)> {
        self.rests.iter()
    }

    /// When a lease runs out or a rest is over next, so that somebody lets time pass then. Leases of the built-in runner
    /// are not among these while their run lives.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let lease = self
            .leases()
            .find(|c| !c.run.and_then(|id| self.runs.get(&id)).is_some_and(|r| r.state.is_live()))
            .map(|c| c.expires_at);
        let rest = self.rests.get_min().map(|(until, _)| *until);
        [lease, rest].into_iter().flatten().min()
    }

    /// Runs that are not over, oldest first.
    pub fn live_runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.live_runs.iter().filter_map(|id| self.runs.get(id))
    }

    /// Open cards in review in a repository.
    #[must_use]
    pub fn open_reviews(&self, repo: &RepoKey) -> usize {
        self.open_reviews.get(repo).copied().unwrap_or(0)
    }
}
