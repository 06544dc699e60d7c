//! GitHub's own description is the judge: what Dispatch asks of the REST API and what the fake GitHub answers, over a story
//! that touches everything the fake can do, and the webhooks that the tests deliver. GraphQL stands in `pull_health`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_tests::github::{Exchange, FakeGithub, NewRun, TOKEN, tracked};
use dispatch_tests::{hooks, schemas};
use dispatchd::core::automation::cadence::Urgency;
use dispatchd::core::automation::{Facts, Part};
use dispatchd::core::record::Repo;
use dispatchd::edges::{
    Clock as _, Edges, Forge, HealthAsk, NewIssue, NewPull, Rerun, Source, SystemClock, Token,
};
use dispatchd::forge::github::{App, Credential, GithubForge};
use dispatchd::secret::Secret;
use serde_json::{Value, json};

const NAME: &str = "acme/api";
const CI: &str = "on:\n  push:\n  workflow_dispatch:\n    inputs:\n      level: {type: string}\n";

struct Story {
    github: FakeGithub,
    forge: GithubForge,
    repo: Repo,
}

impl Story {
    async fn begin() -> Self {
        let github = FakeGithub::start().await;
        github.record();
        let id = github.add_repo("acme", "api");
        let repo = tracked(id, NAME);
        let forge = github.forge(Edges::default(), Duration::from_secs(10));
        Self { github, forge, repo }
    }

    /// Reads what changed, page by page.
    async fn sync(&mut self) {
        let mut page: Option<String> = None;
        loop {
            let got = self.forge.changes(&self.repo, page.as_deref()).await.expect("a page");
            if let Some(cursor) = got.cursor {
                self.repo.cursor = cursor;
                return;
            }
            page = got.next;
        }
    }

