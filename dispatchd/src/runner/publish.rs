//! From a checkout to a pull request. Every step may be repeated after a crash: what is there already is found, not made
//! twice, and nothing is ever forced.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::git::failed;
use super::state::{self, Line};
use super::tree;
use super::workspace::{Workspace, Workspaces};
use crate::core::record::{Card, Repo, Run, Target};
use crate::core::seen::SeenPull;
use crate::edges::{Edges, Forge, ForgeError, GitRemote, NewPull};
use dispatch_shared::followup::PullState;
use dispatch_shared::run::EndClass;

/// Why nothing was published: the class and a sentence.
pub(super) type Failure = (EndClass, String);

fn fault(what: String) -> Failure {
    (EndClass::Failed, what)
}

/// What the forge said, as a way for a run to end.
pub(super) fn forge_failure(doing: &str, error: &ForgeError) -> Failure {
    let class = match error {
        ForgeError::Unreachable(_) => EndClass::Network,
        ForgeError::RateLimited { .. } => EndClass::RateLimited,
        ForgeError::NotFound(_) | ForgeError::Refused(_) | ForgeError::Unauthorized(_) => EndClass::Failed,
    };
    (class, format!("{doing}: {error}"))
}

/// What git said of a remote, as a way for a run to end: a refusal stays one, all else may pass.
pub(super) fn remote_failure(why: String) -> Failure {
    const FOR_GOOD: [&str; 10] = [
        "fsck error",
        "rejected",
        "denied",
        "403",
        "protected",
        "Authentication failed",
        "could not read Username",
        "not found",
        "does not appear to be a git repository",
        "is not installed",
    ];
    let class = if FOR_GOOD.iter().any(|w| why.contains(w)) { EndClass::Failed } else { EndClass::Network };
    (class, why)
}

/// Directories below the checkout that are repositories of their own: git is never called inside, their configuration is
/// the agent's.
fn nested(top: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    tree::walk(top, |path, meta| {
        if !meta.is_dir() || path == top.join(".git") {
            return Ok(false);
        }
        let inner = std::fs::symlink_metadata(path.join(".git")).is_ok();
        if inner {
            found.extend(path.strip_prefix(top).map(Path::to_path_buf));
        }
        Ok(!inner)
    })?;
    Ok(found)
}

/// Writes down for git what is to be added: a command line would not hold it, nor names that are no text.
fn pathspec(ws: &Workspace) -> std::io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let mut spec = b".\0".to_vec();
    for path in nested(&ws.repo)? {
        spec.extend_from_slice(b":(exclude,literal)");
        spec.extend_from_slice(path.as_os_str().as_bytes());
        spec.push(0);
    }
    std::fs::create_dir_all(&ws.meta)?;
    let file = ws.meta.join("pathspec");
    std::fs::write(&file, spec)?;
    Ok(file)
}

/// Commits what the agent left uncommitted. Returns how many files that were.
pub(super) async fn commit_leftovers(
    spaces: &Workspaces,
    ws: &Workspace,
    run: &Run,
) -> Result<usize, Failure> {
    spaces.seal(ws).map_err(fault)?;
    if let Some(what) = state::under_way(&spaces.git, &ws.repo).await.map_err(fault)? {
        return Err(fault(format!(
            "it left {what} unfinished, so nothing is published; the checkout stays as it is for the next attempt"
        )));
    }
    let spec = pathspec(ws).map_err(|e| fault(format!("{}: {e}", ws.repo.display())))?;
    let spec = format!("--pathspec-from-file={}", spec.display());
    spaces.git.run(&ws.repo, &["add", "--all", "--pathspec-file-nul", &spec]).await.map_err(fault)?;
    let staged = ["diff", "--cached", "--name-only", "-z", "--no-ext-diff", "--no-textconv"];
    let changed = spaces.git.run(&ws.repo, &staged).await.map_err(fault)?;
    let count = changed.split('\0').filter(|n| !n.is_empty()).count();
    let merging = std::fs::symlink_metadata(ws.repo.join(".git/MERGE_HEAD")).is_ok();
    if count > 0 || merging {
        let message = match run.target {
            Target::Issue => format!("{}\n\nRefs #{}", run.title, run.card.number),
            Target::Pull(number) => format!("{}\n\nRefs #{number}", run.title),
            Target::Branch(_) | Target::Tag(_) => run.title.clone(),
        };
        spaces
            .git
            .run(&ws.repo, &["commit", "--quiet", "--no-verify", "-m", &message])
            .await
            .map_err(fault)?;
    }
    Ok(count)
}

