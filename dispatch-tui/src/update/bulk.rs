//! One deed on many things: which of them it can be done to, which not and why; and the question that comes before.

use std::collections::BTreeSet;

use dispatch_shared::id::IssueId;
use dispatch_shared::issue::{IssueState, Priority, Status};
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::protocol::issues::Issue;

use super::undo::has;
use super::verbs::{self, Plan, Target, column_beside, may_move};
use crate::effect::{Effect, Step, Write};
use crate::keymap::Action;
use crate::model::card::column_title;
use crate::model::marks::{self, Thing};
use crate::model::overlay::{Bulk, Input, Overlay, Pick, PickKind, Purpose};
use crate::model::{Link, Model};

/// What can be done to one thing as to many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Move(Status),
    /// One column to the left, or to the right.
    Shift(Action),
    Priority(Option<Priority>),
    Lane(String),
    Label {
        label: String,
        there: bool,
    },
    Claim(String),
    Release,
    Retry,
    Kill,
    Rerun,
    Sync,
    Hide,
}

impl Deed {
    fn words(&self) -> String {
        match self {
            Deed::Move(to) => format!("Move to {}", column_title(*to)),
            Deed::Shift(Action::ShiftLeft) => "Move one column to the left".to_owned(),
            Deed::Shift(_) => "Move one column to the right".to_owned(),
            Deed::Priority(Some(p)) => format!("Set priority {p}"),
            Deed::Priority(None) => "Take the priority off".to_owned(),
            Deed::Lane(lane) => format!("Put into lane {lane}"),
            Deed::Label { label, there: true } => format!("Put label {label} on"),
            Deed::Label { label, there: false } => format!("Take label {label} off"),
            Deed::Claim(agent) => format!("Claim for {agent}"),
            Deed::Release => "Take the claim away".to_owned(),
            Deed::Retry => "Retry".to_owned(),
            Deed::Kill => "Kill".to_owned(),
            Deed::Rerun => "Re-run CI".to_owned(),
            Deed::Sync => "Sync".to_owned(),
            Deed::Hide => "Hide".to_owned(),
        }
    }

    /// The deed that a verb is, if nothing more has to be asked for.
    fn of(action: Action) -> Option<Deed> {
        Some(match action {
            Action::ShiftLeft | Action::ShiftRight => Deed::Shift(action),
            Action::Release => Deed::Release,
            Action::Retry => Deed::Retry,
            Action::Kill => Deed::Kill,
            Action::Rerun => Deed::Rerun,
            Action::Sync => Deed::Sync,
            Action::Hide => Deed::Hide,
            _ => return None,
        })
    }
}

/// The step that does the deed to one thing, or why it cannot be done.
pub(crate) fn step(model: &Model, target: &Target, deed: &Deed) -> Result<Step, String> {
    if model.link != Link::Live && *deed != Deed::Hide {
        return Err("the daemon cannot be reached now".to_owned());
    }
    let card = || -> Result<&Issue, String> {
        let id = target.issue.as_ref().ok_or("has no card")?;
        model.data.issues.get(id).ok_or_else(|| "left the board".to_owned())
    };
    let write = |write| Ok(Step::Call(Effect::Write { write, undoes: false }));
    let shift = |card: &Issue, to: Status| {
        may_move(model, card, to)?;
        let from = model.column_of(&card.issue_id).unwrap_or(card.column);
        Ok(Step::Shift { issue: card.issue_id.clone(), from, to })
    };
    match deed {
        Deed::Move(to) => shift(card()?, *to),
        Deed::Shift(action) => {
            let card = card()?;
            shift(card, column_beside(model, card, *action)?)
        }
        Deed::Priority(priority) => {
            let card = card()?;
            let on = priority.map(Priority::label);
            let is = |l: &&String| Priority::read(l).is_some() && l.to_lowercase().starts_with("priority/");
            let mut off: Vec<String> = card.labels.iter().filter(is).cloned().collect();
            off.retain(|l| !on.as_ref().is_some_and(|on| on.eq_ignore_ascii_case(l)));
            let there = on.as_ref().is_none_or(|on| has(card, on));
            match (there && off.is_empty(), &on) {
                (true, Some(_)) => Err("has it already".to_owned()),
                (true, None) => Err("has none".to_owned()),
                _ => write(Write::Priority { issue: card.issue_id.clone(), off, on }),
            }
        }
        Deed::Lane(lane) => {
            let card = card()?;
            match card.lane == *lane {
                true => Err("is there already".to_owned()),
                false => write(Write::Lane {
                    issue: card.issue_id.clone(),
                    from: card.lane.clone(),
                    to: lane.clone(),
                }),
            }
        }
        Deed::Label { label, there } => {
            let card = card()?;
            match (has(card, label), there) {
                (true, true) => Err("has it already".to_owned()),
                (false, false) => Err("does not have it".to_owned()),
                _ => {
                    write(Write::Label { issue: card.issue_id.clone(), label: label.clone(), there: *there })
                }
            }
        }
        Deed::Claim(agent) => {
            let card = card()?;
            verbs::may_claim(model, card)?;
            Ok(Step::Call(Effect::Claim { issue: card.issue_id.clone(), agent: agent.clone(), force: false }))
        }
        Deed::Release => {
            let card = card()?;
            let claim = card.claim.as_ref().ok_or_else(|| format!("nobody holds #{}", card.number))?;
            Ok(Step::Call(Effect::Release {
                issue: card.issue_id.clone(),
                agent: claim.agent_name.to_string(),
                claim: claim.id,
                lapsed: claim.lease_expires_at <= model.now,
            }))
        }
        Deed::Retry => retry(model, target),
        Deed::Kill => {
            let run = verbs::may_kill(model, target)?;
            Ok(Step::Call(Effect::Kill { run: run.id, attempt: run.attempt, now: false }))
        }
        Deed::Rerun => {
            let card = card()?;
            let pull =
                card.linked_pr.as_ref().ok_or_else(|| format!("#{} has no pull request", card.number))?;
            if pull.checks.failed == 0 {
                return Err(format!("no check of pull request {} failed", pull.number));
            }
            let (issue, repo, sha) =
                (card.issue_id.clone(), card.repo_full_name.clone(), pull.head_sha.clone());
            write(Write::Rerun { issue, repo, sha })
        }
        Deed::Sync => Ok(Step::Call(Effect::Sync(Some(target.repo.clone().ok_or("has no repository")?)))),
        Deed::Hide => {
            target.problem.clone().map(Step::Hide).ok_or_else(|| "only problems can be hidden".to_owned())
        }
    }
}

