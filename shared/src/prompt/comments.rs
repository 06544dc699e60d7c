//! What people said under an issue, bounded: the newest count most, and what is left out is said.

use serde::Serialize;

use super::text::{head, line};
use crate::Timestamp;

/// The most comments.
const MOST: usize = 30;
/// The longest text of one comment, in characters: the newest fits always.
const TEXT_MAX: usize = 16_000;
/// The most of all their texts, in bytes.
const TOGETHER_MAX: usize = 64 << 10;
/// The longest name.
const NAME_MAX: usize = 100;

/// One comment; all of it but the time is somebody's word.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comment {
    /// Who wrote it; empty for a deleted account.
    pub author: String,
    /// What the author is to the repository, in the forge's word (`OWNER`, `NONE`); empty if the forge does not tell.
    pub association: String,
    /// When, if the forge tells.
    pub at: Option<Timestamp>,
    /// Markdown.
    pub text: String,
}

/// The comments of an issue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comments {
    /// Oldest first.
    pub list: Vec<Comment>,
    /// There are older ones, which are not here.
    pub older: bool,
    /// They could not be read.
    pub unread: bool,
}

impl Comments {
    /// Where the forge did not answer.
    #[must_use]
    pub fn unread() -> Self {
        Self { unread: true, ..Self::default() }
    }

    /// The newest of them, without what a reader would not see.
    pub(super) fn cleaned(&self) -> Self {
        let mut room = TOGETHER_MAX;
        let mut kept: Vec<Comment> = Vec::new();
        let mut older = self.older;
        for comment in self.list.iter().rev() {
            let text = head(&comment.text, TEXT_MAX);
            if text.is_empty() {
                continue;
            }
            // No gap: whoever reads an answer may rely on what it answers being there, or being said to be missing.
            if kept.len() == MOST || text.len() > room {
                older = true;
                break;
            }
            room -= text.len();
            kept.push(Comment {
                author: line(&comment.author, NAME_MAX),
                association: line(&comment.association, NAME_MAX),
                at: comment.at,
                text,
            });
        }
        kept.reverse();
        Self { list: kept, older, unread: self.unread }
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(|c| [c.author.as_str(), &c.association, &c.text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comments(texts: impl IntoIterator<Item = String>) -> Comments {
        let list = texts.into_iter().map(|text| Comment { text, ..Comment::default() });
        Comments { list: list.collect(), ..Comments::default() }
    }

    fn texts(comments: &Comments) -> Vec<&str> {
        comments.list.iter().map(|c| c.text.as_str()).collect()
    }

    #[test]
    fn the_newest_stay_in_their_order_and_the_rest_is_said_to_be_missing() {
        let few = comments((1..=30).map(|n| n.to_string())).cleaned();
        assert_eq!((few.list.len(), few.older), (30, false));
        let many = comments((1..=31).map(|n| n.to_string())).cleaned();
        assert_eq!((many.list.len(), many.older), (30, true));
        assert_eq!((texts(&many)[0], texts(&many)[29]), ("2", "31"));
        let told = Comments { older: true, ..comments(["a".to_owned()]) };
        assert!(told.cleaned().older, "the forge's word stays");
        let empty = comments(["\u{200b} \n".to_owned(), "a".to_owned()]).cleaned();
        assert_eq!((texts(&empty), empty.older), (vec!["a"], false), "one without text is none");
    }

    #[test]
    fn texts_are_cut_and_bounded_together_whatever_their_letters() {
        let long = comments((0..5).map(|_| "🐛".repeat(70_000))).cleaned();
        assert_eq!((long.list.len(), long.older), (1, true), "the newest fits always");
        assert!(long.list[0].text.ends_with("… (cut)") && long.list[0].text.len() <= TOGETHER_MAX);
        // Five of these do not fit.
        let some = comments((0..5).map(|n| format!("{n}{}", "x".repeat(15_000)))).cleaned();
        assert_eq!((some.list.len(), some.older), (4, true));
        assert!(some.list[0].text.starts_with('1') && some.list[3].text.starts_with('4'));
    }
}
