//! What `z` takes back, and whether it still may: not once somebody else wrote since.

use dispatch_shared::id::IssueId;
use dispatch_shared::issue::Status;
use dispatch_shared::protocol::issues::Issue;

use super::verbs::{Plan, may_move};
use crate::effect::{Effect, Write};
use crate::model::Model;

/// The most changes that can be taken back.
const DEPTH: usize = 50;

/// Something that was done here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    Move { issue: IssueId, from: Status, to: Status },
    Claim { issue: IssueId, agent: String },
    Release { issue: IssueId, agent: String },
    Hide(String),
    Write(Write),
}

/// Remembers what was done.
pub(super) fn push(model: &mut Model, undo: Undo) {
    if model.undo.len() >= DEPTH {
        model.undo.remove(0);
    }
    model.undo.push(undo);
}

/// The change that takes this one back; none if it cannot be.
pub(crate) fn inverse(write: &Write) -> Option<Write> {
    Some(match write.clone() {
        Write::Priority { issue, off, on } => {
            Write::Priority { issue, on: off.into_iter().next(), off: on.into_iter().collect() }
        }
        Write::Label { issue, label, there } => Write::Label { issue, label, there: !there },
        Write::Lane { issue, from, to } => Write::Lane { issue, from: to, to: from },
        Write::Freeze(frozen) => Write::Freeze(!frozen),
        Write::Runner { repo, on: true } => Write::Runner { repo, on: false },
        Write::WipLimit { repo, from, to } => Write::WipLimit { repo, from: to, to: from },
        _ => return None,
    })
}

/// Whether the card has the label, as the forge compares them.
pub(super) fn has(card: &Issue, label: &str) -> bool {
    card.labels.iter().any(|l| l.eq_ignore_ascii_case(label))
}

/// What takes the last change back, or why that is not possible.
pub(super) fn plan(model: &Model) -> Result<Plan, String> {
    let undo = model.undo.last().ok_or("nothing to undo")?;
    let card = |issue: &IssueId| model.data.issues.get(issue).ok_or("that card is not on the board any more");
    let since = |card: &Issue, what: &str| format!("#{} was {what} by somebody else since", card.number);
    match undo {
        Undo::Move { issue, from, to } => {
            let found = card(issue)?;
            if model.column_of(issue) != Some(*to) {
                return Err(since(found, "moved"));
            }
            may_move(model, found, *from)?;
            Ok(Plan::Shift { issue: issue.clone(), to: *from, along: true, undoes: true })
        }
        Undo::Claim { issue, agent } => {
            let found = card(issue)?;
            let claim = found.claim.as_ref().filter(|c| c.agent_name.as_str() == agent);
            let claim = claim.ok_or_else(|| since(found, "released or claimed"))?;
            let release = Effect::Release {
                issue: issue.clone(),
                agent: agent.clone(),
                claim: claim.id,
                lapsed: false,
            };
            Ok(Plan::Do(release, Some(format!("taking the claim for {agent} back…"))))
        }
        Undo::Release { issue, agent } => {
            let found = card(issue)?;
            if let Some(claim) = &found.claim {
                return Err(since(found, &format!("claimed for {}", claim.agent_name)));
            }
            let claim = Effect::Claim { issue: issue.clone(), agent: agent.clone(), force: false };
            Ok(Plan::Do(claim, Some(format!("claiming for {agent} again…"))))
        }
        Undo::Hide(id) => Ok(Plan::Show(id.clone())),
        Undo::Write(write) => {
            stands(model, write)?;
            let back = inverse(write).ok_or("that cannot be taken back")?;
            let said = format!("taking back: {}…", words(model, write));
            Ok(Plan::Do(Effect::Write { write: back, undoes: true }, Some(said)))
        }
    }
}

/// Whether what was written is still so.
fn stands(model: &Model, write: &Write) -> Result<(), String> {
    let card = |issue: &IssueId| model.data.issues.get(issue).ok_or("that card is not on the board any more");
    let of = |card: &Issue, what: &str| format!("#{}: {what} was changed", card.number);
    let (so, what) = match write {
        Write::Priority { issue, off, on } => {
            let found = card(issue)?;
            let so = on.iter().all(|l| has(found, l)) && !off.iter().any(|l| has(found, l));
            (so, of(found, "the priority"))
        }
        Write::Label { issue, label, there } => {
            let found = card(issue)?;
            (has(found, label) == *there, of(found, label))
        }
        Write::Lane { issue, to, .. } => {
            let found = card(issue)?;
            (found.lane == *to, of(found, "the lane"))
        }
        Write::Freeze(frozen) => {
            let so = model.data.control.as_ref().is_none_or(|c| c.frozen == *frozen);
            (so, "the freeze was changed".to_owned())
        }
        Write::Runner { repo, on } => {
            let so = model.data.repos.get(repo).is_some_and(|r| r.runner_enabled == *on);
            (so, format!("the runner of {repo} was switched"))
        }
        Write::WipLimit { repo, to, .. } => {
            let so = model.data.repos.get(repo).is_some_and(|r| r.wip_limit == *to);
            (so, format!("the limit of {repo} was changed"))
        }
        Write::Lanes { repo, to, .. } => {
            let so = model.data.repos.get(repo).is_some_and(|r| r.lanes == *to);
            (so, format!("the lanes of {repo} were changed"))
        }
        _ => return Ok(()),
    };
    if so { Ok(()) } else { Err(format!("{what} by somebody else since")) }
}

/// A change in a few words: `#390 priority/p1`.
pub(crate) fn words(model: &Model, write: &Write) -> String {
    let card =
        |id: &IssueId| model.data.issues.get(id).map_or_else(|| id.to_string(), |i| format!("#{}", i.number));
    match write {
        Write::Priority { issue, on: Some(on), .. } => format!("{} {on}", card(issue)),
        Write::Priority { issue, on: None, .. } => format!("{} without a priority", card(issue)),
        Write::Label { issue, label, there: true } => format!("label {label} on {}", card(issue)),
        Write::Label { issue, label, there: false } => format!("label {label} off {}", card(issue)),
        Write::Lane { issue, to, .. } => format!("{} in lane {to}", card(issue)),
        Write::Comment { issue, .. } => format!("comment on {}", card(issue)),
        Write::Note { issue, .. } => format!("{} is split", card(issue)),
        Write::Block { issue, .. } => format!("{} is blocked", card(issue)),
        Write::ResetReady(issue) => format!("{} made ready", card(issue)),
        Write::Refresh(issue) => format!("{} read anew", card(issue)),
        Write::Rerun { issue, .. } => format!("CI of {}", card(issue)),
        Write::Start { issue, .. } => format!("run on {}", card(issue)),
        Write::Freeze(true) => "freeze".to_owned(),
        Write::Freeze(false) => "thaw".to_owned(),
        Write::Runner { repo, on } => format!("runner {} for {repo}", if *on { "on" } else { "off" }),
        Write::WipLimit { repo, to: 0, .. } => format!("no limit for {repo}"),
        Write::WipLimit { repo, to, .. } => format!("limit {to} for {repo}"),
        Write::Lanes { repo, to, .. } if to.is_empty() => format!("every lane for {repo}"),
        Write::Lanes { repo, to, .. } => format!("lanes {} for {repo}", to.join(", ")),
        Write::Untrack(repo) => format!("untrack {repo}"),
    }
}
