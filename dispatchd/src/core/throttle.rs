//! Which request may go to a GitHub host now, which waits, until when, and why.
//!
//! Every request of the daemon to one host asks here first. A host counts points an hour for each resource (the primary
//! limits), points and new content a minute (the secondary ones), and may ask for silence. Before any of these is
//! reached, what is less urgent gives way: the last part of an hour's points is kept for what a person waits for, and
//! background reads are spread over what is left of the hour.
//!
//! The machine knows no clock and sends nothing: times are passed in, and one that goes back takes what is remembered
//! back with it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dispatch_shared::Timestamp;

/// How urgent a request is, the most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// A change that is to reach the forge.
    Write,
    /// A read of what is said to have changed.
    Hinted,
    /// A read whose time has come.
    Scheduled,
    /// The health of pull requests.
    Health,
}

/// What the host counts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The REST API.
    Core,
    /// GraphQL, in points of its own.
    Graphql,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Core, Self::Graphql];

    /// As the host's headers name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Graphql => "graphql",
        }
    }

    /// Points that may be spent in a minute.
    fn a_minute(self) -> u32 {
        match self {
            Self::Core => 900,
            Self::Graphql => 2_000,
        }
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Reads.
    Read,
    /// Changes something.
    Write,
    /// Changes something by adding content: an issue, a comment, a pull request.
    Create,
}

impl Act {
    fn points(self) -> u32 {
        if self == Self::Read { 1 } else { 5 }
    }
}

/// A request that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How urgent.
    pub priority: Priority,
    /// What it is counted by.
    pub resource: Resource,
    /// What it does.
    pub act: Act,
    /// Probably costs none of the hour's points: it carries a validator.
    pub conditional: bool,
}

/// What is left of a resource's points, as the host said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Points in an hour.
    pub limit: u64,
    /// Points left.
    pub remaining: u64,
    /// When there are all of them again.
    pub reset_at: Timestamp,
}

/// Names a request from when it asks until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(Priority, u64);

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The host asked for silence.
    Silence,
    /// What is left of this resource's hour is kept for what is more urgent, or nothing is left.
    Scarce(Resource, Left),
    /// What is left of this resource's hour is spread over it.
    Spread(Resource, Left),
    /// The points of this minute are spent.
    Minute,
    /// Writes go one by one, a second apart.
    Writes,
    /// So much content as may be made in this minute or hour has been made.
    Content,
    /// Enough requests are under way.
    Busy,
    /// Something more urgent goes first.
    Turn,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silence => f.write_str("GitHub asked for a pause"),
            Self::Scarce(resource, left) => {
                write!(f, "{} of {} {} points are left", left.remaining, left.limit, resource.word())
            }
            Self::Spread(resource, left) => write!(
                f,
                "{} of {} {} points are left and are spread over the hour",
                left.remaining,
                left.limit,
                resource.word()
            ),
            Self::Minute => f.write_str("this minute's requests are spent"),
            Self::Writes => f.write_str("writes go one by one"),
            Self::Content => f.write_str("enough was written for now"),
            Self::Busy => f.write_str("enough requests are under way"),
            Self::Turn => f.write_str("more urgent requests go first"),
        }
    }
}

/// A request that may not go yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Not before then; `None` if it depends on another request's end.
    pub until: Option<Timestamp>,
    /// Why.
    pub why: Why,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Requests under way. The host allows 100 for everything that an account does.
pub const AT_ONCE: usize = 24;
/// Of these, kept free for what is more urgent than a read in the background.
const SPARE: usize = 6;
/// From one write to the next, once [`BURST`] went without a pause.
const STEP: Duration = Duration::from_secs(1);
const BURST: u32 = 20;
const CREATED_A_MINUTE: usize = 80;
const CREATED_AN_HOUR: usize = 500;
/// The least silence where the host asks for one without saying how long; doubled for each further time.
pub const SILENCE: Duration = Duration::from_secs(60);
/// No limit of the host lasts longer: what says so is a mistake, and asking again later is not.
const LONGEST: Duration = Duration::from_secs(2 * 3_600);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    waiting: BTreeMap<Ticket, Ask>,
    flying: BTreeMap<Ticket, Ask>,
    next: u64,
    left: BTreeMap<Resource, Left>,
    silence: Option<Timestamp>,
    strikes: u32,
    spent: BTreeMap<Resource, VecDeque<(Timestamp, u32)>>,
    /// When the next write would go if there were no burst.
    write_at: Option<Timestamp>,
    created: VecDeque<Timestamp>,
    spread: BTreeMap<Resource, Timestamp>,
    seen: Option<Timestamp>,
}

