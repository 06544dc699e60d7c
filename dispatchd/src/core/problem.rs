//! What wants a person, most urgent first. Decided here so that the board, the command line and hooks agree.

use std::time::Duration;

use dispatch_shared::Timestamp;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::RunId;
use dispatch_shared::issue::{Flag, IssueState, Status};
use dispatch_shared::protocol::control::{Problem, ProblemKind};
use dispatch_shared::run::{EndClass, RunState};

use super::budget;
use super::reconcile::{Reconcile, finding, undone};
use super::record::{Card, ForgeKind, Repo, Run, Write};
use super::world::World;

/// How long the sync of a repository may fail before a person is told.
const UNSYNCED: Duration = Duration::from_secs(3_600);

/// Whether a card may be a problem: the world keeps an index of these.
#[must_use]
pub fn wants_look(card: &Card) -> bool {
    !card.gone
        && (card.state == IssueState::Open || super::reconcile::suspect(card))
        && (!card.flags.is_empty()
            || card.question.is_some()
            || card.unverified.is_some()
            || matches!(card.write, Some(Write::Refused(_)))
            || agents(card).len() > 1
            || super::reconcile::suspect(card)
            || matches!(card.status, Status::InReview | Status::InProgress))
}

/// The labels that assign agents.
fn agents(card: &Card) -> Vec<&str> {
    card.labels.iter().map(String::as_str).filter(|l| super::rank::is_agent(l)).collect()
}

/// All problems: by kind, then oldest first.
#[must_use]
pub fn problems(world: &World, now: Timestamp) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    for card in world.attention().filter(|c| world.is_tracked(&c.key.repo)) {
        of_card(world, card, now, &mut found);
    }
    for repo in world.tracked() {
        let Some(text) = unsynced(repo, now) else { continue };
        found.push(Problem {
            id: format!("sync-{}", repo.key),
            kind: ProblemKind::Sync,
            since: repo.last_synced_at.unwrap_or(repo.added_at),
            subject: repo.name.to_string(),
            text,
            action: "sync".into(),
            issue_id: None,
            run_id: None,
            repo_full_name: Some(repo.name.clone()),
        });
    }
    of_runs(world, now, &mut found);
    let on_github = world.tracked().any(|r| r.forge == ForgeKind::Github);
    for (who, since, said) in world.meta.troubles.iter().filter(|_| on_github) {
        found.push(Problem {
            id: format!("credential-{}", who.replace(' ', "-")),
            kind: ProblemKind::Sync,
            since: *since,
            subject: "GitHub".into(),
            text: said.clone(),
            action: "sync".into(),
            issue_id: None,
            run_id: None,
            repo_full_name: None,
        });
    }
    for pool in &world.meta.pools {
        let Some(pause) = pool.paused.as_ref().filter(|p| p.until > now) else { continue };
        found.push(Problem {
            id: format!("pool-{}", pool.program),
            kind: ProblemKind::Pool,
            since: pause.since,
            subject: pool.program.clone(),
            text: format!("paused until {}: {}", pause.until, pause.why),
            action: "resume".into(),
            issue_id: None,
            run_id: None,
            repo_full_name: None,
        });
    }
    if let Some((since, why)) = &world.meta.cramped {
        found.push(Problem {
            id: "disk".into(),
            kind: ProblemKind::Pool,
            since: *since,
            subject: "disk".into(),
            text: why.clone(),
            action: "check".into(),
            issue_id: None,
            run_id: None,
            repo_full_name: None,
        });
    }
    of_engines(world, &mut found);
    of_budgets(world, now, &mut found);
    found.sort_by(|a, b| (a.kind, a.since, &a.id).cmp(&(b.kind, b.since, &b.id)));
    found
}

/// What is wrong with the sync of a repository, once it wants a person: at once if it stays so, else after an hour.
fn unsynced(repo: &Repo, now: Timestamp) -> Option<String> {
    let error = repo.sync_error.as_deref();
    if !repo.access.standing.takes_work() {
        let why = error.map(|e| format!(" ({e})")).unwrap_or_default();
        return Some(format!(
            "the repository {}{why}; nothing is handed out from it",
            repo.access.standing.words()
        ));
    }
    let stale = now.since(repo.last_synced_at.unwrap_or(repo.added_at)) >= UNSYNCED;
    let lasting = repo.access.lasting && repo.sync_failures >= 2;
    error.filter(|_| stale || lasting).map(str::to_owned)
}

