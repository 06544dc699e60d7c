//! The demo's directory: a sample repository with its issues, the daemon's configuration, state and socket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::engine::Engine;
use crate::cli::{Failure, last_line, out};

/// The sample repository's files, commit by commit.
const COMMITS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Greet everybody by name",
        &[
            (
                "greet.sh",
                "#!/bin/sh\n# Greets everybody in names.txt.\nwhile read -r name; do\n    echo \"Hello, $name!\"\ndone <names.txt\n",
            ),
            ("names.txt", "Linus\nAda\nGrace\n"),
        ],
    ),
    ("Say what this is", &[("README.md", "# Hello\n\nGreets people by their names.\n")]),
    (
        "Say good morning",
        &[(
            "greet.sh",
            "#!/bin/sh\n# Greets everybody in names.txt.\nwhile read -r name; do\n    echo \"Good morning, $name!\"\ndone <names.txt\n",
        )],
    ),
];

macro_rules! issues {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../assets/demo/issues/", $name)))),*]
    };
}

const ISSUES: [(&str, &str); 6] = issues![
    "1-greet-people-in-the-evening.md",
    "2-decide-how-to-greet-strangers.md",
    "3-translate-the-greeting-into-klingon.md",
    "4-say-how-to-run-it.md",
    "5-greet-in-alphabetical-order.md",
    "6-say-good-morning.md",
];

/// The address of a Unix socket holds 104 bytes on macOS, 108 on Linux.
const SOCKET_MAX: usize = 100;

/// See the module. Dropped before [`Place::leave`] it takes its temporary directories along.
pub(super) struct Place {
    root: PathBuf,
    temporary: Option<TempDir>,
    /// Where the socket lies, if the root's path is too long for one.
    short: Option<TempDir>,
}

fn failed<E: std::fmt::Display>(path: &Path, doing: &'static str) -> impl FnOnce(E) -> Failure {
    let path = path.display().to_string();
    move |e| Failure::Said(format!("{path} could not be {doing}: {e}"))
}

impl Place {
    /// Makes the directory with repository and issues: `keep` if given, which must be new or empty, else a temporary one.
    pub(super) fn make(keep: Option<&Path>) -> Result<Place, Failure> {
        let temporary = |prefix: &str, parent: &Path| {
            tempfile::Builder::new().prefix(prefix).tempdir_in(parent).map_err(failed(parent, "used"))
        };
        let place = match keep {
            None => {
                let dir = temporary("dispatch-demo-", &std::env::temp_dir())?;
                let root = fs::canonicalize(dir.path()).map_err(failed(dir.path(), "opened"))?;
                Place { root, temporary: Some(dir), short: None }
            }
            Some(dir) => {
                fs::create_dir_all(dir).map_err(failed(dir, "made"))?;
                if fs::read_dir(dir).map_err(failed(dir, "read"))?.next().is_some() {
                    return Err(Failure::Said(format!(
                        "{} is not empty; name a new directory to keep the demo in",
                        dir.display()
                    )));
                }
                let root = fs::canonicalize(dir).map_err(failed(dir, "opened"))?;
                Place { root, temporary: None, short: None }
            }
        };
        let long = place.root.join("v1.sock").as_os_str().len() > SOCKET_MAX;
        let short = long.then(|| temporary("dispatch-", Path::new("/tmp"))).transpose()?;
        let place = Place { short, ..place };
        if rustix::process::geteuid().is_root() {
            // The runner gives workspaces to an unprivileged user, who must be able to pass through to them.
            let mode = fs::Permissions::from_mode(0o711);
            fs::set_permissions(&place.root, mode).map_err(failed(&place.root, "opened to the runner"))?;
        }
        place.make_repository()?;
        Ok(place)
    }

