//! Dispatch as a GitHub App: words signed with its key, tokens of its installations, and what happens when they end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::protocol::repos::AddRepoRequest;
use dispatch_tests::daemon::{Place, wait_until};
use dispatch_tests::github::{FakeGithub, TOKEN};
use dispatch_tests::secret::Secret;
use dispatchd::core::record::Repo;
use dispatchd::edges::{Edges, Forge as _, ForgeError, Source, Token};
use dispatchd::forge::github::{App, Credential, GithubForge};

const SOON: Duration = Duration::from_secs(20);
const ID: &str = "Iv23liFake";
const PKCS1: &str = include_str!("../fixtures/app/pkcs1.pem");
const PKCS8: &str = include_str!("../fixtures/app/pkcs8.pem");

async fn github() -> FakeGithub {
    let github = FakeGithub::start().await;
    github.revoke_token(TOKEN);
    for owner in ["acme", "beta"] {
        github.add_repo(owner, "api");
        github.add_issue(&format!("{owner}/api"), "Broken", "Text", &["status/ready"]);
    }
    github.add_app(ID);
    github
}

fn forge(github: &FakeGithub, id: &str, installation: Option<u64>, pem: &str) -> Arc<GithubForge> {
    let source = Source::File { key: "github.app.private_key_file", path: "/etc/app.pem".into() };
    let key = Arc::new(Token { secret: dispatchd::secret::Secret::new(pem), source });
    let credential = Credential::App(App { id: id.to_owned(), installation, key });
    Arc::new(GithubForge::new(github.url(), credential, Edges::default()).expect("a forge"))
}

fn repo(name: &str) -> Repo {
    Repo::unknown(name.parse().expect("a name"))
}

