//! What people said under an issue, as a forge keeps it.

use dispatch_shared::Timestamp;

use crate::core::fix::signal::is_own;

/// One comment of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Who wrote it; empty for a deleted account.
    pub author: String,
    /// What the author is to the repository, in the forge's word; empty where it does not tell.
    pub association: String,
    /// When, if the forge tells.
    pub at: Option<Timestamp>,
    /// Markdown.
    pub text: String,
}

/// The newest comments of an issue, without those that Dispatch wrote itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// Oldest first.
    pub list: Vec<Comment>,
    /// There are older ones, which were not read.
    pub older: bool,
}

impl Comments {
    /// So many of the newest are wanted: a forge may give more, and fewer only if there are no more.
    pub const WANTED: usize = 30;

    /// Puts before them what is older, oldest first, but for what Dispatch wrote itself.
    pub fn prepend(&mut self, older: impl IntoIterator<Item = Comment>) {
        self.list.splice(0..0, older.into_iter().filter(|c| !is_own(&c.text)));
    }
}
