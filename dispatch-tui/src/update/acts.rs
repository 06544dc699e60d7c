//! What the views beside the board do: pools, repositories and their automation, tabs, sorting.

use dispatch_shared::protocol::control::ProblemKind;

use super::keys;
use super::verbs::{Answer, Plan, Target, carry_out, perform, writes};
use crate::effect::Effect;
use crate::keymap::Action;
use crate::model::activity::Tab as ActivityTab;
use crate::model::agents::{self, Key};
use crate::model::data::Data;
use crate::model::filter::{Field, Filter};
use crate::model::overlay::{Confirm, Input, Overlay, Purpose};
use crate::model::repo::{RepoPane, Setting, start_line};
use crate::model::{Model, View, text};

/// The repository that lies open, unless something lies upon it; a menu or a question does not count.
fn pane(model: &Model) -> Option<&RepoPane> {
    let covers = |o: &&Overlay| matches!(o, Overlay::Repo(_) | Overlay::Card(_) | Overlay::Log(_));
    match model.overlays.iter().rev().find(covers) {
        Some(Overlay::Repo(pane)) => Some(pane),
        _ => None,
    }
}

/// What `action` would do now to a pool, or to what is chosen in an opened repository; or why it is not possible. `None` if it
/// is about something else: the verbs of cards are in [`super::verbs`].
pub(super) fn plan(model: &Model, action: Action) -> Option<Answer<Plan>> {
    if let (Action::Resume, View::Agents, None, Some(Key::Pool(program))) =
        (action, model.view, pane(model), model.agents.cursor.as_ref())
    {
        return Some(resume(model, program));
    }
    let pane = pane(model)?;
    match action {
        Action::Rerun => Some(rerun(model, pane)),
        Action::Start => Some(start(model, pane)),
        Action::Browser => {
            Some(pane.url().ok_or_else(|| "nothing here has an address".to_owned()).map(|url| {
                let said = format!("copied {url}");
                Plan::Do(Effect::Copy(url), Some(said))
            }))
        }
        _ => None,
    }
}

fn rerun(model: &Model, pane: &RepoPane) -> Answer<Plan> {
    let run = pane.run().ok_or("no CI run is chosen")?;
    writes(model)?;
    let said = format!("running {} #{} again…", run.name, run.run_number);
    Ok(Plan::Do(Effect::Rerun { repo: pane.repo.clone(), run: run.id.clone() }, Some(said)))
}

fn start(model: &Model, pane: &RepoPane) -> Answer<Plan> {
    let workflow = pane.workflow().ok_or("no workflow is chosen")?;
    if !workflow.dispatchable {
        return Err(format!("{} cannot be started by hand: it has no workflow_dispatch", workflow.name));
    }
    writes(model)?;
    let branch = pane.detail.as_ref().map_or("main", |d| d.repo.default_branch.as_str());
    let line = start_line(workflow, branch);
    let purpose = Purpose::Workflow { repo: pane.repo.clone(), workflow: workflow.id.clone() };
    Ok(Plan::Open(Overlay::Input(Input::new(purpose, line)), Vec::new()))
}

/// The question before a paused pool goes on.
pub(super) fn resume(model: &Model, program: &str) -> Answer<Plan> {
    let Some(_) = agents::pause(model, program) else {
        let waits = model.data.control.iter().flat_map(|c| &c.waits).find(|w| w.program == program);
        return Err(match waits {
            Some(wait) => {
                let until = text::clock(wait.until, &model.zone);
                format!("{program} is not paused; it waits to {until}: {}", wait.reason)
            }
            None => format!("{program} is not paused"),
        });
    };
    writes(model)?;
    Ok(Plan::Open(Overlay::Confirm(Confirm::Resume { program: program.to_owned() }), Vec::new()))
}

/// Sorts by something else.
pub(super) fn sort(model: &mut Model) -> Vec<Effect> {
    if model.view == View::Runs {
        model.run_sort = model.run_sort.next();
        model.unsorted = true;
        model.say(format!("runs {}", model.run_sort.words()));
    } else {
        model.complain("this list has one order");
    }
    Vec::new()
}

/// Shows the other half of what happened: what was done here, or what the forges tell.
pub(super) fn turn(model: &mut Model) {
    model.activity.tab = match model.activity.tab {
        ActivityTab::Audit => ActivityTab::Feed,
        ActivityTab::Feed => ActivityTab::Audit,
    };
    model.activity.unseen = 0;
    let parts = model.parts();
    model.wants.want(parts);
}

