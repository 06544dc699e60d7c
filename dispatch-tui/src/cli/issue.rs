//! How a person names an issue: `owner/repo#12`, `#12` or `12` where only one repository is tracked, or an id.

use dispatch_shared::client::Client;
use dispatch_shared::id::{IssueId, RepoName};
use dispatch_shared::protocol::IssueRef;
use dispatch_shared::protocol::issues::IssueStateAnswer;

use super::Failure;

/// What the text says by itself.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Full(RepoName, u64),
    Number(u64),
    Id(IssueId),
}

fn read(text: &str) -> Result<Named, String> {
    let wrong = || format!("`{text}` names no issue: write owner/repo#12, #12, or an id");
    if let Some((repo, number)) = text.split_once('#') {
        let number = number.parse().map_err(|_| wrong())?;
        return if repo.is_empty() {
            Ok(Named::Number(number))
        } else {
            Ok(Named::Full(repo.parse()?, number))
        };
    }
    if let Ok(number) = text.parse() {
        return Ok(Named::Number(number));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.is_empty() || !text.chars().all(fine) {
        return Err(wrong());
    }
    Ok(Named::Id(IssueId::new(text)))
}

/// The issue that `text` names, as requests carry it.
pub(super) async fn reference(client: &Client, text: &str) -> Result<IssueRef, Failure> {
    let by_number = |repo: &RepoName, number| IssueRef {
        repo_full_name: Some(repo.to_string()),
        issue_number: Some(number),
        ..IssueRef::default()
    };
    Ok(match read(text)? {
        Named::Full(repo, number) => by_number(&repo, number),
        Named::Id(id) => IssueRef::id(&id),
        Named::Number(number) => by_number(&only_repo(client).await?, number),
    })
}

/// The id of the issue that `text` names.
pub(super) async fn id(client: &Client, text: &str) -> Result<IssueId, Failure> {
    let named = reference(client, text).await?;
    if let Some(id) = named.issue_id {
        return Ok(IssueId::new(id));
    }
    let query = serde_json::json!({"repo": named.repo_full_name, "number": named.issue_number});
    let state: IssueStateAnswer = client.get("/api/issues/state", &query).await?;
    Ok(state.issue_id)
}

/// The one tracked repository.
pub(super) async fn only_repo(client: &Client) -> Result<RepoName, Failure> {
    let repos = client.repos().await?;
    match repos.as_slice() {
        [one] => Ok(one.full_name.clone()),
        [] => Err(Failure::Said("no repository is tracked; add one with `dispatch repos add`".into())),
        many => {
            let names: Vec<_> = many.iter().map(|r| r.full_name.to_string()).collect();
            Err(Failure::Said(format!("say which repository is meant, {}", names.join(" or "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_are_named_in_three_ways() {
        assert_eq!(read("a/b#12"), Ok(Named::Full("a/b".parse().unwrap(), 12)));
        assert_eq!(read("#12"), Ok(Named::Number(12)));
        assert_eq!(read("12"), Ok(Named::Number(12)));
        assert_eq!(read("gh77-12"), Ok(Named::Id(IssueId::new("gh77-12"))));
        for bad in ["", "a#1", "a/b#x", "#", "../etc", "a b"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
