//! Verbs: whether each is possible now, why not, and what it does. Footer, actions menu, palette and keys all ask here, so
//! that they cannot disagree.

use dispatch_shared::id::{IssueId, RepoName, RunId};
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::runs::Run;

use super::bulk::{self, Deed};
use super::{acts, picks, setters, undo};
use crate::effect::{Effect, Step, Write};
use crate::keymap::Action;
use crate::model::activity::Tab;
use crate::model::card::column_title;
use crate::model::log::Kind;
use crate::model::overlay::{Confirm, Input, Overlay, PickKind, Purpose};
use crate::model::overview::Key;
use crate::model::{Link, Model, PendingMove, View, text};

/// What the keys are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) issue: Option<IssueId>,
    pub(crate) run: Option<RunId>,
    pub(crate) repo: Option<RepoName>,
    pub(crate) problem: Option<String>,
}

impl Target {
    pub(crate) fn of_issue(model: &Model, id: &IssueId) -> Target {
        let issue = model.data.issues.get(id);
        Target {
            issue: Some(id.clone()),
            run: issue.and_then(|i| model.data.run_of(i)).map(|r| r.id),
            repo: issue.map(|i| i.repo_full_name.clone()),
            problem: None,
        }
    }

    fn of_audit(model: &Model, id: u64) -> Option<Target> {
        let row = model.activity.audit.get(&id)?;
        let target = Target { repo: row.repo_full_name.clone(), ..Target::default() };
        Some(row.issue_id.as_ref().map_or(target, |id| Target { run: None, ..Target::of_issue(model, id) }))
    }

    pub(crate) fn of_run(model: &Model, id: RunId) -> Target {
        let run = model.data.runs.get(&id);
        Target {
            issue: run.and_then(|r| r.issue_id.clone()),
            run: Some(id),
            repo: run.map(|r| r.repo_full_name.clone()),
            problem: None,
        }
    }

    pub(crate) fn of_problem(model: &Model, id: &str) -> Target {
        let Some(p) = model.problem(id) else { return Target::default() };
        let last_run =
            || p.issue_id.as_ref().and_then(|id| model.data.issues.get(id)).and_then(|i| i.last_run);
        Target {
            issue: p.issue_id.clone(),
            run: p.run_id.or_else(last_run),
            repo: p.repo_full_name.clone(),
            problem: Some(p.id.clone()),
        }
    }
}

/// The thing under the cursor of the topmost layer that has one.
pub(crate) fn target(model: &Model) -> Target {
    for overlay in model.overlays.iter().rev() {
        match overlay {
            Overlay::Card(pane) => return Target::of_issue(model, &pane.issue),
            Overlay::Log(pane) => return Target::of_run(model, pane.run),
            Overlay::Repo(pane) => {
                return Target { repo: Some(pane.repo.clone()), ..Target::default() };
            }
            _ => {}
        }
    }
    let found = match model.view {
        View::Board => model.columns[model.column].cursor.as_ref().map(|id| Target::of_issue(model, id)),
        View::Problems => model.problems.cursor.as_ref().map(|id| Target::of_problem(model, id)),
        View::Runs => model.runs.cursor.map(|id| Target::of_run(model, id)),
        View::Queue => {
            let row = model.queue.cursor.as_ref().and_then(|k| model.queue_rows.iter().find(|r| r.key == *k));
            row.and_then(|r| r.issue.as_ref()).map(|id| Target::of_issue(model, id))
        }
        View::Repos => {
            model.repos.cursor.as_ref().map(|r| Target { repo: Some(r.clone()), ..Target::default() })
        }
        View::Activity => match model.activity.tab {
            Tab::Audit => model.activity.rows.cursor.and_then(|id| Target::of_audit(model, id)),
            Tab::Feed => {
                let event = model.activity.events.cursor.as_ref();
                let event = event.and_then(|id| model.activity.feed.iter().find(|e| e.id == *id));
                event.map(|e| Target { repo: e.repo_full_name.clone(), ..Target::default() })
            }
        },
        View::Overview => match &model.numbers.cursor {
            Some(Key::Stale(id)) => Some(Target { run: None, ..Target::of_issue(model, id) }),
            Some(Key::Run(id)) => Some(Target::of_run(model, *id)),
            Some(Key::Audit(id)) => Target::of_audit(model, *id),
            None => None,
        },
        View::Agents => None,
    };
    found.unwrap_or_default()
}

