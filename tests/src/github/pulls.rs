//! Pull requests. Their heads follow the branches of the bare repository.

use std::path::Path;

use serde_json::{Value, json};

use super::issues::{in_state, labels_json, sort};
use super::page::{Asked, Said, complaint, not_found, paged_of, said};
use super::routes::time;
use super::shape::{self, account};
use super::state::{Item, PullPart, Repo, State, now};
use super::{Shared, bare};

fn pull_json(asked: &Asked, repo: &Repo, item: &Item) -> Option<Value> {
    let pull = item.pull.as_ref()?;
    let (origin, full) = (&asked.origin, repo.full_name());
    let home = shape::repo(origin, repo);
    // A fork of a deleted account has no repository any more.
    let from = if pull.from_fork { Value::Null } else { home.clone() };
    let owner = if pull.from_fork { "somebody" } else { &repo.owner };
    let (url, html) = (
        format!("{origin}/repos/{full}/pulls/{}", item.number),
        format!("{origin}/{full}/pull/{}", item.number),
    );
    let issue = format!("{origin}/repos/{full}/issues/{}", item.number);
    let link = |tail: &str| json!({ "href": format!("{url}{tail}") });
    let statuses = format!("{origin}/repos/{full}/statuses/{}", pull.sha);
    let (theirs, ours) = (account(Some(owner)), account(Some(&repo.owner)));
    Some(json!({
        "id": 8_000 + item.number,
        "node_id": format!("PR_{}_{}", repo.id, item.number),
        "number": item.number,
        "title": item.title,
        "body": item.body,
        "html_url": html,
        "url": url,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "comments_url": format!("{issue}/comments"),
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{origin}/repos/{full}/pulls/comments{{/number}}"),
        "statuses_url": statuses,
        "_links": {
            "self": link(""), "html": { "href": html }, "issue": { "href": issue }, "statuses": { "href": statuses },
            "comments": { "href": format!("{issue}/comments") }, "commits": link("/commits"),
            "review_comments": link("/comments"), "review_comment": link("/comments{/number}"),
        },
        "locked": false,
        "assignee": null,
        "milestone": null,
        "auto_merge": null,
        "author_association": "MEMBER",
        "merge_commit_sha": null,
        "state": if item.open { "open" } else { "closed" },
        "draft": pull.draft,
        "merged_at": pull.merged.map(time),
        "labels": labels_json(asked, &full, item),
        "user": account(item.author.as_deref()),
        "head": { "label": format!("{owner}:{}", pull.head), "ref": pull.head, "sha": pull.sha, "repo": from, "user": theirs },
        "base": { "label": format!("{}:{}", repo.owner, pull.base), "ref": pull.base, "sha": pull.onto, "repo": home, "user": ours },
        "created_at": time(item.created),
        "updated_at": time(item.updated),
        "closed_at": item.closed.map(time),
    }))
}

fn invalid(detail: Value) -> Said {
    let mut answer = complaint(422, "Validation Failed");
    answer.body["errors"] = json!([detail]);
    answer
}

impl State {
    pub(super) fn list_pulls(&mut self, asked: &Asked, full: &str) -> Said {
        let repo = self.known(full);
        let wanted = |item: &&Item| {
            let Some(pull) = &item.pull else { return false };
            let owner = if pull.from_fork { "somebody" } else { &repo.owner };
            // As GitHub does: a head without an owner filters nothing.
            let head = asked.query("head").filter(|h| h.contains(':'));
            in_state(asked, item)
                && head.is_none_or(|h| h == format!("{owner}:{}", pull.head))
                && asked.query("base").is_none_or(|b| b == pull.base)
        };
        let mut items: Vec<&Item> = repo.items.values().filter(wanted).collect();
        sort(asked, &mut items);
        paged_of(asked, repo.id, "/pulls", items, |i| pull_json(asked, repo, i).unwrap_or_default())
    }

    pub(super) fn one_pull(&mut self, asked: &Asked, full: &str, number: u64) -> Said {
        let repo = self.known(full);
        let Some(item) = repo.items.get(&number) else { return not_found() };
        let Some(mut pull) = pull_json(asked, repo, item) else { return not_found() };
        let merged = item.pull.as_ref().is_some_and(|p| p.merged.is_some());
        // What lists do not tell.
        let more = json!({
            "merged": merged, "merged_by": if merged { account(Some("olive")) } else { Value::Null },
            "mergeable": null, "mergeable_state": "unknown", "maintainer_can_modify": false,
            "comments": item.comments.len(), "review_comments": 0, "commits": 1, "additions": 1, "deletions": 0,
            "changed_files": 1,
        });
        shape::fill(&mut pull, more);
        said(200, pull)
    }

    /// After a push: open pull requests take the new heads of their branches.
    pub(super) fn follow_heads(&mut self, bare: &Path, full: &str) {
        let moved: Vec<(u64, String)> = self
            .known(full)
            .items
            .values()
            .filter(|i| i.open)
            .filter_map(|i| {
                let pull = i.pull.as_ref().filter(|p| !p.from_fork)?;
                let sha = bare::head(bare, &pull.head)?;
                (sha != pull.sha).then_some((i.number, sha))
            })
            .collect();
        for (number, sha) in moved {
            self.edit(full, number, |i| {
                if let Some(pull) = &mut i.pull {
                    pull.sha = sha;
                }
            });
        }
    }
}

impl Shared {
    pub(super) fn post_pull(&self, asked: &Asked, full: &str) -> Said {
        let mut state = self.state();
        let repo = state.known(full);
        let (id, owner) = (repo.id, repo.owner.clone());
        let (Some(title), Some(head), Some(base)) =
            (asked.text("title"), asked.text("head"), asked.text("base"))
        else {
            return complaint(422, "Invalid request: title, head and base are required");
        };
        let branch = head.strip_prefix(&format!("{owner}:")).unwrap_or(head);
        let field = |field: &str| json!({ "resource": "PullRequest", "field": field, "code": "invalid" });
        let Some(onto) = bare::head(&self.bare(id), base) else { return invalid(field("base")) };
        let Some(sha) = bare::head(&self.bare(id), branch) else { return invalid(field("head")) };
        let custom = |message: String| {
            invalid(json!({ "resource": "PullRequest", "code": "custom", "message": message }))
        };
        if sha == onto {
            return custom(format!("No commits between {base} and {branch}"));
        }
        let same = |i: &Item| {
            i.open && i.pull.as_ref().is_some_and(|p| p.head == branch && p.base == base && !p.from_fork)
        };
        if repo.items.values().any(same) {
            return custom(format!("A pull request already exists for {owner}:{branch}."));
        }
        let number = state.add(full, |n| {
            let pull = PullPart {
                head: branch.to_owned(),
                base: base.to_owned(),
                from_fork: false,
                draft: asked.body.get("draft").and_then(Value::as_bool).unwrap_or(false),
                merged: None,
                sha,
                onto,
            };
            let mut item = Item::new(n, title, asked.text("body"), &[], now());
            item.author = Some("dispatch-bot".to_owned());
            Item { pull: Some(pull), ..item }
        });
        let mut answer = state.one_pull(asked, full, number);
        answer.status = 201;
        answer
    }
}
