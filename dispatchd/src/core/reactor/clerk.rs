//! Status by an agent's word, labels one by one, comments, and stranded cards: always the one card that is named.

use dispatch_shared::id::{AgentName, ClaimId};
use dispatch_shared::issue::{Flag, IssueState, Status};

use super::settle::{self, AgentLabel, Relabel};
use super::{DONE, claims, moves, report, work};
use crate::core::clerk::{Deed, Paper, Standing};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::record::{Card, CardKey, Wish, Write};
use crate::core::transition::{CardEvent, ClaimEvent};

/// GitHub's limit for a label's name, in characters.
const LABEL_MAX: usize = 50;

pub(super) fn paper(d: &mut Draft, paper: &Paper) -> Result<Reply, Refusal> {
    let (key, actor) = (&paper.card, paper.actor.as_str());
    match &paper.deed {
        Deed::Status { to, agent, claim, reason } => {
            let asked = Asked { agent: agent.as_ref(), claim: *claim, reason: reason.as_deref(), actor };
            status(d, key, *to, &asked)
        }
        Deed::Label(label) => add(d, key, label, actor),
        Deed::Unlabel(label) => remove(d, key, label, actor),
        Deed::Comment(body) => comment(d, key, body, actor),
        Deed::ResetReady => reset(d, key, actor),
    }
}

/// Who asks for a status, and why.
struct Asked<'a> {
    agent: Option<&'a AgentName>,
    claim: Option<ClaimId>,
    reason: Option<&'a str>,
    actor: &'a str,
}

fn open(d: &Draft, key: &CardKey) -> Result<Card, Refusal> {
    let card = settle::card(d, key)?;
    if card.state == IssueState::Closed {
        let subject = settle::name(d, key);
        return Err(Refusal::Closed(format!("{subject} is closed; reopen it on the forge first")));
    }
    Ok(card)
}

fn status(d: &mut Draft, key: &CardKey, to: Standing, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let card = settle::card(d, key)?;
    if card.state == IssueState::Closed && to == Standing::In(Status::Done) {
        return Ok(DONE);
    }
    open(d, key)?;
    let held = settle::fence(d, key, asked.claim)?;
    if let (Some(agent), Some(held)) = (asked.agent, &held)
        && held.agent != *agent
    {
        let subject = settle::name(d, key);
        return Err(Refusal::Held(format!("{subject} is held by {} until {}", held.agent, held.expires_at)));
    }
    let by = asked.agent.map_or(asked.actor, AgentName::as_str);
    match (to, asked.agent) {
        (Standing::Blocked, _) => blocked(d, key, by, asked.reason),
        (Standing::In(Status::Done), _) => {
            if let Some(held) = &held {
                settle::end_claim(d, held, ClaimEvent::Release(by.to_owned()))?;
            }
            report::needs_person(
                d,
                key,
                by,
                &format!("resolved already, says {by}; close it if that is so"),
            )?;
            Ok(DONE)
        }
        (Standing::In(Status::InProgress), Some(agent))
            if held.is_none() || card.status == Status::InProgress =>
        {
            claims::claim(d, key, agent, false, asked.actor)?;
            Ok(DONE)
        }
        (Standing::In(to), Some(agent)) => by_agent(d, card, to, agent),
        (Standing::In(to), None) => moves::to(d, key, to, asked.claim, asked.actor),
    }
}

/// The card stays where it is, and whoever holds it goes on holding it.
fn blocked(d: &mut Draft, key: &CardKey, by: &str, reason: Option<&str>) -> Result<Reply, Refusal> {
    let mut card = settle::card(d, key)?;
    card.question = Some(reason.unwrap_or("blocked; no reason was given").to_owned());
    let change = Relabel { raise: &[Flag::Blocked], notes: reason, ..Relabel::new(by, "move_issue") };
    settle::relabel(d, &mut card, &change)?;
    Ok(DONE)
}

/// A holder, or an agent on a card that nobody holds, says where it stands: a claim ends thereby, but never a flag that
/// waits for a person.
fn by_agent(d: &mut Draft, mut card: Card, to: Status, agent: &AgentName) -> Result<Reply, Refusal> {
    let key = card.key.clone();
    let held = d.world.held(&key).cloned();
    if held.is_none()
        && let Some(other) = work::labelled(&card).into_iter().find(|a| a != agent)
    {
        let subject = settle::name(d, &key);
        return Err(Refusal::Held(format!("{subject} is assigned to {other} by its label")));
    }
    if held.is_none() && card.status == to && !card.flags.contains(&Flag::Blocked) {
        return Ok(DONE);
    }
    if let Some(held) = held.filter(|_| to != Status::InProgress) {
        settle::end_claim(d, &held, ClaimEvent::Release(agent.to_string()))?;
    }
    card.question = card.question.filter(|_| card.flags.iter().any(|f| *f != Flag::Blocked));
    let change = Relabel {
        event: Some(CardEvent::Moved(to)),
        agent: match to {
            Status::Backlog | Status::Ready => AgentLabel::Clear,
            _ => AgentLabel::Keep,
        },
        clear: &[Flag::Blocked],
        ..Relabel::new(agent.as_str(), "move_issue")
    };
    settle::relabel(d, &mut card, &change)?;
    Ok(DONE)
}

