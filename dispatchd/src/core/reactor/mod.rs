//! One function a command: each takes a [`Draft`], changes it, and says the reply; or refuses, and the draft is thrown
//! away.
//!
//! `repos` tracks and untracks; `sync` takes in what a forge said, `standing` what it denies; `take`, `claims` and `moves`
//! change who works on what;
//! `report` and `runs` take in what came of it; `intents` what became of writes; `control` freezes and lets time pass; `dispatch` starts runs by hand;
//! `automation` takes in workflows and their runs, and keeps what happened.
//! `groom` sets lanes and carries out what groomers decide, `umbrella` splits issues and follows their children; `fix` keeps
//! the PR-fix queue, `followup` hands its items out and takes their reports; `work` is about resumable work, `clerk` about
//! one card by name; `reconcile` puts right what contradicts.
//! `spend` is about budgets and pools, `engines` about what is wrong with what contains runs. `settle` is what they share: ending claims, and changing a card together with its labels.

mod automation;
mod claims;
mod clerk;
mod control;
mod dispatch;
mod engines;
mod fix;
mod followup;
mod groom;
mod intents;
mod moves;
mod reconcile;
mod repair;
mod report;
mod repos;
mod runs;
mod settle;
mod spend;
mod standing;
mod sync;
mod take;
mod umbrella;
mod work;

use dispatch_shared::Timestamp;

use super::command::{Command, Refusal, Reply};
use super::draft::{Decision, Draft};
use super::world::World;

/// Decides one command.
///
/// # Errors
/// The refusal; nothing has changed then.
pub fn decide(world: &World, now: Timestamp, command: &Command) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(world, now);
    let d = &mut draft;
    let reply = match command {
        Command::Track(track) => repos::track(d, track)?,
        Command::Untrack { repo, actor } => repos::untrack(d, repo, actor)?,
        Command::PatchRepo { repo, runner_enabled, wip_limit, lanes, actor } => {
            let switches =
                repos::Switches { runner: *runner_enabled, wip: *wip_limit, lanes: lanes.as_deref() };
            repos::patch(d, repo, &switches, actor)?
        }
        Command::Synced(synced) => sync::synced(d, synced)?,
        Command::Blockers { card, seen } => sync::blockers(d, card, seen),
        Command::SyncFailed { repo, error, trouble, stats } => {
            standing::failed(d, repo, error, *trouble, *stats)?
        }
        Command::Automation(ask) => automation::ask(d, ask)?,
        Command::Take(take) => take::take(d, take)?,
        Command::Claim { card, agent, force, actor } => claims::claim(d, card, agent, *force, actor)?,
        Command::Unclaim { card, agent, claim, actor } => {
            claims::unclaim(d, card, agent.as_ref(), *claim, actor)?
        }
        Command::Move { card, to, claim, actor } => moves::to(d, card, *to, *claim, actor)?,
        Command::Renew { agent, claim, checkpoint } => claims::renew(d, agent, *claim, *checkpoint)?,
        Command::Report(report) => report::report(d, report)?,
        Command::Run { run, attempt, step } => runs::step(d, *run, *attempt, step)?,
        Command::Kill { run, attempt, now, actor } => runs::kill(d, *run, *attempt, *now, actor)?,
        Command::Retry { run, actor } => runs::retry(d, *run, actor)?,
        Command::Answer { run, text, actor } => runs::answer(d, *run, text, actor)?,
        Command::Dispatch(ask) => dispatch::dispatch(d, ask)?,
        Command::Proceed => dispatch::proceed(d),
        Command::Work(ask) => work::work(d, ask)?,
        Command::Paper(paper) => clerk::paper(d, paper)?,
        Command::ResumePool { program, actor } => control::resume(d, program, actor),
        Command::Intent { id, result } => intents::settle(d, *id, result)?,
        Command::Noted { action, notes, actor } => control::noted(d, action, notes, actor),
        Command::SetLane(set) => groom::set_lane(d, set)?,
        Command::Groom(decided) => groom::groom(d, decided)?,
        Command::GroomerRun { run, counts } => groom::keep_run(d, run, *counts)?,
        Command::Decompose(split) => umbrella::decompose(d, split)?,
        Command::MakeChildren(make) => umbrella::make(d, make)?,
        Command::Fix(command) => fix::command(d, command)?,
        Command::Troubled(troubles) => control::troubled(d, troubles),
        Command::Cramped(why) => control::cramped(d, why.as_deref()),
        Command::Ailing(ailing) => engines::ailing(d, ailing),
        Command::Strays { asked, found } => engines::strays(d, asked, found),
        Command::Freeze { frozen, actor } => control::freeze(d, *frozen, actor),
        Command::Reconcile { actor } => reconcile::pass(d, None, actor)?,
        Command::Tick { grace_until } => control::tick(d, *grace_until)?,
    };
    Ok(draft.decide(reply))
}

/// A wish that nothing be said beyond "done".
const DONE: Reply = Reply::Done;
