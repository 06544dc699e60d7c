//! The mouse: a click selects, two open, the right button offers the verbs; tabs and hints are buttons; the wheel scrolls
//! what lies beneath; a card is dragged to another column, and the border of the pane beside the board as well.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use dispatch_shared::issue::Status;

use super::travel::{self, Travel};
use super::{keys, picks, verbs};
use crate::effect::Effect;
use crate::keymap::Action;
use crate::model::list::Scroll;
use crate::model::log::Kind;
use crate::model::overlay::Overlay;
use crate::model::pointer::Drag;
use crate::model::{Model, View};
use crate::view::areas::{self, Hit};

pub(super) fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    if model.too_small() {
        return Vec::new();
    }
    let at = (event.column, event.row);
    match event.kind {
        MouseEventKind::ScrollDown => wheel(model, at, 0, 1),
        MouseEventKind::ScrollUp => wheel(model, at, 0, -1),
        MouseEventKind::ScrollRight => wheel(model, at, 1, 0),
        MouseEventKind::ScrollLeft => wheel(model, at, -1, 0),
        MouseEventKind::Down(button @ (MouseButton::Left | MouseButton::Right)) => {
            let now = model.now;
            if model.pointer.is_focusing(now) {
                return Vec::new();
            }
            model.toast = None;
            down(model, at, button == MouseButton::Right)
        }
        MouseEventKind::Drag(MouseButton::Left) => drag(model, at),
        MouseEventKind::Up(MouseButton::Left) => up(model),
        _ => {
            model.dirty = false;
            Vec::new()
        }
    }
}

/// Scrolls the pane under the pointer, without taking the keyboard there.
fn wheel(model: &mut Model, at: (u16, u16), x: i64, y: i64) -> Vec<Effect> {
    if let Some(top) = model.overlays.last() {
        let menu = matches!(top, Overlay::Pick(_) | Overlay::Actions(_));
        let (x, y) = if menu { (0, y) } else { (x, y * 3) };
        return travel::travel(model, Travel { x, y });
    }
    if areas::side(model).is_some_and(|side| side.contains(at.into())) {
        let by = isize::try_from(y * 3).unwrap_or(0);
        model.detail_scroll = model.detail_scroll.saturating_add_signed(by).min(1_000);
        return Vec::new();
    }
    if model.view == View::Board
        && x == 0
        && let Some(column) = areas::column_at(model, at)
        && column != model.column
    {
        model.columns[column].step(isize::try_from(y).unwrap_or(0));
        return Vec::new();
    }
    travel::travel(model, Travel::rows(y))
}

fn down(model: &mut Model, at: (u16, u16), right: bool) -> Vec<Effect> {
    if right && matches!(model.overlays.last(), Some(Overlay::Card(_) | Overlay::Log(_))) {
        return keys::act(model, Action::Actions);
    }
    let Some(hit) = areas::hit(model, at.0, at.1) else { return Vec::new() };
    let now = model.now;
    let double = !right && model.pointer.click(&hit, now);
    if right {
        select(model, &hit);
        let subject = matches!(hit, Hit::Card(..) | Hit::Row(_));
        return if subject { keys::act(model, Action::Actions) } else { Vec::new() };
    }
    match &hit {
        Hit::Tab(view) => return keys::act(model, Action::Show(*view)),
        Hit::Hint(action) => return keys::act(model, *action),
        Hit::Pane(kind) => return verbs::perform(model, pane_action(*kind)),
        _ => {}
    }
    select(model, &hit);
    model.pointer.press = Some(hit.clone());
    match hit {
        Hit::Card(..) | Hit::Row(_) if double => keys::open(model),
        Hit::Menu(_) if double => keys::act(model, Action::Enter),
        _ => Vec::new(),
    }
}

fn pane_action(kind: Kind) -> Action {
    match kind {
        Kind::Log => Action::OpenLog,
        Kind::Events => Action::Events,
        Kind::Diff => Action::Diff,
        Kind::Phases => Action::Phases,
    }
}

/// Puts the cursor where the click was.
fn select(model: &mut Model, hit: &Hit) {
    match hit {
        Hit::Card(column, id) => {
            model.column = *column;
            model.detail_scroll = 0;
            model.columns[*column].choose(id);
        }
        Hit::Column(column) => model.column = *column,
        Hit::Row(at) => {
            model.list().choose_at(*at);
        }
        Hit::Menu(at) => choose(model, *at),
        Hit::Tab(_) | Hit::Hint(_) | Hit::Pane(_) | Hit::Border => {}
    }
}

/// Puts the choice of the menu on top on its row `at`.
fn choose(model: &mut Model, at: usize) {
    let picked = match model.overlays.last() {
        Some(Overlay::Pick(pick)) => picks::rows(model, pick).into_iter().nth(at).map(|row| row.id),
        _ => None,
    };
    match (model.overlays.last_mut(), picked) {
        (Some(Overlay::Pick(pick)), Some(id)) => pick.choice = id,
        (Some(Overlay::Actions(menu)), _) => {
            if let Some(binding) = crate::keymap::verbs().nth(at) {
                menu.choice = binding.action;
            }
        }
        _ => {}
    }
}

fn drag(model: &mut Model, at: (u16, u16)) -> Vec<Effect> {
    match model.pointer.press.clone() {
        Some(Hit::Card(_, issue)) if model.overlays.is_empty() && model.view == View::Board => {
            if model.data.issues.contains_key(&issue) {
                let over = areas::column_at(model, at);
                model.pointer.forget_click();
                model.pointer.drag = Some(Drag { issue, at, over });
            }
        }
        Some(Hit::Border) => {
            model.pointer.side = Some(model.size.0.saturating_sub(at.0.saturating_add(1)));
        }
        _ => model.dirty = false,
    }
    Vec::new()
}

fn up(model: &mut Model) -> Vec<Effect> {
    let Some(drag) = model.pointer.release() else {
        model.dirty = false;
        return Vec::new();
    };
    let (Some(card), Some(over)) = (model.data.issues.get(&drag.issue), drag.over) else {
        model.say("left where it was");
        return Vec::new();
    };
    let to = Status::ALL[over.min(4)];
    if model.column_of(&drag.issue) == Some(to) {
        return Vec::new();
    }
    match verbs::may_move(model, card, to) {
        Ok(()) => verbs::shift(model, drag.issue, to, true, false),
        Err(why) => {
            model.complain(why);
            Vec::new()
        }
    }
}
