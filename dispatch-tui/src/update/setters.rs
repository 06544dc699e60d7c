//! Verbs that set something: comments, notes, runs by hand, and what holds for a repository or for the whole.

use super::verbs::{Answer, Plan, Target, card_of, writes};
use crate::effect::{Effect, Write};
use crate::keymap::Action;
use crate::model::Model;
use crate::model::overlay::{Confirm, Input, Overlay, PickKind, Purpose};

/// A text for this purpose, with what was typed and not sent before.
pub(super) fn draft(model: &Model, purpose: Purpose) -> Overlay {
    let kept = purpose.draft().and_then(|key| model.drafts.get(&key)).cloned().unwrap_or_default();
    Overlay::Input(Input::new(purpose, kept))
}

pub(super) fn plan(model: &Model, action: Action, target: &Target) -> Answer<Plan> {
    let card = || card_of(model, target);
    let repo = || {
        let name = target.repo.as_ref().ok_or("no repository is chosen")?;
        model.data.repos.get(name).ok_or_else(|| format!("{name} is not tracked"))
    };
    let write = |write: Write| Ok(Plan::Do(Effect::Write { write, undoes: false }, None));
    match action {
        Action::Copy | Action::Options | Action::Theme => {}
        _ => writes(model)?,
    }
    let open = |overlay| Ok(Plan::Open(overlay, Vec::new()));
    match action {
        Action::Comment => open(draft(model, Purpose::Comment(card()?.issue_id.clone()))),
        Action::Note => open(draft(model, Purpose::Note(card()?.issue_id.clone()))),
        Action::Block => open(draft(model, Purpose::Block(card()?.issue_id.clone()))),
        Action::Start => {
            let card = card()?;
            super::verbs::may_claim(model, card)?;
            super::picks::open(model, PickKind::Start, vec![card.issue_id.clone()])
        }
        Action::ResetReady => write(Write::ResetReady(card()?.issue_id.clone())),
        Action::Refresh => write(Write::Refresh(card()?.issue_id.clone())),
        Action::KillAll => {
            let live: Vec<_> =
                model.data.runs.values().filter(|r| !r.ended).map(|r| (r.id, r.attempt)).collect();
            match live.is_empty() {
                true => Err("nothing runs".to_owned()),
                false => open(Overlay::Input(Input::new(Purpose::KillAll(live), String::new()))),
            }
        }
        Action::Resume => match model.data.control.as_ref().map(|c| c.paused_pools.as_slice()) {
            None | Some([]) => Err("no program is paused".to_owned()),
            Some([one]) => Ok(Plan::Do(Effect::Resume(one.program.clone()), None)),
            Some(_) => super::picks::open(model, PickKind::Resume, Vec::new()),
        },
        Action::Track => open(Overlay::Input(Input::new(Purpose::Track, String::new()))),
        Action::Untrack => open(Overlay::Confirm(Confirm::Untrack { repo: repo()?.full_name.clone() })),
        Action::Runner => {
            let repo = repo()?;
            let name = repo.full_name.clone();
            if repo.runner_enabled {
                write(Write::Runner { repo: name, on: false })
            } else {
                open(Overlay::Confirm(Confirm::RunnerOn { repo: name }))
            }
        }
        Action::WipLimit => {
            let repo = repo()?;
            let now = repo.wip_limit.to_string();
            open(Overlay::Input(Input::new(Purpose::WipLimit(repo.full_name.clone()), now)))
        }
        other => Err(format!("{other:?} is no verb")),
    }
}
