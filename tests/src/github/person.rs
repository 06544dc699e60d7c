//! What people do on GitHub while Dispatch is not looking, and how a test makes it fail.

use dispatch_shared::Timestamp;
use dispatchd::core::link::closing;

use super::fault::{Fault, Planned};
use super::state::{Comment, Item, PullPart, Repo, State, now};
use super::{FakeGithub, bare};

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|l| (*l).to_owned()).collect()
}

/// See [`FakeGithub::rename_repo`].
pub(super) fn rename(state: &mut State, repo: &str, to: &str) {
    let repo = state.known(repo);
    repo.former.push(repo.full_name().to_lowercase());
    let (owner, name) = to.split_once('/').expect("a repository is named owner/name");
    (repo.owner, repo.name) = (owner.to_owned(), name.to_owned());
}

impl FakeGithub {
    /// Makes a repository with one commit on `main`. Returns its id.
    pub fn add_repo(&self, owner: &str, name: &str) -> u64 {
        let id = self.add_issue_tracker(owner, name);
        bare::init(&self.shared.bare(id));
        id
    }

    /// Makes a repository without git, which is quick. Returns its id.
    pub fn add_issue_tracker(&self, owner: &str, name: &str) -> u64 {
        let mut state = self.shared.state();
        state.made += 1;
        let id = 1_000 + state.made;
        state.repos.push(Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            former: Vec::new(),
            archived: false,
            labels: Vec::new(),
            items: std::collections::BTreeMap::new(),
            transferred: std::collections::BTreeMap::new(),
            actions: Default::default(),
        });
        id
    }

    /// Renames a repository; the old name redirects.
    pub fn rename_repo(&self, repo: &str, to: &str) {
        rename(&mut self.shared.state(), repo, to);
    }

    /// Opens an issue in `repo` (`owner/name`). Returns its number.
    pub fn add_issue(&self, repo: &str, title: &str, body: &str, labels: &[&str]) -> u64 {
        self.shared.state().add(repo, |n| Item::new(n, title, Some(body), labels, now()))
    }

    /// Opens `count` issues, a minute apart and the last one a minute ago, the way a repository has grown. Every fifth
    /// has a null body and a deleted author.
    pub fn add_issues(&self, repo: &str, count: u64) {
        let end = now();
        for i in 0..count {
            let at = Timestamp(end.0 - i64::try_from(count - i).expect("a small count") * 60_000);
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

    /// Says something under an issue, as somebody who is `association` (`OWNER`, `NONE`) to the repository; `None` is an
    /// account that was deleted since.
    pub fn say(&self, repo: &str, number: u64, author: Option<&str>, association: &'static str, body: &str) {
        let (author, body) = (author.map(str::to_owned), body.to_owned());
        let id = self.shared.state().turn;
        self.change(repo, number, |item| {
            item.comments.push(Comment { id, author, association, body, at: now() });
        });
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
            let closes = closing(item.body.as_deref().unwrap_or_default(), repo);
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

    /// Planned faults that no request has met yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.shared.state().faults.len()
    }

    /// Makes the request fail that comes after `after` more, whatever it is.
    pub fn fail_after(&self, after: usize, fault: Fault) {
        self.shared.state().faults.push(Planned { after, ..Planned::new("/", fault, 1) });
    }

    /// Whether every planned fault has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.state().faults.is_empty()
    }

    /// Archives a repository, or takes it back into use.
    pub fn archive(&self, repo: &str, archived: bool) {
        self.shared.state().known(repo).archived = archived;
    }

    /// Deletes a repository, or takes it out of the token's sight: 404 either way.
    pub fn remove_repo(&self, repo: &str) {
        let mut state = self.shared.state();
        state.repos.retain(|r| !r.full_name().eq_ignore_ascii_case(repo));
    }

    /// Rewrites the title of an issue as if it were done at that time.
    pub fn retitle_at(&self, repo: &str, number: u64, title: &str, at: Timestamp) {
        let mut state = self.shared.state();
        state
            .edit(repo, number, |item| item.title = title.to_owned())
            .expect("the test named an issue that it added");
        if let Some(item) = state.known(repo).items.get_mut(&number) {
            item.updated = at;
        }
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

    pub(super) fn change(&self, repo: &str, number: u64, edit: impl FnOnce(&mut Item)) {
        self.shared.state().edit(repo, number, edit).expect("the test named an issue that it added");
    }
}
