//! A daemon on TCP beside a fake GitHub, with something of everything: cards, a pull request that needs work, a run that asks.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dispatch_shared::client::Client;
use dispatch_shared::endpoint::Endpoint;
use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::{FakeGithub, NewRun};
use dispatch_tests::repository::Repository;
use dispatch_tests::{leftover, sample};
use serde_json::{Value, json};

use super::narrow::Known;

pub(super) const MAINTAINER: &str = "maintainer-token-of-the-fuzz";
pub(super) const WORKER: &str = "worker-token-of-the-fuzz";
const SOON: Duration = Duration::from_secs(30);

/// What `[runner]` and the API are told. The program asks at once, so that there is a question, or works on, so that there
/// is something to kill.
const CONFIG: &str = r#"
[api]
rate_limit = 0

[sync]
every = "1h"

[runner]
runtime = "host"
agent = "sample"

[runner.agents.sample]
format = "plain"
argv = ["sh", "-c", '''
echo "Thinking."
if grep -q "Sleep on it"; then sleep 600; fi
echo "Which colour?" > BLOCKED.md
''']
"#;

/// How strictly the answers are judged, and why a check is off.
const RULES: &str = r#"
continue-on-failure = true
warnings = false

# The counters of the daemon say afterwards which routes answered 503.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

# What a schema cannot say (an issue that is not there, a lane that is not configured) is 400 too.
[checks.positive_data_acceptance]
enabled = false

# These wait for the forge, and the daemon spaces out what it asks of one.
[[operations]]
include-path-regex = "^/api/(sync|automation/sync|pr-followup/sync|issues/(refresh|reconcile)|labels/ensure)"
request-timeout = 60.0
"#;

/// One run of the fuzzer; past this something hangs.
const PASS: Duration = Duration::from_secs(300);

/// What one run of the fuzzer asks, and with whose token.
pub(super) struct Pass<'a> {
    name: &'static str,
    token: &'static str,
    document: &'a Value,
    ids: Vec<String>,
    examples: u32,
    mode: &'static str,
    phases: &'static str,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        name: &'static str,
        token: &'static str,
        document: &'a Value,
        ids: Vec<String>,
        examples: u32,
    ) -> Self {
        Self { name, token, document, ids, examples, mode: "all", phases: "coverage,fuzzing,stateful" }
    }

    /// Sends only what fits, and nothing that was learnt from an answer.
    pub(super) fn positive(self) -> Self {
        Self { mode: "positive", phases: "coverage,fuzzing", ..self }
    }
}

pub(super) struct Scene {
    pub(super) daemon: Daemon,
    pub(super) url: String,
    place: Place,
    /// A workflow and a run of it.
    actions: (String, String),
    _github: FakeGithub,
}

impl Scene {
    pub(super) async fn start() -> Self {
        let github = FakeGithub::start().await;
        for name in ["api", "web", "spare"] {
            github.add_repo("acme", name);
        }
        let checklist = "Text\n\n- [ ] one\n- [ ] two\n";
        github.add_issue("acme/api", "Broken", checklist, &["status/in-review"]);
        github.push("acme/api", "fix/issue-1-broken", "a.txt", "one");
        github.open_pull("acme/api", "fix/issue-1-broken", "main", "Fix", "Fixes #1");
        github.add_issue("acme/api", "Ready", checklist, &["status/ready", "priority/p1", "type/bug"]);
        github.add_issue("acme/api", "Hard", "", &["status/ready", "lane/frontier"]);
        github.add_issue("acme/api", "New", "", &[]);
        github.add_issues("acme/web", 3);
        let workflow =
            github.add_workflow("acme/web", "Checks", "checks.yml", "on: [push, workflow_dispatch]\n");
        let run = github.add_run("acme/web", workflow, &NewRun::pushed(Some("failure")));
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        place.configure(CONFIG);
        let listen = format!("127.0.0.1:{}", sample::port());
        place.env("DISPATCH_LISTEN", &listen);
        place.env("DISPATCH_AGENT_TOKEN", MAINTAINER);
        place.env("DISPATCH_WORKER_TOKEN", WORKER);
        place.env("WEBHOOK_SECRET", "a secret of the fuzz");
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", github.token());
        let repository = Repository::new(place.path(), "sample");
        repository.ready_issue(1, "Paint it");
        repository.ready_issue(2, "Sleep on it");
        let daemon = place.start().await;
        let actions = (workflow.to_string(), run.to_string());
        let scene = Self { daemon, url: format!("http://{listen}"), place, actions, _github: github };
        scene.fill(&repository).await;
        scene
    }

