//! What a checkout holds that is not in its repository: submodules, files of Git LFS; and what it may take of the disk.

use std::path::Path;
use std::process::Command;

use dispatch_shared::protocol::dispatch::DispatchRequest;
use dispatch_shared::protocol::runs::Run;
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::repository::Repository;
use dispatch_tests::scene::{DEADLINE, Scene};

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");

fn scene(script: &str, runner: &str) -> Scene {
    Scene::new(DAEMON, RuntimeKind::Host, script, runner)
}

/// Sees the one run to its end.
async fn ran(scene: &Scene) -> (Daemon, Run) {
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("switched on");
    let run = scene.over(&daemon.client).await;
    (daemon, run)
}

/// What the runner had to say.
fn notes(scene: &Scene, run: &Run) -> String {
    let path = scene.place.state().join(format!("runs/{}/events.jsonl", run.id));
    std::fs::read_to_string(path).expect("there are events")
}

fn commit_with_links(repository: &Repository, modules: &str, links: &[(&str, &str)]) {
    std::fs::write(repository.path().join(".gitmodules"), modules).expect("written");
    repository.git(&["add", "--", ".gitmodules"]);
    for (path, commit) in links {
        let link = format!("160000,{},{path}", commit.trim());
        repository.git(&["update-index", "--add", "--cacheinfo", &link]);
    }
    repository.git(&["commit", "--quiet", "-m", "Link"]);
}

/// A repository beside the sample, with one file.
fn beside(scene: &Scene, name: &str) -> (Repository, String) {
    let repository = Repository::new(scene.place.path(), name);
    std::fs::write(repository.path().join("hello"), format!("from {name}\n")).expect("written");
    repository.git(&["add", "--", "hello"]);
    repository.git(&["commit", "--quiet", "-m", "Hello"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    (repository, head)
}

/// Submodules are there, those of submodules too, and what is no honest address is fetched by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_there_and_hostile_ones_are_not() {
    let script = "cat libs/lib/hello libs/lib/deep/hello >copied\nls -A evil away absent >lists\n\
                  echo changed >libs/lib/hello\n";
    let scene = scene(script, "");
    let (_, deep) = beside(&scene, "deep");
    let (lib, _) = beside(&scene, "lib");
    commit_with_links(&lib, "[submodule \"deep\"]\n\tpath = deep\n\turl = ../deep\n", &[("deep", &deep)]);
    let head = lib.git(&["rev-parse", "HEAD"]);
    let pwned = scene.place.path().join("pwned");
    // Beside the repository by its name, and a link to somewhere else.
    let secret = tempfile::tempdir().expect("a directory");
    let outside = Repository::new(secret.path(), "secret");
    let stolen = outside.git(&["rev-parse", "HEAD"]);
    std::os::unix::fs::symlink(outside.path(), scene.place.path().join("away")).expect("linked");
    let modules = format!(
        "[submodule \"lib\"]\n\tpath = libs/lib\n\turl = ../lib\n\
         [submodule \"evil\"]\n\tpath = evil\n\turl = ext::sh -c touch% {}\n\
         [submodule \"file\"]\n\tpath = file\n\turl = {}\n\
         [submodule \"away\"]\n\tpath = away\n\turl = ../away\n\
         [submodule \"absent\"]\n\tpath = absent\n\turl = ../absent\n",
        pwned.display(),
        outside.path().display(),
    );
    let links = [
        ("libs/lib", head.as_str()),
        ("evil", head.as_str()),
        ("file", stolen.as_str()),
        ("away", stolen.as_str()),
        ("absent", head.as_str()),
    ];
    commit_with_links(&scene.repository, &modules, &links);
    let (daemon, run) = ran(&scene).await;
    assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
    let notes = notes(&scene, &run);
    let branch = scene.repository.branches().pop().expect("published");
    let show = |name: &str| scene.repository.git(&["show", &format!("{branch}:{name}")]);
    assert_eq!(show("copied"), "from lib\nfrom deep\n", "{notes}");
    let tree = scene.repository.git(&["ls-tree", &branch, "libs/lib"]);
    assert!(tree.contains(head.trim()), "the link is as it was: {tree}");
    for name in ["evil", "file", "away", "absent"] {
        assert!(notes.contains(&format!("the submodule {name} is not there")), "{name}: {notes}");
        let dir = scene.checkout().join(name);
        assert!(std::fs::read_dir(&dir).map_or(0, Iterator::count) == 0, "{name}");
    }
    assert!(!pwned.exists(), "nothing was run");
    daemon.stop().await;
}

/// What a branch alone names is not fetched: an agent could write any address there.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_makes_the_daemon_fetch_nothing() {
    let scene = scene("true", "");
    let (_, head) = beside(&scene, "lib");
    scene.repository.git(&["checkout", "--quiet", "-b", "fix/sly"]);
    commit_with_links(
        &scene.repository,
        "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib\n",
        &[("lib", &head)],
    );
    scene.repository.git(&["checkout", "--quiet", "main"]);
    let daemon = scene.place.start().await;
    scene.track(&daemon.client).await.expect("tracked");
    rehearse(&daemon, "fix/sly").await;
    let checkout = found(&scene, "branch-");
    assert!(checkout.join(".gitmodules").exists(), "it is that branch");
    assert!(!checkout.join("lib/hello").exists());
    daemon.stop().await;
}

