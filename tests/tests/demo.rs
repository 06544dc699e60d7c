//! `dispatch demo --headless` as a new user runs it: the whole loop on a private daemon, and nothing left of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The two programs under their real names, side by side, as `cargo build` leaves them.
fn programs(dir: &Path) -> PathBuf {
    for (program, name) in [
        (env!("CARGO_BIN_EXE_test-dispatch"), "dispatch"),
        (env!("CARGO_BIN_EXE_test-dispatchd"), "dispatchd"),
    ] {
        let to = dir.join(name);
        if fs::hard_link(program, &to).is_err() {
            fs::copy(program, &to).expect("a program can be copied");
        }
    }
    dir.join("dispatch")
}

fn demo(dir: &Path, args: &[&str]) -> (Output, Duration) {
    let began = Instant::now();
    let temporary = dir.join("tmp");
    fs::create_dir_all(&temporary).expect("a directory");
    let done = Command::new(programs(dir))
        .args(["demo", "--headless"])
        .args(args)
        .env("TMPDIR", &temporary)
        .env("HOME", dir)
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .expect("the demo can be started");
    (done, began.elapsed())
}

fn processes_of(dir: &Path) -> Vec<String> {
    let mark = dir.display().to_string();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&mark))
        .collect()
}

fn git(dir: &Path, args: &[&str]) -> String {
    let done = Command::new("git").arg("-C").arg(dir).args(args).output().expect("git is there");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn the_demo_turns_issues_into_branches_and_pull_requests() {
    let home = tempfile::Builder::new().prefix("dd").tempdir_in("/tmp").expect("a directory");
    let kept = home.path().join("kept");
    let (done, took) = demo(home.path(), &["--runtime", "host", "--keep", kept.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(took < Duration::from_secs(30), "{took:?}");
    for line in ["#1 in-progress -> in-review", "#4 in-progress -> in-review", "#2 is flagged needs-human"] {
        assert!(said.lines().any(|l| l == line), "`{line}` is missing in\n{said}");
    }
    assert!(said.contains("r-2 blocked (#2)") && said.contains("failed (#3)"), "{said}");
    let repository = kept.join("hello");
    let branches = git(&repository, &["for-each-ref", "--format=%(refname:short)", "refs/heads/fix"]);
    let branches: BTreeSet<&str> = branches.lines().collect();
    assert_eq!(branches.len(), 2, "{branches:?}");
    for branch in branches {
        let changed = git(&repository, &["diff", "--stat", &format!("main...{branch}")]);
        assert!(!changed.trim().is_empty(), "{branch} changes something");
    }
    let pulls: Vec<String> = fs::read_dir(repository.join(".dispatch/pulls"))
        .expect("pull request files")
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .collect();
    assert_eq!(pulls.len(), 2);
    assert!(pulls.iter().all(|text| text.contains("\nFixes #")), "{pulls:?}");
    assert!(git(&repository, &["status", "--porcelain"]).is_empty(), "the user's checkout is not dirtied");
    assert_eq!(processes_of(home.path()), [] as [String; 0]);
}

#[test]
fn the_demo_leaves_nothing_behind() {
    let home = tempfile::Builder::new().prefix("dd").tempdir_in("/tmp").expect("a directory");
    let (done, _) = demo(home.path(), &["--runtime", "host"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let left: Vec<_> =
        fs::read_dir(home.path().join("tmp")).expect("a directory").flatten().map(|e| e.path()).collect();
    assert_eq!(left, [] as [PathBuf; 0]);
    assert_eq!(processes_of(home.path()), [] as [String; 0]);
}
