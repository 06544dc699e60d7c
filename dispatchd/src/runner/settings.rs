//! The `[runner]` section of the configuration: what the operator chose for runs, with the defaults of a first start.

mod partial;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use dispatch_shared::id::RepoName;
use dispatch_shared::run::RuntimeKind;
use serde::{Deserialize, Deserializer, de::Error as _};

pub use self::partial::Partial;
use super::agents::Entry;
use super::prices::Price;
use super::runtime::Cluster;
use crate::core::keep::Keep;
use crate::core::submodule::Which;
use crate::edges::{Selinux, Wants};

/// See the module. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The program that works where no lane names another: `claude`, `codex:gpt-5`.
    pub agent: String,
    /// The program that works a lane, by lane id.
    pub lane_agents: BTreeMap<String, String>,
    /// The name under which the runner takes tasks; carried on issues as `agent/<name>`.
    pub agent_name: String,
    /// Which engine contains a run.
    pub runtime: RuntimeChoice,
    /// The image that runs start from.
    pub image: String,
    /// Runs at once.
    pub max_parallel: usize,
    /// The longest a program may work.
    pub timeout: Span,
    /// The longest it may be silent.
    pub stall_timeout: Span,
    /// Between TERM and KILL.
    pub grace: Span,
    /// Memory of one run.
    pub memory: Option<Size>,
    /// Processors of one run; may be broken (`1.5`).
    pub cpus: Option<f64>,
    /// Processes and threads of one run.
    pub pids: Option<u64>,
    /// Open files of one process; the engine's own limit if absent.
    pub nofile: Option<u64>,
    /// Whether runs are limited at all; some engines cannot.
    pub limits: bool,
    /// `none`, `default`, or the name of a network.
    pub network: String,
    /// Whether a run reaches this machine as `host.docker.internal` and `host.containers.internal`.
    pub host_gateway: bool,
    /// Whether a run is given the machine's GPUs.
    pub gpus: bool,
    /// How SELinux is told of what is mounted: `disable`, `relabel`, `shared` or `off`.
    pub selinux: Selinux,
    /// Whether a run can write nothing of its image, only its checkout, its home and temporary directories.
    pub read_only: bool,
    /// When an image is pulled.
    pub pull: Pull,
    /// What becomes of runs when the daemon goes down.
    pub on_shutdown: OnShutdown,
    /// Who owns workspaces if the daemon runs as root.
    pub uid: u32,
    /// The group that goes with [`Settings::uid`].
    pub gid: u32,
    /// Author of the commits.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
    /// `off`, `auto` (detected from the repository), or the commands.
    pub verify: Verify,
    /// The longest that verifying may take.
    pub verify_timeout: Span,
    /// How often a run whose checks failed goes back to its program before it has failed.
    pub verify_retries: u32,
    /// What is different for one repository, by `owner/name`.
    pub repositories: BTreeMap<RepoName, Special>,
    /// Commands of the operator around a workspace's life, run on the host.
    pub hooks: Hooks,
    /// A directory with files that checkouts get and nobody publishes: `<owner>/<repository>/.env` and the like.
    pub files: Option<PathBuf>,
    /// Which submodules are fetched.
    pub submodules: Which,
    /// Whether what is kept in Git LFS is fetched.
    pub lfs: bool,
    /// The most that one checkout gets of it; zero is no limit.
    pub lfs_limit: Size,
    /// Whether mirrors are made without the contents of files that no checkout needs.
    pub partial: Partial,
    /// The most that one workspace may take of the disk while a program works in it; zero is no limit.
    pub workspace_limit: Size,
    /// What has to be free on the disk of the workspaces before a run starts; zero is nothing.
    pub min_free: Size,
    /// Names passed from the daemon's environment into every run, besides those of its program.
    pub env: Vec<String>,
    /// The cluster, where the runtime is `kubernetes`.
    pub kubernetes: Cluster,
    /// Programs by name, laid over the built-in ones field by field.
    pub agents: BTreeMap<String, Entry>,
    /// Prices of models, laid over the built-in ones; from `[prices]`.
    #[serde(skip)]
    pub prices: BTreeMap<String, Price>,
    /// The template of prompts, where a run by hand names no other.
    pub template: String,
    /// A directory with templates of one's own: `NAME.md`, `plans/NAME.md`, `personas/NAME.md`.
    pub templates: Option<PathBuf>,
    /// The most that is kept of a run's log.
    pub log_limit: Size,
    /// How long the logs of a run are kept once it is over.
    pub log_keep: Span,
    /// The most that the logs of all runs that are over take on the disk; the oldest go.
    pub log_total: Size,
    /// How long, how many and how much of old workspaces.
    pub keep: Kept,
}

/// What is different for one repository; what is absent is as for all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Special {
    /// Instead of [`Settings::verify`].
    pub verify: Option<Verify>,
    /// Instead of [`Settings::verify_timeout`].
    pub verify_timeout: Option<Span>,
    /// Instead of [`Settings::verify_retries`].
    pub verify_retries: Option<u32>,
}

