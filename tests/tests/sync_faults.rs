//! The sync under faults: every request of it fails once in every way. Afterwards the cache is what GitHub says, and at no
//! moment did it show an open issue as closed or gone. Real redb, real HTTP; the clock alone is moved by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::Timestamp;
use dispatch_shared::event::Seq;
use dispatch_shared::id::RepoKey;
use dispatch_shared::issue::IssueState;
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::repos::SyncResult;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::github::{FakeGithub, IssueView};
use dispatchd::core::command::{Command, Reply, Track};
use dispatchd::core::record::{CardKey, Event, ForgeKind, Source};
use dispatchd::core::seen::SeenRepo;
use dispatchd::core::standing::Standing;
use dispatchd::core::world::World;
use dispatchd::edges::{Clock, Edges, SystemClock};
use dispatchd::forge::Forges;
use dispatchd::forge::local::LocalForge;
use dispatchd::forge::sync::{SyncSettings, Syncer};
use dispatchd::ledger::{AuditFilter, Fault as LedgerFault, Ledger, ReadFault};
use dispatchd::store::Store;
use tempfile::TempDir;
use tokio::sync::watch;

/// One request may take so long; what is to time out takes longer.
const TIMEOUT: Duration = Duration::from_millis(800);
const TOO_LONG: Duration = Duration::from_secs(2);
/// More than one page of them.
const ISSUES: u64 = 104;

/// The system's time, moved by hand.
#[derive(Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A ledger that looks at every world that it commits.
struct Watched {
    store: Arc<Store>,
    github: Arc<FakeGithub>,
    seen_wrong: Mutex<Vec<String>>,
}

impl Watched {
    /// No issue that is open on GitHub is shown as closed or gone.
    fn check(&self, world: &World) {
        for repo in world.repos.values() {
            let truth = self.github.issues_of(id(&repo.key));
            for card in world.cards_of(&repo.key) {
                let open = truth.get(&card.key.number).is_some_and(|i| i.open);
                if open && (card.gone || card.state == IssueState::Closed) {
                    let wrong = format!("#{} is open: gone {}, {:?}", card.key.number, card.gone, card.state);
                    self.seen_wrong.lock().expect("nobody panics while it is locked").push(wrong);
                }
            }
        }
    }
}

#[async_trait]
impl Ledger for Watched {
    async fn submit(&self, command: Command) -> Result<(Reply, Arc<World>), LedgerFault> {
        let done = self.store.submit(command).await;
        self.check(&self.store.snapshot());
        done
    }

    fn snapshot(&self) -> Arc<World> {
        self.store.snapshot()
    }

    fn commits(&self) -> watch::Receiver<Seq> {
        self.store.commits()
    }

    fn committed(&self) -> u64 {
        self.store.committed()
    }

    fn events_after(&self, after: Seq) -> Option<Vec<Event>> {
        self.store.events_after(after)
    }

    fn body(&self, card: &CardKey) -> Result<String, ReadFault> {
        self.store.body(card)
    }

    fn audit(&self, filter: &AuditFilter, limit: usize) -> Result<Vec<AuditRow>, ReadFault> {
        self.store.audit(filter, limit)
    }

    fn audit_row(&self, id: u64) -> Result<Option<AuditRow>, ReadFault> {
        self.store.audit_row(id)
    }
}

fn id(repo: &RepoKey) -> u64 {
    repo.as_str().trim_start_matches("gh").parse().expect("a key in these tests is of GitHub")
}

struct Scene {
    github: Arc<FakeGithub>,
    ledger: Arc<Watched>,
    clock: Arc<Shifted>,
    syncer: Syncer,
    sweep: Duration,
    dir: TempDir,
    turn: u64,
}

const RARELY: Duration = Duration::from_secs(1_000_000_000);

fn syncer(ledger: &Arc<Watched>, clock: &Arc<Shifted>, sweep: Duration) -> Syncer {
    let edges = Edges { clock: clock.clone(), ..Edges::default() };
    let forge = Arc::new(ledger.github.forge(edges.clone(), TIMEOUT));
    let forges = Forges { github: Some(forge), local: Arc::new(LocalForge::new(edges.clone())) };
    let settings = SyncSettings { sweep, ..SyncSettings::default() };
    Syncer::new(ledger.clone(), Arc::new(forges), edges, settings)
}

