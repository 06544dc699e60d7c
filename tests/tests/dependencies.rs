//! GitHub's own issue dependencies, from the fake's REST answers to what the queue hands out: the real daemon, real redb,
//! real HTTP.

use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::protocol::issues::{Issue, IssuesQuery};
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_shared::protocol::tasks::NextTaskQuery;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::fault::Fault;
use dispatch_tests::github::{FakeGithub, TOKEN};

const API: &str = "acme/api";
const WEB: &str = "acme/web";
/// The longest for what takes the daemon a moment, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Scene {
    github: FakeGithub,
    daemon: Daemon,
    /// Keeps the daemon's directories.
    _place: Place,
}

impl Scene {
    /// A daemon that tracks one of two repositories, after its first sync.
    async fn start(fill: impl FnOnce(&FakeGithub)) -> Self {
        let github = FakeGithub::start().await;
        github.add_issue_tracker("acme", "api");
        github.add_issue_tracker("acme", "web");
        fill(&github);
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        place.configure("[sync]\nevery = \"1h\"\nautomation = false\n");
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", TOKEN);
        let daemon = place.start().await;
        let scene = Self { github, daemon, _place: place };
        scene.track(API).await;
        scene
    }

    fn client(&self) -> &Client {
        &self.daemon.client
    }

    async fn track(&self, name: &str) {
        let add = AddRepoRequest { full_name: Some(name.into()), ..AddRepoRequest::default() };
        self.client().add_repo(&add).await.expect("the repository can be tracked");
        wait_until("the first sync", SOON, async || {
            let repos = self.client().repos().await.expect("a list of repositories");
            repos.into_iter().find(|r| r.full_name.to_string() == name).and_then(|r| r.last_synced_at)
        })
        .await;
    }

    async fn sync(&self) {
        self.client().sync(None).await.expect("a sync");
    }

    /// What `number` waits for, in words; `None` if nothing blocks it.
    async fn blocked(&self, number: u64) -> Option<String> {
        let cards: Vec<Issue> = self.client().issues(&IssuesQuery::default()).await.expect("issues");
        let in_api = |i: &&Issue| i.number == number && i.repo_full_name.to_string() == API;
        let id = cards.iter().find(in_api).expect("the card is on the board").issue_id.clone();
        let why = self.client().why(&id).await.expect("a check-list");
        why.rules.into_iter().find(|c| c.rule == "not blocked" && !c.holds).map(|c| c.why)
    }

    /// Waits until what blocks `number` is said in words that hold `text`.
    async fn says(&self, number: u64, text: &str) -> String {
        wait_until(&format!("#{number} to say `{text}`"), SOON, async || {
            self.blocked(number).await.filter(|why| why.contains(text))
        })
        .await
    }

    async fn free(&self, number: u64) {
        wait_until("nothing to block it", SOON, async || self.blocked(number).await.is_none().then_some(()))
            .await;
    }

    /// The number that would be handed out.
    async fn next(&self) -> Option<u64> {
        let task = self.client().peek("kai", &NextTaskQuery::default()).await.expect("a task");
        task.issue.map(|i| i.number)
    }

    fn lists(&self) -> usize {
        self.github.requests().iter().filter(|r| r.path.contains("/dependencies/")).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_blocker_withholds_until_it_closes() {
    let s = Scene::start(|github| {
        for (title, labels) in
            [("First", &["status/backlog"][..]), ("Second", &["status/ready"]), ("Third", &[])]
        {
            github.add_issue(API, title, "Text", labels);
        }
        github.block(API, 2, API, 1);
    })
    .await;
    assert_eq!(s.says(2, "#1 is open").await, "#1 is open");
    assert_eq!(s.next().await, None, "blocked");
    assert_eq!(s.lists(), 1, "those alone are asked about that something open is counted for");
    s.github.close(API, 1);
    s.sync().await;
    assert_eq!(s.blocked(2).await, None, "at once: the blocker is known to be closed");
    assert_eq!(s.next().await, Some(2));

    // A person says so later on, and one waits for the other.
    s.github.block(API, 2, API, 3);
    s.github.block(API, 3, API, 2);
    s.sync().await;
    s.says(2, "a cycle").await;
    assert_eq!(s.next().await, None);
    s.github.unblock(API, 2, API, 3);
    s.github.rewrite(API, 2, "Second", "Text, changed");
    s.sync().await;
    s.free(2).await;
    assert_eq!(s.next().await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_that_is_not_tracked_is_as_the_forge_lists_it() {
    let s = Scene::start(|github| {
        github.add_issue(API, "Here", "Depends on acme/web#1", &["status/ready"]);
        github.add_issue(WEB, "There", "Text", &[]);
        github.block(API, 1, WEB, 1);
    })
    .await;
    assert_eq!(
        s.says(1, "acme/web#1 is open").await,
        "acme/web#1 is open",
        "text and list say the same thing once"
    );
    s.github.close(WEB, 1);
    s.github.rewrite(API, 1, "Here", "Depends on acme/web#1, still");
    s.sync().await;
    s.says(1, "counts as open").await;
    assert_eq!(s.next().await, None, "GitHub counts nothing any more, but the text does");
    s.track(WEB).await;
    s.free(1).await;
    assert_eq!(s.next().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_and_not_shown_counts_as_open() {
    let s = Scene::start(|github| {
        github.add_issue(API, "First", "Text", &["status/ready"]);
        for n in 0..120 {
            github.add_issue(WEB, &format!("Blocker {n}"), "Text", &[]);
            github.block(API, 1, WEB, n + 1);
        }
        github.fail_next("GET /repos/acme/api/issues/1/dependencies", Fault::Status(403), 1);
    })
    .await;
    s.says(1, "counts 120 open issues as blockers and does not say which").await;
    assert_eq!(s.next().await, None);
    // What changes is asked for again, all pages of it.
    wait_until("the list to be asked for again", SOON, async || {
        // Times over there are whole seconds: a change within one that was read shows with the next.
        s.github.rewrite(API, 1, "First", "Text, changed");
        s.sync().await;
        s.blocked(1).await.filter(|why| why.contains("acme/web#120 is open"))
    })
    .await;
    assert_eq!(s.next().await, None);
    for n in 0..120 {
        s.github.close(WEB, n + 1);
    }
    s.github.rewrite(API, 1, "First", "Text, changed again");
    s.sync().await;
    s.free(1).await;
    assert_eq!(s.next().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_dependencies_blocks_nothing_and_is_not_asked() {
    let s = Scene::start(|github| {
        github.without_dependencies();
        github.add_issue(API, "First", "Text", &["status/ready"]);
        github.add_issue(API, "Second", "Text", &[]);
        github.block(API, 1, API, 2);
    })
    .await;
    assert_eq!((s.blocked(1).await, s.next().await, s.lists()), (None, Some(1), 0));
}
