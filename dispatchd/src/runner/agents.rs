//! Programs as data: what to execute, how to read what it says, which names and files it gets. Built in from
//! `assets/agents.toml`, with the operator's entries laid over it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::settings::Span;
use super::stream::Format;

const BUILT_IN: &str = include_str!("../../../assets/agents.toml");
const DEMO: &str = include_str!("../../../assets/demo/agent.sh");

/// Never given to a program, whatever the configuration says: the daemon alone talks to the forge and to itself.
pub(super) const WITHHELD: [&str; 8] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "DISPATCH_AGENT_TOKEN",
    "DISPATCH_MAINTAINER_TOKEN",
    "DISPATCH_WORKER_TOKEN",
    "WEBHOOK_SECRET",
    "GITHUB_APP_PRIVATE_KEY_FILE",
    "CREDENTIALS_DIRECTORY",
];

/// One entry as it is written; what is absent is taken from the built-in entry of the same name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// The program and its arguments, with placeholders.
    pub argv: Option<Vec<String>>,
    /// The arguments that name the model.
    pub model: Option<Vec<String>>,
    /// How to read what it says.
    pub format: Option<Format>,
    /// Names passed by name.
    pub env: Option<Vec<String>>,
    /// Fixed environment.
    pub set: Option<BTreeMap<String, String>>,
    /// Files copied into the run's home, relative to a home.
    pub credentials: Option<Vec<String>>,
    /// The image that it runs from, instead of the runner's.
    pub image: Option<String>,
    /// What its success looks like.
    pub produces: Option<Produces>,
    /// The name of an embedded script, instead of argv.
    pub script: Option<String>,
    /// The arguments that take an earlier session up again.
    pub resume: Option<Vec<String>>,
    /// Files and directories below its home in which it keeps its conversations.
    pub sessions: Option<Vec<String>>,
    /// The arguments that limit the turns.
    pub turns: Option<Vec<String>>,
    /// The arguments that limit the dollars.
    pub usd: Option<Vec<String>>,
    /// The model whose price counts where neither the run nor the program names one.
    pub priced_as: Option<String>,
    /// What one run may use.
    pub limits: Option<Limits>,
    /// Variants by name: `program:name`.
    pub profiles: Option<BTreeMap<String, Profile>>,
}

/// What one run of a program may use; what is absent is not limited here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How often the model may be asked.
    pub turns: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// The longest that it may work, instead of `runner.timeout`.
    pub timeout: Option<Span>,
    /// The longest that it may be silent, instead of `runner.stall_timeout`.
    pub stall_timeout: Option<Span>,
}

/// A variant of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// The model.
    pub model: Option<String>,
    /// Arguments, put where those that name the model stand.
    pub args: Vec<String>,
    /// Further fixed environment.
    pub set: BTreeMap<String, String>,
}

/// What a program's success looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Produces {
    /// Commits, to be verified and published.
    #[default]
    Commits,
    /// Findings; nothing to verify or publish.
    Review,
}

/// A program that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its name, without the model.
    pub name: String,
    /// The model, if the run names one.
    pub model: Option<String>,
    /// How to read what it says.
    pub format: Format,
    /// What its success looks like.
    pub produces: Produces,
    /// Names passed by name.
    pub env: Vec<String>,
    /// Fixed environment.
    pub set: Vec<(String, String)>,
    /// Files copied into the run's home, relative to a home.
    pub credentials: Vec<String>,
    /// The image that it runs from, instead of the runner's.
    pub image: Option<String>,
    /// The embedded script that it is, to be written into the run's home.
    pub script: Option<&'static str>,
    /// What one run may use.
    pub limits: Limits,
    /// The model whose price counts where neither the run nor the program names one.
    pub priced_as: Option<String>,
    /// Files and directories below its home in which it keeps its conversations.
    pub sessions: Vec<String>,
    argv: Vec<String>,
    /// What stands for each placeholder that is an argument of its own.
    parts: BTreeMap<&'static str, Vec<String>>,
    resume: Vec<String>,
    turns: Option<Vec<String>>,
    usd: Option<Vec<String>>,
}

/// Where the embedded script is put, below the run's home.
pub const SCRIPT_NAME: &str = ".dispatch-agent.sh";

impl Agent {
    /// The program and its arguments for one run; `session` is the earlier one that it goes on with.
    #[must_use]
    pub fn argv(&self, dir: &Path, home: &Path, base: &str, session: Option<&str>) -> Vec<String> {
        if self.script.is_some() {
            return vec!["sh".into(), home.join(SCRIPT_NAME).display().to_string()];
        }
        let fill = |arg: &String| {
            arg.replace("{dir}", &dir.display().to_string())
                .replace("{home}", &home.display().to_string())
                .replace("{base}", base)
        };
        let mut argv = Vec::new();
        for arg in &self.argv {
            match (arg.as_str(), self.parts.get(arg.as_str())) {
                ("{resume}", _) => {
                    let filled = |session: &str| {
                        self.resume.iter().map(|a| a.replace("{session}", session)).collect::<Vec<_>>()
                    };
                    argv.extend(session.map(filled).unwrap_or_default());
                }
                (_, Some(part)) => argv.extend(part.iter().map(fill)),
                _ => argv.push(fill(arg)),
            }
        }
        argv
    }

