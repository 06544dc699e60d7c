//! Freezing, and the passing of time.

use std::collections::BTreeMap;

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::task::TaskType;

use super::{claims, settle, spend};
use crate::core::command::{Refusal, Reply};
use crate::core::draft::Draft;
use crate::core::pool;
use crate::core::record::{Card, CardKey, Claim};
use crate::core::transition::ClaimEvent;

pub(super) fn freeze(d: &mut Draft, frozen: bool, actor: &str) -> Reply {
    if d.world.meta.frozen != frozen {
        d.meta(|m| m.frozen = frozen);
        d.tell(What::Control);
        let nothing = CardKey { repo: RepoKey::new(""), number: 0 };
        let action = if frozen { "freeze" } else { "thaw" };
        d.audit(AuditRow { issue_id: None, issue_number: None, ..settle::row(d, actor, action, &nothing) });
    }
    Reply::Done
}

/// Writes down that something outside the state was changed.
pub(super) fn noted(d: &mut Draft, action: &str, notes: &str, actor: &str) -> Reply {
    let nothing = CardKey { repo: RepoKey::new(""), number: 0 };
    let row = settle::row(d, actor, action, &nothing);
    d.audit(AuditRow { issue_id: None, issue_number: None, notes: Some(notes.to_owned()), ..row });
    Reply::Done
}

/// Takes over what is wrong with the forge's credentials.
pub(super) fn troubled(d: &mut Draft, troubles: &BTreeMap<String, String>) -> Reply {
    let old = d.world.meta.troubles.clone();
    if let Some(new) = lasting(d, &old, troubles, ["credential_trouble", "credential_accepted"]) {
        d.meta(|m| m.troubles = new);
    }
    Reply::Done
}

/// Takes over that the disk is too full for another run, or no longer. It keeps its beginning and its first words.
pub(super) fn cramped(d: &mut Draft, why: Option<&str>) -> Reply {
    let now = d.now;
    match (why, d.world.meta.cramped.is_some()) {
        (Some(why), false) => {
            noted(d, "disk_full", why, "dispatch");
            d.meta(|m| m.cramped = Some((now, why.to_owned())));
        }
        (None, true) => {
            noted(d, "disk_free", "runs start again", "dispatch");
            d.meta(|m| m.cramped = None);
        }
        _ => return Reply::Done,
    }
    d.tell(What::Control);
    Reply::Done
}

/// What is wrong by now, if that is not what it was. A trouble that lasts keeps its beginning, whatever its words; the audit is
/// told of the first and the last of each by these names.
pub(super) fn lasting(
    d: &mut Draft,
    old: &[(String, Timestamp, String)],
    now: &BTreeMap<String, String>,
    [began, ended]: [&str; 2],
) -> Option<Vec<(String, Timestamp, String)>> {
    let known = |who: &str| old.iter().find(|(w, ..)| w == who);
    let since = |who: &str| known(who).map_or(d.now, |(_, since, _)| *since);
    let new: Vec<_> = now.iter().map(|(who, said)| (who.clone(), since(who), said.clone())).collect();
    if new == old {
        return None;
    }
    for (who, said) in now.iter().filter(|(who, _)| known(who).is_none()) {
        noted(d, began, &format!("{who}: {said}"), "dispatch");
    }
    for (who, ..) in old.iter().filter(|(who, ..)| !now.contains_key(who)) {
        noted(d, ended, who, "dispatch");
    }
    d.tell(What::Control);
    Some(new)
}

/// Ends the pause of a program; fine if there was none.
pub(super) fn resume(d: &mut Draft, program: &str, actor: &str) -> Reply {
    let program = pool::name(program);
    if d.world.meta.pools.iter().any(|p| p.program == program) {
        d.meta(|m| m.pools.retain(|p| p.program != program));
        d.tell(What::Control);
        noted(d, "resume_pool", program, actor);
    }
    Reply::Done
}

/// Ends the leases that ran out, and the rests after failures that are over. A claim of the built-in runner whose run
/// lives waits for that run to end: the runner renews it, and after a restart it is adopted or found dead.
pub(super) fn tick(d: &mut Draft, grace_until: Option<Timestamp>) -> Result<Reply, Refusal> {
    // While the machine slept nobody could renew, so with grace every lease reaches that far, not only those run out.
    let horizon = grace_until.unwrap_or(d.now);
    let due: Vec<_> = d.world.leases().take_while(|c| c.expires_at <= horizon).cloned().collect();
    for claim in due {
        let run = claim.run.and_then(|id| d.world.runs.get(&id)).filter(|r| r.state.is_live()).cloned();
        if let Some(run) = run {
            // Nobody sees to a run that waits, so time itself renews its claim.
            if run.waiting {
                d.claim(claims::renewed(d, &claim));
            }
            continue;
        }
        if let Some(until) = grace_until {
            d.claim(Claim { expires_at: until.max(claim.expires_at), ..(*claim).clone() });
        } else {
            settle::end_claim(d, &claim, ClaimEvent::Expire)?;
            let notes = format!("{} of {} was not renewed in time", claim.id, claim.agent);
            // A follow-up moved nothing, so nothing moves back.
            if claim.kind == TaskType::FollowupPr {
                let row = settle::row(d, "dispatch", "expire_claim", &claim.card);
                d.audit(AuditRow { notes: Some(notes), ..row });
                continue;
            }
            settle::give_back_claim(d, &claim, "dispatch", "expire_claim", Some(&notes))?;
        }
    }
    spend::tick(d);
    let rested: Vec<_> = d.world.rests().take_while(|(until, _)| *until <= d.now).cloned().collect();
    for (_, key) in rested {
        if let Some(card) = d.world.cards.get(&key).cloned() {
            d.card(Card { not_before: None, ..(*card).clone() });
        }
    }
    Ok(Reply::NextTick(d.world.next_due()))
}
