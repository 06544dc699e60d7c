//! A git repository on disk for the local forge, with issues as files; and what agents left in it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository in a directory that outlives it.
#[derive(Clone, Debug)]
pub struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// Makes `<parent>/<name>` with one commit on `main`.
    ///
    /// # Panics
    /// If git is not there or fails.
    #[must_use]
    pub fn new(parent: &Path, name: &str) -> Self {
        let repository = Self { dir: parent.join(name) };
        std::fs::create_dir_all(repository.dir.join(".dispatch/issues")).expect("directories can be made");
        repository.git(&["init", "--quiet", "--template=", "-b", "main"]);
        // As the forge does itself: its files are no part of the project.
        std::fs::create_dir_all(repository.dir.join(".git/info")).expect("directories can be made");
        std::fs::write(repository.dir.join(".git/info/exclude"), "/.dispatch/\n").expect("written");
        std::fs::write(repository.dir.join("README.md"), "# Sample\n").expect("written");
        repository.git(&["add", "--", "README.md"]);
        repository.git(&["commit", "--quiet", "-m", "Begin"]);
        repository
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Runs git in it and returns what it printed.
    ///
    /// # Panics
    /// If git fails; the panic shows what it said.
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@localhost"])
            .args(args)
            .current_dir(&self.dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git can be started");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes an open issue that is ready to be worked on.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn ready_issue(&self, number: u64, title: &str) {
        let text = format!(
            "---\nnumber: {number}\ntitle: {title}\nstate: open\nlabels: [status/ready]\nauthor: ada\n\
             created: 2026-01-02T03:04:05Z\nupdated: 2026-01-02T03:04:05Z\n---\n\nPlease.\n"
        );
        let path = self.dir.join(format!(".dispatch/issues/{number}.md"));
        std::fs::write(path, text).expect("an issue can be written");
    }

    /// The files of pull requests, by name. A daemon that serves may be writing one: what is hidden is none.
    #[must_use]
    pub fn pulls(&self) -> Vec<String> {
        let dir = std::fs::read_dir(self.dir.join(".dispatch/pulls"));
        let mut names: Vec<String> = dir
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|n| !n.starts_with('.'));
        names.sort();
        names
    }

    /// The branches besides `main`.
    #[must_use]
    pub fn branches(&self) -> Vec<String> {
        let all = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        all.lines().filter(|b| *b != "main").map(str::to_owned).collect()
    }
}
