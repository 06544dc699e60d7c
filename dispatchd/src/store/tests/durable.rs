//! What was acknowledged is there after every crash: each write and each sync of a scripted series fails in turn, and
//! what the crash left is opened again.

use super::*;
use crate::ledger::Fault;
use crate::store::OpenError;
use crate::store::fault::{Fail, Left};

const COMMANDS: usize = 12;

/// Who was acknowledged, with the number of syncs there had been by then.
async fn series(disk: &Disk) -> Vec<(String, u64)> {
    let opened =
        Store::open_with(disk.backend(), edges(Arc::default()), Arc::new(Policy::default()), options());
    let Ok(store) = opened else { return Vec::new() };
    let mut acked = Vec::new();
    for n in 0..COMMANDS {
        let actor = format!("actor-{n}");
        match store.submit(freeze(&actor)).await {
            Ok((_, world)) => {
                assert_eq!(world.meta.next_audit, n as u64 + 2, "the world shows the change");
                acked.push((actor, disk.syncs()));
            }
            Err(Fault::OutcomeUnknown(_)) => {
                let cause = store.failed().borrow().clone();
                assert!(cause.is_some(), "the daemon is told to stop");
                let again = store.submit(freeze("later")).await;
                assert!(matches!(again, Err(Fault::OutcomeUnknown(_))), "nothing is taken after a fault");
                let policy = store.set_policy(Arc::default()).await;
                assert!(matches!(policy, Err(Fault::OutcomeUnknown(_))));
                assert_eq!(
                    store.snapshot().meta.next_audit,
                    acked.len() as u64 + 1,
                    "only what is durable shows"
                );
                break;
            }
            Err(other) => panic!("no other fault is possible here: {other}"),
        }
    }
    acked
}

/// Opens what a crash left and checks it against what was acknowledged; at most one command was in flight.
fn check(left: &Disk, acked: &[String], what: &str) {
    let store =
        match Store::open_with(left.backend(), edges(Arc::default()), Arc::new(Policy::default()), options())
        {
            Ok(store) => store,
            // A store whose making was cut short: nobody was told that there is one.
            Err(OpenError::Unreadable(_)) if acked.is_empty() => return,
            Err(e) => panic!("{what}: {e}"),
        };
    let found = actors(&store);
    let sent: Vec<String> = (0..COMMANDS).map(|n| format!("actor-{n}")).collect();
    assert!(found.len() >= acked.len(), "{what}: acknowledged {acked:?}, found {found:?}");
    assert!(found.len() <= acked.len() + 1, "{what}: acknowledged {acked:?}, found {found:?}");
    assert_eq!(found, sent[..found.len()], "{what}: in order, none twice, none invented");
    let meta = &store.snapshot().meta;
    assert_eq!(meta.next_audit, found.len() as u64 + 1, "{what}: the counters fit the rows");
    assert_eq!(meta.seq.0, 2 * found.len() as u64, "{what}: two events each");
    if meta.seq.0 > 0 {
        let events = store.events_after(dispatch_shared::event::Seq(0)).expect("all are kept");
        assert_eq!(events.len() as u64, meta.seq.0, "{what}: every event is there");
    }
}

fn names(acked: &[(String, u64)]) -> Vec<String> {
    acked.iter().map(|(name, _)| name.clone()).collect()
}

async fn sweep(fail: impl Fn(u64) -> Fail) -> u64 {
    for n in 1.. {
        let disk = Disk::new().failing(fail(n));
        let acked = names(&series(&disk).await);
        if !disk.broken() {
            assert_eq!(acked.len(), COMMANDS, "without a fault all is acknowledged");
            return n - 1;
        }
        check(&disk.left(Left::Synced), &acked, &format!("{:?}, only what was synced", fail(n)));
        check(&disk.left(Left::Written), &acked, &format!("{:?}, all that was written", fail(n)));
        for seed in 0..4 {
            let what = format!("{:?}, some of what was written (seed {seed})", fail(n));
            check(&disk.left(Left::Some(seed)), &acked, &what);
        }
    }
    unreachable!("the series ends")
}

#[tokio::test]
async fn every_write_may_fail() {
    let steps = sweep(Fail::Write).await;
    assert!(steps > 3 * COMMANDS as u64, "the sweep went through {steps} writes only");
}

#[tokio::test]
async fn every_sync_may_fail() {
    let steps = sweep(Fail::Sync).await;
    assert!(steps >= COMMANDS as u64, "the sweep went through {steps} syncs only");
}

#[tokio::test]
async fn every_sync_may_be_the_last() {
    let disk = Disk::new();
    let acked = series(&disk).await;
    for syncs in 0..=disk.syncs() {
        let by_then: Vec<String> =
            acked.iter().filter(|(_, at)| *at <= syncs).map(|(name, _)| name.clone()).collect();
        check(&disk.frozen_at(syncs), &by_then, &format!("frozen after {syncs} syncs"));
    }
}

#[tokio::test]
async fn a_failing_step_is_a_failing_store() {
    for (step, kept) in [("store.write", 0), ("store.commit", 0), ("store.answer", 1)] {
        let disk = Disk::new();
        let hook = Arc::new(Steps { fail_before: step, ..Steps::default() });
        let store =
            Store::open_with(disk.backend(), edges(hook), Arc::new(Policy::default()), options()).unwrap();
        let fault = store.submit(freeze("a")).await.unwrap_err();
        let said = format!("stopped before {step}");
        assert!(matches!(&fault, Fault::OutcomeUnknown(cause) if cause.contains(&said)), "{fault}");
        let close = store.close().await;
        assert!(matches!(close, Err(Fault::OutcomeUnknown(_))), "closing does not hide it");
        drop(store);
        assert_eq!(actors(&open(&disk)).len(), kept, "{step}: unknown means either");
    }
}

#[tokio::test]
async fn a_restart_brings_back_the_same_world() {
    let disk = Disk::new();
    let store = open(&disk);
    for n in 0..5 {
        store.submit(track(&format!("acme/r{n}"), Some("/tmp/x".into()))).await.unwrap();
        store.submit(freeze(n)).await.unwrap();
    }
    let before = shape(&store.snapshot());
    drop(store);
    assert_eq!(shape(&open(&disk).snapshot()), before);
    let killed = disk.left(Left::Written);
    assert_eq!(shape(&open(&killed).snapshot()), before);
}

#[tokio::test]
async fn an_idle_store_opens_without_a_check() {
    let disk = Disk::new();
    let hook = Arc::new(Steps::default());
    let options = Options { idle: Duration::from_millis(1), ..options() };
    let store =
        Store::open_with(disk.backend(), edges(hook.clone()), Arc::new(Policy::default()), options).unwrap();
    store.submit(freeze("a")).await.unwrap();
    let needs_check = |disk: &Disk| {
        let mut builder = redb::Builder::new();
        builder.set_repair_callback(|repair| repair.abort());
        builder.create_with_backend(disk.backend()).is_err()
    };
    let deadline = std::time::Duration::from_secs(10);
    tokio::time::timeout(deadline, async {
        while needs_check(&disk.left(Left::Synced)) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the store is tidied up once nobody asks for anything");
    let tidied = hook.tidied.load(Ordering::SeqCst);
    assert!(tidied <= 2, "once after opening and once after the command, not {tidied} times");
}
