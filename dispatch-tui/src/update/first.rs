//! The first run: from nothing to a board with cards, one question after the other.

use crate::effect::{Effect, Hidden};
use crate::model::overlay::{Confirm, Input, Overlay, Purpose};
use crate::model::{Link, Model, View, text};
use crate::update::answers::Tracked;

/// Enter on an empty board: starts the daemon, or asks what to track. `None` if the board is not empty.
pub(super) fn enter(model: &mut Model) -> Option<Vec<Effect>> {
    if model.view != View::Board || !model.overlays.is_empty() {
        return None;
    }
    if !model.data.seen {
        let gone = matches!(model.link, Link::Connecting(Some(_)));
        return Some(if gone {
            model.say("starting the daemon…");
            vec![Effect::StartDaemon]
        } else {
            Vec::new()
        });
    }
    (model.data.repos.is_empty() && model.data.issues.is_empty()).then(|| {
        model.overlays.push(Overlay::Input(Input::new(Purpose::Track, String::new())));
        Vec::new()
    })
}

/// What is to be tracked was typed.
pub(super) fn track(model: &mut Model, what: String) -> Result<Vec<Effect>, String> {
    if what.is_empty() {
        return Err("a path like ~/src/thing, or a name like acme/api; Esc leaves it".to_owned());
    }
    model.overlays.pop();
    model.say(format!("looking at {}…", text::line(&what)));
    Ok(vec![Effect::Track { what, token: None }])
}

/// GitHub's token was typed.
pub(super) fn token(model: &mut Model, what: String, token: String) -> Result<Vec<Effect>, String> {
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err("that is no token; Esc leaves it".to_owned());
    }
    model.overlays.pop();
    model.say("giving the token to the daemon, which keeps it…");
    Ok(vec![Effect::Track { what, token: Some(Hidden(token)) }])
}

/// What became of it.
pub(super) fn tracked(model: &mut Model, what: String, result: Result<Tracked, String>) {
    match result {
        Err(why) => {
            model.complain(text::line(&why));
            // What was typed is corrected, not typed again.
            model.overlays.push(Overlay::Input(Input::new(Purpose::Track, what)));
        }
        Ok(Tracked::NeedsToken { note }) => {
            if let Some(note) = note {
                model.complain(text::line(&note));
            }
            model.overlays.push(Overlay::Input(Input::new(Purpose::Token(what), String::new())));
        }
        Ok(Tracked::Done { repo, missing, labels }) => {
            let missing: Vec<String> = missing.iter().map(|m| text::line(m)).collect();
            let labels: Vec<String> = labels.iter().map(|l| text::line(l)).collect();
            if labels.is_empty() && missing.is_empty() {
                model.say(format!("{repo} is tracked; move a card to Ready and it is handed out"));
            } else {
                model.overlays.push(Overlay::Confirm(Confirm::Labels { repo, labels, missing }));
            }
        }
    }
}
