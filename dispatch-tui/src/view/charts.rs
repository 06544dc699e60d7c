//! Numbers as marks: how a number went over time, and how much of something is used. Braille and bars, whose width is one
//! column in every terminal.

/// What an empty place, and one, two, three and four quarters look like.
const LEVELS: [char; 5] = ['∙', '⣀', '⣤', '⣶', '⣿'];

/// One place per value, each `wide` columns, tall as the largest of them; anything above nothing shows.
pub(super) fn spark(values: &[u64], wide: usize) -> String {
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let quarters = |value: u64| (u128::from(value) * 4).div_ceil(u128::from(most));
    let level = |value: u64| usize::try_from(quarters(value)).unwrap_or(4).min(4);
    values.iter().flat_map(|v| std::iter::repeat_n(LEVELS[level(*v)], wide)).collect()
}

/// `part` of `whole` as a bar of `columns`; a part that is there shows, and only the whole fills it.
pub(super) fn gauge(part: u64, whole: u64, columns: usize) -> String {
    let room = columns as u64;
    let full = match (part, whole) {
        (0, _) | (_, 0) => 0,
        (part, whole) if part >= whole => room,
        (part, whole) => (part.saturating_mul(room) / whole).max(1).min(room.saturating_sub(1)),
    };
    let full = usize::try_from(full).unwrap_or(columns).min(columns);
    "▰".repeat(full) + &"▱".repeat(columns - full)
}

/// `count` of at most `most`, as a bar as long as that.
pub(super) fn bar(count: u64, most: u64, columns: usize) -> String {
    let full = gauge(count, most.max(1), columns);
    full.trim_end_matches('▱').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_full_and_the_least_still_shows() {
        assert_eq!(spark(&[0, 1, 50, 75, 100], 1), "∙⣀⣤⣶⣿");
        assert_eq!(spark(&[0, 0], 2), "∙∙∙∙");
        assert_eq!(spark(&[u64::MAX, 1], 1), "⣿⣀");
        assert_eq!(spark(&[], 3), "");
    }

    #[test]
    fn a_gauge_is_full_only_when_all_is_used() {
        assert_eq!(gauge(0, 10, 4), "▱▱▱▱");
        assert_eq!(gauge(1, 1000, 4), "▰▱▱▱");
        assert_eq!(gauge(999, 1000, 4), "▰▰▰▱");
        assert_eq!(gauge(12, 10, 4), "▰▰▰▰");
        assert_eq!(gauge(5, 0, 4), "▱▱▱▱");
        assert_eq!(bar(5, 10, 4), "▰▰");
        assert_eq!(bar(0, 0, 4), "");
    }
}
