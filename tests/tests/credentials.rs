//! Where GitHub's token comes from, what happens when it is rotated or refused, and what is said of what it lacks: the real
//! daemon and a fake GitHub.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_shared::protocol::control::{Problem, ProblemKind};
use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_shared::protocol::setup::{Setup, SetupRequest};
use dispatch_tests::daemon::{Daemon, Place, wait_until};
use dispatch_tests::github::{FakeGithub, TOKEN};
use dispatch_tests::secret::Secret;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
const REPO: &str = "acme/api";

async fn github(tokens: &[&str]) -> FakeGithub {
    let github = FakeGithub::start().await;
    github.revoke_token(TOKEN);
    tokens.iter().for_each(|t| github.add_token(t));
    github.add_repo("acme", "api");
    github.add_issue(REPO, "Broken", "Text", &["status/ready"]);
    github
}

fn place(github: &FakeGithub) -> Place {
    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.env("GITHUB_API_URL", github.url().as_str());
    // No `gh` of this machine has a say.
    place.env("PATH", "/usr/bin:/bin");
    place
}

fn write(path: &Path, text: &str, mode: u32) {
    // As a careful person does: never half of it, never open to others in between.
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).expect("a mode");
    std::fs::rename(&new, path).expect("a place");
}

async fn track(daemon: &Daemon) {
    let add = AddRepoRequest { full_name: Some(REPO.into()), ..AddRepoRequest::default() };
    daemon.client.add_repo(&add).await.expect("the repository can be tracked");
}

async fn synced(daemon: &Daemon) -> Result<(), String> {
    let answer = daemon.client.sync(None).await.expect("an answer");
    answer.results.into_iter().find_map(|r| r.error).map_or(Ok(()), Err)
}

async fn setup(daemon: &Daemon) -> Setup {
    daemon.client.setup().await.expect("setup")
}

async fn credential_problem(daemon: &Daemon) -> Option<Problem> {
    let problems = daemon.client.problems().await.expect("the problems");
    problems.into_iter().find(|p| p.id.starts_with("credential-"))
}