fn statuses(github: &FakeGithub, part: &str) -> Vec<u16> {
    github.requests().iter().filter(|r| r.path.contains(part)).map(|r| r.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_owner_has_an_installation_and_many_at_once_share_one_token() {
    for pem in [PKCS1, PKCS8] {
        let github = github().await;
        github.install_app("acme");
        github.install_app("beta");
        let forge = forge(&github, ID, None, pem);
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let (forge, owner) = (forge.clone(), if n % 2 == 0 { "acme" } else { "Beta" });
                tokio::spawn(async move { forge.issue(&repo(&format!("{owner}/api")), 1).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("a task").expect("an issue").title, "Broken");
        }
        assert_eq!(github.app_tokens(), 2, "one for each owner");
        let mut looked_up = statuses(&github, "/installation");
        looked_up.sort_unstable();
        assert_eq!(looked_up, [200, 200, 201, 201], "looked up once each");
        let remote = forge.remote(&repo("acme/api")).await.expect("a remote");
        let (user, password) = remote.credential.expect("a credential");
        assert_eq!(user, "x-access-token");
        let url = remote.url.replace("://", &format!("://{user}:{}@", password.expose()));
        let out =
            std::process::Command::new("git").args(["ls-remote", &url]).output().expect("git is installed");
        assert!(String::from_utf8_lossy(&out.stdout).contains("refs/heads/main"), "{out:?}");
        assert!(!format!("{:?}", forge.remote(&repo("acme/api")).await).contains(password.expose()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_anew_early_and_after_a_401_once() {
    let github = github().await;
    let id = github.install_app("acme");
    let forge = forge(&github, ID, Some(id), PKCS1);
    let acme = repo("acme/api");
    for _ in 0..3 {
        forge.issue(&acme, 1).await.expect("an issue");
    }
    assert_eq!((github.app_tokens(), statuses(&github, "/repos/acme/api/installation")), (1, vec![]));
    // Revoked before its time.
    github.end_app_tokens();
    github.take_requests();
    forge.issue(&acme, 1).await.expect("an issue, with another token");
    assert_eq!(statuses(&github, "/issues/1"), [401, 200]);
    assert_eq!(github.app_tokens(), 2);
    // A short life is renewed half-way.
    github.app_tokens_live("acme", Duration::from_secs(4));
    github.end_app_tokens();
    forge.issue(&acme, 1).await.expect("an issue");
    let made = github.app_tokens();
    wait_until("the token to be made anew before its end", SOON, async || {
        forge.issue(&acme, 1).await.expect("an issue");
        (github.app_tokens() > made).then_some(())
    })
    .await;
    let late = statuses(&github, "/issues/1").iter().filter(|s| **s == 401).count();
    assert_eq!(late, 2, "renewed in time: only the two that were ended early met a 401");
    assert!(forge.troubles().borrow().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_outlives_the_token_it_was_given_with() {
    let github = github().await;
    github.install_app("acme");
    let forge = forge(&github, ID, None, PKCS8);
    let mut acme = repo("acme/api");
    let first = forge.changes(&acme, None).await.expect("a page");
    acme.cursor = first.cursor.expect("a cursor");
    let again = forge.changes(&acme, None).await.expect("a page");
    assert_eq!((again.requests, again.issues.len()), (1, 0));
    github.end_app_tokens();
    github.take_requests();
    // GitHub's validators depend on the token: the old one is sent, does not match, and a new one comes of it.
    let rotated = forge.changes(&acme, None).await.expect("a page");
    assert!(github.requests().iter().any(|r| r.header("if-none-match").is_some()));
    acme.cursor = rotated.cursor.expect("a cursor");
    assert_eq!(forge.changes(&acme, None).await.expect("a page").requests, 1);
    assert_eq!(github.requests().last().map(|r| r.status), Some(304));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_app_is_said_in_words() {
    let github = github().await;
    let said = async |forge: &GithubForge, repo: &Repo| match forge.issue(repo, 1).await {
        Err(ForgeError::Unauthorized(said)) => said,
        other => panic!("{other:?}"),
    };
    let acme = repo("acme/api");
    let one = forge(&github, ID, None, PKCS1);
    let none = said(&one, &acme).await;
    assert!(none.contains("not installed on acme/api"), "{none}");
    assert!(one.troubles().borrow().contains_key("acme"));
    github.install_app("acme");
    wait_until("the installation to be found", SOON, async || one.issue(&acme, 1).await.ok()).await;
    assert!(one.troubles().borrow().is_empty(), "it is over");
    github.uninstall_app("acme");
    let gone = said(&one, &acme).await;
    assert!(gone.contains("not installed"), "{gone}");
    github.install_app("acme");
    let other = said(&forge(&github, "another", None, PKCS1), &acme).await;
    assert!(other.contains("GitHub App another") && other.contains("/etc/app.pem"), "{other}");
    let broken = said(&forge(&github, ID, None, "-----BEGIN nothing"), &acme).await;
    assert!(broken.contains("no private key") && broken.contains("/etc/app.pem"), "{broken}");
    let missing = said(&forge(&github, ID, Some(4), PKCS1), &acme).await;
    assert!(missing.contains("installation 4"), "{missing}");

    github.permit_app("acme", "issues", "read");
    github.permit_app("acme", "checks", "");
    let allowed = forge(&github, ID, None, PKCS1).allowed(&acme).await.expect("a look");
    assert_eq!((allowed.kind, allowed.missing.len()), ("app", 2), "{allowed:?}");
    assert!(allowed.missing[0].starts_with("Issues: write is missing on acme/api"));
    assert!(allowed.missing[1].starts_with("Checks: read is missing on acme/api"));
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_works_as_an_app_and_shows_neither_key_nor_tokens() {
    let github = github().await;
    github.install_app("acme");
    let mut place = Place::new(env!("CARGO_BIN_EXE_test-dispatchd"));
    place.env("GITHUB_API_URL", github.url().as_str());
    place.env("DISPATCH_LOG", "trace");
    let key = place.path().join("app.pem");
    private(&key, PKCS1);
    place.configure(&format!(
        "[github.app]\nid = \"{ID}\"\nprivate_key_file = \"{}\"\n[sync]\nevery = \"1h\"\n",
        key.display()
    ));
    let daemon = place.start().await;
    let add = |name: &str| AddRepoRequest { full_name: Some(name.into()), ..AddRepoRequest::default() };
    daemon.client.add_repo(&add("acme/api")).await.expect("the App is installed there");
    let elsewhere = daemon.client.add_repo(&add("beta/api")).await.expect_err("not there");
    assert!(elsewhere.to_string().contains("not installed on beta/api"), "{elsewhere}");
    let setup = daemon.client.check_setup().await.expect("setup");
    assert_eq!(setup.github_token.source.as_deref(), Some("app"));
    assert_eq!(
        (setup.repositories[0].token_kind.as_deref(), setup.repositories[0].missing.len()),
        (Some("app"), 0)
    );
    let issue = daemon.client.issues(&Default::default()).await.expect("the issues");
    let issue = match issue.into_iter().next() {
        Some(issue) => issue,
        None => {
            wait_until("the issue", SOON, async || {
                daemon.client.issues(&Default::default()).await.ok()?.into_iter().next()
            })
            .await
        }
    };
    let body = serde_json::json!({ "issueId": issue.issue_id, "status": "backlog" });
    daemon.client.call::<serde_json::Value>("POST", "/api/issues/move", &body).await.expect("it is moved");
    wait_until("the label", SOON, async || {
        (github.labels("acme/api", 1) == ["status/backlog"]).then_some(())
    })
    .await;
    let answers = format!("{:?}", daemon.client.setup().await.expect("setup"));
    daemon.stop().await;
    let line = PKCS1.lines().nth(3).expect("a key has lines");
    for secret in [line, "ghs_installation70001n0NeverToBeSeen"] {
        let secret = Secret::new(secret);
        let (with, files) = secret.files(&place.state());
        assert!(files > 1 && with.is_empty(), "{with:?}");
        assert!(!secret.is_in(place.log().as_bytes()) && !secret.is_in(answers.as_bytes()));
    }
    // A word of the App begins with the same header each time.
    assert!(!place.log().contains("eyJhbGciOiJSUzI1NiIs"), "a signed word is in the log");
    assert!(place.log().contains("TRACE"));
}