    /// Whether the program has a way to take an earlier session up again.
    #[must_use]
    pub fn resumes(&self) -> bool {
        !self.resume.is_empty() && !self.sessions.is_empty()
    }

    /// The same program with what is left of its limits once it has used so much of them.
    #[must_use]
    pub fn having_used(mut self, turns: u64, usd: f64) -> Self {
        let left = self.limits.turns.map(|most| most.saturating_sub(turns).max(1));
        let dollars = self.limits.usd.map(|most| (most - usd).max(0.01));
        self.parts.insert("{limits}", limited(&self.turns, &self.usd, left, dollars));
        self
    }

    /// Whether the program itself keeps to a limit of turns.
    #[must_use]
    pub fn counts_turns(&self) -> bool {
        self.parts.get("{limits}").is_some_and(|part| part.iter().any(|a| a.contains("turns")))
    }
}

/// All programs.
#[derive(Clone, Debug)]
pub struct Agents {
    entries: BTreeMap<String, Entry>,
}

impl Agents {
    /// The built-in programs with `user` laid over them.
    ///
    /// # Errors
    /// A sentence that names the entry and what is wrong with it.
    pub fn new(user: &BTreeMap<String, Entry>) -> Result<Self, String> {
        let mut entries: BTreeMap<String, Entry> =
            toml::from_str(BUILT_IN).map_err(|e| format!("assets/agents.toml: {e}"))?;
        for (name, over) in user {
            let base = entries.remove(name).unwrap_or_default();
            // A command of the user's own replaces an embedded script, and the reverse.
            let script = over.script.clone().or(if over.argv.is_some() { None } else { base.script });
            let merged = Entry {
                argv: over.argv.clone().or(base.argv),
                model: over.model.clone().or(base.model),
                format: over.format.or(base.format),
                env: over.env.clone().or(base.env),
                set: over.set.clone().or(base.set),
                credentials: over.credentials.clone().or(base.credentials),
                image: over.image.clone().or(base.image),
                produces: over.produces.or(base.produces),
                script,
                resume: over.resume.clone().or(base.resume),
                sessions: over.sessions.clone().or(base.sessions),
                turns: over.turns.clone().or(base.turns),
                usd: over.usd.clone().or(base.usd),
                priced_as: over.priced_as.clone().or(base.priced_as),
                limits: over.limits.or(base.limits),
                profiles: over.profiles.clone().or(base.profiles),
            };
            entries.insert(name.clone(), merged);
        }
        for (name, entry) in &entries {
            check(entry).map_err(|what| format!("runner.agents.{name}: {what}"))?;
        }
        Ok(Self { entries })
    }

    /// The names of all programs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The program that `program` names: an entry's name, or the name, a colon and a model.
    ///
    /// # Errors
    /// A sentence that lists what there is.
    pub fn get(&self, program: &str) -> Result<Agent, String> {
        // `codex:review` is a program of its own, so the longest name that is an entry counts.
        let ends = std::iter::once(program.len()).chain(program.rmatch_indices(':').map(|(at, _)| at));
        for end in ends {
            if let Some(entry) = self.entries.get(&program[..end]) {
                let rest = program.get(end + 1..).filter(|m| !m.is_empty());
                let profile = rest.and_then(|name| entry.profiles.as_ref()?.get(name));
                let model = if profile.is_some() { None } else { rest };
                return Ok(agent(&program[..end], model, profile, entry));
            }
        }
        let known: Vec<&str> = self.names().collect();
        Err(format!(
            "`{program}` is no known program: use one of {}, or add [runner.agents.{program}]",
            known.join(", ")
        ))
    }
}

