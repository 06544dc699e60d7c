//! What is shown of a run: its log, its events, its diff, its phases, and moving about in them.

use dispatch_shared::id::RunId;

use crate::effect::Effect;
use crate::keymap::Action;
use crate::model::Model;
use crate::model::log::{Kind, Landmark, LogPane};
use crate::model::overlay::Overlay;

/// Shows something of a run, in place of what is shown of one already.
pub(super) fn open(model: &mut Model, kind: Kind, run: RunId) -> Vec<Effect> {
    let mut pane = LogPane::new(kind, run);
    let mut effects = Vec::new();
    if let Some(Overlay::Log(before)) = model.overlays.last() {
        if before.kind == kind && before.run == run {
            return effects;
        }
        pane.wrap = before.wrap;
        pane.shown = before.shown;
        if before.kind.streams() {
            effects.push(Effect::CloseLog);
        }
        model.overlays.pop();
    }
    effects.extend(pane.load());
    model.overlays.push(Overlay::Log(Box::new(pane)));
    effects
}

/// A key of the log.
pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(Overlay::Log(pane)) = model.overlays.last_mut() else { return Vec::new() };
    match action {
        Action::Follow => return pane.follow().into_iter().collect(),
        Action::Wrap => pane.wrap = !pane.wrap,
        Action::Times => {
            pane.times = !pane.times;
            if pane.times && pane.kind == Kind::Log && pane.held_lines().all(|(_, l)| l.time.is_none()) {
                let events = model.keys.name(Action::Events);
                model.say(format!(
                    "this program's output tells no times; {events} shows its events, which have them"
                ));
            }
        }
        Action::Level => pane.shown = pane.shown.next(),
        Action::NextMatch | Action::PrevMatch => {
            let forward = action == Action::NextMatch;
            // Above the first match that is held lies what is not.
            let first = !forward && pane.tally().0 == 1;
            if first && let Some(effect) = pane.search_before() {
                model.say("searching what is not loaded…");
                return vec![effect];
            }
            if !pane.go(forward) {
                return none(model);
            }
        }
        Action::NextFile | Action::PrevFile => {
            return landmark(model, Landmark::File, action == Action::NextFile);
        }
        Action::NextRun | Action::PrevRun => {
            let (kind, run) = (pane.kind, pane.run);
            return sibling(model, kind, run, action == Action::NextRun);
        }
        _ => {}
    }
    Vec::new()
}

/// Searches what is loaded, then what is not.
pub(super) fn search(model: &mut Model, needle: String) -> Vec<Effect> {
    let Some(Overlay::Log(pane)) = model.overlays.last_mut() else { return Vec::new() };
    if pane.search(needle) { Vec::new() } else { none(model) }
}

/// What is loaded has no match: the search goes on in what is not, if there is any.
fn none(model: &mut Model) -> Vec<Effect> {
    let Some(Overlay::Log(pane)) = model.overlays.last_mut() else { return Vec::new() };
    if pane.needle.is_empty() {
        let search = model.keys.name(Action::Search);
        model.complain(format!("nothing is searched for; {search} searches"));
        return Vec::new();
    }
    match pane.search_before() {
        Some(effect) => {
            model.say("searching what is not loaded…");
            vec![effect]
        }
        None => {
            let needle = crate::model::text::line(&pane.needle);
            model.complain(format!("`{needle}` is not in the lines that are loaded"));
            Vec::new()
        }
    }
}

/// The next error, hunk or file, or the one before.
pub(super) fn landmark(model: &mut Model, landmark: Landmark, forward: bool) -> Vec<Effect> {
    let Some(Overlay::Log(pane)) = model.overlays.last_mut() else { return Vec::new() };
    if !pane.go_landmark(landmark, forward) {
        let what = match (landmark, pane.kind) {
            (Landmark::File, Kind::Diff) => "file",
            (Landmark::File, _) => return Vec::new(),
            (Landmark::Spot, Kind::Diff) => "hunk",
            (Landmark::Spot, _) => "error",
        };
        model.complain(format!("no further {what} here"));
    }
    Vec::new()
}

/// The same of the run after this one, or before it, in the order of the view of runs; round the ends.
fn sibling(model: &mut Model, kind: Kind, run: RunId, forward: bool) -> Vec<Effect> {
    let rows = &model.runs.rows;
    let count = rows.len();
    let Some(at) = rows.iter().position(|r| *r == run).filter(|_| count > 1) else {
        model.complain("there is no other run");
        return Vec::new();
    };
    let next = rows[(at + if forward { 1 } else { count - 1 }) % count];
    model.runs.cursor = Some(next);
    open(model, kind, next)
}
