//! The queue: what is handed out next, in that order, and why each stands where it stands; what is withheld, and why not.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::rows::{self, Row, heading};
use super::{areas, put, words};
use crate::model::marks::Thing;
use crate::model::queue::{Fold, Group, QueueRow, reviews};
use crate::model::wants::Part;
use crate::model::{Model, card, queue, text};
use crate::theme::{Mark, Role};

/// What the keys of the list stand for.
struct Found<'a> {
    rows: BTreeMap<&'a str, &'a QueueRow>,
    folds: BTreeMap<String, Fold>,
    counts: [usize; 3],
}

fn found(model: &Model) -> Found<'_> {
    let kept = queue::kept(model);
    let mut counts = [0; 3];
    for row in &kept {
        counts[row.group() as usize] += 1;
    }
    Found {
        folds: queue::folds(&kept),
        rows: kept.into_iter().map(|row| (row.key.as_str(), row)).collect(),
        counts,
    }
}

fn all(model: &Model, found: &Found<'_>) -> Vec<Row<String>> {
    let mut out = Vec::new();
    let mut last = None;
    for key in &model.queue.rows {
        let group = found.rows.get(key.as_str()).map_or(Group::Withheld, |row| row.group());
        if last != Some(group) {
            if last.is_some() {
                out.push(Row::Gap);
            }
            let count = found.counts[group as usize];
            let (title, right) = match group {
                Group::Next => (format!("Next for any agent, any lane {count}"), in_review(model)),
                Group::InWork => (format!("In work {count}"), String::new()),
                Group::Withheld => {
                    let backlog = model.columns[0].rows.len();
                    (format!("Withheld {count}"), format!("{backlog} in the backlog"))
                }
            };
            out.push(heading(model, title, super::filtered(model, &right)));
            last = Some(group);
        }
        out.push(Row::Item(key.clone()));
    }
    out
}

/// `in review: api 3/5  web 5/5`.
fn in_review(model: &Model) -> String {
    let each: Vec<String> =
        reviews(model).into_iter().map(|(name, now, limit)| format!("{name} {now}/{limit}")).collect();
    if each.is_empty() { String::new() } else { format!("in review: {}", each.join("  ")) }
}

fn list_area(model: &Model, area: Rect) -> Rect {
    match areas::why(model) {
        Some(why) if why.y > area.y => Rect { height: why.y - area.y, ..area },
        Some(why) => Rect { width: area.width.saturating_sub(why.width + 1), ..area },
        None => area,
    }
}

/// The place in the list of what stands in row `y` of the view.
pub(super) fn place_at(model: &Model, area: Rect, y: usize) -> Option<usize> {
    let found = found(model);
    let area = list_area(model, area);
    rows::place_at(&all(model, &found), &model.queue, usize::from(area.height), y)
}

pub(super) fn draw(model: &Model, buffer: &mut Buffer, area: Rect) {
    if model.queue.rows.is_empty() {
        let sentence = match () {
            () if model.wants.awaits(Part::Queue) => "loading…",
            () if !model.filter.is_empty() => "Nothing in the queue has all of these words; Esc shows all.",
            () => "Nothing is ready to be handed out.",
        };
        return words(model, buffer, area, &[(Role::Plain, sentence.to_owned())]);
    }
    let found = found(model);
    let all = all(model, &found);
    let list = list_area(model, area);
    let width = usize::from(list.width);
    let place: BTreeMap<&str, usize> =
        model.queue.rows.iter().enumerate().map(|(at, key)| (key.as_str(), at + 1)).collect();
    rows::draw(
        model,
        buffer,
        list,
        &all,
        &model.queue,
        |key| Some(Thing::Row(key.clone())),
        |key| match (found.rows.get(key.as_str()), found.folds.get(key)) {
            (Some(row), _) => line(model, row, place.get(key.as_str()).copied().unwrap_or(0), width),
            (None, Some(fold)) => folded(model, key, fold, width),
            (None, None) => (Vec::new(), Vec::new()),
        },
    );
    if let Some(area) = areas::why(model) {
        why(model, buffer, area);
    }
}

/// Cards that one reason withholds, as one row.
fn folded(model: &Model, key: &str, fold: &Fold, width: usize) -> (Vec<Span<'static>>, Vec<Span<'static>>) {
    let theme = model.theme;
    let open = model.unfolded.contains(key);
    let left = vec![
        Span::raw("    "),
        Span::styled(Mark::Waits.glyph(), theme.style(Mark::Waits.role())),
        Span::raw(format!(" {} x{}", fold.repo, fold.rows.len())),
        Span::styled(if open { "  Enter folds" } else { "  Enter unfolds" }, theme.style(Role::Dim)),
    ];
    (left, vec![Span::styled(text::fit(&fold.why, width / 2), theme.style(Role::Dim))])
}