fn check(entry: &Entry) -> Result<(), String> {
    match (&entry.argv, entry.script.as_deref()) {
        (_, Some("demo")) => {}
        (_, Some(other)) => return Err(format!("there is no embedded script `{other}`")),
        (Some(argv), None) if !argv.is_empty() => {}
        _ => return Err("argv is missing".into()),
    }
    placeholders(entry)?;
    for name in entry.env.iter().flatten() {
        check_env(name)?;
    }
    let profiles = || entry.profiles.iter().flatten();
    let fixed = entry.set.iter().flatten().chain(profiles().flat_map(|(_, p)| &p.set));
    for (name, _) in fixed {
        check_env(name)?;
    }
    if let Some(usd) = entry.limits.and_then(|l| l.usd)
        && !(usd.is_finite() && usd > 0.0)
    {
        return Err("limits.usd must be a number of dollars above 0".into());
    }
    if let Some((name, _)) = profiles().find(|(name, _)| name.is_empty() || name.contains(':')) {
        return Err(format!("`{name}` is no name of a profile"));
    }
    for (what, files) in [("credential file", &entry.credentials), ("sessions:", &entry.sessions)] {
        for file in files.iter().flatten() {
            let path = Path::new(file);
            let inside = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
            if !inside || file.is_empty() {
                return Err(format!("{what} `{file}` must be a path below the home directory"));
            }
        }
    }
    Ok(())
}

/// Whether what is to be put into the arguments has a place there, and every placeholder has a meaning.
fn placeholders(entry: &Entry) -> Result<(), String> {
    let Some(argv) = &entry.argv else { return Ok(()) };
    let has = |name: &str| argv.iter().any(|a| a == name);
    let is_named = |part: &Option<Vec<String>>, name: &str| {
        part.as_ref().is_none_or(|args| args.iter().any(|a| a.contains(name)))
    };
    let parts = [
        ("model", &entry.model, "{model}", "{model}"),
        ("resume", &entry.resume, "{resume}", "{session}"),
        ("turns", &entry.turns, "{limits}", "{turns}"),
        ("usd", &entry.usd, "{limits}", "{usd}"),
    ];
    for (field, part, place, inside) in parts {
        if part.is_some() && !has(place) {
            return Err(format!("{field} is given, but argv has no `{place}` where it belongs"));
        }
        if !is_named(part, inside) {
            return Err(format!("{field} does not say `{inside}`"));
        }
    }
    if has("{model}") && entry.model.is_none() {
        return Err("argv has `{model}`, but model does not say how it is named".into());
    }
    let profiles = || entry.profiles.iter().flatten();
    if let Some((name, _)) =
        profiles().find(|(_, p)| !(p.args.is_empty() && p.model.is_none())).filter(|_| !has("{model}"))
    {
        return Err(format!(
            "profiles.{name} has a model or arguments, but argv has no `{{model}}` where they belong"
        ));
    }
    Ok(())
}

/// Whether `name` may be passed into a run.
///
/// # Errors
/// A sentence that says why not.
pub fn check_env(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(fine) {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    if WITHHELD.contains(&name) {
        return Err(format!("`{name}` is never given to a program: pushing is the daemon's part"));
    }
    Ok(())
}

fn filled(args: &Option<Vec<String>>, place: &str, value: Option<String>) -> Vec<String> {
    let Some(value) = value else { return Vec::new() };
    args.iter().flatten().map(|a| a.replace(place, &value)).collect()
}

/// The arguments that limit turns and dollars. A hundredth of a cent is enough.
fn limited(
    turns: &Option<Vec<String>>,
    usd: &Option<Vec<String>>,
    most_turns: Option<u64>,
    most_usd: Option<f64>,
) -> Vec<String> {
    let mut args = filled(turns, "{turns}", most_turns.map(|n| n.to_string()));
    let rounded = most_usd.map(|usd| ((usd * 1e4).round() / 1e4).to_string());
    args.extend(filled(usd, "{usd}", rounded));
    args
}

fn agent(name: &str, model: Option<&str>, profile: Option<&Profile>, entry: &Entry) -> Agent {
    let model = model.or(profile.and_then(|p| p.model.as_deref()));
    let limits = entry.limits.unwrap_or_default();
    let mut named = filled(&entry.model, "{model}", model.map(str::to_owned));
    named.extend(profile.into_iter().flat_map(|p| p.args.iter().cloned()));
    let limited = limited(&entry.turns, &entry.usd, limits.turns, limits.usd);
    let mut set = entry.set.clone().unwrap_or_default();
    set.extend(profile.into_iter().flat_map(|p| p.set.clone()));
    Agent {
        name: name.to_owned(),
        model: model.map(str::to_owned),
        format: entry.format.unwrap_or_default(),
        produces: entry.produces.unwrap_or_default(),
        env: entry.env.clone().unwrap_or_default(),
        set: set.into_iter().collect(),
        credentials: entry.credentials.clone().unwrap_or_default(),
        image: entry.image.clone(),
        script: entry.script.as_ref().map(|_| DEMO),
        limits,
        priced_as: entry.priced_as.clone(),
        argv: entry.argv.clone().unwrap_or_default(),
        parts: [("{model}", named), ("{limits}", limited)].into(),
        resume: entry.resume.clone().unwrap_or_default(),
        sessions: entry.sessions.clone().unwrap_or_default(),
        turns: entry.turns.clone(),
        usd: entry.usd.clone(),
    }
}

#[cfg(test)]
mod tests;
