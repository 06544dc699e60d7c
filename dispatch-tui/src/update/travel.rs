//! Moving about: the cursor of a list, the choice of a menu, the scroll of what lies on top.

use super::{acts, keys, picks, run};
use crate::effect::Effect;
use crate::keymap::{self, Action};
use crate::model::log::Kind;
use crate::model::overlay::Overlay;
use crate::model::{Model, View, marks};
use crate::view::{areas, help};

/// So many columns to the right and rows down; the extremes are the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Travel {
    pub(super) x: i64,
    pub(super) y: i64,
}

impl Travel {
    pub(super) fn rows(y: i64) -> Travel {
        Travel { x: 0, y }
    }
}

/// How far an action moves, if it does.
pub(super) fn of(model: &Model, action: Action) -> Option<Travel> {
    let half = (page(model) / 2).max(1);
    Some(match action {
        Action::Up => Travel::rows(-1),
        Action::Down => Travel::rows(1),
        Action::Left => Travel { x: -1, y: 0 },
        Action::Right => Travel { x: 1, y: 0 },
        Action::Top => Travel::rows(i64::MIN),
        Action::Bottom => Travel::rows(i64::MAX),
        Action::PageUp => Travel::rows(-page(model)),
        Action::PageDown => Travel::rows(page(model)),
        Action::HalfUp => Travel::rows(-half),
        Action::HalfDown => Travel::rows(half),
        _ => return None,
    })
}

fn page(model: &Model) -> i64 {
    match model.overlays.last() {
        None if model.view == View::Board => {
            let shown = areas::board(model);
            i64::try_from(shown[model.column].cards.max(1)).unwrap_or(1)
        }
        None => i64::try_from(areas::list_rows(model).max(1)).unwrap_or(1),
        Some(_) => i64::from(areas::areas(model.size).body.height.saturating_sub(3).max(1)),
    }
}

fn signed(by: i64) -> isize {
    isize::try_from(by).unwrap_or(if by < 0 { isize::MIN } else { isize::MAX })
}

/// What stands `by` places after `now` in `all`; the ends are the ends.
fn beside<T: PartialEq + Clone>(all: &[T], now: &T, by: i64) -> Option<T> {
    let at = all.iter().position(|a| a == now).unwrap_or(0);
    all.get(at.saturating_add_signed(signed(by)).min(all.len().saturating_sub(1))).cloned()
}

/// Moves the cursor, or scrolls what lies on top.
pub(super) fn travel(model: &mut Model, Travel { x, y }: Travel) -> Vec<Effect> {
    let rows: Vec<String> = match model.overlays.last() {
        Some(Overlay::Pick(pick)) => picks::rows(model, pick).into_iter().map(|r| r.id).collect(),
        _ => Vec::new(),
    };
    match model.overlays.last_mut() {
        Some(Overlay::Log(pane)) => {
            let by = usize::try_from(x.unsigned_abs() * 8).unwrap_or(0);
            pane.left = if x < 0 { pane.left.saturating_sub(by) } else { (pane.left + by).min(10_000) };
            if y == i64::MAX {
                return pane.follow().into_iter().collect();
            } else if y != 0 {
                return pane.scroll(y).into_iter().collect();
            }
        }
        Some(Overlay::Card(pane)) => pane.scroll = pane.scroll.saturating_add_signed(signed(y)),
        Some(Overlay::Repo(pane)) => {
            if x != 0 {
                pane.turn(signed(x.signum()));
            }
            pane.step(signed(y));
        }
        Some(Overlay::Help(pane)) => {
            let all: Vec<Action> = keymap::TABLE.iter().map(|b| b.action).collect();
            // At the last row one goes on to what the glyphs mean.
            let last = all.last() == Some(&pane.choice) && y > 0;
            pane.choice = beside(&all, &pane.choice, y).unwrap_or(pane.choice);
            if last {
                pane.scroll = pane.scroll.saturating_add_signed(signed(y));
            } else {
                help::reveal(model);
            }
        }
        Some(Overlay::Pick(pick)) => {
            if let Some(choice) = beside(&rows, &pick.choice, x.saturating_add(y)) {
                pick.choice = choice;
            }
        }
        Some(Overlay::Actions(menu)) => {
            let all: Vec<Action> = keymap::verbs().map(|b| b.action).collect();
            menu.choice = beside(&all, &menu.choice, y).unwrap_or(menu.choice);
        }
        Some(
            Overlay::Confirm(_)
            | Overlay::Bulk(_)
            | Overlay::Input(_)
            | Overlay::Palette(_)
            | Overlay::Filter(_),
        ) => {}
        None => {
            model.detail_scroll = 0;
            if model.view == View::Board && x != 0 {
                marks::settle_range(model);
                model.column = model.column.saturating_add_signed(signed(x)).min(4);
            }
            if y != 0 {
                model.list().step(signed(y));
            }
        }
    }
    Vec::new()
}

/// Scrolls the details, if that is what the action does.
pub(super) fn scroll_detail(model: &mut Model, action: Action) -> Option<Vec<Effect>> {
    let by = match action {
        Action::ScrollDown => 1,
        Action::ScrollUp => -1,
        _ => return None,
    };
    match model.overlays.last_mut() {
        Some(Overlay::Card(pane)) => pane.scroll = pane.scroll.saturating_add_signed(by),
        _ => model.detail_scroll = model.detail_scroll.saturating_add_signed(by).min(1000),
    }
    Some(Vec::new())
}

/// The next column of a board, else the next view; round at the ends.
pub(super) fn pane(model: &mut Model, by: isize) -> Vec<Effect> {
    let round = |at: usize, count: usize| (at + count).saturating_add_signed(by) % count;
    match model.overlays.last_mut() {
        Some(Overlay::Repo(pane)) => {
            pane.turn(by);
            Vec::new()
        }
        Some(Overlay::Log(pane)) => {
            let at = Kind::ALL.iter().position(|k| *k == pane.kind).unwrap_or(0);
            let (kind, id) = (Kind::ALL[round(at, Kind::ALL.len())], pane.run);
            run::open(model, kind, id)
        }
        Some(_) => Vec::new(),
        None if model.view == View::Board => {
            marks::settle_range(model);
            model.column = round(model.column, 5);
            Vec::new()
        }
        None if model.view == View::Activity => {
            acts::turn(model);
            Vec::new()
        }
        None => {
            let at = View::ALL.iter().position(|v| *v == model.view).unwrap_or(0);
            keys::show(model, View::ALL[round(at, View::ALL.len())]);
            Vec::new()
        }
    }
}
