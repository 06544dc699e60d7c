//! One issue on a forge in memory, the real core behind a ledger in memory, and the real outbox between them. Nothing runs
//! by itself: every request to the forge, and every result told to the ledger, is a *step*, and before a step happens what
//! the script puts there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::id::{AgentName, IntentId, RepoKey};
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::activity::AuditRow;
use futures_util::FutureExt;
use tokio::sync::watch;

use crate::core::change::Change;
use crate::core::command::{Command, Reply, Synced, Track};
use crate::core::invariant;
use crate::core::policy::Policy;
use crate::core::reconcile::Reconcile;
use crate::core::record::{Card, CardKey, Event, ForgeKind, Repo, Source, Wish};
use crate::core::seen::{SeenIssue, SeenPull, SeenRepo, SyncCursor};
use crate::core::world::World;
use crate::edges::{Clock, Edges, Forge, ForgeError, GitRemote, IssuePage, LabelEvent, NewIssue, NewPull};
use crate::forge::Forges;
use crate::forge::outbox::{Outbox, due};
use crate::forge::stub::issue;
use crate::ledger::{AuditFilter, Fault as LedgerFault, Ledger, ReadFault};

/// Every look at the clock takes a moment, so that no two things happen at the same time.
#[derive(Debug)]
pub(super) struct Moments(AtomicI64);

impl Clock for Moments {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// What goes wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fails {
    /// It does not get there.
    Unreachable,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// The forge says no.
    Refused,
    /// The forge wants silence.
    Limited,
    /// The daemon dies before it.
    Crash,
}

pub(super) type Person = Arc<dyn Fn(&mut SeenIssue) + Send + Sync>;

/// What happens before a step.
#[derive(Clone)]
pub(super) enum Happens {
    Person(Person),
    /// A sync reads the issue.
    Read,
    /// What it has read reaches the ledger.
    Deliver,
}

#[derive(Clone, Default)]
struct Script {
    step: usize,
    plan: Vec<(usize, Happens)>,
    fails: Option<(usize, Fails)>,
    page: Option<(Timestamp, SeenIssue)>,
}

/// What a person's action changed, and whether the outbox has looked since.
#[derive(Clone, Debug, Default)]
pub(super) struct Deed {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) turned: bool,
    /// Labels that a write of ours, which had looked before, was about to add or remove just so: nobody can tell whose
    /// doing that was.
    pub(super) at_once: Vec<String>,
    pub(super) looked_since: bool,
    /// Audit rows there were before.
    pub(super) audit_before: usize,
}

impl Deed {
    /// Whether it changed anything.
    pub(super) fn did(&self) -> bool {
        self.turned || !self.added.is_empty() || !self.removed.is_empty()
    }
}

/// The intent that is being carried out, once it has looked.
type UnderWay = Option<(IntentId, Vec<String>, Vec<String>)>;

#[derive(Clone)]
struct Inside {
    under_way: UnderWay,
    /// When this life of the outbox began.
    began: Timestamp,
    live: SeenIssue,
    events: Vec<LabelEvent>,
    world: World,
    audit: Vec<AuditRow>,
    script: Script,
    deed: Option<Deed>,
    writes: Vec<String>,
}

pub(super) struct Ground {
    inside: Mutex<Inside>,
    clock: Arc<Moments>,
    seq: watch::Sender<Seq>,
}

pub(super) fn key() -> CardKey {
    CardKey { repo: RepoKey::new("lo1"), number: 1 }
}

impl Ground {
    /// A tracked repository whose issue 1 is open and has `labels`.
    pub(super) fn new(labels: &[&str]) -> Arc<Self> {
        let clock = Arc::new(Moments(AtomicI64::new(1_000_000)));
        let live = SeenIssue { updated_at: clock.now(), ..issue(1, labels) };
        // Reconciling comes after all this and has tests of its own.
        let mut world = World::default();
        world.set_policy(Arc::new(Policy { reconcile: Reconcile::Off, ..Policy::default() }));
        let inside = Inside {
            under_way: None,
            began: clock.now(),
            live,
            events: Vec::new(),
            world,
            audit: Vec::new(),
            script: Script::default(),
            deed: None,
            writes: Vec::new(),
        };
        let ground = Arc::new(Self { inside: Mutex::new(inside), clock, seq: watch::Sender::new(Seq(0)) });
        ground.decide(&Command::Track(Track {
            seen: SeenRepo {
                key: key().repo,
                name: "acme/lo1".parse().unwrap(),
                default_branch: "main".into(),
                standing: Default::default(),
            },
            forge: ForgeKind::Local,
            path: None,
            source: Source::User,
            runner_enabled: false,
            actor: "test".into(),
        }));
        ground.sync();
        ground
    }

