//! The health of pull requests as the GitHub forge reads it: by GraphQL, by REST where that is not there, and through
//! everything that can go wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::github::{FakeGithub, GraphFault, TOKEN, tracked};
use dispatchd::core::fix::health::Health;
use dispatchd::core::record::Repo;
use dispatchd::edges::{Clock as _, Edges, Forge, ForgeError, HealthAsk, HealthLook, SystemClock};
use dispatchd::forge::github::GithubForge;
use dispatchd::secret::Secret;

const NAME: &str = "acme/api";

struct Scene {
    github: FakeGithub,
    forge: GithubForge,
    repo: Arc<Repo>,
}

async fn scene() -> Scene {
    let github = FakeGithub::start().await;
    let id = github.add_repo("acme", "api");
    let repo = Arc::new(tracked(id, NAME));
    let forge = github.forge(Edges::default(), Duration::from_secs(5));
    let forge = forge.masking(vec![Secret::new("webhook-hunter2")]);
    Scene { github, forge, repo }
}

impl Scene {
    /// Pull requests, each with a head of its own where it matters.
    fn pulls(&self, count: u64) -> Vec<u64> {
        (0..count).map(|n| self.github.open_fork_pull(NAME, &format!("b{n}"), "A fork's", "Text")).collect()
    }

    fn own(&self, branch: &str, body: &str) -> u64 {
        self.github.push(NAME, branch, "a.txt", branch);
        self.github.open_pull(NAME, branch, "main", "Change", body)
    }

    fn ask(&self, pr: u64) -> HealthAsk {
        HealthAsk { repo: self.repo.clone(), pr }
    }

    async fn look(&self, pulls: &[u64]) -> Result<HealthLook, ForgeError> {
        let asked: Vec<HealthAsk> = pulls.iter().map(|pr| self.ask(*pr)).collect();
        self.forge.health(&asked).await
    }

    async fn one(&self, pr: u64) -> Health {
        let look = self.look(&[pr]).await.expect("a look");
        let (ask, health) = look.answers.into_iter().next().expect("an answer");
        assert_eq!(ask.pr, pr);
        health.expect("it is seen")
    }

    fn graph_requests(&self) -> usize {
        self.github.take_requests().iter().filter(|r| r.path == "/graphql").count()
    }
}