/// Engines and images that are missing, where somebody waits for them; containers that nobody knows.
fn of_engines(world: &World, found: &mut Vec<Problem>) {
    let problem = |id: String, kind, since, subject: &str, text: String| Problem {
        id,
        kind,
        since,
        subject: subject.to_owned(),
        text,
        action: "check".into(),
        issue_id: None,
        run_id: None,
        repo_full_name: None,
    };
    // Who only hands tasks to other harnesses needs no engine.
    let wanted = world.tracked().any(|r| r.runner_enabled) || world.live_runs().next().is_some();
    for (who, since, said) in world.meta.ailing.iter().filter(|_| wanted) {
        let id = format!("engine-{}", who.replace(' ', "-"));
        found.push(problem(id, ProblemKind::Engine, *since, who, said.clone()));
    }
    for stray in &world.meta.strays {
        let (name, engine) = (&stray.name, stray.engine);
        let does = if stray.running { "runs" } else { "has ended and was not removed" };
        let text = format!(
            "it {does} on {engine} as {} attempt {} of this daemon, which knows no such run; `dispatch orphans --stop {name}` \
             ends and removes it",
            stray.run,
            stray.attempt.ordinal()
        );
        found.push(problem(format!("orphan-{engine}-{name}"), ProblemKind::Orphan, stray.since, name, text));
    }
}

