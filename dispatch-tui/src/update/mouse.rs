//! The mouse: a click selects, a click on a tab shows it, the wheel scrolls what lies beneath.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::keys;
use super::travel::{self, Travel};
use crate::effect::Effect;
use crate::model::{Model, View};
use crate::view::areas::{self, Hit};

pub(super) fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.too_small() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollDown => wheel(model, 1),
        MouseEventKind::ScrollUp => wheel(model, -1),
        MouseEventKind::Down(MouseButton::Left) => {
            model.toast = None;
            click(model, event.column, event.row)
        }
        _ => {
            model.dirty = false;
            Vec::new()
        }
    }
}

fn wheel(model: &mut Model, by: i64) -> Vec<Effect> {
    let lines = if model.overlays.is_empty() { by } else { by * 3 };
    travel::travel(model, Travel::rows(lines))
}

fn click(model: &mut Model, x: u16, y: u16) -> Vec<Effect> {
    match areas::hit(model, x, y) {
        Some(Hit::Tab(view)) => keys::act(model, crate::keymap::Action::Show(view)),
        Some(Hit::Card(column, id)) => {
            model.column = column;
            // A click on the chosen card opens it.
            if model.columns[column].cursor.as_ref() == Some(&id) {
                return keys::open(model);
            }
            model.columns[column].choose(&id);
            Vec::new()
        }
        Some(Hit::Column(column)) => {
            model.column = column;
            Vec::new()
        }
        Some(Hit::Row(at)) => row(model, at),
        None => Vec::new(),
    }
}

fn row(model: &mut Model, at: usize) -> Vec<Effect> {
    fn choose<K: Clone + PartialEq>(list: &mut crate::model::list::List<K>, at: usize) -> bool {
        match list.rows.get(at).cloned() {
            Some(key) => list.cursor.replace(key.clone()) == Some(key),
            None => false,
        }
    }
    let again = match model.view {
        View::Problems => choose(&mut model.problems, at),
        View::Runs => choose(&mut model.runs, at),
        View::Queue => choose(&mut model.queue, at),
        View::Repos => choose(&mut model.repos, at),
        View::Board | View::Agents | View::Activity | View::Overview => false,
    };
    if again { keys::open(model) } else { Vec::new() }
}
