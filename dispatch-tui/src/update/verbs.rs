//! Verbs: whether each is possible now, why not, and what it does. Footer, actions menu and keys all ask here, so
//! that they cannot disagree.

use dispatch_shared::id::{IssueId, RepoName, RunId};
use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::control::ProblemKind;
use dispatch_shared::protocol::issues::Issue;
use dispatch_shared::protocol::runs::Run;

use crate::effect::{Effect, From};
use crate::keymap::Action;
use crate::model::card::column_title;
use crate::model::log::{Kind, LogPane, PAGE};
use crate::model::overlay::{Confirm, Input, MoveMenu, Overlay, Purpose};
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
    fn of_issue(model: &Model, id: &IssueId) -> Target {
        let issue = model.data.issues.get(id);
        Target {
            issue: Some(id.clone()),
            run: issue.and_then(|i| model.data.run_of(i)).map(|r| r.id),
            repo: issue.map(|i| i.repo_full_name.clone()),
            problem: None,
        }
    }

    fn of_run(model: &Model, id: RunId) -> Target {
        let run = model.data.runs.get(&id);
        Target {
            issue: run.and_then(|r| r.issue_id.clone()),
            run: Some(id),
            repo: run.map(|r| r.repo_full_name.clone()),
            problem: None,
        }
    }
}

/// The thing under the cursor of the topmost layer that has one.
pub(crate) fn target(model: &Model) -> Target {
    for overlay in model.overlays.iter().rev() {
        match overlay {
            Overlay::Card(pane) => return Target::of_issue(model, &pane.issue),
            Overlay::Log(pane) => return Target::of_run(model, pane.run),
            _ => {}
        }
    }
    let found = match model.view {
        View::Board => model.columns[model.column].cursor.as_ref().map(|id| Target::of_issue(model, id)),
        View::Problems => model.problems.cursor.as_ref().and_then(|id| model.problem(id)).map(|p| Target {
            issue: p.issue_id.clone(),
            run: p.run_id.or_else(|| {
                p.issue_id.as_ref().and_then(|id| model.data.issues.get(id)).and_then(|i| i.last_run)
            }),
            repo: p.repo_full_name.clone(),
            problem: Some(p.id.clone()),
        }),
        View::Runs => model.runs.cursor.map(|id| Target::of_run(model, id)),
        View::Queue => {
            let row = model.queue.cursor.as_ref().and_then(|k| model.queue_rows.iter().find(|r| r.key == *k));
            row.and_then(|r| r.issue.as_ref()).map(|id| Target::of_issue(model, id))
        }
        View::Repos => {
            model.repos.cursor.as_ref().map(|r| Target { repo: Some(r.clone()), ..Target::default() })
        }
        View::Agents | View::Activity | View::Overview => None,
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
    /// Move the card; whether the cursor goes along; whether this undoes a move.
    Shift { issue: IssueId, to: Status, along: bool, undoes: bool },
    /// Leave the problem out of sight.
    Hide(String),
}

struct Ask<'a> {
    model: &'a Model,
    target: Target,
}

type Answer<T> = Result<T, String>;

impl<'a> Ask<'a> {
    fn card(&self) -> Answer<&'a Issue> {
        let id = self.target.issue.as_ref().ok_or("no card is chosen")?;
        self.model.data.issues.get(id).ok_or_else(|| "that card is not on the board any more".to_owned())
    }

    fn run(&self) -> Answer<&'a Run> {
        if let Some(run) = self.target.run.and_then(|id| self.model.data.runs.get(&id)) {
            return Ok(run);
        }
        match self.card() {
            Ok(card) => Err(format!("the built-in runner has not worked on #{}", card.number)),
            Err(_) => Err("no run is chosen".to_owned()),
        }
    }

    fn writes(&self) -> Answer<()> {
        match &self.model.link {
            Link::Live => Ok(()),
            _ => Err("the daemon cannot be reached now, so nothing can be changed".to_owned()),
        }
    }
}