fn seen(look: &HealthLook) -> usize {
    look.answers.iter().filter(|(_, health)| health.is_ok()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pull_requests_cost_a_handful_of_points() {
    let s = scene().await;
    let pulls = s.pulls(100);
    let look = s.look(&pulls).await.expect("a look");
    assert_eq!((seen(&look), look.requests), (100, 4));
    let points = s.github.take_points();
    assert_eq!((points.queries, points.pulls), (4, 100));
    assert!(points.per_hundred() <= 5.0, "{points:?}");
    assert_eq!(look.cost, points.cost, "the forge counts what GitHub counts");
    assert!(look.points.is_some_and(|p| p.limit == 5_000 && p.remaining == 5_000 - points.cost));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_matters_is_read() {
    let s = scene().await;
    let issue = s.github.add_issue(NAME, "Broken", "Text", &[]);
    let pr = s.own("fix/issue-1-x", &format!("Fixes #{issue}, closes other/api#1"));
    s.github.label(NAME, pr, &["area/db"], &[]);
    let job = s.github.check(NAME, pr, "test", Some("FAILURE"));
    s.github.check_of("circle", NAME, pr, "lint", Some("TIMED_OUT"), Some("3 files are not formatted"));
    s.github.check(NAME, pr, "build", Some("SUCCESS"));
    s.github.check(NAME, pr, "slow", None);
    s.github.status(NAME, pr, "ci/legacy", "error");
    s.github.status(NAME, pr, "ci/other", "pending");
    let review = s.github.review(NAME, pr, "ada", "CHANGES_REQUESTED", "Please split this.");
    s.github.review(NAME, pr, "bob", "COMMENTED", "Nice.");
    let open = s.github.thread(NAME, pr, "ada", "a.txt", 7, "Why?");
    s.github.reply(NAME, pr, open, "olive", "Because.");
    let done = s.github.thread(NAME, pr, "ada", "b.txt", 1, "Typo");
    s.github.resolve(NAME, pr, done);
    s.github.merge_state(NAME, pr, "BEHIND");
    let health = s.one(pr).await;
    assert_eq!(health.blind, [] as [String; 0]);
    assert_eq!((health.draft, health.from_fork, health.author.as_str()), (false, false, "olive"));
    assert_eq!(health.labels, ["area/db"]);
    assert_eq!(Some(&health.head_sha), s.github.head(NAME, "fix/issue-1-x").as_ref());
    assert_eq!(health.closes.as_deref(), Some(&[issue][..]));
    assert_eq!(health.review_decision.as_deref(), Some("CHANGES_REQUESTED"));
    assert_eq!(health.reviews.len(), 1);
    assert_eq!(
        (&health.reviews[0].id, health.reviews[0].item.text.as_str()),
        (&review.to_string(), "Please split this.")
    );
    assert_eq!(health.threads.len(), 1);
    let thread = &health.threads[0];
    let said: Vec<&str> = thread.said.iter().map(|r| r.item.text.as_str()).collect();
    assert_eq!(said, ["Why?", "Because."]);
    assert_eq!((thread.said[1].item.path.as_deref(), thread.said[1].item.line), (Some("a.txt"), Some(7)));
    let check = |name: &str| health.checks.iter().find(|c| c.name == name);
    assert_eq!(check("test").map(|c| (c.conclusion.as_str(), c.job)), Some(("FAILURE", Some(job))));
    assert_eq!(check("lint").map(|c| c.job), Some(None));
    assert_eq!(check("lint").and_then(|c| c.text.as_deref()), Some("3 files are not formatted"));
    assert_eq!(health.checks.len(), 3);
    assert_eq!((health.statuses.len(), health.pending), (1, 2));
    assert_eq!(
        (health.mergeable.as_deref(), health.merge_state.as_deref()),
        (Some("MERGEABLE"), Some("BEHIND"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_hundred_checks_and_threads_are_read_to_the_end() {
    let s = scene().await;
    let pr = s.own("fix/issue-1-x", "Text");
    for n in 0..130 {
        s.github.check(NAME, pr, &format!("job {n}"), Some(if n == 125 { "FAILURE" } else { "SUCCESS" }));
    }
    for n in 0..120 {
        s.github.thread(NAME, pr, "ada", "a.txt", n, &format!("remark {n}"));
    }
    let health = s.one(pr).await;
    assert_eq!((health.checks.len(), health.threads.len()), (130, 120));
    assert_eq!(health.checks.iter().filter(|c| c.conclusion == "FAILURE").count(), 1);
    assert!(health.threads.iter().all(|t| t.said.len() == 1), "what was said is read for all");
    assert_eq!(health.blind, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_asked_again_alone_and_the_rest_is_used() {
    let s = scene().await;
    let pulls = s.pulls(10);
    s.github.fail_look(NAME, pulls[3], GraphFault::Broken, 1);
    let look = s.look(&pulls).await.expect("a look");
    assert_eq!((seen(&look), look.requests), (10, 2), "one query for all, one for the one that failed");
    s.github.fail_look(NAME, pulls[3], GraphFault::Broken, 9);
    let look = s.look(&pulls).await.expect("a look");
    assert_eq!((seen(&look), look.requests), (9, 2));
    let failed: Vec<u64> = look.answers.iter().filter(|(_, h)| h.is_err()).map(|(a, _)| a.pr).collect();
    assert_eq!(failed, [pulls[3]]);
    // One that is not there is not asked for again.
    let look = s.look(&[pulls[0], 999]).await.expect("a look");
    assert_eq!((seen(&look), look.requests), (1, 1));
    let missing = look.answers.into_iter().find(|(a, _)| a.pr == 999).map(|(_, h)| h);
    assert!(matches!(missing, Some(Err(ForgeError::NotFound(_)))), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_graphql_may_not_show_are_read_by_rest() {
    let s = scene().await;
    let pr = s.own("fix/issue-1-x", "Text");
    s.github.check(NAME, pr, "test", Some("FAILURE"));
    s.github.status(NAME, pr, "ci", "failure");
    s.github.fail_look(NAME, pr, GraphFault::ChecksForbidden, 9);
    let health = s.one(pr).await;
    assert_eq!((health.checks.len(), health.statuses.len()), (1, 1));
    assert_eq!(health.blind, [] as [String; 0]);
    s.github.fail_next("GET /repos/acme/api/commits", Fault::Status(403), 1);
    let health = s.one(pr).await;
    assert_eq!((health.checks.len(), health.blind), (0, vec!["statusCheckRollup".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_answer_a_batch_gets_halves_and_is_left_alone_when_it_is_down() {
    let s = scene().await;
    let pulls = s.pulls(20);
    s.github.fail_next("POST /graphql", Fault::Html502, 1);
    let look = s.look(&pulls).await.expect("a look");
    assert_eq!((seen(&look), s.graph_requests()), (20, 3), "the batch, then its halves");
    for fault in [Fault::Html502, Fault::Html200, Fault::Reset, Fault::CutOff, Fault::Nonsense] {
        s.github.fail_next("POST /graphql", fault.clone(), 100);
        let look = s.look(&pulls).await.expect("a look");
        let errors =
            look.answers.iter().filter(|(_, h)| matches!(h, Err(ForgeError::Unreachable(_)))).count();
        assert_eq!((seen(&look), errors), (0, 20), "{fault:?}");
        assert!(s.graph_requests() <= 6, "{fault:?}: a host that is down is not asked for each");
        s.github.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_graphql_rest_answers_and_says_what_it_cannot_see() {
    for status in [403, 404] {
        let s = scene().await;
        let pr = s.own("fix/issue-1-x", "Fixes #9");
        s.github.check(NAME, pr, "test", Some("FAILURE"));
        s.github.check_of("circle", NAME, pr, "lint", Some("FAILURE"), Some("badly formatted"));
        s.github.check(NAME, pr, "slow", None);
        s.github.status(NAME, pr, "ci", "failure");
        s.github.review(NAME, pr, "ada", "CHANGES_REQUESTED", "No.");
        s.github.review(NAME, pr, "bob", "CHANGES_REQUESTED", "No!");
        s.github.review(NAME, pr, "bob", "APPROVED", "Well.");
        s.github.thread(NAME, pr, "ada", "a.txt", 7, "Why?");
        s.github.conflict(NAME, pr, true);
        s.github.refuse_graphql(Some(status));
        let health = s.one(pr).await;
        assert_eq!(health.blind, ["reviewThreads"], "{status}");
        assert_eq!(health.review_decision.as_deref(), Some("CHANGES_REQUESTED"));
        let said: Vec<&str> = health.reviews.iter().map(|r| r.item.text.as_str()).collect();
        assert_eq!(said, ["No."], "bob has changed his mind");
        assert_eq!((health.checks.len(), health.statuses.len(), health.pending), (2, 1, 1));
        assert!(health.checks.iter().any(|c| c.text.as_deref() == Some("badly formatted")));
        assert_eq!(
            (health.mergeable.as_deref(), health.merge_state.as_deref()),
            (Some("CONFLICTING"), Some("DIRTY"))
        );
        assert_eq!(health.closes, None, "REST does not tell");
        s.one(pr).await;
        assert_eq!(s.graph_requests(), 1, "what is not there is not asked for each time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spent_points_are_a_limit_of_graphql_alone() {
    let s = scene().await;
    let pulls = s.pulls(3);
    s.github.set_points(0);
    let limited = s.look(&pulls).await;
    let Err(ForgeError::RateLimited { until, .. }) = limited else { panic!("{limited:?}") };
    assert!(until > SystemClock.now());
    s.forge.pull(&s.repo, pulls[0]).await.expect("REST has a budget of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_of_the_same_name_is_not_taken_for_it() {
    let s = scene().await;
    let pulls = s.pulls(1);
    let other = Arc::new(Repo { key: RepoKey::new("gh7"), ..(*s.repo).clone() });
    let look = s.forge.health(&[HealthAsk { repo: other, pr: pulls[0] }]).await.expect("a look");
    assert!(matches!(look.answers[0].1, Err(ForgeError::NotFound(_))), "{:?}", look.answers);
    s.github.rename_repo(NAME, "acme/core");
    let look = s.look(&pulls).await.expect("a look");
    assert_eq!(seen(&look), 1, "a new name is followed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_log_is_read_elsewhere_without_the_token() {
    let s = scene().await;
    let pr = s.own("fix/issue-1-x", "Text");
    let job = s.github.check(NAME, pr, "test", Some("FAILURE"));
    let started = Timestamp::parse("2026-11-20T10:00:05Z").expect("a time");
    let noise = (0..50_000).map(|n| format!("2026-11-20T10:00:06.1Z compiling {n}\n")).collect::<String>();
    let log = format!(
        "2026-11-20T10:00:01.1Z error: of another step\n{noise}2026-11-20T10:00:07.1Z \u{1b}[31merror[E0382]\u{1b}[0m: moved\n\
         2026-11-20T10:00:08.1Z with webhook-hunter2, {TOKEN} and ghp_ZZZZzzzz0123456789ZZZZ\n\
         2026-11-20T10:00:09.1Z ##[error]Process completed with exit code 101.\n"
    );
    s.github.job_log(NAME, job, "Run cargo test", started, &log);
    s.github.take_requests();
    let read = s.forge.job_log(&s.repo, job).await.expect("it is read").expect("there is one");
    assert!(read.excerpt.starts_with("Failing step: Run cargo test\n"), "{}", read.excerpt);
    assert!(read.excerpt.contains("\nerror[E0382]: moved\nwith ***, *** and ***\n"), "{}", read.excerpt);
    assert!(!read.excerpt.contains("another step") && read.excerpt.len() < 8_500);
    let requests = s.github.take_requests();
    let file = requests.iter().find(|r| r.path.starts_with("/_files/")).expect("the other host was asked");
    assert_eq!(file.header("authorization"), None);
    assert!(file.header("host").is_some_and(|h| h.starts_with("localhost")));
    assert!(requests.iter().any(|r| r.path.ends_with("/logs") && r.header("authorization").is_some()));
    assert_eq!(s.forge.job_log(&s.repo, 404).await.expect("an answer"), None, "logs go after some months");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_the_fakes_answers_fit_githubs_schema() {
    let Some(schemas) = dispatch_tests::schemas::tools() else { return };
    let s = scene().await;
    let issue = s.github.add_issue(NAME, "Broken", "Text", &[]);
    let pr = s.own("fix/issue-1-x", &format!("Fixes #{issue}"));
    s.github.label(NAME, pr, &["area/db"], &[]);
    for n in 0..105 {
        s.github.check(NAME, pr, &format!("job {n}"), Some("SUCCESS"));
        s.github.thread(NAME, pr, "ada", "a.txt", n, "Why?");
    }
    s.github.check_of("circle", NAME, pr, "lint", Some("FAILURE"), Some("badly formatted"));
    s.github.check(NAME, pr, "slow", None);
    s.github.status(NAME, pr, "ci", "failure");
    s.github.review(NAME, pr, "ada", "CHANGES_REQUESTED", "No.");
    let broken = s.own("fix/issue-2-x", "Text");
    s.github.fail_look(NAME, broken, GraphFault::Broken, 9);
    let hidden = s.own("fix/issue-3-x", "Text");
    s.github.fail_look(NAME, hidden, GraphFault::ChecksForbidden, 9);
    let odd = s.pulls(1)[0];
    s.github.merge_unknown(NAME, odd, 1);
    let look = s.look(&[pr, broken, hidden, odd, 999]).await.expect("a look");
    assert_eq!(seen(&look), 3);
    let queries = s.github.queries();
    for kind in ["PullHealth", "PullDetails", "MoreContexts", "MoreThreads"] {
        assert!(queries.iter().any(|q| q.query.contains(kind)), "{kind} was not asked");
    }
    let recorded: Vec<serde_json::Value> = queries
        .iter()
        .map(|q| serde_json::json!({ "query": q.query, "variables": q.variables, "answer": q.answer }))
        .collect();
    let said = dispatch_tests::schemas::check(&schemas, "graphql.mjs", &recorded.into());
    assert!(said.is_ok(), "{}", said.unwrap_or_else(|said| said));
}
