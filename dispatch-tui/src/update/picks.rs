//! Menus: their rows, told from the model whenever they are drawn or chosen from, and what a row does.

use std::collections::BTreeSet;

use dispatch_shared::id::IssueId;
use dispatch_shared::issue::{Priority, Status};
use dispatch_shared::protocol::issues::Issue;

use super::bulk::{self, Deed};
use super::undo::has;
use super::verbs::{self, Answer, Plan, may_move};
use crate::effect::{Effect, Keep};
use crate::model::card::column_title;
use crate::model::options::Group;
use crate::model::overlay::{Input, Overlay, Pick, PickKind, Purpose};
use crate::model::{Model, text};
use crate::theme::Look;

/// A row of a menu.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Names it.
    pub(crate) id: String,
    /// The letter that chooses it.
    pub(crate) key: Option<char>,
    pub(crate) words: String,
    /// Whether it is so now, for rows that switch something.
    pub(crate) on: Option<bool>,
    /// Why it cannot be chosen.
    pub(crate) why: Option<String>,
}

fn row(id: impl Into<String>, key: impl Into<Option<char>>, words: impl Into<String>) -> Row {
    Row { id: id.into(), key: key.into(), words: words.into(), on: None, why: None }
}

/// The menu, with its first possible row chosen.
pub(super) fn open(model: &Model, kind: PickKind, issues: Vec<IssueId>) -> Answer<Plan> {
    let mut pick = Pick { kind, issues, choice: String::new() };
    let rows = rows(model, &pick);
    let now = model.column_of(pick.issues.first().unwrap_or(&IssueId::new(String::new())));
    let possible = |r: &&Row| r.why.is_none();
    let first = match (kind, now) {
        // The column after the one where the card stands.
        (PickKind::Move, Some(now)) => {
            rows.iter().cycle().skip(now as usize + 1).take(rows.len()).find(possible)
        }
        (PickKind::Theme | PickKind::Lane | PickKind::Priority, _) => {
            rows.iter().find(|r| r.on == Some(true)).or_else(|| rows.iter().find(possible))
        }
        _ => rows.iter().find(possible),
    };
    match first.or(rows.first()) {
        Some(row) => {
            pick.choice.clone_from(&row.id);
            Ok(bulk::pick(kind, pick.issues, pick.choice))
        }
        None => Err("there is nothing to choose from".to_owned()),
    }
}

fn cards<'a>(model: &'a Model, pick: &'a Pick) -> impl Iterator<Item = &'a Issue> {
    pick.issues.iter().filter_map(|id| model.data.issues.get(id))
}