/// What a verb would do.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Open a layer, and do something meanwhile.
    Open(Overlay, Vec<Effect>),
    /// Just do it; the sentence tells that it is under way.
    Do(Effect, Option<String>),
    /// Show something of a run.
    Look(Kind, RunId),
    /// Move the card; whether the cursor goes along; whether this undoes a move.
    Shift { issue: IssueId, to: Status, along: bool, undoes: bool },
    /// Do these, one after the other.
    Steps(Vec<Step>),
    /// Show a hidden problem again.
    Show(String),
}

pub(super) type Answer<T> = Result<T, String>;

pub(super) fn card_of<'a>(model: &'a Model, target: &Target) -> Answer<&'a Issue> {
    let id = target.issue.as_ref().ok_or("no card is chosen")?;
    model.data.issues.get(id).ok_or_else(|| "that card is not on the board any more".to_owned())
}

pub(super) fn run_of<'a>(model: &'a Model, target: &Target) -> Answer<&'a Run> {
    if let Some(run) = target.run.and_then(|id| model.data.runs.get(&id)) {
        return Ok(run);
    }
    match card_of(model, target) {
        Ok(card) => Err(format!("the built-in runner has not worked on #{}", card.number)),
        Err(_) => Err("no run is chosen".to_owned()),
    }
}

pub(super) fn writes(model: &Model) -> Answer<()> {
    match &model.link {
        Link::Live => Ok(()),
        _ => Err("the daemon cannot be reached now, so nothing can be changed".to_owned()),
    }
}

/// The run that can be killed, or why there is none.
pub(super) fn may_kill<'a>(model: &'a Model, target: &Target) -> Answer<&'a Run> {
    match run_of(model, target) {
        Ok(run) if !run.ended => Ok(run),
        Ok(run) => Err(format!("{} is over", run.id)),
        Err(why) => match card_of(model, target).ok().and_then(|c| c.claim.as_ref()) {
            Some(claim) => {
                let release = model.keys.name(Action::Release);
                Err(format!("{} is not ours to kill; {release} takes the claim away", claim.agent_name))
            }
            None => Err(why),
        },
    }
}

/// Whether somebody could claim the card.
pub(super) fn may_claim(model: &Model, card: &Issue) -> Answer<()> {
    if card.state == IssueState::Closed {
        return Err(format!("#{} is closed", card.number));
    }
    match &card.claim {
        None => Ok(()),
        Some(claim) => {
            let until = text::clock(claim.lease_expires_at, &model.zone);
            let release = model.keys.name(Action::Release);
            Err(format!("{} holds #{} to {until}; {release} releases it", claim.agent_name, card.number))
        }
    }
}

/// What `action` would do now, to what is marked or else to what is under the cursor; or why it is not possible.
pub(crate) fn plan(model: &Model, action: Action) -> Answer<Plan> {
    if let Some(planned) = acts::plan(model, action) {
        return planned;
    }
    match bulk::plan(model, action) {
        Some(planned) => {
            if !matches!(action, Action::Copy | Action::Hide) {
                writes(model)?;
            }
            planned
        }
        None => plan_one(model, action, &target(model)),
    }
}

/// Why `action` is not possible now; none if it is. As [`plan`], cheap enough for every frame.
pub(crate) fn why_not(model: &Model, action: Action) -> Option<String> {
    if let Some(planned) = acts::plan(model, action) {
        return planned.err();
    }
    match bulk::why_not(model, action) {
        Some(Ok(())) if matches!(action, Action::Copy | Action::Hide) => None,
        Some(known) => known.and_then(|()| writes(model)).err(),
        None => plan_one(model, action, &target(model)).err(),
    }
}

