//! Issues, labels, comments.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use serde_json::{Value, json};

use super::dependencies;
use super::page::{Asked, Said, complaint, not_found, paged, paged_of, said};
use super::routes::time;
use super::shape::{account, label};
use super::state::{Comment, Item, State, now};

/// GitHub's limit for a label's name.
const LABEL_MAX: usize = 50;
const COMMENT_MAX: usize = 65_536;

pub(super) fn labels_json(asked: &Asked, full: &str, item: &Item) -> Vec<Value> {
    item.labels.iter().map(|name| label(&asked.origin, full, name)).collect()
}

/// An issue as it is answered. `summaries` are the repository's, where the server keeps dependencies.
pub(super) fn issue_json(
    asked: &Asked,
    full: &str,
    item: &Item,
    summaries: Option<&BTreeMap<u64, Value>>,
) -> Value {
    let origin = &asked.origin;
    let kind = if item.pull.is_some() { "pull" } else { "issues" };
    let url = format!("{origin}/repos/{full}/issues/{}", item.number);
    let mut issue = json!({
        "id": 9_000 + item.number,
        "node_id": format!("I_{}", 9_000 + item.number),
        "number": item.number,
        "title": item.title,
        "body": item.body,
        "html_url": format!("{origin}/{full}/{kind}/{}", item.number),
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "url": url,
        "locked": false,
        "author_association": "MEMBER",
        "repository_url": format!("{origin}/repos/{full}"),
        "state": if item.open { "open" } else { "closed" },
        "state_reason": if item.open { Value::Null } else { json!("completed") },
        "labels": labels_json(asked, full, item),
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "user": account(item.author.as_deref()),
        "comments": item.comments.len(),
        "created_at": time(item.created),
        "updated_at": time(item.updated),
        "closed_at": item.closed.map(time),
    });
    if let Some(summaries) = summaries {
        let none = || dependencies::summary([0; 4]);
        issue["issue_dependencies_summary"] = summaries.get(&item.number).cloned().unwrap_or_else(none);
    }
    if let Some(pull) = &item.pull {
        issue["pull_request"] = json!({
            "url": format!("{origin}/repos/{full}/pulls/{}", item.number),
            "html_url": format!("{origin}/{full}/pull/{}", item.number),
            "diff_url": format!("{origin}/{full}/pull/{}.diff", item.number),
            "patch_url": format!("{origin}/{full}/pull/{}.patch", item.number),
            "merged_at": pull.merged.map(time),
        });
    }
    issue
}

/// Sorts as `sort` and `direction` ask, newest created first if they do not.
pub(super) fn sort(asked: &Asked, items: &mut [&Item]) {
    items.sort_by_key(|i| match asked.query("sort") {
        Some("updated") => (i.updated, i.turn),
        _ => (i.created, i.number),
    });
    if asked.query("direction") != Some("asc") {
        items.reverse();
    }
}

/// Whether the item is in the `state` asked for.
pub(super) fn in_state(asked: &Asked, item: &Item) -> bool {
    match asked.query("state").unwrap_or("open") {
        "all" => true,
        "closed" => !item.open,
        _ => item.open,
    }
}

impl State {
    pub(super) fn list_issues(&mut self, asked: &Asked, full: &str) -> Said {
        let since = match asked.query("since").map(Timestamp::parse) {
            Some(Err(_)) => return complaint(422, "Validation Failed: since is no time"),
            Some(Ok(since)) => Some(since),
            None => None,
        };
        let id = self.known(full).id;
        let summaries = self.summaries(id);
        let repo = self.known(full);
        let fits = |i: &&Item| in_state(asked, i) && since.is_none_or(|s| i.updated >= s);
        let mut items: Vec<&Item> = repo.items.values().filter(fits).collect();
        sort(asked, &mut items);
        let name = repo.full_name();
        paged_of(asked, repo.id, "/issues", items, |i| issue_json(asked, &name, i, summaries.as_ref()))
    }

    pub(super) fn one_issue(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let id = self.known(full).id;
        let summaries = self.summaries(id);
        let repo = self.known(full);
        let name = repo.full_name();
        let answer = |i| said(200, issue_json(asked, &name, i, summaries.as_ref()));
        repo.items.get(&number).map_or_else(not_found, answer)
    }

    pub(super) fn post_issue(&mut self, asked: &Asked, full: &str) -> Said {
        let Some(title) = asked.text("title").filter(|t| !t.trim().is_empty()).map(str::to_owned) else {
            return complaint(422, "Validation Failed: title can't be blank");
        };
        let body = asked.text("body").map(str::to_owned);
        let list = asked.body.get("labels").and_then(Value::as_array).cloned().unwrap_or_default();
        let labels: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        if labels.iter().any(|l| l.is_empty() || l.chars().count() > LABEL_MAX) {
            return complaint(422, "Validation Failed");
        }
        let number = self.add(full, |n| Item::new(n, &title, body.as_deref(), &labels, now()));
        let made = self.one_issue(asked, full, number);
        Said { status: 201, ..made }
    }