/// Budgets that come to their end: of the day, of programs, of runs that live.
fn of_budgets(world: &World, now: Timestamp, found: &mut Vec<Problem>) {
    let runs = world.live_runs().filter_map(|run| Some((budget::of_run(world, run)?, Some(run))));
    let states = budget::states(world, now).into_iter().map(|state| (state, None)).chain(runs);
    for (state, run) in states.filter(|(state, _)| state.percent() >= budget::WARNS_AT) {
        let name = state.scope.name();
        let until = state.resets_at.map(|at| format!("; it begins anew at {at}")).unwrap_or_default();
        let then = match (state.percent() >= 100, run) {
            (true, None) => "used up, and no run starts",
            (true, Some(_)) => "used up, and the run is ended",
            (false, _) => "nearly used up",
        };
        let alarms = world.meta.alarms.iter().filter(|a| a.budget == name && a.until > now);
        let began = run.map(|r| r.last_output_at.unwrap_or(r.created_at));
        found.push(Problem {
            id: format!("budget-{}", name.replace(' ', "-")),
            kind: ProblemKind::Budget,
            // The day that it is for began 24 hours before it ends, give or take one.
            since: began.or(alarms.map(|a| a.until - DAY).min()).unwrap_or(now),
            subject: name,
            text: format!("{}%: {}; {then}{until}", state.percent(), state.words()),
            action: "check".into(),
            issue_id: run.filter(|r| world.cards.contains_key(&r.card)).map(|r| r.card.id()),
            run_id: run.map(|r| r.id),
            repo_full_name: run.and_then(|r| world.repos.get(&r.card.repo)).map(|r| r.name.clone()),
        });
    }
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Runs by hand that move no card: what went wrong shows until somebody starts another on the same, or for as long as closed
/// cards stay on the board.
fn of_runs(world: &World, now: Timestamp, found: &mut Vec<Problem>) {
    let mut seen = std::collections::BTreeSet::new();
    let recent =
        |r: &&std::sync::Arc<Run>| r.ended_at.is_none_or(|at| at + world.policy.done_retention >= now);
    for run in world.runs.values().rev().filter(|r| !r.is_on_issue()).filter(recent) {
        let Some(repo) = world.repos.get(&run.card.repo).filter(|r| r.tracked) else { continue };
        let RunState::Ended(class) = run.state else {
            seen.insert((&run.card.repo, run.place()));
            continue;
        };
        if !seen.insert((&run.card.repo, run.place())) {
            continue;
        }
        let (kind, action) = match class {
            EndClass::Blocked => (ProblemKind::Question, "answer"),
            EndClass::Succeeded | EndClass::NoChanges | EndClass::Killed | EndClass::Revoked => continue,
            _ => (ProblemKind::Failed, "retry"),
        };
        let text = run.question.clone().or_else(|| run.reason.clone());
        found.push(Problem {
            id: format!("run-{}", run.id),
            kind,
            since: run.ended_at.unwrap_or(run.created_at),
            subject: format!("{} {}", repo.name, run.subject()),
            text: text.unwrap_or_else(|| class.to_string()),
            action: action.into(),
            issue_id: None,
            run_id: Some(run.id),
            repo_full_name: Some(repo.name.clone()),
        });
    }
}

fn of_card(world: &World, card: &Card, now: Timestamp, found: &mut Vec<Problem>) {
    let id = card.key.id();
    let repo = world.repos.get(&card.key.repo);
    let subject = repo.map_or_else(|| id.to_string(), |r| format!("{}#{}", r.name, card.key.number));
    let run = card.last_run.and_then(|run| world.runs.get(&run));
    let problem =
        |kind: ProblemKind, text: String, action: &str, run: Option<RunId>, since: Timestamp| Problem {
            id: format!("{kind:?}-{id}").to_lowercase(),
            kind,
            since,
            subject: subject.clone(),
            text,
            action: action.into(),
            issue_id: Some(id.clone()),
            run_id: run,
            repo_full_name: repo.map(|r| r.name.clone()),
        };
    let told = world.policy.reconcile == Reconcile::Report || undone(card);
    if let Some(finding) =
        finding(world, card, now).filter(|_| told && world.policy.reconcile != Reconcile::Off)
    {
        let text = format!("{}; {}", finding.text, finding.wanted());
        let mut found_now = problem(ProblemKind::Unverified, text, "move", None, card.updated_at);
        found_now.id.push_str("-labels");
        found.push(found_now);
    }
    if card.state == IssueState::Closed {
        return;
    }
    if let Some(Write::Refused(why)) = &card.write {
        let text = format!("the forge refused a change of labels: {why}");
        found.push(problem(ProblemKind::WriteRefused, text, "move", None, card.updated_at));
    }
    if !card.flags.is_empty() || card.question.is_some() {
        let why = card.question.clone().unwrap_or_else(|| {
            let flags: Vec<&str> = card.flags.iter().map(|f| f.label()).collect();
            format!("labelled {}", flags.join(", "))
        });
        let blocked = run.filter(|r| r.state == RunState::Ended(EndClass::Blocked));
        let since = run.and_then(|r| r.ended_at).unwrap_or(card.since);
        match blocked {
            Some(run) => found.push(problem(ProblemKind::Question, why, "answer", Some(run.id), since)),
            None if card.failures > 0 || run.is_some() => {
                found.push(problem(ProblemKind::Failed, why, "retry", run.map(|r| r.id), since));
            }
            None => {
                let kind = if card.flags.contains(&Flag::NeedsHuman) {
                    ProblemKind::Question
                } else {
                    ProblemKind::Unverified
                };
                found.push(problem(kind, why, "move", None, since));
            }
        }
    }
    let agents = agents(card);
    if agents.len() > 1 {
        let text =
            format!("labelled for several agents ({}); it is withheld until one is left", agents.join(", "));
        let mut found_agents = problem(ProblemKind::Unverified, text, "move", None, card.updated_at);
        found_agents.id.push_str("-agents");
        found.push(found_agents);
    }
    if card.status == Status::InReview && world.linked_pull(card).is_none() {
        let text = match &card.unverified {
            None => {
                "in review, but no pull request is known; link one (`Fixes #n`) or move the card".to_owned()
            }
            Some(said) => format!(
                "{} reported a pull request while the forge could not be asked; it is looked for at the next sync",
                said.agent
            ),
        };
        found.push(problem(ProblemKind::Unverified, text, "move", None, card.since));
    }
    if card.status == Status::InProgress && card.flags.is_empty() && world.held(&card.key).is_none() {
        let text = "in progress, but nobody holds it; release it to make it ready".to_owned();
        found.push(problem(ProblemKind::LeaseExpired, text, "release", None, card.since));
    }
    if card.status == Status::InReview
        && let Some(pull) = world.linked_pull(card)
    {
        let number = pull.seen.number;
        let text = match pull.seen.state {
            PullState::Open => format!("pull request #{number} waits for review"),
            PullState::Merged => format!("pull request #{number} is merged, but the issue is still open"),
            PullState::Closed => format!("pull request #{number} is closed, but the card is in review"),
        };
        found.push(problem(ProblemKind::Review, text, "browser", None, card.since));
    }
}