impl Scene {
    async fn new(sweep: Duration) -> Self {
        let github = Arc::new(FakeGithub::start().await);
        let clock = Arc::new(Shifted::default());
        let dir = TempDir::new().expect("a temporary directory");
        let edges = Edges { clock: clock.clone(), ..Edges::default() };
        let store = Arc::new(Store::open(dir.path(), edges, Arc::default()).expect("a store can be made"));
        let ledger = Arc::new(Watched { store, github: github.clone(), seen_wrong: Mutex::default() });
        let syncer = syncer(&ledger, &clock, sweep);
        Self { github, ledger, clock, syncer, sweep, dir, turn: 0 }
    }

    /// Ends the store and everything that is only in memory, and begins anew on the same directory.
    async fn restart(self) -> Self {
        let Self { github, ledger, clock, sweep, dir, turn, syncer: old } = self;
        drop(old);
        ledger.store.close().await.expect("the store can be closed");
        drop(ledger);
        let edges = Edges { clock: clock.clone(), ..Edges::default() };
        let store = Arc::new(Store::open(dir.path(), edges, Arc::default()).expect("the store opens again"));
        let ledger = Arc::new(Watched { store, github: github.clone(), seen_wrong: Mutex::default() });
        let syncer = syncer(&ledger, &clock, sweep);
        Self { github, ledger, clock, syncer, sweep, dir, turn }
    }

    /// A repository with many issues, a few of them closed, and a pull request; not read yet.
    async fn repo(&mut self, name: &str) -> RepoKey {
        let (owner, short) = name.split_once('/').expect("owner/name");
        let id = self.github.add_repo(owner, short);
        self.github.add_issues(name, ISSUES);
        for closed in [3, 50] {
            self.github.close(name, closed);
        }
        self.github.push(name, "fix/issue-7-it", "a.txt", "a\n");
        self.github.open_pull(name, "fix/issue-7-it", "main", "Fix it", "Fixes #7");
        let key = RepoKey::new(format!("gh{id}"));
        let seen = SeenRepo {
            key: key.clone(),
            name: name.parse().expect("a name"),
            default_branch: "main".into(),
            standing: Standing::Active,
        };
        let track = Track {
            seen,
            forge: ForgeKind::Github,
            path: None,
            source: Source::User,
            runner_enabled: false,
            actor: "test".into(),
        };
        self.ledger.submit(Command::Track(track)).await.expect("it can be tracked");
        key
    }

    fn name(&self, repo: &RepoKey) -> String {
        self.github.name_of(id(repo)).expect("the repository is there")
    }

