//! Links on the screen that the terminal itself opens (OSC 8): the card under the cursor and its pull request, wherever
//! they are written. Found in the finished frame, so that no view has to think about them.

use std::io::{self, Write};

use crossterm::style::{ContentStyle, PrintStyledContent};
use crossterm::{cursor, queue};
use ratatui::backend::IntoCrossterm;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::model::Model;
use crate::update::verbs;

/// Text on the screen that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    at: (u16, u16),
    text: String,
    style: Style,
    url: String,
}

/// Only what a browser opens, and nothing that could end the sequence.
fn is_address(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.bytes().all(|b| b.is_ascii_graphic())
        && url.len() < 2_000
}

/// The links of a frame.
pub(crate) fn find(model: &Model, buffer: &Buffer) -> Vec<Link> {
    let target = verbs::target(model);
    let Some(card) = target.issue.as_ref().and_then(|id| model.data.issues.get(id)) else {
        return Vec::new();
    };
    let mut wanted = vec![(format!("#{} {}", card.number, card.repo_full_name), card.url.as_str())];
    if let Some(pull) = &card.linked_pr {
        wanted.push((format!("PR {}", pull.number), pull.url.as_str()));
    }
    wanted
        .iter()
        .filter(|(_, url)| is_address(url))
        .filter_map(|(text, url)| place(buffer, text, url))
        .collect()
}

/// Where `text` stands; it is plain ASCII, one cell a character.
fn place(buffer: &Buffer, text: &str, url: &str) -> Option<Link> {
    let wanted: Vec<&str> = text.split("").filter(|c| !c.is_empty()).collect();
    let width = usize::from(buffer.area.width);
    for (y, row) in buffer.content.chunks(width.max(1)).enumerate() {
        let found = row
            .windows(wanted.len())
            .position(|cells| cells.iter().zip(&wanted).all(|(c, w)| c.symbol() == *w));
        if let Some(x) = found
            && row.get(x + wanted.len()).is_none_or(|next| !next.symbol().starts_with(char::is_alphanumeric))
        {
            let at = (u16::try_from(x).ok()?, u16::try_from(y).ok()?);
            return Some(Link { at, text: text.to_owned(), style: row[x].style(), url: url.to_owned() });
        }
    }
    None
}

impl Link {
    /// Writes the text once more where it stands, as a link.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let style: ContentStyle = self.style.into_crossterm();
        queue!(out, cursor::MoveTo(self.at.0, self.at.1))?;
        write!(out, "\x1b]8;;{}\x1b\\", self.url)?;
        queue!(out, PrintStyledContent(style.apply(&self.text)))?;
        write!(out, "\x1b]8;;\x1b\\")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::{board, cells, id};

    #[test]
    fn the_card_under_the_cursor_is_a_link_and_a_hostile_address_is_none() {
        let mut model = board(120, 40);
        let links = find(&model, &cells(&model));
        assert_eq!(links.len(), 1);
        let mut out = Vec::new();
        links[0].write(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("\x1b]8;;https://github.com/acme/api/issues/390\x1b\\"), "{out:?}");
        assert!(out.ends_with("\x1b]8;;\x1b\\"));
        for url in ["javascript:alert(1)", "https://x\u{1b}]0;y", "https://a b", ""] {
            model.data.issues.get_mut(&id(390)).unwrap().url = url.into();
            assert_eq!(find(&model, &cells(&model)), [], "{url}");
        }
    }
}