fn plan_one(model: &Model, action: Action, target: &Target) -> Answer<Plan> {
    let one = |deed: Deed| bulk::step(model, target, &deed).map(|step| Plan::Steps(vec![step]));
    let open = |overlay| Ok(Plan::Open(overlay, Vec::new()));
    let pick = |kind| {
        let card = card_of(model, target)?;
        writes(model)?;
        picks::open(model, kind, vec![card.issue_id.clone()])
    };
    match action {
        Action::OpenLog => Ok(Plan::Look(Kind::Log, run_of(model, target)?.id)),
        Action::Events => Ok(Plan::Look(Kind::Events, run_of(model, target)?.id)),
        Action::Diff => Ok(Plan::Look(Kind::Diff, run_of(model, target)?.id)),
        Action::Phases => Ok(Plan::Look(Kind::Phases, run_of(model, target)?.id)),
        Action::Browser => {
            let address = address(card_of(model, target)?);
            let said = format!("copied {address}");
            Ok(Plan::Do(Effect::Copy(address), Some(said)))
        }
        Action::Copy => picks::open(model, PickKind::Copy, target.issue.iter().cloned().collect()),
        Action::Hide => one(Deed::Hide),
        Action::Answer => {
            let card = card_of(model, target)?;
            let run = model.data.question_of(card).ok_or_else(|| format!("#{} asks nothing", card.number))?;
            writes(model)?;
            open(setters::draft(model, Purpose::Answer(run.id)))
        }
        Action::Move => pick(PickKind::Move),
        Action::Priority => pick(PickKind::Priority),
        Action::Labels => pick(PickKind::Labels),
        Action::Lane => pick(PickKind::Lane),
        Action::ShiftLeft | Action::ShiftRight => {
            let card = card_of(model, target)?;
            let to = column_beside(model, card, action)?;
            may_move(model, card, to)?;
            Ok(Plan::Shift { issue: card.issue_id.clone(), to, along: true, undoes: false })
        }
        Action::Undo => {
            if !matches!(model.undo.last(), None | Some(undo::Undo::Hide(_))) {
                writes(model)?;
            }
            undo::plan(model)
        }
        Action::Claim => {
            let card = card_of(model, target)?;
            writes(model)?;
            may_claim(model, card)?;
            open(Overlay::Input(Input::new(Purpose::Claim(vec![card.issue_id.clone()]), String::new())))
        }
        Action::Release => {
            let card = card_of(model, target)?;
            let claim = card.claim.as_ref().ok_or_else(|| format!("nobody holds #{}", card.number))?;
            writes(model)?;
            if claim.lease_expires_at <= model.now {
                return one(Deed::Release);
            }
            let (issue, agent) = (card.issue_id.clone(), claim.agent_name.to_string());
            open(Overlay::Confirm(Confirm::Release { issue, claim: claim.id, agent }))
        }
        Action::Retry => one(Deed::Retry),
        Action::Kill => {
            let run = may_kill(model, target)?;
            writes(model)?;
            open(Overlay::Confirm(Confirm::Kill { run: run.id, attempt: run.attempt }))
        }
        Action::Rerun => one(Deed::Rerun),
        Action::Sync => {
            writes(model)?;
            let what = target.repo.as_ref().map_or("all repositories".to_owned(), ToString::to_string);
            Ok(Plan::Do(Effect::Sync(target.repo.clone()), Some(format!("syncing {what}…"))))
        }
        Action::Freeze => {
            writes(model)?;
            let frozen = model.data.control.as_ref().is_some_and(|c| c.frozen);
            Ok(Plan::Do(Effect::Write { write: Write::Freeze(!frozen), undoes: false }, None))
        }
        other => setters::plan(model, other, target),
    }
}

/// Where a person reads it: the pull request, else the issue.
fn address(card: &Issue) -> String {
    let pull = card.linked_pr_url.as_ref().or(card.linked_pr.as_ref().map(|p| &p.url));
    pull.unwrap_or(&card.url).clone()
}