fn checked(label: &str) -> Result<&str, Refusal> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL_MAX {
        return Err(Refusal::Invalid(format!("label: 1 to {LABEL_MAX} characters")));
    }
    Ok(label)
}

/// A status label is a move, and an agent's label an assignment: both are more than a label, so they go that way.
fn add(d: &mut Draft, key: &CardKey, label: &str, actor: &str) -> Result<Reply, Refusal> {
    let label = checked(label)?;
    if let Some(to) = Status::read(label).filter(|_| label.contains('/')) {
        return moves::to(d, key, to, None, actor);
    }
    let card = settle::card(d, key)?;
    if let (Some(name), Some(held)) = (agent_of(label), d.world.held(key))
        && held.agent.as_str() != name
    {
        let subject = settle::name(d, key);
        return Err(Refusal::Held(format!("{subject} is held by {}; claim it by force instead", held.agent)));
    }
    let there = card.labels.iter().any(|l| l.eq_ignore_ascii_case(label));
    let wish = if there { Vec::new() } else { vec![label.to_owned()] };
    relabel(d, card, wish, Vec::new(), actor, "label_issue");
    Ok(DONE)
}

fn remove(d: &mut Draft, key: &CardKey, label: &str, actor: &str) -> Result<Reply, Refusal> {
    let label = checked(label)?;
    let card = settle::card(d, key)?;
    let there: Vec<String> = card.labels.iter().filter(|l| l.eq_ignore_ascii_case(label)).cloned().collect();
    if !there.is_empty() && card.state == IssueState::Open {
        if Status::read(label)
            .is_some_and(|s| label.contains('/') && s == card.status && s != Status::Backlog)
        {
            return moves::to(d, key, Status::Backlog, None, actor);
        }
        if agent_of(label).is_some_and(|name| d.world.held(key).is_some_and(|c| c.agent.as_str() == name)) {
            return claims::unclaim(d, key, None, None, actor);
        }
    }
    relabel(d, card, Vec::new(), there, actor, "unlabel_issue");
    Ok(DONE)
}

fn agent_of(label: &str) -> Option<&str> {
    let (head, name) = label.split_at_checked(6)?;
    head.eq_ignore_ascii_case("agent/").then_some(name)
}

/// Exactly these labels, and nothing of anybody else's.
fn relabel(d: &mut Draft, mut card: Card, add: Vec<String>, remove: Vec<String>, actor: &str, action: &str) {
    if add.is_empty() && remove.is_empty() {
        return;
    }
    let before = card.labels.clone();
    card.labels.retain(|l| !remove.contains(l));
    card.labels.extend(add.iter().cloned());
    settle::read_flags(&mut card);
    card.write = Some(Write::Pending);
    d.wish(&card, before.clone(), Wish::Labels { add, remove }, actor);
    let mut row = settle::row(d, actor, action, &card.key);
    row.before_labels = Some(before);
    row.after_labels = Some(card.labels.clone());
    d.card(card);
    d.audit(row);
}

fn comment(d: &mut Draft, key: &CardKey, body: &str, actor: &str) -> Result<Reply, Refusal> {
    if body.trim().is_empty() {
        return Err(Refusal::Invalid("body is missing: the comment's text".into()));
    }
    let card = settle::card(d, key)?;
    d.wish(&card, card.labels.clone(), Wish::Comment { body: body.to_owned() }, actor);
    let row = settle::row(d, actor, "comment_issue", key);
    d.audit(row);
    Ok(DONE)
}

/// A card that stands in progress, or carries an agent's label while ready, and nobody holds it. One that waits for a
/// person is not stranded.
fn reset(d: &mut Draft, key: &CardKey, actor: &str) -> Result<Reply, Refusal> {
    let card = open(d, key)?;
    let subject = settle::name(d, key);
    if let Some(held) = d.world.held(key) {
        return Err(Refusal::Held(format!(
            "{subject} is held by {} until {}; release it instead",
            held.agent, held.expires_at
        )));
    }
    if let Some(flag) = card.flags.first() {
        return Err(Refusal::Illegal(format!(
            "{subject} is not stranded: it waits for a person ({}); move it to ready when that is done",
            flag.label()
        )));
    }
    match card.status {
        Status::InProgress => {}
        Status::Ready if work::labelled(&card).is_empty() => return Ok(DONE),
        Status::Ready => {}
        other => {
            return Err(Refusal::Illegal(format!("{subject} is not stranded: it stands in {other}")));
        }
    }
    settle::give_back(d, key, actor, "move_issue", Some("stranded without a lease"))?;
    Ok(DONE)
}
