//! What the event stream brings: state, changes, and word of the connection itself.

use dispatch_shared::protocol::control::Problem;
use dispatch_shared::protocol::events::{Change, Progress, Snapshot};

use super::bulk;
use crate::effect::Effect;
use crate::model::overlay::{Confirm, Input, Overlay, Purpose};
use crate::model::{Link, Model};

/// A message of the link.
#[derive(Debug)]
pub(crate) enum News {
    /// The state to start from.
    Snapshot(Box<Snapshot>),
    /// What changed since.
    Change(Box<Change>),
    /// Long work under way.
    Progress(Progress),
    /// The stream goes on where it broke off.
    Resumed,
    /// The connection is lost, or could not be had.
    Lost { cause: String },
}

pub(super) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let mut effects = Vec::new();
    match news {
        News::Snapshot(snapshot) => {
            let first = !model.data.seen;
            model.data.replace(*snapshot);
            model.moves.retain(|_, m| !m.accepted);
            effects.extend(live(model));
            effects.extend(tell(model, !first));
            changed(model);
            model.runs_paged = 0;
            super::loaded::all_old(model);
            if first {
                first_look(model);
            }
        }
        News::Change(change) => {
            for issue in &change.issues {
                let id = &issue.issue_id;
                model.refused.remove(id);
                if model.moves.get(id).is_some_and(|m| m.accepted) {
                    model.moves.remove(id);
                }
            }
            effects.extend(resume_logs(model, |run| change.runs.iter().any(|r| r.id == run)));
            let problems = change.problems.is_some();
            super::loaded::changed(model, &change);
            model.data.amend(*change);
            effects.extend(live(model));
            if problems {
                effects.extend(tell(model, true));
            }
            changed(model);
        }
        News::Progress(progress) => {
            let now = model.now;
            model.data.note(progress, now);
        }
        News::Resumed => effects.extend(live(model)),
        News::Lost { cause } => {
            model.link = match &model.link {
                Link::Live => Link::Stale { since: model.now, cause },
                Link::Stale { since, .. } => Link::Stale { since: *since, cause },
                Link::Connecting(_) => Link::Connecting(Some(cause)),
            };
        }
    }
    effects
}

/// What needs a person and was not there before is told, once; all of it in one sentence. Nobody is told of what they
/// look at.
fn tell(model: &mut Model, known: bool) -> Vec<Effect> {
    let fresh: Vec<&Problem> = model
        .data
        .problems
        .iter()
        .filter(|p| !model.told.contains(&p.id) && !model.hidden.contains(&p.id))
        .collect();
    let body = fresh.first().map(|p| format!("{}: {}", p.subject, p.text));
    let more = fresh.len().saturating_sub(1);
    let ids: Vec<String> = fresh.iter().map(|p| p.id.clone()).collect();
    // What is over may come again, and is news then.
    let stands = |id: &String| model.data.problems.iter().any(|p| p.id == *id);
    model.told.retain(stands);
    model.told.extend(ids);
    match body {
        Some(body) if known && model.pointer.focused != Some(true) => {
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let title = "dispatch: something needs you".to_owned();
            vec![Effect::Notify { title, body: format!("{body}{more}") }]
        }
        _ => Vec::new(),
    }
}

/// The connection is there: logs that broke off with it go on.
fn live(model: &mut Model) -> Vec<Effect> {
    if std::mem::replace(&mut model.link, Link::Live) == Link::Live {
        return Vec::new();
    }
    super::loaded::all_old(model);
    resume_logs(model, |_| true)
}

fn resume_logs(model: &mut Model, which: impl Fn(dispatch_shared::id::RunId) -> bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    for overlay in &mut model.overlays {
        if let Overlay::Log(pane) = overlay
            && pane.broken
            && which(pane.run)
        {
            pane.broken = false;
            pane.ended = None;
            effects.push(pane.resume());
        }
    }
    effects
}

/// The first state is here: the cursor goes to what asks for the operator, else to where there are cards.
fn first_look(model: &mut Model) {
    model.arrange();
    let asking = model.data.problems.iter().filter_map(|p| p.issue_id.clone()).next();
    if let Some(id) = asking
        && let Some(at) = model.columns.iter().position(|c| c.rows.contains(&id))
    {
        model.column = at;
        model.columns[at].choose(&id);
    } else if model.columns[model.column].rows.is_empty()
        && let Some(at) = model.columns.iter().position(|c| !c.rows.is_empty())
    {
        model.column = at;
    }
}

/// The state changed: rows want sorting, and questions may be about what is no more.
fn changed(model: &mut Model) {
    model.unsorted = true;
    close_stale(model);
}

/// A question about something that is not so any more closes, and says so.
pub(super) fn close_stale(model: &mut Model) {
    let mut overlays = std::mem::take(&mut model.overlays);
    let data = &model.data;
    let left = "the card left the board";
    let mut closed = None;
    overlays.retain(|overlay| {
        let why = match overlay {
            Overlay::Confirm(Confirm::Kill { run, attempt }) => match data.runs.get(run) {
                Some(r) if r.ended => Some(format!("{run} ended meanwhile: {}", r.state)),
                Some(r) if r.attempt != *attempt => Some(format!("{run} is another attempt now")),
                Some(_) => None,
                None => Some(format!("{run} is gone")),
            },
            Overlay::Confirm(Confirm::Release { issue, claim, .. }) => {
                let held = data.issues.get(issue).and_then(|i| i.claim.as_ref());
                (held.map(|c| c.id) != Some(*claim)).then(|| "the claim changed meanwhile".to_owned())
            }
            Overlay::Confirm(Confirm::ForceClaim { issue, .. }) => {
                (!data.issues.contains_key(issue)).then(|| left.to_owned())
            }
            Overlay::Confirm(Confirm::Untrack { repo } | Confirm::RunnerOn { repo }) => {
                (!data.repos.contains_key(repo)).then(|| format!("{repo} is not tracked any more"))
            }
            Overlay::Bulk(bulk) => bulk.steps.iter().find_map(|(_, step)| bulk::stale(model, step)),
            Overlay::Pick(pick) if !pick.issues.is_empty() => {
                let gone = pick.issues.iter().all(|id| !data.issues.contains_key(id));
                gone.then(|| left.to_owned())
            }
            Overlay::Input(Input { purpose: Purpose::KillAll(runs), .. }) => {
                let live: Vec<_> =
                    data.runs.values().filter(|r| !r.ended).map(|r| (r.id, r.attempt)).collect();
                (live != *runs).then(|| format!("{} runs live now", live.len()))
            }
            other => super::acts::outdated(data, other),
        };
        let stays = why.is_none();
        closed = closed.take().or(why);
        stays
    });
    model.overlays = overlays;
    if let Some(why) = closed {
        model.complain(format!("{why}; nothing was done"));
    }
}
