//! The local forge against real git repositories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::issue::IssueState;

use super::*;
use crate::core::record::ForgeKind;
use crate::edges::StepHook;

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
    forge: LocalForge,
    repo: Repo,
}

fn git(path: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .arg("-C")
        .arg(path)
        .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
        .args(args)
        .output()
        .unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn repo_at(path: &Path) -> Repo {
    Repo {
        forge: ForgeKind::Local,
        path: Some(path.to_owned()),
        tracked: true,
        ..Repo::unknown("local/sample".parse().unwrap())
    }
}

impl Place {
    async fn new() -> Place {
        Place::with(Edges::default()).await
    }

    async fn with(edges: Edges) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sample");
        fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        fs::write(path.join("README.md"), "hello\n").unwrap();
        git(&path, &["add", "."]);
        git(&path, &["commit", "-qm", "first"]);
        let forge = LocalForge::new(edges);
        let mut repo = repo_at(&path);
        let seen = forge.repository(&repo).await.unwrap();
        repo.key = seen.key;
        repo.default_branch = seen.default_branch;
        Place { _dir: dir, path, forge, repo }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(".dispatch").join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(".dispatch").join(name)).unwrap()
    }

    async fn sync(&mut self) -> IssuePage {
        let page = self.forge.changes(&self.repo, None).await.unwrap();
        assert_eq!(page.next, None);
        self.repo.cursor = page.cursor.clone().unwrap();
        page
    }

    fn branch_with_commit(&self, name: &str) {
        git(&self.path, &["checkout", "-qb", name]);
        fs::write(self.path.join(format!("{}.txt", name.replace('/', "-"))), "x\n").unwrap();
        git(&self.path, &["add", "."]);
        git(&self.path, &["commit", "-qm", name]);
        git(&self.path, &["checkout", "-q", "main"]);
    }

    async fn open_pull(&self, head: &str, issue: u64) -> Result<SeenPull, ForgeError> {
        let pull = NewPull {
            title: format!("Fix: #{issue}"),
            body: format!("Fixes #{issue}\n\nBecause."),
            head: head.into(),
            base: "main".into(),
        };
        self.forge.open_pull(&self.repo, &pull).await
    }
}

const DOOR: &str =
    "---\ntitle: Fix the door\nlabels: [status/ready, priority/p1]\nestimate: 3 # mine\n---\n\nIt squeaks.\n";

#[tokio::test]
async fn the_checkout_stays_clean_and_identity_survives_a_move() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.sync().await;
    assert_eq!(git(&place.path, &["status", "--porcelain"]), "");
    assert_eq!(place.repo.default_branch, "main");
    let moved = place.path.with_file_name("elsewhere");
    fs::rename(&place.path, &moved).unwrap();
    let gone = place.forge.changes(&place.repo, None).await.unwrap_err();
    assert!(matches!(gone, ForgeError::NotFound(_)), "{gone}");
    let seen = place.forge.repository(&repo_at(&moved)).await.unwrap();
    assert_eq!(seen.key, place.repo.key);
}

#[tokio::test]
async fn another_repository_in_the_same_place_is_not_taken_for_the_tracked_one() {
    let place = Place::new().await;
    fs::remove_file(place.path.join(".dispatch/id")).unwrap();
    let error = place.forge.changes(&place.repo, None).await.unwrap_err();
    assert!(error.to_string().contains("not the repository that was tracked"), "{error}");
}

#[tokio::test]
async fn directories_that_are_no_work_tree_are_refused() {
    let place = Place::new().await;
    let sub = place.path.join("sub");
    fs::create_dir(&sub).unwrap();
    let error = place.forge.repository(&repo_at(&sub)).await.unwrap_err();
    assert!(error.to_string().contains("lies inside"), "{error}");
    let plain = tempfile::tempdir().unwrap();
    let error = place.forge.repository(&repo_at(plain.path())).await.unwrap_err();
    assert!(error.to_string().contains("no git repository"), "{error}");
    git(plain.path(), &["init", "-q"]);
    let error = place.forge.repository(&repo_at(plain.path())).await.unwrap_err();
    assert!(error.to_string().contains("first commit"), "{error}");
}

