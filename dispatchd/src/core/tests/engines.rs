//! Engines that are missing and containers that nobody knows: shown while they are so, and told of once.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::protocol::control::{Problem, ProblemKind};
use dispatch_shared::run::RuntimeKind;

use super::fixture::{Hand, repo};
use crate::core::command::Command;
use crate::core::problem;
use crate::core::record::Stray;

fn ailing(said: &[(&str, &str)]) -> Command {
    Command::Ailing(said.iter().map(|(who, said)| ((*who).to_owned(), (*said).to_owned())).collect())
}

fn shown(hand: &Hand, kind: ProblemKind) -> Vec<Problem> {
    problem::problems(&hand.world, hand.now).into_iter().filter(|p| p.kind == kind).collect()
}

fn runner(hand: &mut Hand, on: bool) {
    let runner_enabled = Some(on);
    let (repo, wip_limit, lanes, actor) = (repo(), None, None, "op".into());
    hand.ok(&Command::PatchRepo { repo, runner_enabled, wip_limit, lanes, actor });
}

#[test]
fn a_missing_engine_is_a_problem_where_somebody_waits_for_it() {
    let mut hand = Hand::new();
    runner(&mut hand, false);
    hand.ok(&ailing(&[("docker", "docker is not installed")]));
    assert_eq!(shown(&hand, ProblemKind::Engine), [], "who only hands out tasks needs none");
    runner(&mut hand, true);
    let first = shown(&hand, ProblemKind::Engine);
    assert_eq!((first[0].subject.as_str(), first[0].text.as_str()), ("docker", "docker is not installed"));
    assert_eq!(first[0].id, "engine-docker");

    hand.pass(60);
    hand.ok(&ailing(&[("docker", "docker does not answer"), ("image a:1", "there is none")]));
    let both = shown(&hand, ProblemKind::Engine);
    assert_eq!(both.iter().map(|p| p.subject.as_str()).collect::<Vec<_>>(), ["docker", "image a:1"]);
    assert_eq!((both[0].since, both[0].text.as_str()), (first[0].since, "docker does not answer"));

    hand.ok(&Command::Ailing(BTreeMap::new()));
    assert_eq!(shown(&hand, ProblemKind::Engine), []);
}

fn stray(engine: RuntimeKind, name: &str, running: bool) -> Stray {
    let (run, attempt) = (RunId(77), Attempt(5));
    Stray { engine, name: name.into(), run, attempt, running, since: Timestamp(0) }
}

#[test]
fn what_nobody_knows_is_a_problem_until_its_engine_holds_it_no_more() {
    let mut hand = Hand::new();
    let found = vec![stray(RuntimeKind::Docker, "x", true), stray(RuntimeKind::Podman, "y", false)];
    hand.ok(&Command::Strays { asked: vec![RuntimeKind::Docker, RuntimeKind::Podman], found });
    let first = shown(&hand, ProblemKind::Orphan);
    assert_eq!(
        first.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(),
        ["orphan-docker-x", "orphan-podman-y"]
    );
    assert!(first[0].text.contains("dispatch orphans --stop x") && first[0].text.contains("it runs"));
    assert!(first[1].text.contains("has ended"));

    hand.pass(3_600);
    let found = vec![stray(RuntimeKind::Docker, "x", true)];
    hand.ok(&Command::Strays { asked: vec![RuntimeKind::Docker], found });
    let again = shown(&hand, ProblemKind::Orphan);
    assert_eq!(again, first, "the same since the same time; podman was not asked");
    hand.ok(&Command::Strays { asked: vec![RuntimeKind::Docker, RuntimeKind::Podman], found: Vec::new() });
    assert_eq!(shown(&hand, ProblemKind::Orphan), []);
}