fn retry(model: &Model, target: &Target) -> Result<Step, String> {
    if let Some(pool) = target.problem.as_ref().and_then(|id| model.problem(id))
        && pool.kind == ProblemKind::Pool
    {
        return Ok(Step::Call(Effect::Resume(pool.subject.clone())));
    }
    let run = verbs::run_of(model, target)?;
    if !run.ended {
        return Err(format!("{} still runs; {} kills it", run.id, model.keys.name(Action::Kill)));
    }
    if run.state == "succeeded" {
        return Err(format!("{} succeeded", run.id));
    }
    let card = target.issue.as_ref().and_then(|id| model.data.issues.get(id));
    if let Some(claim) = card.and_then(|c| c.claim.as_ref()) {
        return Err(format!("{} holds the card now", claim.agent_name));
    }
    Ok(Step::Call(Effect::Retry(run.id)))
}

/// What a marked thing is about.
fn target_of(model: &Model, thing: &Thing) -> Target {
    match thing {
        Thing::Card(id) => Target::of_issue(model, id),
        Thing::Run(id) => Target::of_run(model, *id),
        Thing::Problem(id) => Target::of_problem(model, id),
        Thing::Repo(repo) => Target { repo: Some(repo.clone()), ..Target::default() },
        Thing::Row(key) => {
            let row = model.queue_rows.iter().find(|r| r.key == *key);
            row.and_then(|r| r.issue.as_ref()).map(|id| Target::of_issue(model, id)).unwrap_or_default()
        }
    }
}

/// What a thing is called: `#390 Round invoice totals`.
pub(crate) fn name(model: &Model, target: &Target) -> String {
    let run = target.run.and_then(|id| model.data.runs.get(&id));
    let card = target.issue.as_ref().and_then(|id| model.data.issues.get(id));
    let problem = target.problem.as_ref().and_then(|id| model.problem(id));
    match (card, problem, run, &target.repo) {
        (Some(card), ..) => format!("#{} {}", card.number, card.title),
        (None, Some(problem), ..) => problem.subject.clone(),
        (None, None, Some(run), _) => format!("{} {}", run.id, run.subject),
        (None, None, None, Some(repo)) => repo.to_string(),
        _ => "a thing that is gone".to_owned(),
    }
}

/// The marked things that verbs take, if any are marked and nothing covers them.
pub(crate) fn targets(model: &Model) -> Vec<Target> {
    let covered = model.overlays.iter().any(|o| matches!(o, Overlay::Card(_) | Overlay::Log(_)));
    if covered {
        return Vec::new();
    }
    marks::marked(model).iter().map(|thing| target_of(model, thing)).collect()
}

/// What a verb does to everything that is marked; none if it looks at one thing alone.
pub(crate) fn plan(model: &Model, action: Action) -> Option<Result<Plan, String>> {
    let targets = targets(model);
    if targets.is_empty() {
        return None;
    }
    let mut issues: Vec<IssueId> = targets.iter().filter_map(|t| t.issue.clone()).collect();
    issues.dedup();
    let about_cards =
        matches!(action, Action::Move | Action::Priority | Action::Labels | Action::Lane | Action::Claim);
    if about_cards && issues.is_empty() {
        return Some(Err("nothing that is marked has a card".to_owned()));
    }
    let pick = |kind| Some(super::picks::open(model, kind, issues.clone()));
    match action {
        Action::Move => pick(PickKind::Move),
        Action::Priority => pick(PickKind::Priority),
        Action::Labels => pick(PickKind::Labels),
        Action::Lane => pick(PickKind::Lane),
        Action::Claim => {
            let input = Input::new(Purpose::Claim(issues), String::new());
            Some(Ok(Plan::Open(Overlay::Input(input), Vec::new())))
        }
        Action::Copy => {
            let names = targets.iter().map(|t| verbs::subject(model, t)).collect::<Vec<_>>().join("\n");
            let said = format!("copied {} names", targets.len());
            Some(Ok(Plan::Do(Effect::Copy(names), Some(said))))
        }
        Action::Answer | Action::Comment | Action::Start | Action::Note | Action::Block => {
            Some(Err("takes one card at a time; Esc lets the marks go".to_owned()))
        }
        other => Deed::of(other).map(|deed| ask(model, &targets, &deed)),
    }
}

