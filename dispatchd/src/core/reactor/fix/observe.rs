//! What a sync sees of the pull requests of items.

use dispatch_shared::Timestamp;
use dispatch_shared::followup::{FixStatus, PullState};
use dispatch_shared::id::RepoKey;

use super::{describe, put, row, take_back, with_facts};
use crate::core::command::Refusal;
use crate::core::draft::Draft;
use crate::core::fix::{Fix, FixKey, pick, rules};
use crate::core::seen::SeenPull;
use crate::core::transition::ClaimEvent;

/// A pull request was read: its item knows its title and head; one that is merged or closed is stale, and whoever works on
/// it stops.
pub(in crate::core::reactor) fn pulled(
    d: &mut Draft,
    repo: &RepoKey,
    seen: &SeenPull,
) -> Result<(), Refusal> {
    let key = FixKey { repo: repo.clone(), pr: seen.number };
    let Some(old) = d.world.fixes.get(&key).cloned() else { return Ok(()) };
    let mut fix = (*old).clone();
    describe(&mut fix, seen);
    fix.issue = pick::issue_of(&d.world, &key, fix.issue);
    if seen.state != PullState::Open && matches!(fix.status, FixStatus::Queued | FixStatus::Blocked) {
        let before = fix.status;
        let why = format!(
            "the pull request is {}",
            if seen.state == PullState::Merged { "merged" } else { "closed" }
        );
        take_back(d, &mut fix, ClaimEvent::Revoke(why.clone()))?;
        rules::settle(&mut fix, FixStatus::Stale);
        rules::note(&mut fix, d.now, "dispatch", "observe", Some(why.clone()));
        d.audit(row(d, "dispatch", "mark_pr_fix", &fix, Some(&format!("STALE: {why}"))));
        return put(d, fix, Some(before), "dispatch", &why);
    }
    if fix != *old {
        d.fix(fix);
    }
    Ok(())
}

/// After a whole sync: what was said to be fixed while the forge could not be asked is checked against what it shows now.
pub(in crate::core::reactor) fn check_later(
    d: &mut Draft,
    repo: &RepoKey,
    read_at: Option<Timestamp>,
) -> Result<(), Refusal> {
    let open: Vec<Fix> = d
        .world
        .fixes
        .of(repo)
        .filter(|f| f.unverified.is_some_and(|since| read_at.is_some_and(|read| since < read)))
        .map(|f| (**f).clone())
        .collect();
    for mut fix in open {
        let before = fix.status;
        if with_facts(d, &mut fix, true, rules::checked_later) {
            let why = "said to be fixed, but the head has not moved";
            rules::note(&mut fix, d.now, "dispatch", "observe", Some(why.into()));
            d.audit(row(d, "dispatch", "requeue_pr_fix", &fix, Some(why)));
            put(d, fix, Some(before), "dispatch", why)?;
        } else {
            d.fix(fix);
        }
    }
    Ok(())
}
