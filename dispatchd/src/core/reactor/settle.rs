//! What several commands do: end a claim, and change a card together with its labels, its audit row and the intent that
//! carries the labels to the forge.

use std::sync::Arc;

use dispatch_shared::event::What;
use dispatch_shared::followup::PullState;
use dispatch_shared::id::{AgentName, ClaimId, RepoKey};
use dispatch_shared::issue::{Flag, IssueState, Status, agent_label, read_labels};
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::run::{EndClass, RunState};

use crate::core::command::Refusal;
use crate::core::draft::Draft;
use crate::core::intent::column;
use crate::core::record::{Card, CardKey, Claim, Kill, Run, Wish, Write};
use crate::core::transition::{self, CardEvent, ClaimEvent, Illegal};
use dispatch_shared::task::TaskType;

impl From<Illegal> for Refusal {
    fn from(illegal: Illegal) -> Self {
        Refusal::Illegal(illegal.to_string())
    }
}

/// The card, or a refusal that names it.
pub(super) fn card(d: &Draft, key: &CardKey) -> Result<Card, Refusal> {
    match d.world.cards.get(key) {
        Some(card) if !card.gone => Ok((**card).clone()),
        _ => Err(Refusal::NotFound(format!(
            "there is no issue {}; sync the repository if it is new",
            key.id()
        ))),
    }
}

/// The card as a person names it.
pub(super) fn name(d: &Draft, key: &CardKey) -> String {
    match d.world.repos.get(&key.repo) {
        Some(repo) => format!("{}#{}", repo.name, key.number),
        None => key.id().to_string(),
    }
}

/// An audit row about `card`, without label changes.
pub(super) fn row(d: &Draft, actor: &str, action: &str, card: &CardKey) -> AuditRow {
    AuditRow {
        id: 0,
        actor: actor.to_owned(),
        action: action.to_owned(),
        repo_full_name: d.world.repos.get(&card.repo).map(|r| r.name.clone()),
        issue_number: Some(card.number),
        issue_id: Some(card.id()),
        before_labels: None,
        after_labels: None,
        success: true,
        error_message: None,
        notes: None,
        created_at: d.now,
    }
}

/// What happens to the label `agent/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentLabel<'a> {
    Keep,
    Set(&'a AgentName),
    Clear,
}

/// A change of a card that shows in its labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relabel<'a> {
    pub(super) event: Option<CardEvent>,
    pub(super) agent: AgentLabel<'a>,
    pub(super) raise: &'a [Flag],
    pub(super) clear: &'a [Flag],
    pub(super) add: &'a [String],
    pub(super) actor: &'a str,
    pub(super) action: &'a str,
    pub(super) notes: Option<&'a str>,
}

impl<'a> Relabel<'a> {
    pub(super) fn new(actor: &'a str, action: &'a str) -> Self {
        Self {
            event: None,
            agent: AgentLabel::Keep,
            raise: &[],
            clear: &[],
            add: &[],
            actor,
            action,
            notes: None,
        }
    }
}

/// The flags that mean "somebody has to do something first"; what makes a card ready again takes them away.
pub(super) const STOPPERS: [Flag; 3] = [Flag::Blocked, Flag::NeedsHuman, Flag::NeedsInfo];

/// Changes `card` as asked: column, labels, flags, the intent for the forge, and the audit row. The caller's copy is the
/// card as it is afterwards.
pub(super) fn relabel(d: &mut Draft, card: &mut Card, change: &Relabel<'_>) -> Result<(), Refusal> {
    let before = card.labels.clone();
    if let Some(event) = change.event {
        let next = transition::card(card.status, event)?;
        if next != card.status {
            card.status = next;
            card.since = d.now;
        }
    }
    card.labels = wanted_labels(&before, card.status, change);
    read_flags(card);
    let add: Vec<String> = card.labels.iter().filter(|l| !before.contains(l)).cloned().collect();
    let remove: Vec<String> = before.iter().filter(|l| !card.labels.contains(l)).cloned().collect();
    let changed = !add.is_empty() || !remove.is_empty();
    if changed {
        card.write = Some(Write::Pending);
        d.wish(card, before.clone(), Wish::Labels { add, remove }, change.actor);
    }
    d.card(card.clone());
    d.audit(AuditRow {
        before_labels: changed.then_some(before),
        after_labels: changed.then(|| card.labels.clone()),
        notes: change.notes.map(ToOwned::to_owned),
        ..row(d, change.actor, change.action, &card.key)
    });
    Ok(())
}

