//! Typing: editing the text, and what becomes of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dispatch_shared::id::{AgentName, IssueId, RunId};

use super::bulk::{self, Deed};
use super::{filterbar, first, keys, palette, picks, run, verbs};
use crate::effect::{Effect, Write};
use crate::model::Model;
use crate::model::log::Kind;
use crate::model::overlay::{Confirm, Input, Overlay, Purpose};
use crate::model::repo::read_start;

fn top(model: &mut Model) -> Option<&mut Input> {
    match model.overlays.last_mut() {
        Some(Overlay::Input(input)) => Some(input),
        Some(Overlay::Palette(palette)) => Some(&mut palette.input),
        Some(Overlay::Filter(bar)) => Some(&mut bar.input),
        _ => None,
    }
}

pub(super) fn paste(model: &mut Model, text: &str) -> Vec<Effect> {
    match top(model) {
        Some(input) => {
            input.insert(text);
            typed(model);
        }
        None => model.dirty = false, // never taken for keys: a pasted text must not press verbs
    }
    Vec::new()
}

/// A key that the table does not know, in a text.
pub(super) fn edit(model: &mut Model, key: &KeyEvent) -> Vec<Effect> {
    let Some(input) = top(model) else { return Vec::new() };
    let before = input.text.len();
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let (caret, len) = (input.caret, input.text.chars().count());
    match key.code {
        KeyCode::Char('w') if ctrl => input.erase(input.word_start(), caret),
        KeyCode::Char('u') if ctrl => input.erase(0, caret),
        KeyCode::Char('k') if ctrl => {
            input.erase(caret, len);
            input.caret = caret;
        }
        KeyCode::Char('a') if ctrl => input.caret = 0,
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
    if input.text.len() != before {
        typed(model);
    }
    Vec::new()
}

/// What is found or shown while one types.
fn typed(model: &mut Model) {
    palette::typed(model);
    filterbar::typed(model);
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

/// Lets the operator's editor have the text.
pub(super) fn editor(model: &mut Model) -> Vec<Effect> {
    top(model).map(|input| Effect::Edit(input.text.clone())).into_iter().collect()
}

/// What the editor left.
pub(super) fn edited(model: &mut Model, result: Result<String, String>) {
    match (result, top(model)) {
        (Ok(text), Some(input)) => input.replace(text.trim_end()),
        (Ok(_), None) => {}
        (Err(why), _) => model.complain(format!("editor: {why}")),
    }
}

/// A text that is left is kept, if it is worth it.
pub(super) fn leave(model: &mut Model, input: &Input) {
    let Some(key) = input.purpose.draft() else { return };
    if input.text.trim().is_empty() {
        model.drafts.remove(&key);
    } else if model.drafts.insert(key, input.text.clone()).as_ref() != Some(&input.text) {
        model.say("kept as a draft");
    }
}

/// Closes the text and forgets its draft.
fn done(model: &mut Model) {
    if let Some(Overlay::Input(input)) = model.overlays.pop()
        && let Some(key) = input.purpose.draft()
    {
        model.drafts.remove(&key);
    }
}

/// Does what the text is for; what cannot be meant stays open.
pub(super) fn send(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Input(input)) = model.overlays.last().cloned() else { return Vec::new() };
    let text = input.text.trim().to_owned();
    match try_send(model, input.purpose, text) {
        Ok(effects) => effects,
        Err(why) => {
            model.complain(why);
            Vec::new()
        }
    }
}

fn try_send(model: &mut Model, purpose: Purpose, text: String) -> Result<Vec<Effect>, String> {
    let write = |write: Write| vec![Effect::Write { write, undoes: false }];
    let wanted = |what: &str| match text.is_empty() {
        true => Err(format!("{what}; Esc leaves it")),
        false => Ok(()),
    };
    Ok(match purpose {
        Purpose::Search => {
            model.overlays.pop();
            run::search(model, text)
        }
        Purpose::Goto => goto(model, &text)?,
        Purpose::Track => return first::track(model, text),
        Purpose::Token(what) => return first::token(model, what, text),
        Purpose::Claim(issues) => {
            let agent = AgentName::parse(&text)?.to_string();
            model.overlays.pop();
            match issues.as_slice() {
                [one] => vec![Effect::Claim { issue: one.clone(), agent, force: false }],
                many => bulk::commit(model, many, &Deed::Claim(agent)),
            }
        }
        Purpose::Answer(run) => {
            wanted("an empty answer helps nobody")?;
            done(model);
            model.say("answering…");
            vec![Effect::Answer { run, text }]
        }
        Purpose::Comment(issue) => {
            wanted("an empty comment helps nobody")?;
            done(model);
            write(Write::Comment { issue, body: text })
        }
        Purpose::Note(issue) => {
            wanted("say why it is split, and into what")?;
            done(model);
            write(Write::Note { issue, note: text })
        }
        Purpose::Block(issue) => {
            wanted("say what it waits for")?;
            done(model);
            write(Write::Block { issue, reason: text })
        }
        Purpose::Label(issues) => {
            wanted("a label has a name")?;
            if text.chars().count() > 50 {
                return Err("a label has at most 50 characters".to_owned());
            }
            model.overlays.pop();
            bulk::commit(model, &issues, &Deed::Label { label: text, there: true })
        }
        Purpose::Program(issue) => {
            wanted("name a program, like claude or codex:gpt-5")?;
            model.overlays.pop();
            picks::start(model, issue, Some(text))
        }
        Purpose::Start { issue, program } => {
            wanted("say what is to be done")?;
            let card = model.data.issues.get(&issue).ok_or("that card is not on the board any more")?;
            let (repo, number) = (card.repo_full_name.clone(), card.number);
            model.overlays.pop();
            model.say(format!("starting a run on #{number}…"));
            write(Write::Start { issue, repo, number, program, task: text })
        }
        Purpose::KillAll(runs) => {
            let count = runs.len();
            if text != count.to_string() {
                return Err(format!("{count} runs live: type {count} to kill them all, Esc leaves them"));
            }
            model.overlays.pop();
            model.say(format!("stopping {count} runs…"));
            runs.into_iter().map(|(run, attempt)| Effect::Kill { run, attempt, now: false }).collect()
        }
        Purpose::WipLimit(repo) => {
            let to = text.parse().map_err(|_| format!("`{text}` is no number; 0 is no limit"))?;
            let from = model.data.repos.get(&repo).map_or(0, |r| r.wip_limit);
            model.overlays.pop();
            if from == to { Vec::new() } else { write(Write::WipLimit { repo, from, to }) }
        }
        Purpose::Lanes(repo) => {
            let to: Vec<String> =
                text.split([',', ' ']).filter(|l| !l.is_empty()).map(str::to_owned).collect();
            let from = model.data.repos.get(&repo).map(|r| r.lanes.clone()).unwrap_or_default();
            model.overlays.pop();
            if from == to { Vec::new() } else { write(Write::Lanes { repo, from, to }) }
        }
        Purpose::Workflow { repo, workflow } => {
            let (git_ref, inputs) = read_start(&text)?;
            model.overlays.pop();
            vec![Effect::StartWorkflow { repo, workflow, git_ref, inputs }]
        }
        Purpose::SaveFilter => {
            wanted("a saved filter has a name")?;
            model.overlays.pop();
            filterbar::saved(model, text)
        }
        Purpose::Words => Vec::new(),
    })
}

/// `390` goes to a card, `r-12` to a run's log.
fn goto(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    if text.starts_with("r-") {
        let id = text.parse::<RunId>()?;
        if !model.data.runs.contains_key(&id) {
            return Err(format!("{id} is not among the runs known here"));
        }
        model.overlays.pop();
        return Ok(run::open(model, Kind::Log, id));
    }
    let number = text
        .trim_start_matches('#')
        .parse::<u64>()
        .map_err(|_| format!("`{text}` is no number of a card"))?;
    let repo = verbs::target(model).repo;
    let mut found: Vec<_> = model.data.issues.values().filter(|i| i.number == number).collect();
    found.sort_by_key(|i| Some(&i.repo_full_name) != repo.as_ref());
    let issue: Option<IssueId> = found.first().map(|i| i.issue_id.clone());
    let issue = issue.ok_or_else(|| format!("no card #{number} on the board"))?;
    Ok(palette::go(model, &issue))
}

/// Quits, unless something would be lost thereby: then asks.
pub(super) fn quit(model: &mut Model) -> Vec<Effect> {
    let moves = model.moves.values().filter(|m| !m.accepted).count();
    let why = match (model.drafts.len(), moves) {
        (0, 0) => return vec![Effect::Quit],
        (0, n) => format!("{n} moves are still on their way to the daemon"),
        (1, 0) => "one text was typed and not sent".to_owned(),
        (n, 0) => format!("{n} texts were typed and not sent"),
        (n, m) => format!("{n} texts were not sent, and {m} moves are on their way"),
    };
    keys::ask(model, Confirm::Quit { why })
}
