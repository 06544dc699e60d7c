//! How soon a repository's automation is read again, which parts of it, and how much one read may cost.
//!
//! Unchanged answers are free, so the pace is set by how stale an answer may be.

use std::time::Duration;

use dispatch_shared::Timestamp;

use super::{Facts, Part, rates};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The most that one read in the background may count against the limit.
pub const READ_COST: u64 = 60;

/// Who waits for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nobody: it is time.
    Background,
    /// Somebody asked.
    Asked,
}

/// How long to leave a repository alone after it was read; zero if it never was.
#[must_use]
pub fn pause(facts: Option<&Facts>, now: Timestamp) -> Duration {
    let Some(facts) = facts.filter(|f| f.read_at.is_some()) else { return Duration::ZERO };
    let usual = usual(facts, now);
    match facts.failures {
        0 => usual,
        n => usual.max((5 * MINUTE).saturating_mul(2_u32.saturating_pow(n.min(5) - 1)).min(HOUR)),
    }
}

fn usual(facts: &Facts, now: Timestamp) -> Duration {
    let within = |at: Option<Timestamp>, span| at.is_some_and(|at| now.since(at) < span);
    // A run may wait for an approval for weeks: that is no reason to look every minute.
    if facts.runs.iter().any(|r| rates::is_running(r) && within(r.updated_at.or(r.created_at), DAY)) {
        return MINUTE;
    }
    let moved = facts.runs.iter().map(|r| r.updated_at).chain([
        facts.commit.as_ref().and_then(|c| c.committed_at),
        facts.releases.first().and_then(|r| r.published_at),
    ]);
    let last = moved.max().flatten();
    match last {
        at if within(at, HOUR) => 5 * MINUTE,
        at if within(at, DAY) => 15 * MINUTE,
        _ => HOUR,
    }
}

/// The parts to read now, in the order in which they are read.
#[must_use]
pub fn due(facts: &Facts, now: Timestamp, urgency: Urgency) -> Vec<Part> {
    let wanted = |part: &Part| {
        let Some(read) = facts.read.get(part) else { return true };
        let every = match part {
            // What is forbidden stays so for a while.
            Part::Packages if facts.notes.contains_key(part) => 24 * HOUR,
            _ if facts.notes.contains_key(part) => HOUR,
            Part::Commit | Part::Runs => Duration::ZERO,
            Part::Releases | Part::Artifacts | Part::Deployments => 15 * MINUTE,
            Part::Workflows => HOUR,
            Part::Packages => 6 * HOUR,
        };
        urgency == Urgency::Asked || now.since(*read) >= every
    };
    Part::ALL.into_iter().filter(wanted).collect()
}

/// Whether a read that has cost `points` so far has cost enough. What is left of the forge's limit is not its concern: each
/// request waits for its turn among all, and these are the least urgent.
#[must_use]
pub fn is_spent(urgency: Urgency, points: u64) -> bool {
    urgency == Urgency::Background && points >= READ_COST
}

#[cfg(test)]
mod tests {
    use super::*;
    use dispatch_shared::id::RepoKey;
    use dispatch_shared::protocol::actions::WorkflowRun;

    const NOW: Timestamp = Timestamp(10_000_000_000);

    fn ago(span: Duration) -> Timestamp {
        NOW - span
    }

    fn facts(run: Option<(&str, Duration)>) -> Facts {
        let mut facts = Facts::new(RepoKey::new("gh1"));
        facts.read_at = Some(NOW);
        facts.runs = run
            .map(|(status, age)| WorkflowRun {
                status: status.into(),
                updated_at: Some(ago(age)),
                ..WorkflowRun::default()
            })
            .into_iter()
            .collect();
        facts
    }

    #[test]
    fn what_moves_is_looked_at_sooner() {
        let cases = [
            ("running", Some(("in_progress", MINUTE)), 60),
            ("queued since long", Some(("queued", 23 * HOUR)), 60),
            ("waiting for an approval since days", Some(("waiting", 2 * DAY)), 3_600),
            ("just over", Some(("completed", 10 * MINUTE)), 300),
            ("over today", Some(("completed", 5 * HOUR)), 900),
            ("quiet", Some(("completed", 9 * DAY)), 3_600),
            ("nothing there", None, 3_600),
        ];
        for (name, run, seconds) in cases {
            assert_eq!(pause(Some(&facts(run)), NOW).as_secs(), seconds, "{name}");
        }
        assert_eq!(pause(None, NOW), Duration::ZERO, "never read");
        assert_eq!(pause(Some(&Facts::new(RepoKey::new("gh1"))), NOW), Duration::ZERO, "nor this one");
    }

    #[test]
    fn failures_slow_it_down() {
        let after = |failures| {
            let facts = Facts { failures, ..facts(Some(("in_progress", MINUTE))) };
            pause(Some(&facts), NOW).as_secs()
        };
        assert_eq!([0, 1, 2, 3, 9].map(after), [60, 300, 600, 1_200, 3_600]);
    }

    #[test]
    fn each_part_has_its_own_pace() {
        let mut facts = facts(None);
        assert_eq!(due(&facts, NOW, Urgency::Background), Part::ALL, "nothing is known yet");
        facts.read = Part::ALL.into_iter().map(|p| (p, ago(20 * MINUTE))).collect();
        let now = due(&facts, NOW, Urgency::Background);
        assert_eq!(now, [Part::Commit, Part::Runs, Part::Releases, Part::Artifacts, Part::Deployments]);
        facts.notes.insert(Part::Runs, "forbidden".into());
        facts.notes.insert(Part::Packages, "forbidden".into());
        let later = |hours| due(&facts, NOW + HOUR * hours, Urgency::Background);
        assert!(!later(0).contains(&Part::Runs) && later(1).contains(&Part::Runs));
        assert!(!later(20).contains(&Part::Packages) && later(24).contains(&Part::Packages));
        assert_eq!(due(&facts, NOW, Urgency::Asked), Part::ALL, "who asks gets all of it");
    }
}
