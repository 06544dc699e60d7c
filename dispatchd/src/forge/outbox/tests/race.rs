//! A person against our writes: every kind of write, every action, at every step, with every fault, and with a sync page
//! that was read at any step and reaches the ledger at any later one. Enumerated, not sampled.
//!
//! Judged twice. Once when the outbox has nothing left to do: what the person added is there and what the person removed
//! is not, and if the outbox has looked since, the board agrees with the forge and says who won. And once after a sync and
//! whatever that led to: then all of it holds in any case, and a further sync changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use dispatch_shared::issue::{IssueState, Status};
use dispatch_shared::protocol::tasks::ReportRequest;
use dispatch_shared::task::{Outcome, TaskType};

use super::ground::*;
use crate::core::clerk::{Deed as Doing, Paper, Standing};
use crate::core::command::{Command, Evidence, Report, Take};
use crate::core::intent::{column, named};
use crate::core::problem::problems;
use crate::core::record::Write;
use crate::core::seen::SeenIssue;

/// Brings a ground to where something of ours waits to be written.
struct Scene {
    name: &'static str,
    start: fn() -> Arc<Ground>,
}

fn take(ground: &Ground) {
    ground.decide(&Command::Take(Take {
        agent: agent("kai"),
        lane: None,
        kind: TaskType::Implement,
        repos: None,
        resume: false,
        idempotency_key: None,
        runner: false,
        slots: 1,
        lifted: Default::default(),
    }));
}

fn taken() -> Arc<Ground> {
    let ground = Ground::new(&["bug", "status/ready"]);
    take(&ground);
    ground.drain().unwrap();
    ground.sync();
    ground
}

fn release(ground: &Ground) {
    ground.decide(&Command::Unclaim {
        card: key(),
        agent: Some(agent("kai")),
        claim: None,
        actor: "kai".into(),
    });
}

fn report(ground: &Ground, outcome: Outcome) {
    ground.decide(&Command::Report(Box::new(Report {
        agent: agent("kai"),
        card: Some(key()),
        request: ReportRequest {
            summary: Some("as told".into()),
            ..ReportRequest::new(TaskType::Implement, outcome)
        },
        evidence: Evidence::NotNeeded,
    })));
}

fn to(ground: &Ground, status: Status) {
    ground.decide(&Command::Move { card: key(), to: status, claim: None, actor: "op".into() });
}

const SCENES: [Scene; 13] = [
    Scene {
        name: "claim",
        start: || {
            let ground = Ground::new(&["bug", "status/ready"]);
            take(&ground);
            ground
        },
    },
    Scene {
        name: "claim by name, no status label",
        start: || {
            let ground = Ground::new(&["bug"]);
            let (card, agent) = (key(), agent("kai"));
            ground.decide(&Command::Claim { card, agent, force: false, actor: "kai".into() });
            ground
        },
    },
    Scene {
        name: "release",
        start: || {
            let ground = taken();
            release(&ground);
            ground
        },
    },
    Scene {
        name: "claim and release",
        start: || {
            let ground = Ground::new(&["bug", "status/ready"]);
            take(&ground);
            release(&ground);
            ground
        },
    },
    Scene {
        name: "move from no label to ready",
        start: || {
            let ground = Ground::new(&["bug"]);
            to(&ground, Status::Ready);
            ground
        },
    },
    Scene {
        name: "move from ready to backlog",
        start: || {
            let ground = Ground::new(&["bug", "status/ready"]);
            to(&ground, Status::Backlog);
            ground
        },
    },
    Scene {
        name: "move twice",
        start: || {
            let ground = Ground::new(&["bug", "status/backlog"]);
            to(&ground, Status::Ready);
            to(&ground, Status::InReview);
            ground
        },
    },
    Scene {
        name: "blocked under a claim",
        start: || {
            let ground = taken();
            let deed =
                Doing::Status { to: Standing::Blocked, agent: None, claim: None, reason: Some("why".into()) };
            ground.decide(&Command::Paper(Box::new(Paper { card: key(), deed, actor: "op".into() })));
            ground
        },
    },
    Scene {
        name: "in review by its holder",
        start: || {
            let ground = taken();
            let deed = Doing::Status {
                to: Standing::In(Status::InReview),
                agent: Some(agent("kai")),
                claim: None,
                reason: None,
            };
            ground.decide(&Command::Paper(Box::new(Paper { card: key(), deed, actor: "kai".into() })));
            ground
        },
    },
    Scene {
        name: "a question: needs-human",
        start: || {
            let ground = taken();
            report(&ground, Outcome::Blocked);
            ground
        },
    },
    Scene {
        name: "nothing to do: backlog and needs-human",
        start: || {
            let ground = taken();
            report(&ground, Outcome::NoChangesNeeded);
            ground
        },
    },
    Scene {
        name: "done",
        start: || {
            let ground = Ground::new(&["bug", "status/in-review", "agent/kai"]);
            ground.edit(|issue| turn(issue, IssueState::Closed));
            ground.sync();
            ground
        },
    },
    Scene {
        name: "done under a claim",
        start: || {
            let ground = taken();
            ground.edit(|issue| turn(issue, IssueState::Closed));
            ground.sync();
            ground
        },
    },
];

