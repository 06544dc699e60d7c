//! What people said under an issue: the newest, read from the end of the list. GitHub gives it oldest first, in no other order.

use url::Url;

use super::answer::Answer;
use super::call::Call;
use super::link::{link, page_in};
use super::{GithubForge, wire};
use crate::core::record::Repo;
use crate::edges::{Comment, Comments, ForgeError};

/// The most pages of one list, the first included: where Dispatch itself said that much, people's word lies far back.
const MOST_PAGES: usize = 4;

impl GithubForge {
    /// One request; of a list of several pages the last one as well, and those before it until there are as many of
    /// people as are wanted.
    pub(super) async fn read_comments(&self, repo: &Repo, number: u64) -> Result<Comments, ForgeError> {
        let what = format!("reading the comments of {}#{number}", repo.name);
        let path = format!("/repos/{}/issues/{number}/comments?per_page=100", repo.name);
        let (first, answer) = self.comments_page(repo, self.client.url(&path)?, &what).await?;
        let mut back = link(&answer.headers, "last");
        if back.is_none() && link(&answer.headers, "next").is_some() {
            return Err(ForgeError::Unreachable(format!(
                "{what} failed: there are more pages, and GitHub does not say which is the last"
            )));
        }
        let mut newest = Comments::default();
        for _ in 1..MOST_PAGES {
            let Some(address) = back.filter(|a| page_in(a) != Some(1)) else {
                newest.prepend(first);
                return Ok(Comments { older: false, ..newest });
            };
            let (page, answer) = self.comments_page(repo, self.client.given(&address, &what)?, &what).await?;
            newest.prepend(page);
            newest.older = true;
            if newest.list.len() >= Comments::WANTED {
                break;
            }
            back = link(&answer.headers, "prev");
        }
        Ok(newest)
    }

    async fn comments_page(
        &self,
        repo: &Repo,
        url: Url,
        what: &str,
    ) -> Result<(Vec<Comment>, Answer), ForgeError> {
        let answer = self.client.call(Call::get(url, what).of(repo)).await?;
        let page: Vec<wire::Comment> = answer.json(what)?;
        Ok((page.into_iter().map(wire::Comment::seen).collect(), answer))
    }
}