/// The part of an hour's points that a request leaves untouched.
fn reserve(ask: &Ask, limit: u64) -> u64 {
    match ask.priority {
        Priority::Interactive => 0,
        Priority::Write => limit / 50,
        _ if ask.conditional => limit / 50,
        Priority::Hinted => limit / 20,
        Priority::Scheduled => limit / 10,
        Priority::Health => limit / 5,
    }
}

impl Throttle {
    /// Takes a request in; [`Throttle::poll`] says when it may go.
    pub fn ask(&mut self, ask: Ask) -> Ticket {
        self.next += 1;
        let ticket = Ticket(ask.priority, self.next);
        self.waiting.insert(ticket, ask);
        ticket
    }

    /// Lets a request go, or says how long it waits. The most urgent that can go goes first, the oldest among equals.
    ///
    /// # Errors
    /// What it waits for. A ticket that is over waits for ever.
    pub fn poll(&mut self, ticket: Ticket, now: Timestamp) -> Result<(), Wait> {
        self.settle(now);
        let Some(ask) = self.waiting.get(&ticket).copied() else {
            return Err(Wait { until: None, why: Why::Turn });
        };
        self.verdict(&ask, now)?;
        if self.waiting.range(..ticket).any(|(_, earlier)| self.verdict(earlier, now).is_ok()) {
            return Err(Wait { until: None, why: Why::Turn });
        }
        self.waiting.remove(&ticket);
        self.flying.insert(ticket, ask);
        self.spent.entry(ask.resource).or_default().push_back((now, ask.act.points()));
        if ask.act != Act::Read {
            self.write_at = Some(self.write_at.map_or(now, |at| at.max(now)) + STEP);
        }
        if ask.act == Act::Create {
            self.created.push_back(now);
        }
        if ask.priority >= Priority::Hinted && !ask.conditional {
            self.spread.insert(ask.resource, now);
        }
        Ok(())
    }

    /// Takes back a request: it is over, or does not want to go any more.
    pub fn over(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.flying.remove(&ticket);
    }

    /// What the host said is left of a resource.
    pub fn learn(&mut self, resource: Resource, left: Left) {
        self.left.insert(resource, left);
    }

    /// An answer that was no limit. Only one after the silence ends a series of limits.
    pub fn went_well(&mut self, now: Timestamp) {
        if self.silence.is_none_or(|until| until <= now) {
            self.strikes = 0;
        }
    }

    /// The host wants nothing more of this resource until then, for its points are spent.
    pub fn exhausted(&mut self, resource: Resource, until: Timestamp, now: Timestamp) -> Timestamp {
        let limit = self.left.get(&resource).map_or(5_000, |l| l.limit);
        let reset_at = until.min(now + LONGEST);
        self.left.insert(resource, Left { limit, remaining: 0, reset_at });
        reset_at
    }

    /// The host wants silence: until then, or as long as is usual. Returns until when.
    pub fn silence(&mut self, until: Option<Timestamp>, now: Timestamp) -> Timestamp {
        // Requests that were under way together meet the same limit together: that is one.
        let there = self.silence.filter(|until| *until > now);
        let usual = there.unwrap_or(now + SILENCE.saturating_mul(1 << self.strikes.min(5)));
        if there.is_none() {
            self.strikes = self.strikes.saturating_add(1);
        }
        let until = until.unwrap_or(usual).min(now + LONGEST).max(there.unwrap_or(now));
        self.silence = Some(until);
        until
    }

    /// What is left of each resource whose hour is not over.
    pub fn left(&self, now: Timestamp) -> impl Iterator<Item = (Resource, Left)> {
        self.left.iter().map(|(r, l)| (*r, *l)).filter(move |(_, l)| l.reset_at > now)
    }

    /// Why reads in the background wait, if they do for more than a moment.
    #[must_use]
    pub fn slowed(&self, now: Timestamp) -> Option<Wait> {
        let of =
            |resource| Ask { priority: Priority::Scheduled, resource, act: Act::Read, conditional: false };
        Resource::ALL.into_iter().find_map(|resource| {
            self.verdict(&of(resource), now).err().filter(|wait| wait.until.is_some()).or_else(|| {
                let left = self.left.get(&resource).filter(|l| l.reset_at > now)?;
                scarce(left).then_some(Wait { until: Some(left.reset_at), why: Why::Spread(resource, *left) })
            })
        })
    }