fn wanted_labels(before: &[String], status: Status, change: &Relabel<'_>) -> Vec<String> {
    let mut labels: Vec<String> = before
        .iter()
        .filter(|label| {
            let other_status = change.event.is_some()
                && Status::read(label).is_some_and(|s| label.contains('/') && s != status);
            let other_agent =
                change.agent != AgentLabel::Keep && label.to_ascii_lowercase().starts_with("agent/");
            let cleared = Flag::read(label).is_some_and(|f| change.clear.contains(&f));
            !(other_status || other_agent || cleared)
        })
        .cloned()
        .collect();
    let mut want = |label: String| {
        if !labels.iter().any(|l| l.eq_ignore_ascii_case(&label)) {
            labels.push(label);
        }
    };
    if change.event.is_some() {
        want(status.label());
    }
    if let AgentLabel::Set(agent) = change.agent {
        want(agent_label(agent));
    }
    for flag in change.raise {
        want(flag.label().to_owned());
    }
    for label in change.add {
        want(label.clone());
    }
    labels
}

/// Has labels follow the column of an open card that a person chose: those of other columns go, and those of `extra`, but
/// for an agent's while the card stands where agents work. Nothing is added.
pub(super) fn follow(d: &mut Draft, key: &CardKey, extra: &[String]) -> Result<(), Refusal> {
    let mut card = card(d, key)?;
    if card.state == IssueState::Closed {
        return Ok(());
    }
    let works = matches!(card.status, Status::InProgress | Status::InReview);
    let goes = |label: &String| match column(label) {
        Some(column) => column != card.status,
        None => {
            let agents = label.to_ascii_lowercase().starts_with("agent/");
            !(agents && works) && extra.iter().any(|l| l.eq_ignore_ascii_case(label))
        }
    };
    let remove: Vec<String> = card.labels.iter().filter(|l| goes(l)).cloned().collect();
    if remove.is_empty() {
        return Ok(());
    }
    let before = card.labels.clone();
    card.labels.retain(|l| !remove.contains(l));
    read_flags(&mut card);
    if card.write.is_none() {
        card.write = Some(Write::Pending);
    }
    d.wish(&card, before.clone(), Wish::Labels { add: Vec::new(), remove }, "dispatch");
    let row = AuditRow {
        before_labels: Some(before),
        after_labels: Some(card.labels.clone()),
        notes: Some(format!("labels follow the card, which stands in {}", card.status)),
        ..row(d, "dispatch", "follow_labels", key)
    };
    d.card(card);
    d.audit(row);
    Ok(())
}

/// Takes the card's flags from its labels.
pub(super) fn read_flags(card: &mut Card) {
    card.flags = read_labels(card.labels.iter().map(String::as_str)).flags;
}

/// Ends a held claim. If the built-in runner holds it and the end is none of its own, its run is told to stop.
pub(super) fn end_claim(d: &mut Draft, claim: &Arc<Claim>, event: ClaimEvent) -> Result<(), Refusal> {
    let revoked = !matches!(event, ClaimEvent::Finish(_));
    let by = match &event {
        ClaimEvent::Release(by) | ClaimEvent::Revoke(by) => by.clone(),
        _ => "dispatch".to_owned(),
    };
    let expired = event == ClaimEvent::Expire;
    let state = transition::claim(&claim.state, event)?;
    d.claim(Claim { state, ended_at: Some(d.now), ..(**claim).clone() });
    super::followup::handed_back(d, claim, expired)?;
    if revoked && let Some(run) = claim.run.and_then(|id| d.world.runs.get(&id)).cloned() {
        stop_run(d, &run, by);
    }
    Ok(())
}

/// Tells a live run that what it works on was taken away. One that waits is over at once: nobody sees to it.
pub(super) fn stop_run(d: &mut Draft, run: &Run, by: String) {
    let mut run = run.clone();
    if !run.state.is_live() {
        return;
    }
    if run.waiting {
        run.waiting = false;
        run.state = RunState::Ended(EndClass::Revoked);
        run.ended_at = Some(d.now);
        run.reason = Some(format!("what it was to work on was taken away before it began: {by}"));
    } else {
        let now = run.kill.as_ref().is_some_and(|k| k.now);
        run.kill = Some(Kill { by, now, revoked: true });
    }
    d.run(run);
}

/// An audit row about a run: it has no issue where the run has none.
pub(super) fn row_of_run(d: &Draft, actor: &str, action: &str, run: &Run) -> AuditRow {
    let row = row(d, actor, action, &run.card);
    if d.world.cards.contains_key(&run.card) {
        return row;
    }
    AuditRow { issue_id: None, issue_number: None, ..row }
}

/// Takes a live claim away because a person, or the forge, decided otherwise.
pub(super) fn revoke(d: &mut Draft, card: &CardKey, why: &str) -> Result<bool, Refusal> {
    let Some(claim) = d.world.held(card).cloned() else { return Ok(false) };
    end_claim(d, &claim, ClaimEvent::Revoke(why.to_owned()))?;
    d.audit(AuditRow {
        notes: Some(format!("{}: {why}", claim.id)),
        ..row(d, "dispatch", "revoke_claim", card)
    });
    Ok(true)
}

