//! Making a checkout safe to call git in after an agent had it.
//!
//! An agent may have written anything into `.git`: a configuration that runs programs, links to files of the daemon,
//! objects borrowed from elsewhere. No agent runs any more when this is called, so what is put right here stays right.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The file in which an agent asks a person.
pub(super) const BLOCKED: &str = "BLOCKED.md";

/// Files of `.git` that change what git does, beyond those that are written anew.
const TAKEN_OUT: [&str; 9] = [
    "commondir",
    "gitdir",
    "config.worktree",
    "index.lock",
    "HEAD.lock",
    "config.lock",
    "hooks",
    "shallow.lock",
    "info/attributes",
];

/// Removes whatever is there under that name, without following links. Fine if there is nothing.
pub(super) fn forget(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    forget(path)?;
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn real_dir(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        return Ok(());
    }
    forget(path)?;
    fs::create_dir(path)
}

/// git itself makes no links inside `.git`.
fn remove_links(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_links(&entry.path())?;
        } else if !kind.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// See the module. The checkout borrows from `objects` alone and knows `origin` as its only remote.
///
/// # Errors
/// A sentence, if there is no `.git` directory any more or it cannot be written.
pub(super) fn seal(
    repo: &Path,
    objects: &Path,
    origin: &Path,
    author: &(String, String),
) -> Result<(), String> {
    let git = repo.join(".git");
    for dir in [repo, &git] {
        if !fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()) {
            return Err(format!("{} is not a directory any more: the program replaced it", dir.display()));
        }
    }
    let quoted = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
         [user]\n\tname = {}\n\temail = {}\n[gc]\n\tauto = 0\n\
         [remote \"origin\"]\n\turl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
        quoted(&author.0),
        quoted(&author.1),
        quoted(&origin.display().to_string()),
    );
    let work = || -> io::Result<()> {
        remove_links(&git)?;
        for name in TAKEN_OUT {
            forget(&git.join(name))?;
        }
        for dir in ["info", "objects", "objects/info"] {
            real_dir(&git.join(dir))?;
        }
        write_new(&git.join("config"), &config)?;
        write_new(&git.join("objects/info/alternates"), &format!("{}\n", objects.display()))?;
        forget(&git.join("objects/info/http-alternates"))?;
        write_new(&git.join("info/exclude"), &format!("/{BLOCKED}\n"))
    };
    work().map_err(|e| format!("{}: {e}", git.display()))
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
        fs::write(repo.join(".git/config"), "[filter \"x\"]\n\tclean = touch pwned\n").unwrap();
        fs::write(repo.join(".git/commondir"), "../../elsewhere").unwrap();
        symlink(dir.path().join("secret"), repo.join(".git/index")).unwrap();
        symlink(dir.path(), repo.join(".git/info")).unwrap();
        let author = ("A \"b\"".to_owned(), "a@x\n[core]".to_owned());
        seal(&repo, Path::new("/m/objects"), Path::new("/m"), &author).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "keep");
        assert!(!dir.path().join("exclude").exists(), "the link was replaced, not followed");
        for gone in ["hooks", "commondir", "index"] {
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
        let said = seal(dir.path(), Path::new("/o"), Path::new("/m"), &(String::new(), String::new()));
        assert!(said.unwrap_err().contains("replaced"));
    }
}
