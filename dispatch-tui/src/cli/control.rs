//! Repositories, syncs, the audit, and the daemon as a whole.

use dispatch_shared::client::Client;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::activity::AuditQuery;
use dispatch_shared::protocol::control::Control;
use dispatch_shared::protocol::repos::{AddRepoRequest, PatchRepoRequest, Repo};

use super::args::{self, OnOff, Repos};
use super::out::{Cell, Out, dim, word};
use super::{Failure, issue};

pub(super) async fn repos(client: &Client, what: Option<Repos>, out: &mut Out) -> Result<(), Failure> {
    match what.unwrap_or(Repos::List) {
        Repos::List => {
            let repos = client.repos().await?;
            if out.json {
                return Ok(out.json(&repos)?);
            }
            let rows = repos.iter().map(|r| row(r, out)).collect();
            let heads = ["REPOSITORY", "FORGE", "RUNNER", "OPEN", "SYNCED", "NOTE"];
            Ok(out.table(&heads, rows, "no repository is tracked; `dispatch repos add` adds one")?)
        }
        Repos::Add { repo, name } => {
            let added = client.add_repo(&to_add(&repo, name.as_ref())?).await?;
            one(&added, "is tracked", out)
        }
        Repos::Remove { repo } => {
            let answer = client.remove_repo(&repo).await?;
            if out.json {
                return Ok(out.json(&answer)?);
            }
            Ok(out.line(format!("{repo} is not tracked any more; its history stays"))?)
        }
        Repos::Runner { state, repo } => {
            let repo = match repo {
                Some(repo) => repo,
                None => issue::only_repo(client).await?,
            };
            let on = state == OnOff::On;
            let patch = PatchRepoRequest { runner_enabled: Some(on), ..PatchRepoRequest::default() };
            let patched = client.patch_repo(&repo, &patch).await?;
            let said =
                if on { "is worked on by the built-in runner" } else { "is left to outside harnesses" };
            one(&patched, said, out)
        }
    }
}

/// A directory that is there is a local repository; anything else must be `owner/name`.
pub(crate) fn to_add(text: &str, name: Option<&RepoName>) -> Result<AddRepoRequest, Failure> {
    let path = std::path::Path::new(text);
    if path.is_dir() {
        let path = std::fs::canonicalize(path).map_err(|e| format!("{text} cannot be opened: {e}"))?;
        let path = path.to_str().ok_or_else(|| format!("{text} has a path that is no UTF-8 text"))?;
        return Ok(AddRepoRequest {
            full_name: name.map(ToString::to_string),
            forge: Some("local".into()),
            path: Some(path.to_owned()),
        });
    }
    if text.starts_with(['.', '/', '~']) {
        return Err(Failure::Said(format!("there is no directory {text}")));
    }
    let name: RepoName = text.parse()?;
    Ok(AddRepoRequest { full_name: Some(name.to_string()), forge: None, path: None })
}

fn one(repo: &Repo, said: &str, out: &mut Out) -> Result<(), Failure> {
    if out.json { Ok(out.json(repo)?) } else { Ok(out.line(format!("{} {said}", repo.full_name))?) }
}

fn row(repo: &Repo, out: &Out) -> Vec<Cell> {
    let open: usize = repo.columns[..4].iter().sum();
    let synced = repo.last_synced_at.map_or_else(|| "never".to_owned(), |at| out.age(at));
    let note = repo.sync_error.as_ref().or(repo.path.as_ref());
    vec![
        (&repo.full_name).into(),
        (&repo.forge).into(),
        if repo.runner_enabled { word("on") } else { dim("off") },
        open.into(),
        dim(synced),
        note.map_or("", String::as_str).into(),
    ]
}

