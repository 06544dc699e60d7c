//! Which issues a pull request belongs to, by what people write: closing words in its text, and the name of its branch.

/// GitHub's nine words.
const WORDS: [&str; 9] =
    ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];

/// The issues of the repository `own` (`owner/name`, however cased; empty if not known) that `text` closes when merged, in
/// order of appearance: `Fixes #4`, `closes: GH-4`, `resolves owner/name#4`, `fixes https://host/owner/name/issues/4`. What
/// stands in code or in a comment of Markdown counts no more than it does on GitHub; issues of other repositories are
/// theirs.
#[must_use]
pub fn closing(text: &str, own: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut armed = false;
    for word in prose(text).split_whitespace() {
        let bare = word.trim_matches(|c: char| matches!(c, ':' | ',' | '.' | ';' | '(' | ')' | '*' | '_'));
        if armed && let Some(named) = reference(bare) {
            armed = false;
            let home = named.repo.is_none_or(|repo| repo.eq_ignore_ascii_case(own));
            if home && !found.contains(&named.number) {
                found.push(named.number);
            }
            continue;
        }
        armed = WORDS.iter().any(|w| w.eq_ignore_ascii_case(bare));
    }
    found
}

/// The issues and pull requests of the repository `own` that `text` names in any way, in order of appearance.
#[must_use]
pub fn mentioned(text: &str, own: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for word in prose(text).split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | ',')) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#');
        let named = reference(bare).filter(|n| n.repo.is_none_or(|repo| repo.eq_ignore_ascii_case(own)));
        if let Some(named) = named.filter(|n| !found.contains(&n.number)) {
            found.push(named.number);
        }
    }
    found
}

/// The issue that a branch names: `fix/issue-12-slow`, `issue-12`, `kai/issue/12`. A bare number names none: it may be a
/// year, a version, or anybody's guess.
#[must_use]
pub fn by_branch(branch: &str) -> Option<u64> {
    let folded = branch.to_ascii_lowercase();
    let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
    folded.match_indices("issue").find_map(|(at, word)| {
        is_end(folded[..at].chars().next_back()).then_some(())?;
        let rest = folded[at + word.len()..].strip_prefix(['-', '_', '/'])?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        is_end(rest[digits..].chars().next()).then_some(())?;
        rest[..digits].parse().ok()
    })
}

struct Named<'a> {
    repo: Option<&'a str>,
    number: u64,
}

fn reference(word: &str) -> Option<Named<'_>> {
    if let Some(rest) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) {
        let mut parts = rest.split_once('/')?.1.rsplitn(3, '/');
        let number = parts.next()?.split(['#', '?']).next()?.parse().ok()?;
        matches!(parts.next()?, "issues" | "pull").then_some(())?;
        return Some(Named { repo: parts.next(), number });
    }
    let gh = word.get(..3).filter(|p| p.eq_ignore_ascii_case("gh-")).and_then(|_| word.get(3..));
    if let Some(number) = gh.and_then(|n| n.parse().ok()) {
        return Some(Named { repo: None, number });
    }
    let (repo, number) = word.split_once('#')?;
    let number = number.parse().ok()?;
    (repo.is_empty() || repo.contains('/')).then_some(())?;
    Some(Named { repo: Some(repo).filter(|r| !r.is_empty()), number })
}

/// The text without fenced and inline code, and without comments.
fn prose(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut fence: Option<(char, usize)> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'));
        let length = mark.map_or(0, |m| bare.chars().take_while(|c| *c == m).count());
        match fence {
            Some((open, least)) => {
                let closes = mark == Some(open) && length >= least && bare.trim_end().len() == length;
                if closes {
                    fence = None;
                }
            }
            None if length >= 3 && !(mark == Some('`') && bare[length..].contains('`')) => {
                fence = mark.map(|m| (m, length));
            }
            None => {
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    without_spans(&without_comments(&lines))
}

fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("<!--") {
        kept.push_str(&rest[..start]);
        kept.push(' ');
        match rest[start..].find("-->") {
            Some(end) => rest = &rest[start + end + 3..],
            None => return kept,
        }
    }
    kept.push_str(rest);
    kept
}

/// A run of backticks opens a span that ends with a run of the same length; without one it is text.
fn without_spans(text: &str) -> String {
    let run = |t: &str| t.len() - t.trim_start_matches('`').len();
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        kept.push_str(&rest[..start]);
        let length = run(&rest[start..]);
        let inside = &rest[start + length..];
        let mut from = 0;
        let end = loop {
            let Some(at) = inside[from..].find('`').map(|at| from + at) else { break None };
            let closing = run(&inside[at..]);
            if closing == length {
                break Some(at);
            }
            from = at + closing;
        };
        match end {
            Some(at) => {
                // Something stands there, so that the words around it do not meet.
                kept.push_str(" code ");
                rest = &inside[at + length..];
            }
            None => {
                kept.push_str(&rest[start..start + length]);
                rest = inside;
            }
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_names_is_found_once_and_not_in_code() {
        let text = "Like #4 (see #5, #4), **#6**. GH-7; https://x.y/a/b/issues/8 but c/d#9, `#10` and\n```\n#11\n```\n# 12";
        assert_eq!(mentioned(text, "a/b"), [4, 5, 6, 7, 8]);
    }

    #[test]
    fn closing_references_are_found_as_github_finds_them() {
        for (text, found) in [
            ("Fixes #4\n\nAlso closes: #7, and fixes #4.", &[4, 7][..]),
            ("Refs #4. See #5, prefix #6", &[]),
            ("(Resolved #12)", &[12]),
            ("**Closes** #3, #5", &[3]),
            ("FIXED: GH-8", &[8]),
            ("fix Acme/API#9, close other/api#10", &[9]),
            ("resolves https://github.com/acme/api/issues/11.", &[11]),
            ("resolves https://github.com/acme/web/issues/12", &[]),
            ("closes https://github.com/acme/api/issues/13#issuecomment-7", &[13]),
            ("fixes http://git.acme.io/acme/api/issues/14", &[14]),
            ("fixes #", &[]),
            ("fixes #4x", &[]),
            ("fixes api#4", &[]),
            ("fixes the bug #4", &[]),
        ] {
            assert_eq!(closing(text, "acme/api"), found, "{text}");
        }
    }

    #[test]
    fn code_and_comments_close_nothing() {
        for (text, found) in [
            ("```\nFixes #4\n```\nFixes #5", &[5][..]),
            ("~~~sh\nFixes #4\n```\nFixes #6\n~~~\nFixes #5", &[5]),
            ("````\n```\nFixes #4\n```\n````\nFixes #5", &[5]),
            ("```\nFixes #4", &[]),
            ("Write `Fixes #4` or ``a ` fixes #6`` and so fixes #5", &[5]),
            ("fixes `x` #4", &[]),
            ("a lone ` fixes #4", &[4]),
            ("<!-- Fixes #4 -->\nFixes #5 <!-- open", &[5]),
            ("```fixes``` #4 fixes #5", &[5]),
        ] {
            assert_eq!(closing(text, ""), found, "{text}");
        }
    }

    #[test]
    fn branches_name_issues() {
        for (branch, issue) in [
            ("fix/issue-12-slow", Some(12)),
            ("issue-12", Some(12)),
            ("kai/Issue_12", Some(12)),
            ("kai/issue/12/again", Some(12)),
            ("fix/issue-12x", None),
            ("fix/reissue-12", None),
            ("fix/issue-", None),
            ("12-slow", None),
            ("release/2026", None),
        ] {
            assert_eq!(by_branch(branch), issue, "{branch}");
        }
    }
}
