//! What the operator chose: the configuration file, the environment over it, and the policy that comes of both.
//!
//! Every key is optional; an unknown one is an error that names file, line and key.

pub mod budgets;
pub mod doors;
pub mod followup;
pub mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch_shared::endpoint;
use dispatch_shared::id::RepoName;
use dispatch_shared::protocol::events::Lane;
use serde::Deserialize;
use url::Url;

use crate::core::limits;
use crate::core::policy::Policy;
use crate::core::reconcile::Reconcile;
use crate::credentials::places::{self, Places};
use crate::credentials::{self, Credentials};
use crate::groomer::settings as groomer;
use crate::notify;
use crate::runner::agents::Agents;
use crate::runner::prices::{Price, Prices};
use crate::runner::settings::{Settings as Runner, Span};

/// The file as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// GitHub.
    pub github: Github,
    /// Sync.
    pub sync: Sync,
    /// Claims and order.
    pub queue: Queue,
    /// How much may be under way at once.
    pub limits: Limits,
    /// The lanes; none is the preset.
    pub lanes: Vec<LaneEntry>,
    /// Other names of lanes.
    pub lane_aliases: Option<BTreeMap<String, String>>,
    /// Follow-ups of pull requests.
    pub followup: followup::Followup,
    /// The built-in runner.
    pub runner: Runner,
    /// What may be spent.
    pub budgets: budgets::Budgets,
    /// How far apart runs start, by program, or program and model.
    pub pacing: BTreeMap<String, budgets::Pacing>,
    /// What models cost, laid over the built-in prices.
    pub prices: BTreeMap<String, Price>,
    /// The TCP listener.
    pub api: doors::Api,
    /// Who is told of what needs a person.
    pub notify: notify::Settings,
}

/// `[github]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Github {
    /// `https://HOST/api/v3` for Enterprise.
    pub api_url: Option<String>,
    /// A file that holds the token, and nobody else may read.
    pub token_file: Option<PathBuf>,
    /// A file that holds the secret of webhooks.
    pub webhook_secret_file: Option<PathBuf>,
    /// A GitHub App to act as, instead of a token.
    pub app: token::GithubApp,
    /// Repositories to track at the first start.
    pub repositories: Vec<RepoName>,
}

/// `[sync]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sync {
    /// How often a repository is looked at.
    pub every: Span,
    /// What is done about labels that contradict what is known.
    pub reconcile: Reconcile,
    /// Whether workflows, runs, releases and the like are read by themselves.
    pub automation: bool,
}

impl Default for Sync {
    fn default() -> Self {
        Self { every: Span(Duration::from_secs(60)), reconcile: Reconcile::default(), automation: true }
    }
}

/// `[queue]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Lease of outside harnesses.
    pub lease: Span,
    /// Lease of the built-in runner.
    pub runner_lease: Span,
    /// Lease by agent name.
    pub leases: BTreeMap<String, Span>,
    /// Claims at once by agent name.
    pub slots: BTreeMap<String, usize>,
    /// Labels that withhold a card.
    pub excluded_labels: Option<Vec<String>>,
    /// Failed attempts before a person is asked.
    pub max_failures: u32,
    /// Days that closed cards stay on the board.
    pub done_retention_days: u32,
}

impl Default for Queue {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            lease: Span(policy.lease),
            runner_lease: Span(policy.runner_lease),
            leases: BTreeMap::new(),
            slots: BTreeMap::new(),
            excluded_labels: None,
            max_failures: policy.max_failures,
            done_retention_days: 7,
        }
    }
}

/// `[[lanes]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneEntry {
    /// Its id.
    pub id: String,
    /// Its title; the id if absent.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether work is handed out from it.
    #[serde(default = "yes")]
    pub claimable: bool,
    /// `default`, `escalation`, or none.
    #[serde(default)]
    pub role: Option<String>,
    /// In words.
    #[serde(default)]
    pub description: Option<String>,
    /// A colour's name.
    #[serde(default)]
    pub color: Option<String>,
    /// The agent it is meant for.
    #[serde(default, rename = "defaultAgent", alias = "default_agent")]
    pub default_agent: Option<String>,
}

/// `[limits]`: slots at once; 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// In all.
    pub total: u32,
    /// By lane.
    pub lanes: BTreeMap<String, u32>,
    /// By repository.
    pub repositories: BTreeMap<String, u32>,
    /// By program, or program and model.
    pub models: BTreeMap<String, u32>,
    /// What a task weighs, by label or lane.
    pub weights: BTreeMap<String, u32>,
}