/// What `action` would do now, or why it is not possible.
pub(crate) fn plan(model: &Model, action: Action) -> Answer<Plan> {
    let ask = Ask { model, target: target(model) };
    match action {
        Action::OpenLog => {
            let pane = LogPane::new(Kind::Log, ask.run()?.id);
            let effect = Effect::FollowLog { run: pane.run, from: From::Tail(PAGE) };
            Ok(Plan::Open(Overlay::Log(Box::new(pane)), vec![effect]))
        }
        Action::Diff => {
            let run = ask.run()?.id;
            let pane = LogPane::new(Kind::Diff, run);
            Ok(Plan::Open(Overlay::Log(Box::new(pane)), vec![Effect::LoadDiff(run)]))
        }
        Action::Browser | Action::Copy => copy(&ask, action),
        Action::Hide => match ask.target.problem {
            Some(id) => Ok(Plan::Hide(id)),
            None => Err("only problems can be hidden".to_owned()),
        },
        Action::Answer => {
            let card = ask.card()?;
            let run = model.data.question_of(card).ok_or_else(|| format!("#{} asks nothing", card.number))?;
            ask.writes()?;
            let input = Input::new(Purpose::Answer(run.id), String::new());
            Ok(Plan::Open(Overlay::Input(input), Vec::new()))
        }
        Action::Move => {
            let card = ask.card()?;
            ask.writes()?;
            let now = model.column_of(&card.issue_id).unwrap_or(card.column);
            let choice = Status::ALL
                .into_iter()
                .cycle()
                .skip(now as usize + 1)
                .take(4)
                .find(|to| may_move(model, card, *to).is_ok())
                .unwrap_or(now);
            Ok(Plan::Open(Overlay::Move(MoveMenu { issue: card.issue_id.clone(), choice }), Vec::new()))
        }
        Action::ShiftLeft | Action::ShiftRight => {
            let card = ask.card()?;
            let at = model.column_of(&card.issue_id).unwrap_or(card.column) as usize;
            let to = if action == Action::ShiftLeft { at.checked_sub(1) } else { Some(at + 1) };
            let to = to
                .and_then(|t| Status::ALL.get(t).copied())
                .ok_or_else(|| format!("#{} stands in the outermost column", card.number))?;
            may_move(model, card, to)?;
            Ok(Plan::Shift { issue: card.issue_id.clone(), to, along: true, undoes: false })
        }
        Action::Undo => {
            let (issue, from, to) = model.undo.clone().ok_or("no move to undo")?;
            let card = model.data.issues.get(&issue).ok_or("that card is not on the board any more")?;
            if model.column_of(&issue) != Some(to) {
                return Err(format!("#{} was moved by somebody else since", card.number));
            }
            may_move(model, card, from)?;
            Ok(Plan::Shift { issue, to: from, along: true, undoes: true })
        }
        Action::Claim => {
            let card = ask.card()?;
            ask.writes()?;
            if card.state == IssueState::Closed {
                return Err(format!("#{} is closed", card.number));
            }
            if let Some(claim) = &card.claim {
                let until = text::clock(claim.lease_expires_at, &model.zone);
                return Err(format!("{} holds #{} to {until}; u releases it", claim.agent_name, card.number));
            }
            let input = Input::new(Purpose::Claim(card.issue_id.clone()), String::new());
            Ok(Plan::Open(Overlay::Input(input), Vec::new()))
        }
        Action::Release => {
            let card = ask.card()?;
            let claim = card.claim.as_ref().ok_or_else(|| format!("nobody holds #{}", card.number))?;
            ask.writes()?;
            let (issue, agent) = (card.issue_id.clone(), claim.agent_name.to_string());
            if claim.lease_expires_at <= model.now {
                return Ok(Plan::Do(Effect::Release { issue, agent, claim: claim.id }, None));
            }
            Ok(Plan::Open(Overlay::Confirm(Confirm::Release { issue, claim: claim.id, agent }), Vec::new()))
        }
        Action::Retry => {
            if let Some(pool) = ask.target.problem.as_ref().and_then(|id| model.problem(id))
                && pool.kind == ProblemKind::Pool
            {
                ask.writes()?;
                return Ok(Plan::Do(Effect::Resume(pool.subject.clone()), None));
            }
            let run = ask.run()?;
            if !run.ended {
                return Err(format!("{} still runs; x kills it", run.id));
            }
            if run.state == "succeeded" {
                return Err(format!("{} succeeded", run.id));
            }
            if let Some(claim) = ask.card().ok().and_then(|c| c.claim.as_ref()) {
                return Err(format!("{} holds the card now", claim.agent_name));
            }
            ask.writes()?;
            Ok(Plan::Do(Effect::Retry(run.id), None))
        }
        Action::Kill => {
            let run = match ask.run() {
                Ok(run) if !run.ended => run,
                Ok(run) => return Err(format!("{} is over", run.id)),
                Err(why) => match ask.card().ok().and_then(|c| c.claim.as_ref()) {
                    Some(claim) => {
                        return Err(format!(
                            "{} is not ours to kill; u takes the claim away",
                            claim.agent_name
                        ));
                    }
                    None => return Err(why),
                },
            };
            ask.writes()?;
            let confirm = Confirm::Kill { run: run.id, attempt: run.attempt };
            Ok(Plan::Open(Overlay::Confirm(confirm), Vec::new()))
        }
        Action::Sync => {
            ask.writes()?;
            let what = ask.target.repo.as_ref().map_or("all repositories".to_owned(), ToString::to_string);
            Ok(Plan::Do(Effect::Sync(ask.target.repo.clone()), Some(format!("syncing {what}…"))))
        }
        Action::Freeze => {
            ask.writes()?;
            let frozen = model.data.control.as_ref().is_some_and(|c| c.frozen);
            Ok(Plan::Do(Effect::Freeze(!frozen), None))
        }
        other => Err(format!("{other:?} is no verb")),
    }
}

fn copy(ask: &Ask<'_>, action: Action) -> Answer<Plan> {
    let text = if action == Action::Copy {
        match (ask.model.overlays.last(), ask.model.view, ask.target.run) {
            (Some(Overlay::Log(_)), _, Some(run)) | (None, View::Runs, Some(run)) => run.to_string(),
            _ => match (ask.card(), &ask.target.repo) {
                (Ok(card), _) => format!("{}#{}", card.repo_full_name, card.number),
                (Err(_), Some(repo)) => repo.to_string(),
                (Err(why), None) => return Err(why),
            },
        }
    } else {
        let card = ask.card()?;
        let pull = card.linked_pr_url.as_ref().or(card.linked_pr.as_ref().map(|p| &p.url));
        pull.unwrap_or(&card.url).clone()
    };
    let said = format!("copied {text}");
    Ok(Plan::Do(Effect::Copy(text), Some(said)))
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
        Ok(plan) => carry_out(model, plan),
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
        Plan::Do(effect, said) => {
            if let Some(said) = said {
                model.say(said);
            }
            vec![effect]
        }
        Plan::Shift { issue, to, along, undoes } => shift(model, issue, to, along, undoes),
        Plan::Hide(id) => {
            model.hidden.insert(id);
            model.unsorted = true;
            model.say("hidden until the board is started anew");
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