pub(super) async fn sync(client: &Client, repo: Option<RepoName>, out: &mut Out) -> Result<(), Failure> {
    let answer = client.sync(repo.as_ref()).await?;
    if out.json {
        out.json(&answer)?;
    } else {
        let rows = answer.results.iter().map(|r| {
            let said = r.error.as_ref().map_or_else(|| format!("{} issues read", r.synced), |e| e.clone());
            vec![word(if r.error.is_some() { "failed" } else { "ok" }), (&r.repo).into(), said.into()]
        });
        out.table(&["", "REPOSITORY", ""], rows.collect(), "no repository is tracked")?;
    }
    match answer.results.iter().filter(|r| r.error.is_some()).count() {
        0 => Ok(()),
        n => Err(Failure::Said(format!("{n} of {} repositories could not be synced", answer.results.len()))),
    }
}

pub(super) async fn audit(client: &Client, filter: args::Audit, out: &mut Out) -> Result<(), Failure> {
    let query = AuditQuery {
        limit: filter.limit,
        repo: filter.repo,
        issue: filter.issue,
        actor: filter.actor,
        action: filter.action,
    };
    let rows = client.audit(&query).await?;
    if out.json {
        return Ok(out.json(&rows)?);
    }
    let rows = rows.iter().map(|r| {
        let subject = match (&r.repo_full_name, r.issue_number) {
            (Some(repo), Some(number)) => format!("{repo}#{number}"),
            (Some(repo), None) => repo.to_string(),
            _ => "-".to_owned(),
        };
        vec![
            dim(r.created_at),
            (&r.actor).into(),
            (&r.action).into(),
            subject.into(),
            word(if r.success { "ok" } else { "failed" }),
            r.error_message.as_ref().or(r.notes.as_ref()).map_or("", String::as_str).into(),
        ]
    });
    Ok(out.table(&["WHEN", "WHO", "WHAT", "SUBJECT", "", "NOTE"], rows.collect(), "nothing happened yet")?)
}

pub(super) async fn health(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let health = client.health().await?;
    if out.json {
        return Ok(out.json(&health)?);
    }
    let rows: [(&str, String); 5] = [
        ("daemon", client.endpoint().to_string()),
        ("version", health.version),
        ("process", health.pid.to_string()),
        ("store", health.database),
        ("access", health.auth_mode),
    ];
    Ok(out.table(&["", ""], rows.into_iter().map(|(name, v)| vec![dim(name), v.into()]).collect(), "")?)
}

pub(super) async fn problems(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let problems = client.problems().await?;
    if out.json {
        return Ok(out.json(&problems)?);
    }
    let rows = problems.iter().map(|p| {
        let kind = serde_json::to_value(p.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default().replace('_', "-");
        let run = p.run_id.map_or_else(|| "-".to_owned(), |r| r.to_string());
        vec![
            word(kind),
            (&p.subject).into(),
            run.into(),
            dim(out.age(p.since)),
            (&p.action).into(),
            (&p.text).into(),
        ]
    });
    let rows = rows.collect();
    Ok(out.table(&["PROBLEM", "SUBJECT", "RUN", "AGE", "DO", "WHAT"], rows, "nobody needs you")?)
}

pub(super) async fn freeze(client: &Client, frozen: bool, out: &mut Out) -> Result<(), Failure> {
    let control: Control = client.freeze(frozen).await?;
    if out.json {
        return Ok(out.json(&control)?);
    }
    let state = if control.frozen { "frozen: nothing is handed out" } else { "thawed: work is handed out" };
    Ok(out.line(format!("{state}; {} of {} slots are in use", control.running, control.slots))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_local_and_a_name_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let local = to_add(dir.path().to_str().unwrap(), None).unwrap();
        assert_eq!(local.forge.as_deref(), Some("local"));
        assert!(local.path.is_some_and(|p| p.starts_with('/')));
        let github = to_add("acme/api", None).unwrap();
        assert_eq!((github.full_name.as_deref(), github.forge), (Some("acme/api"), None));
        assert!(to_add("./not-there", None).unwrap_err().to_string().contains("no directory"));
        assert!(to_add("acme", None).is_err());
    }
}
