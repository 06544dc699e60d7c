//! A list in parts: headings between the rows that can be chosen, of which the chosen one is always to be seen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{more, over, put_both};
use crate::model::Model;
use crate::model::list::List;
use crate::model::marks::Thing;
use crate::theme::Role;

/// One row.
#[derive(Debug)]
pub(super) enum Row<K> {
    /// Words at the left and at the right edge.
    Heading(Vec<Span<'static>>, Vec<Span<'static>>),
    Gap,
    Item(K),
}

/// A heading in strong words.
pub(super) fn heading<K>(model: &Model, words: impl Into<String>, right: impl Into<String>) -> Row<K> {
    let (strong, dim) = (model.theme.style(Role::Strong), model.theme.style(Role::Dim));
    Row::Heading(vec![Span::styled(words.into(), strong)], vec![Span::styled(right.into(), dim)])
}

/// The first row to show in so many, and how many then; the last one is left for saying how many more there are.
fn window<K: Clone + PartialEq>(rows: &[Row<K>], list: &List<K>, height: usize) -> (usize, usize) {
    if rows.len() <= height {
        return (0, rows.len());
    }
    let room = height.saturating_sub(1).max(1);
    let place = |key: &K| rows.iter().position(|r| matches!(r, Row::Item(k) if k == key));
    let mut start = list.rows.get(list.top).filter(|_| list.top > 0).and_then(place).unwrap_or(0);
    if start > 0 && matches!(rows.get(start - 1), Some(Row::Heading(..))) {
        start -= 1;
    }
    if let Some(cursor) = list.cursor.as_ref().and_then(place) {
        start = start.min(cursor).max((cursor + 1).saturating_sub(room));
    }
    (start.min(rows.len() - room), room)
}

/// The place in `list` of what stands in row `y`.
pub(super) fn place_at<K: Clone + PartialEq>(
    rows: &[Row<K>],
    list: &List<K>,
    height: usize,
    y: usize,
) -> Option<usize> {
    let (start, count) = window(rows, list, height);
    match rows.get(start + y).filter(|_| y < count)? {
        Row::Item(key) => list.rows.iter().position(|k| k == key),
        Row::Heading(..) | Row::Gap => None,
    }
}

/// Draws the rows; `thing` tells what of an item can be marked, `line` what it looks like, at the left and at the right edge.
pub(super) fn draw<K: Clone + PartialEq>(
    model: &Model,
    buffer: &mut Buffer,
    area: Rect,
    rows: &[Row<K>],
    list: &List<K>,
    thing: impl Fn(&K) -> Option<Thing>,
    line: impl Fn(&K) -> (Vec<Span<'static>>, Vec<Span<'static>>),
) {
    let (start, count) = window(rows, list, usize::from(area.height));
    for (y, row) in rows.iter().skip(start).take(count).enumerate() {
        let y = u16::try_from(y).unwrap_or(u16::MAX);
        match row {
            Row::Gap => {}
            Row::Heading(left, right) => put_both(buffer, area, y, left.clone(), right.clone()),
            Row::Item(key) => {
                let (left, right) = line(key);
                let chosen = list.cursor.as_ref() == Some(key);
                let mark = match thing(key) {
                    Some(thing) => super::lead(model, &thing, chosen),
                    None if chosen => "›",
                    None => " ",
                };
                let mark = Span::raw(mark);
                put_both(buffer, area, y, std::iter::once(mark).chain(left).collect(), right);
                if chosen {
                    over(model, buffer, area, y, Role::Bar);
                }
            }
        }
    }
    more(model, buffer, area, area.height.saturating_sub(1), rows.len() - (start + count).min(rows.len()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row<u32>> {
        let head = || Row::Heading(Vec::new(), Vec::new());
        vec![head(), Row::Item(1), Row::Item(2), Row::Gap, head(), Row::Item(3), Row::Item(4)]
    }

    fn list(cursor: u32, top: usize) -> List<u32> {
        let mut list = List::default();
        list.set(vec![1, 2, 3, 4]);
        (list.cursor, list.top) = (Some(cursor), top);
        list
    }

    #[test]
    fn the_chosen_row_is_always_shown() {
        for height in 2..9 {
            for cursor in 1..=4 {
                for top in 0..4 {
                    let list = list(cursor, top);
                    let seen: Vec<_> =
                        (0..height).filter_map(|y| place_at(&rows(), &list, height, y)).collect();
                    assert!(seen.contains(&(cursor as usize - 1)), "{height} rows, {cursor} from {top}");
                }
            }
        }
    }

    #[test]
    fn what_lies_in_a_row_is_told_without_headings() {
        let all = list(1, 0);
        let at = |y| place_at(&rows(), &all, 9, y);
        assert_eq!([at(0), at(1), at(2), at(3), at(4), at(5)], [None, Some(0), Some(1), None, None, Some(2)]);
        assert_eq!(at(7), None);
    }
}
