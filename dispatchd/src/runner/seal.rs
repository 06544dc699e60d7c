//! Making a checkout safe to call git in after an agent had it.
//!
//! An agent may have written anything into `.git`: a configuration that runs programs, links to files of the daemon,
//! objects borrowed from elsewhere. No agent runs any more when this is called, so what is put right here stays right.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::tree;

/// The file in which an agent asks a person.
pub(super) const BLOCKED: &str = "BLOCKED.md";

/// Files of `.git` that change what git does, beyond those that are written anew.
const TAKEN_OUT: [&str; 11] = [
    "commondir",
    "gitdir",
    "config.worktree",
    "hooks",
    "shallow",
    "info/attributes",
    "info/grafts",
    "info/sparse-checkout",
    "objects/info/commit-graph",
    "objects/info/commit-graphs",
    "objects/pack/multi-pack-index",
];

/// What an agent may have left, as far as it is no longer a repository.
const NO_REPOSITORY: &str = "the program damaged it";

/// Whether `why` says that there is no repository to be put right any more.
pub(super) fn is_beyond_repair(why: &str) -> bool {
    why.contains(NO_REPOSITORY)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    tree::remove(path)?;
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn real_dir(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        return Ok(());
    }
    tree::remove(path)?;
    fs::create_dir(path)
}

/// git itself makes no links or pipes inside `.git`, and no git of ours or of the agent runs that could hold a lock.
fn sweep(git: &Path) -> io::Result<()> {
    tree::walk(git, |path, meta| {
        let lock = path.extension().is_some_and(|e| e == "lock");
        if !meta.is_dir() && (lock || !meta.is_file()) {
            fs::remove_file(path)?;
        }
        Ok(true)
    })
}

/// Whether git would take `git` for a repository. If not, it would look for one elsewhere, and the checkout itself, with a
/// configuration of the agent's, would be next.
fn is_repository(git: &Path) -> bool {
    let head = tree::read_plain(&git.join("HEAD"), 4_096).ok().flatten().unwrap_or_default();
    let head = String::from_utf8_lossy(&head);
    let head = head.trim_end();
    let hash = matches!(head.len(), 40 | 64) && head.bytes().all(|b| b.is_ascii_hexdigit());
    let branch = |name: &str| !name.is_empty() && !name.contains("..") && !name.contains(char::is_control);
    hash || head.strip_prefix("ref: refs/heads/").is_some_and(branch)
}

/// See the module. The checkout borrows from `objects` alone and knows `origin` as its only remote;
/// git passes over what the lines of `excluded` name, and takes it as given that `partial` objects lack files.
///
/// # Errors
/// A sentence, if there is no `.git` directory any more or it cannot be written.
pub(super) fn seal(
    repo: &Path,
    objects: &Path,
    origin: &Path,
    author: &(String, String),
    excluded: &str,
    partial: bool,
) -> Result<(), String> {
    let git = repo.join(".git");
    for dir in [repo, &git] {
        if !fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()) {
            return Err(format!("{} is not a directory any more: {NO_REPOSITORY}", dir.display()));
        }
    }
    let quoted = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let config = format!(
        "[core]\n\trepositoryformatversion = {}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
         [user]\n\tname = {}\n\temail = {}\n[gc]\n\tauto = 0\n\
         [remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n{}",
        u8::from(partial),
        quoted(&author.0),
        quoted(&author.1),
        quoted(&origin.display().to_string()),
        if partial { "\tpromisor = true\n[extensions]\n\tpartialClone = origin\n" } else { "" },
    );
    let work = || -> io::Result<()> {
        sweep(&git)?;
        for name in TAKEN_OUT {
            tree::remove(&git.join(name))?;
        }
        for dir in ["info", "refs", "objects", "objects/info", "objects/pack"] {
            real_dir(&git.join(dir))?;
        }
        write_new(&git.join("config"), &config)?;
        write_new(&git.join("objects/info/alternates"), &format!("{}\n", objects.display()))?;
        tree::remove(&git.join("objects/info/http-alternates"))?;
        write_new(&git.join("info/exclude"), &format!("/{BLOCKED}\n{excluded}"))
    };
    work().map_err(|e| format!("{}: {e}", git.display()))?;
    if !is_repository(&git) {
        return Err(format!("{} names no branch any more: {NO_REPOSITORY}", git.join("HEAD").display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_an_agent_left_has_no_effect() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        fs::create_dir_all(repo.join(".git/hooks")).unwrap();
        fs::write(dir.path().join("secret"), "keep").unwrap();
        fs::write(repo.join(".git/hooks/pre-commit"), "#!/bin/sh\ntouch pwned").unwrap();
        fs::write(repo.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(repo.join(".git/refs.lock"), "").unwrap();
        fs::write(repo.join(".git/config"), "[filter \"x\"]\n\tclean = touch pwned\n").unwrap();
        fs::write(repo.join(".git/commondir"), "../../elsewhere").unwrap();
        symlink(dir.path().join("secret"), repo.join(".git/index")).unwrap();
        symlink(dir.path(), repo.join(".git/info")).unwrap();
        let author = ("A \"b\"".to_owned(), "a@x\n[core]".to_owned());
        seal(&repo, Path::new("/m/objects"), Path::new("/m"), &author, "", false).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "keep");
        assert!(!dir.path().join("exclude").exists(), "the link was replaced, not followed");
        for gone in ["hooks", "commondir", "index", "refs.lock"] {
            assert!(fs::symlink_metadata(repo.join(".git").join(gone)).is_err(), "{gone}");
        }
        let config = fs::read_to_string(repo.join(".git/config")).unwrap();
        assert!(!config.contains("filter") && config.contains("\"A \\\"b\\\"\""), "{config}");
        assert_eq!(config.matches("[core]").count(), 2, "one section and one harmless text");
        assert_eq!(fs::read_to_string(repo.join(".git/info/exclude")).unwrap(), "/BLOCKED.md\n");
    }

    #[test]
    fn a_replaced_git_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".git"), "gitdir: /elsewhere").unwrap();
        let said =
            seal(dir.path(), Path::new("/o"), Path::new("/m"), &(String::new(), String::new()), "", false);
        assert!(said.unwrap_err().contains("damaged"));
    }
}