#[tokio::test]
async fn changes_come_once_and_removed_files_are_gone() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.write("issues/2-roof.md", "---\ntitle: Roof\nstate: closed\nclosed: 2026-01-02T03:04:05Z\n---\n");
    let page = place.sync().await;
    assert_eq!(page.issues.iter().map(|i| i.number).collect::<Vec<_>>(), [1, 2]);
    let door = &page.issues[0];
    assert_eq!((door.title.as_str(), door.body.as_str()), ("Fix the door", "It squeaks.\n"));
    assert_eq!(door.labels, ["status/ready", "priority/p1"]);
    assert_eq!(page.issues[1].state, IssueState::Closed);
    assert_eq!(page.issues[1].closed_at, Some(Timestamp::parse("2026-01-02T03:04:05Z").unwrap()));
    assert_eq!(place.sync().await.issues, [], "nothing changed");
    fs::remove_file(place.path.join(".dispatch/issues/1-door.md")).unwrap();
    assert_eq!(place.sync().await.gone, [1]);
    assert_eq!(place.sync().await.gone, [] as [u64; 0], "told once");
}

#[tokio::test]
async fn a_bad_file_is_skipped_and_never_gone() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.write("issues/2-roof.md", "---\ntitle: Roof\n---\n");
    place.sync().await;
    place.write("issues/2-roof.md", "---\ntitle: Roof: leaks\n---\nkeep me\n");
    place.write("issues/3-odd.md", "---\ntitle: Odd\nstate: maybe\n---\n");
    place.write("issues/1-again.md", "---\ntitle: Again\n---\n");
    let page = place.sync().await;
    assert_eq!(page.issues.len(), 1);
    assert_eq!(page.gone, [] as [u64; 0]);
    let error = place.forge.issue(&place.repo, 3).await.unwrap_err().to_string();
    assert!(error.contains("3-odd.md, line 3: `state`: `maybe`"), "{error}");
    let error = place.forge.add_labels(&place.repo, 2, &["x".into()]).await.unwrap_err().to_string();
    assert!(error.contains("2-roof.md, line 2"), "{error}");
    assert_eq!(place.read("issues/2-roof.md"), "---\ntitle: Roof: leaks\n---\nkeep me\n");
}

#[tokio::test]
async fn if_no_file_can_be_read_the_sync_fails_and_says_why() {
    let place = Place::new().await;
    place.write("issues/1-door.md", "no front matter\n");
    let error = place.forge.changes(&place.repo, None).await.unwrap_err().to_string();
    assert!(error.contains("1-door.md, line 1"), "{error}");
}

#[tokio::test]
async fn labels_change_one_by_one_and_nothing_else_does() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    let labels = place.forge.add_labels(&place.repo, 1, &["agent/kai".into(), "Status/Ready".into()]).await;
    assert_eq!(labels.unwrap(), ["status/ready", "priority/p1", "agent/kai"], "labels compare case-folded");
    place.forge.remove_label(&place.repo, 1, "status/ready").await.unwrap();
    place.forge.remove_label(&place.repo, 1, "not/there").await.unwrap();
    let text = place.read("issues/1-door.md");
    assert!(text.contains("labels: [priority/p1, agent/kai]\nestimate: 3 # mine\n"), "{text}");
    assert!(text.ends_with("---\n\nIt squeaks.\n"), "{text}");
    assert_eq!(place.sync().await.issues[0].labels, ["priority/p1", "agent/kai"]);
    let missing = place.forge.remove_label(&place.repo, 9, "x").await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound(_)), "{missing}");
}