fn without_columns(issue: &mut SeenIssue) {
    issue.labels.retain(|l| column(l).is_none());
}

fn put(issue: &mut SeenIssue, label: &str) {
    if !issue.labels.iter().any(|l| l == label) {
        issue.labels.push(label.to_owned());
    }
}

/// Everything that a person may do, with a name for it.
fn people() -> Vec<(String, Person)> {
    let mut all: Vec<(String, Person)> = Vec::new();
    for status in [Status::Backlog, Status::Ready, Status::InProgress, Status::InReview] {
        let label = status.label();
        all.push((format!("adds {label}"), Arc::new(move |i| put(i, &label))));
        let label = status.label();
        all.push((
            format!("removes or deletes {label}"),
            Arc::new(move |i| i.labels.retain(|l| *l != label)),
        ));
        let label = status.label();
        let swap = move |issue: &mut SeenIssue| {
            without_columns(issue);
            put(issue, &label);
        };
        all.push((format!("swaps the status for {status}"), Arc::new(swap)));
        if !matches!(status, Status::Ready | Status::InProgress) {
            continue;
        }
        let label = status.label();
        let same = move |issue: &mut SeenIssue| {
            without_columns(issue);
            put(issue, &label);
            if matches!(status, Status::InProgress) {
                put(issue, "agent/kai");
            } else {
                issue.labels.retain(|l| l != "agent/kai");
            }
        };
        all.push((format!("does all that {status} wants"), Arc::new(same)));
    }
    all.push(("removes every status".into(), Arc::new(without_columns)));
    for label in ["agent/zoe", "agent/kai", "priority/p0", "needs-human", "status/blocked"] {
        all.push((format!("adds {label}"), Arc::new(move |i| put(i, label))));
    }
    for label in ["agent/kai", "needs-human", "status/blocked"] {
        all.push((format!("removes or deletes {label}"), Arc::new(move |i| i.labels.retain(|l| l != label))));
    }
    all.push(("closes".into(), Arc::new(|i| turn(i, IssueState::Closed))));
    all.push(("reopens".into(), Arc::new(|i| turn(i, IssueState::Open))));
    all
}

/// What is wrong, if something is.
fn judge(ground: &Ground, in_the_end: bool) -> Result<(), String> {
    let (live, card, world) = (ground.live(), ground.card(), ground.world());
    let Some(mut deed) = ground.deed() else { return Err("the person never came".into()) };
    // Done by both in the same moment: it says nothing of what else is wanted.
    deed.added.retain(|l| !deed.at_once.contains(l));
    deed.removed.retain(|l| !deed.at_once.contains(l));
    let there = |label: &String| live.labels.contains(label);
    if let Some(lost) = deed.added.iter().find(|l| !there(l)) {
        return Err(format!("{lost} was added by a person and is gone"));
    }
    if let Some(back) = deed.removed.iter().find(|l| there(l)) {
        return Err(format!("{back} was removed by a person and is back"));
    }
    if !(in_the_end || deed.looked_since) {
        return Ok(());
    }
    let set = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<_>>();
    if set(&card.forge_labels) != set(&live.labels) || set(&card.labels) != set(&live.labels) {
        return Err(format!("the board shows {:?}, known are {:?}", card.labels, card.forge_labels));
    }
    if card.state != live.state {
        return Err("the board does not know that it was closed or opened".into());
    }
    let columns = named(&live.labels);
    let held = world.held(&key());
    // Under a live claim a refusal leaves the card where the work is, and is shown.
    let refused = matches!(card.write, Some(Write::Refused(_)));
    if held.is_some() && refused {
        return Ok(());
    }
    let moved = deed.added.iter().chain(&deed.removed).any(|l| column(l).is_some());
    if refused && !moved {
        // The forge would not have what we wanted, and that is shown.
        return Ok(());
    }
    if live.state == IssueState::Open {
        let stands = columns.iter().next_back().copied().unwrap_or(Status::Backlog);
        if columns.len() > 1 && !refused {
            return Err("it has two status labels".into());
        }
        // The forge would not let go of the other one, and that is shown.
        if columns.len() > 1 && columns.contains(&card.status) {
            return Ok(());
        }
        if card.status != stands {
            return Err(format!("its label says {stands}"));
        }
    }
    if held.is_some() && !matches!(card.status, Status::InProgress | Status::InReview) {
        return Err("somebody holds it where nobody works".into());
    }
    if let Some(claim) = held
        && !there(&format!("agent/{}", claim.agent))
    {
        return Err("it is held without its holder's label".into());
    }
    // A column that nobody but the person wanted: somebody has to have said so.
    let rows = ground.audit_from(deed.audit_before);
    let told = rows.iter().any(|r| {
        matches!(
            r.action.as_str(),
            "supersede_write" | "revoke_claim" | "follow_labels" | "close_issue" | "move_issue"
        )
    });
    let ours_stands = deed.added.iter().filter_map(|l| column(l)).all(|s| s == card.status);
    if moved && !ours_stands && !told && live.state == IssueState::Open {
        return Err("a person won and nobody says so".into());
    }
    if live.state == IssueState::Open
        && live.labels.iter().filter(|l| l.starts_with("agent/")).count() > 1
        && !problems(&world, ground.card().since).iter().any(|p| p.text.contains("agent/"))
    {
        return Err("two agents' labels and no problem is shown".into());
    }
    Ok(())
}

