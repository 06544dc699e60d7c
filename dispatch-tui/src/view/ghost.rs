//! Where a card would go: under the pointer while it is dragged, in the column that the menu points at.

use dispatch_shared::issue::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::{Clear, Widget};

use super::areas::{self, Column, Shape};
use super::{over, put};
use crate::model::card::column_title;
use crate::model::overlay::{Overlay, Pick, PickKind};
use crate::model::{Model, View, text};
use crate::theme::Role;
use crate::update::verbs;

pub(super) fn draw(model: &Model, buffer: &mut Buffer, body: Rect) {
    if model.view != View::Board {
        return;
    }
    if let Some(drag) = &model.pointer.drag {
        dragged(model, buffer, body, drag);
    } else if let [Overlay::Pick(Pick { kind: PickKind::Move, issues, choice })] = model.overlays.as_slice()
        && let [issue] = issues.as_slice()
        && let Some(to) = Status::ALL.into_iter().find(|s| s.word() == choice.as_str())
        && model.column_of(issue) != Some(to)
        && let Some(card) = model.data.issues.get(issue)
    {
        let place = areas::board(model)[to as usize];
        let allowed = verbs::may_move(model, card, to).is_ok();
        let words = format!("~ #{} {}", card.number, card.title);
        target(model, buffer, &place, &words, allowed);
    }
}

/// Shows the card as it would stand first in the column.
fn target(model: &Model, buffer: &mut Buffer, place: &Column, words: &str, allowed: bool) {
    if place.shape == Shape::Hidden || place.rect.height < 2 {
        return;
    }
    let role = if allowed { Role::Waiting } else { Role::Dim };
    let slot = Rect { y: place.rect.y + 1, height: 1, ..place.rect };
    Clear.render(slot, buffer);
    let words = text::fit(words, usize::from(slot.width));
    put(buffer, slot, 0, vec![Span::styled(words, model.theme.style(role))]);
    if allowed {
        over(model, buffer, place.rect, 0, Role::Bar);
    }
}

fn dragged(model: &Model, buffer: &mut Buffer, body: Rect, drag: &crate::model::pointer::Drag) {
    let Some(card) = model.data.issues.get(&drag.issue) else { return };
    let to = drag.over.map(|at| Status::ALL[at.min(4)]);
    let home = model.column_of(&drag.issue);
    let (said, allowed) = match to {
        None => ("drop it on a column".to_owned(), false),
        Some(to) if Some(to) == home => (format!("stays in {}", column_title(to)), false),
        Some(to) => match verbs::may_move(model, card, to) {
            Ok(()) => (format!("to {}", column_title(to)), true),
            Err(why) => (format!("✗ {why}"), false),
        },
    };
    if let (Some(at), true) = (drag.over, allowed) {
        over(model, buffer, areas::board(model)[at].rect, 0, Role::Bar);
    }
    let title = format!(" #{} {} ", card.number, card.title);
    let said = format!(" {said} ");
    let width = text::width(&title).max(text::width(&said)).min(44).min(usize::from(body.width));
    let width = u16::try_from(width).unwrap_or(body.width);
    let ghost = Rect {
        x: (drag.at.0 + 1).min((body.x + body.width).saturating_sub(width)),
        y: drag.at.1.clamp(body.y, (body.y + body.height).saturating_sub(2).max(body.y)),
        width,
        height: body.height.min(2),
    };
    Clear.render(ghost, buffer);
    let room = usize::from(width);
    put(buffer, ghost, 0, vec![Span::raw(text::fit(&title, room))]);
    over(model, buffer, ghost, 0, Role::Bar);
    let role = if allowed { Role::Done } else { Role::Alarm };
    put(buffer, ghost, 1, vec![Span::styled(text::fit(&said, room), model.theme.style(role))]);
}