fn line(
    model: &Model,
    row: &QueueRow,
    place: usize,
    width: usize,
) -> (Vec<Span<'static>>, Vec<Span<'static>>) {
    let theme = model.theme;
    let issue = row.issue.as_ref().and_then(|id| model.data.issues.get(id));
    let mark = match (row.fix, row.group()) {
        (true, _) => Mark::Failed,
        (false, Group::Next) => Mark::Ready,
        (false, Group::Withheld) => Mark::Waits,
        (false, Group::InWork) => issue.map_or(Mark::Fresh, |i| card::mark(model, i)),
    };
    let place = if row.group() == Group::Next { format!("{place:>3} ") } else { "    ".to_owned() };
    let age = card::queue_since(model, row).map_or(String::new(), |at| text::age(model.now.since(at)));
    let mut left = vec![Span::raw(place), Span::styled(mark.glyph(), theme.style(mark.role()))];
    left.push(Span::raw(format!(" {} ", text::pad(&row.subject, if width >= 100 { 26 } else { 18 }))));
    left.push(Span::styled(format!("{age:>4} "), theme.style(Role::Dim)));
    if let Some((kind, generation)) = &row.wants {
        left.push(Span::styled(format!(" {kind}, gen {generation} "), theme.style(Role::Waiting)));
    }
    left.push(Span::raw(format!(" {}", row.title)));
    let why = match (row.group(), issue) {
        (Group::Withheld, _) => row.withheld.clone().unwrap_or_default(),
        (Group::InWork, Some(issue)) => match (&issue.claim, model.data.run_of(issue)) {
            (_, Some(run)) if !run.ended => format!("{} {}", run.id, run.state),
            (Some(claim), _) => {
                let until = text::clock(claim.lease_expires_at, &model.zone);
                format!("held by {} to {until}", claim.agent_name)
            }
            _ => "in progress, held by nobody".to_owned(),
        },
        _ => row.reason.clone(),
    };
    let room = if width >= 100 { width * 2 / 5 } else { width / 3 };
    (left, vec![Span::styled(text::fit(&why, room), theme.style(Role::Dim))])
}

/// The check-list of the chosen card: what holds in a line or two, what does not on a line of its own.
fn why(model: &Model, buffer: &mut Buffer, area: Rect) {
    let theme = model.theme;
    let pane = &model.why;
    let Some(issue) = pane.of.as_ref().or(pane.asked.as_ref()) else { return };
    let number = model.data.issues.get(issue).map_or_else(|| issue.to_string(), |i| format!("#{}", i.number));
    let (broken, held): (Vec<_>, Vec<_>) = pane.rules.iter().partition(|r| !r.holds);
    let title = if broken.is_empty() && !pane.rules.is_empty() { "Why" } else { "Why not" };
    let width = usize::from(area.width).saturating_sub(1);
    let mut lines = vec![vec![Span::styled(format!("{title} {number}?"), theme.style(Role::Strong))]];
    if let Some(failed) = &pane.failed {
        lines.push(vec![Span::styled(format!(" ✗ {failed}"), theme.style(Role::Alarm))]);
    } else if pane.rules.is_empty() {
        lines.push(vec![Span::styled(" looking…", theme.style(Role::Dim))]);
    }
    for rule in broken {
        let said =
            if rule.why.is_empty() { rule.rule.clone() } else { format!("{}: {}", rule.rule, rule.why) };
        for (at, part) in text::wrap(&said, width.saturating_sub(3)).into_iter().enumerate() {
            let mark = if at == 0 { " ✗ " } else { "   " };
            lines.push(vec![Span::styled(mark, theme.style(Role::Alarm)), Span::raw(part)]);
        }
    }
    let mut line: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for rule in held {
        let takes = text::width(&rule.rule) + 4;
        if used + takes > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        used += takes;
        line.push(Span::styled(" ✓ ", theme.style(Role::Done)));
        line.push(Span::styled(format!("{} ", rule.rule), theme.style(Role::Dim)));
    }
    lines.push(line);
    for (y, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        put(buffer, area, u16::try_from(y).unwrap_or(u16::MAX), line);
    }
}
