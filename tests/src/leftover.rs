//! What a run may leave behind and must not: containers, processes, homes, notes of the host runtime.

use std::path::{Path, PathBuf};
use std::process::Command;

use dispatch_shared::run::RuntimeKind;

/// Containers of `engine`, running or not, that carry the label of a state directory.
///
/// # Panics
/// If the engine does not answer.
#[must_use]
pub fn containers(engine: RuntimeKind, state: &str) -> Vec<String> {
    if matches!(engine, RuntimeKind::Host | RuntimeKind::Kubernetes) {
        return Vec::new();
    }
    let output = Command::new(engine.word())
        .args(["ps", "--all", "--filter", &format!("label=dispatch.state={state}"), "--format", "{{.Names}}"])
        .output()
        .expect("the engine can be asked");
    assert!(output.status.success(), "{engine} ps: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Command lines of the live processes that have `mark` in their environment or on their command line, but this one and
/// what serves as the daemon.
#[must_use]
pub fn processes(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    let holds = |bytes: &[u8]| bytes.windows(mark.len()).any(|w| w == mark.as_bytes());
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let (line, environ) = (read("cmdline"), read("environ"));
        // A zombie has neither.
        if holds(&line) || holds(&environ) {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if !line.contains("test-dispatchd") {
                found.push(format!("{} {line}", entry.file_name().to_string_lossy()));
            }
        }
    }
    found
}

/// Homes of runs, and the host runtime's notes, below a state directory.
#[must_use]
pub fn directories(state: &Path) -> Vec<PathBuf> {
    let below = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let issues = below(state.join("workspaces")).flat_map(below).flat_map(below);
    let homes = issues.flat_map(|i| below(i.join(".meta"))).map(|m| m.join("home")).filter(|h| h.exists());
    homes.chain(below(state.join("host"))).collect()
}

/// What a step that was cut short leaves half made, below a state directory: locks and temporary objects of git, files that
/// were to be renamed, checkouts that were not finished.
#[must_use]
pub fn half_made(state: &Path) -> Vec<PathBuf> {
    fn below(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let half = name.ends_with(".lock") || name.ends_with(".new") || name.starts_with("tmp_");
            if half {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|t| t.is_dir()) {
                below(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    for dir in ["workspaces", "mirrors", "host", "runs"] {
        below(&state.join(dir), &mut found);
    }
    found
}

/// Control groups of runs whose name holds `part`.
#[must_use]
pub fn groups(part: &str) -> Vec<PathBuf> {
    fn below(dir: &Path, part: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            if name.starts_with("dispatch-") && name.contains(part) {
                found.push(entry.path());
            } else {
                below(&entry.path(), part, found);
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), part, &mut found);
    found
}

/// Ends and removes what runs below a state directory may have left, as far as that is possible.
pub fn clear(engine: RuntimeKind, state: &Path) {
    let mark = state.join("workspaces").display().to_string();
    let pids = processes(&mark).into_iter().filter_map(|p| p.split(' ').next()?.parse().ok());
    for pid in pids.filter_map(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    if matches!(engine, RuntimeKind::Host | RuntimeKind::Kubernetes) {
        return;
    }
    // Every run has its checkout mounted under its own path.
    let filter = format!("volume={}", state.join("workspaces/local/sample/issue-1/repo").display());
    let listed = Command::new(engine.word()).args(["ps", "--all", "--quiet", "--filter", &filter]).output();
    let listed = listed.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    for id in listed.lines() {
        let _ = Command::new(engine.word()).args(["rm", "--force", id]).output();
    }
}