    /// The same once more.
    pub(super) fn fork(&self) -> Arc<Self> {
        let inside = Mutex::new(self.inside.lock().unwrap().clone());
        let clock = Arc::new(Moments(AtomicI64::new(self.clock.0.load(Ordering::Relaxed))));
        Arc::new(Self { inside, clock, seq: watch::Sender::new(Seq(0)) })
    }

    /// Has the core decide; checks what must hold after every step.
    pub(super) fn decide(&self, command: &Command) -> Reply {
        let now = self.clock.now();
        let mut inside = self.inside.lock().unwrap();
        let decision = crate::core::reactor::decide(&inside.world, now, command)
            .unwrap_or_else(|refusal| panic!("{command:?} was refused: {refusal}"));
        for change in &decision.changes {
            if let Change::Audit(row) = change {
                inside.audit.push(row.clone());
            }
        }
        inside.world = decision.world;
        if let Err(broken) = invariant::check(&inside.world) {
            panic!("{broken} after {command:?}");
        }
        decision.reply
    }

    pub(super) fn world(&self) -> World {
        self.inside.lock().unwrap().world.clone()
    }

    pub(super) fn card(&self) -> Card {
        self.inside.lock().unwrap().world.cards[&key()].as_ref().clone()
    }

    pub(super) fn live(&self) -> SeenIssue {
        self.inside.lock().unwrap().live.clone()
    }

    pub(super) fn deed(&self) -> Option<Deed> {
        self.inside.lock().unwrap().deed.clone()
    }

    pub(super) fn audit_from(&self, from: usize) -> Vec<AuditRow> {
        self.inside.lock().unwrap().audit[from..].to_vec()
    }

    pub(super) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.inside.lock().unwrap().writes)
    }

    /// Edits the issue as a person, beside any script.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut SeenIssue)) {
        let at = self.clock.now();
        self.inside.lock().unwrap().change(at, edit);
    }

    /// A whole sync, now.
    pub(super) fn sync(&self) {
        let read_at = self.clock.now();
        let seen = self.live();
        self.deliver(read_at, seen);
    }

    fn deliver(&self, read_at: Timestamp, seen: SeenIssue) {
        self.decide(&Command::Synced(Synced {
            repo: Some(key().repo),
            read_at: Some(read_at),
            issues: vec![seen],
            cursor: Some(SyncCursor::default()),
            ..Synced::default()
        }));
    }

    /// Sets the script for what follows; steps are counted from here.
    pub(super) fn script(&self, plan: Vec<(usize, Happens)>, fails: Option<(usize, Fails)>) {
        self.inside.lock().unwrap().script = Script { step: 0, plan, fails, page: None };
    }

    /// Steps since the script was set.
    pub(super) fn steps(&self) -> usize {
        self.inside.lock().unwrap().script.step
    }

    /// What is left of the script happens now.
    pub(super) fn rest(&self) {
        let rest = std::mem::take(&mut self.inside.lock().unwrap().script.plan);
        for (_, happens) in rest {
            self.happen(happens);
        }
    }

    fn happen(&self, happens: Happens) {
        match happens {
            Happens::Person(person) => {
                let at = self.clock.now();
                self.inside.lock().unwrap().person(at, &*person);
            }
            Happens::Read => {
                let at = self.clock.now();
                let mut inside = self.inside.lock().unwrap();
                inside.script.page = Some((at, inside.live.clone()));
            }
            Happens::Deliver => {
                let page = self.inside.lock().unwrap().script.page.take();
                if let Some((at, seen)) = page {
                    self.deliver(at, seen);
                }
            }
        }
    }

    /// Counts a step; what the script puts before it happens first.
    fn step(&self) -> Option<Fails> {
        let (now, fails) = {
            let mut inside = self.inside.lock().unwrap();
            let step = inside.script.step;
            inside.script.step += 1;
            let plan = std::mem::take(&mut inside.script.plan);
            let (now, later): (Vec<_>, Vec<_>) = plan.into_iter().partition(|(at, _)| *at == step);
            inside.script.plan = later;
            let fails = inside.script.fails.filter(|(at, _)| *at == step).map(|(_, fails)| fails);
            (now, fails)
        };
        for (_, happens) in now {
            self.happen(happens);
        }
        fails
    }

    /// One request: what the script says happens, then the request itself unless it fails.
    async fn request<T>(&self, act: impl FnOnce(&mut Inside, Timestamp) -> T) -> Result<T, ForgeError> {
        let fails = self.step();
        if fails == Some(Fails::Crash) {
            // Whoever waits for this is dropped.
            std::future::pending::<()>().await;
        }
        let at = self.clock.now();
        match fails {
            Some(Fails::Unreachable) => Err(ForgeError::Unreachable("down".into())),
            Some(Fails::Refused) => Err(ForgeError::Refused("no".into())),
            Some(Fails::Limited) => {
                let until = at + std::time::Duration::from_secs(60);
                Err(ForgeError::RateLimited { until, what: "writing".into() })
            }
            Some(Fails::AnswerLost) => {
                act(&mut self.inside.lock().unwrap(), at);
                Err(ForgeError::Unreachable("the answer was lost".into()))
            }
            _ => Ok(act(&mut self.inside.lock().unwrap(), at)),
        }
    }

    /// Carries out whatever waits, as the outbox would, each at its time, and starts again after a crash.
    ///
    /// # Errors
    /// If that does not end.
    pub(super) fn drain(self: &Arc<Self>) -> Result<(), String> {
        let mut outbox = self.outbox();
        for _ in 0..24 {
            let world = self.world();
            let (ready, next) = due(&world, self.clock.now(), &Default::default(), &Default::default());
            let Some(intent) = ready.into_iter().next() else {
                let Some(next) = next else { return Ok(()) };
                self.clock.0.fetch_max(next.0, Ordering::Relaxed);
                continue;
            };
            match outbox.settle(&intent).now_or_never() {
                Some(settled) => settled.expect("the result is taken"),
                // It died in the middle; the next one begins with what is durable.
                None => {
                    let mut inside = self.inside.lock().unwrap();
                    inside.began = self.clock.now();
                    // Who comes next cannot know what the dead one had written.
                    if let Wish::Labels { add, remove } = &intent.wish {
                        inside.under_way = Some((intent.id, add.clone(), remove.clone()));
                        // Nor whether somebody else had done the same before.
                        if let Some(deed) = &mut inside.deed {
                            let added = deed.added.iter().filter(|l| add.contains(l));
                            let removed = deed.removed.iter().filter(|l| remove.contains(l));
                            let both: Vec<String> = added.chain(removed).cloned().collect();
                            deed.at_once.extend(both);
                        }
                    }
                    drop(inside);
                    outbox = self.outbox();
                }
            }
        }
        Err("writing does not end".into())
    }

    fn outbox(self: &Arc<Self>) -> Outbox {
        let forges = Forges { github: None, local: Arc::new(Side(self.clone())) };
        let edges = Edges { clock: self.clock.clone(), ..Edges::default() };
        let began = self.inside.lock().unwrap().began;
        Outbox { began, ..Outbox::new(self.clone(), Arc::new(forges), edges) }
    }
}

