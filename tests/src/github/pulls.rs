//! Pull requests. Their heads follow the branches of the bare repository.

use std::path::Path;

use serde_json::{Value, json};

use super::issues::{account, in_state, labels_json, sort};
use super::page::{Asked, Said, complaint, not_found, paged_of, said};
use super::routes::{repo_json, time};
use super::state::{Item, PullPart, Repo, State, now};
use super::{Shared, bare};

fn pull_json(asked: &Asked, repo: &Repo, item: &Item) -> Option<Value> {
    let pull = item.pull.as_ref()?;
    let (origin, full) = (&asked.origin, repo.full_name());
    let home = repo_json(asked, repo);
    // A fork of a deleted account has no repository any more.
    let from = if pull.from_fork { Value::Null } else { home.clone() };
    let owner = if pull.from_fork { "somebody" } else { &repo.owner };
    Some(json!({
        "id": 8_000 + item.number,
        "number": item.number,
        "title": item.title,
        "body": item.body,
        "html_url": format!("{origin}/{full}/pull/{}", item.number),
        "url": format!("{origin}/repos/{full}/pulls/{}", item.number),
        "state": if item.open { "open" } else { "closed" },
        "draft": pull.draft,
        "merged_at": pull.merged.map(time),
        "mergeable": null,
        "labels": labels_json(item),
        "user": account(item.author.as_deref()),
        "head": { "label": format!("{owner}:{}", pull.head), "ref": pull.head, "sha": pull.sha, "repo": from },
        "base": { "label": format!("{}:{}", repo.owner, pull.base), "ref": pull.base, "sha": pull.onto, "repo": home },
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
        let pull = repo.items.get(&number).and_then(|i| pull_json(asked, repo, i));
        pull.map_or_else(not_found, |p| said(200, p))
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
