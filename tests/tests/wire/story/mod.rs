//! What is asked. One daemon with two GitHub repositories, and a second one that has nothing configured.

use std::collections::BTreeMap;

use dispatch_tests::daemon::{Place, wait_until};
use dispatch_tests::github::{FakeGithub, NewRun, TOKEN};
use dispatch_tests::openai::FakeOpenAi;
use dispatch_tests::sample;
use serde_json::{Value, json};

use super::frozen::Case;
use super::scribe::{Scribe, Who};
use super::{BEN, MAINTAINER, SECRET, SOON, WORKER};

mod board;
mod claims;
mod fixes;
mod grooming;
mod repos;
mod runs;
mod tasks;
mod work;

const PROGRAM: &str = env!("CARGO_BIN_EXE_test-dispatchd");
const REPO: &str = "acme/api";

/// Waits to be killed if it is told to; asks until it is answered; else does its work.
const SCRIPT: &str = r#"
cat >prompt.tmp
if grep -q 'Wait here' prompt.tmp; then rm prompt.tmp; echo waiting; exec sleep 600; fi
if ! grep -q 'Two spaces' prompt.tmp; then rm prompt.tmp; echo 'Tabs or spaces?' >BLOCKED.md; exit 0; fi
rm prompt.tmp; echo working; echo 'Good night!' >greeting.txt
"#;

fn config() -> String {
    format!(
        "[sync]\nevery = \"1h\"\nautomation = false\n[api]\nrate_limit = 0\nworkers = {{ ben = {{ token_env = \"BEN_TOKEN\" }} }}\n\
         [runner]\nruntime = \"host\"\nagent = \"scribe\"\nauthor_name = \"Ada\"\nauthor_email = \"ada@example.com\"\n\
         [runner.agents.scribe]\nargv = [\"sh\", \"-c\", '''{SCRIPT}''']\nformat = \"plain\"\n"
    )
}

/// What the story needs.
pub(super) struct Told {
    pub(super) s: Scribe,
    pub(super) github: FakeGithub,
    pub(super) openai: FakeOpenAi,
    pub(super) place: Place,
    /// The cards of [`REPO`], by number.
    pub(super) cards: BTreeMap<u64, Value>,
}

impl Told {
    pub(super) fn card(&self, number: u64) -> &Value {
        &self.cards[&number]
    }

    pub(super) fn id(&self, number: u64) -> String {
        self.card(number)["issueId"].as_str().expect("an id").to_owned()
    }

    /// The fields that name an issue, and more.
    pub(super) fn named(&self, number: u64, more: Value) -> Value {
        super::scribe::named(self.card(number), more)
    }
}

fn door(place: &mut Place) -> String {
    let listen = format!("127.0.0.1:{}", sample::port());
    place.env("DISPATCH_LISTEN", &listen);
    place.env("DISPATCH_AGENT_TOKEN", MAINTAINER);
    place.env("DISPATCH_WORKER_TOKEN", WORKER);
    place.env("BEN_TOKEN", BEN);
    format!("http://{listen}")
}

/// Tells the whole story; what was asked and answered, by route.
pub(super) async fn tell() -> BTreeMap<String, Vec<Case>> {
    let github = FakeGithub::start().await;
    fill(&github);
    let openai = FakeOpenAi::start().await;
    let mut place = Place::new(PROGRAM);
    let url = door(&mut place);
    place.configure(&config());
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("GH_TOKEN", TOKEN);
    place.env("WEBHOOK_SECRET", SECRET);
    place.env("DISPATCH_HOSTED_GROOMER_ENABLED", "true");
    place.env("DISPATCH_LLM_BASE_URL", &openai.base_url());
    place.env("DISPATCH_LLM_API_KEY", "sk-of-the-tests");
    place.env("DISPATCH_GROOMER_MODEL", "fake-1");
    let daemon = place.start().await;
    let s = Scribe::new(&place, daemon, &url, github.url().as_str());
    let mut told = Told { s, github, openai, place, cards: BTreeMap::new() };
    repos::added(&mut told).await;
    // What has to reach GitHub comes first: writes are paced, and soon there are many.
    grooming::asked(&mut told).await;
    runs::ran(&mut told).await;
    board::looked_at(&mut told).await;
    board::changed(&mut told).await;
    claims::made(&mut told).await;
    work::done(&mut told).await;
    tasks::taken(&mut told).await;
    fixes::queued(&mut told).await;
    fixes::told(&mut told).await;
    repos::removed(&mut told).await;
    let Told { s, .. } = told;
    let mut cases = s.cases;
    s.daemon.stop().await;
    for (route, more) in unconfigured().await {
        cases.entry(route).or_default().extend(more);
    }
    cases
}