async fn rehearse(daemon: &Daemon, branch: &str) {
    let ask = DispatchRequest {
        repo: "local/sample".into(),
        task: "Look".into(),
        branch: Some(branch.into()),
        dry_run: Some(true),
        ..DispatchRequest::default()
    };
    daemon.client.dispatch(&ask).await.expect("prepared");
}

/// The checkout whose directory begins so.
fn found(scene: &Scene, begin: &str) -> std::path::PathBuf {
    let all = scene.place.state().join("workspaces/local/sample");
    let mut dirs = std::fs::read_dir(all).expect("there").flatten();
    let dir = dirs.find(|e| e.file_name().to_string_lossy().starts_with(begin)).expect("prepared");
    dir.path().join("repo")
}

/// Several at once, of a repository that was never seen: each waits for the mirror, and all are whole.
#[tokio::test(flavor = "multi_thread")]
async fn several_prepare_the_same_repository_at_once() {
    let scene = scene("true", "");
    let daemon = scene.place.start().await;
    scene.track(&daemon.client).await.expect("tracked");
    tokio::join!(rehearse(&daemon, "one"), rehearse(&daemon, "two"), rehearse(&daemon, "three"));
    for dir in std::fs::read_dir(scene.place.state().join("workspaces/local/sample")).expect("there") {
        let checkout = dir.expect("an entry").path().join("repo");
        assert!(checkout.join("README.md").exists(), "{}", checkout.display());
    }
    daemon.stop().await;
}

const OID: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const CONTENT: &str = "hello\n";

/// Lets the sample keep `data.bin` in Git LFS.
fn keep_in_lfs(repository: &Repository) -> String {
    let dir = repository.path();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {}\n", CONTENT.len());
    let attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n";
    // A server of the repository's own choosing is not asked.
    let config = "[lfs]\n\turl = https://evil.invalid/lfs\n";
    for (name, text) in [(".gitattributes", attributes), (".lfsconfig", config), ("data.bin", &pointer)] {
        std::fs::write(dir.join(name), text).expect("written");
    }
    repository.git(&["add", "--all"]);
    repository.git(&["commit", "--quiet", "-m", "Large"]);
    let object = dir.join(format!(".git/lfs/objects/{}/{}/{OID}", &OID[..2], &OID[2..4]));
    std::fs::create_dir_all(object.parent().expect("it has one")).expect("made");
    std::fs::write(object, CONTENT).expect("written");
    pointer
}

/// Whether `git lfs` can be had; a failure without it if `DISPATCH_REQUIRE_LFS=1`.
fn lfs_is_here() -> bool {
    let here = Command::new("git").args(["lfs", "version"]).output().is_ok_and(|o| o.status.success());
    if !here {
        let required = std::env::var("DISPATCH_REQUIRE_LFS").is_ok_and(|v| v == "1");
        assert!(!required, "DISPATCH_REQUIRE_LFS=1, and git-lfs is not installed");
        dispatch_tests::image::say("skipped: git-lfs is not installed");
    }
    here
}

/// What is kept in Git LFS is there to be read, git does not see it, and the pointer stays what is published.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_in_lfs_is_laid_and_never_published() {
    if !lfs_is_here() {
        return;
    }
    let scene = scene("cat data.bin >copied\ngit status --short >status\necho more >>data.bin\n", "");
    let pointer = keep_in_lfs(&scene.repository);
    let (daemon, run) = ran(&scene).await;
    assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
    let notes = notes(&scene, &run);
    let branch = scene.repository.branches().pop().expect("published");
    let show = |name: &str| scene.repository.git(&["show", &format!("{branch}:{name}")]);
    assert_eq!(show("copied"), CONTENT, "{notes}");
    assert_eq!(show("data.bin"), pointer);
    assert!(!show("status").contains("data.bin"), "{}", show("status"));
    assert!(notes.contains("1 files that are kept in Git LFS were laid"), "{notes}");
    assert!(notes.contains("were changed (data.bin)"), "{notes}");
    daemon.stop().await;
}

