//! Runs started by hand: who may be worked on, the claim, and going ahead once there is room.

use dispatch_shared::claim::Attempt;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::issue::{IssueState, read_labels};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::run::RunState;
use dispatch_shared::task::TaskType;

use super::take::{self, Maker};
use super::{claims, settle};
use crate::core::command::{Refusal, Reply};
use crate::core::dispatch::{self, Dispatch};
use crate::core::draft::Draft;
use crate::core::fix::{Fix, FixKey};
use crate::core::record::{Card, CardKey, Claim, Repo, Run, Taking, Target};
use crate::core::rounds;
use crate::core::seen::SeenPull;

pub(super) fn dispatch(d: &mut Draft, ask: &Dispatch) -> Result<Reply, Refusal> {
    let Some(repo) = d.world.repos.get(&ask.repo).filter(|r| r.tracked).cloned() else {
        return Err(Refusal::NotFound(format!("repository {} is not tracked", ask.repo)));
    };
    let run = match &ask.target {
        Target::Issue => on_issue(d, ask)?,
        Target::Pull(number) => on_pull(d, ask, *number)?,
        Target::Branch(name) => {
            checked("branch", name)?;
            if *name == repo.default_branch {
                return Err(Refusal::Invalid(format!(
                    "{name} is the default branch of {}, and no run pushes to that: name another branch, it is made \
                     from {name} if it is new",
                    repo.name
                )));
            }
            on_ref(d, ask, &repo, name.clone())?
        }
        Target::Tag(name) => {
            checked("tag", name)?;
            // A branch of the workspace alone; it is never pushed.
            on_ref(d, ask, &repo, format!("dispatch/{}", dispatch::place(&ask.target, 0)))?
        }
    };
    // It waits until it is judged: a run takes no room from itself.
    let run = Run { waiting: true, began_at: None, ..run };
    d.run(run.clone());
    let waits_for = dispatch::waits_for(&d.world, d.now, &run);
    d.audit(AuditRow {
        notes: Some(format!(
            "{} with {} on {}{}",
            run.id,
            run.program,
            run.subject(),
            waits_for.as_ref().map_or_else(String::new, |why| format!(", waits: {why}"))
        )),
        ..settle::row_of_run(d, &ask.hand.by, "dispatch_run", &run)
    });
    let id = run.id;
    d.run(Run { waiting: waits_for.is_some(), began_at: waits_for.is_none().then_some(d.now), ..run });
    Ok(Reply::Dispatched { run: id, waits_for })
}

fn checked(what: &str, name: &str) -> Result<(), Refusal> {
    if dispatch::is_ref_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(100).collect();
    Err(Refusal::Invalid(format!("`{shown}` is no name of a {what}")))
}

/// Two programs never share a checkout or a branch.
fn free(d: &Draft, ask: &Dispatch, branch: &str) -> Result<(), Refusal> {
    let same = |run: &&std::sync::Arc<Run>| {
        run.card.repo == ask.repo
            && (run.branch == branch
                || run.target == ask.target && (ask.target != Target::Issue || run.card.number == ask.issue))
    };
    match d.world.live_runs().find(same) {
        None => Ok(()),
        Some(run) if run.kill.is_some() => Err(Refusal::Held(format!(
            "{} on {} is still being stopped; try again soon",
            run.id,
            run.subject()
        ))),
        Some(run) => Err(Refusal::Held(format!(
            "{} works on {} already ({}); follow it with `dispatch logs {} -f`, or kill it first",
            run.id,
            run.subject(),
            run.state.word(),
            run.id
        ))),
    }
}

fn runner(d: &Draft) -> AgentName {
    AgentName::new(d.world.policy.runner_agent.clone())
}

