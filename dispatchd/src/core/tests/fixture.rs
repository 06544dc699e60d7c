//! A world with one repository, and a hand that submits commands to it and checks the invariants after each.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, RepoKey};
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::task::{Outcome, TaskType};

use crate::core::command::{Command, Refusal, Reply, Synced, Take, Track};
use crate::core::invariant;
use crate::core::reactor::decide;
use crate::core::record::{Card, CardKey, Claim, ForgeKind, Source};
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo, SyncCursor};
use crate::core::world::World;

/// Where every test begins.
pub(super) const START: Timestamp = Timestamp(1_800_000_000_000);

pub(super) struct Hand {
    pub(super) world: World,
    pub(super) now: Timestamp,
}

pub(super) fn repo() -> RepoKey {
    RepoKey::new("lo1")
}

pub(super) fn key(number: u64) -> CardKey {
    CardKey { repo: repo(), number }
}

pub(super) fn agent(name: &str) -> AgentName {
    AgentName::new(name)
}

pub(super) fn seen(number: u64, labels: &[&str], at: Timestamp) -> SeenIssue {
    SeenIssue {
        number,
        title: format!("Issue {number}"),
        body: String::new(),
        url: format!("https://forge/{number}"),
        state: IssueState::Open,
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        assignees: Vec::new(),
        author: "ada".into(),
        created_at: START,
        updated_at: at,
        closed_at: None,
        open_blockers: None,
    }
}

pub(super) fn seen_pull(number: u64, issue: u64, state: PullState, at: Timestamp) -> SeenPull {
    SeenPull {
        number,
        title: format!("Pull {number}"),
        url: format!("https://forge/pull/{number}"),
        state,
        draft: false,
        head_branch: format!("fix/issue-{issue}-x"),
        head_sha: format!("sha{number}"),
        from_fork: false,
        base_branch: "main".into(),
        author: "ada".into(),
        labels: Vec::new(),
        closes: vec![issue],
        created_at: at,
        updated_at: at,
    }
}

pub(super) fn report(outcome: Outcome) -> ReportRequest {
    ReportRequest { summary: Some("as told".into()), ..ReportRequest::new(TaskType::Implement, outcome) }
}

impl Hand {
    pub(super) fn new() -> Self {
        let mut hand = Self { world: World::default(), now: START };
        hand.ok(&Command::Track(Track {
            seen: SeenRepo {
                key: repo(),
                name: "local/sample".parse().expect("a name"),
                default_branch: "main".into(),
                standing: Default::default(),
            },
            forge: ForgeKind::Local,
            path: None,
            source: Source::User,
            runner_enabled: true,
            actor: "test".into(),
        }));
        hand
    }

    pub(super) fn submit(&mut self, command: &Command) -> Result<Reply, Refusal> {
        let decision = decide(&self.world, self.now, command)?;
        let mut replayed = self.world.clone();
        for change in &decision.changes {
            replayed.apply(change);
        }
        assert_eq!(replayed.cards, decision.world.cards, "the rows written make the same cards");
        assert_eq!(replayed.claims, decision.world.claims, "the rows written make the same claims");
        assert_eq!(replayed.meta, decision.world.meta, "the rows written make the same counters");
        self.world = decision.world;
        if let Err(broken) = invariant::check(&self.world) {
            panic!("{broken} after {command:?}");
        }
        Ok(decision.reply)
    }

    #[track_caller]
    pub(super) fn ok(&mut self, command: &Command) -> Reply {
        match self.submit(command) {
            Ok(reply) => reply,
            Err(refusal) => panic!("{command:?} was refused: {refusal}"),
        }
    }

    #[track_caller]
    pub(super) fn refused(&mut self, command: &Command) -> Refusal {
        match self.submit(command) {
            Ok(reply) => panic!("{command:?} was not refused: {reply:?}"),
            Err(refusal) => refusal,
        }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now = self.now + std::time::Duration::from_secs(seconds);
    }

    /// What a sync reads now: the issues given, labels fresh.
    #[track_caller]
    pub(super) fn sync(&mut self, issues: Vec<SeenIssue>, pulls: Vec<SeenPull>) {
        self.pass(1);
        let read_at = Some(self.now);
        self.ok(&Command::Synced(Synced {
            repo: Some(repo()),
            read_at,
            issues,
            pulls,
            cursor: Some(SyncCursor::default()),
            ..Synced::default()
        }));
    }

    pub(super) fn take_command(name: &str) -> Take {
        Take {
            agent: agent(name),
            lane: None,
            kind: TaskType::Implement,
            repos: None,
            resume: false,
            idempotency_key: None,
            runner: false,
            slots: 1,
            lifted: Default::default(),
        }
    }

    #[track_caller]
    pub(super) fn take(&mut self, name: &str) -> Option<Claim> {
        match self.ok(&Command::Take(Self::take_command(name))) {
            Reply::Claimed { claim, .. } => self.world.claims.get(&claim).map(|c| (**c).clone()),
            Reply::Idle => None,
            other => panic!("a take answers with a claim or idle, not {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn card(&self, number: u64) -> Card {
        (**self.world.cards.get(&key(number)).expect("the card is there")).clone()
    }

    /// Carries every pending intent out as the forge would.
    pub(super) fn drain_outbox(&mut self) {
        use crate::core::command::IntentResult;
        use crate::core::record::Wish;
        while let Some(intent) = self.world.intents.values().next().cloned() {
            let mut labels = self.card(intent.card.number).forge_labels;
            if let Wish::Labels { add, remove } = &intent.wish {
                labels.retain(|l| !remove.contains(l));
                labels.extend(add.iter().cloned());
            }
            self.pass(1);
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let live = self.live(intent.card.number, &labels);
            self.ok(&Command::Intent {
                id: intent.id,
                result: IntentResult::Done { live, same: Vec::new() },
            });
        }
    }

    /// The issue of a card as a look at the forge shows it, with other labels.
    pub(super) fn live(&self, number: u64, labels: &[&str]) -> Box<SeenIssue> {
        let card = self.card(number);
        let seen = seen(number, labels, card.updated_at);
        Box::new(SeenIssue { state: card.state, closed_at: card.closed_at, ..seen })
    }
}