fn case(
    start: &Ground,
    person: &Person,
    at: usize,
    page: Option<(usize, usize)>,
    fails: Option<(usize, Fails)>,
) -> Result<Deed, String> {
    let ground = start.fork();
    ground.take_writes();
    let mut plan = Vec::new();
    // At one step: the page is read, then the person acts, then the page arrives.
    plan.extend(page.map(|(read, _)| (read, Happens::Read)));
    plan.push((at, Happens::Person(person.clone())));
    plan.extend(page.map(|(_, arrives)| (arrives, Happens::Deliver)));
    ground.script(plan, fails);
    let said = |when: &str, why: String| format!("{when}: {why}\n{:#?}", picture(&ground));
    ground.drain().map_err(|why| said("at first", why))?;
    ground.rest();
    ground.drain().map_err(|why| said("at first", why))?;
    let deed = ground.deed().unwrap_or_default();
    judge(&ground, false).map_err(|why| said("written", why))?;
    if !deed.did() {
        return Ok(deed);
    }
    ground.script(Vec::new(), None);
    ground.sync();
    ground.drain().map_err(|why| said("after a sync", why))?;
    judge(&ground, true).map_err(|why| said("after a sync", why))?;
    ground.take_writes();
    ground.sync();
    ground.drain().map_err(|why| said("after a sync", why))?;
    match ground.take_writes() {
        writes if writes.is_empty() => Ok(deed),
        writes => Err(said("after another sync", format!("still writing: {writes:?}"))),
    }
}

type Case = (usize, Option<(usize, usize)>, Option<(usize, Fails)>);

#[derive(Default)]
struct Tally {
    count: usize,
    effective: usize,
    at_once: usize,
    /// What is wrong, how often, and an example.
    wrong: BTreeMap<String, (usize, String)>,
}

impl Tally {
    /// Every action at every case of one scene.
    fn scene(&mut self, scene: &Scene, cases: &dyn Fn(usize) -> Vec<Case>) {
        let start = (scene.start)();
        let alone = start.fork();
        alone.script(Vec::new(), None);
        alone.drain().unwrap();
        let steps = alone.steps();
        for (name, person) in people() {
            for (at, page, fails) in cases(steps) {
                self.count += 1;
                match case(&start, &person, at, page, fails) {
                    Ok(deed) => {
                        self.effective += usize::from(deed.did());
                        self.at_once += usize::from(!deed.at_once.is_empty());
                    }
                    Err(why) => {
                        let short = why.lines().next().unwrap_or_default();
                        let entry = self.wrong.entry(format!("{}: {name}: {short}", scene.name)).or_default();
                        entry.0 += 1;
                        entry.1 = format!("at {at}, page {page:?}, fails {fails:?}, {steps} steps\n{why}");
                    }
                }
            }
        }
    }
}

/// Runs `cases`, given how many steps a scene has alone, of every scene and action; says all that is wrong.
fn sweep(what: &str, cases: impl Fn(usize) -> Vec<Case> + Sync) {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(scene) = SCENES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut tally = Tally::default();
                    tally.scene(scene, &cases);
                    let mut all = all.lock().unwrap();
                    all.count += tally.count;
                    all.effective += tally.effective;
                    all.at_once += tally.at_once;
                    all.wrong.extend(tally.wrong);
                }
            });
        }
    });
    let Tally { count, effective, at_once, wrong } = all.into_inner().unwrap();
    eprintln!(
        "{what}: {count} interleavings; in {effective} the person changed something, in {at_once} of them just what we \
         were writing; {:.1?}",
        began.elapsed()
    );
    let list: Vec<String> =
        wrong.iter().take(40).map(|(name, (n, example))| format!("{n} × {name}\n{example}")).collect();
    assert!(wrong.is_empty(), "{} kinds of wrong:\n{}", wrong.len(), list.join("\n"));
    assert!(effective > 0, "nothing was tried");
}

#[test]
fn a_person_wins_at_every_step_with_every_page_of_a_sync() {
    sweep("with a page", |steps| {
        let mut all = Vec::new();
        for at in 0..=steps {
            all.push((at, None, None));
            for read in 0..=steps {
                all.extend((read..=steps).map(|arrives| (at, Some((read, arrives)), None)));
            }
        }
        all
    });
}

#[test]
fn a_person_wins_at_every_step_whatever_fails() {
    const FAILS: [Fails; 5] =
        [Fails::Unreachable, Fails::AnswerLost, Fails::Refused, Fails::Limited, Fails::Crash];
    sweep("with a fault", |steps| {
        let mut all = Vec::new();
        // A second try has as many steps again, and a look or two more.
        for at in 0..=2 * steps + 2 {
            for broken in 0..steps {
                for fails in FAILS {
                    all.push((at, None, Some((broken, fails))));
                }
            }
        }
        all
    });
}
