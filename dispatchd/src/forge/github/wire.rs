//! GitHub's JSON as plain observations. Bodies, accounts and whole repositories can be null, words can be new.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::issue::IssueState;
use serde::Deserialize;

use crate::core::link;
use crate::core::seen::{SeenIssue, SeenPull};
use crate::core::standing::Standing;
use crate::core::waits::SeenBlocker;
use crate::edges::{self, LabelEvent};

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) login: Option<String>,
}

pub(super) fn login(account: Option<Account>) -> String {
    account.and_then(|a| a.login).unwrap_or_default()
}

/// A label is an object, or in old answers its name alone.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    Name(String),
    Whole { name: Option<String> },
}

/// The names of labels, as spelled.
pub(super) fn names(labels: Vec<Label>) -> Vec<String> {
    let name = |label| match label {
        Label::Name(name) => Some(name),
        Label::Whole { name } => name,
    };
    labels.into_iter().filter_map(name).collect()
}

fn state(word: &str) -> IssueState {
    if word == "closed" { IssueState::Closed } else { IssueState::Open }
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    title: Option<String>,
    body: Option<String>,
    html_url: Option<String>,
    state: String,
    labels: Option<Vec<Label>>,
    assignees: Option<Vec<Account>>,
    user: Option<Account>,
    created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    closed_at: Option<Timestamp>,
    /// Only whether it is there matters: then it is a pull request.
    pull_request: Option<serde::de::IgnoredAny>,
    /// Not there on servers that keep no dependencies.
    issue_dependencies_summary: Option<Dependencies>,
}

#[derive(Debug, Deserialize)]
struct Dependencies {
    /// The open ones.
    blocked_by: Option<u64>,
}

impl Issue {
    pub(super) fn is_pull(&self) -> bool {
        self.pull_request.is_some()
    }

    pub(super) fn seen(self) -> SeenIssue {
        SeenIssue {
            number: self.number,
            title: self.title.unwrap_or_default(),
            body: self.body.unwrap_or_default(),
            url: self.html_url.unwrap_or_default(),
            state: state(&self.state),
            labels: names(self.labels.unwrap_or_default()),
            assignees: self.assignees.into_iter().flatten().filter_map(|a| a.login).collect(),
            author: login(self.user),
            created_at: self.created_at,
            updated_at: self.updated_at,
            closed_at: self.closed_at,
            open_blockers: self.issue_dependencies_summary.and_then(|d| d.blocked_by),
        }
    }
}

/// An issue in the list of what blocks another.
#[derive(Debug, Deserialize)]
pub(super) struct Blocker {
    number: u64,
    state: String,
    repository_url: Option<String>,
    repository: Option<RepoId>,
}