#[tokio::test]
async fn parallel_writers_lose_nothing() {
    let place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    let adding = (0..8).map(|n| {
        let (forge, repo) = (place.forge.clone(), place.repo.clone());
        tokio::spawn(async move { forge.add_labels(&repo, 1, &[format!("l{n}")]).await })
    });
    for one in futures_util::future::join_all(adding).await {
        one.unwrap().unwrap();
    }
    assert_eq!(place.forge.issue(&place.repo, 1).await.unwrap().labels.len(), 10);
}

#[tokio::test]
async fn a_comment_is_written_once() {
    let place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    for _ in 0..2 {
        place.forge.comment(&place.repo, 1, "Hello\n<!-- m1 -->", "<!-- m1 -->").await.unwrap();
    }
    place.forge.comment(&place.repo, 1, "Again", "<!-- m2 -->").await.unwrap();
    assert_eq!(fs::read_dir(place.path.join(".dispatch/comments/1")).unwrap().count(), 2);
    assert!(place.read("comments/1/0002.md").contains("<!-- m2 -->"));
    assert!(matches!(place.forge.comment(&place.repo, 9, "x", "m").await, Err(ForgeError::NotFound(_))));
}

#[tokio::test]
async fn what_people_said_is_read_newest_last_and_nothing_else() {
    let place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    let read = async || place.forge.comments(&place.repo, 1).await.unwrap();
    assert_eq!(read().await, Comments::default());
    place.forge.comment(&place.repo, 1, "Begun", "<!-- dispatch:i-1 -->").await.unwrap();
    place.write("comments/1/0002.md", "---\nauthor: eve\ncreated: 2026-01-02T03:04:05Z\n---\n\nOil it.\n");
    place.write("comments/1/10.md", "Or a new hinge?\n");
    place.write("comments/1/.new-3.md", "half of");
    place.write("comments/1/notes.txt", "no comment");
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "secret").unwrap();
    std::os::unix::fs::symlink(secret.path(), place.path.join(".dispatch/comments/1/0011.md")).unwrap();
    let found = read().await;
    let texts: Vec<_> = found.list.iter().map(|c| (c.author.as_str(), c.text.as_str())).collect();
    assert_eq!(texts, [("eve", "Oil it.\n"), ("", "Or a new hinge?\n")]);
    assert_eq!((found.list[0].at, found.older), (Timestamp::parse("2026-01-02T03:04:05Z").ok(), false));
    for n in 12..=50 {
        place.write(&format!("comments/1/{n}.md"), &n.to_string());
    }
    let found = read().await;
    assert_eq!((found.list.len(), found.older), (Comments::WANTED, true));
    assert_eq!((found.list[0].text.as_str(), found.list[29].text.as_str()), ("21", "50"));
}

#[tokio::test]
async fn a_pull_request_is_merged_when_its_base_reaches_it_and_closes_its_issue() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.branch_with_commit("fix/issue-1-door");
    let pull = place.open_pull("fix/issue-1-door", 1).await.unwrap();
    assert_eq!((pull.number, pull.state), (2, PullState::Open));
    assert_eq!(pull.closes, [1]);
    assert_eq!(pull.head_sha, git(&place.path, &["rev-parse", "fix/issue-1-door"]));
    let found = place.forge.find_pull(&place.repo, "fix/issue-1-door").await.unwrap();
    assert_eq!(found.map(|p| p.number), Some(2));
    let again = place.open_pull("fix/issue-1-door", 1).await.unwrap_err();
    assert!(matches!(again, ForgeError::Refused(_)), "{again}");
    assert_eq!(place.sync().await.issues[0].state, IssueState::Open);
    git(&place.path, &["-c", "user.name=T", "merge", "-q", "--no-ff", "-m", "merge", "fix/issue-1-door"]);
    let page = place.sync().await;
    assert_eq!(page.pulls[0].state, PullState::Merged);
    assert_eq!(page.issues[0].state, IssueState::Closed);
    assert!(page.issues[0].closed_at.is_some());
    // Reopened by hand it stays open: a merge closes once.
    let reopened = place.read("issues/1-door.md").replace("state: closed", "state: open");
    place.write("issues/1-door.md", &reopened);
    assert_eq!(place.sync().await.issues[0].state, IssueState::Open);
}

