//! git, called so that nothing of the machine's or of an agent's configuration has a say: no hooks, no monitors, no
//! prompts, no other credential than the one handed in, and a deadline on every call.
//!
//! A credential reaches git through a helper that prints a 0600 file made for one call and gone after it; it is offered
//! to the remote's own host alone and is never in argv, in a URL, in a configuration or in the environment.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::command::{self, Output};
use crate::edges::GitRemote;

/// The longest for what stays on this machine.
const LOCAL: Duration = Duration::from_secs(300);
/// The longest for what crosses the network.
const NETWORK: Duration = Duration::from_secs(1_800);

/// Of the daemon's environment, git gets these: where programs are, how the network is reached.
const KEPT: [&str; 14] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// On every command line: a repository's own configuration cannot override these.
const GUARDS: [&str; 9] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=all",
    "core.untrackedCache=false",
];

/// Read by git as the user's configuration, also by the helpers that it starts in other repositories. Workspaces belong
/// to another user than the daemon when that is root.
const CONFIG: &str = "[safe]\n\tdirectory = *\n\tbareRepository = explicit\n\
    [core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n[init]\n\ttemplateDir =\n";

/// The ways to another repository that git may go, whatever an address says.
const PROTOCOLS: &str = "file:git:http:https:ssh";

/// How the names of credential files begin.
const CREDENTIAL: &str = ".credential-";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Git {
    config: PathBuf,
    scratch: PathBuf,
    author: (String, String),
}

