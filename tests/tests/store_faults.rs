//! A day's work in small, with a disk that fails at every write and at every sync in turn.
//!
//! The list of what was acknowledged is kept outside. What a crash leaves is opened again and must be one of two states:
//! the one that the last acknowledged command left, or the one that the command in flight would have left.

use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::claim::{Attempt, Checkpoint};
use dispatch_shared::event::Seq;
use dispatch_shared::id::{ClaimId, RunId};
use dispatch_shared::issue::Status;
use dispatch_shared::run::{EndClass, RuntimeKind, Usage};
use dispatch_shared::task::Outcome;
use dispatch_tests::ledger::{
    Stepping, agent, card, issue, pull, renew, repo, report, shape, synced, take, track,
};
use dispatchd::core::command::{Command, Evidence, IntentResult, Reply, RunEnd, RunStep, Take};
use dispatchd::core::invariant;
use dispatchd::core::seen::SeenIssue;
use dispatchd::core::standing::Trouble;
use dispatchd::core::world::World;
use dispatchd::edges::Edges;
use dispatchd::ledger::{Fault, Ledger as _};
use dispatchd::store::fault::{Disk, Fail, Left};
use dispatchd::store::{OpenError, Options, Store};

fn open(disk: &Disk) -> Result<Store, OpenError> {
    let edges = Edges { clock: Arc::new(Stepping::default()), ..Edges::default() };
    let options = Options { idle: Duration::from_secs(3600), ..Options::default() };
    Store::open_with(disk.backend(), edges, Arc::default(), options)
}

/// One step of the day; says what to submit from what is known.
type Step = fn(&World) -> Command;

fn claim_of(world: &World, number: u64) -> ClaimId {
    world.held(&card(number)).map(|c| c.id).expect("the card is held at this step")
}

fn run(world: &World, step: RunStep) -> Command {
    let run = world.live_runs().next().expect("a run lives at this step");
    Command::Run { run: run.id, attempt: run.attempt, step }
}

fn usage() -> Usage {
    Usage { input_tokens: 1_200, output_tokens: 340, cost_usd: Some(0.25), ..Usage::default() }
}

const DAY: &[(&str, Step)] = &[
    ("track", |_| track()),
    ("sync, first page", |_| synced(1..=3, false)),
    ("sync, last page", |_| synced(4..=6, true)),
    ("take", |_| Command::Take(Take { idempotency_key: Some("k1".into()), ..take("kai") })),
    ("renew", |w| renew("kai", claim_of(w, 1), Checkpoint::BranchCreated)),
    ("label written", |w| {
        let intent = w.intents.values().next().expect("taking wants labels written");
        let labels = w.cards[&intent.card].labels.clone();
        let live = Box::new(SeenIssue { labels, ..issue(intent.card.number) });
        Command::Intent { id: intent.id, result: IntentResult::Done { live, same: Vec::new() } }
    }),
    ("runner takes", |_| Command::Take(Take { runner: true, repos: Some(vec![repo()]), ..take("dispatch") })),
    ("run prepares", |w| run(w, RunStep::Preparing)),
    ("run starts", |w| run(w, RunStep::Started { runtime: RuntimeKind::Host, container: "pid 12".into() })),
    ("run speaks", |w| run(w, RunStep::Output { last_event: "reads the code".into(), usage: usage() })),
    ("run verifies", |w| run(w, RunStep::Verifying(None))),
    ("run publishes", |w| run(w, RunStep::Publishing)),
    ("run succeeds", |w| {
        run(
            w,
            RunStep::Ended(Box::new(RunEnd {
                class: EndClass::Succeeded,
                reason: None,
                exit_code: Some(0),
                question: None,
                usage: usage(),
                pull: Some(Box::new(pull(8, 2))),
                retry_at: None,
                session: None,
                checked: None,
            })),
        )
    }),
    ("report", |_| report("kai", 1, Outcome::PrOpened, Evidence::Pull(Box::new(pull(7, 1))))),
    ("take again", |_| Command::Take(take("kai"))),
    ("report failure", |_| report("kai", 3, Outcome::Failed, Evidence::NotNeeded)),
    ("claim by name", |_| Command::Claim {
        card: card(5),
        agent: agent("noor"),
        force: false,
        actor: "noor".into(),
    }),
    ("release", |w| Command::Unclaim {
        card: card(5),
        agent: None,
        claim: Some(claim_of(w, 5)),
        actor: "operator".into(),
    }),
    ("move", |_| Command::Move { card: card(6), to: Status::Backlog, claim: None, actor: "operator".into() }),
    ("freeze", |_| Command::Freeze { frozen: true, actor: "operator".into() }),
    ("patch", |_| Command::PatchRepo {
        repo: repo(),
        runner_enabled: Some(false),
        wip_limit: Some(3),
        lanes: None,
        actor: "operator".into(),
    }),
    ("sync fails", |_| Command::SyncFailed {
        repo: repo(),
        error: "the forge is away".into(),
        trouble: Trouble::Passing,
        stats: None,
    }),
];

