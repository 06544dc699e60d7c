//! Takes the time stamps off a log's lines. Every line comes as `STAMP SPACE TEXT`; what a node says for itself has no stamp.
//! Half a stamp at the end is nothing yet: a log that was cut there is read again.

use k8s_openapi::jiff::Timestamp;

/// The longest that a stamp can be.
const STAMP_MAX: usize = 40;

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line begins, written then; `None` where no stamp stands before it.
    Line(Option<Timestamp>),
    /// Some bytes of it, its end of line included.
    Bytes(&'a [u8]),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    head: Vec<u8>,
    within: bool,
}

impl Stamps {
    /// Reads on, and gives out what it finds.
    pub(super) fn push<'a>(&mut self, mut bytes: &'a [u8], mut take: impl FnMut(Piece<'_>)) {
        while let Some(&first) = bytes.first() {
            if self.within {
                let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
                let (line, rest): (&'a [u8], _) = bytes.split_at(end);
                self.within = line.last() != Some(&b'\n');
                take(Piece::Bytes(line));
                bytes = rest;
                continue;
            }
            if first == b' ' {
                if let Some(stamp) = std::str::from_utf8(&self.head).ok().and_then(|t| t.parse().ok()) {
                    self.head.clear();
                    self.within = true;
                    take(Piece::Line(Some(stamp)));
                    bytes = &bytes[1..];
                    continue;
                }
            } else if first != b'\n' && self.head.len() < STAMP_MAX {
                self.head.push(first);
                bytes = &bytes[1..];
                continue;
            }
            self.unstamped(&mut take);
        }
    }

    fn unstamped(&mut self, take: &mut impl FnMut(Piece<'_>)) {
        take(Piece::Line(None));
        take(Piece::Bytes(&self.head));
        self.head.clear();
        self.within = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text, and where its lines begin.
    fn read(parts: &[&[u8]]) -> (String, Vec<(usize, Option<i64>)>) {
        let (mut stamps, mut text, mut lines) = (Stamps::default(), Vec::new(), Vec::new());
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Line(stamp) => lines.push((text.len(), stamp.map(|s| s.as_second()))),
            Piece::Bytes(bytes) => text.extend_from_slice(bytes),
        };
        for part in parts {
            stamps.push(part, &mut take);
        }
        (String::from_utf8(text).unwrap(), lines)
    }

    #[test]
    fn stamps_go_and_text_stays() {
        let log = b"1970-01-01T00:00:07.000000001Z a b\n1970-01-01T00:00:08Z \n1970-01-01T00:00:09.5Z no end";
        let (text, lines) = read(&[log]);
        assert_eq!(text, "a b\n\nno end");
        assert_eq!(lines, [(0, Some(7)), (4, Some(8)), (5, Some(9))]);
    }

    #[test]
    fn what_has_no_stamp_is_kept_as_it_is() {
        for odd in ["unable to retrieve container logs for x\n", "\n", &"x".repeat(100)] {
            let (text, lines) = read(&[odd.as_bytes()]);
            assert_eq!((text.as_str(), lines), (odd, vec![(0, None)]));
        }
    }

    proptest! {
        #[test]
        fn where_a_log_is_cut_makes_no_difference(cut in 0usize..70) {
            let log = b"1970-01-01T00:00:07.000000001Z one\nodd one\n1970-01-01T00:00:08Z two\n";
            let (a, b) = log.split_at(cut.min(log.len()));
            prop_assert_eq!(read(&[a, b]), read(&[log]));
        }
    }
}