impl Inside {
    fn change(&mut self, at: Timestamp, edit: impl FnOnce(&mut SeenIssue)) {
        let before = self.live.clone();
        edit(&mut self.live);
        if self.live != before {
            self.live.updated_at = at;
        }
        for label in before.labels.iter().filter(|l| !self.live.labels.contains(l)) {
            self.events.push(LabelEvent { label: label.clone(), added: false, at });
        }
        for label in self.live.labels.iter().filter(|l| !before.labels.contains(l)) {
            self.events.push(LabelEvent { label: label.clone(), added: true, at });
        }
    }

    fn person(&mut self, at: Timestamp, person: &(dyn Fn(&mut SeenIssue) + Send + Sync)) {
        let before = self.live.clone();
        self.change(at, person);
        let missing = |from: &SeenIssue, of: &SeenIssue| {
            of.labels.iter().filter(|l| !from.labels.contains(l)).cloned().collect::<Vec<_>>()
        };
        let (added, removed) = (missing(&before, &self.live), missing(&self.live, &before));
        let under_way = self.under_way.clone().filter(|(id, ..)| self.world.intents.contains_key(id));
        let (add, remove) = under_way.map_or_else(Default::default, |(_, add, remove)| (add, remove));
        let at_once = added.iter().filter(|l| add.contains(l));
        let at_once = at_once.chain(removed.iter().filter(|l| remove.contains(l))).cloned().collect();
        self.deed = Some(Deed {
            added,
            removed,
            at_once,
            turned: before.state != self.live.state,
            looked_since: false,
            audit_before: self.audit.len(),
        });
    }
}

/// Closes and opens as GitHub does.
pub(super) fn turn(issue: &mut SeenIssue, state: IssueState) {
    issue.closed_at = (state == IssueState::Closed).then_some(issue.updated_at);
    issue.state = state;
}

#[async_trait]
impl Ledger for Ground {
    async fn submit(&self, command: Command) -> Result<(Reply, Arc<World>), LedgerFault> {
        if self.step() == Some(Fails::Crash) {
            std::future::pending::<()>().await;
        }
        let reply = self.decide(&command);
        Ok((reply, self.snapshot()))
    }

    fn snapshot(&self) -> Arc<World> {
        Arc::new(self.world())
    }

    fn committed(&self) -> u64 {
        0
    }

    fn commits(&self) -> watch::Receiver<Seq> {
        self.seq.subscribe()
    }

    fn events_after(&self, _after: Seq) -> Option<Vec<Event>> {
        None
    }