/// What `dispatchd check` says, and whether it is content.
fn check(place: &Place, args: &[&str]) -> (bool, String) {
    let mut command = place.command();
    let out = command.arg("check").args(args).stdout(std::process::Stdio::piped()).output().expect("it runs");
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A `gh` that prints what a file holds, and notes that it was asked.
fn gh(place: &Place, token: &str) -> (String, PathBuf, PathBuf) {
    let (bin, file, asked) =
        (place.path().join("bin"), place.path().join("gh-token"), place.path().join("asked"));
    std::fs::create_dir(&bin).expect("a directory");
    std::fs::write(&file, token).expect("a file");
    let script = format!("#!/bin/sh\necho \"$*\" >>{}\ncat {}\n", asked.display(), file.display());
    std::fs::write(bin.join("gh"), script).expect("a script");
    std::fs::set_permissions(bin.join("gh"), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    (format!("{}:/usr/bin:/bin", bin.display()), file, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_place_is_found_in_its_order_and_named_but_never_shown() {
    const TOKENS: [&str; 5] =
        ["ghp_fromEnv01", "ghp_fromFile2", "ghp_fromSystemd3", "ghp_fromSetup4", "ghp_fromGh05"];
    let github = github(&TOKENS).await;
    let mut place = place(&github);
    let (path, _, asked) = gh(&place, TOKENS[4]);
    let credentials = place.path().join("credentials");
    std::fs::create_dir(&credentials).expect("a directory");
    write(&credentials.join("github-token"), TOKENS[2], 0o440);
    let file = place.path().join("token");
    write(&file, TOKENS[1], 0o600);
    std::fs::create_dir(place.state()).expect("a directory");
    let kept = format!("{{\"githubToken\":\"{}\"}}", TOKENS[3]);
    write(&place.state().join("credentials.json"), &kept, 0o600);

    place.env("PATH", &path);
    place.env("GH_TOKEN", TOKENS[0]);
    place.env("CREDENTIALS_DIRECTORY", &credentials.display().to_string());
    place.configure(&format!(
        "[github]\ntoken_file = \"{}\"\nrepositories = [\"{REPO}\"]\n[sync]\nevery = \"1h\"\n",
        file.display()
    ));
    let mut said = String::new();
    let mut look = async |place: &Place, word: &str, named: &str, token: &str| {
        let (fine, text) = check(place, &[]);
        assert!(fine && text.contains(named), "{word}: {text}");
        github.take_requests();
        let daemon = place.start().await;
        wait_until(&format!("a sync with the token from {word}"), SOON, async || {
            daemon.client.repos().await.ok()?.first()?.last_synced_at
        })
        .await;
        let sent = github.take_requests();
        let bearer = format!("Bearer {token}");
        assert!(sent.iter().all(|r| r.header("authorization") == Some(&bearer)), "{word}: {sent:?}");
        let credential = setup(&daemon).await.github_token;
        assert_eq!((credential.configured, credential.source.as_deref()), (true, Some(word)));
        said += &format!("{text}{credential:?}");
        daemon.stop().await;
        std::fs::remove_file(place.state().join("dispatch.redb")).expect("the store goes");
    };
    look(&place, "environment", "GH_TOKEN in the environment", TOKENS[0]).await;
    place.env("GH_TOKEN", "");
    look(&place, "file", "github.token_file", TOKENS[1]).await;
    place.configure(&format!("[github]\nrepositories = [\"{REPO}\"]\n[sync]\nevery = \"1h\"\n"));
    look(&place, "systemd", "the systemd credential `github-token`", TOKENS[2]).await;
    place.env("CREDENTIALS_DIRECTORY", "");
    look(&place, "setup", "entered in the client", TOKENS[3]).await;
    std::fs::remove_file(place.state().join("credentials.json")).expect("it goes");
    assert!(!asked.exists(), "nobody asks `gh` while there is a token elsewhere");
    look(&place, "gh", "`gh auth token --hostname 127.0.0.1", TOKENS[4]).await;
    for token in TOKENS {
        assert!(
            !said.contains(token) && !Secret::new(token).is_in(place.log().as_bytes()),
            "{token} is shown"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_lost_and_the_sentence_says_what_to_do() {
    const FOUND: &str = "ghp_foundAgain";
    let github = github(&[FOUND]).await;
    let mut place = place(&github);
    place.configure("[sync]\nevery = \"1h\"\nautomation = false\n");
    place.env("GH_TOKEN", FOUND);
    let daemon = place.start().await;
    track(&daemon).await;
    synced(&daemon).await.expect("the token is good");
    daemon.stop().await;

    place.env("GH_TOKEN", "");
    let daemon = place.start().await;
    let said = synced(&daemon).await.expect_err("there is no token");
    assert!(said.contains("GH_TOKEN") && said.contains("gh auth login"), "{said}");
    let claim = json!({"repoFullName": REPO, "issueNumber": 1, "agentName": "kai"});
    let _: Value = daemon.client.call("POST", "/api/issues/claim", &claim).await.expect("it is kept");
    github.take_requests();
    daemon.stop().await;
    assert!(!github.labels(REPO, 1).contains(&"agent/kai".to_owned()), "nobody could write it");

    place.env("GH_TOKEN", FOUND);
    let daemon = place.start().await;
    wait_until("the labels that waited", SOON, async || {
        github.labels(REPO, 1).contains(&"agent/kai".to_owned()).then_some(())
    })
    .await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_can_read_or_that_is_missing_is_refused_in_words() {
    let github = github(&[]).await;
    let place = place(&github);
    let file = place.path().join("token");
    place.configure(&format!("[github]\ntoken_file = \"{}\"\n", file.display()));
    let refused = || {
        let mut command = place.command();
        let out = command.arg("check").stderr(std::process::Stdio::piped()).output().expect("it runs");
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let missing = refused();
    assert!(missing.contains("github.token_file") && missing.contains("No such file"), "{missing}");
    write(&file, "ghp_seenByAll", 0o644);
    let open = refused();
    assert!(open.contains("can be read by others") && open.contains("chmod 600"), "{open}");
    assert!(!open.contains("ghp_seenByAll"), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_file_is_used_at_once_and_a_refused_token_is_a_problem_that_names_its_place() {
    const OLD: &str = "ghp_oldTokenNeverToBeSeen";
    const NEW: &str = "ghp_newTokenNeverToBeSeen";
    let github = github(&[OLD]).await;
    let mut place = place(&github);
    place.env("DISPATCH_LOG", "trace");
    let file = place.path().join("token");
    write(&file, OLD, 0o600);
    place.configure(&format!(
        "[github]\ntoken_file = \"{}\"\n[sync]\nevery = \"1h\"\nautomation = false\n",
        file.display()
    ));
    let daemon = place.start().await;
    track(&daemon).await;
    synced(&daemon).await.expect("the first token is good");

    // Rotated while the old one is still good: the next request goes out with the new one.
    github.add_token(NEW);
    write(&file, NEW, 0o600);
    github.take_requests();
    synced(&daemon).await.expect("the second token is good");
    let sent = github.take_requests();
    assert!(sent.iter().all(|r| r.header("authorization") == Some(&format!("Bearer {NEW}"))), "{sent:?}");
    assert!(credential_problem(&daemon).await.is_none());

    // Revoked: read again once, sent once more, and then left alone.
    github.revoke_token(NEW);
    github.take_requests();
    let error = synced(&daemon).await.expect_err("no token is good");
    assert!(error.contains("github.token_file") && error.contains("Bad credentials"), "{error}");
    assert_eq!(github.take_requests().iter().map(|r| r.status).collect::<Vec<_>>(), [401, 401]);
    synced(&daemon).await.expect_err("it is still refused");
    assert_eq!(github.take_requests().len(), 0, "GitHub locks out whoever keeps on trying");
    let problem = wait_until("the problem", SOON, async || credential_problem(&daemon).await).await;
    assert_eq!((problem.kind, problem.subject.as_str()), (ProblemKind::Sync, "GitHub"));
    assert!(
        problem.text.contains(&file.display().to_string()) && problem.text.contains("write a new one"),
        "{problem:?}"
    );
    let shown = setup(&daemon).await.github_token;
    assert!(shown.note.is_some_and(|n| n.contains("does not accept")));

    // A new one in its file is enough.
    github.add_token(OLD);
    write(&file, OLD, 0o600);
    synced(&daemon).await.expect("the file has a good one again");
    wait_until("the problem to go", SOON, async || credential_problem(&daemon).await.is_none().then_some(()))
        .await;
    let audit = daemon.client.audit(&Default::default()).await.expect("the audit");
    let told = |action: &str| audit.iter().filter(|row| row.action == action).count();
    assert_eq!((told("credential_trouble"), told("credential_accepted")), (1, 1));

    // One that becomes open to others is not taken; the good one stays, and it is said.
    write(&file, NEW, 0o644);
    synced(&daemon).await.expect("the last good one stays");
    assert!(setup(&daemon).await.github_token.note.is_some_and(|n| n.contains("chmod 600")));
    daemon.stop().await;
    for token in [OLD, NEW] {
        let secret = Secret::new(token);
        let (with, files) = secret.files(&place.state());
        assert!(files > 1 && with.is_empty(), "{with:?}");
        assert!(place.log().contains("TRACE") && !secret.is_in(place.log().as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_entered_in_the_client_works_without_a_restart() {
    const TOKEN: &str = "ghp_enteredNeverToBeSeen";
    let github = github(&[TOKEN]).await;
    let place = place(&github);
    let daemon = place.start().await;
    let before = setup(&daemon).await;
    assert!(!before.github_token.configured);
    assert!(before.github_token.note.is_some_and(|n| n.contains("gh auth login")));
    let add = AddRepoRequest { full_name: Some(REPO.into()), ..AddRepoRequest::default() };
    let none = daemon.client.add_repo(&add).await.expect_err("there is no token");
    assert!(none.to_string().contains("there is no token"), "{none}");
    let put = SetupRequest { github_token: Some(TOKEN.into()), ..SetupRequest::default() };
    let after = daemon.client.put_setup(&put).await.expect("kept");
    assert_eq!((after.restart_needed, after.github_token.source.as_deref()), (false, Some("setup")));
    track(&daemon).await;
    synced(&daemon).await.expect("the token is good");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gh_is_asked_once_and_again_after_a_401() {
    let github = github(&["gho_first", "gho_second"]).await;
    let mut place = place(&github);
    let (path, file, asked) = gh(&place, "gho_first");
    place.env("PATH", &path);
    place.configure("[sync]\nevery = \"1h\"\n");
    let daemon = place.start().await;
    track(&daemon).await;
    for _ in 0..3 {
        synced(&daemon).await.expect("the token is good");
    }
    let times = || std::fs::read_to_string(&asked).unwrap_or_default().lines().count();
    assert_eq!(times(), 1);
    std::fs::write(&file, "gho_second").expect("logged in anew");
    synced(&daemon).await.expect("the first one is still good");
    assert_eq!(times(), 1, "it is not asked for every request");
    github.revoke_token("gho_first");
    synced(&daemon).await.expect("the second one is there");
    assert_eq!(times(), 2);
    let words = std::fs::read_to_string(&asked).expect("the notes");
    assert!(
        words.lines().all(|l| l
            == "auth token --hostname 127.0.0.1:".to_owned()
                + &github.url().port().map_or(String::new(), |p| p.to_string())),
        "{words}"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_lacks_is_said_before_and_at_work() {
    const FINE: &str = "github_pat_fineGrained1";
    let github = github(&[FINE]).await;
    github.forbid(FINE, &["issues=write", "contents=write", "statuses=read"]);
    let mut place = place(&github);
    place.env("GH_TOKEN", FINE);
    place.configure(&format!("[github]\nrepositories = [\"{REPO}\"]\n[sync]\nevery = \"1h\"\n"));
    let (fine, text) = check(&place, &[]);
    assert!(!fine);
    let web = github.url().origin().ascii_serialization();
    let place_of = format!("grant it at {web}/settings/personal-access-tokens");
    for missing in [
        "Issues: write is missing on acme/api: labels and comments cannot be set",
        "Contents: write is missing on acme/api: branches cannot be pushed",
        "Commit statuses: read is missing on acme/api",
    ] {
        assert!(text.contains(missing) && text.contains(&place_of), "{text}");
    }
    assert!(
        !text.contains("Pull requests: write") && !text.contains("Actions"),
        "what is granted is not named: {text}"
    );
    let labels = github.repo_labels(REPO);
    assert!(
        labels == ["status/ready"] && github.pulls(REPO).is_empty(),
        "looking changes nothing: {labels:?}"
    );
    let (fine, text) = check(&place, &["--offline"]);
    assert!(fine && text.contains("--offline"), "{text}");

    let daemon = place.start().await;
    wait_until("the first sync", SOON, async || daemon.client.repos().await.ok()?.first()?.last_synced_at)
        .await;
    assert!(setup(&daemon).await.repositories[0].checked_at.is_none(), "nobody has looked yet");
    let looked = daemon.client.check_setup().await.expect("setup").repositories.remove(0);
    assert_eq!((looked.token_kind.as_deref(), looked.missing.len()), (Some("fine-grained"), 3), "{looked:?}");
    let issue = daemon.client.issues(&Default::default()).await.expect("the issues").remove(0);
    let body = serde_json::json!({ "issueId": issue.issue_id, "status": "backlog" });
    daemon.client.call::<serde_json::Value>("POST", "/api/issues/move", &body).await.expect("it is moved");
    let problem = wait_until("the problem", SOON, async || {
        daemon.client.problems().await.ok()?.into_iter().find(|p| p.kind == ProblemKind::WriteRefused)
    })
    .await;
    assert!(problem.text.contains(&looked.missing[0]), "the same words: {}", problem.text);
    let (fine, text) = check(&place, &[]);
    assert!(fine && text.contains("dispatchd serves"), "{text}");
    daemon.stop().await;

    // A classic token without the scope.
    github.forbid(FINE, &[]);
    github.add_token("ghp_classic");
    github.scope("ghp_classic", "read:org, gist");
    place.env("GH_TOKEN", "ghp_classic");
    let (fine, text) = check(&place, &[]);
    assert!(
        !fine && text.contains("the scope `repo` is missing") && text.contains("read:org, gist"),
        "{text}"
    );
    github.scope("ghp_classic", "repo, workflow");
    let (fine, text) = check(&place, &[]);
    assert!(fine && text.contains("ok    repository     acme/api"), "{text}");
}
