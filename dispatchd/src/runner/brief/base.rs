//! What the base branch says, read in the mirror: an agent's own branch has no say, and nothing is checked out for it.

use std::path::Path;

use dispatch_shared::prompt::File;

use crate::runner::git::Git;

/// How many commits are shown.
const COMMITS: &str = "--max-count=10";
/// The files in which a repository speaks to agents, in the order in which they are shown.
const FILES: [&str; 2] = [".dispatch/prompt.md", "AGENTS.md"];
/// A longer file is none of the kind, and is not read.
const FILE_MAX: u64 = 256 << 10;
/// The longest path that a link may lead to.
const LINK_MAX: u64 = 1_000;

/// See the module.
pub(super) struct Base<'a> {
    pub(super) git: &'a Git,
    pub(super) mirror: &'a Path,
    /// As git names it there.
    pub(super) name: &'a str,
}

/// What a tree has under a path.
struct Entry {
    link: bool,
    object: String,
    size: u64,
}

impl Base<'_> {
    /// The newest commits, one line each. None, if git does not tell.
    pub(super) async fn commits(&self) -> Vec<String> {
        let args =
            ["log", COMMITS, "--no-color", "--no-decorate", "--format=%h %cs %an: %s", self.name, "--"];
        match self.git.run(self.mirror, &args).await {
            Ok(text) => text.lines().map(ToOwned::to_owned).collect(),
            Err(why) => {
                tracing::warn!(mirror = %self.mirror.display(), why, "a prompt shows no commits of the base");
                Vec::new()
            }
        }
    }

    /// What the repository itself says to whoever works in it. A file that cannot be read is left out, and the log says why.
    pub(super) async fn files(&self) -> Vec<File> {
        let mut found: Vec<File> = Vec::new();
        for path in FILES {
            match self.read(path).await {
                Ok(Some(text)) if !found.iter().any(|f| f.text == text) => {
                    found.push(File { path: path.to_owned(), text });
                }
                Ok(_) => {}
                Err(why) => {
                    tracing::warn!(mirror = %self.mirror.display(), path, why, "a prompt is without this file");
                }
            }
        }
        found
    }

    /// The text under `path`, if there is such a file. One link is followed: many keep the same text under two names.
    async fn read(&self, path: &str) -> Result<Option<String>, String> {
        let Some(mut entry) = self.entry(path).await? else { return Ok(None) };
        if entry.link {
            if entry.size > LINK_MAX {
                return Err("it is a link to nowhere".to_owned());
            }
            let target = self.text(&entry).await?;
            let Some(inside) = within(path, &target) else {
                return Err(format!("it is a link out of the repository, to {target:?}"));
            };
            entry = match self.entry(&inside).await? {
                Some(entry) if !entry.link => entry,
                _ => return Err(format!("it is a link to {inside:?}, which is no file")),
            };
        }
        if entry.size > FILE_MAX {
            return Err(format!("it has {} bytes, {FILE_MAX} are read at most", entry.size));
        }
        self.text(&entry).await.map(Some)
    }

    async fn text(&self, entry: &Entry) -> Result<String, String> {
        self.git.run(self.mirror, &["cat-file", "blob", &entry.object]).await
    }

    async fn entry(&self, path: &str) -> Result<Option<Entry>, String> {
        let listed = self.git.run(self.mirror, &["ls-tree", "-l", "-z", self.name, "--", path]).await?;
        let Some((about, _)) = listed.split_once('\t') else { return Ok(None) };
        let words: Vec<&str> = about.split_whitespace().collect();
        let [mode, "blob", object, size] = words[..] else { return Ok(None) };
        let size = size.parse().map_err(|_| format!("git says {size:?} of its size"))?;
        Ok(Some(Entry { link: mode == "120000", object: object.to_owned(), size }))
    }
}

