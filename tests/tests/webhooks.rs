//! Webhooks over a real daemon and a fake GitHub: fast, once, targeted, and never believed beyond what they point to.

use std::time::{Duration, Instant};

use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::FakeGithub;
use dispatch_tests::github::fault::Fault;
use dispatch_tests::hooks;
use dispatch_tests::sample;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const SECRET: &str = "It's a Secret to Everybody";
const REPO: &str = "acme/api";

struct Scene {
    github: FakeGithub,
    place: Place,
    daemon: Daemon,
    url: String,
    http: reqwest::Client,
    pr: u64,
}

impl Scene {
    /// A repository with three issues and a pull request for the first one, read once and then left alone for an hour.
    async fn start() -> Self {
        let github = FakeGithub::start().await;
        github.add_repo("acme", "api");
        for n in 1..=3 {
            github.add_issue(REPO, &format!("Broken {n}"), "Text", &["status/ready"]);
        }
        github.push(REPO, "fix/issue-1-broken", "a.txt", "one");
        let pr = github.open_pull(REPO, "fix/issue-1-broken", "main", "Fix", "Fixes #1");
        let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
        let listen = format!("127.0.0.1:{}", sample::port());
        place.env("GITHUB_API_URL", github.url().as_str());
        place.env("GH_TOKEN", github.token());
        place.env("WEBHOOK_SECRET", SECRET);
        place.env("DISPATCH_LISTEN", &listen);
        place.env("DISPATCH_AGENT_TOKEN", "maintainer-token-of-the-tests");
        place.configure("[sync]\nevery = \"1h\"\n");
        let daemon = place.start().await;
        let add = AddRepoRequest { full_name: Some(REPO.into()), ..AddRepoRequest::default() };
        daemon.client.add_repo(&add).await.expect("the repository can be tracked");
        wait_until("the first sync", SOON, async || {
            daemon.client.repos().await.ok()?.first()?.last_synced_at
        })
        .await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let scene = Self { github, place, daemon, url: format!("http://{listen}"), http, pr };
        scene.quiet().await;
        scene.github.take_requests();
        scene
    }

    /// Waits until the fake has been asked for nothing for a while.
    async fn quiet(&self) {
        let (mut seen, mut since) = (self.github.requests().len(), Instant::now());
        wait_until("GitHub to be left alone", SOON, async || {
            let now = self.github.requests().len();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            (since.elapsed() > Duration::from_secs(3)).then_some(())
        })
        .await;
    }

