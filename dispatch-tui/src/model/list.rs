//! A list with a cursor that is a key, never an index, so that it never points at another thing than it did.

use std::cell::Cell;

/// Keys in order, the chosen one, and the first one shown.
#[derive(Clone, Debug)]
pub(crate) struct List<K> {
    pub(crate) rows: Vec<K>,
    pub(crate) cursor: Option<K>,
    pub(crate) top: usize,
    /// Where the cursor stood when it was last looked for: mostly it still does.
    at: Cell<usize>,
}

/// So many neighbours on each side may take the cursor.
const NEAR: usize = 50;

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { rows: Vec::new(), cursor: None, top: 0, at: Cell::new(0) }
    }
}

impl<K: Clone + PartialEq> List<K> {
    /// Where the cursor stands now.
    pub(crate) fn index(&self) -> Option<usize> {
        let cursor = self.cursor.as_ref()?;
        if self.rows.get(self.at.get()) == Some(cursor) {
            return Some(self.at.get());
        }
        let at = self.rows.iter().position(|k| k == cursor)?;
        self.at.set(at);
        Some(at)
    }

    /// Takes new rows. If the chosen one left, its neighbour below takes the cursor, else the one above; the one that
    /// left is returned.
    pub(crate) fn set(&mut self, rows: Vec<K>) -> Option<K> {
        let before = self.index();
        let old = std::mem::replace(&mut self.rows, rows);
        if let Some(cursor) = &self.cursor
            && self.rows.contains(cursor)
        {
            return None;
        }
        let left = self.cursor.take();
        let at = before.unwrap_or(0).min(old.len());
        // Those that stood near: with very many rows the search for one of them must end.
        let heirs = old[at..].iter().take(NEAR).chain(old[..at].iter().rev().take(NEAR));
        self.cursor = heirs
            .filter(|k| self.rows.contains(k))
            .map(Clone::clone)
            .next()
            .or_else(|| self.rows.first().cloned());
        left
    }

    /// Chooses `key` if it is there.
    pub(crate) fn choose(&mut self, key: &K) -> bool {
        let there = self.rows.contains(key);
        if there {
            self.cursor = Some(key.clone());
        }
        there
    }
}

/// Moving about in a list whatever its keys are.
pub(crate) trait Scroll {
    /// Moves the cursor by so many rows, to the ends at most.
    fn step(&mut self, by: isize);
    /// Makes the cursor visible in a window of `height` rows, moving the window as little as possible.
    fn settle(&mut self, height: usize);
    /// Chooses the row at a place; whether it was chosen already.
    fn choose_at(&mut self, at: usize) -> bool;
}

impl<K: Clone + PartialEq> Scroll for List<K> {
    fn step(&mut self, by: isize) {
        let Some(last) = self.rows.len().checked_sub(1) else { return };
        let at = self.index().unwrap_or(0).saturating_add_signed(by).min(last);
        self.cursor = self.rows.get(at).cloned();
        self.at.set(at);
    }

    fn settle(&mut self, height: usize) {
        let at = self.index().unwrap_or(0);
        let height = height.max(1);
        self.top =
            self.top.min(self.rows.len().saturating_sub(height)).min(at).max((at + 1).saturating_sub(height));
    }

    fn choose_at(&mut self, at: usize) -> bool {
        match self.rows.get(at).cloned() {
            Some(key) => self.cursor.replace(key.clone()) == Some(key),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[u32], cursor: u32) -> List<u32> {
        List { rows: rows.to_vec(), cursor: Some(cursor), ..List::default() }
    }

    #[test]
    fn the_cursor_stays_on_its_thing_when_others_come_and_go() {
        let mut l = list(&[1, 2, 3], 2);
        assert_eq!(l.set(vec![9, 8, 2]), None);
        assert_eq!((l.cursor, l.index()), (Some(2), Some(2)));
    }

    #[test]
    fn a_neighbour_takes_the_cursor_when_the_thing_left() {
        let mut l = list(&[1, 2, 3], 2);
        assert_eq!(l.set(vec![1, 3]), Some(2));
        assert_eq!(l.cursor, Some(3), "the one below");
        l.set(vec![1]);
        assert_eq!(l.cursor, Some(1), "the one above, if there is none below");
        l.set(vec![]);
        assert_eq!(l.cursor, None);
    }

    #[test]
    fn the_window_moves_as_little_as_it_must() {
        let mut l = list(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0);
        l.step(4);
        l.settle(5);
        assert_eq!(l.top, 0);
        l.step(1);
        l.settle(5);
        assert_eq!(l.top, 1);
        l.step(isize::MIN);
        l.settle(5);
        assert_eq!((l.top, l.cursor), (0, Some(0)));
        l.step(isize::MAX);
        l.settle(5);
        assert_eq!((l.top, l.cursor), (5, Some(9)));
    }
}