    async fn fill(&self, repository: &Repository) {
        let client = &self.daemon.client;
        for name in ["acme/api", "acme/web"] {
            let add = AddRepoRequest { full_name: Some(name.into()), ..AddRepoRequest::default() };
            client.add_repo(&add).await.expect(name);
        }
        let path = Some(repository.path().display().to_string());
        let add = AddRepoRequest { forge: Some("local".into()), path, ..AddRepoRequest::default() };
        client.add_repo(&add).await.expect("a local repository");
        let on = PatchRepoRequest { runner_enabled: Some(true), ..PatchRepoRequest::default() };
        client.patch_repo(&"local/sample".parse().expect("a name"), &on).await.expect("the runner");
        wait_until("one run to ask, one to work, and the pull request to be linked", SOON, async || {
            let runs = client.runs(&Default::default()).await.ok()?;
            let both = ["blocked", "running"].iter().all(|state| runs.iter().any(|r| r.state == *state));
            let issues = client.issues(&Default::default()).await.ok()?;
            let flows: Value = client.get("/api/automation/workflows", &()).await.ok()?;
            let flows = flows.as_array().is_some_and(|all| !all.is_empty());
            (both && flows && issues.len() > 6 && issues.iter().any(|i| i.linked_pr_number.is_some()))
                .then_some(())
        })
        .await;
        let off = PatchRepoRequest { runner_enabled: Some(false), ..PatchRepoRequest::default() };
        client.patch_repo(&"local/sample".parse().expect("a name"), &off).await.expect("the runner");
        let item = json!({"repo": "acme/api", "pr": 2, "type": "REVIEW_FEEDBACK", "reason": "asked", "feedback": "Why?"});
        let _: Value = client.call("POST", "/api/pr-fix-queue/enqueue", &item).await.expect("an item");
    }

    pub(super) fn client(&self, token: &str) -> Client {
        let endpoint = Endpoint::parse(&self.url).expect("an address");
        Client::new(endpoint, Some(token.to_owned()), None).expect("a client")
    }

    pub(super) fn http(&self) -> reqwest::Client {
        reqwest::Client::builder().timeout(SOON).no_proxy().build().expect("a client")
    }

    /// What there is, so that not every request is about nothing.
    pub(super) async fn known(&self) -> Known {
        let issues = self.daemon.client.issues(&Default::default()).await.expect("issues");
        let (local, remote): (Vec<_>, Vec<_>) =
            issues.iter().partition(|i| i.repo_full_name.owner() == "local");
        let ids = |issues: &[&Issue]| issues.iter().map(|i| i.id.to_string()).collect();
        let (workflow, run) = self.actions.clone();
        Known { local: ids(&local), remote: ids(&remote), workflow, run }
    }

    /// Returns what a pass found, in words.
    pub(super) async fn fuzz(&self, bin: &Path, pass: &Pass<'_>) -> Option<String> {
        let dir = self.place.path().join(pass.name);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("openapi.json"), pass.document.to_string()).expect("written");
        std::fs::write(dir.join("schemathesis.toml"), RULES).expect("written");
        // `DISPATCH_FUZZ=7x10` looks elsewhere and ten times as long.
        let elsewhere = std::env::var("DISPATCH_FUZZ").unwrap_or_default();
        let (seed, factor) =
            elsewhere.split_once('x').map_or((None, 1), |(s, f)| (Some(s), f.parse().unwrap_or(1)));
        let mut command = tokio::process::Command::new(bin.join("schemathesis"));
        command
            .current_dir(&dir)
            .args(["run", "openapi.json", "--no-color", "--url", &self.url])
            .args(["--header", &format!("Authorization: Bearer {}", pass.token)])
            .args(["--phases", pass.phases, "--mode", pass.mode])
            .args(seed.map_or(vec!["--generation-deterministic"], |seed| vec!["--seed", seed]))
            .args(["--max-examples", &(pass.examples * factor).to_string()])
            .args(["--request-timeout", "10", "--no-shrink"])
            .args(["--suppress-health-check", "all"])
            .args(pass.ids.iter().flat_map(|id| ["--include-operation-id", id]))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let done = tokio::time::timeout(PASS * factor, command.output()).await;
        let done = done.unwrap_or_else(|_| panic!("the pass `{}` is not over after {PASS:?}", pass.name));
        let done = done.expect("schemathesis can be started");
        let said = String::from_utf8_lossy(&done.stdout);
        if let Some(keep) = std::env::var_os("DISPATCH_FUZZ_KEEP") {
            let file = Path::new(&keep).join(format!("{}.txt", pass.name));
            std::fs::write(file, said.as_bytes()).expect("the directory to keep findings in is there");
        }
        let error = String::from_utf8_lossy(&done.stderr);
        (!done.status.success()).then(|| format!("{}: {}\n{said}\n{error}\n", pass.name, done.status))
    }

    /// How often each route answered with each status, as the daemon counts.
    pub(super) async fn answered(&self) -> BTreeMap<(String, u16), u64> {
        let request = self.http().get(format!("{}/metrics", self.url)).bearer_auth(MAINTAINER);
        let text = request.send().await.expect("an answer").text().await.expect("text");
        let mut answered = BTreeMap::new();
        for line in text.lines().filter_map(|l| l.strip_prefix("dispatch_http_requests_total{")) {
            let label = |name: &str| {
                let at = line.split(&format!("{name}=\"")).nth(1)?;
                at.split('"').next().map(ToOwned::to_owned)
            };
            let (Some(method), Some(route), Some(status)) =
                (label("method"), label("route"), label("status"))
            else {
                continue;
            };
            let count = line.rsplit(' ').next().and_then(|c| c.parse().ok()).unwrap_or(0);
            answered.insert((format!("{method} {route}"), status.parse().unwrap_or(0)), count);
        }
        answered
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        leftover::clear(RuntimeKind::Host, &self.place.state());
    }
}
