//! The outbox against a ledger and a forge in memory. `race`: a person against it, in every interleaving, on `ground`.

mod ground;
mod race;

use std::sync::Arc;

use dispatch_shared::id::IntentId;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::core::change::Change;
use crate::core::record::{ForgeKind, Wish};
use crate::edges::ForgeError;
use crate::forge::stub::{StubForge, StubLedger, door, forges, intent, issue, repo};

struct Scene {
    ledger: Arc<StubLedger>,
    forge: Arc<StubForge>,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An outbox under way, with the issues 1 to 3 of `lo1` ready.
fn scene() -> Scene {
    let (ledger, forge, stop) = (StubLedger::new(), Arc::new(StubForge::new()), CancellationToken::new());
    ledger.put(&Change::Repo(repo("lo1", ForgeKind::Local)));
    for number in 1..=3 {
        forge.issues.lock().unwrap().insert(number, issue(number, &["bug", "status/ready"]));
    }
    let outbox = Outbox::new(door(&ledger), forges(&forge), Edges::default());
    let token = stop.clone();
    tokio::spawn(async move { outbox.run(token).await });
    Scene { ledger, forge, stop }
}

fn take() -> Wish {
    Wish::Labels {
        add: vec!["status/in-progress".into(), "agent/kai".into()],
        remove: vec!["status/ready".into()],
    }
}

fn results(commands: &[Command]) -> Vec<(IntentId, IntentResult)> {
    let result = |c: &Command| match c {
        Command::Intent { id, result } => Some((*id, result.clone())),
        _ => None,
    };
    commands.iter().filter_map(result).collect()
}

impl Scene {
    async fn results(&self, count: usize) -> Vec<(IntentId, IntentResult)> {
        self.ledger.until("there are so many results", |c| results(c).len() >= count).await;
        results(&self.ledger.commands())
    }
}

#[tokio::test]
async fn labels_are_added_then_removed_and_read_back() {
    let s = scene();
    s.ledger.put(&intent(7, "lo1", 1, take()));
    let live = Box::new(issue(1, &["bug", "status/in-progress", "agent/kai"]));
    assert_eq!(s.results(1).await, [(IntentId(7), IntentResult::Done { live, same: Vec::new() })]);
    assert_eq!(s.forge.done(), ["add status/in-progress agent/kai", "remove status/ready"]);
}

#[tokio::test]
async fn a_person_who_moved_the_card_wins() {
    let s = scene();
    let live = issue(1, &["status/backlog"]);
    s.forge.issues.lock().unwrap().insert(1, live.clone());
    s.ledger.put(&intent(7, "lo1", 1, take()));
    let expected = IntentResult::Superseded { live: Box::new(live), took: Vec::new() };
    assert_eq!(s.results(1).await, [(IntentId(7), expected)]);
    assert_eq!(s.forge.done(), [] as [&str; 0], "nothing was written");
}

#[tokio::test]
async fn a_refusal_is_final_and_an_outage_is_not() {
    let s = scene();
    s.forge.failures.lock().unwrap().push(ForgeError::Refused("no permission".into()));
    s.ledger.put(&intent(1, "lo1", 1, take()));
    let IntentResult::Refused { why, live, .. } = s.results(1).await[0].1.clone() else {
        panic!("not refused")
    };
    let labels = live.map(|live| live.labels);
    assert_eq!((why.as_str(), labels), ("no permission", Some(vec!["bug".into(), "status/ready".into()])));

    s.ledger.put(&intent(2, "lo1", 9, take()));
    assert_eq!(s.results(2).await[1].1, IntentResult::refused("no #9"));

    s.forge.failures.lock().unwrap().push(ForgeError::Unreachable("down".into()));
    let before = Edges::default().clock.now();
    s.ledger.put(&intent(3, "lo1", 2, take()));
    let IntentResult::Later { due, error, .. } = s.results(3).await[2].1.clone() else { panic!("not later") };
    assert_eq!(error, "down");
    let wait = due.since(before).as_secs_f64();
    assert!((4.0..10.0).contains(&wait), "{wait} s");

    let until = before + Duration::from_secs(900);
    s.forge.failures.lock().unwrap().push(ForgeError::RateLimited { until, what: "writing".into() });
    s.ledger.put(&intent(4, "lo1", 3, take()));
    let IntentResult::Later { due, .. } = s.results(4).await[3].1 else { panic!("not later") };
    assert!(due >= until, "not before the forge wants to hear from us");
}

#[tokio::test]
async fn one_cards_intents_go_in_order_and_a_waiting_one_holds_only_its_card() {
    let s = scene();
    let comment = || Wish::Comment { body: "Hello".into() };
    s.forge.failures.lock().unwrap().push(ForgeError::Unreachable("down".into()));
    s.ledger.put(&intent(1, "lo1", 1, comment()));
    s.results(1).await;
    s.ledger.put(&intent(2, "lo1", 1, comment()));
    s.ledger.put(&intent(3, "lo1", 2, comment()));
    let results = s.results(2).await;
    assert_eq!(results[1].0, IntentId(3), "the second of the first card waits for the first");
    assert_eq!(s.forge.done(), ["comment #2 <!-- dispatch:i-3 -->"]);
}

#[tokio::test]
async fn without_a_way_to_the_forge_nothing_is_lost_and_the_sentence_names_the_repository() {
    let s = scene();
    s.ledger.put(&Change::Repo(repo("gh1", ForgeKind::Github)));
    s.ledger.put(&intent(1, "gh1", 1, take()));
    let IntentResult::Later { error: said, .. } = s.results(1).await[0].1.clone() else { panic!("given up") };
    assert!(said.contains("acme/gh1"), "{said}");
}
