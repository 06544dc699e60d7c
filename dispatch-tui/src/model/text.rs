//! Text from outside, made safe to show; widths; ages. Everything that enters the model passes through here once, so
//! that no view has to think about it.

use std::time::Duration;

use dispatch_shared::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a control or invisible character is shown as; `None` if it may stay.
fn shown(c: char) -> Option<char> {
    match c {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32),
        '\u{7f}' => Some('␡'),
        // Variation selectors: terminals disagree about the width of what they make.
        '\u{fe00}'..='\u{fe0f}' => Some('\u{0}'),
        // C1 controls (CSI in one character), bidirectional overrides, and what has no width: all can lie.
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some('\u{fffd}'),
        _ => None,
    }
}

/// So many marks may stand on one character; more would run over the rows above and below.
const MARKS: usize = 2;

/// One line: controls are shown, tabs become spaces, a line break becomes a space.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        match c {
            '\n' => out.push(' '),
            '\t' => out.push_str("    "),
            ' '..='~' => out.push(c),
            c => match shown(c) {
                Some('\u{0}') => continue,
                Some(instead) => out.push(instead),
                None if c.width() == Some(0) => {
                    marks += 1;
                    if marks <= MARKS {
                        out.push(c);
                    }
                    continue;
                }
                None => out.push(c),
            },
        }
        marks = 0;
    }
    out
}

/// Several lines: as [`line`], but line breaks stay.
pub(crate) fn block(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning of `text` that fits into `columns`, with `…` where something was cut.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > columns {
            break;
        }
        used += w;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// `text` without its first `columns` columns.
pub(crate) fn skip(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        if used >= columns {
            return &text[at..];
        }
        used += c.width().unwrap_or(0);
    }
    ""
}

/// Words of `text` in lines of at most `columns`; a longer word is broken.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut current, mut used) = (String::new(), 0);
        for word in paragraph.split_inclusive(' ') {
            let bare = width(word.trim_end());
            if used > 0 && used + bare > columns {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
                used = 0;
            }
            for c in word.chars() {
                let w = c.width().unwrap_or(0);
                if used + w > columns && c != ' ' {
                    lines.push(std::mem::take(&mut current).trim_end().to_owned());
                    used = 0;
                }
                current.push(c);
                used += w;
            }
        }
        lines.push(current.trim_end().to_owned());
    }
    lines
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `now`, `18m`, `26h`, `9d`: coarse, so that it rarely changes.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        s if s < MINUTE => "now".to_owned(),
        s if s < HOUR => format!("{}m", s / MINUTE),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s => format!("{}d", s / DAY),
    }
}

/// How long the text of [`age`] stays as it is.
pub(crate) fn age_holds(age: Duration) -> Duration {
    let step = match age.as_secs() {
        s if s < HOUR => MINUTE,
        s if s < 2 * DAY => HOUR,
        _ => DAY,
    } * 1000;
    let into = u64::try_from(age.as_millis()).unwrap_or(u64::MAX) % step;
    Duration::from_millis(step - into)
}

/// How long a count of whole minutes up to a time ahead stays as it is.
pub(crate) fn minute_holds(left: Duration) -> Duration {
    let into = u64::try_from(left.as_millis()).unwrap_or(u64::MAX) % (MINUTE * 1000);
    Duration::from_millis(if into == 0 { MINUTE * 1000 } else { into })
}

/// `40s`, `2m`, `3h`: a span that lies ahead.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs() {
        s if s < MINUTE => format!("{s}s"),
        s if s < HOUR => format!("{}m", s.div_ceil(MINUTE)),
        s => age(Duration::from_secs(s)),
    }
}

/// `text` in exactly `columns` columns: cut, or filled up with spaces.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut out = fit(text, columns);
    out.push_str(&" ".repeat(columns.saturating_sub(width(&out))));
    out
}

/// `14:24` on the operator's clock.
pub(crate) fn clock(at: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(t) => t.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
        Err(_) => "--:--".to_owned(),
    }
}

/// `14:24:09` on the operator's clock.
pub(crate) fn clock_seconds(at: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(t) => t.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
        Err(_) => "--:--:--".to_owned(),
    }
}

/// `96k`, `1.2M`: a number a person can take in.
pub(crate) fn short(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{}k", n / 1_000),
        _ => format!("{}.{}M", n / 1_000_000, n % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        assert_eq!(line("a\u{1b}]52;c;QQ==\u{7}b"), "a␛]52;c;QQ==␇b");
        assert_eq!(line("x\u{9b}31m\u{202e}y"), "x\u{fffd}31m\u{fffd}y");
        assert_eq!(line("one\ttwo\r\n"), "one    two");
        assert_eq!(line("e\u{301}\u{301}\u{301}\u{301}x"), "e\u{301}\u{301}x", "no tower of accents");
        assert_eq!(line("☂\u{fe0f}👩\u{200d}🚀"), "☂👩\u{fffd}🚀");
        assert_eq!(line("שלום \u{202e}abc"), "שלום \u{fffd}abc");
        assert_eq!(block("a\r\nb\u{8}"), "a\nb␈");
    }

    #[test]
    fn text_is_cut_at_columns_and_not_at_bytes() {
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("日本", 4), "日本");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(skip("日本語", 2), "本語");
    }

    #[test]
    fn words_wrap_and_long_ones_break() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn an_age_says_when_it_changes() {
        for (secs, text, holds) in
            [(5, "now", 55), (65, "1m", 55), (3_700, "1h", 3_500), (200_000, "2d", 59_200)]
        {
            let d = Duration::from_secs(secs);
            assert_eq!((age(d).as_str(), age_holds(d).as_secs()), (text, holds));
        }
    }
}
