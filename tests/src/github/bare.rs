//! Plumbing on the bare repositories: no work tree, no configuration of the machine.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// git in `bare`, free of what the machine's user configured.
fn git(bare: &Path, index: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_DIR", bare)
        .env("GIT_INDEX_FILE", index)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Olive")
        .env("GIT_AUTHOR_EMAIL", "olive@example.com")
        .env("GIT_COMMITTER_NAME", "Olive")
        .env("GIT_COMMITTER_EMAIL", "olive@example.com")
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command, input: Option<&str>) -> String {
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git is installed");
    if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(text.as_bytes()).expect("git reads its input");
    }
    let out = child.wait_with_output().expect("git ends");
    assert!(out.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Makes a repository with one commit on `main`.
pub(super) fn init(bare: &Path) {
    let mut command = git(bare, &bare.join("fake-index"));
    command.args(["init", "--quiet", "--bare", "--initial-branch=main"]);
    run(command, None);
    let mut command = git(bare, &bare.join("fake-index"));
    command.args(["config", "http.receivepack", "true"]);
    run(command, None);
    commit(bare, "main", &[("README.md", "# A repository\n")], "Begin");
}

/// Commits files on top of `branch`, which starts at `main` if it is new. Returns the commit.
pub(super) fn commit(bare: &Path, branch: &str, files: &[(&str, &str)], message: &str) -> String {
    let scratch = tempfile::TempDir::new().expect("a temporary directory");
    let index = scratch.path().join("index");
    let git = |args: &[&str], input: Option<&str>| {
        let mut command = git(bare, &index);
        command.args(args);
        run(command, input)
    };
    let parent = head(bare, branch).or_else(|| head(bare, "main"));
    if let Some(parent) = &parent {
        git(&["read-tree", parent], None);
    }
    for (path, text) in files {
        let blob = git(&["hash-object", "-w", "--stdin"], Some(text));
        git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")], None);
    }
    let tree = git(&["write-tree"], None);
    let commit = match &parent {
        Some(parent) => git(&["commit-tree", &tree, "-p", parent, "-m", message], None),
        None => git(&["commit-tree", &tree, "-m", message], None),
    };
    git(&["update-ref", &format!("refs/heads/{branch}"), &commit], None);
    commit
}

/// Merges `head` into `base` with a merge commit that has the head's tree.
pub(super) fn merge(bare: &Path, base: &str, sha: &str) {
    let index = bare.join("fake-index");
    let git = |args: &[&str]| {
        let mut command = git(bare, &index);
        command.args(args);
        run(command, None)
    };
    let onto = head(bare, base).expect("the base branch is there");
    let tree = git(&["rev-parse", &format!("{sha}^{{tree}}")]);
    let commit = git(&["commit-tree", &tree, "-p", &onto, "-p", sha, "-m", "Merge"]);
    git(&["update-ref", &format!("refs/heads/{base}"), &commit]);
}

/// The commit at the head of `branch`, read without starting git.
pub(super) fn head(bare: &Path, branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    if let Ok(text) = std::fs::read_to_string(bare.join(&name)) {
        return Some(text.trim().to_owned());
    }
    let packed = std::fs::read_to_string(bare.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (sha, reference) = line.split_once(' ')?;
        (reference == name).then(|| sha.to_owned())
    })
}