/// Takes away what checks left in a checkout in which all that was the program's is committed, so that a later commit of
/// leftovers has none of it. What git ignores stays: builds and installed packages are wanted again.
pub(super) async fn tidy(spaces: &Workspaces, ws: &Workspace) -> Result<(), String> {
    spaces.seal(ws)?;
    spaces.git.run(&ws.repo, &["reset", "--quiet", "--hard"]).await?;
    spaces.git.run(&ws.repo, &["clean", "--quiet", "-d", "--force"]).await.map(drop)
}

/// What is to be published.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// The commit at its head; in the mirror already.
    pub(super) head: String,
    /// Commits beyond the base.
    pub(super) commits: u64,
}

/// Takes the checkout's commits into the mirror, which no agent can write. On a branch that is on the remote already, what
/// counts is what goes beyond that.
pub(super) async fn collect(spaces: &Workspaces, ws: &Workspace, run: &Run) -> Result<Work, Failure> {
    spaces.seal(ws).map_err(fault)?;
    let from = match state::line(spaces, ws).await.map_err(fault)? {
        Line::OnBranch | Line::Ahead => "HEAD".to_owned(),
        Line::Behind => format!("refs/heads/{}", ws.branch),
        Line::Apart => {
            return Err(fault(format!(
                "it left two lines of work, on {} and on what is checked out, and neither has all; nothing is published",
                ws.branch
            )));
        }
    };
    let kept = format!("refs/dispatch/{}", run.id);
    let held = spaces.mirrors.hold(&ws.mirror, &|_| {}).await.map_err(fault)?;
    // A checkout that may lack files would have git look for them, only to make what it sends smaller.
    spaces.seal_whole(ws).map_err(fault)?;
    let git = ws.repo.join(".git");
    spaces.git.take_in(&ws.mirror, &git, &format!("+{from}:{kept}"), held.lock()).await.map_err(fault)?;
    let head = spaces
        .commit(&ws.mirror, &kept)
        .await
        .map_err(fault)?
        .ok_or_else(|| fault("the checkout has no commit".into()))?;
    let own = format!("refs/heads/{}", ws.branch);
    let pushed = matches!(run.target, Target::Pull(_) | Target::Branch(_))
        && spaces.commit(&ws.mirror, &own).await.map_err(fault)?.is_some();
    let since = if pushed { own } else { ws.base_ref() };
    let range = format!("{since}..{head}");
    let count = spaces.git.run(&ws.mirror, &["rev-list", "--count", &range]).await.map_err(fault)?;
    if !spaces.git.try_run(&ws.mirror, &["merge-base", &ws.base_ref(), &head]).await.map_err(fault)?.ok() {
        return Err(fault(format!(
            "its work shares no history with {}; nothing is published",
            ws.base_ref()
        )));
    }
    if let Some(name) = spaces.betrayed(ws, &range).await.map_err(fault)? {
        return Err(fault(format!(
            "its commits hold {} of runner.files, which is not to be published; nothing is",
            name.display()
        )));
    }
    Ok(Work { head, commits: count.trim().parse().unwrap_or(0) })
}

/// Pushes `work` to the run's branch. A branch that already stands there is fine; one that has commits of somebody else
/// is left alone.
pub(super) async fn push(
    spaces: &Workspaces,
    edges: &Edges,
    (forge, repo): (&dyn Forge, &Repo),
    remote: &GitRemote,
    ws: &Workspace,
    work: &Work,
) -> Result<(), Failure> {
    spaces.fetch(ws, remote, false, &|_| {}).await.map_err(remote_failure)?;
    let branch = format!("refs/heads/{}", ws.branch);
    if let Some(theirs) = spaces.commit(&ws.mirror, &branch).await.map_err(fault)? {
        if theirs == work.head {
            return Ok(());
        }
        let args = ["merge-base", "--is-ancestor", &theirs, &work.head];
        if !spaces.git.try_run(&ws.mirror, &args).await.map_err(fault)?.ok() {
            return Err(fault(format!(
                "the branch {} has commits on the remote that this work lacks; it was not pushed: merge them, or delete \
                 the branch, then retry",
                ws.branch
            )));
        }
    }
    edges.hook.before("runner.push").map_err(|e| fault(format!("push: {e}")))?;
    let spec = format!("{}:{branch}", work.head);
    let args = ["push", "--quiet", "--no-verify", &remote.url, &spec];
    let output = spaces.git.remote(&ws.mirror, remote, &args, None).await.map_err(remote_failure)?;
    if output.ok() {
        return Ok(());
    }
    let said = failed(&args, &output);
    // git says a number; the forge knows what it stands for.
    if said.contains("403")
        && let Some(missing) = forge.push_denied(repo).await
    {
        return Err(fault(format!("{missing} ({said})")));
    }
    Err(remote_failure(said))
}

