//! Processes without a container: which are a run's, and how to end every one of them. Where the run has a control group,
//! that is all of them, and where it has a PID namespace as well. Elsewhere a tool of an agent may sit in a session of its own
//! and have lost its parent, so three marks are followed: descent, the mark in the environment, and the process group or
//! session. A tool that sheds all three is not found there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::cgroup::Group;
use super::space;

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
    session: i32,
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
        session: rest.get(3)?.parse().ok()?,
        began: rest.get(19)?.parse().ok()?,
    })
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes.
fn pids() -> impl Iterator<Item = i32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse().ok()))
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

/// The processes of one run.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The first of them.
    pub(super) root: Root,
    /// What [`MARK`] says in their environment.
    pub(super) mark: String,
    /// Their control group, where there is one.
    pub(super) group: Option<Group>,
    /// Their PID namespace, where there is one.
    pub(super) space: Option<String>,
}

impl Tree {
    /// Every live process of the run.
    fn members(&self) -> BTreeSet<i32> {
        let mut found = self.walk();
        if let Some(group) = &self.group {
            found.extend(group.members().into_iter().filter(|pid| stat(*pid).is_some_and(|s| !s.zombie)));
        }
        // A namespace that is gone leaves its name to another; as long as the first process lives it is not gone.
        if let Some(space) = self.space.as_deref().filter(|_| alive(self.root)) {
            found.extend(pids().filter(|pid| space::of(*pid).as_deref() == Some(space)));
        }
        let me = rustix::process::getpid().as_raw_nonzero().get();
        found.remove(&me);
        found
    }

    /// The root, what descends from it or shares its group or session, and what carries the mark.
    fn walk(&self) -> BTreeSet<i32> {
        let mut table = Vec::new();
        for pid in pids() {
            if let Some(stat) = stat(pid).filter(|s| !s.zombie) {
                table.push((pid, stat));
            }
        }
        let needle = format!("{MARK}={}\0", self.mark);
        let marked = |pid: i32| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|e| e.windows(needle.len()).any(|w| w == needle.as_bytes()))
        };
        // A number is not given to another process while a group or session bears it: only if a stranger has it now, and
        // leads, is the group not ours.
        let stranger =
            stat(self.root.pid).is_some_and(|s| self.root.began != 0 && s.began != self.root.began);
        let shares = |stat: &Stat| stat.group == self.root.pid || stat.session == self.root.pid;
        let mut found: BTreeSet<i32> = table
            .iter()
            .filter(|(pid, stat)| (!stranger && (*pid == self.root.pid || shares(stat))) || marked(*pid))
            .map(|(pid, _)| *pid)
            .collect();
        loop {
            let more: Vec<i32> = table
                .iter()
                .filter(|(pid, stat)| !found.contains(pid) && found.contains(&stat.parent))
                .map(|(pid, _)| *pid)
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    fn signal(&self, signal: Signal) -> BTreeSet<i32> {
        if !proc_is_there() {
            if let Some(pid) = Pid::from_raw(self.root.pid) {
                let _ = kill_process_group(pid, signal);
            }
            return if alive(self.root) { BTreeSet::from([self.root.pid]) } else { BTreeSet::new() };
        }
        let found = self.members();
        if signal == Signal::KILL
            && let Some(group) = &self.group
        {
            group.kill();
        }
        for pid in found.iter().filter_map(|&pid| Pid::from_raw(pid)) {
            let _ = kill_process(pid, signal);
        }
        found
    }

    /// Ends the run and all that belongs to it: TERM, up to `grace`, then KILL until nothing is left.
    ///
    /// # Errors
    /// The numbers of what could not be ended.
    pub(super) async fn end(&self, grace: Duration) -> Result<(), String> {
        const LOOK: Duration = Duration::from_millis(50);
        // A parent that dies between two looks leaves its children without descent: those seen before still count.
        let mut known: BTreeMap<i32, u64> = BTreeMap::new();
        let mut note = |seen: &BTreeSet<i32>| {
            for pid in seen {
                known.entry(*pid).or_insert_with(|| began(*pid));
            }
        };
        if !grace.is_zero() {
            note(&self.signal(Signal::TERM));
            let deadline = tokio::time::Instant::now() + grace;
            while tokio::time::Instant::now() < deadline {
                let left = self.members();
                if left.is_empty() && !alive(self.root) {
                    break;
                }
                note(&left);
                tokio::time::sleep(LOOK).await;
            }
        }
        for _ in 0..100 {
            let left = self.signal(Signal::KILL);
            let strays = known.iter().map(|(&pid, &began)| Root { pid, began });
            let strays: Vec<Root> = strays.filter(|r| r.began != 0 && alive(*r)).collect();
            for pid in strays.iter().filter_map(|r| Pid::from_raw(r.pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            if left.is_empty() && strays.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("processes {:?} do not end: end them by hand", self.members()))
    }
}

/// Whether `pid` is `ancestor` or descends from it.
fn descends(mut pid: i32, ancestor: i32) -> bool {
    while pid != ancestor {
        match stat(pid) {
            Some(stat) if stat.parent > 1 => pid = stat.parent,
            _ => return false,
        }
    }
    true
}

/// Ends all processes that carry `name=value` in their environment, but this one and what descends from it: TERM, up to
/// `grace`, then KILL.
pub(in crate::runner) async fn end_marked(name: &str, value: &str, grace: Duration) {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let needle = format!("{name}={value}\0");
    let find = || {
        let ours = |pid: &i32| {
            stat(*pid).is_some_and(|s| !s.zombie)
                && !descends(*pid, me)
                && std::fs::read(format!("/proc/{pid}/environ"))
                    .is_ok_and(|e| e.windows(needle.len()).any(|w| w == needle.as_bytes()))
        };
        pids().filter(ours).collect::<Vec<i32>>()
    };
    let deadline = tokio::time::Instant::now() + grace;
    let mut told = false;
    loop {
        let left = find();
        if left.is_empty() {
            return;
        }
        let late = tokio::time::Instant::now() >= deadline;
        if late || !told {
            tracing::info!(?left, "calls of a daemon before this one are ended");
            for pid in left.into_iter().filter_map(Pid::from_raw) {
                let _ = kill_process(pid, if late { Signal::KILL } else { Signal::TERM });
            }
            told = true;
        }
        if tokio::time::Instant::now() >= deadline + grace {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn descent_is_followed_over_generations() {
        let (me, parent) =
            (std::process::id().cast_signed(), std::os::unix::process::parent_id().cast_signed());
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $!; wait"]).stdout(std::process::Stdio::piped()).process_group(0);
        let mut child = shell.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
            .unwrap();
        let grandchild: i32 = line.trim().parse().unwrap();
        assert!(descends(grandchild, me) && descends(me, me));
        assert!(!descends(parent, me));
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a b) c) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 9876 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.began, stat.zombie), (7, 42, 9876, false));
        assert!(parse("nonsense").is_none());
    }
}