    fn forward(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).expect("a short span"), Ordering::SeqCst);
        self.github.set_remaining(5_000);
    }

    async fn round(&self, repo: &RepoKey) -> SyncResult {
        self.syncer.sync_repo(repo).await.expect("it is tracked")
    }

    /// A round in which nothing is made to fail. On a busy machine a request may time out by itself.
    async fn clean_round(&self, repo: &RepoKey, after: &str) {
        self.forward(Duration::from_secs(300));
        let mut result = self.round(repo).await;
        for _ in 0..3 {
            if !result.error.as_deref().is_some_and(|e| e.contains("did not answer within")) {
                break;
            }
            result = self.round(repo).await;
        }
        assert_eq!(result.error, None, "{after}");
    }

    /// The cache as GitHub would tell it.
    fn cached(&self, repo: &RepoKey) -> BTreeMap<u64, IssueView> {
        let cards = self.ledger.snapshot().cards_of(repo);
        let view = |card: &dispatchd::core::record::Card| {
            let mut labels = card.forge_labels.clone();
            labels.sort();
            IssueView { title: card.title.clone(), open: card.state == IssueState::Open, labels }
        };
        cards.iter().filter(|c| !c.gone).map(|c| (c.key.number, view(c))).collect()
    }

    fn is_true(&self, repo: &RepoKey, after: &str) {
        let (cached, truth) = (self.cached(repo), self.github.issues_of(id(repo)));
        for (number, issue) in &truth {
            assert_eq!(cached.get(number), Some(issue), "#{number} after {after}");
        }
        let more: Vec<&u64> = cached.keys().filter(|n| !truth.contains_key(n)).collect();
        assert!(more.is_empty(), "{more:?} are shown and not there after {after}");
        let world = self.ledger.snapshot();
        let name = self.name(repo);
        assert_eq!(world.repos.get(repo).expect("tracked").name.to_string(), name, "after {after}");
        let pulls: Vec<u64> = world.pulls_of(repo).map(|p| p.seen.number).collect();
        let there: Vec<u64> = self.github.pulls(&name).iter().map(|p| p.number).collect();
        assert_eq!(pulls, there, "the pull requests after {after}");
        let wrong = self.ledger.seen_wrong.lock().expect("nobody panics while it is locked").clone();
        assert_eq!(wrong, [] as [&str; 0], "what was shown on the way, {after}");
    }

    fn faults(&mut self, repo: &RepoKey) -> Vec<Fault> {
        let wait = Duration::from_secs(30);
        self.turn += 1;
        vec![
            Fault::Status(401),
            Fault::Status(403),
            Fault::Status(404),
            Fault::Status(410),
            Fault::Status(500),
            Fault::Status(503),
            Fault::TooMany,
            Fault::RetryAfter(wait),
            Fault::RetryAfterDate(wait),
            Fault::PrimaryLimit(wait),
            Fault::SecondaryLimit,
            Fault::Html502,
            Fault::Html200,
            Fault::Nonsense,
            Fault::Nulls,
            Fault::CutOff,
            Fault::Reset,
            Fault::Lost,
            Fault::Slow(TOO_LONG),
            Fault::Renamed(self.name(repo), format!("acme/renamed-{}", self.turn)),
        ]
    }

    /// Has the request fail that comes after `k` more, in every way, each time after `change`. Returns false once there
    /// are not so many requests.
    async fn sweep_at(&mut self, repo: &RepoKey, k: usize, mut change: impl FnMut(&Self, &RepoKey)) -> bool {
        for fault in self.faults(repo) {
            let after = format!("{fault:?} at request {k}");
            change(self, repo);
            self.forward(Duration::from_secs(300));
            self.github.fail_after(k, fault);
            self.round(repo).await;
            if !self.github.has_failed() {
                self.github.heal();
                return false;
            }
            self.clean_round(repo, &after).await;
            // What is not there any more is believed the second time.
            self.clean_round(repo, &after).await;
            self.is_true(repo, &after);
        }
        true
    }
}

/// What people do between two looks: little enough to be read with the probe.
fn a_little(scene: &Scene, repo: &RepoKey) {
    let name = scene.name(repo);
    let new = scene.github.add_issue(&name, "A new one", "Text", &["status/ready"]);
    scene.github.label(&name, 20, &["status/ready"], &[]);
    scene.github.rewrite(&name, 21, &format!("Now {new}"), "Other text");
    scene.github.close(&name, 22);
    scene.github.reopen(&name, 22);
    scene.github.close(&name, new - 1);
    scene.github.push(&name, "fix/issue-7-it", "a.txt", &format!("{new}\n"));
}

/// More than the probe shows.
fn much(scene: &Scene, repo: &RepoKey) {
    a_little(scene, repo);
    let name = scene.name(repo);
    for number in 30..70 {
        scene.github.rewrite(&name, number, "Again", "Other text");
    }
}

#[tokio::test]
async fn the_first_sync() {
    let mut scene = Scene::new(RARELY).await;
    let mut requests = 0;
    loop {
        let repo = scene.repo(&format!("acme/clean-{requests}")).await;
        let faults = scene.faults(&repo).len();
        let mut failed = 0;
        for which in 0..faults {
            let repo = scene.repo(&format!("acme/first-{requests}-{which}")).await;
            let fault = scene.faults(&repo).swap_remove(which);
            let after = format!("{fault:?} at request {requests}");
            scene.forward(Duration::from_secs(300));
            scene.github.fail_after(requests, fault);
            scene.round(&repo).await;
            if !scene.github.has_failed() {
                scene.github.heal();
                break;
            }
            failed += 1;
            scene.clean_round(&repo, &after).await;
            // A renamed one is called by its new name after the round that saw it.
            scene.is_true(&repo, &after);
        }
        if failed < faults {
            break;
        }
        requests += 1;
    }
    assert!(requests >= 4, "the probe, two pages, the pull requests: {requests} requests failed");
}