impl Git {
    /// `dir` is the daemon's own, out of reach of agents; commits carry `author` (name and address).
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub(super) fn new(dir: &Path, author: (String, String)) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        // A daemon that was killed during a call had no time to remove the credential of that call.
        for entry in std::fs::read_dir(dir)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(CREDENTIAL) {
                std::fs::remove_file(entry.path())?;
            }
        }
        let config = dir.join("gitconfig");
        std::fs::write(&config, CONFIG)?;
        Ok(Self { config, scratch: dir.to_path_buf(), author })
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let (name, address) = &self.author;
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", &self.config)
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .env("LC_ALL", "C")
            .env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", address)
            .env("GIT_COMMITTER_NAME", name)
            .env("GIT_COMMITTER_EMAIL", address)
            .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            // What a partial repository lacks is fetched on purpose, never by the way.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_EDITOR", ":")
            .env("GIT_PAGER", "cat")
            .process_group(0);
        command::mark(&mut command);
        command.arg("-C").arg(dir);
        // Never looked for: what an agent damaged would send git to another repository, even to one made for it.
        match place(dir) {
            Place::Checkout(git) => {
                command.arg("--git-dir").arg(git).arg("--work-tree").arg(dir);
            }
            Place::Bare => {
                command.arg("--git-dir").arg(dir);
            }
            Place::None => {
                command.env("GIT_CEILING_DIRECTORIES", dir);
            }
        }
        for guard in GUARDS {
            command.args(["-c", guard]);
        }
        command
    }

    /// Runs git in `dir` and returns what it printed.
    ///
    /// # Errors
    /// A sentence with the subcommand and git's last words.
    pub(super) async fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        dir: &Path,
        args: &[S],
    ) -> Result<String, String> {
        let output = self.try_run(dir, args).await?;
        if output.ok() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// Runs git in `dir`; a failing exit code is the caller's to judge.
    ///
    /// # Errors
    /// If git is not there or takes too long.
    pub(super) async fn try_run<S: AsRef<std::ffi::OsStr>>(
        &self,
        dir: &Path,
        args: &[S],
    ) -> Result<Output, String> {
        let mut command = self.command(dir);
        command.args(args);
        command::run(command, LOCAL).await
    }

    /// Runs git in `dir` with a file as its standard input.
    ///
    /// # Errors
    /// A sentence with the subcommand and git's last words.
    pub(super) async fn fed(&self, dir: &Path, input: &File, args: &[&str]) -> Result<String, String> {
        let mut command = self.command(dir);
        command.args(args);
        let output = command::run_on(command, held(Some(input))?, LOCAL).await?;
        if output.ok() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// Runs git in `dir` with the objects of another repository at hand, whose configuration has no say.
    ///
    /// # Errors
    /// A sentence with the subcommand and git's last words.
    pub(super) async fn with_objects(
        &self,
        dir: &Path,
        objects: &Path,
        args: &[&str],
    ) -> Result<String, String> {
        let mut command = self.command(dir);
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects).args(args);
        let output = command::run(command, LOCAL).await?;
        if output.ok() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// Runs git in `dir` and lets it hold `lock` for as long as it lives.
    ///
    /// # Errors
    /// A sentence with the subcommand and git's last words.
    pub(super) async fn holding(&self, dir: &Path, lock: &File, args: &[&str]) -> Result<String, String> {
        let mut command = self.command(dir);
        command.args(args);
        let output = command::run_on(command, held(Some(lock))?, NETWORK).await?;
        if output.ok() { Ok(output.stdout) } else { Err(failed(args, &output)) }
    }

    /// Takes what an agent committed in `from` (a `.git`) into `mirror`. Its objects are checked one by one: trees that name
    /// `.git`, addresses of submodules that are options, and whatever else a forge or a later checkout could stumble over.
    ///
    /// # Errors
    /// A sentence with git's last words.
    pub(super) async fn take_in(
        &self,
        mirror: &Path,
        from: &Path,
        spec: &str,
        lock: &File,
    ) -> Result<(), String> {
        let args =
            ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--"];
        let mut command = self.command(mirror);
        command.args(["-c", "fetch.fsckObjects=true"]).args(args).arg(from).arg(spec);
        let output = command::run_on(command, held(Some(lock))?, LOCAL).await?;
        if output.ok() { Ok(()) } else { Err(failed(&args, &output)) }
    }

    /// Runs git in `dir` with the remote's credential at hand. `dir` must be out of reach of agents. It holds `lock` for as
    /// long as it lives.
    ///
    /// # Errors
    /// A sentence with the subcommand and git's last words.
    pub(super) async fn remote<S: AsRef<std::ffi::OsStr>>(
        &self,
        dir: &Path,
        remote: &GitRemote,
        args: &[S],
        lock: Option<&File>,
    ) -> Result<Output, String> {
        let mut command = self.command(dir);
        // An empty helper forgets the ones configured before.
        command.args(["-c", "credential.helper="]);
        // A push from a partial mirror may need what it lacks to be small, and here is the credential for it.
        command.env_remove("GIT_NO_LAZY_FETCH");
        let _kept = match &remote.credential {
            Some((user, password)) => {
                let file =
                    self.credential(user, password.expose()).map_err(|e| format!("the credential: {e}"))?;
                command.env("DISPATCH_CREDENTIAL", file.path());
                let helper = "!f() { test \"$1\" = get && cat \"$DISPATCH_CREDENTIAL\"; }; f";
                command.arg("-c").arg(format!("credential.{}.helper={helper}", origin(&remote.url)?));
                Some(file)
            }
            None => None,
        };
        command.args(args);
        command::run_on(command, held(lock)?, NETWORK).await
    }

    fn credential(&self, user: &str, password: &str) -> std::io::Result<tempfile::NamedTempFile> {
        if [user, password].iter().any(|t| t.contains(['\n', '\0'])) {
            return Err(std::io::Error::other("it holds a line break"));
        }
        // Made with mode 0600, removed when dropped.
        let mut file = tempfile::Builder::new().prefix(CREDENTIAL).tempfile_in(&self.scratch)?;
        write!(file, "username={user}\npassword={password}\n")?;
        file.flush()?;
        Ok(file)
    }
}

/// An open file as a standard input: of a lock nothing can be read.
fn held(lock: Option<&File>) -> Result<Stdio, String> {
    match lock {
        None => Ok(Stdio::null()),
        Some(lock) => lock.try_clone().map(Stdio::from).map_err(|e| format!("a lock: {e}")),
    }
}

/// What git is called in.
enum Place {
    /// A checkout, and its `.git`.
    Checkout(PathBuf),
    /// A mirror.
    Bare,
    /// No repository (yet).
    None,
}

fn place(dir: &Path) -> Place {
    let git = dir.join(".git");
    if dir.extension().is_some_and(|e| e == "git") {
        Place::Bare
    } else if std::fs::symlink_metadata(&git).is_ok() {
        Place::Checkout(git)
    } else {
        Place::None
    }
}

/// What git said when it failed, in one sentence.
pub(super) fn failed<S: AsRef<std::ffi::OsStr>>(args: &[S], output: &Output) -> String {
    let sub = args.first().map(|a| a.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
    let said: Vec<&str> = output
        .stderr
        .lines()
        .map(str::trim)
        .filter(|l| {
            l.starts_with("fatal:")
                || l.starts_with("error:")
                || l.contains("[rejected]")
                || l.contains("[remote rejected]")
        })
        .take(3)
        .collect();
    let said = if said.is_empty() { output.complaint() } else { said.join("; ") };
    format!("git {sub} failed: {said}")
}

/// Scheme, host and port: the credential is for this host alone, whatever it redirects to.
fn origin(url: &str) -> Result<String, String> {
    let parsed = url::Url::parse(url).map_err(|e| format!("`{url}` is no URL: {e}"))?;
    let host = parsed.host_str().ok_or_else(|| format!("`{url}` names no host"))?;
    Ok(match parsed.port() {
        Some(port) => format!("{}://{host}:{port}", parsed.scheme()),
        None => format!("{}://{host}", parsed.scheme()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_a_killed_daemon_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".credential-Ab12"), "password=s3cret").unwrap();
        Git::new(dir.path(), ("D".into(), "d@x".into())).unwrap();
        assert!(!dir.path().join(".credential-Ab12").exists());
    }

    #[tokio::test]
    async fn a_credential_is_offered_to_its_host_alone_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::new(dir.path(), ("D".into(), "d@x".into())).unwrap();
        let remote = GitRemote {
            url: "https://forge.example:8443/o/r.git".into(),
            credential: Some(("x".into(), crate::secret::Secret::new("s3cret"))),
        };
        let ask = |url: &str| {
            let script = format!("printf 'url={url}\\n\\n' | git credential fill");
            ["-c".to_owned(), format!("alias.ask=!{script}"), "ask".to_owned()]
        };
        let own =
            git.remote(dir.path(), &remote, &ask("https://forge.example:8443/o/r.git"), None).await.unwrap();
        assert!(own.stdout.contains("password=s3cret"), "{own:?}");
        let other =
            git.remote(dir.path(), &remote, &ask("https://evil.example/o/r.git"), None).await.unwrap();
        assert!(!other.stdout.contains("s3cret"), "{other:?}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["gitconfig"]);
    }
}