    /// The text alone may be changed: whoever sends a state wants to close or reopen.
    pub(super) fn patch_issue(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let Some(body) = asked.text("body").map(str::to_owned) else {
            return complaint(403, "Resource not accessible by personal access token");
        };
        if asked.body.as_object().is_some_and(|o| o.len() > 1) {
            return complaint(403, "Resource not accessible by personal access token");
        }
        match self.edit(full, number, |item| item.body = Some(body)) {
            None => not_found(),
            Some(()) => self.one_issue(asked, full, number),
        }
    }

    pub(super) fn list_labels(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let item = self.known(full).items.get(&number);
        item.map_or_else(not_found, |i| said(200, Value::Array(labels_json(asked, full, i))))
    }

    pub(super) fn post_labels(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let list = asked.body.get("labels").and_then(Value::as_array);
        let Some(list) = list else { return complaint(422, "Invalid request: \"labels\" wasn't supplied") };
        let labels: Vec<String> = list.iter().filter_map(|l| l.as_str().map(str::to_owned)).collect();
        if labels.iter().any(|l| l.is_empty() || l.chars().count() > LABEL_MAX) {
            let mut answer = complaint(422, "Validation Failed");
            answer.body["errors"] = json!([{ "resource": "Label", "code": "invalid", "field": "name" }]);
            return answer;
        }
        if self.edit(full, number, |_| ()).is_none() {
            return not_found();
        }
        self.add_labels(full, number, &labels);
        self.list_labels(asked, full, number)
    }

    pub(super) fn list_repo_labels(&mut self, asked: &Asked, full: &str) -> Said {
        let repo = self.known(full);
        let rows = repo.labels.iter().map(|name| label(&asked.origin, full, name)).collect();
        paged(asked, repo.id, "/labels", rows)
    }

    pub(super) fn post_repo_label(&mut self, asked: &Asked, full: &str) -> Said {
        let Some(name) = asked.text("name").map(str::to_owned) else {
            return complaint(422, "Invalid request: \"name\" wasn't supplied");
        };
        let repo = self.known(full);
        let there = repo.labels.iter().any(|l| l.eq_ignore_ascii_case(&name));
        if there || name.is_empty() || name.chars().count() > LABEL_MAX {
            return complaint(422, "Validation Failed");
        }
        repo.labels.push(name.clone());
        said(201, label(&asked.origin, full, &name))
    }

    pub(super) fn delete_label(&mut self, asked: &Asked, full: &str, number: u64, label: &str) -> Said {
        let Some(item) = self.known(full).items.get(&number) else { return not_found() };
        if !item.labels.iter().any(|l| l.eq_ignore_ascii_case(label)) {
            return complaint(404, "Label does not exist");
        }
        self.edit(full, number, |i| i.labels.retain(|l| !l.eq_ignore_ascii_case(label)));
        self.list_labels(asked, full, number)
    }

    pub(super) fn delete_labels(&mut self, full: &str, number: u64) -> Said {
        let done = self.edit(full, number, |i| i.labels.clear());
        done.map_or_else(not_found, |()| said(204, Value::Null))
    }

    pub(super) fn list_comments(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let repo = self.known(full);
        let Some(item) = repo.items.get(&number) else { return not_found() };
        let rows = item.comments.iter().map(|c| comment_json(asked, full, number, c)).collect();
        paged(asked, repo.id, &format!("/issues/{number}/comments"), rows)
    }

    pub(super) fn post_comment(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let Some(body) = asked.text("body").map(str::to_owned) else {
            return complaint(422, "Invalid request: \"body\" wasn't supplied");
        };
        if body.chars().count() > COMMENT_MAX {
            return complaint(422, "Validation Failed: body is too long (maximum is 65536 characters)");
        }
        let id = self.turn;
        let posted = self.edit(full, number, |item| {
            let author = Some("dispatch-bot".to_owned());
            item.comments.push(Comment { id, author, association: "MEMBER", body, at: now() });
            item.comments.last().map(|c| comment_json(asked, full, number, c))
        });
        posted.map_or_else(not_found, |c| said(201, c.unwrap_or_default()))
    }
}

fn comment_json(asked: &Asked, full: &str, number: u64, comment: &Comment) -> Value {
    let (origin, id) = (&asked.origin, comment.id);
    json!({
        "id": id,
        "node_id": format!("IC_{id}"),
        "url": format!("{origin}/repos/{full}/issues/comments/{id}"),
        "html_url": format!("{origin}/{full}/issues/{number}#issuecomment-{id}"),
        "issue_url": format!("{origin}/repos/{full}/issues/{number}"),
        "author_association": comment.association,
        "body": comment.body,
        "user": account(comment.author.as_deref()),
        "created_at": time(comment.at),
        "updated_at": time(comment.at),
    })
}