/// What somebody outside was told.
#[derive(Debug)]
enum Told {
    Claim(ClaimId, Attempt),
    Run(RunId),
    Renewed(ClaimId, Checkpoint),
    Report(String),
    Other,
}

/// What an outsider can check of a reply.
fn told(command: &Command, reply: &Reply, world: &World) -> Told {
    match (command, reply) {
        (_, Reply::Claimed { claim, .. }) => Told::Claim(*claim, world.claims[claim].attempt),
        (Command::Renew { checkpoint: Some(c), .. }, Reply::Renewed(ids)) => Told::Renewed(ids[0], *c),
        (Command::Run { run, .. }, _) => Told::Run(*run),
        (Command::Report(report), _) => {
            let key = report.request.idempotency_key.as_deref().unwrap_or_default();
            Told::Report(format!("{}/{key}", report.agent))
        }
        _ => Told::Other,
    }
}

/// The fence that was handed out is never handed out again, whatever else became of the claim since.
fn holds(told: &Told, world: &World) -> bool {
    match told {
        Told::Claim(id, attempt) => {
            world.meta.next_claim > id.0 && world.cards.values().any(|card| card.attempt >= *attempt)
        }
        Told::Run(id) => world.runs.contains_key(id),
        Told::Renewed(id, checkpoint) => {
            world.claims.get(id).is_none_or(|c| c.checkpoint.is_some_and(|reached| reached == *checkpoint))
        }
        Told::Report(key) => world.reports.contains_key(key),
        Told::Other => true,
    }
}

/// Works through the day until the store fails; returns what was told, and the state after each command.
async fn day(disk: &Disk) -> (Vec<Told>, Vec<String>) {
    let Ok(store) = open(disk) else { return (Vec::new(), Vec::new()) };
    let (mut list, mut states) = (Vec::new(), vec![shape(&store.snapshot())]);
    for (name, step) in DAY {
        let command = step(&store.snapshot());
        match store.submit(command.clone()).await {
            Ok((reply, world)) => {
                list.push(told(&command, &reply, &world));
                states.push(shape(&world));
            }
            Err(Fault::OutcomeUnknown(_)) => break,
            Err(fault) => panic!("{name}: {fault}"),
        }
    }
    (list, states)
}