    /// Asks as any program may, for what Dispatch itself leaves alone.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) {
        let url = self.github.url().join(path).expect("a path");
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let method = method.parse().expect("a method");
        let mut request = http.expect("a client").request(method, url).bearer_auth(TOKEN);
        request = request.header("user-agent", "test").header("x-github-api-version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer");
    }

    async fn issues(&mut self) {
        let broken = self.github.add_issue(NAME, "Broken", "Text", &["status/ready", "area/a b"]);
        self.github.add_issues(NAME, 101);
        self.sync().await;
        self.sync().await;
        let (forge, repo) = (&self.forge, &self.repo);
        forge.repository(repo).await.expect("the repository");
        forge.alive().await.expect("it answers");
        forge.allowed(repo).await.expect("what the token may");
        forge.issue(repo, broken).await.expect("the issue");
        forge.add_labels(repo, broken, &["status/claimed".into(), "a%/ü".into()]).await.expect("labels");
        forge.remove_label(repo, broken, "a%/ü").await.expect("it goes");
        forge.remove_label(repo, broken, "a%/ü").await.expect("it is gone");
        forge.label_events(repo, broken, Timestamp(0)).await.expect("events");
        forge.labels(repo).await.expect("the repository's labels");
        forge.create_label(repo, "lane/high").await.expect("a label");
        forge.comment(repo, broken, "Begun\n\n<!-- m -->", "<!-- m -->").await.expect("a comment");
        forge.comment(repo, broken, "Begun\n\n<!-- m -->", "<!-- m -->").await.expect("the same");
        for n in 0..120 {
            self.github.say(NAME, broken, (n % 5 > 0).then_some("eve"), "NONE", "Me too");
        }
        let said = forge.comments(repo, broken).await.expect("what people said");
        assert!(said.list.len() >= 30, "{} comments", said.list.len());
        let part = NewIssue {
            title: "A part".into(),
            body: "Part of #1.\n\n<!-- i -->".into(),
            labels: vec!["priority/p1".into()],
            marker: "<!-- i -->".into(),
            since: SystemClock.now(),
        };
        let made = forge.create_issue(repo, &part).await.expect("an issue");
        forge.set_body(repo, made.number, "- [ ] more").await.expect("its text");
        self.github.close(NAME, made.number);
        self.github.add_repo("acme", "web");
        self.github.transfer(NAME, made.number, "acme/web");
        forge.issue(repo, made.number).await.expect_err("it lives elsewhere");
        forge.issue(repo, 4711).await.expect_err("there is none");
        forge.add_labels(repo, broken, &["x".repeat(51)]).await.expect_err("too long");
    }

    async fn pulls(&mut self) {
        let (forge, repo) = (&self.forge, &self.repo);
        let new = NewPull {
            title: "Fix it".into(),
            body: "Fixes #1".into(),
            head: "fix/issue-1".into(),
            base: "main".into(),
        };
        forge.open_pull(repo, &new).await.expect_err("the branch is not there");
        self.github.push(NAME, &new.head, "a.txt", "a\n");
        let pr = forge.open_pull(repo, &new).await.expect("a pull request").number;
        forge.open_pull(repo, &new).await.expect("the one that is there");
        forge.find_pull(repo, &new.head).await.expect("it is found");
        let failed = self.github.check(NAME, pr, "test", Some("FAILURE"));
        self.github.check_of("circle", NAME, pr, "lint", Some("TIMED_OUT"), Some("badly formatted"));
        self.github.check(NAME, pr, "slow", None);
        self.github.status(NAME, pr, "ci/legacy", "error");
        self.github.status(NAME, pr, "ci/other", "pending");
        self.github.review(NAME, pr, "ada", "CHANGES_REQUESTED", "Please split this.");
        self.github.thread(NAME, pr, "ada", "a.txt", 1, "Why?");
        self.github.job_log(NAME, failed, "Run cargo test", Timestamp(1_795_168_805_000), "error: no\n");
        let fork = self.github.open_fork_pull(NAME, "theirs", "A fork's", "Text");
        self.github.refuse_graphql(Some(404));
        let asked = [pr, fork].map(|pr| HealthAsk { repo: Arc::new(repo.clone()), pr });
        let look = forge.health(&asked).await.expect("a look over REST");
        assert!(look.answers.iter().all(|(_, health)| health.is_ok()), "{:?}", look.answers);
        self.github.refuse_graphql(None);
        forge.job_log(repo, failed).await.expect("a log").expect("it is there");
        forge.job_log(repo, 4711).await.expect("no log");
        self.github.merge(NAME, pr);
        forge.pull(repo, pr).await.expect("the merged one");
        self.sync().await;
    }

    async fn automation(&mut self) {
        let github = &self.github;
        let ci = github.add_workflow(NAME, "CI", "ci.yml", CI);
        let bad = github.add_run(NAME, ci, &NewRun::pushed(Some("failure")));
        let good = github.add_run(NAME, ci, &NewRun::pushed(Some("success")));
        github.add_run(NAME, ci, &NewRun::pushed(None));
        github.release(NAME, "v1.0.0", false);
        github.add_package(NAME, "container", "api");
        github.add_artifact(NAME, bad, "logs");
        github.deploy(NAME, "production", "failure");
        let automation = self.forge.automation().expect("GitHub has automation");
        let mut facts = Facts::new(self.repo.key.clone());
        for _ in 0..2 {
            let read = automation.read(&self.repo, facts, &Part::ALL, Urgency::Asked).await;
            assert!(read.stopped.is_none(), "{:?}", read.stopped);
            facts = read.facts;
        }
        let rerun = automation.rerun(&self.repo, &bad.to_string()).await.expect("it runs again");
        assert_eq!(rerun, Rerun::Failed);
        automation.rerun(&self.repo, &good.to_string()).await.expect("all of it runs again");
        let inputs = [("level".to_owned(), "all".to_owned())];
        automation.dispatch(&self.repo, "ci.yml", "main", &inputs).await.expect("it starts");
        automation.dispatch(&self.repo, "ci.yml", "nowhere", &inputs).await.expect_err("no such branch");
    }

    /// The same as an App, whose words and tokens are other operations.
    async fn as_app(&self) {
        self.github.add_app("Iv23liFake");
        self.github.install_app("acme");
        let source = Source::File { key: "github.app.private_key_file", path: "/etc/app.pem".into() };
        let pem = Secret::new(include_str!("../fixtures/app/pkcs8.pem"));
        let key = Arc::new(Token { secret: pem, source });
        let credential = Credential::App(App { id: "Iv23liFake".to_owned(), installation: None, key });
        let forge = GithubForge::new(self.github.url(), credential, Edges::default()).expect("a forge");
        forge.issue(&self.repo, 1).await.expect("the issue");
        forge.allowed(&self.repo).await.expect("what the installation may");
    }

    /// What the fake answers and Dispatch does not ask for in this story.
    async fn others(&self) {
        let run = format!("/repos/{NAME}/actions/runs/9007199254740993");
        let job = format!("/repos/{NAME}/actions/jobs/90071992547409931");
        for path in ["/user", "/rate_limit", &run, &format!("{run}/jobs"), &job] {
            self.ask("GET", path, None).await;
        }
        self.ask("GET", &format!("/repos/{NAME}/issues/1/labels"), None).await;
        self.ask("DELETE", &format!("/repos/{NAME}/issues/2/labels"), None).await;
        self.ask("PUT", &format!("/repos/{NAME}/pulls/1/merge"), Some(json!({}))).await;
        self.ask("POST", &format!("/repos/{NAME}/labels"), Some(json!({ "name": "more" }))).await;
        self.github.rename_repo(NAME, "acme/core");
        self.ask("GET", &format!("/repos/{NAME}"), None).await;
    }
}