/// Reads a pull request back until it shows what was pushed, which a forge takes a moment for. If it still does not, somebody
/// may have pushed since: it is what it is.
async fn read_back(forge: &dyn Forge, repo: &Repo, number: u64, head: &str) -> Result<SeenPull, Failure> {
    let mut pause = Duration::from_millis(250);
    loop {
        let pull = forge.pull(repo, number).await;
        let pull = pull.map_err(|e| forge_failure(&format!("reading pull request #{number} back"), &e))?;
        if pull.from_fork {
            return Err(fault(format!(
                "pull request #{number} comes from a fork, and the work is on a branch of {}",
                repo.name
            )));
        }
        if pull.head_sha == head || pause > Duration::from_secs(4) {
            return Ok(pull);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Says on a pull request that was there before that the run pushed to it; once, however often it is repeated.
async fn say_updated(
    forge: &dyn Forge,
    repo: &Repo,
    run: &Run,
    work: &Work,
    number: u64,
) -> Result<(), Failure> {
    let marker = format!("<!-- dispatch:{}-{} -->", run.id, run.attempt.0);
    let head = work.head.get(..12).unwrap_or(&work.head);
    let body = format!("Pushed {head}.{}\n\n{}\n\n{marker}", checks(run), footer(run));
    let said = forge.comment(repo, number, &body, &marker).await;
    said.map_err(|e| forge_failure(&format!("commenting on pull request #{number}"), &e))
}

/// Finds the pull request that a run by hand on a pull request or a branch has pushed to, says so there, and reads it back.
/// None is opened: nobody asked for one.
pub(super) async fn pushed_to(
    forge: &dyn Forge,
    repo: &Repo,
    run: &Run,
    ws: &Workspace,
    work: &Work,
) -> Result<Option<SeenPull>, Failure> {
    let number = match run.target {
        Target::Pull(number) => Some(number),
        _ => {
            let found = forge.find_pull(repo, &ws.branch).await;
            found.map_err(|e| forge_failure("looking for a pull request", &e))?.map(|p| p.number)
        }
    };
    let Some(number) = number else { return Ok(None) };
    let pull = read_back(forge, repo, number, &work.head).await?;
    say_updated(forge, repo, run, work, number).await?;
    Ok(Some(pull))
}

/// Finds the open pull request of the branch, or opens it, and reads it back. One that was there before the run hears of it.
pub(super) async fn pull(
    forge: &dyn Forge,
    edges: &Edges,
    repo: &Repo,
    card: &Card,
    run: &Run,
    ws: &Workspace,
    work: &Work,
) -> Result<SeenPull, Failure> {
    let found = forge.find_pull(repo, &ws.branch).await;
    let found = found.map_err(|e| forge_failure("looking for the pull request", &e))?;
    let number = match found {
        Some(pull) if pull.state == PullState::Open => {
            // One that is younger is this run's own, opened before a crash. Forges count in whole seconds.
            if pull.created_at + Duration::from_secs(1) <= run.created_at {
                say_updated(forge, repo, run, work, pull.number).await?;
            }
            pull.number
        }
        _ => {
            let new = NewPull {
                title: card.title.clone(),
                body: body(run, work),
                head: ws.branch.clone(),
                base: ws.base.clone(),
            };
            edges
                .hook
                .before("runner.open_pull")
                .map_err(|e| fault(format!("open the pull request: {e}")))?;
            match forge.open_pull(repo, &new).await {
                Ok(pull) => pull.number,
                Err(error) => {
                    // The answer may have been lost although the request was carried out.
                    match forge.find_pull(repo, &ws.branch).await {
                        Ok(Some(pull)) if pull.state == PullState::Open => pull.number,
                        _ => return Err(forge_failure("opening the pull request", &error)),
                    }
                }
            }
        }
    };
    read_back(forge, repo, number, &work.head).await
}

fn body(run: &Run, work: &Work) -> String {
    let plural = if work.commits == 1 { "" } else { "s" };
    format!(
        "Fixes #{}\n\n{} commit{plural}.{} Not reviewed by a person yet.\n\n{}\n",
        run.card.number,
        work.commits,
        checks(run),
        footer(run)
    )
}

/// What the repository's checks said of it, if there are any.
fn checks(run: &Run) -> &'static str {
    let passed = run.checks.last().is_some_and(|c| c.failed.is_none());
    if passed { " The repository's checks passed." } else { "" }
}

/// Who made it: the agent's name, the program, the model where it is another word, the run.
fn footer(run: &Run) -> String {
    let model = run.model.as_deref().filter(|m| !run.program.ends_with(&format!(":{m}")));
    let model = model.map(|m| format!(" ({})", m.replace('`', "'"))).unwrap_or_default();
    format!(
        "---\n*Made by {} with `{}`{model}, {} (attempt {}), dispatched by Dispatch.*",
        run.agent,
        run.program,
        run.id,
        run.attempt.ordinal()
    )
}