impl Limits {
    /// As the core wants them.
    fn policy(&self, lanes: &[Lane], aliases: &BTreeMap<String, String>) -> Result<limits::Limits, String> {
        let folded = |map: &BTreeMap<String, u32>| map.iter().map(|(k, v)| (k.to_lowercase(), *v)).collect();
        let mut by_lane = BTreeMap::new();
        for (name, limit) in &self.lanes {
            let id = aliases.get(name).unwrap_or(name);
            if !lanes.iter().any(|l| l.id == *id) {
                return Err(format!("key `limits.lanes.{name}`: there is no lane `{name}`"));
            }
            by_lane.insert(id.clone(), *limit);
        }
        Ok(limits::Limits {
            total: self.total,
            lanes: by_lane,
            repositories: folded(&self.repositories),
            models: self.models.clone(),
            weights: folded(&self.weights),
        })
    }
}

fn yes() -> bool {
    true
}

/// Why there is no configuration. Its text names file, line, key and cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Everything that the daemon starts with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, or the defaults.
    pub file: File,
    /// Where it was looked for.
    pub path: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// The socket.
    pub socket: PathBuf,
    /// GitHub's API.
    pub api_url: Url,
    /// Whom GitHub sees.
    pub identity: token::Identity,
    /// What was entered through the API.
    pub credentials: Credentials,
    /// The TCP listener and the tokens.
    pub doors: doors::Doors,
    /// Where the secret of webhooks is; without one none is taken.
    pub webhook_secret: Arc<Places>,
    /// Repositories to track while none is tracked.
    pub seed: Vec<RepoName>,
    /// The hosted groomer, if it is on.
    pub groomer: Option<groomer::Settings>,
    /// What comes of it for the core.
    pub policy: Policy,
}

/// Reads the configuration: `get` looks into the environment.
///
/// # Errors
/// [`ConfigError`].
pub fn load(get: impl Fn(&str) -> Option<String> + Copy) -> Result<Config, ConfigError> {
    let path = endpoint::config_path(get);
    let named = get("DISPATCH_CONFIG").is_some_and(|v| !v.is_empty());
    let file = match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !named => File::default(),
        Err(e) => return Err(ConfigError(format!("{}: {e}", path.display()))),
    };
    from_file(file, path, get)
}

