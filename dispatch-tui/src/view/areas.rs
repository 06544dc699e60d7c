//! Where things stand, told from the model alone: drawing, scrolling and the mouse all ask here, so that they agree.

use dispatch_shared::id::IssueId;
use ratatui::layout::Rect;

use super::header;
use crate::keymap::Action;
use crate::model::activity::Tab;
use crate::model::log::Kind;
use crate::model::options::Group;
use crate::model::overlay::Overlay;
use crate::model::{Model, View};

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    pub(crate) tabs: Rect,
    pub(crate) body: Rect,
    /// What the cursor is on, and toasts.
    pub(crate) detail: Rect,
    pub(crate) footer: Rect,
    /// For layers that take the whole screen.
    pub(crate) full: Rect,
}

pub(crate) fn areas((width, height): (u16, u16)) -> Areas {
    let row = |y: u16, rows: u16| Rect::new(0, y.min(height), width, rows.min(height.saturating_sub(y)));
    let detail = match height {
        0..8 => 1,
        8..40 => 2,
        _ => 3,
    };
    let end = height.saturating_sub(1 + detail);
    Areas {
        header: row(0, 1),
        tabs: row(1, 1),
        body: row(2, end.saturating_sub(2)),
        detail: row(end, detail),
        footer: row(height.saturating_sub(1), 1),
        full: row(1, height.saturating_sub(2)),
    }
}

/// The line above the columns that says what is shown and how; where there is room, or something to say.
pub(crate) fn options_line(model: &Model) -> Option<Rect> {
    let body = areas(model.size).body;
    let said = !model.filter.is_empty()
        || model.marks.any(View::Board)
        || model.options.group != Group::None
        || model.options.compact;
    (model.size.1 >= 30 || (said && body.height >= 8)).then_some(Rect { height: 1, ..body })
}

/// What is left of the body for the columns.
fn board_body(model: &Model) -> Rect {
    let body = areas(model.size).body;
    match options_line(model) {
        // One row of air below it, where there is plenty.
        Some(_) => {
            let taken = if model.size.1 >= 30 { 2 } else { 1 };
            Rect { y: body.y + taken, height: body.height.saturating_sub(taken), ..body }
        }
        None => body,
    }
}

/// How much of a card a column shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing of it.
    #[default]
    Hidden,
    /// One row without the title.
    Peek,
    /// One row with the title.
    Row,
    /// Title and note.
    Full,
}

/// A column's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) rect: Rect,
    pub(crate) shape: Shape,
    /// Cards that fit.
    pub(crate) cards: usize,
    /// Rows of one card, with the gap after it.
    pub(crate) rows: u16,
}

/// The width of the pane with details that a wide board has beside it.
const SIDE: u16 = 48;
/// The width of a column that only peeks.
const PEEK: u16 = 13;

/// The pane beside the board, if there is room for one.
pub(crate) fn side(model: &Model) -> Option<Rect> {
    let body = board_body(model);
    // As wide as it was dragged, as long as the five columns keep a hundred columns between them.
    let width =
        model.pointer.side.unwrap_or(SIDE).clamp(SIDE / 2, body.width.saturating_sub(101).max(SIDE / 2));
    (body.width >= 150).then(|| Rect { x: body.width - width, width, ..body })
}

/// The five columns.
pub(crate) fn board(model: &Model) -> [Column; 5] {
    let mut body = board_body(model);
    let focus = model.column.min(4);
    if let Some(side) = side(model) {
        body.width -= side.width + 1;
    }
    let mut out = [Column::default(); 5];
    let (full, tall, short) = match (model.options.compact, body.height >= 22) {
        (true, _) => (Shape::Row, 1, 1),
        (false, true) => (Shape::Full, 4, 2),
        (false, false) => (Shape::Full, 3, 2),
    };
    if body.width < 60 {
        // One column under a strip with the counts of all.
        let rect = Rect { y: body.y + body.height.min(1), height: body.height.saturating_sub(1), ..body };
        out[focus] = column(rect, full, short);
        return out;
    }
    let mut x = body.x;
    let five = body.width >= 100;
    for (at, place) in out.iter_mut().enumerate() {
        let n = u16::try_from(at).unwrap_or(0);
        let width = match (five, at == focus) {
            (true, _) => body.width * (n + 1) / 5 - body.width * n / 5,
            (false, true) => body.width - 4 * PEEK,
            (false, false) => PEEK,
        };
        // One column of air between them.
        let rect = Rect { x, width: width.saturating_sub(1), ..body };
        *place = if five || at == focus { column(rect, full, tall) } else { column(rect, Shape::Peek, 1) };
        x += width;
    }
    out
}

fn column(rect: Rect, shape: Shape, rows: u16) -> Column {
    // The heading, and a row that says how many more there are.
    let cards = usize::from(rect.height.saturating_sub(2) / rows);
    Column { rect, shape, cards, rows }
}

/// A card's place in its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Rows below the column's top.
    pub(crate) y: u16,
    /// The group that begins above it.
    pub(crate) heading: Option<String>,
    pub(crate) id: IssueId,
}

/// The cards that a column shows, and where. Under the column's heading, above the row that says how many more there are.
pub(crate) fn slots(model: &Model, at: usize, place: &Column) -> Vec<Slot> {
    let list = &model.columns[at];
    let group = model.options.group;
    let end = place.rect.height.saturating_sub(1);
    let (mut y, mut last, mut out) = (1, None, Vec::new());
    for id in list.rows.iter().skip(list.top) {
        let name = match group {
            Group::None => None,
            group => model.data.issues.get(id).map(|i| group.of(i)),
        };
        let heading = name.filter(|name| last.as_ref() != Some(name));
        let above = u16::from(heading.is_some());
        if place.rows == 0 || y + above + place.rows > end {
            break;
        }
        last = heading.clone().or(last);
        out.push(Slot { y: y + above, heading, id: id.clone() });
        y += above + place.rows;
    }
    out
}