/// The rows of a menu.
pub(crate) fn rows(model: &Model, pick: &Pick) -> Vec<Row> {
    let one = cards(model, pick).next().filter(|_| pick.issues.len() == 1);
    match pick.kind {
        PickKind::Move => {
            let letters = ['b', 'r', 'p', 'v', 'd'];
            let rows = Status::ALL.into_iter().zip(letters).map(|(to, key)| {
                let mut row = row(to.word(), key, column_title(to));
                let refusals: Vec<_> = cards(model, pick).map(|c| may_move(model, c, to).err()).collect();
                if refusals.iter().all(Option::is_some) {
                    row.why = refusals.into_iter().flatten().next();
                }
                row
            });
            rows.collect()
        }
        PickKind::Priority => {
            let has = |p: Option<Priority>| one.map(|c| c.priority.as_deref().and_then(Priority::read) == p);
            let words = ["p0", "p1", "p2", "p3", "p4"];
            let rows = words
                .into_iter()
                .zip('0'..)
                .map(|(word, key)| Row { on: has(Priority::read(word)), ..row(word, key, word) });
            rows.chain([Row { on: has(None), ..row("none", 'n', "no priority") }]).collect()
        }
        PickKind::Lane => {
            let known = model.data.lanes.iter().map(|l| {
                let words = if l.claimable {
                    l.title.clone()
                } else {
                    format!("{} (nothing is handed out)", l.title)
                };
                Row { on: one.map(|c| c.lane == l.id), ..row(l.id.clone(), None, text::line(&words)) }
            });
            known.collect()
        }
        PickKind::Labels => labels(model, pick),
        PickKind::Copy => copies(model, pick).into_iter().map(|(row, _)| row).collect(),
        PickKind::Start => {
            let mut programs: BTreeSet<String> =
                model.data.runs.values().map(|r| r.program.clone()).collect();
            let used = model.data.control.iter().flat_map(|c| &c.usage).filter(|u| u.by == "program");
            programs.extend(used.map(|u| text::line(&u.name)));
            let default = row("", 'd', "with the configured program");
            let named = programs
                .into_iter()
                .zip('1'..='9')
                .map(|(p, key)| row(format!("p {p}"), key, format!("with {p}")));
            [default].into_iter().chain(named).chain([row("other", 'o', "with another program…")]).collect()
        }
        PickKind::Options => {
            let keys = ['s', 'r', 'e', 'a'];
            let groups = Group::ALL.into_iter().zip(keys).map(|(group, key)| Row {
                on: Some(model.options.group == group),
                ..row(group.words(), key, format!("group {}", group.words()))
            });
            let compact =
                Row { on: Some(model.options.compact), ..row("compact", 'c', "compact: one row a card") };
            groups.chain([compact, row("theme", 't', "colours…")]).collect()
        }
        PickKind::Theme => {
            let now = model.options.look.as_deref();
            let auto = Row { on: Some(now.is_none()), ..row("", '0', "as the settings say") };
            let looks = Look::ALL.into_iter().zip('1'..).map(|(look, key)| Row {
                on: Some(now == Some(look.name())),
                ..row(look.name(), key, format!("{}: {}", look.name(), look.words()))
            });
            [auto].into_iter().chain(looks).collect()
        }
        PickKind::Resume => {
            let pools = model.data.control.iter().flat_map(|c| &c.paused_pools);
            let until = |at| text::clock(at, &model.zone);
            pools
                .map(|p| {
                    row(
                        p.program.clone(),
                        None,
                        text::line(&format!("{} (to {}: {})", p.program, until(p.until), p.reason)),
                    )
                })
                .collect()
        }
    }
}

/// The labels that can be put on or taken off: those that cards of the same repositories have, but for the ones that have
/// verbs of their own.
fn labels(model: &Model, pick: &Pick) -> Vec<Row> {
    let repos: BTreeSet<_> = cards(model, pick).map(|c| &c.repo_full_name).collect();
    let near = model.data.issues.values().filter(|i| repos.contains(&i.repo_full_name));
    let own = |l: &&String| {
        let l = l.to_lowercase();
        !["status/", "agent/", "priority/", "lane/"].iter().any(|p| l.starts_with(p))
    };
    let known: BTreeSet<&String> = near.flat_map(|i| &i.labels).filter(own).collect();
    let switches = known.into_iter().map(|label| Row {
        on: Some(cards(model, pick).all(|c| has(c, label))),
        ..row(format!("l {label}"), None, label.clone())
    });
    [row("lane", 'e', "lane…"), row("new", 'n', "another label…")].into_iter().chain(switches).collect()
}

/// What can be copied of the thing under the cursor.
fn copies(model: &Model, pick: &Pick) -> Vec<(Row, String)> {
    let target = verbs::target(model);
    let issue = pick.issues.first().and_then(|id| model.data.issues.get(id));
    let run = target.run.and_then(|id| model.data.runs.get(&id));
    let mut out = Vec::new();
    let mut add = |key: char, what: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let words = format!("{what}  {}", text::line(&value));
            out.push((row(what, key, words), value));
        }
    };
    add('y', "name", Some(verbs::subject(model, &target)));
    add('u', "address", issue.map(|i| i.url.clone()));
    add(
        'p',
        "pull request",
        issue.and_then(|i| i.linked_pr_url.clone().or(i.linked_pr.as_ref().map(|p| p.url.clone()))),
    );
    add('t', "title", issue.map(|i| i.title.clone()));
    add(
        'm',
        "Markdown link",
        issue.map(|i| format!("[{}#{} {}]({})", i.repo_full_name, i.number, i.title, i.url)),
    );
    add('r', "run", run.map(|r| r.id.to_string()));
    add('b', "branch", run.and_then(|r| r.branch.clone()));
    add('a', "question", run.and_then(|r| r.question.clone()));
    out
}

