//! Processes without a container: which are a run's, and how to end every one of them. A tool of an agent may sit in a
//! session of its own and have lost its parent, so three marks are followed: descent, the mark in the environment, and
//! the process group.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

/// The variable that marks every process of a run, unless it cleans its environment.
pub(super) const MARK: &str = "DISPATCH_RUN";

/// A process, told from a later one with the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) pid: i32,
    /// In clock ticks since boot; 0 where there is no /proc.
    pub(super) began: u64,
}

#[derive(Clone, Copy)]
struct Stat {
    parent: i32,
    group: i32,
    zombie: bool,
    began: u64,
}

/// Field 2 may hold spaces and parentheses: what counts begins after the last one.
fn parse(stat: &str) -> Option<Stat> {
    let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        zombie: matches!(*rest.first()?, "Z" | "X"),
        parent: rest.get(1)?.parse().ok()?,
        group: rest.get(2)?.parse().ok()?,
        began: rest.get(19)?.parse().ok()?,
    })
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn proc_is_there() -> bool {
    std::path::Path::new("/proc/self/stat").exists()
}

/// When `pid` began, in the unit of [`Root::began`].
pub(super) fn began(pid: i32) -> u64 {
    stat(pid).map_or(0, |s| s.began)
}

/// Whether the root still runs.
pub(super) fn alive(root: Root) -> bool {
    if proc_is_there() {
        return stat(root.pid).is_some_and(|s| !s.zombie && (root.began == 0 || s.began == root.began));
    }
    Pid::from_raw(root.pid).is_some_and(|pid| test_kill_process_group(pid).is_ok())
}

/// Every live process of the run: the root, what descends from it or shares its group, and what carries the mark.
pub(super) fn members(root: Root, mark: &str) -> BTreeSet<i32> {
    let mut table = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        if let Some(stat) = stat(pid).filter(|s| !s.zombie) {
            table.push((pid, stat));
        }
    }
    let needle = format!("{MARK}={mark}\0");
    let marked = |pid: i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|e| e.windows(needle.len()).any(|w| w == needle.as_bytes()))
    };
    let root_lives = alive(root);
    let mut found: BTreeSet<i32> = table
        .iter()
        .filter(|(pid, stat)| (root_lives && (*pid == root.pid || stat.group == root.pid)) || marked(*pid))
        .map(|(pid, _)| *pid)
        .collect();
    loop {
        let more: Vec<i32> = table
            .iter()
            .filter(|(pid, stat)| !found.contains(pid) && found.contains(&stat.parent))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    let me = rustix::process::getpid().as_raw_nonzero().get();
    found.remove(&me);
    found
}

fn signal(root: Root, mark: &str, signal: Signal) -> BTreeSet<i32> {
    if !proc_is_there() {
        if let Some(pid) = Pid::from_raw(root.pid) {
            let _ = kill_process_group(pid, signal);
        }
        return if alive(root) { BTreeSet::from([root.pid]) } else { BTreeSet::new() };
    }
    let found = members(root, mark);
    for pid in found.iter().filter_map(|&pid| Pid::from_raw(pid)) {
        let _ = kill_process(pid, signal);
    }
    found
}

/// Ends the run and all that belongs to it: TERM, up to `grace`, then KILL until nothing is left.
///
/// # Errors
/// The numbers of what could not be ended.
pub(super) async fn end(root: Root, mark: &str, grace: Duration) -> Result<(), String> {
    const LOOK: Duration = Duration::from_millis(50);
    let mut known = BTreeSet::new();
    if !grace.is_zero() {
        known = signal(root, mark, Signal::TERM);
        let deadline = tokio::time::Instant::now() + grace;
        while tokio::time::Instant::now() < deadline {
            if members(root, mark).is_empty() && !alive(root) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    // A parent that dies between two looks leaves its children without descent: those seen before still count.
    let starts: Vec<Root> = known.iter().map(|&pid| Root { pid, began: began(pid) }).collect();
    for _ in 0..100 {
        let left = signal(root, mark, Signal::KILL);
        let strays: Vec<&Root> = starts.iter().filter(|r| r.began != 0 && alive(**r)).collect();
        for pid in strays.iter().filter_map(|r| Pid::from_raw(r.pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        if left.is_empty() && strays.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("processes {:?} do not end: end them by hand", members(root, mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a b) c) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 9876 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.began, stat.zombie), (7, 42, 9876, false));
        assert!(parse("nonsense").is_none());
    }
}