    fn body(&self, _card: &CardKey) -> Result<String, ReadFault> {
        Ok(String::new())
    }

    fn audit(&self, _filter: &AuditFilter, _limit: usize) -> Result<Vec<AuditRow>, ReadFault> {
        Ok(Vec::new())
    }

    fn audit_row(&self, _id: u64) -> Result<Option<AuditRow>, ReadFault> {
        Ok(None)
    }
}

/// The forge's side of the ground.
struct Side(Arc<Ground>);

#[async_trait]
impl Forge for Side {
    async fn repository(&self, repo: &Repo) -> Result<SeenRepo, ForgeError> {
        Ok(SeenRepo {
            key: repo.key.clone(),
            name: repo.name.clone(),
            default_branch: "main".into(),
            standing: Default::default(),
        })
    }

    async fn changes(&self, _repo: &Repo, _page: Option<&str>) -> Result<IssuePage, ForgeError> {
        Ok(IssuePage::default())
    }

    async fn issue(&self, _repo: &Repo, _number: u64) -> Result<SeenIssue, ForgeError> {
        let look = |inside: &mut Inside, _| {
            if let Some(deed) = &mut inside.deed {
                deed.looked_since = true;
            }
            let head = inside.world.pending(&key()).next();
            if let Some((id, Wish::Labels { add, remove })) = head.map(|i| (i.id, &i.wish)) {
                inside.under_way = Some((id, add.clone(), remove.clone()));
            }
            inside.live.clone()
        };
        self.0.request(look).await
    }

    async fn add_labels(
        &self,
        _repo: &Repo,
        _number: u64,
        labels: &[String],
    ) -> Result<Vec<String>, ForgeError> {
        let add = |inside: &mut Inside, at| {
            inside.writes.push(format!("add {}", labels.join(" ")));
            inside.change(at, |issue| {
                let new = labels.iter().filter(|l| !issue.labels.contains(l)).cloned().collect::<Vec<_>>();
                issue.labels.extend(new);
            });
            inside.live.labels.clone()
        };
        self.0.request(add).await
    }

    async fn remove_label(&self, _repo: &Repo, _number: u64, label: &str) -> Result<(), ForgeError> {
        let remove = |inside: &mut Inside, at| {
            inside.writes.push(format!("remove {label}"));
            inside.change(at, |issue| issue.labels.retain(|l| l != label));
        };
        self.0.request(remove).await
    }

    async fn label_events(
        &self,
        _repo: &Repo,
        _number: u64,
        since: Timestamp,
    ) -> Result<Vec<LabelEvent>, ForgeError> {
        let events = |inside: &mut Inside, _| {
            inside.events.iter().filter(|e| e.at >= since).cloned().collect::<Vec<_>>()
        };
        self.0.request(events).await
    }

    async fn comment(&self, _: &Repo, _: u64, _: &str, _: &str) -> Result<(), ForgeError> {
        Ok(())
    }

    async fn create_issue(&self, _: &Repo, new: &NewIssue) -> Result<SeenIssue, ForgeError> {
        Err(ForgeError::Refused(new.title.clone()))
    }

    async fn set_body(&self, _: &Repo, _: u64, _: &str) -> Result<(), ForgeError> {
        Ok(())
    }

    async fn pull(&self, _: &Repo, number: u64) -> Result<SeenPull, ForgeError> {
        Err(ForgeError::NotFound(format!("no #{number}")))
    }

    async fn find_pull(&self, _: &Repo, _: &str) -> Result<Option<SeenPull>, ForgeError> {
        Ok(None)
    }

    async fn open_pull(&self, _: &Repo, pull: &NewPull) -> Result<SeenPull, ForgeError> {
        Err(ForgeError::NotFound(format!("no {}", pull.head)))
    }

    async fn remote(&self, _: &Repo) -> Result<GitRemote, ForgeError> {
        Ok(GitRemote { url: "/nowhere".into(), credential: None })
    }
}

pub(super) fn agent(name: &str) -> AgentName {
    AgentName::new(name)
}

/// The rows and labels of a world that nobody looks into, for messages.
pub(super) fn picture(ground: &Ground) -> BTreeMap<&'static str, String> {
    let card = ground.card();
    [
        ("live", format!("{:?} {:?}", ground.live().state, ground.live().labels)),
        ("card", format!("{:?} {} {:?} flags {:?}", card.state, card.status, card.labels, card.flags)),
        ("held", format!("{:?}", ground.world().held(&key()).map(|c| c.agent.to_string()))),
        ("deed", format!("{:?}", ground.deed())),
        ("writes", format!("{:?}", ground.inside.lock().unwrap().writes)),
        ("audit", format!("{:?}", ground.audit_from(0).iter().map(|r| r.action.clone()).collect::<Vec<_>>())),
    ]
    .into()
}
