//! A control group for each run without a container. Whatever a tool does to get away (a session of its own, a clean
//! environment, a parent that is gone), it stays in its group, and the group ends as one.
//!
//! Groups are made below this daemon's own, in the unified hierarchy or, where there is none, in the freezer of the old one.
//! That works as root, and in a service whose group is delegated (`Delegate=yes`, every service of a user's systemd).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group(PathBuf);

/// Where this process's own group lies, in each hierarchy that can end a group.
fn bases(mountinfo: &str, cgroups: &str) -> Vec<PathBuf> {
    let own = |wanted: &dyn Fn(&str) -> bool| {
        cgroups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            wanted(controllers).then(|| path.to_owned())
        })
    };
    let mounted = |wanted: &dyn Fn(&str, &str) -> bool, own: Option<String>| {
        let own = own?;
        mountinfo.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1)?);
            let mut fields = before.split(' ').skip(3);
            let (root, at) = (fields.next()?, fields.next()?);
            // Inside a container the mount begins further down than the path that the kernel tells.
            let below = Path::new(&own).strip_prefix(root).ok()?;
            wanted(kind, options).then(|| Path::new(at).join(below))
        })
    };
    let unified = mounted(&|kind, _| kind == "cgroup2", own(&str::is_empty));
    let freezer = mounted(
        &|kind, options| kind == "cgroup" && options.split(',').any(|o| o == "freezer"),
        own(&|controllers| controllers.split(',').any(|c| c == "freezer")),
    );
    unified.into_iter().chain(freezer).collect()
}

impl Group {
    /// Makes an empty group; `None` where this process may make none.
    pub(super) fn make(name: &str) -> Option<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        bases(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")).into_iter().find_map(|base| {
            let dir = base.join(name);
            match fs::create_dir(&dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => None,
                // Only what can be added to is of use.
                _ => {
                    fs::OpenOptions::new().write(true).open(dir.join("cgroup.procs")).ok().map(|_| Self(dir))
                }
            }
        })
    }

    /// The group that lies in `dir`, made by a daemon before this one.
    pub(super) fn at(dir: PathBuf) -> Option<Self> {
        dir.join("cgroup.procs").is_file().then_some(Self(dir))
    }

    /// Where it lies.
    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    /// Puts a process in, and with it all that it will start.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string())
    }

    /// This one and those that were made below it, innermost first.
    fn all(&self) -> Vec<PathBuf> {
        fn below(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    below(&entry.path(), found);
                }
            }
            found.push(dir.to_path_buf());
        }
        let mut found = Vec::new();
        below(&self.0, &mut found);
        found
    }

    /// The processes in it.
    pub(super) fn members(&self) -> BTreeSet<i32> {
        let read = |dir: &PathBuf| fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        let pids = |text: String| text.lines().filter_map(|l| l.parse().ok()).collect::<Vec<i32>>();
        // Processes of another namespace count as 0.
        self.all().iter().map(read).flat_map(pids).filter(|pid| *pid > 0).collect()
    }

    /// Sends KILL to all of it at once. What dies takes a moment: [`Group::members`] tells.
    pub(super) fn kill(&self) {
        if fs::write(self.0.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // An older kernel: held still, so that nothing is born between reading and killing.
        self.freeze(true);
        for pid in self.members().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.freeze(false);
    }

    fn freeze(&self, on: bool) {
        let unified = fs::write(self.0.join("cgroup.freeze"), if on { "1" } else { "0" });
        if unified.is_err() {
            let _ = fs::write(self.0.join("freezer.state"), if on { "FROZEN" } else { "THAWED" });
        }
    }

    /// Takes the empty group away.
    pub(super) fn remove(&self) {
        for dir in self.all() {
            if let Err(error) = fs::remove_dir(&dir)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, dir = %dir.display(), "the control group was not removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_in_each_hierarchy() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "6:freezer:/a\n1:name=systemd:/x\n0::/user.slice/d.service\n";
        assert_eq!(
            bases(hybrid, own),
            [
                PathBuf::from("/sys/fs/cgroup/unified/user.slice/d.service"),
                PathBuf::from("/sys/fs/cgroup/freezer/a")
            ]
        );
        let nested = "41 31 0:38 /docker/c0ffee /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(bases(nested, "0::/docker/c0ffee/sub\n"), [PathBuf::from("/sys/fs/cgroup/sub")]);
        assert_eq!(bases(nested, "0::/elsewhere\n"), Vec::<PathBuf>::new());
        assert_eq!(bases("", ""), Vec::<PathBuf>::new());
    }
}
