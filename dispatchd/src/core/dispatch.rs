//! Runs that somebody starts by hand: what they are about in words, and whether one may go ahead now.
//!
//! By hand is explicit: neither the runner's switch of a repository, nor a card's column, lane or flags, nor the WIP limit
//! withhold it. What protects others does: claims, limits of slots, paused programs, and the freeze.

use dispatch_shared::Timestamp;
use dispatch_shared::id::RepoKey;

use super::gate;
use super::limits::{self, Use};
use super::record::{Hand, Run, Target};
use super::world::World;

/// Start a run by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// In which repository.
    pub repo: RepoKey,
    /// The issue's number, for [`Target::Issue`]; 0 otherwise.
    pub issue: u64,
    /// What it works on.
    pub target: Target,
    /// The program; `None` is the one configured for the issue's lane, or for all else.
    pub program: Option<String>,
    /// What is wanted, and by whom.
    pub hand: Hand,
    /// What an operator answered to the run before.
    pub answer: Option<String>,
}

impl Run {
    /// The last part of the workspace's path: `issue-7`, `pr-7`, `branch-…`, `tag-…`.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.target, self.card.number)
    }

    /// What it works on as a person says it: `#7`, `pull request #7`, `branch x`, `tag v1`.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.target {
            Target::Issue => format!("#{}", self.card.number),
            Target::Pull(number) => format!("pull request #{number}"),
            Target::Branch(name) => format!("branch {name}"),
            Target::Tag(name) => format!("tag {name}"),
        }
    }
}

/// The last part of a workspace's path. Two names of branches or tags never share one, on no file system.
#[must_use]
pub fn place(target: &Target, issue: u64) -> String {
    match target {
        Target::Issue => format!("issue-{issue}"),
        Target::Pull(number) => format!("pr-{number}"),
        Target::Branch(name) => format!("branch-{}", safe(name)),
        Target::Tag(name) => format!("tag-{}", safe(name)),
    }
}

/// A name of a branch or tag as a part of a path. What had to be changed is told apart by a number made from the whole.
fn safe(name: &str) -> String {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let safe: String = name.chars().map(|c| if fine(c) { c } else { '_' }).take(80).collect();
    if safe == name {
        return safe;
    }
    // FNV-1a: the same on every machine and in every version.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{safe}_{hash:016x}")
}

/// Whether git takes `name` for a branch or a tag; what it refuses could mean something else on a command line.
#[must_use]
pub fn is_ref_name(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\\"'`$;|&<>(){}!#%".contains(c);
    let part = |p: &str| !p.is_empty() && !p.starts_with('.') && !p.ends_with('.') && !p.ends_with(".lock");
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('-')
        && name != "@"
        && name != "HEAD"
        && !name.starts_with("refs/")
        && !name.contains("..")
        && !name.contains("@{")
        && !name.chars().any(odd)
        && name.split('/').all(part)
}

/// Why a run that waits may not go ahead now; `None` if it may.
#[must_use]
pub fn waits_for(world: &World, now: Timestamp, run: &Run) -> Option<String> {
    if world.meta.frozen {
        return Some("the queue is frozen".to_owned());
    }
    if let Some(closed) = gate::closed(world, now, &run.program) {
        return Some(closed.why);
    }
    let slots = world.policy.slots_of(run.agent.as_str());
    let used = limits::held_by(world, &run.agent);
    let takes = limits::weight_of_run(world, run) as usize;
    if slots == 0 || used > 0 && used + takes > slots {
        return Some(format!("{used}/{slots} slots of the runner are in use, this run takes {takes}"));
    }
    Use::of(world).full_for(world, run)
}

/// The first line of what is to be done, for lists.
#[must_use]
pub fn title(task: &str) -> String {
    const MAX: usize = 72;
    let line = task.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let mut title: String = line.chars().take(MAX).collect();
    if line.chars().count() > MAX {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_branches_never_share_a_workspace() {
        let place = |name: &str| place(&Target::Branch(name.into()), 0);
        assert_eq!(place("next"), "branch-next");
        let all = ["a/b", "a_b", "A_b", "a-b", "a.b", "a+b", "é", "x".repeat(90).as_str()].map(place);
        let mut seen = all.to_vec();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all.len(), "{all:?}");
        assert!(all.iter().all(|p| !p.contains('/') && p.len() < 120), "{all:?}");
    }

    #[test]
    fn what_git_would_misread_is_no_name() {
        for fine in ["main", "fix/issue-7-x", "release/1.2", "v1.0.0", "a@b"] {
            assert!(is_ref_name(fine), "{fine}");
        }
        for bad in [
            "",
            "-f",
            "a b",
            "a..b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a~1",
            "a:b",
            "HEAD",
            "@",
            "a@{1}",
            "a\nb",
            "$(x)",
            "refs/heads/x",
            "a.",
        ] {
            assert!(!is_ref_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(title("\n  Do this.\nThen that."), "Do this.");
        assert_eq!(title(&"x".repeat(100)).chars().count(), 73);
    }
}