fn from_file(
    file: File,
    path: PathBuf,
    get: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Config, ConfigError> {
    let env = |name: &str| get(name).filter(|v| !v.trim().is_empty());
    let api = env("GITHUB_API_URL").or_else(|| file.github.api_url.clone());
    let api = api.unwrap_or_else(|| "https://api.github.com".to_owned());
    let api_url = Url::parse(&api)
        .map_err(|e| ConfigError(format!("GITHUB_API_URL or github.api_url `{api}` is no URL: {e}")))?;
    let mut seed = file.github.repositories.clone();
    for name in env("GITHUB_REPOSITORIES").unwrap_or_default().split([',', '\n']).map(str::trim) {
        if !name.is_empty() {
            seed.push(name.parse().map_err(|e| ConfigError(format!("GITHUB_REPOSITORIES: {e}")))?);
        }
    }
    let policy = policy(&file, &path, env)?;
    let mut file = file;
    file.runner.prices = file.prices.clone();
    programs(&file).map_err(|why| ConfigError(format!("{}: {why}", path.display())))?;
    if let Some(runtime) = env("DISPATCH_RUNTIME").or_else(|| env("CORE_AGENT_RUNTIME")) {
        file.runner.runtime = runtime.parse().map_err(|e| ConfigError(format!("DISPATCH_RUNTIME: {e}")))?;
    }
    if let Some(image) = env("DISPATCH_IMAGE").or_else(|| env("AGENT_DOCKER_IMAGE")) {
        file.runner.image = image;
    }
    let state_dir = endpoint::state_dir(get);
    let credentials = Credentials::read(&state_dir)
        .map_err(|e| ConfigError(format!("{}: {e}", credentials::path(&state_dir).display())))?;
    let mine = |name: &str| file.api.workers.values().any(|w| w.token_env.as_deref() == Some(name));
    if let Some(name) = file.runner.env.iter().find(|name| mine(name)) {
        return Err(ConfigError(format!(
            "{}: key `runner.env`: {name} holds a token of Dispatch's own, which no run may have",
            path.display()
        )));
    }
    let mut groomer = groomer::read(get).map_err(ConfigError)?;
    if let Some(settings) = groomer.as_mut().filter(|s| s.api_key.is_none()) {
        settings.api_key = token::now(places::MODEL, None, &state_dir, env)?.map(|t| t.secret);
    }
    let webhook = file.github.webhook_secret_file.clone();
    let webhook_secret = Places::new(places::WEBHOOK, webhook, &state_dir, env);
    webhook_secret.find().map_err(ConfigError)?;
    Ok(Config {
        identity: token::identity(&file, &state_dir, env)?,
        doors: doors::read(&file.api, &path, &state_dir, env)?,
        webhook_secret: Arc::new(webhook_secret),
        credentials,
        state_dir,
        socket: endpoint::socket_path(get),
        groomer,
        file,
        path,
        api_url,
        seed,
        policy,
    })
}

/// Whether every program that is described or named is one.
fn programs(file: &File) -> Result<(), String> {
    Prices::new(&file.prices)?;
    let agents = Agents::new(&file.runner.agents)?;
    agents.get(&file.runner.agent).map_err(|e| format!("key `runner.agent`: {e}"))?;
    for (lane, program) in &file.runner.lane_agents {
        agents.get(program).map_err(|e| format!("key `runner.lane_agents.{lane}`: {e}"))?;
    }
    let budgets = file.budgets.programs.keys().map(|name| ("budgets.programs", name));
    for (key, name) in budgets.chain(file.pacing.keys().map(|name| ("pacing", name))) {
        agents.get(name).map_err(|e| format!("key `{key}.{name}`: {e}"))?;
    }
    Ok(())
}

/// Reads the text of the file at `path`.
///
/// # Errors
/// [`ConfigError`] that names file, line and key.
pub fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    let reader = toml::Deserializer::parse(text).map_err(|e| at(path, text, "", &e))?;
    serde_path_to_error::deserialize(reader).map_err(|e| {
        let key = e.path().to_string();
        at(path, text, &key, e.inner())
    })
}

fn at(path: &Path, text: &str, key: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| {
        text.get(..span.start).map_or(1, |before| before.bytes().filter(|b| *b == b'\n').count() + 1)
    });
    let key = if key.is_empty() || key == "." { String::new() } else { format!(" key `{key}`:") };
    ConfigError(format!("{}:{line}:{key} {}", path.display(), error.message().trim().replace('\n', " ")))
}

