//! What effects answer: good or bad, said where it was asked for.

use dispatch_shared::id::{IssueId, RepoName, RunId};
use dispatch_shared::protocol::issues::{Issue, WhyRule};

use super::first;
use super::undo::{self, Undo};
use crate::effect::{Effect, Write};
use crate::keymap::Action;
use crate::model::card::column_title;
use crate::model::log::{Kind, LogPane};
use crate::model::overlay::{Confirm, Overlay};
use crate::model::{Model, data, markdown, text};
use crate::update::loaded::Loaded;

/// What became of tracking a repository.
#[derive(Debug)]
pub(crate) enum Tracked {
    /// GitHub is not asked without a token; what is wrong with the one that was found, if there is one.
    NeedsToken { note: Option<String> },
    /// It is tracked; permissions in words that are missing, and labels.
    Done { repo: RepoName, missing: Vec<String>, labels: Vec<String> },
}

/// The answer to an effect.
#[derive(Debug)]
pub(crate) enum Answer {
    Card {
        issue: IssueId,
        result: Result<(Box<Issue>, Vec<WhyRule>), String>,
    },
    /// A part that a view asked for.
    Part(Loaded),
    /// A move; the good answer may carry a note.
    Moved {
        issue: IssueId,
        result: Result<Option<String>, String>,
    },
    Claimed {
        issue: IssueId,
        agent: String,
        /// The bad answer says whether force would help.
        result: Result<(), (bool, String)>,
    },
    /// A claim was ended; whether its lease had run out before.
    Released {
        issue: IssueId,
        agent: String,
        lapsed: bool,
        result: Result<String, String>,
    },
    /// A change by hand.
    Wrote {
        write: Write,
        undoes: bool,
        result: Result<String, String>,
    },
    /// What the operator's editor left.
    Edited(Result<String, String>),
    /// The daemon was started, or not.
    Started(Result<(), String>),
    Tracked {
        what: String,
        result: Result<Tracked, String>,
    },
    /// Everything whose effect comes back as a change: what was wanted, and what came of it.
    Said {
        wanted: String,
        result: Result<String, String>,
    },
    Log {
        run: RunId,
        kind: Kind,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// No more of the log: the run is over, or the cause.
    LogEnd {
        run: RunId,
        kind: Kind,
        cause: Option<String>,
    },
    /// Bytes of a log that were asked for.
    Read {
        run: RunId,
        kind: Kind,
        from: u64,
        result: Result<Vec<u8>, String>,
    },
    /// Where the line begins that holds the text; none has it.
    Found {
        run: RunId,
        kind: Kind,
        needle: String,
        result: Result<Option<u64>, String>,
    },
    Diff {
        run: RunId,
        result: Result<String, String>,
    },
}

pub(super) fn take(model: &mut Model, answer: Answer) -> Vec<Effect> {
    match answer {
        Answer::Card { issue, result } => card(model, &issue, result),
        Answer::Part(loaded) => super::loaded::take(model, loaded),
        Answer::Moved { issue, result } => moved(model, issue, result),
        Answer::Claimed { issue, agent, result } => match result {
            Ok(()) => {
                undo::push(model, Undo::Claim { issue, agent: agent.clone() });
                let z = model.keys.name(Action::Undo);
                model.say(format!("claimed for {agent}; {z} undoes"));
            }
            Err((true, why)) => {
                model.overlays.push(Overlay::Confirm(Confirm::ForceClaim {
                    issue,
                    agent,
                    why: text::line(&why),
                }));
            }
            Err((false, why)) => model.complain(format!("claim for {agent}: {}", text::line(&why))),
        },
        Answer::Released { issue, agent, lapsed, result } => match result {
            Ok(said) => {
                model.say(text::line(&said));
                if lapsed {
                    undo::push(model, Undo::Release { issue, agent });
                }
            }
            Err(why) => model.complain(format!("release from {agent}: {}", text::line(&why))),
        },
        Answer::Wrote { write, undoes, result } => wrote(model, write, undoes, result),
        Answer::Edited(result) => super::input::edited(model, result),
        Answer::Started(Ok(())) => {
            model.say("the daemon runs, and goes on when this board is left");
            return vec![Effect::Resync];
        }
        Answer::Started(Err(why)) => model.complain(text::line(&why)),
        Answer::Tracked { what, result } => first::tracked(model, what, result),
        Answer::Said { wanted, result } => match result {
            Ok(said) => model.say(text::line(&said)),
            Err(why) => model.complain(format!("{wanted}: {}", text::line(&why))),
        },
        Answer::Log { run, kind, offset, bytes } => {
            for pane in logs(model, run, kind) {
                pane.append(offset, &bytes);
            }
        }
        Answer::LogEnd { run, kind, cause } => {
            // A daemon that goes down ends its answers in good order; the run goes on without it.
            let over = model.data.runs.get(&run).is_none_or(|r| r.ended);
            for pane in logs(model, run, kind) {
                pane.loading = false;
                pane.broken = cause.is_some() || !over;
                pane.ended = match &cause {
                    Some(why) => Some(text::line(why)),
                    None => over.then(|| "end of the log".to_owned()),
                };
            }
        }
        Answer::Found { run, kind, needle, result } => return found(model, run, kind, &needle, result),
        Answer::Read { run, kind, from, result } => {
            let mut failed = None;
            for pane in logs(model, run, kind) {
                match &result {
                    Ok(bytes) => pane.take(from, bytes),
                    Err(why) => {
                        pane.fail();
                        failed = Some(format!("more lines: {}", text::line(why)));
                    }
                }
                if pane.find_again && !pane.loading {
                    pane.find_again = false;
                    pane.go(true);
                }
            }
            if let Some(why) = failed {
                model.complain(why);
            }
        }
        Answer::Diff { run, result } => {
            for overlay in &mut model.overlays {
                if let Overlay::Log(pane) = overlay
                    && pane.run == run
                    && pane.kind == Kind::Diff
                {
                    match &result {
                        Ok(diff) => pane.fill(diff),
                        Err(why) => {
                            pane.fail();
                            pane.ended = Some(text::line(why));
                        }
                    }
                }
            }
        }
    }
    Vec::new()
}

/// A change by hand was made or refused: said, and remembered if it can be taken back.
fn wrote(model: &mut Model, write: Write, undoes: bool, result: Result<String, String>) {
    let words = undo::words(model, &write);
    match result {
        Ok(said) => {
            let said = if said.is_empty() { words } else { text::line(&said) };
            if undoes || undo::inverse(&write).is_none() {
                return model.say(said);
            }
            undo::push(model, Undo::Write(write));
            let z = model.keys.name(Action::Undo);
            model.say(format!("{said}; {z} undoes"));
        }
        Err(why) => model.complain(format!("{words}: {}", text::line(&why))),
    }
}

fn logs(model: &mut Model, run: RunId, kind: Kind) -> impl Iterator<Item = &mut LogPane> {
    model.overlays.iter_mut().filter_map(move |overlay| match overlay {
        Overlay::Log(pane) if pane.run == run && pane.kind == kind => Some(&mut **pane),
        _ => None,
    })
}

/// A search of what was put out before the window: it goes there, or says that there is nothing.
fn found(
    model: &mut Model,
    run: RunId,
    kind: Kind,
    needle: &str,
    result: Result<Option<u64>, String>,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut said = None;
    for pane in logs(model, run, kind).filter(|p| p.needle == needle) {
        match &result {
            Ok(Some(at)) => {
                pane.find_again = true;
                // One byte before: the line that begins there is whole.
                effects.extend(pane.jump_to(at.saturating_sub(1)));
            }
            Ok(None) => said = Some(format!("`{}` is not in the log", text::line(needle))),
            Err(why) => said = Some(format!("searching: {}", text::line(why))),
        }
    }
    match said {
        Some(why) => model.complain(why),
        None => model.toast = None,
    }
    effects
}

fn card(model: &mut Model, id: &IssueId, result: Result<(Box<Issue>, Vec<WhyRule>), String>) {
    let theme = model.theme;
    for overlay in &mut model.overlays {
        let Overlay::Card(pane) = overlay else { continue };
        if pane.issue != *id {
            continue;
        }
        match &result {
            Ok((issue, why)) => {
                pane.body = Some(markdown::render(issue.body.as_deref().unwrap_or_default(), theme));
                pane.failed = None;
                pane.why = why.clone();
                for rule in &mut pane.why {
                    rule.rule = text::line(&rule.rule);
                    rule.why = text::line(&rule.why);
                }
            }
            Err(why) => pane.failed = Some(text::line(why)),
        }
    }
    if let Ok((issue, _)) = result {
        // What the daemon says of one card is as true as the stream, and may be newer than a stale one.
        let mut issue = data::clean_issue(*issue);
        issue.body = None;
        if model.data.issues.contains_key(id) && model.link != crate::model::Link::Live {
            model.data.issues.insert(id.clone(), issue);
            model.unsorted = true;
        }
    }
}

fn moved(model: &mut Model, id: IssueId, result: Result<Option<String>, String>) {
    let number = model.data.issues.get(&id).map_or_else(|| id.to_string(), |i| format!("#{}", i.number));
    match result {
        Ok(note) => {
            // The change may have come before the answer and taken the pending move with it.
            let done = model.moves.get_mut(&id).map(|m| {
                m.accepted = true;
                (m.from, m.to, m.undoes)
            });
            if let Some((from, to, undoes)) = done {
                if model.data.issues.get(&id).is_some_and(|i| i.column == to) {
                    model.moves.remove(&id);
                }
                let undo = if undoes {
                    String::new()
                } else {
                    undo::push(model, Undo::Move { issue: id, from, to });
                    format!("; {} undoes", model.keys.name(Action::Undo))
                };
                let note = note.map(|n| format!(" ({})", text::line(&n))).unwrap_or_default();
                model.say(format!("{number} moved to {}{undo}{note}", column_title(to)));
            }
        }
        Err(why) => {
            let why = text::line(&why);
            let back = model.moves.remove(&id);
            let to = back.map_or("there", |m| column_title(m.to));
            model.complain(format!("{number} stays: moving it to {to} was refused: {why}"));
            model.refused.insert(id, why);
        }
    }
    model.unsorted = true;
}