    /// Whether a request may go now, but for its turn.
    fn verdict(&self, ask: &Ask, now: Timestamp) -> Result<(), Wait> {
        let wait = |until: Option<Timestamp>, why: Why| Err(Wait { until, why });
        if let Some(until) = self.silence.filter(|until| *until > now) {
            return wait(Some(until), Why::Silence);
        }
        if let Some(left) = self.left.get(&ask.resource).filter(|l| l.reset_at > now) {
            let floor = reserve(ask, left.limit);
            let scarce_now = Why::Scarce(ask.resource, *left);
            if left.remaining <= floor {
                return wait(Some(left.reset_at), scarce_now);
            }
            let counted = |a: &&Ask| a.resource == ask.resource && !a.conditional;
            if left.remaining <= floor + self.flying.values().filter(counted).count() as u64 {
                return wait(None, scarce_now);
            }
            if ask.priority >= Priority::Scheduled && !ask.conditional && scarce(left) {
                let step = left.reset_at.since(now).div_f64((left.remaining - floor) as f64);
                let at = self.spread.get(&ask.resource).map_or(now, |last| *last + step);
                if at > now {
                    return wait(Some(at), Why::Spread(ask.resource, *left));
                }
            }
        }
        let background = ask.priority >= Priority::Hinted;
        if self.flying.len() >= if background { AT_ONCE - SPARE } else { AT_ONCE } {
            return wait(None, Why::Busy);
        }
        self.minute(ask, background, now)?;
        if ask.act == Act::Read {
            return Ok(());
        }
        if self.flying.values().any(|a| a.act != Act::Read) {
            return wait(None, Why::Writes);
        }
        if let Some(at) = self.write_at.map(|at| at - STEP * BURST).filter(|at| *at > now) {
            return wait(Some(at), Why::Writes);
        }
        if ask.act == Act::Create {
            for (most, span) in [(CREATED_A_MINUTE, MINUTE), (CREATED_AN_HOUR, HOUR)] {
                let nth = self.created.iter().rev().nth(most - 1);
                if let Some(at) = nth.map(|at| *at + span).filter(|at| *at > now) {
                    return wait(Some(at), Why::Content);
                }
            }
        }
        Ok(())
    }

    /// The points of the last minute. A fifth of them is not for the background.
    fn minute(&self, ask: &Ask, background: bool, now: Timestamp) -> Result<(), Wait> {
        let all = ask.resource.a_minute();
        let most = if background { all - all / 5 } else { all };
        let Some(spent) = self.spent.get(&ask.resource) else { return Ok(()) };
        let recent = spent.iter().filter(|(at, _)| *at + MINUTE > now);
        let sum: u32 = recent.clone().map(|(_, points)| points).sum();
        let mut over = (sum + ask.act.points()).saturating_sub(most);
        if over == 0 {
            return Ok(());
        }
        for (at, points) in recent {
            over = over.saturating_sub(*points);
            if over == 0 {
                return Err(Wait { until: Some(*at + MINUTE), why: Why::Minute });
            }
        }
        Err(Wait { until: Some(now + MINUTE), why: Why::Minute })
    }

    /// Forgets what is over, and follows a clock that was put back.
    fn settle(&mut self, now: Timestamp) {
        if let Some(back) = self.seen.filter(|seen| *seen > now).map(|seen| seen.0 - now.0) {
            let shift = |at: &mut Timestamp| at.0 -= back;
            self.left.values_mut().for_each(|l| shift(&mut l.reset_at));
            self.silence.iter_mut().chain(&mut self.write_at).for_each(shift);
            self.spent.values_mut().flatten().for_each(|(at, _)| shift(at));
            self.created.iter_mut().for_each(shift);
            self.spread.values_mut().for_each(shift);
        }
        self.seen = Some(now);
        for spent in self.spent.values_mut() {
            while spent.front().is_some_and(|(at, _)| *at + MINUTE <= now) {
                spent.pop_front();
            }
        }
        while self.created.front().is_some_and(|at| *at + HOUR <= now) {
            self.created.pop_front();
        }
    }
}

/// Whether so little is left that background reads are spread out.
fn scarce(left: &Left) -> bool {
    left.remaining < left.limit / 4
}

#[cfg(test)]
mod tests;