    fn make_repository(&self) -> Result<(), Failure> {
        let repo = self.repository();
        let issues = repo.join(".dispatch/issues");
        fs::create_dir_all(&issues).map_err(failed(&issues, "made"))?;
        self.git(&["init", "-q", "--template=", "-b", "main"])?;
        for (message, files) in COMMITS {
            for (name, text) in files {
                let path = repo.join(name);
                fs::write(&path, text).map_err(failed(&path, "written"))?;
                self.git(&["add", "--", name])?;
            }
            self.git(&["commit", "-q", "-m", message])?;
        }
        let now = out::now().to_string();
        for (name, text) in ISSUES {
            let path = issues.join(name);
            fs::write(&path, text.replace("@NOW@", &now)).map_err(failed(&path, "written"))?;
        }
        Ok(())
    }

    /// Git with the demo's own identity, whatever the user has configured.
    fn git(&self, args: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new("git");
        // Ctrl-C is for the demo, which cleans up; git finishes its millisecond.
        command.arg("-C").arg(self.repository()).args(args).stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Demo").env(format!("GIT_{who}_EMAIL"), "demo@localhost");
        }
        let done =
            command.output().map_err(|e| format!("git could not be started: {e}; the demo needs git"))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        Err(Failure::Said(format!("git {} failed: {}", args[0], said.trim())))
    }

    /// What the agents committed: branch and first line, as git tells.
    pub(super) fn branches(&self) -> Vec<String> {
        let format = "--format=%(refname:short)  %(contents:subject)";
        let listed = self.git(&["for-each-ref", format, "refs/heads/fix"]).unwrap_or_default();
        listed.lines().map(str::to_owned).collect()
    }

    /// Writes the daemon's configuration.
    pub(super) fn configure(&self, engine: &Engine) -> Result<(), Failure> {
        let path = self.config();
        fs::write(&path, config(engine)).map_err(failed(&path, "written"))
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.root.join("hello")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("dispatchd.log")
    }

    pub(super) fn last_log_line(&self) -> Option<String> {
        last_line(&self.log())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.short.as_ref().map_or(self.root.as_path(), TempDir::path).join("v1.sock")
    }

    /// Removes what is temporary; returns the directory that is kept.
    pub(super) fn leave(self) -> Result<Option<PathBuf>, Failure> {
        let _ = fs::remove_file(self.socket());
        let Some(temporary) = self.temporary else { return Ok(Some(self.root)) };
        temporary.close().map_err(failed(&self.root, "removed"))?;
        Ok(None)
    }
}

/// The demo's configuration: one failure is enough to ask a person, so that the story ends soon.
fn config(engine: &Engine) -> String {
    let image = engine.image().map(|i| format!("image = \"{i}\"\n")).unwrap_or_default();
    format!(
        "# Written by `dispatch demo`.\n\
         [runner]\nruntime = \"{}\"\n{image}agent = \"demo\"\nmax_parallel = 2\n\n\
         [queue]\nmax_failures = 1\n\n\
         [[lanes]]\nid = \"local\"\ntitle = \"Local\"\nclaimable = true\nrole = \"default\"\n\n\
         [[lanes]]\nid = \"cloud\"\ntitle = \"Cloud\"\nclaimable = true\n",
        engine.word()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_repository_with_issues_and_leaves_nothing() {
        let place = Place::make(None).unwrap();
        let root = place.root.clone();
        assert_eq!(place.git(&["rev-list", "--count", "main"]).unwrap().trim(), "3");
        let issue =
            fs::read_to_string(place.repository().join(".dispatch/issues/6-say-good-morning.md")).unwrap();
        assert!(issue.contains("state: closed") && !issue.contains("@NOW@"), "{issue}");
        assert_eq!(place.leave().unwrap(), None);
        assert!(!root.exists());
    }

    #[test]
    fn a_kept_place_must_be_new_and_its_socket_short() {
        let dir = tempfile::tempdir().unwrap();
        let keep = dir.path().join("a".repeat(120));
        let place = Place::make(Some(&keep)).unwrap();
        assert!(place.socket().as_os_str().len() <= SOCKET_MAX);
        let short = place.socket().parent().unwrap().to_owned();
        assert_eq!(place.leave().unwrap(), Some(fs::canonicalize(&keep).unwrap()));
        assert!(!short.exists());
        let again = Place::make(Some(&keep)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(again.contains("not empty"), "{again}");
        assert!(keep.join("hello/greet.sh").exists(), "what is there is left alone");
    }
}