fn assert_fits(dir: &Path, script: &str, recorded: &Value) -> String {
    match schemas::check(dir, script, recorded) {
        Ok(said) => said,
        Err(said) => panic!("{said}"),
    }
}

fn times(exchanges: &[Exchange], method: &str, part: &str) -> usize {
    exchanges.iter().filter(|e| e.method == method && e.path.contains(part)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_the_fakes_answers_fit_githubs_description() {
    let Some(dir) = schemas::tools() else { return };
    let mut story = Story::begin().await;
    story.issues().await;
    story.pulls().await;
    story.automation().await;
    story.as_app().await;
    story.others().await;
    let exchanges = story.github.exchanges();
    assert!(times(&exchanges, "POST", "/access_tokens") == 1 && times(&exchanges, "GET", "/artifacts") > 0);
    let said = assert_fits(&dir, "rest.mjs", &json!(exchanges));
    // The story is wide enough to mean something.
    let operations = said.lines().filter(|l| l.starts_with("seen: ")).count();
    assert!(operations >= 35, "only {operations} operations were seen:\n{said}");
}

#[test]
fn an_untrue_exchange_is_found() {
    let Some(dir) = schemas::tools() else { return };
    let exchange = |method: &str, path: &str, request: Value, status: u16, answer: Value| json!([{ "method": method, "path": path, "request": request, "status": status, "answer": answer }]);
    let label = json!({ "id": 1, "node_id": "L", "url": "https://x.example/l", "name": "bug", "description": null,
        "color": "ededed", "default": false });
    let labels =
        |label: &Value| exchange("GET", "/repos/a/b/labels?per_page=9", Value::Null, 200, json!([label]));
    assert_fits(&dir, "rest.mjs", &labels(&label));
    let with = |field: &str, value: Value| {
        let mut label = label.clone();
        label[field] = value;
        labels(&label)
    };
    let untrue = [
        (with("default", json!("no")), "must be boolean"),
        (with("colour", json!("red")), "/colour is not in the description"),
        (labels(&json!({ "id": 1 })), "must have required property 'name'"),
        (exchange("GET", "/repos/a/b/wishes", Value::Null, 404, json!({})), "is no operation of GitHub's"),
        (exchange("GET", "/repos/a/b/labels?since=1", Value::Null, 200, json!([])), "the query's since"),
        (
            exchange("POST", "/repos/a/b/labels", json!({ "color": "f" }), 201, label.clone()),
            "property 'name'",
        ),
        (
            exchange("POST", "/repos/a/b/labels", json!({ "name": "bug" }), 200, label.clone()),
            "200 is not in",
        ),
    ];
    for (recorded, why) in untrue {
        let said = schemas::check(&dir, "rest.mjs", &recorded).expect_err(why);
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn an_untrue_query_or_answer_is_found() {
    let Some(dir) = schemas::tools() else { return };
    let asked = |query: &str, answer: Value| json!([{ "query": query, "variables": { "login": "ada" }, "answer": { "data": answer } }]);
    let query = "query($login: String!) { user(login: $login) { id createdAt } }";
    assert_fits(&dir, "graphql.mjs", &asked(query, json!({ "user": null })));
    let untrue = [
        (asked("{ viewer { wish } }", Value::Null), "the query is not valid"),
        (asked(&query.replace("login: String!", "login: Int!"), Value::Null), "the query is not valid"),
        (asked(&query.replace("$login", "$other"), Value::Null), "a variable is not valid"),
        (
            asked(query, json!({ "user": { "id": null, "createdAt": "2026-11-20T10:00:00Z" } })),
            "user.id is null",
        ),
        (asked(query, json!({ "user": { "id": "U", "createdAt": "today" } })), "no DateTime"),
        (
            asked(query, json!({ "user": { "id": "U", "createdAt": "2026-11-20T10:00:00Z", "x": 1 } })),
            "not asked",
        ),
    ];
    for (recorded, why) in untrue {
        let said = schemas::check(&dir, "graphql.mjs", &recorded).expect_err(why);
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn the_webhooks_of_the_tests_fit_githubs_schemas() {
    let Some(dir) = schemas::tools() else { return };
    let written = |(event, action): &(&str, &str)| {
        let payload = hooks::payload(event, action);
        json!({ "event": event, "action": Some(action).filter(|a| !a.is_empty()), "payload": payload })
    };
    let mut recorded: Vec<Value> = hooks::ALL.iter().map(written).collect();
    assert_fits(&dir, "webhooks.mjs", &json!(recorded));
    // It can fail.
    recorded[0]["payload"].as_object_mut().expect("an object").clear();
    schemas::check(&dir, "webhooks.mjs", &json!(recorded)).expect_err("an empty payload is none");
}