/// Headings of groups take room, so that fewer cards fit than a list thinks: brings the cursor into sight again.
pub(crate) fn settle_groups(model: &mut Model) {
    if model.options.group == Group::None {
        return;
    }
    let places = board(model);
    for (at, place) in places.iter().enumerate().filter(|(_, p)| p.shape != Shape::Hidden) {
        while let Some(cursor) = model.columns[at].index()
            && cursor > model.columns[at].top
            && cursor >= model.columns[at].top + slots(model, at, place).len()
        {
            model.columns[at].top += 1;
        }
    }
}

/// Rows of a list: without its heading, and without the row that says how many more there are.
pub(crate) fn list_rows(model: &Model) -> usize {
    usize::from(areas(model.size).body.height.saturating_sub(2)).max(1)
}

/// Rows of the queue's list: the check-list beneath it takes some.
pub(crate) fn queue_rows(model: &Model) -> usize {
    let beneath = why(model).filter(|why| why.y > areas(model.size).body.y);
    list_rows(model).saturating_sub(beneath.map_or(0, |why| usize::from(why.height))).max(1)
}

/// Where the queue says why the chosen card is or is not next: beside the list if that is wide, else beneath it.
pub(crate) fn why(model: &Model) -> Option<Rect> {
    let body = areas(model.size).body;
    if let Some(side) = side(model) {
        // The list has no line of options above it as the board has.
        return Some(Rect { y: body.y, height: body.height, ..side });
    }
    let height = match body.height {
        0..13 => return None,
        13..24 => 6,
        _ => 9,
    };
    Some(Rect { y: body.y + body.height - height, height, ..body })
}

/// Rows of an opened repository: without its name, its tabs, a gap, and two rows beneath.
pub(crate) fn repo_rows(model: &Model) -> usize {
    usize::from(areas(model.size).full.height.saturating_sub(5)).max(1)
}

/// Rows of the problems: two headings and a gap go off.
pub(crate) fn problem_rows(model: &Model) -> usize {
    usize::from(areas(model.size).body.height.saturating_sub(6)).max(1)
}

/// Rows and columns of a log's text.
pub(crate) fn log_window(model: &Model) -> (usize, usize) {
    let full = areas(model.size).full;
    (usize::from(full.height.saturating_sub(3)).max(1), usize::from(full.width).max(1))
}

/// What lies under the mouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    Tab(View),
    /// A key in the footer.
    Hint(Action),
    /// A tab of what is shown of a run.
    Pane(Kind),
    /// A row of a menu, by its place.
    Menu(usize),
    /// The border of the pane beside the board.
    Border,
    Card(usize, IssueId),
    Column(usize),
    /// A row of the view's list, by its place.
    Row(usize),
}

/// The column of the board at a place.
pub(crate) fn column_at(model: &Model, at: (u16, u16)) -> Option<usize> {
    let inside = |c: &Column| c.shape != Shape::Hidden && c.rect.contains(at.into());
    board(model).iter().position(inside)
}

/// What lies at a place; of the view nothing while a layer covers it.
pub(crate) fn hit(model: &Model, x: u16, y: u16) -> Option<Hit> {
    let areas = areas(model.size);
    if y == areas.footer.y {
        let buttons = super::footer::buttons(model);
        return buttons
            .into_iter()
            .find(|(range, _)| range.contains(&x))
            .map(|(_, action)| Hit::Hint(action));
    }
    match model.overlays.last() {
        None => {}
        Some(Overlay::Log(pane)) => {
            let tabs = if y == areas.full.y + 1 { super::log::tabs(model, pane) } else { Vec::new() };
            return tabs.into_iter().find(|t| t.range.contains(&x)).map(|t| Hit::Pane(t.kind));
        }
        Some(overlay) => return super::dialog::row_at(model, areas, overlay, y).map(Hit::Menu),
    }
    if y == areas.tabs.y {
        return header::tabs(model).into_iter().find(|t| t.range.contains(&x)).map(|t| Hit::Tab(t.view));
    }
    if model.view == View::Board {
        if side(model).is_some_and(|side| x + 1 == side.x && areas.body.contains((x, y).into())) {
            return Some(Hit::Border);
        }
        let at = column_at(model, (x, y))?;
        let place = board(model)[at];
        let Some(row) = y.checked_sub(place.rect.y + 1) else { return Some(Hit::Column(at)) };
        let under = |s: &Slot| (s.y..s.y + place.rows).contains(&(row + 1));
        return Some(match slots(model, at, &place).into_iter().find(under) {
            Some(slot) => Hit::Card(at, slot.id),
            None => Hit::Column(at),
        });
    }
    let row = usize::from(y.checked_sub(areas.body.y + 1).filter(|_| areas.body.contains((x, y).into()))?);
    match model.view {
        View::Runs => Some(Hit::Row(model.runs.top + row)),
        View::Queue => super::queue::place_at(model, areas.body, row + 1).map(Hit::Row),
        View::Agents => super::agents::place_at(model, areas.body, row + 1).map(Hit::Row),
        View::Activity => match model.activity.tab {
            Tab::Audit => Some(Hit::Row(model.activity.rows.top + row)),
            Tab::Feed => Some(Hit::Row(model.activity.events.top + row)),
        },
        View::Repos => Some(Hit::Row(model.repos.top + row)),
        View::Problems => super::problems::row_at(model, row).map(Hit::Row),
        View::Board | View::Overview => None,
    }
}