/// How many marked things are looked at to say whether a verb is possible at all.
const LOOK: usize = 50;

/// As [`plan`], but only whether there is anything to do, told from the first of very many: for what is drawn.
pub(crate) fn why_not(model: &Model, action: Action) -> Option<Result<(), String>> {
    let asks_more = matches!(
        action,
        Action::Move | Action::Priority | Action::Labels | Action::Lane | Action::Claim | Action::Copy
    );
    let deed = match Deed::of(action) {
        None if asks_more && !targets(model).is_empty() => return Some(Ok(())),
        Some(deed) if model.marks.any(model.view) => deed,
        _ => return plan(model, action).map(|planned| planned.map(drop)),
    };
    let mut targets = targets(model);
    if targets.is_empty() {
        return None;
    }
    let count = targets.len();
    targets.truncate(LOOK);
    let mut refused = None;
    for target in &targets {
        match step(model, target, &deed) {
            Ok(_) => return Some(Ok(())),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    Some(if count > LOOK { Ok(()) } else { Err(refused.unwrap_or_default()) })
}

/// The question before a deed on many things; the sentence if it can be done to none of them.
fn ask(model: &Model, targets: &[Target], deed: &Deed) -> Result<Plan, String> {
    let mut steps: Vec<(String, Step)> = Vec::new();
    let mut excluded: Vec<(String, String)> = Vec::new();
    // Two problems may be about one run, and many cards about one repository.
    let mut seen = BTreeSet::new();
    for target in targets {
        let name = name(model, target);
        match step(model, target, deed) {
            Ok(step) if !seen.insert(format!("{step:?}")) => {}
            Ok(step) => steps.push((name, step)),
            Err(why) => excluded.push((name, why)),
        }
    }
    match excluded.first() {
        Some((name, why)) if steps.is_empty() => Err(format!("none of {}: {name}: {why}", targets.len())),
        None if steps.is_empty() => Err("there is nothing left to do it to".to_owned()),
        _ => Ok(Plan::Open(Overlay::Bulk(Bulk { what: deed.words(), steps, excluded }), Vec::new())),
    }
}

/// Does the deed to one card, or asks before it is done to several.
pub(super) fn commit(model: &mut Model, issues: &[IssueId], deed: &Deed) -> Vec<Effect> {
    let targets: Vec<Target> = issues.iter().map(|id| Target::of_issue(model, id)).collect();
    let planned = match targets.as_slice() {
        [one] => step(model, one, deed).map(|step| Plan::Steps(vec![step])),
        many => ask(model, many, deed),
    };
    match planned {
        Ok(plan) => verbs::carry_out(model, plan),
        Err(why) => {
            model.complain(format!("{}: {why}", deed.words()));
            Vec::new()
        }
    }
}

/// Why a step would not do any more what was asked about.
pub(super) fn stale(model: &Model, step: &Step) -> Option<String> {
    let gone =
        |id: &IssueId| (!model.data.issues.contains_key(id)).then(|| "a card left the board".to_owned());
    match step {
        Step::Call(Effect::Kill { run, attempt, .. }) => match model.data.runs.get(run) {
            Some(r) if r.ended => Some(format!("{run} ended meanwhile: {}", r.state)),
            Some(r) if r.attempt != *attempt => Some(format!("{run} is another attempt now")),
            Some(_) => None,
            None => Some(format!("{run} is gone")),
        },
        Step::Call(Effect::Release { issue, claim, .. }) => {
            let held = model.data.issues.get(issue).and_then(|i| i.claim.as_ref());
            (held.map(|c| c.id) != Some(*claim)).then(|| "a claim changed meanwhile".to_owned())
        }
        Step::Call(Effect::Claim { issue, .. }) => gone(issue).or_else(|| {
            let card = model.data.issues.get(issue)?;
            let closed = card.state == IssueState::Closed || card.claim.is_some();
            closed.then(|| format!("#{} was claimed or closed meanwhile", card.number))
        }),
        Step::Shift { issue, from, .. } => gone(issue).or_else(|| {
            let moved = model.column_of(issue) != Some(*from);
            moved.then(|| "a card was moved meanwhile".to_owned())
        }),
        Step::Call(_) | Step::Hide(_) => None,
    }
}

/// A menu about one card.
pub(super) fn pick(kind: PickKind, issues: Vec<IssueId>, choice: String) -> Plan {
    Plan::Open(Overlay::Pick(Pick { kind, issues, choice }), Vec::new())
}