fn on_issue(d: &mut Draft, ask: &Dispatch) -> Result<Run, Refusal> {
    let key = CardKey { repo: ask.repo.clone(), number: ask.issue };
    let mut card = settle::card(d, &key)?;
    let subject = settle::name(d, &key);
    if card.state == IssueState::Closed {
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    not_held(d, &key)?;
    let agent = runner(d);
    let others = read_labels(card.labels.iter().map(String::as_str)).agents;
    if let Some(other) = others.iter().find(|a| **a != agent) {
        return Err(Refusal::Held(format!(
            "{subject} is assigned to {other} by its label; release it first: `dispatch release '{subject}' --agent {other}`"
        )));
    }
    if let Some(run) = card.last_run.and_then(|id| d.world.runs.get(&id)).filter(|r| r.state.is_live()) {
        return Err(Refusal::Held(format!("{} of {subject} is still being stopped; try again soon", run.id)));
    }
    card.question = None;
    card.not_before = None;
    if let Some(answer) = &ask.answer {
        card.answer = Some(answer.clone());
    }
    let (by, last) = (ask.hand.by.clone(), card.last_run);
    let maker = Maker { agent: &agent, actor: &by, runner: true, key: None, clear: &settle::STOPPERS };
    let (_, made) = take::make(d, card, &maker)?;
    let made = made.and_then(|id| d.world.runs.get(&id)).map(|r| (**r).clone());
    let run = made.ok_or_else(|| Refusal::Illegal(format!("no run was made for {subject}")))?;
    let busy =
        d.world.live_runs().find(|r| r.id != run.id && r.card.repo == ask.repo && r.branch == run.branch);
    if let Some(other) = busy {
        return Err(Refusal::Held(format!(
            "{} works on {}, the branch of {subject}; kill it first",
            other.id,
            other.subject()
        )));
    }
    let program = ask.program.clone().unwrap_or_else(|| run.program.clone());
    let earlier = last.and_then(|id| d.world.runs.get(&id));
    let resume = earlier.and_then(|r| rounds::next(r, &program, run.answer.is_some()));
    Ok(Run { program, resume, hand: Some(ask.hand.clone()), ..run })
}

fn not_held(d: &Draft, key: &CardKey) -> Result<(), Refusal> {
    match d.world.held(key) {
        None => Ok(()),
        Some(held) => Err(Refusal::Held(format!(
            "{} is held by {} until {}; release it first, or wait",
            settle::name(d, key),
            held.agent,
            held.expires_at
        ))),
    }
}

/// The card that a claim on a pull request is a claim on, so that nobody else works on the same: the open one that it is
/// linked to, else the pull request itself.
fn claimed_for(d: &Draft, repo: &dispatch_shared::id::RepoKey, seen: &SeenPull) -> CardKey {
    let own = CardKey { repo: repo.clone(), number: seen.number };
    let Some(pull) = d.world.pulls.get(&(repo.clone(), seen.number)) else { return own };
    let linked = |key: &CardKey| {
        d.world
            .cards
            .get(key)
            .is_some_and(|c| c.linked_pull == Some(seen.number) && c.state == IssueState::Open && !c.gone)
    };
    pull.targets().into_iter().find(linked).unwrap_or(own)
}

fn on_pull(d: &mut Draft, ask: &Dispatch, number: u64) -> Result<Run, Refusal> {
    let Some(pull) = d.world.pulls.get(&(ask.repo.clone(), number)).cloned() else {
        return Err(Refusal::NotFound(format!(
            "there is no pull request {}; sync the repository if it is new",
            settle::name(d, &CardKey { repo: ask.repo.clone(), number })
        )));
    };
    let seen = &pull.seen;
    let named = format!("pull request #{number}");
    if seen.state != PullState::Open {
        return Err(Refusal::Illegal(format!("{named} is not open any more")));
    }
    if seen.from_fork {
        return Err(Refusal::Invalid(format!(
            "{named} comes from a fork, and nothing is ever pushed to that; name a branch of the repository itself"
        )));
    }
    let key = claimed_for(d, &ask.repo, seen);
    not_held(d, &key)?;
    free(d, ask, &seen.head_branch)?;
    let attempt = next_attempt(d, ask, Some(&key));
    let fix = d.world.fixes.get(&FixKey { repo: ask.repo.clone(), pr: number }).map(|f| (**f).clone());
    if let Some(card) = d.world.cards.get(&key).map(|c| (**c).clone()) {
        d.card(Card { attempt, ..card });
    } else if let Some(fix) = fix {
        d.fix(Fix { attempt, ..fix });
    }
    let agent = runner(d);
    let (id, run) = (d.next_claim(), d.next_run());
    let claim = held_pull(d, ask, id, key.clone(), attempt, seen);
    d.claim(Claim { run: Some(run), ..claim });
    Ok(Run {
        claim: Some(id),
        branch: seen.head_branch.clone(),
        base_branch: seen.base_branch.clone(),
        ..by_hand(d, ask, take::blank(d, run, key, attempt, agent))
    })
}

fn held_pull(
    d: &Draft,
    ask: &Dispatch,
    id: ClaimId,
    card: CardKey,
    attempt: Attempt,
    seen: &SeenPull,
) -> Claim {
    let taking = Taking {
        id,
        agent: runner(d),
        kind: TaskType::FollowupPr,
        attempt,
        lease: d.world.policy.runner_lease,
        card: card.clone(),
    };
    Claim {
        issue_seen: d.world.cards.get(&card).map_or(d.now, |c| c.updated_at),
        ranking: Some(format!("started by hand by {}", ask.hand.by)),
        head_seen: Some(seen.head_sha.clone()),
        ..Claim::taken(taking, d.now)
    }
}

fn on_ref(d: &mut Draft, ask: &Dispatch, repo: &Repo, branch: String) -> Result<Run, Refusal> {
    free(d, ask, &branch)?;
    let open = |p: &&std::sync::Arc<crate::core::record::Pull>| {
        p.seen.state == PullState::Open && !p.seen.from_fork && p.seen.head_branch == branch
    };
    if let Some(pull) = d.world.pulls_of(&ask.repo).find(open) {
        not_held(d, &claimed_for(d, &ask.repo, &pull.seen))?;
    }
    let attempt = next_attempt(d, ask, None);
    let card = CardKey { repo: ask.repo.clone(), number: 0 };
    let (id, agent) = (d.next_run(), runner(d));
    Ok(Run {
        branch,
        base_branch: repo.default_branch.clone(),
        ..by_hand(d, ask, take::blank(d, id, card, attempt, agent))
    })
}

fn by_hand(d: &Draft, ask: &Dispatch, run: Run) -> Run {
    let program = ask.program.clone().unwrap_or_else(|| d.world.policy.default_program.clone());
    let earlier = newest(d, ask);
    let last = earlier.map(|r| r.id);
    Run {
        resume: earlier.and_then(|r| rounds::next(r, &program, ask.answer.is_some())),
        title: dispatch::title(&ask.hand.task),
        target: ask.target.clone(),
        hand: Some(ask.hand.clone()),
        program,
        previous: take::previous_failure(d, last),
        answer: ask.answer.clone(),
        ..run
    }
}

/// The newest run on what is to be worked on.
fn newest<'a>(d: &'a Draft, ask: &Dispatch) -> Option<&'a Run> {
    let mut runs = d.world.runs.values().rev();
    runs.find(|r| r.card.repo == ask.repo && r.target == ask.target).map(AsRef::as_ref)
}