fn fill(github: &FakeGithub) {
    github.add_repo("acme", "api");
    let yaml = "on:\n  workflow_dispatch:\n    inputs: {level: {type: choice, options: [some, all]}}\n";
    let workflow = github.add_workflow(REPO, "CI", "ci.yml", yaml);
    github.add_run(REPO, workflow, &NewRun::pushed(Some("failure")));
    github.release(REPO, "v1.0.0", false);
    github.add_repo("acme", "web");
    let add = |title: &str, body: &str, labels: &[&str]| github.add_issue(REPO, title, body, labels);
    add("Parse dates", "- [ ] it parses", &["status/ready", "priority/p1", "type/bug", "owner/ada"]);
    add("Later", "", &["status/backlog"]);
    add("Under way", "", &["status/in-progress", "agent/zoe"]);
    add("Umbrella", "- [ ] First part\n- [ ] Second part", &["status/backlog", "priority/p3"]);
    let broken = add("Broken", "Text", &["status/in-review", "priority/p0"]);
    github.push(REPO, "fix/issue-5-broken", "a.txt", "one");
    github.open_pull(REPO, "fix/issue-5-broken", "main", "Fix it", &format!("Fixes #{broken}"));
    let old = add("Old", "", &["status/done"]);
    github.close(REPO, old);
    add("Vague", "Do it.", &[]);
    for n in 9..=16 {
        add(&format!("Task {n}"), "", &["status/ready", "priority/p2"]);
    }
    github.add_issue("acme/web", "Say good night", "A greeting.", &["status/ready"]);
    // Makes the repository know all labels but one, for each that is made is a write.
    let known = [
        "status/backlog",
        "status/in-progress",
        "status/in-review",
        "status/done",
        "status/blocked",
        "needs-human",
        "needs-info",
        "priority/p0",
        "priority/p1",
        "priority/p2",
        "priority/p3",
        "priority/p4",
        "lane/local",
        "lane/cloud",
        "lane/frontier",
    ];
    let labels = github.add_issue("acme/web", "Labels", "", &known);
    github.close("acme/web", labels);
}

/// What a daemon says of which nothing is configured.
async fn unconfigured() -> BTreeMap<String, Vec<Case>> {
    let mut place = Place::new(PROGRAM);
    let url = door(&mut place);
    place.configure("[api]\nrate_limit = 2\n");
    let daemon = place.start().await;
    let mut s = Scribe::new(&place, daemon, &url, "http://nowhere.example");
    s.on("POST /api/groomer/run", "not configured").body(json!({})).is(503).await;
    s.on("POST /api/issues/webhook", "without a secret").body(json!({})).is(503).await;
    s.on("POST /api/pr-followup/webhook", "without a secret").body(json!({})).is(503).await;
    let beat = "POST /api/agents/{agent}/heartbeat";
    let path = "/api/agents/kai/heartbeat";
    let slow = reqwest::Client::new();
    for _ in 0..2 {
        let sent = slow.post(format!("{url}{path}")).bearer_auth(WORKER).send().await.expect("an answer");
        assert_eq!(sent.status(), 200);
    }
    let limited = s.on(beat, "too many changes").at(path).by(Who::Worker).over_tcp().whole(429).await;
    let seconds = limited.headers["retry-after"].to_str().ok().and_then(|t| t.parse::<u64>().ok());
    assert!(seconds.is_some_and(|n| n >= 1), "{seconds:?}");
    let Scribe { daemon, cases, .. } = s;
    daemon.stop().await;
    cases
}

/// Waits until a GET answers with something that `fits`; writes nothing down.
async fn until(told: &Told, what: &str, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, SOON, async || {
        told.s.daemon.client.get::<Value>(path, &()).await.ok().filter(|v| fits(v))
    })
    .await
}