#[tokio::test]
async fn a_look_that_finds_a_little() {
    let mut scene = Scene::new(RARELY).await;
    let repo = scene.repo("acme/api").await;
    scene.clean_round(&repo, "the first sync").await;
    let mut k = 0;
    while scene.sweep_at(&repo, k, a_little).await {
        k += 1;
    }
    assert!(k >= 2, "the probe and the pull requests: {k} requests failed");
}

#[tokio::test]
async fn a_look_that_finds_much() {
    let mut scene = Scene::new(RARELY).await;
    let repo = scene.repo("acme/api").await;
    scene.clean_round(&repo, "the first sync").await;
    let mut k = 0;
    while scene.sweep_at(&repo, k, much).await {
        k += 1;
    }
    assert!(k >= 3, "the probe, a page and the pull requests: {k} requests failed");
}

#[tokio::test]
async fn a_full_sweep() {
    let mut scene = Scene::new(Duration::ZERO).await;
    let repo = scene.repo("acme/api").await;
    scene.github.add_issue_tracker("acme", "elsewhere");
    scene.clean_round(&repo, "the first sync").await;
    let gone_too = |scene: &Scene, repo: &RepoKey| {
        let name = scene.name(repo);
        for title in ["To be deleted", "To be transferred", "To stay"] {
            scene.github.add_issue(&name, title, "", &[]);
        }
        // What was there at the last look is not there any more.
        let numbers = scene.github.issues(&name);
        let known = scene.ledger.snapshot();
        let known = |n: &u64| known.cards.contains_key(&CardKey { repo: repo.clone(), number: *n });
        let mut old = numbers.into_iter().filter(|n| *n > 80 && known(n));
        if let (Some(first), Some(second)) = (old.next(), old.next()) {
            scene.github.delete(&name, first);
            scene.github.transfer(&name, second, "acme/elsewhere");
        }
    };
    let mut k = 0;
    while scene.sweep_at(&repo, k, gone_too).await {
        k += 1;
    }
    assert!(k >= 6, "probe, pages, pull requests, two issues, the repository: {k} requests failed");
}

#[tokio::test]
async fn a_rename() {
    let mut scene = Scene::new(RARELY).await;
    let repo = scene.repo("acme/api").await;
    scene.clean_round(&repo, "the first sync").await;
    let turn = std::cell::Cell::new(0);
    let rename = |scene: &Scene, repo: &RepoKey| {
        turn.set(turn.get() + 1);
        scene.github.rename_repo(&scene.name(repo), &format!("acme/called-{}", turn.get()));
        a_little(scene, repo);
    };
    let mut k = 0;
    // `Renamed` names the repository that was there before the change.
    loop {
        let mut more = true;
        for which in 0..scene.faults(&repo).len() {
            rename(&scene, &repo);
            let fault = scene.faults(&repo).swap_remove(which);
            let after = format!("{fault:?} at request {k}");
            scene.forward(Duration::from_secs(300));
            scene.github.fail_after(k, fault);
            scene.round(&repo).await;
            if !scene.github.has_failed() {
                scene.github.heal();
                more = false;
                break;
            }
            scene.clean_round(&repo, &after).await;
            scene.is_true(&repo, &after);
        }
        if !more {
            break;
        }
        k += 1;
    }
    assert!(k >= 4, "the redirect, the probe, the pull requests, the name: {k} requests failed");
}

#[tokio::test]
async fn an_outage_that_denies_everything_deletes_nothing() {
    let mut scene = Scene::new(Duration::ZERO).await;
    let repo = scene.repo("acme/api").await;
    scene.clean_round(&repo, "the first sync").await;
    for status in [404, 410, 401, 403] {
        scene.github.fail_next("/", Fault::Status(status), 1_000);
        for _ in 0..8 {
            scene.forward(Duration::from_secs(3_600));
            assert!(scene.round(&repo).await.error.is_some());
        }
        scene.github.heal();
        let known = scene.ledger.snapshot().repos.get(&repo).expect("tracked").access.clone();
        assert_eq!(known.standing, Standing::Active, "{status} to everything is no answer about this one");
        scene.clean_round(&repo, "the outage").await;
        scene.is_true(&repo, &format!("{status} to everything"));
    }
}

