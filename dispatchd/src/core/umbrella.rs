//! Check-lists of umbrella issues: what children they name, and how a child is linked.

use super::grooming::NewChild;
use super::record::Card;

/// The longest title that GitHub takes.
pub const TITLE_MAX: usize = 256;
/// The most children of one request.
pub const CHILDREN_MAX: usize = 50;

/// A line of a check-list: its text and whether it is checked.
fn item(line: &str) -> Option<(bool, &str)> {
    let text = line.trim_start();
    let text = text.strip_prefix("- ").or_else(|| text.strip_prefix("* "))?;
    let open = text.strip_prefix("[ ] ").map(|t| (false, t));
    open.or_else(|| text.strip_prefix("[x] ").or_else(|| text.strip_prefix("[X] ")).map(|t| (true, t)))
}

fn lines(body: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut fenced = false;
    body.lines().map(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        (fenced, line)
    })
}

/// The open items of a body's check-list that are not issues yet: a title each.
#[must_use]
pub fn open_items(body: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in lines(body).filter(|(fenced, _)| !fenced) {
        let Some((false, text)) = item(line) else { continue };
        let title = title(text);
        let is_issue = text.trim_start().starts_with('#') || text.contains("/issues/");
        if !is_issue && !title.is_empty() && !found.contains(&title) {
            found.push(title);
        }
    }
    found
}

/// One line, no longer than a title may be.
#[must_use]
pub fn title(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(TITLE_MAX).collect()
}

/// What a child inherits: the parent's priority, lane and owner, where it names none of its own.
#[must_use]
pub fn labels(parent: &Card, own: &[String]) -> Vec<String> {
    let mut labels = own.to_vec();
    for prefix in ["priority/", "lane/", "owner/"] {
        let is = |l: &&String| l.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        if !own.iter().any(|l| is(&l)) {
            labels.extend(parent.labels.iter().find(is).cloned());
        }
    }
    labels
}

/// A child's text: its own, and where it belongs.
#[must_use]
pub fn body(child: &NewChild, parent: u64) -> String {
    let own = child.body.trim();
    let part = format!("Part of #{parent}.");
    if own.is_empty() { part } else { format!("{own}\n\n{part}") }
}

/// The parent's body with the child linked: in its check-list item if there is one, else in a list at the end. `None` if
/// it is linked already.
#[must_use]
pub fn linked(parent: &str, child: &str, number: u64) -> Option<String> {
    let mark = format!("#{number}");
    let names = |text: &str| {
        text.match_indices(&mark)
            .any(|(at, _)| !text[at + mark.len()..].chars().next().is_some_and(|c| c.is_ascii_digit()))
    };
    if lines(parent).any(|(fenced, line)| !fenced && item(line).is_some_and(|(_, text)| names(text))) {
        return None;
    }
    let mut done = false;
    let mut out: Vec<String> = Vec::new();
    for (fenced, line) in lines(parent) {
        let here = !done && !fenced && item(line).is_some_and(|(checked, t)| !checked && title(t) == child);
        if here && let Some(at) = line.find("] ") {
            done = true;
            out.push(format!("{}{mark} {}", &line[..at + 2], &line[at + 2..]));
        } else {
            out.push(line.to_owned());
        }
    }
    if !done {
        const HEADING: &str = "## Children";
        if !out.iter().any(|l| l.trim() == HEADING) {
            out.extend([String::new(), HEADING.to_owned(), String::new()]);
        }
        // Below the heading's own list, which is the end unless somebody wrote on.
        let from = out.iter().position(|l| l.trim() == HEADING).map_or(out.len(), |at| at + 1);
        let last = (from..out.len()).rev().find(|n| item(&out[*n]).is_some());
        let at = last.map_or(out.len(), |n| n + 1);
        out.insert(at, format!("- [ ] {mark} {child}"));
    }
    Some(format!("{}\n", out.join("\n").trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "Do all:\n\n- [ ] First thing\n- [x] Done\n* [ ] Second  thing\n- [ ] #9 there\n```\n- [ ] code\n```\n- [ ] First thing\n";

    #[test]
    fn open_items_become_children() {
        assert_eq!(open_items(BODY), ["First thing", "Second thing"]);
        assert_eq!(title(&"x".repeat(300)).len(), TITLE_MAX);
    }

    #[test]
    fn a_child_is_linked_once_where_it_stood() {
        let once = linked(BODY, "Second thing", 12).unwrap();
        assert!(once.contains("* [ ] #12 Second  thing\n"), "{once}");
        assert_eq!(linked(&once, "Second thing", 12), None);
        assert!(linked(&once, "Other", 1).unwrap().ends_with("\n## Children\n\n- [ ] #1 Other\n"));
        let two = linked(&linked("", "A", 1).unwrap(), "B", 2).unwrap();
        assert!(two.ends_with("- [ ] #1 A\n- [ ] #2 B\n"), "{two}");
    }
}
