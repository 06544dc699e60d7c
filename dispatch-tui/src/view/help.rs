//! The help: the table of keys as it is, a menu of everything that can be done, and what the glyphs mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{areas, more, over, put, put_both};
use crate::keymap::{Action, Context, TABLE};
use crate::model::overlay::{HelpPane, Overlay};
use crate::model::{Model, View};
use crate::theme::{Mark, Role};

/// Where the help was opened: what is chosen is done there.
fn below(model: &Model) -> Context {
    let under = model.overlays.iter().rev().find(|o| !matches!(o, Overlay::Help(_)));
    match under {
        Some(overlay) => overlay.context(),
        None if model.view == View::Board => Context::Board,
        None => Context::List,
    }
}

/// The lines, and which command each of them is.
fn content(model: &Model) -> Vec<(Line<'static>, Option<Action>)> {
    let strong = model.theme.style(Role::Strong);
    let here = below(model);
    let mut lines: Vec<(Line<'static>, Option<Action>)> = Vec::new();
    let mut group = "";
    for binding in TABLE {
        if binding.group != group {
            if !group.is_empty() {
                lines.push((Line::default(), None));
            }
            group = binding.group;
            lines.push((Line::styled(group, strong), None));
        }
        let keys = model.keys.names(binding.action);
        let role = if binding.at.contains(&here) { Role::Plain } else { Role::Dim };
        let line = Line::from(vec![
            Span::styled(format!("  {keys:<12} "), strong),
            Span::styled(binding.help, model.theme.style(role)),
        ]);
        lines.push((line, Some(binding.action)));
    }
    lines.push((Line::default(), None));
    lines.push((Line::styled("Glyphs", strong), None));
    for mark in Mark::ALL {
        let line = Line::from(vec![
            Span::styled(format!("  {:<12} ", mark.glyph()), model.theme.style(mark.role())),
            Span::raw(mark.word()),
        ]);
        lines.push((line, None));
    }
    for words in [
        "  ▰▰▱▱         a run: prepare, run, verify, publish",
        "  ! !!         longer than it should be; twice as long",
        "  *            marked: verbs take all that are",
    ] {
        lines.push((Line::raw(words), None));
    }
    lines
}

fn height(model: &Model) -> usize {
    usize::from(areas::areas(model.size).full.height.saturating_sub(2)).max(1)
}

/// How far the help may be scrolled.
pub(crate) fn scroll_limit(model: &Model) -> usize {
    if !model.overlays.iter().any(|o| matches!(o, Overlay::Help(_))) {
        return 0;
    }
    content(model).len().saturating_sub(height(model))
}

/// Scrolls so that what is chosen is seen, with the heading above it if there is room.
pub(crate) fn reveal(model: &mut Model) {
    let Some(Overlay::Help(pane)) = model.overlays.last() else { return };
    let at = content(model).iter().position(|(_, action)| *action == Some(pane.choice)).unwrap_or(0);
    let height = height(model);
    if let Some(Overlay::Help(pane)) = model.overlays.last_mut() {
        pane.scroll = pane.scroll.min(at.saturating_sub(1)).max((at + 1).saturating_sub(height));
    }
}

pub(super) fn draw(model: &Model, overlay: &Overlay, buffer: &mut Buffer, area: Rect) {
    let Overlay::Help(HelpPane { choice, scroll }) = overlay else { return };
    let title = vec![Span::styled("Help: every key", model.theme.style(Role::Strong))];
    let what = format!("{} does what is chosen", model.keys.name(Action::Enter));
    put_both(buffer, area, 0, title, vec![Span::styled(what, model.theme.style(Role::Dim))]);
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    let lines = content(model);
    for (row, (line, action)) in lines.iter().skip(*scroll).take(usize::from(inner.height)).enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        let spans = line.spans.iter().map(|s| s.clone().patch_style(line.style)).collect();
        put(buffer, inner, row, spans);
        if *action == Some(*choice) {
            put(buffer, inner, row, vec![Span::raw("›")]);
            over(model, buffer, inner, row, Role::Bar);
        }
    }
    let below = lines.len().saturating_sub(scroll + usize::from(inner.height));
    more(model, buffer, area, area.height.saturating_sub(1), below);
}