/// Where a link at `path` to `target` leads, if that is in the same tree.
fn within(path: &str, target: &str) -> Option<String> {
    if target.starts_with('/') || target.contains(['\\', '\0', '\n', ':', '*', '?', '[']) {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// A repository, and a mirror of it once it is asked for.
    struct Ground {
        dir: tempfile::TempDir,
        git: Git,
    }

    impl Ground {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let git = Git::new(&dir.path().join("mirrors"), ("Ada".into(), "a@x".into())).unwrap();
            let ground = Self { dir, git };
            fs::create_dir(ground.tree()).unwrap();
            ground.run(&["init", "--quiet", "-b", "main"]).await;
            ground
        }

        fn tree(&self) -> PathBuf {
            self.dir.path().join("origin")
        }

        async fn run(&self, args: &[&str]) {
            self.git.run(&self.tree(), args).await.unwrap();
        }

        async fn commit(&self, message: &str) {
            self.run(&["add", "--all", "--force"]).await;
            self.run(&["commit", "--quiet", "-m", message]).await;
        }

        async fn seen(&self, name: &str) -> (Vec<String>, Vec<String>) {
            let mirror = self.dir.path().join("mirrors/m.git");
            let _ = fs::remove_dir_all(&mirror);
            let (from, to) = (self.tree().display().to_string(), mirror.display().to_string());
            self.git.run(self.dir.path(), &["clone", "--quiet", "--mirror", &from, &to]).await.unwrap();
            let base = Base { git: &self.git, mirror: &mirror, name };
            let files = base.files().await.into_iter().map(|f| format!("{}: {}", f.path, f.text.trim()));
            (files.collect(), base.commits().await)
        }
    }

    #[tokio::test]
    async fn the_base_speaks_and_no_other_branch() {
        let ground = Ground::new().await;
        fs::create_dir(ground.tree().join(".dispatch")).unwrap();
        fs::write(ground.tree().join(".dispatch/prompt.md"), "Test first.\n").unwrap();
        fs::write(ground.tree().join("AGENTS.md"), "Read the code.\n").unwrap();
        ground.commit("Begin").await;
        ground.run(&["checkout", "--quiet", "-b", "fix/issue-1"]).await;
        fs::write(ground.tree().join("AGENTS.md"), "Push to main.\n").unwrap();
        ground.commit("Change the rules").await;
        let (files, commits) = ground.seen("refs/heads/main").await;
        assert_eq!(files, [".dispatch/prompt.md: Test first.", "AGENTS.md: Read the code."]);
        assert_eq!(commits.len(), 1, "{commits:?}");
        assert!(commits[0].ends_with(" Ada: Begin"), "{commits:?}");
        assert_eq!(
            ground.seen("refs/heads/gone").await,
            (vec![], vec![]),
            "a base that is not there is no end"
        );
    }

    #[tokio::test]
    async fn links_lead_nowhere_but_to_a_file_of_the_same_tree() {
        let (fine, none): (&[&str], &[&str]) = (&["AGENTS.md: Inside."], &[]);
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), "A secret.").unwrap();
        let outside = secret.path().display().to_string();
        for (target, expected) in [
            ("CLAUDE.md", fine),
            ("./docs/../CLAUDE.md", fine),
            ("docs/inside.md", fine),
            (outside.as_str(), none),
            ("../../etc/passwd", none),
            ("docs", none),
            ("AGENTS.md", none),
            ("other.md", none),
            (":(glob)**", none),
            ("nothing.md", none),
        ] {
            let ground = Ground::new().await;
            fs::create_dir(ground.tree().join("docs")).unwrap();
            fs::write(ground.tree().join("CLAUDE.md"), "Inside.").unwrap();
            fs::write(ground.tree().join("docs/inside.md"), "Inside.").unwrap();
            symlink("CLAUDE.md", ground.tree().join("other.md")).unwrap();
            symlink(target, ground.tree().join("AGENTS.md")).unwrap();
            ground.commit("Begin").await;
            assert_eq!(ground.seen("refs/heads/main").await.0, expected, "{target}");
        }
    }

    #[tokio::test]
    async fn a_link_for_a_directory_a_long_file_and_the_same_text_twice_are_left_out() {
        let ground = Ground::new().await;
        fs::create_dir(ground.tree().join("docs")).unwrap();
        fs::write(ground.tree().join("docs/prompt.md"), "Here.").unwrap();
        symlink("docs", ground.tree().join(".dispatch")).unwrap();
        fs::write(ground.tree().join("AGENTS.md"), "x".repeat(300 << 10)).unwrap();
        ground.commit("Begin").await;
        assert_eq!(ground.seen("refs/heads/main").await.0, [] as [&str; 0]);
        fs::remove_file(ground.tree().join(".dispatch")).unwrap();
        fs::create_dir(ground.tree().join(".dispatch")).unwrap();
        for name in [".dispatch/prompt.md", "AGENTS.md"] {
            fs::write(ground.tree().join(name), "The same.").unwrap();
        }
        ground.commit("Again").await;
        assert_eq!(ground.seen("refs/heads/main").await.0, [".dispatch/prompt.md: The same."]);
    }
}
