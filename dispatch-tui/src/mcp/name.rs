//! Which agent names are accepted. A name is an identity that stays: two workers that both call themselves `agent` would
//! take each other's work.

use dispatch_shared::id::AgentName;

/// The programs that come with Dispatch, and their kin.
const PROGRAMS: [&str; 14] = [
    "claude",
    "claude-code",
    "codex",
    "gemini",
    "gemini-cli",
    "opencode",
    "coderabbit",
    "qwen",
    "copilot",
    "cursor",
    "openclaw",
    "hermes",
    "local",
    "demo",
];
const GENERIC: [&str; 8] = ["agent", "worker", "bot", "assistant", "ai", "llm", "me", "user"];

/// Checks a name that a model chose or its operator configured.
pub(super) fn check(text: &str) -> Result<AgentName, String> {
    let word = text.trim().to_ascii_lowercase();
    let what = if PROGRAMS.contains(&word.as_str()) {
        "is the name of a program"
    } else if GENERIC.contains(&word.as_str()) {
        "could be anybody"
    } else {
        return AgentName::parse(text.trim());
    };
    Err(format!(
        "`{}` {what}, not of one agent: choose a name that stays yours, such as `{}`, and pass it as agentName or \
         have it set in DISPATCH_AGENT_NAME",
        text.trim(),
        if PROGRAMS.contains(&word.as_str()) {
            format!("saffron-{word}")
        } else {
            "saffron-local".to_owned()
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_names_and_bare_programs_are_refused_with_advice() {
        for bad in ["agent", "Worker", " bot ", "claude", "CODEX", "local"] {
            let said = check(bad).unwrap_err();
            assert!(said.contains("choose a name") && said.contains("DISPATCH_AGENT_NAME"), "{bad}: {said}");
        }
        for good in ["saffron-local", "claude-on-ada", "agent-7"] {
            assert_eq!(check(good).unwrap().as_str(), good);
        }
        assert!(check("a/b").unwrap_err().contains("no agent name"));
    }

    #[test]
    fn every_program_that_comes_with_dispatch_is_known() {
        let programs = include_str!("../../../assets/agents.toml");
        let heads = programs.lines().filter_map(|l| l.strip_prefix('[')?.strip_suffix(']'));
        for head in heads.map(|h| h.trim_matches('"')).filter(|h| !h.contains(':')) {
            assert!(PROGRAMS.contains(&head), "{head}");
        }
    }
}
