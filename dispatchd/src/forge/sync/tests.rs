//! The sync against a ledger and a forge in memory.

use std::sync::Arc;

use dispatch_shared::Timestamp;

use super::*;
use crate::core::change::Change;
use crate::core::command::{Command, Synced};
use crate::core::reactor::decide;
use crate::core::record::ForgeKind;
use crate::core::seen::SyncCursor;
use crate::edges::{ForgeError, IssuePage};
use crate::forge::stub::{StubForge, StubLedger, door, forges, issue, repo};
use crate::ledger::Ledger as _;

struct Scene {
    ledger: Arc<StubLedger>,
    forge: Arc<StubForge>,
    syncer: Syncer,
}

fn scene(forge: StubForge, repos: &[&str]) -> Scene {
    let (ledger, forge) = (StubLedger::new(), Arc::new(forge));
    for key in repos {
        ledger.put(&Change::Repo(repo(key, ForgeKind::Local)));
    }
    let syncer = Syncer::new(door(&ledger), forges(&forge), Edges::default(), SyncSettings::default());
    Scene { ledger, forge, syncer }
}

fn page(number: u64, next: Option<&str>) -> Result<IssuePage, ForgeError> {
    Ok(IssuePage {
        issues: vec![issue(number, &[])],
        next: next.map(Into::into),
        cursor: Some(SyncCursor { etag: Some("e".into()), ..SyncCursor::default() }),
        progress: Some((number, 2)),
        requests: 1,
        ..IssuePage::default()
    })
}

/// Per command: the repository, the issues, whether the cursor came along; or the error.
fn told(commands: &[Command]) -> Vec<String> {
    let line = |c: &Command| match c {
        Command::Synced(s) => {
            let numbers: Vec<u64> = s.issues.iter().map(|i| i.number).collect();
            format!("{} {numbers:?} {}", s.repo.as_ref().unwrap(), s.cursor.is_some())
        }
        Command::SyncFailed { repo, error, .. } => format!("{repo} failed: {error}"),
        other => format!("{other:?}"),
    };
    commands.iter().map(line).collect()
}

#[tokio::test]
async fn pages_are_told_one_by_one_and_only_the_last_has_the_cursor() {
    let s = scene(StubForge::new(), &["lo1"]);
    s.forge.pages.lock().unwrap().extend([page(1, Some("two")), page(2, None)]);
    let mut progress = s.syncer.progress();
    let result = s.syncer.sync_repo(&RepoKey::new("lo1")).await.unwrap();
    assert_eq!((result.synced, result.requests, result.error), (2, 2, None));
    assert_eq!(told(&s.ledger.commands()), ["lo1 [1] false", "lo1 [2] true"]);
    assert_eq!(s.forge.done(), ["changes lo1 first", "changes lo1 two"]);
    let first = progress.try_recv().unwrap();
    assert_eq!((first.what.as_str(), first.done, first.total), ("sync acme/lo1", 1, Some(2)));
    assert!(progress.try_recv().unwrap().finished);
    assert_eq!(s.syncer.sync_repo(&RepoKey::new("lo9")).await, None, "not tracked");
}

#[tokio::test]
async fn a_sync_that_breaks_off_keeps_its_pages_and_no_cursor() {
    let s = scene(StubForge::new(), &["lo1"]);
    let broken = Err(ForgeError::Unreachable("down".into()));
    s.forge.pages.lock().unwrap().extend([page(1, Some("two")), broken]);
    let result = s.syncer.sync_repo(&RepoKey::new("lo1")).await.unwrap();
    assert_eq!(result.error.as_deref(), Some("down"));
    assert_eq!(told(&s.ledger.commands()), ["lo1 [1] false", "lo1 failed: down"]);
}