fn policy(
    file: &File,
    path: &Path,
    env: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Policy, ConfigError> {
    let preset = Policy::default();
    let wrong = |why: String| ConfigError(format!("{}: {why}", path.display()));
    let (mut lanes, mut aliases) = (file.lanes.clone(), file.lane_aliases.clone());
    if let Some(json) = env("DISPATCH_LANE_CONFIG_JSON").or_else(|| env("DISPATCH_LANE_CONFIG")) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        #[derive(Default)]
        struct Lanes {
            lanes: Vec<LaneEntry>,
            lane_aliases: Option<BTreeMap<String, String>>,
        }
        let read: Lanes = serde_json::from_str(&json)
            .map_err(|e| ConfigError(format!("DISPATCH_LANE_CONFIG_JSON: {e}")))?;
        lanes = read.lanes;
        aliases = read.lane_aliases.or(aliases);
    }
    let own: Vec<Lane> = lanes
        .into_iter()
        .map(|l| Lane {
            title: l.title.unwrap_or_else(|| l.id.clone()),
            id: l.id,
            claimable: l.claimable,
            role: l.role,
            description: l.description,
            color: l.color,
            default_agent: l.default_agent,
        })
        .collect();
    // The preset's aliases name the preset's lanes: with lanes of one's own they count only where those exist.
    let preset_lanes = own.is_empty();
    let lanes = if preset_lanes { preset.lanes.clone() } else { own };
    let given = aliases.is_some();
    let aliases: BTreeMap<String, String> = aliases.unwrap_or_else(|| {
        preset.lane_aliases.clone().into_iter().filter(|(_, to)| lanes.iter().any(|l| l.id == *to)).collect()
    });
    if let Some((alias, to)) = aliases.iter().find(|(_, to)| given && !lanes.iter().any(|l| l.id == **to)) {
        return Err(wrong(format!("key `lane_aliases.{alias}`: there is no lane `{to}`")));
    }
    for (n, lane) in lanes.iter().enumerate() {
        if lanes[..n].iter().any(|l| l.id == lane.id) {
            return Err(wrong(format!("key `lanes`: lane `{}` is there twice", lane.id)));
        }
    }
    let excluded = env("DISPATCH_EXCLUDED_LABELS")
        .map(|text| text.split(',').map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect())
        .or_else(|| file.queue.excluded_labels.clone())
        .unwrap_or(preset.excluded_labels);
    let days = match env("DISPATCH_DONE_RETENTION_DAYS") {
        None => file.queue.done_retention_days,
        Some(text) => text.parse().map_err(|_| {
            ConfigError(format!("DISPATCH_DONE_RETENTION_DAYS: `{text}` is no number of days"))
        })?,
    };
    let limits = file.limits.policy(&lanes, &aliases).map_err(wrong)?;
    Ok(Policy {
        budgets: file.budgets.policy().map_err(wrong)?,
        pacing: file.pacing.iter().map(|(name, pace)| (name.clone(), pace.policy())).collect(),
        limits,
        reconcile: file.sync.reconcile,
        lanes,
        lane_aliases: aliases,
        lease: file.queue.lease.0,
        runner_lease: file.queue.runner_lease.0,
        leases: file.queue.leases.iter().map(|(agent, span)| (agent.clone(), span.0)).collect(),
        slots: file.queue.slots.clone(),
        excluded_labels: excluded,
        max_failures: file.queue.max_failures.max(1),
        done_retention: Duration::from_secs(u64::from(days) * 86_400),
        runner_agent: file.runner.agent_name.clone(),
        runner_slots: file.runner.max_parallel,
        followup: followup::policy(&file.followup, env)?,
        lane_programs: file.runner.lane_agents.clone(),
        default_program: file.runner.agent.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        parse(Path::new("/etc/d.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_line_and_key() {
        let unknown = said("[queue]\nlease = \"30m\"\nleese = \"1m\"\n");
        assert!(unknown.starts_with("/etc/d.toml:3:") && unknown.contains("leese"), "{unknown}");
        let wrong = said("[runner]\n\nmax_parallel = \"many\"\n");
        assert!(wrong.starts_with("/etc/d.toml:3:") && wrong.contains("runner.max_parallel"), "{wrong}");
        let broken = said("[queue\n");
        assert!(broken.starts_with("/etc/d.toml:1:"), "{broken}");
        let span = said("[queue]\nlease = \"soon\"\n");
        assert!(span.starts_with("/etc/d.toml:2:") && span.contains("queue.lease"), "{span}");
    }

    #[test]
    fn nothing_is_needed() {
        let config = from_file(File::default(), "/x".into(), |_: &str| None).unwrap();
        assert_eq!(config.policy.lanes.len(), 4);
        assert_eq!(config.policy.lane("escalated").map(|l| l.id.as_str()), Some("frontier"));
        assert_eq!(config.policy.lease, Duration::from_secs(1_800));
    }

    #[test]
    fn no_run_gets_a_workers_token() {
        let text = "[runner]\nenv = [\"KAI\"]\n[api.workers.kai]\ntoken_env = \"KAI\"\n";
        let file = parse(Path::new("x"), text).unwrap();
        let wrong =
            from_file(file, "/x".into(), |name: &str| (name == "KAI").then(|| "k".into())).unwrap_err();
        assert!(wrong.to_string().contains("runner.env"), "{wrong}");
    }

    #[test]
    fn lanes_of_ones_own_replace_the_preset() {
        let file = parse(Path::new("x"), "[[lanes]]\nid = \"fast\"\nrole = \"default\"\n").unwrap();
        let config = from_file(file, "/x".into(), |_: &str| None).unwrap();
        assert_eq!(config.policy.default_lane(), "fast");
        assert_eq!(config.policy.lane("normal"), None, "an alias of a lane that is not there names nothing");
        let file = parse(Path::new("x"), "[lane_aliases]\nquick = \"nowhere\"\n").unwrap();
        let wrong = from_file(file, "/x".into(), |_: &str| None).unwrap_err().to_string();
        assert!(wrong.contains("nowhere"), "{wrong}");
    }
}
