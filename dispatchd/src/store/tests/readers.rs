//! What readers ask for: events, bodies, audit.

use dispatch_shared::event::Seq;

use super::*;
use crate::ledger::AuditFilter;

#[tokio::test]
async fn followers_miss_nothing() {
    let disk = Disk::new();
    let store = open(&disk);
    let mut commits = store.commits();
    let mut seen = Vec::new();
    let mut last = store.snapshot().meta.seq;
    for n in 0..10 {
        store.submit(freeze(n)).await.unwrap();
        commits.changed().await.unwrap();
        let newest = *commits.borrow_and_update();
        let events = store.events_after(last).expect("they are kept");
        assert!(store.snapshot().meta.seq >= newest, "the state is there before its event");
        last = events.last().map_or(last, |e| e.seq);
        assert_eq!(last, newest);
        seen.extend(events);
    }
    assert!(seen.iter().map(|e| e.seq.0).eq(1..=20));
    assert_eq!(seen[0].what, What::Audit(1));
    assert_eq!(store.events_after(Seq(20)), Some(vec![]));
    assert_eq!(store.events_after(Seq(21)), None, "from another store");
    drop(store);
    assert_eq!(open(&disk).events_after(Seq(3)), Some(seen.split_off(3)), "after a restart from the disk");
}

#[tokio::test]
async fn old_events_are_forgotten_in_steps() {
    let disk = Disk::new();
    let few = Options { ring: 4, events_kept: 10, trim_step: 6, ..options() };
    let open =
        || Store::open_with(disk.backend(), edges(Arc::default()), Arc::default(), few.clone()).unwrap();
    let store = open();
    let kept = |store: &Store| {
        let newest = store.snapshot().meta.seq.0;
        (0..=newest).rev().take_while(|n| store.events_after(Seq(*n)).is_some()).count() as u64 - 1
    };
    let mut most = 0;
    for n in 1..=40_u64 {
        store.submit(freeze(n)).await.unwrap();
        let kept = kept(&store);
        assert!(kept >= (2 * n).min(10), "{kept} after {n} commands");
        most = most.max(kept);
    }
    assert!((10..=16).contains(&most), "up to {most}");
    drop(store);
    let store = open();
    assert!(kept(&store) >= 10);
    assert_eq!(actors(&store).len(), 40, "the audit is kept");
    store.submit(freeze("again")).await.unwrap();
    assert!((10..=16).contains(&kept(&store)));
}

#[tokio::test]
async fn bodies_are_read_from_the_disk() {
    let disk = Disk::new();
    let store = open(&disk);
    store.submit(track("acme/api", None)).await.unwrap();
    let card = CardKey { repo: RepoKey::new("loacme-api"), number: 1 };
    assert_eq!(store.body(&card).unwrap(), "the body of the first card");
    assert_eq!(store.body(&CardKey { number: 2, ..card.clone() }).unwrap(), "");
    drop(store);
    assert_eq!(open(&disk).body(&card).unwrap(), "the body of the first card");
}

#[tokio::test]
async fn the_audit_is_filtered_newest_first() {
    let store = open(&Disk::new());
    for name in ["acme/api", "Acme/Web"] {
        store.submit(track(name, None)).await.unwrap();
        store.submit(freeze("op")).await.unwrap();
    }
    let ids = |filter: &AuditFilter, limit| -> Vec<u64> {
        store.audit(filter, limit).unwrap().into_iter().map(|row| row.id).collect()
    };
    let all = AuditFilter::default();
    assert_eq!(ids(&all, 10), [4, 3, 2, 1]);
    assert_eq!(ids(&all, 2), [4, 3]);
    assert_eq!(ids(&all, 0), [] as [u64; 0]);
    assert_eq!(ids(&AuditFilter { actor: Some("op".into()), ..all.clone() }, 1), [4]);
    assert_eq!(ids(&AuditFilter { action: Some("track".into()), ..all.clone() }, 10), [3, 1]);
    assert_eq!(ids(&AuditFilter { repo: Some("acme/web".into()), ..all.clone() }, 10), [3]);
    assert_eq!(ids(&AuditFilter { issue: Some("1".into()), ..all.clone() }, 10), [3, 1]);
    assert_eq!(ids(&AuditFilter { issue: Some("loacme-api-1".into()), ..all.clone() }, 10), [1]);
    let none = AuditFilter { repo: Some("acme/api".into()), actor: Some("op".into()), ..all };
    assert_eq!(ids(&none, 10), [] as [u64; 0]);
    assert_eq!(store.audit_row(2).unwrap().unwrap().actor, "op");
    assert_eq!(store.audit_row(5).unwrap(), None);
}