/// Opens what is under the cursor, if it is none of a card's things.
pub(super) fn open(model: &mut Model, target: &Target) -> Option<Vec<Effect>> {
    match model.view {
        View::Repos => target.repo.clone().map(|repo| open_repo(model, repo)),
        View::Queue if target.issue.is_none() => {
            let key = model.queue.cursor.clone()?;
            if model.queue_rows.iter().any(|r| r.key == key) {
                return None;
            }
            if !model.unfolded.remove(&key) {
                model.unfolded.insert(key);
            }
            model.unsorted = true;
            Some(Vec::new())
        }
        View::Agents => model.agents.cursor.clone().map(|key| open_agent(model, &key)),
        View::Overview | View::Activity => match (&target.issue, target.run) {
            (Some(issue), None) if model.data.issues.contains_key(issue) => None,
            (_, Some(_)) => Some(perform(model, Action::OpenLog)),
            _ => {
                model.say("the card is not on the board any more");
                Some(Vec::new())
            }
        },
        View::Problems if target.issue.is_none() => {
            let problem = model.problem(target.problem.as_ref()?)?.clone();
            match (problem.kind, problem.repo_full_name) {
                (ProblemKind::Pool, _) => Some(match resume(model, &problem.subject) {
                    Ok(plan) => carry_out(model, plan),
                    Err(why) => {
                        model.complain(why);
                        Vec::new()
                    }
                }),
                (ProblemKind::Sync, Some(repo)) => Some(open_repo(model, repo)),
                (ProblemKind::Budget, None) => {
                    keys::show(model, View::Overview);
                    model.say(problem.text);
                    Some(Vec::new())
                }
                _ if target.run.is_some() => Some(perform(model, Action::OpenLog)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn open_repo(model: &mut Model, repo: dispatch_shared::id::RepoName) -> Vec<Effect> {
    model.overlays.push(Overlay::Repo(Box::new(RepoPane::new(repo.clone()))));
    vec![Effect::LoadRepo(repo)]
}

fn open_agent(model: &mut Model, key: &Key) -> Vec<Effect> {
    match key {
        Key::Pool(program) => {
            if agents::pause(model, program).is_some() {
                return perform(model, Action::Resume);
            }
            only(model, View::Runs, Filter::of(Field::Text, program.clone()))
        }
        Key::Lane(lane) => only(model, View::Runs, Filter::of(Field::Lane, lane.clone())),
        Key::Agent(agent) => only(model, View::Board, Filter::of(Field::Agent, agent.to_string())),
    }
}

/// Shows a view with a filter.
fn only(model: &mut Model, view: View, filter: Filter) -> Vec<Effect> {
    keys::show(model, view);
    model.say(format!("only {filter}; {} shows all", model.keys.name(Action::Back)));
    model.filter = filter;
    model.unsorted = true;
    Vec::new()
}

/// Enter in an opened repository.
pub(super) fn enter(model: &mut Model) -> Vec<Effect> {
    let Some(pane) = pane(model) else { return Vec::new() };
    let Some(setting) = pane.setting() else {
        // A workflow that can be started is; anything else has an address.
        let start = pane.workflow().is_some_and(|w| w.dispatchable);
        return perform(model, if start { Action::Start } else { Action::Browser });
    };
    let repo = pane.repo.clone();
    let Some(now) = model.data.repos.get(&repo).cloned() else {
        model.complain(format!("{repo} is not tracked any more"));
        return Vec::new();
    };
    if setting == Setting::Board {
        model.overlays.clear();
        return only(model, View::Board, Filter::of(Field::Repo, repo.to_string()));
    }
    let verb = match setting {
        Setting::Runner => Action::Runner,
        Setting::Untrack => Action::Untrack,
        Setting::Wip => Action::WipLimit,
        Setting::Lanes => return lanes(model, repo, &now.lanes.join(", ")),
        Setting::Board => return Vec::new(),
    };
    perform(model, verb)
}

fn lanes(model: &mut Model, repo: dispatch_shared::id::RepoName, now: &str) -> Vec<Effect> {
    match writes(model) {
        Ok(()) => {
            let input = Input::new(Purpose::Lanes(repo), now.to_owned());
            model.overlays.push(Overlay::Input(input));
        }
        Err(why) => model.complain(why),
    }
    Vec::new()
}

/// Why a question, or an opened repository, is about something that is not so any more.
pub(super) fn outdated(data: &Data, overlay: &Overlay) -> Option<String> {
    match overlay {
        Overlay::Confirm(Confirm::Resume { program }) => {
            let paused = data.control.iter().flat_map(|c| &c.paused_pools).any(|p| p.program == *program);
            (!paused).then(|| format!("{program} goes on already"))
        }
        Overlay::Repo(pane) => gone(data, &pane.repo),
        _ => None,
    }
}

fn gone(data: &Data, repo: &dispatch_shared::id::RepoName) -> Option<String> {
    (!data.repos.contains_key(repo)).then(|| format!("{repo} is not tracked any more"))
}