/// A limit, or a machine without git-lfs, leaves pointers and says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn pointers_that_stay_are_said() {
    for (runner, without, word) in [
        ("lfs_limit = \"1\"", false, "runner.lfs_limit"),
        ("lfs = false", false, "runner.lfs is off"),
        ("", true, "apt install git-lfs"),
    ] {
        let mut scene = scene("cat data.bin >copied", runner);
        let pointer = keep_in_lfs(&scene.repository);
        if without {
            let bin = scene.place.path().join("bin");
            path_without(&bin, "git-lfs");
            scene.place.env("PATH", &bin.display().to_string());
        } else if !lfs_is_here() {
            continue;
        }
        let (daemon, run) = ran(&scene).await;
        assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
        let branch = scene.repository.branches().pop().expect("published");
        assert_eq!(scene.repository.git(&["show", &format!("{branch}:copied")]), pointer);
        let notes = notes(&scene, &run);
        assert!(notes.contains("stay pointers") && notes.contains(word), "{word}: {notes}");
        daemon.stop().await;
    }
}

/// All programs of this machine but one.
fn path_without(bin: &Path, program: &str) {
    std::fs::create_dir_all(bin).expect("made");
    let path = std::env::var_os("PATH").unwrap_or_default();
    for entry in std::env::split_paths(&path).filter_map(|d| std::fs::read_dir(d).ok()).flatten().flatten() {
        if entry.file_name() != program {
            let _ = std::os::unix::fs::symlink(entry.path(), bin.join(entry.file_name()));
        }
    }
}

/// A program that fills the disk is ended with a sentence.
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_has_a_quota() {
    let script = "head -c 16777216 /dev/urandom >large\necho written\nsleep 600\n";
    let scene = scene(script, "workspace_limit = \"8m\"\ngrace = \"1s\"");
    let (daemon, run) = ran(&scene).await;
    let reason = run.reason.clone().unwrap_or_default();
    assert!(run.state == "failed" && reason.contains("runner.workspace_limit"), "{run:?}");
    scene.nothing_left(&run).await;
    daemon.stop().await;
}

/// Below the floor nothing starts, the board says why, and with more room it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_on_a_full_disk() {
    let scene = scene("echo x >x", "min_free = \"100000t\"");
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("switched on");
    let problem = wait_until("the problem on the board", DEADLINE, async || {
        let all = daemon.client.problems().await.ok()?;
        all.into_iter().find(|p| p.id == "disk")
    })
    .await;
    assert!(problem.text.contains("runner.min_free"), "{problem:?}");
    assert!(scene.run(&daemon.client).await.is_none(), "nothing was taken");
    daemon.stop().await;
    let config = std::fs::read_to_string(scene.place.path().join("config.toml")).expect("there");
    scene.place.configure(&config.replace("100000t", "1"));
    let (daemon, _) = ran(&scene).await;
    scene.published_once(&daemon.client).await;
    assert!(daemon.client.problems().await.expect("it answers").iter().all(|p| p.id != "disk"));
    assert_eq!(scene.audit(&daemon.client, "disk_full").await.len(), 1);
    assert_eq!(scene.audit(&daemon.client, "disk_free").await.len(), 1);
    daemon.stop().await;
}

/// A partial mirror is enough for a whole run, also when the base goes on meanwhile, and holds no file that no checkout needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_repository_is_fetched_in_part() {
    let script = "cat file >copied\ngit show HEAD~1:file >old 2>/dev/null || rm old\n\
                  echo mine >>file\nwhile [ ! -e .git/go ]; do sleep 0.05; done\n";
    let scene = scene(script, "partial = true");
    let repository = &scene.repository;
    let commit = |text: &str| {
        std::fs::write(repository.path().join("file"), text).expect("written");
        repository.git(&["add", "--", "file"]);
        repository.git(&["commit", "--quiet", "-m", text.trim()]);
    };
    commit("one\n");
    commit("two\n");
    repository.git(&["config", "uploadpack.allowFilter", "true"]);
    repository.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("switched on");
    scene.running(&daemon.client).await;
    commit("three\n");
    std::fs::write(scene.checkout().join(".git/go"), "").expect("written");
    let run = scene.over(&daemon.client).await;
    assert_eq!(run.state, "succeeded", "{run:?}\n{}", scene.place.log());
    let branch = repository.branches().pop().expect("published");
    assert_eq!(repository.git(&["show", &format!("{branch}:copied")]), "two\n");
    assert_eq!(repository.git(&["show", &format!("{branch}:file")]), "two\nmine\n");
    assert_eq!(repository.git(&["ls-tree", "--name-only", &branch, "old"]), "", "it was never fetched");
    let diff = daemon.client.diff(run.id).await.expect("a diff");
    assert!(diff.contains("+mine"), "{diff}");
    daemon.stop().await;
}