#[tokio::test]
async fn a_repository_that_is_denied_alone_is_lost_and_may_come_back() {
    let mut scene = Scene::new(RARELY).await;
    let (repo, other) = (scene.repo("acme/api").await, scene.repo("acme/web").await);
    scene.clean_round(&repo, "the first sync").await;
    scene.clean_round(&other, "the first sync").await;
    let standing = |scene: &Scene| scene.ledger.snapshot().repos.get(&repo).expect("tracked").access.standing;
    for path in [format!("/repos/{}", scene.name(&repo)), format!("/repositories/{}", id(&repo))] {
        scene.github.fail_next(&path, Fault::Status(404), 1_000);
    }
    for _ in 0..2 {
        scene.round(&repo).await;
        scene.forward(Duration::from_secs(400));
    }
    assert_eq!(standing(&scene), Standing::Active, "not yet");
    scene.round(&repo).await;
    assert_eq!(standing(&scene), Standing::Lost);
    let cards = scene.cached(&repo);
    assert_eq!(cards.len() as u64, ISSUES, "nothing is deleted");
    scene.clean_round(&other, "the other was lost").await;
    scene.github.heal();
    scene.clean_round(&repo, "access is back").await;
    assert_eq!(standing(&scene), Standing::Active);

    scene.github.archive(&scene.name(&repo), true);
    scene.forward(Duration::from_secs(3_700));
    scene.clean_round(&repo, "it was archived").await;
    assert_eq!(standing(&scene), Standing::Archived);
    scene.is_true(&repo, "it was archived");
    scene.github.archive(&scene.name(&repo), false);
    scene.clean_round(&repo, "it is in use again").await;
    assert_eq!(standing(&scene), Standing::Active);
}

#[tokio::test]
async fn a_round_without_change_is_one_free_request_a_repository_also_after_a_restart() {
    let mut scene = Scene::new(RARELY).await;
    let mut repos = Vec::new();
    for n in 0..4 {
        repos.push(scene.repo(&format!("acme/api-{n}")).await);
    }
    scene.github.add_issue_tracker("acme", "empty");
    scene.syncer.sync_all().await;
    let quiet = async |scene: &Scene, when: &str| {
        scene.github.take_requests();
        let answer = scene.syncer.sync_all().await;
        assert!(answer.results.iter().all(|r| r.error.is_none() && r.requests == 1), "{when}: {answer:?}");
        let asked = scene.github.take_requests();
        assert_eq!(asked.len(), repos.len(), "{when}");
        assert!(asked.iter().all(|r| r.status == 304 && r.header("if-none-match").is_some()), "{when}");
        assert_eq!(asked.iter().map(|r| r.points()).sum::<u64>(), 0, "{when}");
    };
    quiet(&scene, "right after").await;
    quiet(&scene, "and again").await;
    let scene = scene.restart().await;
    quiet(&scene, "after a restart").await;
}

#[tokio::test]
async fn a_first_sync_that_breaks_off_goes_on_from_there() {
    let mut scene = Scene::new(RARELY).await;
    let repo = scene.repo("acme/api").await;
    scene.github.add_issues("acme/api", 200);
    // The probe, two pages, then the third fails.
    scene.github.fail_after(3, Fault::Html502);
    assert!(scene.round(&repo).await.error.is_some());
    let read = scene.cached(&repo).len();
    assert!(read > 100 && (read as u64) < ISSUES + 200, "{read} were kept");
    scene.github.take_requests();
    let scene = scene.restart().await;
    scene.clean_round(&repo, "the break").await;
    scene.is_true(&repo, "the break");
    let pages = scene.github.take_requests().iter().filter(|r| r.path.contains("direction=asc")).count();
    assert!(pages <= 3, "what was read is not read again: {pages} pages");
}
