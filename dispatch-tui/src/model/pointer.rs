//! What the mouse is about: a press that may become a drag, a click that may become two, the window's focus.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::id::IssueId;

use crate::view::areas::Hit;

/// Two clicks within this time are one double click.
const DOUBLE: Duration = Duration::from_millis(400);
/// A click that comes so soon after the focus is what gave the focus.
const FOCUSING: Duration = Duration::from_millis(150);

/// A card that hangs on the pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drag {
    pub(crate) issue: IssueId,
    /// Where the pointer is.
    pub(crate) at: (u16, u16),
    /// The column beneath it.
    pub(crate) over: Option<usize>,
}

/// The mouse, as far as it is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointer {
    /// Whether the terminal's window has the focus; unknown where the terminal does not tell.
    pub(crate) focused: Option<bool>,
    focused_at: Option<Timestamp>,
    /// What the button went down on, and is still held on.
    pub(crate) press: Option<Hit>,
    /// The last click, while another one would make it double.
    last: Option<(Timestamp, Hit)>,
    pub(crate) drag: Option<Drag>,
    /// The width that the pane beside the board was given.
    pub(crate) side: Option<u16>,
}

impl Pointer {
    /// The window got the focus, or lost it.
    pub(crate) fn focus(&mut self, focused: bool, now: Timestamp) {
        if focused && self.focused == Some(false) {
            self.focused_at = Some(now);
        }
        self.focused = Some(focused);
    }

    /// Whether a click at `now` only gave the window the focus.
    pub(crate) fn is_focusing(&mut self, now: Timestamp) -> bool {
        self.focused_at.take().is_some_and(|at| now.since(at) <= FOCUSING)
    }

    /// Notes a click; whether it is the second of a double click.
    pub(crate) fn click(&mut self, hit: &Hit, now: Timestamp) -> bool {
        let double = self.last.take().is_some_and(|(at, last)| last == *hit && now.since(at) <= DOUBLE);
        if !double {
            self.last = Some((now, hit.clone()));
        }
        double
    }

    /// The click became something else: the next one is the first again.
    pub(crate) fn forget_click(&mut self) {
        self.last = None;
    }

    /// The button is up again.
    pub(crate) fn release(&mut self) -> Option<Drag> {
        self.press = None;
        self.drag.take()
    }
}
