//! Typing: editing the text, and what becomes of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dispatch_shared::id::{AgentName, RunId};

use super::{keys, verbs};
use crate::effect::{Effect, From};
use crate::model::log::{Kind, LogPane, PAGE};
use crate::model::overlay::{Input, Overlay, Purpose};
use crate::model::{Model, View};

fn top(model: &mut Model) -> Option<&mut Input> {
    match model.overlays.last_mut() {
        Some(Overlay::Input(input)) => Some(input),
        _ => None,
    }
}

pub(super) fn paste(model: &mut Model, text: &str) -> Vec<Effect> {
    match top(model) {
        Some(input) => input.insert(text),
        None => model.dirty = false, // never taken for keys: a pasted text must not press verbs
    }
    filter(model);
    Vec::new()
}

/// A key that the table does not know, in a text.
pub(super) fn edit(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let Some(input) = top(model) else { return Vec::new() };
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let (caret, len) = (input.caret, input.text.chars().count());
    match key.code {
        KeyCode::Char('w') if ctrl => input.erase(input.word_start(), caret),
        KeyCode::Char('u') if ctrl => input.erase(0, caret),
        KeyCode::Char('a') if ctrl => input.caret = 0,
        KeyCode::Char('e') if ctrl => input.caret = len,
        KeyCode::Char(_) if ctrl || key.modifiers.contains(KeyModifiers::ALT) => {}
        KeyCode::Char(c) => input.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if caret > 0 => input.erase(caret - 1, caret),
        KeyCode::Delete if caret < len => input.erase(caret, caret + 1),
        KeyCode::Left => input.caret = caret.saturating_sub(1),
        KeyCode::Right => input.caret = (caret + 1).min(len),
        KeyCode::Home => input.caret = 0,
        KeyCode::End => input.caret = len,
        _ => {}
    }
    filter(model);
    Vec::new()
}

/// A filter works while it is typed.
fn filter(model: &mut Model) {
    if let Some(Overlay::Input(Input { purpose: Purpose::Filter, text, .. })) = model.overlays.last() {
        model.filter.clone_from(text);
        model.unsorted = true;
    }
}

/// Enter: a new line in a long text, else the text is meant as it stands.
pub(super) fn enter(model: &mut Model) -> Vec<Effect> {
    match top(model) {
        Some(input) if input.is_long() => {
            input.insert("\n");
            Vec::new()
        }
        _ => send(model),
    }
}

/// Does what the text is for; what cannot be meant stays open.
pub(super) fn send(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Input(input)) = model.overlays.last().cloned() else { return Vec::new() };
    let text = input.text.trim().to_owned();
    match input.purpose {
        Purpose::Filter => {
            model.overlays.pop();
            model.filter = text;
            model.unsorted = true;
        }
        Purpose::Search => {
            model.overlays.pop();
            if let Some(Overlay::Log(pane)) = model.overlays.last_mut()
                && !pane.search(text.clone())
            {
                model.complain(format!("`{text}` is not in the lines that are loaded"));
            }
        }
        Purpose::Goto => return goto(model, &text),
        Purpose::Claim(issue) => match AgentName::parse(&text) {
            Ok(agent) => {
                model.overlays.pop();
                return vec![Effect::Claim { issue, agent: agent.to_string(), force: false }];
            }
            Err(why) => model.complain(why),
        },
        Purpose::Answer(_) if text.is_empty() => {
            model.complain("an empty answer helps nobody; Esc leaves it")
        }
        Purpose::Answer(run) => {
            model.overlays.pop();
            model.say("answering…");
            return vec![Effect::Answer { run, text }];
        }
    }
    Vec::new()
}

/// `390` goes to a card, `r-12` to a run's log.
fn goto(model: &mut Model, text: &str) -> Vec<Effect> {
    if text.starts_with("r-") {
        match text.parse::<RunId>() {
            Ok(run) if model.data.runs.contains_key(&run) => {
                model.overlays.pop();
                model.overlays.push(Overlay::Log(Box::new(LogPane::new(Kind::Log, run))));
                return vec![Effect::FollowLog { run, from: From::Tail(PAGE) }];
            }
            Ok(run) => model.complain(format!("{run} is not among the runs known here")),
            Err(why) => model.complain(why),
        }
        return Vec::new();
    }
    let Ok(number) = text.trim_start_matches('#').parse::<u64>() else {
        model.complain(format!("`{text}` is no number of a card"));
        return Vec::new();
    };
    let repo = verbs::target(model).repo;
    let mut found: Vec<_> = model.data.issues.values().filter(|i| i.number == number).collect();
    found.sort_by_key(|i| Some(&i.repo_full_name) != repo.as_ref());
    let Some(issue) = found.first().map(|i| i.issue_id.clone()) else {
        model.complain(format!("no card #{number} on the board"));
        return Vec::new();
    };
    let mut effects = Vec::new();
    if model.overlays.iter().any(|o| matches!(o, Overlay::Log(p) if p.kind == Kind::Log)) {
        effects.push(Effect::CloseLog);
    }
    model.overlays.clear();
    if !model.columns.iter().any(|c| c.rows.contains(&issue)) {
        model.filter.clear();
    }
    model.arrange();
    keys::show(model, View::Board);
    if let Some(at) = model.columns.iter().position(|c| c.rows.contains(&issue)) {
        model.column = at;
        model.columns[at].choose(&issue);
    }
    effects
}
