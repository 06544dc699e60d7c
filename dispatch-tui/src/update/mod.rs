//! The one function that changes the model: a message in, wishes out. It waits for nothing and reads no clock.

mod acts;
pub(crate) mod answers;
mod bulk;
#[cfg(test)]
mod by_example;
pub(crate) mod filterbar;
mod first;
#[cfg(test)]
mod hands;
mod input;
mod keys;
pub(crate) mod loaded;
mod mouse;
mod news;
pub(crate) mod palette;
pub(crate) mod picks;
#[cfg(test)]
mod properties;
mod run;
mod setters;
#[cfg(test)]
mod tests;
mod travel;
pub(crate) mod undo;
pub(crate) mod verbs;
#[cfg(test)]
mod views;

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind, MouseEvent};
use dispatch_shared::Timestamp;

use crate::effect::Effect;
use crate::keymap::Context;
use crate::model::list::Scroll;
use crate::model::overlay::Overlay;
use crate::model::{Model, View};
use crate::view::areas;
use answers::Answer;
pub(crate) use news::News;

/// Something happened.
#[derive(Debug)]
pub(crate) struct Msg {
    /// When.
    pub(crate) now: Timestamp,
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum What {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(u16, u16),
    /// The terminal's window got the focus, or lost it.
    Focus(bool),
    /// Time has passed, so that an age reads differently.
    Wake,
    /// From the event stream.
    News(News),
    /// An effect is done.
    Done(Answer),
}

/// Takes a message into the model and returns what is to be done.
pub(crate) fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    model.now = model.now.max(msg.now);
    let owed = std::mem::replace(&mut model.dirty, true);
    let news = matches!(msg.what, What::News(_));
    let mut effects = match msg.what {
        What::Key(key) if key.kind == KeyEventKind::Release => {
            model.dirty = false;
            Vec::new()
        }
        What::Key(key) => keys::press(model, &key),
        What::Mouse(event) => mouse::mouse(model, event),
        What::Paste(text) => input::paste(model, &text),
        What::Resize(columns, rows) => {
            model.size = (columns, rows);
            model.pointer.release();
            // Whatever a window was between two sizes that are the same, the terminal may have forgotten what stood in it.
            vec![Effect::Redraw]
        }
        What::Focus(focused) => {
            model.pointer.focus(focused, msg.now);
            model.dirty = false;
            Vec::new()
        }
        What::Wake => Vec::new(),
        What::News(news) => news::take(model, news),
        What::Done(answer) => {
            let effects = answers::take(model, answer);
            news::close_stale(model);
            effects
        }
    };
    model.dirty |= owed;
    model.pointer.drag.take_if(|d| !model.data.issues.contains_key(&d.issue));
    palette::prune(model);
    // What the daemon says comes in floods: it is put in order once, before it is shown.
    if !news {
        present(model);
    }
    effects.extend(loaded::owed(model));
    effects
}

/// With more cards than this, what the daemon says is put in order at most every [`ORDER`].
const MANY: usize = 5_000;
/// See [`MANY`]. What a card says is shown at once all the same; only its place waits.
pub(crate) const ORDER: Duration = Duration::from_millis(300);

/// As [`present`], but where ordering takes its time it is not done for every single change.
pub(crate) fn refresh(model: &mut Model) {
    let soon = model.now.since(model.arranged) < ORDER && model.data.issues.len() > MANY;
    if soon { settle(model) } else { present(model) }
}

/// Puts rows in order and positions in bounds, so that the model can be shown.
pub(crate) fn present(model: &mut Model) {
    if model.unsorted && !model.holds_still() {
        model.arrange();
    }
    settle(model);
}

/// The context that keys are looked up in.
pub(crate) fn context(model: &Model) -> Context {
    match model.overlays.last() {
        Some(overlay) => overlay.context(),
        None if model.view == View::Board => Context::Board,
        None => Context::List,
    }
}

/// Brings every position into bounds for the window as it is.
fn settle(model: &mut Model) {
    let boxes = areas::board(model);
    for (column, shown) in model.columns.iter_mut().zip(boxes) {
        column.settle(shown.cards);
    }
    areas::settle_groups(model);
    let rows = areas::list_rows(model);
    model.problems.settle(areas::problem_rows(model));
    model.runs.settle(rows);
    model.queue.settle(areas::queue_rows(model));
    model.repos.settle(rows);
    model.agents.settle(rows);
    model.numbers.settle(rows);
    model.activity.rows.settle(rows);
    model.activity.events.settle(rows);
    let opened = areas::repo_rows(model);
    let (height, columns) = areas::log_window(model);
    for overlay in &mut model.overlays {
        if let Overlay::Log(pane) = overlay {
            pane.settle(height, columns);
        }
    }
    let card_limit = crate::view::card::scroll_limit(model);
    let help_limit = crate::view::help::scroll_limit(model);
    for overlay in &mut model.overlays {
        match overlay {
            Overlay::Card(pane) => pane.scroll = pane.scroll.min(card_limit),
            Overlay::Help(pane) => pane.scroll = pane.scroll.min(help_limit),
            Overlay::Repo(pane) => pane.settle(opened),
            _ => {}
        }
    }
}