#[tokio::test]
async fn who_asks_while_it_is_read_joins() {
    let key = RepoKey::new("lo1");
    let s = scene(StubForge { slow: Some(key.clone()), ..StubForge::new() }, &["lo1"]);
    let both = async { tokio::join!(s.syncer.sync_repo(&key), s.syncer.sync_all()) };
    let open = async {
        tokio::task::yield_now().await;
        s.forge.gate.add_permits(10);
    };
    let ((one, all), ()) = tokio::join!(both, open);
    assert_eq!(all.results, [one.unwrap()]);
    assert_eq!(s.forge.done(), ["changes lo1 first"], "read once");
    s.syncer.sync_repo(&key).await.unwrap();
    assert_eq!(s.forge.done().len(), 2, "who asks later reads again");
}

#[tokio::test]
async fn the_loop_reads_new_repositories_and_hints_and_one_slow_one_delays_no_other() {
    let forge = StubForge { slow: Some(RepoKey::new("lo1")), ..StubForge::new() };
    let s = scene(forge, &["lo1", "lo2"]);
    let stop = CancellationToken::new();
    let (syncer, token) = (s.syncer.clone(), stop.clone());
    let running = tokio::spawn(async move { syncer.run(token).await });
    let count = |key: &'static str, n: usize| {
        move |c: &[Command]| told(c).iter().filter(|l| l.starts_with(key)).count() >= n
    };
    s.ledger.until("the quick one is read", count("lo2", 1)).await;
    s.ledger.put(&Change::Repo(repo("lo3", ForgeKind::Local)));
    s.ledger.until("the new one is read", count("lo3", 1)).await;
    s.syncer.hint(&RepoKey::new("lo2"));
    s.ledger.until("the hinted one is read again", count("lo2", 2)).await;
    assert!(!count("lo1", 1)(&s.ledger.commands()), "the slow one is still under way");
    s.syncer.hint(&RepoKey::new("lo1"));
    s.forge.gate.add_permits(2);
    s.ledger.until("the slow one is read, and again for the hint", count("lo1", 2)).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("the loop ends").unwrap();
}

#[tokio::test]
async fn after_a_failure_the_name_is_read_again() {
    let s = scene(StubForge::new(), &[]);
    let mut broken = repo("lo1", ForgeKind::Local);
    broken.sync_error = Some("not found".into());
    s.ledger.put(&Change::Repo(broken));
    s.syncer.sync_repo(&RepoKey::new("lo1")).await.unwrap();
    assert_eq!(s.forge.done(), ["name", "changes lo1 first"]);
    let named = |c: &Command| matches!(c, Command::Synced(s) if s.seen.is_some());
    assert!(s.ledger.commands().iter().any(named));
}

#[tokio::test]
async fn a_sweep_reads_everything_and_only_what_the_forge_denies_is_gone() {
    let mut s = scene(StubForge::new(), &["lo1"]);
    let known = (1..=3).map(|n| issue(n, &[])).collect();
    let known = Synced { repo: Some(RepoKey::new("lo1")), issues: known, ..Synced::default() };
    let decision = decide(&s.ledger.snapshot(), Timestamp(0), &Command::Synced(known)).unwrap();
    decision.changes.iter().for_each(|change| s.ledger.put(change));
    let cursor = SyncCursor { since: Some(Timestamp(0)), ..SyncCursor::default() };
    s.ledger.put(&Change::Repo(Repo { cursor, ..repo("lo1", ForgeKind::Local) }));
    s.forge.issues.lock().unwrap().insert(2, issue(2, &[]));
    let settings = SyncSettings { sweep: Duration::ZERO, ..SyncSettings::default() };
    s.syncer = Syncer::new(door(&s.ledger), forges(&s.forge), Edges::default(), settings);
    s.forge.pages.lock().unwrap().push(page(1, None));
    s.syncer.sync_repo(&RepoKey::new("lo1")).await.unwrap();
    let Some(Command::Synced(told)) = s.ledger.commands().pop() else { panic!("nothing was told") };
    assert_eq!(told.denied, [3], "1 was listed, 2 is there all the same");
    assert_eq!(s.forge.done().last().unwrap(), "name", "the repository must be there while its issue is not");
    assert!(told.cursor.unwrap().swept_at.is_some());
}
