//! The help: the table of keys as it is, and what the glyphs mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{areas, more, put};
use crate::keymap::{Action, TABLE};
use crate::model::Model;
use crate::model::overlay::Overlay;
use crate::theme::{Mark, Role};

fn content(model: &Model) -> Vec<Line<'static>> {
    let strong = model.theme.style(Role::Strong);
    let mut lines = Vec::new();
    let mut group = "";
    for binding in TABLE {
        if binding.group != group {
            if !group.is_empty() {
                lines.push(Line::default());
            }
            group = binding.group;
            lines.push(Line::styled(group, strong));
        }
        let keys = model.keys.names(binding.action);
        let later = matches!(binding.action, Action::Show(view) if !view.is_built());
        let role = if later { Role::Dim } else { Role::Plain };
        let later = if later { " (not built yet)" } else { "" };
        lines.push(Line::from(vec![
            Span::styled(format!("  {keys:<12} "), strong),
            Span::styled(format!("{}{later}", binding.help), model.theme.style(role)),
        ]));
    }
    lines.push(Line::default());
    lines.push(Line::styled("Glyphs", strong));
    for mark in Mark::ALL {
        lines.push(Line::from(vec![
            Span::styled(format!("  {:<12} ", mark.glyph()), model.theme.style(mark.role())),
            Span::raw(mark.word()),
        ]));
    }
    lines.push(Line::raw("  ▰▰▱▱         a run: prepare, run, verify, publish"));
    lines.push(Line::raw("  ! !!         longer than it should be; twice as long"));
    lines
}

/// How far the help may be scrolled.
pub(crate) fn scroll_limit(model: &Model) -> usize {
    if !model.overlays.iter().any(|o| matches!(o, Overlay::Help { .. })) {
        return 0;
    }
    content(model).len().saturating_sub(usize::from(areas::areas(model.size).full.height.saturating_sub(2)))
}

pub(super) fn draw(model: &Model, overlay: &Overlay, buffer: &mut Buffer, area: Rect) {
    let Overlay::Help { scroll } = overlay else { return };
    put(buffer, area, 0, vec![Span::styled("Help: every key", model.theme.style(Role::Strong))]);
    let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    let lines = content(model);
    for (row, line) in lines.iter().skip(*scroll).take(usize::from(inner.height)).enumerate() {
        let spans = line.spans.iter().map(|s| s.clone().patch_style(line.style)).collect();
        put(buffer, inner, u16::try_from(row).unwrap_or(u16::MAX), spans);
    }
    let below = lines.len().saturating_sub(scroll + usize::from(inner.height));
    more(model, buffer, area, area.height.saturating_sub(1), below);
}
