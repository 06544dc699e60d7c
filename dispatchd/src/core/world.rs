//! The state in memory: every record but bodies, audit and events, and the indexes that make decisions fast.
//!
//! The maps share structure, so that a copy costs a few pointers: a decision is made on a copy, and readers keep theirs
//! for as long as they like.

mod read;

use std::sync::Arc;

use dispatch_shared::Timestamp;
use dispatch_shared::id::{AgentName, ClaimId, IntentId, RepoKey, RunId};
use dispatch_shared::issue::{IssueState, Status, read_labels};
use imbl::{OrdMap, OrdSet};

use super::activity::Activity;
use super::automation::index::Index as Automation;
use super::change::Change;
use super::policy::Policy;
use super::rank::Rule;
use super::record::{
    Card, CardKey, Claim, ClaimState, Intent, IntentState, Meta, Pull, Repo, Run, StoredReport,
};

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
    /// Held claims, the newest ended one of each card, and the newest that was taken away.
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
    /// Workflows, their runs, and what happened on the forges.
    pub automation: Automation,
    newest_claim: OrdMap<CardKey, ClaimId>,
    revoked: OrdMap<CardKey, ClaimId>,
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
    suspects: OrdSet<CardKey>,
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
            Change::Facts(facts) => self.automation.put_facts(facts),
            Change::News(told) => self.automation.put_news(told),
            Change::SyncRun(run) => self.automation.put_sync(run),
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
        let works = |r: &Repo| r.tracked && r.access.standing.takes_work();
        if before.is_none_or(|old| works(&old) != works(repo) || old.lanes != repo.lanes) {
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
        if super::reconcile::suspect(&card) {
            self.suspects.insert(card.key.clone());
        } else {
            self.suspects.remove(&card.key);
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
            self.forget_claim(&previous);
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

    /// Forgets a claim that a newer one on the same card has followed. One that was taken away stays until the next such
    /// one: its former holder has still to hear of it.
    fn forget_claim(&mut self, id: &ClaimId) {
        let Some(claim) = self.claims.get(id).cloned() else { return };
        if !matches!(claim.state, ClaimState::Revoked(_)) {
            self.claims.remove(id);
        } else if let Some(older) = self.revoked.insert(claim.card.clone(), *id).filter(|older| older != id) {
            self.claims.remove(&older);
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
}