/// `states` are those of a day without a fault.
async fn check(left: &Disk, list: &[Told], states: &[String], what: &str) {
    let store = match open(left) {
        Ok(store) => store,
        // Cut short while it was made: nobody was told that there is a store.
        Err(OpenError::Unreadable(_)) if list.is_empty() => return,
        Err(e) => panic!("{what}: {e}"),
    };
    let world = store.snapshot();
    let next = list.len() + 1;
    let found = shape(&world);
    let acked = &states[list.len()];
    if found != *acked && states.get(next) != Some(&found) {
        panic!("{what}: after {} commands were acknowledged\n{acked}\nthere was found\n{found}", list.len());
    }
    for told in list {
        assert!(holds(told, &world), "{what}: {told:?} was acknowledged and is not there");
    }
    if let Err(broken) = invariant::check(&world) {
        panic!("{what}: {broken}");
    }
    let audit = store.audit(&Default::default(), usize::MAX).expect("the audit is readable");
    assert_eq!(audit.len() as u64, world.meta.next_audit - 1, "{what}: every audit row is there");
    let events = store.events_after(Seq(0)).map_or(0, |events| events.len() as u64);
    assert_eq!(events, world.meta.seq.0, "{what}: every event is there");
    for key in world.cards.keys() {
        let body = store.body(key).expect("bodies are readable");
        assert!(body.contains(&key.number.to_string()), "{what}: the body of {} is there", key.id());
    }
    if world.repos.is_empty() {
        return;
    }
    // And work goes on.
    let thaw = Command::Freeze { frozen: false, actor: "operator".into() };
    store.submit(thaw).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let taken = store.submit(Command::Take(take("late"))).await;
    let (reply, world) = taken.unwrap_or_else(|e| panic!("{what}: {e}"));
    if let Reply::Claimed { claim, .. } = reply {
        let attempt = world.claims[&claim].attempt;
        let on = &world.claims[&claim].card;
        assert_eq!(world.cards[on].attempt, attempt, "{what}: the newest fence is the highest");
    }
}

async fn sweep(fail: fn(u64) -> Fail) -> u64 {
    let (_, states) = day(&Disk::new()).await;
    assert_eq!(states.len(), DAY.len() + 1, "the day is worked through");
    for n in 1.. {
        let disk = Disk::new().failing(fail(n));
        let (list, seen) = day(&disk).await;
        assert_eq!(seen, states[..seen.len()], "the same series makes the same states");
        if !disk.broken() {
            return n - 1;
        }
        for left in [Left::Synced, Left::Written, Left::Some(n), Left::Some(n << 20)] {
            check(&disk.left(left), &list, &states, &format!("{:?} failed, left {left:?}", fail(n))).await;
        }
    }
    unreachable!("the day ends")
}

#[tokio::test]
async fn every_write_may_fail() {
    let steps = sweep(Fail::Write).await;
    assert!(steps > 3 * DAY.len() as u64, "only {steps} writes were swept");
}

#[tokio::test]
async fn every_sync_may_fail() {
    let steps = sweep(Fail::Sync).await;
    assert!(steps >= DAY.len() as u64, "only {steps} syncs were swept");
}

#[tokio::test]
async fn a_group_that_fails_hands_nothing_out_twice() {
    const AGENTS: u64 = 16;
    for n in 1.. {
        let disk = Disk::new().failing(Fail::Write(n));
        let Ok(store) = open(&disk) else { continue };
        let ready = async {
            store.submit(track()).await?;
            store.submit(synced(1..=AGENTS, true)).await
        };
        if ready.await.is_err() {
            continue;
        }
        let takes = (0..AGENTS).map(|a| store.submit(Command::Take(take(&format!("a{a}")))));
        let answers = futures_util::future::join_all(takes).await;
        let told: Vec<_> = answers
            .iter()
            .filter_map(|answer| match answer {
                Ok((Reply::Claimed { claim, .. }, world)) => Some(world.claims[claim].clone()),
                _ => None,
            })
            .collect();
        drop(store);
        for left in [Left::Synced, Left::Written, Left::Some(n)] {
            let world = open(&disk.left(left)).expect("an older state is there at least").snapshot();
            for claim in &told {
                let kept = world.claims.get(&claim.id);
                assert_eq!(kept, Some(claim), "write {n} failed, left {left:?}");
            }
            invariant::check(&world).unwrap_or_else(|broken| panic!("write {n} failed: {broken}"));
        }
        if !disk.broken() {
            assert_eq!(told.len() as u64, AGENTS, "without a fault everybody gets a card");
            return;
        }
    }
}
