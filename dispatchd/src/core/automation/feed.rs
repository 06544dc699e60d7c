//! What happened on a forge, as the sync saw it: the difference between two reads, never the word of a webhook.
//!
//! Each thing that happens has a key, under which it is told once. What lies further back than a week before the
//! repository was tracked is not news.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::actions::WorkflowRun;
use serde::{Deserialize, Serialize};

use super::rates::{self, Verdict};
use super::{Facts, SyncKind};
use crate::core::record::Repo;
use crate::core::seen::SeenPull;

/// How far before its tracking a repository's events are told.
const BEFORE: Duration = Duration::from_secs(7 * 86_400);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// `push`, `run_failed`…
    pub kind: String,
    /// Tells it from all others of its repository.
    pub key: String,
    /// The issue or pull request.
    #[serde(default)]
    pub number: Option<u64>,
    /// Who; empty if nobody knows.
    #[serde(default)]
    pub actor: String,
    /// In words.
    pub message: String,
    /// Where a person reads it.
    #[serde(default)]
    pub url: String,
    /// When it happened.
    pub at: Timestamp,
}

/// News, kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its number among all.
    pub id: u64,
    /// Its number among those of the repository, from 1.
    pub n: u64,
    /// Where.
    pub repo: RepoKey,
    /// What.
    pub news: News,
}

/// From when on something is news.
#[must_use]
pub fn since(repo: &Repo) -> Timestamp {
    repo.added_at - BEFORE
}

/// What happened between two reads of a repository's automation, oldest first.
#[must_use]
pub fn between(old: Option<&Facts>, new: &Facts) -> Vec<News> {
    let mut found: Vec<News> = push(old, new).into_iter().collect();
    let published = |id: &str| {
        old.is_some_and(|old| old.releases.iter().any(|r| r.id == id && r.published_at.is_some() && !r.draft))
    };
    for release in new.releases.iter().filter(|r| !r.draft && !published(&r.id)) {
        let kind = if release.prerelease { "prerelease" } else { "release" };
        found.push(News {
            kind: "release".into(),
            key: format!("release:{}", release.id),
            number: None,
            actor: release.author.clone(),
            message: format!("{kind} {} was published", release.tag),
            url: release.url.clone(),
            at: release.published_at.or(release.created_at).unwrap_or_default(),
        });
    }
    for run in &new.runs {
        let before = old.and_then(|old| old.run(&run.id)).filter(|b| b.run_attempt == run.run_attempt);
        found.extend(of_run(before, run));
    }
    found.sort_by_key(|n| n.at);
    found
}

fn push(old: Option<&Facts>, new: &Facts) -> Option<News> {
    let commit = new.commit.as_ref()?;
    let before = old.and_then(|old| old.commit.as_ref());
    if before.is_some_and(|b| b.sha == commit.sha) {
        return None;
    }
    let short: String = commit.sha.chars().take(7).collect();
    Some(News {
        kind: "push".into(),
        key: format!("push:{}:{}", commit.branch, commit.sha),
        number: None,
        actor: commit.author.clone(),
        message: format!("{} is at {short}: {}", commit.branch, commit.title),
        url: commit.url.clone(),
        at: commit.committed_at.unwrap_or_default(),
    })
}

