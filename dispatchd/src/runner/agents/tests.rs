//! What each program is started with, and what is refused.

use super::*;

fn with(user: &str) -> Result<Agents, String> {
    let user: BTreeMap<String, Entry> = toml::from_str(user).map_err(|e| e.to_string())?;
    Agents::new(&user)
}

fn built_in() -> Agents {
    with("").unwrap()
}

fn argv(agents: &Agents, program: &str, session: Option<&str>) -> String {
    let agent = agents.get(program).unwrap();
    agent.argv(Path::new("/w/repo"), Path::new("/w/home"), "main", session).join(" ")
}

/// Every program: as it is, with a model, going on with a session, and with limits.
#[test]
fn every_command_line_is_known() {
    let agents = built_in();
    let names: Vec<String> = agents.names().map(str::to_owned).collect();
    let limits: String =
        names.iter().map(|n| format!("[{n:?}.limits]\nturns = 30\nusd = 2.5\ntokens = 9\n")).collect();
    let limited = with(&limits).unwrap();
    let mut lines = String::new();
    for name in &names {
        lines.push_str(&format!("{name}\n"));
        lines.push_str(&format!("  plain   {}\n", argv(&agents, name, None)));
        lines.push_str(&format!("  model   {}\n", argv(&agents, &format!("{name}:some/m-1:x"), None)));
        lines.push_str(&format!("  resume  {}\n", argv(&agents, name, Some("0a1b-2c"))));
        lines.push_str(&format!("  limits  {}\n", argv(&limited, name, None)));
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn the_longest_entry_wins() {
    assert_eq!(built_in().get("codex:review").unwrap().produces, Produces::Review);
    let review = built_in().get("codex:review:gpt-5").unwrap();
    assert_eq!((review.name.as_str(), review.model.as_deref()), ("codex:review", Some("gpt-5")));
    assert!(built_in().get("cluade").unwrap_err().contains("claude"));
}

#[test]
fn a_profile_is_a_variant_by_name() {
    let agents = with(
        "[claude.profiles.fast]\nmodel = 'haiku'\nargs = ['--effort', 'low']\nset = { LOG = 'x' }\n\
         [codex.profiles.deep]\nargs = ['-c', 'model_reasoning_effort=\"high\"']",
    )
    .unwrap();
    let fast = argv(&agents, "claude:fast", None);
    assert!(fast.contains("--model haiku --effort low"), "{fast}");
    let set = agents.get("claude:fast").unwrap().set;
    assert!(set.contains(&("LOG".into(), "x".into())) && set.contains(&("IS_SANDBOX".into(), "1".into())));
    assert!(argv(&agents, "codex:deep", None).ends_with("-c model_reasoning_effort=\"high\" -"));
    assert!(argv(&agents, "claude:opus", None).contains("--model opus"), "what is no profile is a model");
}

#[test]
fn a_user_lays_entries_over_the_built_in_ones() {
    let agents =
        with("[claude]\nenv = ['MY_KEY']\n[mine]\nargv = ['mine', '{dir}']\n[demo]\nargv = ['x']").unwrap();
    let claude = agents.get("claude").unwrap();
    assert_eq!(claude.env, ["MY_KEY"]);
    assert_eq!(claude.format, Format::ClaudeStreamJson, "what is not named stays");
    assert_eq!(agents.get("mine").unwrap().format, Format::Plain);
    assert!(agents.get("demo").unwrap().script.is_none());
}

#[test]
fn what_is_malformed_names_itself_and_the_field() {
    for (bad, field) in [
        ("[a]\nargv = ['a']\nenv = ['GITHUB_TOKEN']", "GITHUB_TOKEN"),
        ("[a]\nargv = ['a']\nset = { GH_TOKEN = 'x' }", "GH_TOKEN"),
        (
            "[a]\nargv = ['a', '{model}']\nmodel = ['{model}']\n[a.profiles.p]\nset = { GH_TOKEN = 'x' }",
            "GH_TOKEN",
        ),
        ("[a]\nargv = ['a']\ncredentials = ['../x']", "credential file"),
        ("[a]\nargv = ['a']\ncredentials = ['/etc/shadow']", "credential file"),
        ("[a]\nformat = 'plain'", "argv"),
        ("[a]\nargv = []", "argv"),
        ("[a]\nargv = ['a']\nmodel = ['-m', '{model}']", "`{model}`"),
        ("[a]\nargv = ['a', '{model}']", "model"),
        ("[a]\nargv = ['a', '{model}']\nmodel = ['-m']", "model"),
        ("[a]\nargv = ['a']\nresume = ['-r', '{session}']", "resume"),
        ("[a]\nargv = ['a']\nturns = ['--turns', '{turns}']", "turns"),
        ("[a]\nargv = ['a']\n[a.limits]\nusd = -1.0", "limits.usd"),
        ("[a]\nargv = ['a']\n[a.profiles.p]\nmodel = 'm'", "profiles.p"),
        ("[a]\nscript = 'other'", "other"),
    ] {
        let said = with(bad).unwrap_err();
        assert!(said.contains("runner.agents.a") && said.contains(field), "{bad}: {said}");
    }
    for unknown in ["[a]\nagrv = ['a']", "[a.limits]\nturn = 1", "[a.profiles.p]\nmodle = 'x'"] {
        assert!(with(unknown).unwrap_err().contains("unknown field"), "{unknown}");
    }
}