impl Blocker {
    /// `None` if it does not say where it lives: it was counted all the same.
    pub(super) fn seen(self) -> Option<SeenBlocker> {
        let named = self.repository.map(|r| r.full_name).filter(|name| !name.is_empty());
        let by_address = || {
            let address = self.repository_url.as_deref()?;
            Some(address.split_once("/repos/")?.1.to_owned())
        };
        let repo = named.or_else(by_address)?.parse().ok()?;
        Some(SeenBlocker { repo, number: self.number, open: state(&self.state) == IssueState::Open })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct End {
    #[serde(rename = "ref")]
    branch: String,
    sha: Option<String>,
    repo: Option<RepoId>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RepoId {
    id: u64,
    #[serde(default)]
    full_name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    number: u64,
    #[serde(default)]
    title: String,
    body: Option<String>,
    #[serde(default)]
    html_url: String,
    state: String,
    draft: Option<bool>,
    merged_at: Option<Timestamp>,
    head: End,
    base: End,
    user: Option<Account>,
    #[serde(default)]
    labels: Vec<Label>,
    created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl Pull {
    pub(super) fn seen(self) -> SeenPull {
        let state = match (self.merged_at, state(&self.state)) {
            (Some(_), _) => PullState::Merged,
            (None, IssueState::Closed) => PullState::Closed,
            (None, IssueState::Open) => PullState::Open,
        };
        let (home, own) = self.base.repo.map(|r| (r.id, r.full_name)).unzip();
        SeenPull {
            number: self.number,
            title: self.title,
            url: self.html_url,
            state,
            draft: self.draft.unwrap_or(false),
            head_branch: self.head.branch,
            head_sha: self.head.sha.unwrap_or_default(),
            // A fork that was deleted is null; it was another repository all the same.
            from_fork: self.head.repo.map(|r| r.id).is_none_or(|id| Some(id) != home),
            base_branch: self.base.branch,
            author: login(self.user),
            labels: names(self.labels),
            closes: link::closing(
                self.body.as_deref().unwrap_or_default(),
                own.as_deref().unwrap_or_default(),
            ),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) full_name: String,
    pub(super) default_branch: Option<String>,
    archived: Option<bool>,
    disabled: Option<bool>,
    /// In KiB, reckoned anew now and then.
    size: Option<u64>,
}

impl Repository {
    /// How much git keeps of it, in bytes.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.size.map(|kib| kib.saturating_mul(1 << 10))
    }

    pub(super) fn standing(&self) -> Standing {
        match (self.disabled, self.archived) {
            (Some(true), _) => Standing::Disabled,
            (_, Some(true)) => Standing::Archived,
            _ => Standing::Active,
        }
    }
}

/// Something that happened to an issue; of most only the word is read.
#[derive(Debug, Deserialize)]
pub(super) struct IssueEvent {
    event: String,
    created_at: Option<Timestamp>,
    label: Option<Label>,
}

impl IssueEvent {
    /// A label that came or went; none for everything else.
    pub(super) fn label(self) -> Option<LabelEvent> {
        let added = match self.event.as_str() {
            "labeled" => true,
            "unlabeled" => false,
            _ => return None,
        };
        let label = names(vec![self.label?]).pop()?;
        Some(LabelEvent { label, added, at: self.created_at? })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) body: Option<String>,
    user: Option<Account>,
    author_association: Option<String>,
    created_at: Option<Timestamp>,
}

impl Comment {
    pub(super) fn seen(self) -> edges::Comment {
        edges::Comment {
            author: login(self.user),
            association: self.author_association.unwrap_or_default(),
            at: self.created_at,
            text: self.body.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_nulls_and_deleted_accounts() {
        let issue: Issue = serde_json::from_str(
            r#"{"number":4,"title":"T","body":null,"html_url":"u","state":"open","labels":["bare",{"name":"a/b"},{"name":null}],
                "assignees":null,"user":null,"created_at":"2026-11-20T10:00:00Z","updated_at":"2026-11-20T10:00:00Z",
                "closed_at":null}"#,
        )
        .unwrap();
        assert!(!issue.is_pull());
        let seen = issue.seen();
        assert_eq!((seen.body.as_str(), seen.author.as_str()), ("", ""));
        assert_eq!(seen.labels, ["bare", "a/b"]);
    }

    #[test]
    fn blockers_are_counted_where_github_counts_and_named_where_it_names() {
        let issue = |summary: &str| {
            let text = format!(
                r#"{{"number":4,"state":"open","created_at":"2026-11-20T10:00:00Z","updated_at":"2026-11-20T10:00:00Z"{summary}}}"#
            );
            serde_json::from_str::<Issue>(&text).unwrap().seen().open_blockers
        };
        let summary = r#","issue_dependencies_summary":{"blocked_by":2,"total_blocked_by":3,"blocking":0,"total_blocking":0}"#;
        assert_eq!(issue(summary), Some(2));
        assert_eq!((issue(""), issue(r#","issue_dependencies_summary":null"#)), (None, None));
        let list: Vec<Blocker> = serde_json::from_str(
            r#"[{"number":1,"state":"open","repository_url":"https://git.acme.io/api/v3/repos/acme/web"},
                {"number":2,"state":"closed","repository":{"id":3,"full_name":"acme/api"}},{"number":3,"state":"open"}]"#,
        )
        .unwrap();
        let seen: Vec<_> = list.into_iter().filter_map(Blocker::seen).collect();
        let said: Vec<_> = seen.iter().map(|b| (b.repo.to_string(), b.number, b.open)).collect();
        assert_eq!(said, [("acme/web".to_owned(), 1, true), ("acme/api".to_owned(), 2, false)]);
    }

    #[test]
    fn of_all_events_labels_count() {
        let events: Vec<IssueEvent> = serde_json::from_str(
            r#"[{"event":"labeled","created_at":"2026-11-20T10:00:00Z","label":{"name":"status/ready","color":"x"}},
                {"event":"closed","created_at":"2026-11-20T10:00:01Z","actor":null},
                {"event":"unlabeled","created_at":"2026-11-20T10:00:02Z","label":{"name":"status/ready"}}]"#,
        )
        .unwrap();
        let seen: Vec<_> =
            events.into_iter().filter_map(IssueEvent::label).map(|e| (e.label, e.added)).collect();
        assert_eq!(seen, [("status/ready".to_owned(), true), ("status/ready".to_owned(), false)]);
    }

    #[test]
    fn a_pull_request_knows_where_it_comes_from() {
        let pull = |head_repo: &str, merged: &str| {
            let text = format!(
                r#"{{"number":9,"title":"T","body":"Fixes #4","html_url":"u","state":"closed","merged_at":{merged},
                    "head":{{"ref":"fix","sha":"abc","repo":{head_repo}}},"base":{{"ref":"main","sha":"d","repo":{{"id":1}}}},
                    "user":{{"login":"kai"}},"created_at":"2026-11-20T10:00:00Z","updated_at":"2026-11-20T10:00:00Z"}}"#
            );
            serde_json::from_str::<Pull>(&text).unwrap().seen()
        };
        let own = pull(r#"{"id":1}"#, r#""2026-11-20T10:00:00Z""#);
        assert_eq!((own.from_fork, own.state, own.closes), (false, PullState::Merged, vec![4]));
        assert_eq!(pull(r#"{"id":2}"#, "null").state, PullState::Closed);
        assert!(pull(r#"{"id":2}"#, "null").from_fork);
        assert!(pull("null", "null").from_fork, "a deleted fork");
    }
}
