//! Groups: few commits for many commands, and no command harms another.

use super::*;
use crate::ledger::Fault;

fn open_counting(disk: &Disk, hook: &Arc<Steps>, options: Options) -> Store {
    Store::open_with(disk.backend(), edges(hook.clone()), Arc::new(Policy::default()), options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_submitters_share_commits() {
    let hook = Arc::new(Steps::default());
    let store = Arc::new(open_counting(&Disk::new(), &hook, options()));
    let mut tasks = tokio::task::JoinSet::new();
    for who in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..20 {
                let (_, world) = store.submit(freeze(format!("{who}-{n}"))).await.unwrap();
                assert!(world.meta.next_audit > n);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let commands = 64 * 20;
    let commits = hook.commits.load(Ordering::SeqCst);
    assert!(commits * 4 < commands, "{commits} commits for {commands} commands");
    let mut found = actors(&store);
    assert_eq!(found.len() as u64, commands);
    found.sort();
    found.dedup();
    assert_eq!(found.len() as u64, commands, "each once");
}

#[tokio::test]
async fn more_submitters_than_places_wait_for_one() {
    let options = Options { queue: 2, batch: 2, ..options() };
    let store = open_counting(&Disk::new(), &Arc::default(), options);
    let all = futures_util::future::join_all((0..50).map(|n| store.submit(freeze(n)))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(actors(&store).len(), 50);
}

#[tokio::test]
async fn a_panic_harms_only_its_own_command() {
    let store = open_counting(&Disk::new(), &Arc::default(), options());
    let (before, fault, after) = tokio::join!(
        store.submit(freeze("before")),
        store.submit(freeze("panic")),
        store.submit(freeze("after")),
    );
    assert!(before.is_ok() && after.is_ok());
    assert_eq!(fault.unwrap_err(), Fault::Internal("the decider was told to panic".into()));
    assert_eq!(actors(&store), ["before", "after"]);
    assert_eq!(*store.failed().borrow(), None);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn what_cannot_be_written_harms_only_its_own_command() {
    use std::os::unix::ffi::OsStringExt as _;
    let store = open_counting(&Disk::new(), &Arc::default(), options());
    let path = std::ffi::OsString::from_vec(b"/tmp/\xff".to_vec());
    let fault = store.submit(track("acme/odd", Some(path.into()))).await.unwrap_err();
    assert!(matches!(&fault, Fault::Internal(cause) if cause.contains("table `repos`")), "{fault}");
    assert!(store.snapshot().repos.is_empty());
    store.submit(track("acme/fine", None)).await.unwrap();
    assert_eq!(store.snapshot().repos.len(), 1);
}

#[tokio::test]
async fn what_changes_nothing_is_not_committed() {
    let hook = Arc::new(Steps::default());
    let store = open_counting(&Disk::new(), &hook, options());
    let before = store.snapshot();
    assert_eq!(
        store.submit(freeze("no")).await.unwrap_err(),
        Fault::Refused(Refusal::Invalid("told to refuse".into()))
    );
    let (reply, world) = store.submit(freeze("same")).await.unwrap();
    assert_eq!(reply, Reply::Idle);
    assert!(Arc::ptr_eq(&before, &world), "the very same state");
    assert_eq!(hook.commits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_policy_is_taken_without_a_commit() {
    let hook = Arc::new(Steps::default());
    let store = open_counting(&Disk::new(), &hook, options());
    let policy = Arc::new(Policy { max_failures: 9, ..Policy::default() });
    let world = store.set_policy(policy).await.unwrap();
    assert_eq!(world.policy.max_failures, 9);
    assert_eq!(store.snapshot().policy.max_failures, 9);
    assert_eq!(hook.commits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn closing_finishes_what_was_asked() {
    let disk = Disk::new();
    let store = open_counting(&disk, &Arc::default(), options());
    let asked = (0..20).map(|n| store.submit(freeze(n)));
    let (answers, closed) = tokio::join!(futures_util::future::join_all(asked), store.close());
    assert_eq!(closed, Ok(()));
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(kept, 20, "all were in the queue before the closing");
    assert_eq!(store.submit(freeze("late")).await.unwrap_err(), Fault::Stopping);
    assert!(store.audit(&Default::default(), 1).is_err(), "a closed store says so");
    drop(store);
    assert_eq!(actors(&open(&disk)).len(), kept, "acknowledged means kept, stopped means not");
}
