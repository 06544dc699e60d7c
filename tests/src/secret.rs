//! Looks for a secret where it must not be: in the command lines and environments of processes, and in files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Between two looks at all processes: short enough for a git that talks to a slow server.
const LOOK: Duration = Duration::from_millis(4);

/// A secret in every form in which it could give itself away.
#[derive(Clone, Debug)]
pub struct Secret {
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// The forms of `text`: itself, in hexadecimal, and inside of base64, wherever in the encoded text it begins.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        let mut forms = vec![text.as_bytes().to_vec(), hex.into_bytes()];
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(text.as_bytes());
            for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                // The first and the last characters hold bits of what stands around the secret.
                let begin = (before * 8).div_ceil(6);
                let end = padded.len() * 8 / 6;
                forms.push(encoded.as_bytes()[begin..end].to_vec());
            }
        }
        Self { forms }
    }

    /// Whether `bytes` hold the secret in any form.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| holds(bytes, form))
    }

    /// The files below `dir` that hold it, and how many files there are.
    #[must_use]
    pub fn files(&self, dir: &Path) -> (Vec<PathBuf>, usize) {
        let (mut with, mut all) = (Vec::new(), 0);
        let mut dirs = vec![dir.to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    dirs.push(entry.path());
                } else if kind.is_file() {
                    all += 1;
                    // What has vanished meanwhile holds nothing any more.
                    if self.is_in(&std::fs::read(entry.path()).unwrap_or_default()) {
                        with.push(entry.path());
                    }
                }
            }
        }
        (with, all)
    }

    /// Watches all processes from now on. In the process `holder`, and in what it has forked but not yet started, the
    /// environment may hold the secret; `marks` are texts of environments whose sight is noted.
    #[must_use]
    pub fn watch(&self, holder: u32, marks: &[&str]) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (secret, over) = (self.clone(), stop.clone());
        let marks: Vec<String> = marks.iter().map(|m| (*m).to_owned()).collect();
        let work = move || {
            let mut seen = Sighted::default();
            while !over.load(Ordering::SeqCst) {
                seen.look(&secret, holder, &marks);
                std::thread::sleep(LOOK);
            }
            seen
        };
        Watch { stop, thread: std::thread::spawn(work) }
    }
}

fn holds(bytes: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|b| b == first) {
        if bytes[from + at..].starts_with(form) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// A watch over all processes.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Sighted>,
}

impl Watch {
    /// Ends it.
    ///
    /// # Panics
    /// If watching failed.
    #[must_use]
    pub fn end(self) -> Sighted {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("watching goes on until it is ended")
    }
}

/// What was seen of the processes.
#[derive(Debug, Default)]
pub struct Sighted {
    /// Where the secret was.
    pub leaks: BTreeSet<String>,
    /// All command lines, with spaces between the arguments.
    pub commands: BTreeSet<String>,
    /// The marks that stood in some environment.
    pub marks: BTreeSet<String>,
}

impl Sighted {
    /// Whether a command line was seen that holds all of `words`.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> bool {
        self.commands.iter().any(|c| words.iter().all(|w| c.contains(w)))
    }

    fn look(&mut self, secret: &Secret, holder: u32, marks: &[String]) {
        let program = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let holding = program(holder);
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
            // Asked before its environment is read: between fork and exec a child shows that of its parent.
            let running = program(pid);
            let read = |what: &str| std::fs::read(entry.path().join(what)).unwrap_or_default();
            let line = read("cmdline");
            let command = String::from_utf8_lossy(&line).replace('\0', " ");
            if secret.is_in(&line) {
                self.leaks.insert(format!("the command line of `{command}`"));
            }
            if pid != holder && (running.is_none() || running != holding) {
                let environ = read("environ");
                if secret.is_in(&environ) {
                    self.leaks.insert(format!("the environment of `{command}`"));
                }
                for mark in marks.iter().filter(|m| holds(&environ, m.as_bytes())) {
                    self.marks.insert(mark.clone());
                }
            }
            self.commands.insert(command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = Secret::new("ghp_secret0");
        for text in ["ghp_secret0", "x-access-token:ghp_secret0", "u:ghp_secret0!", "??ghp_secret0~~"] {
            assert!(secret.is_in(text.as_bytes()), "{text}");
            assert!(secret.is_in(STANDARD_NO_PAD.encode(text).as_bytes()), "{text} in base64");
            assert!(secret.is_in(URL_SAFE_NO_PAD.encode(text).as_bytes()), "{text} in base64 for addresses");
        }
        assert!(secret.is_in(b"\x006768705f73656372657430"), "in hexadecimal");
        assert!(!secret.is_in(b"ghp_zecret0"));
        assert!(!secret.is_in(STANDARD_NO_PAD.encode("x-access-token:ghp_zecret0").as_bytes()));
    }
}