/// How the work on one repository is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checks<'a> {
    /// With which commands.
    pub verify: &'a Verify,
    /// The longest that they may take.
    pub verify_timeout: Span,
    /// How often a run goes back to its program.
    pub verify_retries: u32,
}

/// What is kept of old workspaces; zero is no limit. One that a run works in is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kept {
    /// Since the last run in it ended.
    pub age: Span,
    /// In all.
    pub count: usize,
    /// In all, on the disk.
    pub disk: Size,
}

impl Default for Kept {
    fn default() -> Self {
        Self { age: Span::minutes(30 * 24 * 60), count: 0, disk: Size(0) }
    }
}

impl Kept {
    /// The same as limits.
    #[must_use]
    pub fn limits(&self) -> Keep {
        Keep {
            age: Some(self.age.0).filter(|a| !a.is_zero()),
            count: Some(self.count).filter(|n| *n > 0),
            bytes: Some(self.disk.0).filter(|n| *n > 0),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            runtime: RuntimeChoice::Auto,
            agent: "claude".into(),
            lane_agents: BTreeMap::new(),
            agent_name: "dispatch".into(),
            image: "dispatch-agent:latest".into(),
            max_parallel: 2,
            timeout: Span::minutes(60),
            stall_timeout: Span::minutes(15),
            grace: Span(Duration::from_secs(10)),
            memory: Some(Size(4 << 30)),
            cpus: Some(2.0),
            pids: Some(1024),
            nofile: None,
            limits: true,
            network: "default".into(),
            host_gateway: false,
            gpus: false,
            selinux: Selinux::Disable,
            read_only: true,
            pull: Pull::Missing,
            on_shutdown: OnShutdown::Leave,
            uid: 1000,
            gid: 1000,
            author_name: "Dispatch".into(),
            author_email: "dispatch@localhost".into(),
            verify: Verify::Off,
            verify_timeout: Span::minutes(20),
            verify_retries: 1,
            repositories: BTreeMap::new(),
            hooks: Hooks::default(),
            files: None,
            submodules: Which::default(),
            lfs: true,
            lfs_limit: Size(2 << 30),
            partial: Partial::Auto,
            workspace_limit: Size(32 << 30),
            min_free: Size(2 << 30),
            env: Vec::new(),
            kubernetes: Cluster::default(),
            agents: BTreeMap::new(),
            prices: BTreeMap::new(),
            template: "coding".into(),
            templates: None,
            log_limit: Size(64 << 20),
            log_keep: Span(Duration::from_secs(90 * 86_400)),
            log_total: Size(4 << 30),
            keep: Kept::default(),
        }
    }
}

impl Settings {
    /// How the work on this repository is checked.
    #[must_use]
    pub fn of(&self, repo: &RepoName) -> Checks<'_> {
        let folded = repo.folded();
        let special = self.repositories.iter().find(|(name, _)| name.folded() == folded).map(|(_, s)| s);
        Checks {
            verify: special.and_then(|s| s.verify.as_ref()).unwrap_or(&self.verify),
            verify_timeout: special.and_then(|s| s.verify_timeout).unwrap_or(self.verify_timeout),
            verify_retries: special.and_then(|s| s.verify_retries).unwrap_or(self.verify_retries),
        }
    }

    /// What runs need of their engine.
    #[must_use]
    pub fn wants(&self) -> Wants {
        let limited = self.memory.is_some() || self.cpus.is_some() || self.pids.is_some();
        let own = self.agents.values().filter_map(|a| a.image.clone());
        let mut images: Vec<String> = std::iter::once(self.image.clone()).chain(own).collect();
        images.retain(|_| self.pull == Pull::Never);
        Wants { limits: self.limits && limited, network: self.network.clone(), gpus: self.gpus, images }
    }

    /// How long the runner may take to let go of its runs when the daemon goes down.
    #[must_use]
    pub fn drain(&self) -> Duration {
        const LET_GO: Duration = Duration::from_secs(10);
        match self.on_shutdown {
            OnShutdown::Leave => LET_GO,
            OnShutdown::Stop => LET_GO + self.grace.0,
        }
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// Not: it is built here.
    Never,
    /// When it is not there.
    #[default]
    Missing,
    /// Before every run.
    Always,
}

/// What becomes of runs when the daemon goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnShutdown {
    /// They go on, and the next start takes them up.
    #[default]
    Leave,
    /// Their programs are ended, and the next start begins them again in the same workspace.
    Stop,
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// The first of apple (macOS), docker, podman that is there; never host or a cluster.
    #[default]
    Auto,
    /// This one, or an error.
    Named(RuntimeKind),
}