#[tokio::test]
async fn a_branch_reset_to_its_base_is_not_merged_and_a_moved_head_is_seen() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.branch_with_commit("fix/a");
    place.open_pull("fix/a", 1).await.unwrap();
    git(&place.path, &["checkout", "-q", "fix/a"]);
    git(&place.path, &["commit", "-q", "--allow-empty", "-m", "more"]);
    git(&place.path, &["checkout", "-q", "main"]);
    let tip = git(&place.path, &["rev-parse", "fix/a"]);
    assert_eq!(place.sync().await.pulls[0].head_sha, tip);
    git(&place.path, &["branch", "-qf", "fix/a", "main"]);
    let page = place.sync().await;
    assert_eq!((page.pulls[0].state, page.issues[0].state), (PullState::Open, IssueState::Open));
}

#[tokio::test]
async fn a_branch_without_commits_opens_no_pull_request() {
    let place = Place::new().await;
    git(&place.path, &["branch", "empty"]);
    for head in ["empty", "absent"] {
        let error = place.open_pull(head, 1).await.unwrap_err();
        assert!(matches!(error, ForgeError::Refused(_)), "{error}");
    }
}

#[tokio::test]
async fn every_write_tells_the_hook_and_changes_nothing_if_that_fails() {
    struct Deny;
    impl StepHook for Deny {
        fn before(&self, name: &'static str) -> std::io::Result<()> {
            if name == "forge.init" { Ok(()) } else { Err(std::io::Error::other("denied")) }
        }
    }
    let place = Place::with(Edges { hook: Arc::new(Deny), ..Edges::default() }).await;
    place.write("issues/1-door.md", DOOR);
    place.branch_with_commit("fix/a");
    assert!(place.forge.add_labels(&place.repo, 1, &["x".into()]).await.is_err());
    assert!(place.forge.remove_label(&place.repo, 1, "status/ready").await.is_err());
    assert!(place.forge.comment(&place.repo, 1, "x", "m").await.is_err());
    assert!(place.open_pull("fix/a", 1).await.is_err());
    assert_eq!(place.read("issues/1-door.md"), DOOR);
    assert!(!place.path.join(".dispatch/comments/1").exists());
    assert_eq!(fs::read_dir(place.path.join(".dispatch/pulls")).unwrap().count(), 0);
}

#[tokio::test]
async fn half_a_file_that_a_crash_left_goes_with_the_next_write() {
    let place = Place::new().await;
    place.branch_with_commit("fix/a");
    place.write("pulls/.new-dead", "half");
    place.open_pull("fix/a", 1).await.unwrap();
    let left: Vec<_> = fs::read_dir(place.path.join(".dispatch/pulls")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn the_watch_tells_of_files_and_branches_but_not_of_reading() {
    let mut place = Place::new().await;
    place.write("issues/1-door.md", DOOR);
    place.branch_with_commit("fix/a");
    place.sync().await;
    let (send, told) = mpsc::channel();
    let mut watch = LocalWatch::new(move |path| drop(send.send(path))).unwrap();
    watch.add(&place.path).unwrap();
    let wait = |what: &str| {
        let path =
            told.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| panic!("not told of {what}"));
        assert_eq!(path, place.path);
    };
    place.write("issues/1-door.md", &DOOR.replace("squeaks", "groans"));
    wait("a changed issue");
    git(&place.path, &["merge", "-q", "fix/a"]);
    wait("a merge");
    while told.recv_timeout(Duration::from_millis(400)).is_ok() {}
    place.forge.changes(&place.repo, None).await.unwrap();
    assert!(told.recv_timeout(Duration::from_millis(400)).is_err(), "reading is no change");
    watch.remove(&place.path);
    place.write("issues/1-door.md", DOOR);
    assert!(told.recv_timeout(Duration::from_millis(400)).is_err(), "not watched any more");
}