/// Higher than every attempt at the same before.
fn next_attempt(d: &Draft, ask: &Dispatch, key: Option<&CardKey>) -> Attempt {
    let card = key.and_then(|k| d.world.cards.get(k)).map(|c| c.attempt);
    let claim = key.and_then(|k| d.world.newest_claim(k)).map(|c| c.attempt);
    let fix = key.and_then(|k| d.world.fixes.get(&FixKey { repo: k.repo.clone(), pr: k.number }));
    let fix = fix.map(|f| f.attempt);
    let run = newest(d, ask).map(|r| r.attempt);
    let highest = [card, claim, fix, run].into_iter().flatten().max().unwrap_or_default();
    highest.next(d.world.meta.epoch)
}

/// Lets the oldest run that waits and may go ahead do so.
pub(super) fn proceed(d: &mut Draft) -> Reply {
    let waiting = d.world.waiting_runs().find(|run| dispatch::waits_for(&d.world, d.now, run).is_none());
    let Some(run) = waiting.cloned() else { return Reply::Idle };
    if let Some(claim) = run.claim.and_then(|id| d.world.claims.get(&id)).filter(|c| c.is_held()).cloned() {
        d.claim(claims::renewed(d, &claim));
    }
    d.run(Run { waiting: false, began_at: Some(d.now), ..(*run).clone() });
    Reply::Dispatched { run: run.id, waits_for: None }
}

/// Starts once more what an ended run by hand was for, in the same workspace.
pub(super) fn again(
    d: &mut Draft,
    run: &Run,
    actor: &str,
    action: &str,
    answer: Option<&str>,
) -> Result<Reply, Refusal> {
    let Some(hand) = run.hand.clone() else {
        return Err(Refusal::Illegal(format!("run {} was not started by hand", run.id)));
    };
    if let RunState::Live(phase) = run.state {
        return Err(Refusal::Illegal(format!("run {} is still {phase}; kill it first", run.id)));
    }
    let ask = Dispatch {
        repo: run.card.repo.clone(),
        issue: run.card.number,
        target: run.target.clone(),
        program: Some(run.program.clone()),
        hand: crate::core::record::Hand { by: actor.to_owned(), ..hand },
        answer: answer.map(ToOwned::to_owned),
    };
    let newest = match ask.target {
        Target::Issue => d.world.cards.get(&run.card).and_then(|c| c.last_run),
        _ => newest(d, &ask).map(|r| r.id),
    };
    if let Some(newer) = newest.filter(|id| *id != run.id) {
        let subject = run.subject();
        return Err(Refusal::Stale(format!("run {} is not the newest of {subject}, {newer} is", run.id)));
    }
    d.audit(AuditRow {
        notes: Some(answer.map_or_else(|| run.id.to_string(), ToOwned::to_owned)),
        ..settle::row_of_run(d, actor, action, run)
    });
    dispatch(d, &ask)
}