/// What others call it: `acme/api#390`, a run's id, a repository.
pub(crate) fn subject(model: &Model, target: &Target) -> String {
    let card = target.issue.as_ref().and_then(|id| model.data.issues.get(id));
    match (card, target.run, &target.repo) {
        (Some(card), _, _) => format!("{}#{}", card.repo_full_name, card.number),
        (None, Some(run), _) => run.to_string(),
        (None, None, Some(repo)) => repo.to_string(),
        (None, None, None) => target.problem.clone().unwrap_or_default(),
    }
}

/// The column to the left or right of where the card is shown.
pub(super) fn column_beside(model: &Model, card: &Issue, action: Action) -> Answer<Status> {
    let at = model.column_of(&card.issue_id).unwrap_or(card.column) as usize;
    let to = if action == Action::ShiftLeft { at.checked_sub(1) } else { Some(at + 1) };
    to.and_then(|t| Status::ALL.get(t).copied())
        .ok_or_else(|| format!("#{} stands in the outermost column", card.number))
}

/// Whether the card may be moved to `to`, and why not.
pub(crate) fn may_move(model: &Model, card: &Issue, to: Status) -> Answer<()> {
    if model.link != Link::Live {
        return Err("the daemon cannot be reached now".to_owned());
    }
    if model.column_of(&card.issue_id) == Some(to) {
        return Err("stands there".to_owned());
    }
    if model.moves.get(&card.issue_id).is_some_and(|m| !m.accepted) {
        return Err(format!("#{} is being moved already", card.number));
    }
    match (card.state, to) {
        (IssueState::Open, Status::Done) => {
            Err("the issue is open: closing it on the forge makes it done".to_owned())
        }
        (IssueState::Closed, _) => Err("the issue is closed: reopen it on the forge".to_owned()),
        _ => Ok(()),
    }
}

/// Does what was planned.
pub(crate) fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    match plan(model, action) {
        Ok(plan) => {
            if action == Action::Undo {
                model.undo.pop();
            }
            carry_out(model, plan)
        }
        Err(why) => {
            model.complain(format!("{}: {why}", crate::keymap::binding(action).label));
            Vec::new()
        }
    }
}

pub(crate) fn carry_out(model: &mut Model, plan: Plan) -> Vec<Effect> {
    match plan {
        Plan::Open(overlay, effects) => {
            model.overlays.push(overlay);
            effects
        }
        Plan::Look(kind, run) => super::run::open(model, kind, run),
        Plan::Do(effect, said) => {
            if let Some(said) = said {
                model.say(said);
            }
            vec![effect]
        }
        Plan::Shift { issue, to, along, undoes } => shift(model, issue, to, along, undoes),
        Plan::Steps(steps) => steps.into_iter().flat_map(|step| take_step(model, step)).collect(),
        Plan::Show(id) => {
            model.hidden.remove(&id);
            model.unsorted = true;
            model.say("shown again");
            Vec::new()
        }
    }
}

pub(super) fn take_step(model: &mut Model, step: Step) -> Vec<Effect> {
    match step {
        Step::Call(effect) => vec![effect],
        Step::Shift { issue, to, .. } => shift(model, issue, to, false, false),
        Step::Hide(id) => {
            model.hidden.insert(id.clone());
            undo::push(model, undo::Undo::Hide(id));
            model.unsorted = true;
            let undo = model.keys.name(Action::Undo);
            model.say(format!("hidden until the board is started anew; {undo} undoes"));
            Vec::new()
        }
    }
}

/// Shows the card in its new column at once and asks the daemon.
pub(crate) fn shift(model: &mut Model, issue: IssueId, to: Status, along: bool, undoes: bool) -> Vec<Effect> {
    let Some(card) = model.data.issues.get(&issue) else { return Vec::new() };
    let from = model.column_of(&issue).unwrap_or(card.column);
    let claim = card.claim.as_ref().map(|c| c.id);
    model.refused.remove(&issue);
    model.moves.insert(issue.clone(), PendingMove { from, to, accepted: false, undoes });
    model.arrange();
    if along && model.view == View::Board {
        model.column = to as usize;
        model.columns[model.column].choose(&issue);
    }
    model.say(format!("moving to {}…", column_title(to)));
    vec![Effect::Move { issue, to, claim }]
}