fn of_run(before: Option<&WorkflowRun>, run: &WorkflowRun) -> Vec<News> {
    let over = run.conclusion.is_some();
    let known = before.is_some();
    let ended_before = before.is_some_and(|b| b.conclusion.is_some());
    if run.conclusion.as_deref() == Some("skipped") {
        return Vec::new();
    }
    let on = run.branch.as_deref().map(|b| format!(" on {b}")).unwrap_or_default();
    let what = format!("{} #{}{on}", run.name, run.run_number);
    let attempt = if run.run_attempt > 1 { format!(", attempt {}", run.run_attempt) } else { String::new() };
    let news = |kind: &str, state: &str, verb: &str, at: Option<Timestamp>| News {
        kind: kind.to_owned(),
        key: format!("run:{}:{}:{state}", run.id, run.run_attempt),
        number: None,
        actor: run.actor.clone(),
        message: format!("{what} {verb}{attempt}"),
        url: run.url.clone(),
        at: at.or(run.created_at).unwrap_or_default(),
    };
    let mut found = Vec::new();
    if !known && (over || rates::is_running(run)) {
        found.push(news("run_started", "started", "started", run.started_at));
    }
    if over && !ended_before {
        found.push(match (rates::verdict(run), run.conclusion.as_deref()) {
            (Some(Verdict::Success), _) => news("run_succeeded", "ended", "succeeded", run.updated_at),
            (Some(Verdict::Failure), Some("timed_out")) => {
                news("run_failed", "ended", "ran out of time", run.updated_at)
            }
            (Some(Verdict::Failure), _) => news("run_failed", "ended", "failed", run.updated_at),
            (None, word) => {
                let verb = format!("ended: {}", word.unwrap_or("unknown"));
                news("run_ended", "ended", &verb, run.updated_at)
            }
        });
    }
    found
}

/// What a read of a pull request tells: `before` is what was known of it.
#[must_use]
pub fn of_pull(before: Option<PullState>, seen: &SeenPull) -> Vec<News> {
    let news = |kind: &str, verb: &str, at: Timestamp| News {
        kind: format!("pr_{kind}"),
        // Closed, reopened and closed again is twice news.
        key: format!("pr:{}:{kind}:{}", seen.number, if kind == "closed" { at.0 } else { 0 }),
        number: Some(seen.number),
        actor: if kind == "opened" { seen.author.clone() } else { String::new() },
        message: format!("pull request #{} was {verb}: {}", seen.number, seen.title),
        url: seen.url.clone(),
        at,
    };
    let mut found = Vec::new();
    if before.is_none() {
        found.push(news("opened", "opened", seen.created_at));
    }
    match seen.state {
        PullState::Merged if before != Some(PullState::Merged) => {
            found.push(news("merged", "merged", seen.updated_at));
        }
        PullState::Closed if before != Some(PullState::Closed) => {
            found.push(news("closed", "closed without a merge", seen.updated_at));
        }
        _ => {}
    }
    found
}

/// What became of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueNews {
    /// It is new.
    Opened,
    /// It was closed.
    Closed,
    /// It was opened again.
    Reopened,
}

/// News of an issue.
#[must_use]
pub fn of_issue(what: IssueNews, number: u64, title: &str, url: &str, author: &str, at: Timestamp) -> News {
    let (kind, verb) = match what {
        IssueNews::Opened => ("opened", "opened"),
        IssueNews::Closed => ("closed", "closed"),
        IssueNews::Reopened => ("reopened", "opened again"),
    };
    let turn = if what == IssueNews::Opened { 0 } else { at.0 };
    News {
        kind: format!("issue_{kind}"),
        key: format!("issue:{number}:{kind}:{turn}"),
        number: Some(number),
        actor: if what == IssueNews::Opened { author.to_owned() } else { String::new() },
        message: format!("issue #{number} was {verb}: {title}"),
        url: url.to_owned(),
        at,
    }
}

/// News of a sync: only that it began to fail, and that it works (again). A sync that goes on as before is none.
#[must_use]
pub fn of_sync(
    kind: SyncKind,
    failed_before: Option<bool>,
    error: Option<&str>,
    at: Timestamp,
) -> Option<News> {
    let what = match kind {
        SyncKind::Issues => "issues and pull requests",
        SyncKind::Automation => "automation",
    };
    let (word, message) = match (failed_before, error) {
        (Some(true), Some(_)) | (Some(false), None) => return None,
        (_, Some(error)) => ("failed", format!("{what} cannot be read: {error}")),
        (None, None) => ("completed", format!("{what} were read for the first time")),
        (Some(true), None) => ("completed", format!("{what} can be read again")),
    };
    Some(News {
        kind: format!("sync_{word}"),
        key: format!("sync:{what}:{word}:{}", at.0),
        number: None,
        actor: "dispatch".into(),
        message,
        url: String::new(),
        at,
    })
}

