//! What people said under the issue: the one thing that a prompt asks the forge for.

use std::time::Duration;

use dispatch_shared::prompt::{Comment, Comments};

use crate::core::record::{Card, Repo};
use crate::edges;
use crate::runner::context::Context;
use crate::runner::mirror::Say;

/// How long a run waits for them. It can do without.
const PATIENCE: Duration = Duration::from_secs(60);

/// The newest comments on `card`. Why they could not be read is said; the prompt says that they could not.
pub(super) async fn under(ctx: &Context, repo: &Repo, card: &Card, say: Say<'_>) -> Comments {
    let read = async {
        let forge = ctx.forges.for_repo(repo).map_err(|e| e.to_string())?;
        forge.comments(repo, card.key.number).await.map_err(|e| e.to_string())
    };
    let read = tokio::time::timeout(PATIENCE, read).await;
    match read.unwrap_or_else(|_| Err(format!("the forge did not answer within {} s", PATIENCE.as_secs()))) {
        Ok(read) => {
            Comments { list: read.list.into_iter().map(told).collect(), older: read.older, unread: false }
        }
        Err(why) => {
            tracing::warn!(repo = %repo.name, issue = card.key.number, why, "a prompt is without comments");
            say(format!("the prompt is without the comments on #{}: {why}", card.key.number));
            Comments::unread()
        }
    }
}

fn told(comment: edges::Comment) -> Comment {
    let edges::Comment { author, association, at, text } = comment;
    Comment { author, association, at, text }
}