    async fn send(
        &self,
        event: &str,
        delivery: &str,
        body: Vec<u8>,
        signature: Option<&str>,
    ) -> (u16, Value) {
        let signature = signature.map_or_else(|| sign(&body), ToOwned::to_owned);
        let request = self
            .http
            .post(format!("{}/api/issues/webhook", self.url))
            .header("x-github-event", event)
            .header("x-github-delivery", delivery)
            .header("x-hub-signature-256", signature)
            .body(body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A genuine delivery that is taken; what came of it.
    async fn deliver(&self, event: &str, delivery: &str, payload: &Value) -> Value {
        let (status, answer) = self.send(event, delivery, payload.to_string().into_bytes(), None).await;
        assert_eq!(status, 200, "{event}: {answer}");
        answer
    }

    async fn card(&self, number: u64) -> Issue {
        let cards = self.daemon.client.issues(&Default::default()).await.expect("the issues");
        cards.into_iter().find(|c| c.number == number).expect("the card is there")
    }

    fn paths(&self) -> Vec<String> {
        self.github.take_requests().into_iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={hex}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_its_one_thing_read_and_is_not_believed() {
    let s = Scene::start().await;
    // The payload lies about title, labels and state; GitHub knows better.
    s.github.rewrite(REPO, 2, "Really broken", "Text");
    let mut lie = hooks::payload("issues", "closed");
    lie["issue"]["number"] = 2.into();
    lie["issue"]["title"] = "A lie".into();
    lie["issue"]["state"] = "closed".into();
    lie["issue"]["labels"] = json!([{ "name": "status/done" }]);
    let answer = s.deliver("issues", "d-1", &lie).await;
    assert_eq!((&answer["effect"], &answer["duplicate"]), (&"hinted".into(), &false.into()), "{answer}");
    wait_until("the card", SOON, async || (s.card(2).await.title == "Really broken").then_some(())).await;
    let card = s.card(2).await;
    assert_eq!(
        (card.state, card.labels),
        (dispatch_shared::issue::IssueState::Open, vec!["status/ready".to_owned()])
    );
    s.quiet().await;
    assert_eq!(s.paths(), ["GET /repos/acme/api/issues/2"], "that issue and nothing else");

    // A pull request: read itself. A rename: the repository itself.
    let mut pull = hooks::payload("pull_request", "synchronize");
    pull["pull_request"]["number"] = s.pr.into();
    s.deliver("pull_request", "d-2", &pull).await;
    s.quiet().await;
    let read = s.paths();
    assert!(read.contains(&format!("GET /repos/acme/api/pulls/{}", s.pr)), "{read:?}");
    assert!(read.iter().all(|r| !r.contains("/issues")), "{read:?}");
    s.github.rename_repo(REPO, "acme/renamed");
    s.deliver("repository", "d-3", &hooks::payload("repository", "renamed")).await;
    wait_until("the new name", SOON, async || {
        let repos = s.daemon.client.repos().await.ok()?;
        (repos[0].full_name.to_string() == "acme/renamed").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_are_renamed_have_every_card_read() {
    let s = Scene::start().await;
    // As GitHub does it: no issue's time changes.
    s.github.rename_label(REPO, "status/ready", "status/backlog");
    s.deliver("label", "d-1", &hooks::payload("label", "edited")).await;
    wait_until("the cards", SOON, async || {
        let cards = s.daemon.client.issues(&Default::default()).await.ok()?;
        // The first one is in review, by its pull request.
        cards.iter().filter(|c| c.number > 1).all(|c| c.labels == ["status/backlog"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_becomes_few_requests() {
    let s = Scene::start().await;
    let mut payload = hooks::payload("issues", "labeled");
    let began = Instant::now();
    for n in 0..200_u64 {
        payload["issue"]["number"] = (n % 3 + 1).into();
        s.deliver("issues", &format!("burst-{n}"), &payload).await;
    }
    let took = began.elapsed();
    s.quiet().await;
    let same = s.paths();
    // Three issues, once for each pause of two seconds that the burst took.
    let rounds = 2 + usize::try_from(took.as_secs() / 2).expect("a short burst");
    assert!(same.len() <= 3 * rounds, "{} requests in {took:?}: {same:?}", same.len());
    for n in 0..200_u64 {
        payload["issue"]["number"] = (n + 1).into();
        s.deliver("issues", &format!("many-{n}"), &payload).await;
    }
    s.quiet().await;
    let many = s.paths();
    assert!(many.len() <= 6 * rounds, "{} requests: {many:?}", many.len());
    assert!(many.iter().any(|r| r.contains("sort=updated&direction=desc&per_page=1")), "a sync: {many:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_waits_for_no_forge() {
    let s = Scene::start().await;
    // Everything hangs, and a sync is under way.
    s.github.fail_next("/", Fault::Slow(Duration::from_secs(25)), 1_000);
    let client = s.place.client();
    let sync = tokio::spawn(async move { client.sync(None).await });
    wait_until("the sync to hang", SOON, async || (!s.github.requests().is_empty()).then_some(())).await;
    let mut comment = hooks::payload("pull_request_review_comment", "created");
    comment["pull_request"]["number"] = s.pr.into();
    comment["pull_request"]["head"]["ref"] = "fix/issue-1-broken".into();
    comment["comment"]["user"] = json!({ "login": "ada", "id": 9, "type": "User" });
    let mut check = hooks::payload("check_run", "completed");
    check["check_run"]["conclusion"] = "failure".into();
    check["check_run"]["pull_requests"] =
        json!([{ "number": 999, "head": { "ref": "fix/issue-9-x", "sha": "c" } }]);
    for (event, delivery, payload) in [
        ("pull_request_review_comment", "d-1", &comment),
        ("check_run", "d-2", &check),
        ("issues", "d-3", &hooks::payload("issues", "opened")),
    ] {
        let began = Instant::now();
        let answer = s.deliver(event, delivery, payload).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{event}: {:?}", began.elapsed());
        let effect = if delivery == "d-1" { "enqueued" } else { "hinted" };
        assert_eq!(answer["effect"], effect, "{event}: {answer}");
    }
    let queued: Vec<Value> = s.daemon.client.get("/api/pr-fix-queue/queued", &()).await.expect("the queue");
    assert_eq!((queued.len(), &queued[0]["pr"]), (1, &s.pr.into()), "what was said is kept: {queued:?}");
    sync.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_counts_once_also_after_a_kill() {
    let s = Scene::start().await;
    let payload = hooks::payload("issues", "labeled");
    assert_eq!(s.deliver("issues", "once", &payload).await["duplicate"], false);
    assert_eq!(s.deliver("issues", "once", &payload).await["duplicate"], true);
    let Scene { github, place, daemon, url, http, pr } = s;
    daemon.kill();
    let daemon = place.start().await;
    let s = Scene { github, place, daemon, url, http, pr };
    let again = s.deliver("issues", "once", &payload).await;
    assert_eq!((&again["duplicate"], &again["effect"]), (&true.into(), &"ignored".into()));
    assert_eq!(s.deliver("issues", "another", &payload).await["duplicate"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_unknown_or_elsewhere_has_no_effect_and_is_told_so() {
    let s = Scene::start().await;
    let payload = hooks::payload("issues", "opened").to_string().into_bytes();
    for wrong in ["", "sha256=00", &sign(b"something else")] {
        assert_eq!(s.send("issues", "d-0", payload.clone(), Some(wrong)).await.0, 401, "{wrong}");
    }
    let spaced = [payload.clone(), b"\n".to_vec()].concat();
    assert_eq!(s.send("issues", "d-0", spaced, Some(&sign(&payload))).await.0, 401, "over the raw body");
    assert_eq!(s.send("issues", "d-1", b"no json".to_vec(), None).await.0, 400);
    let reason = |answer: &Value| answer["reason"].as_str().unwrap_or_default().to_owned();
    let ping = s.deliver("ping", "d-2", &json!({ "zen": "Design for failure.", "hook_id": 1 })).await;
    assert!(ping["effect"] == "ignored" && reason(&ping).contains("ping"), "{ping}");
    let star = s.deliver("star", "d-3", &hooks::payload("issues", "opened")).await;
    assert!(star["effect"] == "ignored" && reason(&star).contains("this kind"), "{star}");
    let mut other = hooks::payload("issues", "opened");
    other["repository"]["full_name"] = "else/where".into();
    other["repository"]["id"] = 4.into();
    let other = s.deliver("issues", "d-4", &other).await;
    assert!(other["effect"] == "ignored" && reason(&other).contains("not tracked"), "{other}");
    s.quiet().await;
    assert_eq!(s.paths(), [] as [String; 0], "GitHub was asked for nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_that_is_subscribed_to_is_taken() {
    let s = Scene::start().await;
    for (n, (event, action)) in hooks::ALL.iter().enumerate() {
        let answer = s.deliver(event, &format!("all-{n}"), &hooks::payload(event, action)).await;
        assert_eq!(answer["duplicate"], false, "{event}: {answer}");
        let why = answer["reason"].as_str().unwrap_or_default();
        assert!(!why.contains("this kind") && !why.contains("not tracked"), "{event}: {answer}");
    }
    // The largest that GitHub sends, and one byte more than is taken.
    let mut large = hooks::payload("push", "");
    large["padding"] = "x".repeat(25 * 1024 * 1024 - 64 * 1024).into();
    assert_eq!(s.send("push", "large", large.to_string().into_bytes(), None).await.0, 200);
    assert_eq!(s.send("push", "larger", vec![b' '; 25 * 1024 * 1024 + 1], None).await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_entered_in_the_client_opens_the_door_without_a_restart() {
    let s = Scene::start().await;
    let Scene { github, mut place, daemon, url, http, pr } = s;
    daemon.stop().await;
    place.env("WEBHOOK_SECRET", "");
    let daemon = place.start().await;
    let s = Scene { github, place, daemon, url, http, pr };
    let payload = hooks::payload("issues", "opened").to_string().into_bytes();
    assert_eq!(s.send("issues", "d-1", payload.clone(), None).await.0, 503, "no secret, no webhook");
    let put = dispatch_shared::protocol::setup::SetupRequest {
        webhook_secret: Some(SECRET.into()),
        ..Default::default()
    };
    let after = s.daemon.client.put_setup(&put).await.expect("kept");
    assert_eq!((after.webhook_secret.source.as_deref(), after.restart_needed), (Some("setup"), false));
    assert_eq!(s.send("issues", "d-1", payload, None).await.0, 200);
}