impl FromStr for RuntimeChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self::Named(match text {
            "auto" => return Ok(Self::Auto),
            "docker" => RuntimeKind::Docker,
            "podman" => RuntimeKind::Podman,
            "apple" => RuntimeKind::Apple,
            "host" => RuntimeKind::Host,
            "kubernetes" => RuntimeKind::Kubernetes,
            other => {
                return Err(format!(
                    "`{other}` is no runtime: use auto, docker, podman, apple, kubernetes or host"
                ));
            }
        }))
    }
}

/// Whether and how a run's work is checked before it is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Not.
    #[default]
    Off,
    /// With the checks that the repository is known for (Cargo.toml, go.mod, …).
    Auto,
    /// With these, one after the other, each through `sh -c`.
    Commands(Vec<String>),
}

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Commands(Vec<String>),
        }
        match Raw::deserialize(d)? {
            Raw::Word(w) if w == "off" => Ok(Verify::Off),
            Raw::Word(w) if w == "auto" => Ok(Verify::Auto),
            Raw::Word(w) => {
                Err(D::Error::custom(format!("`{w}` is no way to verify: use \"off\", \"auto\" or a list")))
            }
            Raw::Commands(list) => Ok(Verify::Commands(list)),
        }
    }
}

/// Commands of the operator, each through `sh -c` in the checkout, on the host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// The longest that each may take; then it is killed, and counts as failed.
    pub timeout: Span,
    /// Once a workspace was made.
    pub after_create: Option<String>,
    /// Before the program starts; a failure ends the run.
    pub before_run: Option<String>,
    /// After it ended.
    pub after_run: Option<String>,
    /// Before a workspace is collected.
    pub before_remove: Option<String>,
}

impl Default for Hooks {
    fn default() -> Self {
        let timeout = Span::minutes(5);
        Self { timeout, after_create: None, before_run: None, after_run: None, before_remove: None }
    }
}

/// A length of time, written `90s`, `30m`, `1h30m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    pub(super) const fn minutes(n: u64) -> Self {
        Self(Duration::from_secs(n * 60))
    }
}

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time: write 90s, 30m, 1h30m or 2d");
        let (mut total, mut digits, mut units) = (0_u64, String::new(), 0);
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let unit = match c {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return Err(wrong()),
            };
            let n: u64 = digits.parse().map_err(|_| wrong())?;
            total = n.checked_mul(unit).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
            digits.clear();
            units += 1;
        }
        if units == 0 || !digits.is_empty() {
            return Err(wrong());
        }
        Ok(Self(Duration::from_secs(total)))
    }
}

/// Bytes, written `512m`, `4g`, or a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write 512m, 4g or a number of bytes");
        let lower = text.to_ascii_lowercase();
        let lower = lower.trim_end_matches("ib").trim_end_matches('b');
        let shift = match lower.chars().last() {
            Some('k') => 10,
            Some('m') => 20,
            Some('g') => 30,
            Some('t') => 40,
            _ => 0,
        };
        let digits = if shift == 0 { lower } else { &lower[..lower.len() - 1] };
        let n: u64 = digits.parse().map_err(|_| wrong())?;
        n.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

/// Reads a value from its text, so that the configuration's error shows the sentence and the line.
struct Text<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = String>> serde::de::Visitor<'_> for Text<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<T, E> {
        n.to_string().parse().map_err(E::custom)
    }
    fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<T, E> {
        n.to_string().parse().map_err(E::custom)
    }
}

macro_rules! from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_any(Text(std::marker::PhantomData))
            }
        }
    )*};
}
from_text!(RuntimeChoice, Span, Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_read() {
        assert_eq!("90s".parse(), Ok(Span(Duration::from_secs(90))));
        assert_eq!("1h30m".parse(), Ok(Span(Duration::from_secs(5_400))));
        for bad in ["", "30", "m", "3x", "-3m", "99999999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} must be refused");
        }
        assert_eq!("512m".parse(), Ok(Size(512 << 20)));
        assert_eq!("4GiB".parse(), Ok(Size(4 << 30)));
        assert_eq!("7".parse(), Ok(Size(7)));
        assert!("lots".parse::<Size>().is_err());
    }

    #[test]
    fn a_section_is_read_and_unknown_keys_are_refused() {
        let s: Settings = toml::from_str(
            "runtime = 'podman'\ntimeout = '5m'\nmemory = '1g'\nverify = ['make test']\n[hooks]\nbefore_run = 'true'",
        )
        .unwrap();
        assert_eq!(s.runtime, RuntimeChoice::Named(RuntimeKind::Podman));
        assert_eq!(s.timeout, Span::minutes(5));
        assert_eq!(s.verify, Verify::Commands(vec!["make test".into()]));
        assert_eq!(s.pids, Some(1024), "what is not named keeps its default");
        assert!(toml::from_str::<Settings>("tiemout = '5m'").unwrap_err().to_string().contains("tiemout"));
        assert!(toml::from_str::<Settings>("runtime = 'dokcer'").unwrap_err().to_string().contains("dokcer"));
    }
}
