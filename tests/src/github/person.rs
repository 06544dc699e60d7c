//! What people do on GitHub while Dispatch is not looking, and how a test makes it fail.

use dispatch_shared::Timestamp;
use dispatchd::core::seen::closing_references;

use super::fault::{Fault, Planned};
use super::state::{Item, PullPart, Repo, now};
use super::{FakeGithub, bare};

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|l| (*l).to_owned()).collect()
}

impl FakeGithub {
    /// Makes a repository with one commit on `main`. Returns its id.
    pub fn add_repo(&self, owner: &str, name: &str) -> u64 {
        let mut state = self.shared.state();
        let id = 1_001 + state.repos.len() as u64;
        bare::init(&self.shared.bare(id));
        state.repos.push(Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            former: Vec::new(),
            labels: Vec::new(),
            items: std::collections::BTreeMap::new(),
            transferred: std::collections::BTreeMap::new(),
        });
        id
    }

    /// Renames a repository; the old name redirects.
    pub fn rename_repo(&self, repo: &str, to: &str) {
        let mut state = self.shared.state();
        let repo = state.known(repo);
        repo.former.push(repo.full_name().to_lowercase());
        let (owner, name) = to.split_once('/').expect("a repository is named owner/name");
        (repo.owner, repo.name) = (owner.to_owned(), name.to_owned());
    }

    /// Opens an issue in `repo` (`owner/name`). Returns its number.
    pub fn add_issue(&self, repo: &str, title: &str, body: &str, labels: &[&str]) -> u64 {
        self.shared.state().add(repo, |n| Item::new(n, title, Some(body), labels, now()))
    }

    /// Opens `count` issues, a minute apart and the last one a minute ago, the way a repository has grown. Every fifth
    /// has a null body and a deleted author.
    pub fn add_issues(&self, repo: &str, count: u64) {
        for i in 0..count {
            let at = Timestamp(now().0 - i64::try_from(count - i).expect("a small count") * 60_000);
            let odd = i % 5 == 0;
            let body = (!odd).then_some("Some text");
            let mut state = self.shared.state();
            let number = state.add(repo, |n| Item::new(n, &format!("Issue {n}"), body, &[], at));
            if odd && let Some(item) = state.known(repo).items.get_mut(&number) {
                item.author = None;
            }
        }
    }

    /// Edits the labels of an issue or pull request as a person: adds, then removes.
    pub fn label(&self, repo: &str, number: u64, add: &[&str], remove: &[&str]) {
        let mut state = self.shared.state();
        state.add_labels(repo, number, &owned(add));
        state
            .edit(repo, number, |item| {
                item.labels.retain(|l| !remove.iter().any(|r| r.eq_ignore_ascii_case(l)));
            })
            .expect("the test named an issue that it added");
    }

    /// Rewrites title and body.
    pub fn rewrite(&self, repo: &str, number: u64, title: &str, body: &str) {
        self.change(repo, number, |item| {
            item.title = title.to_owned();
            item.body = Some(body.to_owned());
        });
    }

    /// Closes an issue, or a pull request without merging it.
    pub fn close(&self, repo: &str, number: u64) {
        self.change(repo, number, Item::close);
    }

    /// Opens an issue again.
    pub fn reopen(&self, repo: &str, number: u64) {
        self.change(repo, number, |item| {
            item.open = true;
            item.closed = None;
        });
    }

    /// Deletes an issue: afterwards it is 404 and in no list.
    pub fn delete(&self, repo: &str, number: u64) {
        self.shared.state().known(repo).items.remove(&number);
    }

    /// Transfers an issue: its old address redirects. Returns its number there.
    pub fn transfer(&self, repo: &str, number: u64, to: &str) -> u64 {
        let mut state = self.shared.state();
        let item =
            state.known(repo).items.remove(&number).expect("the test transfers an issue that is there");
        let there = state.add(to, |n| Item { number: n, updated: now(), ..item });
        let id = state.known(to).id;
        state.known(repo).transferred.insert(number, (id, there));
        there
    }

    /// Pushes one commit with one file to `branch`, which starts at `main` if it is new. Returns the commit.
    pub fn push(&self, repo: &str, branch: &str, file: &str, text: &str) -> String {
        let mut state = self.shared.state();
        let id = state.known(repo).id;
        let sha = bare::commit(&self.shared.bare(id), branch, &[(file, text)], "Change a file");
        state.follow_heads(&self.shared.bare(id), repo);
        sha
    }

    /// Opens a pull request from a branch that is there. Returns its number.
    pub fn open_pull(&self, repo: &str, head: &str, base: &str, title: &str, body: &str) -> u64 {
        self.pull(repo, head, base, title, body, false)
    }

    /// Opens a pull request that comes from somebody's fork.
    pub fn open_fork_pull(&self, repo: &str, head: &str, title: &str, body: &str) -> u64 {
        self.pull(repo, head, "main", title, body, true)
    }

    fn pull(&self, repo: &str, head: &str, base: &str, title: &str, body: &str, from_fork: bool) -> u64 {
        let mut state = self.shared.state();
        let id = state.known(repo).id;
        let sha = bare::head(&self.shared.bare(id), head).unwrap_or_else(|| "f".repeat(40));
        let onto = bare::head(&self.shared.bare(id), base).expect("the base branch is there");
        state.add(repo, |n| {
            let (head, base) = (head.to_owned(), base.to_owned());
            let pull = PullPart { head, base, from_fork, draft: false, merged: None, sha, onto };
            Item { pull: Some(pull), ..Item::new(n, title, Some(body), &[], now()) }
        })
    }

    /// Merges a pull request, and closes the issues that it closes.
    pub fn merge(&self, repo: &str, number: u64) {
        let mut state = self.shared.state();
        let id = state.known(repo).id;
        let merged = state.edit(repo, number, |item| {
            item.close();
            let pull = item.pull.as_mut().expect("the test named a pull request");
            pull.merged = Some(now());
            let closes = closing_references(item.body.as_deref().unwrap_or_default());
            (pull.base.clone(), pull.sha.clone(), closes)
        });
        let (base, sha, closes) = merged.expect("the test named a pull request that is there");
        bare::merge(&self.shared.bare(id), &base, &sha);
        for number in closes {
            state.edit(repo, number, Item::close);
        }
    }

    /// Makes the next `times` requests fail that begin with `matcher`: `GET /repos/acme/api/issues`, or a path alone for
    /// every method. Later pages live under `/repositories/`.
    pub fn fail_next(&self, matcher: &str, fault: Fault, times: usize) {
        self.shared.state().faults.push(Planned::new(matcher, fault, times));
    }

    /// Forgets the faults that are still planned.
    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    /// Accepts one more token.
    pub fn add_token(&self, token: &str) {
        self.shared.state().tokens.push(token.to_owned());
    }

    /// Accepts a token no more.
    pub fn revoke_token(&self, token: &str) {
        self.shared.state().tokens.retain(|t| t != token);
    }

    /// Leaves so many requests until the hour is over.
    pub fn set_remaining(&self, remaining: u64) {
        self.shared.state().remaining = remaining;
    }

    fn change(&self, repo: &str, number: u64, edit: impl FnOnce(&mut Item)) {
        self.shared.state().edit(repo, number, edit).expect("the test named an issue that it added");
    }
}