/// Tells of every card of a repository: followers know them by names that have changed, or had forgotten them.
pub(super) fn tell_cards(d: &mut Draft, repo: &RepoKey) {
    for card in d.world.cards_of(repo) {
        d.tell(What::Issue(card.key.id()));
    }
}

/// Whether an open pull request is linked to the card.
pub(super) fn has_open_pull(d: &Draft, card: &Card) -> bool {
    d.world.linked_pull(card).is_some_and(|p| p.seen.state == PullState::Open)
}

/// Refuses an agent whose newest claim on the card was taken away by a person: what it does now, without naming a claim,
/// would undo what the person did.
pub(super) fn not_revoked(d: &Draft, key: &CardKey, agent: &AgentName) -> Result<(), Refusal> {
    use crate::core::record::ClaimState;
    match d.world.newest_claim(key) {
        Some(claim) if claim.agent == *agent && matches!(claim.state, ClaimState::Revoked(_)) => {
            Err(ended(d, key, claim.id))
        }
        _ => Ok(()),
    }
}

/// Why `agent`, who names no claim, may do nothing on a card that `held` is held by: its own claim was taken away for it,
/// or it never had one.
pub(super) fn held_by_another(d: &Draft, held: &Claim, agent: &AgentName) -> Refusal {
    match d.world.revoked_claim(&held.card).filter(|c| c.agent == *agent) {
        Some(taken) => ended(d, &held.card, taken.id),
        None => {
            let subject = name(d, &held.card);
            Refusal::Held(format!("{subject} is held by {}, not by {agent}", held.agent))
        }
    }
}

/// What a card becomes when its claim ends without a result: in review if a pull request is open, back to a person if it
/// was closed without a merge, else ready and without its agent label.
pub(super) fn give_back(
    d: &mut Draft,
    key: &CardKey,
    actor: &str,
    action: &str,
    notes: Option<&str>,
) -> Result<(), Refusal> {
    let mut card = card(d, key)?;
    if card.state == IssueState::Closed {
        return Ok(());
    }
    let open_pull = has_open_pull(d, &card);
    let closed =
        d.world.linked_pull(&card).filter(|p| p.seen.state == PullState::Closed).map(|p| p.seen.number);
    if let Some(number) = closed {
        card.question = Some(format!("pull request #{number} was closed without a merge"));
    }
    let change = Relabel {
        event: Some(if closed.is_some() {
            CardEvent::PullClosed
        } else {
            CardEvent::GivenBack { open_pull }
        }),
        agent: if open_pull { AgentLabel::Keep } else { AgentLabel::Clear },
        raise: if closed.is_some() { &[Flag::NeedsHuman] } else { &[] },
        notes,
        ..Relabel::new(actor, action)
    };
    relabel(d, &mut card, &change)
}

/// What a card becomes when `claim`, just ended, ends without a result: a groomer's moves nothing.
pub(super) fn give_back_claim(
    d: &mut Draft,
    claim: &Claim,
    actor: &str,
    action: &str,
    notes: Option<&str>,
) -> Result<(), Refusal> {
    if claim.kind != TaskType::Implement {
        let row = row(d, actor, action, &claim.card);
        d.audit(AuditRow { notes: notes.map(ToOwned::to_owned), ..row });
        return Ok(());
    }
    give_back(d, &claim.card, actor, action, notes)
}

/// The live claim on `card` if `named` is none or names it.
///
/// # Errors
/// Stale or revoked, in words, if `named` is another one.
pub(super) fn fence(d: &Draft, key: &CardKey, named: Option<ClaimId>) -> Result<Option<Arc<Claim>>, Refusal> {
    let held = d.world.held(key).cloned();
    match (named, held) {
        (None, held) => Ok(held),
        (Some(id), Some(claim)) if claim.id == id => Ok(Some(claim)),
        (Some(id), _) => Err(ended(d, key, id)),
    }
}

/// Says why the claim `id` is not the live one.
pub(super) fn ended(d: &Draft, key: &CardKey, id: ClaimId) -> Refusal {
    use crate::core::record::ClaimState;
    let subject = name(d, key);
    match d.world.claims.get(&id).map(|c| &c.state) {
        Some(ClaimState::Revoked(why)) => Refusal::Revoked(format!(
            "claim {id} on {subject} was taken away: {why}; stop and ask for the next task"
        )),
        Some(state) => Refusal::Stale(format!(
            "claim {id} on {subject} has ended ({}); ask for the next task",
            match state {
                ClaimState::Finished(_) => "reported",
                ClaimState::Released(_) => "released",
                ClaimState::Expired => "its lease ran out",
                _ => "it is on another subject",
            }
        )),
        None => Refusal::Stale(format!("claim {id} is not the live one on {subject}; ask for the next task")),
    }
}