/// Does what the chosen row says. The menu stays open if `stay`.
pub(super) fn choose(model: &mut Model, stay: bool) -> Vec<Effect> {
    let Some(Overlay::Pick(pick)) = model.overlays.last().cloned() else { return Vec::new() };
    let Some(row) = rows(model, &pick).into_iter().find(|r| r.id == pick.choice) else { return Vec::new() };
    if let Some(why) = row.why {
        model.complain(why);
        return Vec::new();
    }
    let switches =
        row.on.is_some() && matches!(pick.kind, PickKind::Labels | PickKind::Options | PickKind::Theme);
    if !(stay && switches && pick.issues.len() < 2) {
        model.overlays.pop();
    }
    let issues = &pick.issues;
    match pick.kind {
        PickKind::Move => match Status::read(&row.id) {
            Some(to) => bulk::commit(model, issues, &Deed::Move(to)),
            None => Vec::new(),
        },
        PickKind::Priority => bulk::commit(model, issues, &Deed::Priority(Priority::read(&row.id))),
        PickKind::Lane => bulk::commit(model, issues, &Deed::Lane(row.id)),
        PickKind::Labels => match row.id.strip_prefix("l ") {
            Some(label) => {
                let deed = Deed::Label { label: label.to_owned(), there: row.on != Some(true) };
                bulk::commit(model, issues, &deed)
            }
            None if row.id == "lane" => match open(model, PickKind::Lane, pick.issues) {
                Ok(plan) => verbs::carry_out(model, plan),
                Err(why) => {
                    model.complain(why);
                    Vec::new()
                }
            },
            None => input(model, Purpose::Label(pick.issues), String::new()),
        },
        PickKind::Copy => {
            let value = copies(model, &pick).into_iter().find(|(r, _)| r.id == row.id).map(|(_, v)| v);
            let Some(value) = value else { return Vec::new() };
            model.say(format!("copied {}", text::line(&value)));
            vec![Effect::Copy(value)]
        }
        PickKind::Start => {
            let Some(issue) = pick.issues.into_iter().next() else { return Vec::new() };
            match row.id.as_str() {
                "other" => input(model, Purpose::Program(issue), String::new()),
                id => start(model, issue, id.strip_prefix("p ").map(ToOwned::to_owned)),
            }
        }
        PickKind::Options if row.id == "theme" => match open(model, PickKind::Theme, Vec::new()) {
            Ok(plan) => verbs::carry_out(model, plan),
            Err(_) => Vec::new(),
        },
        PickKind::Options => {
            match Group::ALL.into_iter().find(|g| g.words() == row.id) {
                Some(group) => model.options.group = group,
                None => model.options.compact = !model.options.compact,
            }
            model.arrange();
            vec![Effect::Keep(Keep::Options(model.options.clone()))]
        }
        PickKind::Theme => {
            model.options.look = Some(row.id).filter(|id| !id.is_empty());
            vec![Effect::Dress, Effect::Keep(Keep::Options(model.options.clone()))]
        }
        PickKind::Resume => vec![Effect::Resume(row.id)],
    }
}

fn input(model: &mut Model, purpose: Purpose, text: String) -> Vec<Effect> {
    model.overlays.push(Overlay::Input(Input::new(purpose, text)));
    Vec::new()
}

/// Asks what the run by hand is to do.
pub(super) fn start(model: &mut Model, issue: IssueId, program: Option<String>) -> Vec<Effect> {
    let Some(card) = model.data.issues.get(&issue) else { return Vec::new() };
    let task = format!("Do what issue #{} asks for: {}", card.number, card.title);
    input(model, Purpose::Start { issue, program }, task)
}

/// A letter in a menu.
pub(super) fn letter(model: &mut Model, c: char) -> Vec<Effect> {
    let Some(Overlay::Pick(pick)) = model.overlays.last() else { return Vec::new() };
    let Some(row) = rows(model, pick).into_iter().find(|r| r.key == Some(c)) else { return Vec::new() };
    if let Some(Overlay::Pick(pick)) = model.overlays.last_mut() {
        pick.choice = row.id;
    }
    choose(model, false)
}
