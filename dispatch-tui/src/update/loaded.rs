//! What the parts that views ask for brought, and what is still to be asked for.

use dispatch_shared::id::{IssueId, RepoName};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::protocol::agent_runs::Overview;
use dispatch_shared::protocol::automation::{AutomationEvent, RepoDetail};
use dispatch_shared::protocol::events::Change;
use dispatch_shared::protocol::issues::WhyRule;
use dispatch_shared::protocol::runs::Run;

use crate::effect::Effect;
use crate::model::data::{clean_all, clean_run};
use crate::model::overlay::Overlay;
use crate::model::queue::QueueRow;
use crate::model::wants::Part;
use crate::model::{Link, Model, View, runs, text};

/// An answer, or in words why there is none.
type Answered<T> = Result<T, String>;

/// One of the parts, as it came.
#[derive(Debug)]
pub(crate) enum Loaded {
    Queue(Answered<Vec<QueueRow>>),
    Why { issue: IssueId, result: Answered<Vec<WhyRule>> },
    Overview(Answered<Box<Overview>>),
    Audit(Answered<Vec<AuditRow>>),
    Feed(Answered<Vec<AutomationEvent>>),
    Runs(Answered<Vec<Run>>),
    Repo { repo: RepoName, result: Answered<Box<RepoDetail>> },
}

/// Takes a part into the model; what could not be had is said.
pub(super) fn take(model: &mut Model, loaded: Loaded) {
    let failed = match loaded {
        Loaded::Queue(result) => {
            model.wants.came(Part::Queue);
            model.why.old = true;
            result.map(|rows| model.queue_rows = rows).map_err(|why| ("the queue", why))
        }
        Loaded::Why { issue, result } => {
            let result = result.and_then(|rules| clean_all(&rules)).map_err(|why| text::line(&why));
            model.why.take(issue, result);
            Ok(())
        }
        Loaded::Overview(result) => {
            model.wants.came(Part::Overview);
            let result = result.and_then(|overview| clean_all(&*overview));
            result.map(|o| model.overview = Some(o)).map_err(|why| ("the overview", why))
        }
        Loaded::Audit(result) => {
            model.wants.came(Part::Audit);
            let result = result.and_then(|rows| clean_all(&rows));
            result.map(|rows| model.activity.take_audit(rows)).map_err(|why| ("the audit", why))
        }
        Loaded::Feed(result) => {
            model.wants.came(Part::Feed);
            let result = result.and_then(|events| clean_all(&events));
            result.map(|events| model.activity.take_feed(events)).map_err(|why| ("what the forges tell", why))
        }
        Loaded::Runs(result) => result.map(|runs| older_runs(model, runs)).map_err(|why| ("older runs", why)),
        Loaded::Repo { repo, result } => {
            let result = result.and_then(|detail| clean_all(&*detail)).map_err(|why| text::line(&why));
            for overlay in &mut model.overlays {
                if let Overlay::Repo(pane) = overlay
                    && pane.repo == repo
                {
                    pane.take(result.clone());
                }
            }
            Ok(())
        }
    };
    if let Err((what, why)) = failed {
        model.complain(format!("{what} could not be read: {}", text::line(&why)));
    }
    model.unsorted = true;
}

/// What the stream said of a run is newer than what a list says.
fn older_runs(model: &mut Model, older: Vec<Run>) {
    for run in older {
        model.data.runs.entry(run.id).or_insert_with(|| clean_run(run));
    }
}

/// Something came by the stream: what is shown beyond it is asked for anew.
pub(super) fn changed(model: &mut Model, change: &Change) {
    let cards = !change.issues.is_empty() || !change.gone.is_empty();
    let repos = !change.repos.is_empty() || !change.repos_gone.is_empty();
    if !cards && !repos && change.audit.is_empty() {
        return; // a run that says something, and the like: it changes nothing that is asked for
    }
    match clean_all(&change.audit) {
        Ok(rows) => model.activity.take_news(rows),
        Err(why) => model.complain(format!("a row of the audit could not be read: {why}")),
    }
    // The stream brings the audit itself.
    let parts: Vec<Part> = model.parts().iter().copied().filter(|p| *p != Part::Audit).collect();
    model.wants.want(&parts);
    model.why.old = true;
    let touched = |repo: &RepoName| {
        change.repos.iter().any(|r| r.full_name == *repo)
            || change.audit.iter().any(|row| row.repo_full_name.as_ref() == Some(repo))
    };
    for overlay in &mut model.overlays {
        if let Overlay::Repo(pane) = overlay
            && touched(&pane.repo)
        {
            pane.old = true;
        }
    }
}

/// The connection is there anew, or the whole state came: all that is shown may be old.
pub(super) fn all_old(model: &mut Model) {
    let parts = model.parts();
    model.wants.want(parts);
    model.why.old = true;
    for overlay in &mut model.overlays {
        if let Overlay::Repo(pane) = overlay {
            pane.old = true;
        }
    }
}

/// What is to be asked for now.
pub(super) fn owed(model: &mut Model) -> Vec<Effect> {
    if model.link != Link::Live {
        return Vec::new();
    }
    let mut effects = Vec::new();
    if matches!(model.view, View::Activity | View::Overview)
        && model.activity.is_for_another(&model.filter.to_string())
    {
        model.activity.start_over();
        model.wants.want(&[Part::Audit]);
    }
    if model.overlays.is_empty() {
        match model.view {
            View::Activity => {
                if model.activity.at_newest() {
                    model.activity.unseen = 0;
                }
                model.wants.want(model.activity.more().as_slice());
            }
            View::Runs => effects.extend(runs::more(model).map(Effect::LoadRuns)),
            View::Queue => {
                let chosen = crate::update::verbs::target(model).issue;
                effects.extend(model.why.due(chosen).map(Effect::LoadWhy));
            }
            _ => {}
        }
    }
    let shown = model.parts();
    for part in model.wants.due(shown) {
        effects.push(match part {
            Part::Queue => Effect::LoadQueue,
            Part::Overview => Effect::LoadOverview,
            Part::Audit => Effect::LoadAudit(model.activity.ask(&model.filter.to_string())),
            Part::Feed => Effect::LoadFeed(model.activity.events_wanted()),
        });
    }
    for overlay in &mut model.overlays {
        if let Overlay::Repo(pane) = overlay
            && pane.old
            && !pane.awaits
        {
            (pane.old, pane.awaits) = (false, true);
            effects.push(Effect::LoadRepo(pane.repo.clone()));
        }
    }
    effects
}
