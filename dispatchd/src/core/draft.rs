//! A decision being made: a copy of the world on which every change is applied at once, and the list of changes that the
//! store is to write. Thrown away if the command is refused.

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::id::{AgentRunId, ClaimId, IntentId, RepoKey, RunId};
use dispatch_shared::protocol::activity::AuditRow;

use super::automation::feed::{News, Told};
use super::automation::{Facts, SyncRun};
use super::change::Change;
use super::command::Reply;
use super::fix::{Delivery, Fix};
use super::record::{
    Card, CardKey, Claim, Event, Intent, IntentState, Meta, Pull, Repo, Run, StoredReport, Wish,
};
use super::work::AgentRun;
use super::world::World;

/// See the module.
#[derive(Debug)]
pub struct Draft {
    /// The world as it will be.
    pub world: World,
    /// When.
    pub now: Timestamp,
    changes: Vec<Change>,
    events: Vec<What>,
}

/// A decision: the world after it and the rows to write.
#[derive(Debug)]
pub struct Decision {
    /// The world after it.
    pub world: World,
    /// The rows to write; empty if nothing changed.
    pub changes: Vec<Change>,
    /// What the caller is told.
    pub reply: Reply,
}

impl Draft {
    /// Starts from `world`.
    #[must_use]
    pub fn new(world: &World, now: Timestamp) -> Self {
        Self { world: world.clone(), now, changes: Vec::new(), events: Vec::new() }
    }

    fn put(&mut self, change: Change) {
        self.world.apply(&change);
        self.changes.push(change);
    }

    /// Puts a card and tells of it.
    pub fn card(&mut self, card: Card) {
        self.tell(What::Issue(card.key.id()));
        self.put(Change::Card(Box::new(card)));
    }

    /// Puts a card's body.
    pub fn body(&mut self, card: &CardKey, body: &str) {
        self.put(Change::Body(card.clone(), body.to_owned()));
    }

    /// Puts a repository and tells of it.
    pub fn repo(&mut self, repo: Repo) {
        self.tell(What::Repo(repo.name.clone()));
        self.put(Change::Repo(repo));
    }

    /// Puts a pull request.
    pub fn pull(&mut self, pull: Pull) {
        self.put(Change::Pull(pull));
    }

    /// Puts a claim and tells of its card.
    pub fn claim(&mut self, mut claim: Claim) {
        // Older claims on a card are forgotten, the time that went into them is not.
        if !self.world.claims.contains_key(&claim.id) {
            claim.before = super::effort::on(&self.world, &claim.card);
        }
        // A claim may be on a pull request without a card.
        if self.world.cards.contains_key(&claim.card) {
            self.tell(What::Issue(claim.card.id()));
        }
        self.put(Change::Claim(claim));
    }

    /// Puts a run and tells of it.
    pub fn run(&mut self, run: Run) {
        self.tell(What::Run(run.id));
        self.put(Change::Run(Box::new(run)));
    }

    /// Puts an intent that exists.
    pub fn intent(&mut self, intent: Intent) {
        self.tell(What::Issue(intent.card.id()));
        self.put(Change::Intent(intent));
    }

    /// Stores a new intent for `card`, due at once.
    pub fn wish(&mut self, card: &Card, seen_labels: Vec<String>, wish: Wish, actor: &str) {
        let id = IntentId(self.meta(|m| {
            m.next_intent += 1;
            m.next_intent - 1
        }));
        self.intent(Intent {
            id,
            card: card.key.clone(),
            wish,
            seen_labels,
            actor: actor.to_owned(),
            state: IntentState::Pending(self.now),
            tries: 0,
            last_error: None,
            created_at: self.now,
            wrote: Vec::new(),
            touched: false,
            same: Vec::new(),
        });
    }

    /// Puts a PR-fix item and tells of the card that it belongs to.
    pub fn fix(&mut self, fix: Fix) {
        if let Some(card) = super::fix::pick::card(&self.world, &fix).map(|c| c.key.id()) {
            self.tell(What::Issue(card));
        }
        self.put(Change::Fix(fix));
    }

    /// Remembers a webhook delivery.
    pub fn delivery(&mut self, delivery: Delivery) {
        self.put(Change::Delivery(delivery));
    }

    /// Puts an accepted report.
    pub fn report(&mut self, report: StoredReport) {
        self.put(Change::Report(report));
    }

    /// Puts a run of the hosted groomer.
    pub fn groomer_run(&mut self, run: dispatch_shared::protocol::grooming::GroomerRun) {
        self.put(Change::GroomerRun(run));
    }

    /// Puts what is known of a repository's automation.
    pub fn facts(&mut self, facts: Facts) {
        self.put(Change::Facts(Box::new(facts)));
    }

    /// Appends news of a repository; `n` is its number there.
    pub fn news(&mut self, repo: &RepoKey, n: u64, news: News) {
        let id = self.meta(|m| {
            m.next_news += 1;
            m.next_news - 1
        });
        self.put(Change::News(Told { id, n, repo: repo.clone(), news }));
    }

    /// Puts a sync run.
    pub fn sync_run(&mut self, run: SyncRun) {
        self.put(Change::SyncRun(run));
    }

    /// Changes the counters and switches. The row is written once, at the end.
    pub fn meta<T>(&mut self, change: impl FnOnce(&mut Meta) -> T) -> T {
        change(&mut self.world.meta)
    }

    /// The next free id of a claim.
    pub fn next_claim(&mut self) -> ClaimId {
        self.meta(|m| {
            m.next_claim += 1;
            ClaimId(m.next_claim - 1)
        })
    }

    /// The next free id of a run.
    pub fn next_run(&mut self) -> RunId {
        self.meta(|m| {
            m.next_run += 1;
            RunId(m.next_run - 1)
        })
    }

    /// Remembers what an agent did; the id is filled in here and returned.
    pub fn agent_run(&mut self, mut run: AgentRun) -> AgentRunId {
        run.id = AgentRunId(self.meta(|m| {
            m.next_agent_run += 1;
            m.next_agent_run - 1
        }));
        run.created_at = self.now;
        let id = run.id;
        self.put(Change::AgentRun(run));
        id
    }

    /// Appends an audit row; id and time are filled in here.
    pub fn audit(&mut self, mut row: AuditRow) {
        row.id = self.meta(|m| {
            m.next_audit += 1;
            m.next_audit - 1
        });
        row.created_at = self.now;
        self.tell(What::Audit(row.id));
        self.put(Change::Audit(row));
    }

    /// Tells of something that changed; once for each thing in a decision.
    pub fn tell(&mut self, what: What) {
        if !self.events.contains(&what) {
            self.events.push(what);
        }
    }

    /// Ends the decision.
    #[must_use]
    pub fn decide(mut self, reply: Reply) -> Decision {
        for what in std::mem::take(&mut self.events) {
            let seq = self.meta(|m| {
                m.seq.0 += 1;
                m.seq
            });
            let event = Event { seq, at: self.now, what };
            self.changes.push(Change::Event(event));
        }
        if !self.changes.is_empty() {
            self.changes.push(Change::Meta(self.world.meta.clone()));
        }
        Decision { world: self.world, changes: self.changes, reply }
    }
}
