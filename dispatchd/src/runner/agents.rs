//! Programs as data: what to execute, how to read what it says, which names and files it gets. Built in from
//! `assets/agents.toml`, with the operator's entries laid over it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
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
    /// What its success looks like.
    pub produces: Option<Produces>,
    /// The name of an embedded script, instead of argv.
    pub script: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The embedded script that it is, to be written into the run's home.
    pub script: Option<&'static str>,
    argv: Vec<String>,
    model_argv: Vec<String>,
}

/// Where the embedded script is put, below the run's home.
pub const SCRIPT_NAME: &str = ".dispatch-agent.sh";

impl Agent {
    /// The program and its arguments for one run.
    #[must_use]
    pub fn argv(&self, dir: &Path, home: &Path, base: &str) -> Vec<String> {
        if self.script.is_some() {
            return vec!["sh".into(), home.join(SCRIPT_NAME).display().to_string()];
        }
        let model = self.model.as_deref();
        let fill = |arg: &String| {
            arg.replace("{dir}", &dir.display().to_string())
                .replace("{home}", &home.display().to_string())
                .replace("{base}", base)
        };
        let mut argv = Vec::new();
        for arg in &self.argv {
            if arg != "{model}" {
                argv.push(fill(arg));
            } else if let Some(model) = model {
                argv.extend(self.model_argv.iter().map(|a| fill(a).replace("{model}", model)));
            }
        }
        argv
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
                produces: over.produces.or(base.produces),
                script,
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
                let model = program.get(end + 1..).filter(|m| !m.is_empty());
                return Ok(agent(&program[..end], model, entry));
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
    for name in entry.env.iter().flatten() {
        check_env(name)?;
    }
    for file in entry.credentials.iter().flatten() {
        let path = Path::new(file);
        let inside = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !inside || file.is_empty() {
            return Err(format!("credential file `{file}` must be a path below the home directory"));
        }
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

fn agent(name: &str, model: Option<&str>, entry: &Entry) -> Agent {
    Agent {
        name: name.to_owned(),
        model: model.map(str::to_owned),
        format: entry.format.unwrap_or_default(),
        produces: entry.produces.unwrap_or_default(),
        env: entry.env.clone().unwrap_or_default(),
        set: entry.set.clone().unwrap_or_default().into_iter().collect(),
        credentials: entry.credentials.clone().unwrap_or_default(),
        script: entry.script.as_ref().map(|_| DEMO),
        argv: entry.argv.clone().unwrap_or_default(),
        model_argv: entry.model.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Agents {
        Agents::new(&BTreeMap::new()).unwrap()
    }

    fn argv(program: &str) -> String {
        built_in().get(program).unwrap().argv(Path::new("/w/repo"), Path::new("/w/home"), "main").join(" ")
    }

    #[test]
    fn the_model_is_named_or_left_out() {
        assert!(argv("claude").ends_with("--strict-mcp-config"));
        assert!(argv("claude:opus").ends_with("--model opus"));
        assert!(argv("codex:gpt-5").ends_with("-C /w/repo -m gpt-5 -"));
        assert!(argv("codex").ends_with("-C /w/repo -"));
        assert!(argv("opencode:ollama/qwen3:8b").contains("-m ollama/qwen3:8b --dir /w/repo"));
    }

    #[test]
    fn the_longest_entry_wins() {
        assert_eq!(argv("codex:review"), "codex exec review --base main");
        assert_eq!(built_in().get("codex:review").unwrap().produces, Produces::Review);
        assert_eq!(argv("codex:review:gpt-5"), "codex exec review --base main -m gpt-5");
        assert!(built_in().get("cluade").unwrap_err().contains("claude"));
    }

    #[test]
    fn the_demo_is_a_script_in_the_home() {
        assert_eq!(argv("demo"), "sh /w/home/.dispatch-agent.sh");
        assert!(built_in().get("demo").unwrap().script.is_some());
    }

    #[test]
    fn a_user_lays_entries_over_the_built_in_ones() {
        let user: BTreeMap<String, Entry> = toml::from_str(
            "[claude]\nenv = ['MY_KEY']\n[mine]\nargv = ['mine', '{dir}']\n[demo]\nargv = ['x']",
        )
        .unwrap();
        let agents = Agents::new(&user).unwrap();
        let claude = agents.get("claude").unwrap();
        assert_eq!(claude.env, ["MY_KEY"]);
        assert_eq!(claude.format, Format::ClaudeStreamJson, "what is not named stays");
        assert_eq!(agents.get("mine").unwrap().format, Format::Plain);
        assert!(agents.get("demo").unwrap().script.is_none());
    }

    #[test]
    fn forge_tokens_and_paths_outside_home_are_refused() {
        for bad in [
            "[a]\nargv = ['a']\nenv = ['GITHUB_TOKEN']",
            "[a]\nargv = ['a']\ncredentials = ['../x']",
            "[a]\nargv = ['a']\ncredentials = ['/etc/shadow']",
            "[a]\nformat = 'plain'",
        ] {
            let user: BTreeMap<String, Entry> = toml::from_str(bad).unwrap();
            assert!(Agents::new(&user).unwrap_err().contains("runner.agents.a"), "{bad}");
        }
    }
}