/// Whether news of `kind` was asked for: by its own word, or by the first part of it (`run` means all runs); several are
/// separated by commas.
#[must_use]
pub fn wanted(kind: &str, asked: &str) -> bool {
    asked.split(',').map(str::trim).any(|word| {
        word == kind || kind.strip_prefix(word).is_some_and(|rest| !word.is_empty() && rest.starts_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dispatch_shared::protocol::actions::{Commit, Release};

    fn run(id: &str, attempt: u64, conclusion: Option<&str>) -> WorkflowRun {
        WorkflowRun {
            id: id.into(),
            name: "CI".into(),
            run_number: 4,
            run_attempt: attempt,
            status: if conclusion.is_some() { "completed" } else { "in_progress" }.into(),
            conclusion: conclusion.map(ToOwned::to_owned),
            branch: Some("main".into()),
            started_at: Some(Timestamp(1)),
            updated_at: Some(Timestamp(2)),
            ..WorkflowRun::default()
        }
    }

    fn facts(runs: Vec<WorkflowRun>) -> Facts {
        Facts { runs, ..Facts::new(RepoKey::new("gh1")) }
    }

    fn kinds(news: &[News]) -> Vec<&str> {
        news.iter().map(|n| n.kind.as_str()).collect()
    }

    #[test]
    fn a_run_starts_once_and_ends_once_per_attempt() {
        let begun = facts(vec![run("1", 1, None)]);
        let failed = facts(vec![run("1", 1, Some("failure"))]);
        let again = facts(vec![run("1", 2, None)]);
        let mended = facts(vec![run("1", 2, Some("success"))]);
        assert_eq!(kinds(&between(None, &begun)), ["run_started"]);
        assert_eq!(between(Some(&begun), &begun), []);
        let news = between(Some(&begun), &failed);
        assert_eq!((kinds(&news), news[0].message.as_str()), (vec!["run_failed"], "CI #4 on main failed"));
        assert_eq!(between(Some(&failed), &failed), []);
        assert_eq!(between(Some(&failed), &again)[0].message, "CI #4 on main started, attempt 2");
        assert_eq!(kinds(&between(Some(&again), &mended)), ["run_succeeded"]);
        assert_eq!(kinds(&between(None, &mended)), ["run_started", "run_succeeded"], "first seen when over");
        assert_eq!(between(None, &facts(vec![run("2", 1, Some("skipped"))])), []);
        assert_eq!(between(Some(&begun), &facts(vec![run("1", 1, Some("cancelled"))]))[0].kind, "run_ended");
    }

    #[test]
    fn a_push_and_a_release_are_told_when_they_are_new() {
        let release = |id: &str, draft| Release { id: id.into(), draft, ..Release::default() };
        let published = |id| Release { published_at: Some(Timestamp(3)), ..release(id, false) };
        let commit = |sha: &str| Some(Commit { sha: sha.into(), branch: "main".into(), ..Commit::default() });
        let old = Facts { commit: commit("a"), releases: vec![release("1", true)], ..facts(vec![]) };
        let new = Facts {
            commit: commit("b"),
            releases: vec![published("1"), release("2", true)],
            ..facts(vec![])
        };
        assert_eq!(kinds(&between(Some(&old), &new)), ["push", "release"]);
        assert_eq!(between(Some(&new), &new), []);
    }

    #[test]
    fn only_a_change_of_a_syncs_luck_is_news() {
        let tell = |before, error| of_sync(SyncKind::Issues, before, error, Timestamp(0)).map(|n| n.kind);
        assert_eq!(tell(None, None).as_deref(), Some("sync_completed"));
        assert_eq!(tell(Some(false), None), None);
        assert_eq!(tell(Some(false), Some("down")).as_deref(), Some("sync_failed"));
        assert_eq!(tell(Some(true), Some("down")), None);
        assert_eq!(tell(Some(true), None).as_deref(), Some("sync_completed"));
    }

    #[test]
    fn kinds_are_asked_for_by_word_or_first_part() {
        for (asked, yes) in [
            ("run_failed", true),
            ("run", true),
            ("push, run", true),
            ("ru", false),
            ("", false),
            ("run_", false),
        ] {
            assert_eq!(wanted("run_failed", asked), yes, "{asked}");
        }
    }
}
