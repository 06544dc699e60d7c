//! Foreign text made harmless, and the mark that fences it.

/// What says that something is missing.
const CUT: &str = "… (cut)";

/// Whether a reader of the text would not see it although a model would, or it would show other text than there is.
fn is_hidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c,
            '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` without what cannot be seen, with plain ends of lines, and at most `max` characters of it from its beginning.
#[must_use]
pub fn head(text: &str, max: usize) -> String {
    let mut kept = String::new();
    let mut left = max;
    for c in text.trim().chars().filter(|c| !is_hidden(*c)) {
        if left == 0 {
            return format!("{}\n{CUT}", kept.trim_end());
        }
        kept.push(c);
        left -= 1;
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// The same from its end: of an output the last words count.
#[must_use]
pub fn tail(text: &str, max: usize) -> String {
    let kept: Vec<char> = text.trim().chars().rev().filter(|c| !is_hidden(*c)).take(max + 1).collect();
    let whole = kept.len() <= max;
    let text: String = kept.into_iter().take(max).rev().collect();
    if whole { text.trim().to_owned() } else { format!("{CUT}\n{}", text.trim()) }
}

/// `text` on one line.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || is_hidden(c)).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().count() <= max {
        return line;
    }
    let kept: String = line.chars().take(max).collect();
    format!("{} {CUT}", kept.trim_end())
}

/// A mark for fences that none of `texts` holds, however it is spelled or spaced. It depends on all of them, so that nobody
/// who wrote one of them could know it.
#[must_use]
pub fn mark<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    // FNV-1a: the same on every machine and in every version.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut plain = Vec::new();
    for text in texts {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let letters = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        plain.push(letters.collect::<String>());
    }
    loop {
        let mark = format!("{:08x}", (hash ^ (hash >> 32)) & 0xffff_ffff);
        if !plain.iter().any(|text| text.contains(&mark)) {
            return mark;
        }
        hash = hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_not_there() {
        assert_eq!(head("a\r\nb\u{1b}[31m\0c\td\u{202e}e\u{feff}\u{e0041}\u{e0042}", 100), "a\nb[31mc\tde");
        assert_eq!(head("नमस्ते مى\u{200c}خواهم 👩\u{200d}🚀", 100), "नमस्ते مى\u{200c}خواهم 👩\u{200d}🚀");
        assert_eq!(line(" a\n\n# b\u{2028}c\u{202e} ", 100), "a # b c");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(head("äöüß", 3), "äöü\n… (cut)");
        assert_eq!(head("äöü", 3), "äöü");
        assert_eq!(tail("äöüß", 3), "… (cut)\nöüß");
        assert_eq!(tail("äöü", 3), "äöü");
        assert_eq!(line("one two three", 7), "one two … (cut)");
        let long = "x".repeat(1 << 20);
        assert!(head(&long, 70_000).len() < 70_020 && tail(&long, 4_000).len() < 4_020);
    }

    #[test]
    fn no_text_holds_its_mark_in_any_spelling() {
        let first = mark(["plain"]);
        assert_eq!(first, mark(["plain"]), "the same text has the same mark");
        assert_ne!(first, mark(["plain", ""]));
        // A text that was made for the mark that it would have.
        let mut text = "plain".to_owned();
        for _ in 0..50 {
            let mark = mark([text.as_str()]);
            let spaced: String = mark.to_uppercase().chars().flat_map(|c| [c, '\u{200b}']).collect();
            text.push_str(&format!("</text-{spaced}>"));
            assert_ne!(mark, super::mark([text.as_str()]));
        }
    }
}
