//! What the use and the end of a run do to budgets and pools.

use dispatch_shared::Timestamp;
use dispatch_shared::event::What;
use dispatch_shared::protocol::activity::AuditRow;
use dispatch_shared::run::{EndClass, Usage};

use super::{control, settle};
use crate::core::budget::{self, WARNS_AT};
use crate::core::command::RunEnd;
use crate::core::draft::Draft;
use crate::core::pool::{self, Pause, Pool, STRIKES, Sign};
use crate::core::record::{Alarm, Run};

fn level(percent: u64) -> u64 {
    match percent {
        100.. => 100,
        WARNS_AT.. => WARNS_AT,
        _ => 0,
    }
}

/// Takes in what a run has used, and says once when a budget comes near its end or reaches it. Puts the run.
pub(super) fn used(d: &mut Draft, run: &mut Run, usage: Usage) {
    let before = budget::of_run(&d.world, run).map_or(0, |s| level(s.percent()));
    let policy = d.world.policy.clone();
    run.used(usage, &policy.budgets.zone, d.now);
    d.run(run.clone());
    if let Some(state) = budget::of_run(&d.world, run).filter(|s| level(s.percent()) > before) {
        d.tell(What::Control);
        let notes = format!("{}: {}", state.scope.name(), state.words());
        let row = settle::row_of_run(d, "dispatch", action(level(state.percent())), run);
        d.audit(AuditRow { notes: Some(notes), ..row });
    }
    for state in budget::states(&d.world, d.now) {
        let (name, level) = (state.scope.name(), level(state.percent()));
        let told = d.world.meta.alarms.iter().filter(|a| a.budget == name && a.until > d.now);
        if level <= told.map(|a| a.percent).max().unwrap_or(0) {
            continue;
        }
        let until = state.resets_at.unwrap_or(d.now);
        d.meta(|m| m.alarms.push(Alarm { budget: name.clone(), percent: level, until }));
        d.tell(What::Control);
        control::noted(d, action(level), &format!("{name}: {}", state.words()), "dispatch");
    }
}

fn action(level: u64) -> &'static str {
    if level >= 100 { "budget_used_up" } else { "budget_warning" }
}

/// What the end of `run` says of its program's pool.
pub(super) fn ended(d: &mut Draft, run: &Run, end: &RunEnd) {
    let name = pool::name(&run.program).to_owned();
    let lived = d.now.since(run.began_at.unwrap_or(run.created_at));
    let sign = pool::sign(run, end.class, lived);
    let asked =
        end.retry_at.filter(|at| *at > d.now && matches!(end.class, EndClass::Quota | EndClass::RateLimited));
    let mut pool = d.world.meta.pools.iter().find(|p| p.program == name).cloned().unwrap_or_default();
    let before = pool.clone();
    pool.program.clone_from(&name);
    pool.strikes = match sign {
        Sign::Fine => 0,
        Sign::Strike => pool.strikes + 1,
        Sign::None => pool.strikes,
    };
    let reason = end.reason.as_deref().unwrap_or(end.class.word());
    let mut pause: Option<(Timestamp, String)> =
        asked.map(|at| (at, format!("it was asked to wait ({}: {reason})", end.class)));
    if pool.strikes >= STRIKES {
        pool.strikes = 0;
        let why = format!("{STRIKES} quick failures in a row, the last one {}: {reason}", end.class);
        pause = Some((pause.map_or(d.now + pool::PAUSE, |(at, _)| at.max(d.now + pool::PAUSE)), why));
    }
    let running = pool.paused.as_ref().map_or(d.now, |p| p.until);
    let pause = pause.filter(|(until, _)| *until > running);
    if let Some((until, why)) = &pause {
        pool.paused = Some(Pause { since: d.now, until: *until, why: why.clone() });
    }
    if pool == before {
        return;
    }
    d.meta(|m| {
        m.pools.retain(|p| p.program != name);
        if pool.strikes > 0 || pool.paused.is_some() {
            m.pools.push(pool);
            m.pools.sort_by(|a, b| a.program.cmp(&b.program));
        }
    });
    if let Some((until, why)) = pause {
        d.tell(What::Control);
        control::noted(d, "pause_pool", &format!("{name} until {until}: {why}"), "dispatch");
    }
}

/// Ends the pauses and forgets the warnings whose time is over.
pub(super) fn tick(d: &mut Draft) {
    let now = d.now;
    let over = |p: &Pool| p.paused.as_ref().is_some_and(|p| p.until <= now);
    let ended: Vec<String> =
        d.world.meta.pools.iter().filter(|p| over(p)).map(|p| p.program.clone()).collect();
    for name in &ended {
        control::noted(d, "resume_pool", &format!("{name}: its pause is over"), "dispatch");
    }
    let stale = d.world.meta.alarms.iter().any(|a| a.until <= now);
    if ended.is_empty() && !stale {
        return;
    }
    d.meta(|m| {
        m.pools.retain(|p| !over(p));
        m.alarms.retain(|a| a.until > now);
    });
    // Without a row of its own the change of the counters would not be written.
    d.tell(What::Control);
}
