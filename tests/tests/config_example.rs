//! `assets/config.example.toml` documents the keys that the daemon reads, all of them and no other.

use std::path::Path;

use dispatchd::config::{File, parse};

const EXAMPLE: &str = include_str!("../../assets/config.example.toml");

/// The example with its commented keys and tables put into force; prose stays a comment.
fn in_force() -> String {
    let is_key = |line: &str| {
        let name = line.split_once(" = ").map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if is_key(rest) || rest.starts_with('[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn as_it_stands_it_changes_nothing() {
    assert_eq!(parse(Path::new("config.example.toml"), EXAMPLE).unwrap(), File::default());
}

#[test]
fn every_key_in_it_is_read() {
    let file = parse(Path::new("config.example.toml"), &in_force()).unwrap();
    assert_eq!(file.lanes.len(), 2);
    assert!(file.runner.agents.contains_key("mine") && file.runner.hooks.after_create.is_some());
}

#[test]
fn the_defaults_it_names_are_the_defaults() {
    // What is shown is the default, except where there is none to show.
    let shown = parse(Path::new("config.example.toml"), &in_force()).unwrap();
    let real = File::default();
    assert_eq!(shown.sync, real.sync);
    let queue = dispatchd::config::Queue {
        leases: real.queue.leases.clone(),
        slots: real.queue.slots.clone(),
        excluded_labels: None,
        ..shown.queue
    };
    assert_eq!(queue, real.queue);
    let api = dispatchd::config::doors::Api {
        listen: None,
        maintainer_token_file: None,
        worker_token_file: None,
        workers: real.api.workers.clone(),
        ..shown.api
    };
    assert_eq!(api, real.api);
    let runner = dispatchd::runner::settings::Settings {
        lane_agents: real.runner.lane_agents.clone(),
        env: Vec::new(),
        kubernetes: dispatchd::runner::runtime::Cluster {
            start_timeout: shown.runner.kubernetes.start_timeout,
            ..real.runner.kubernetes.clone()
        },
        hooks: real.runner.hooks.clone(),
        agents: real.runner.agents.clone(),
        repositories: real.runner.repositories.clone(),
        templates: None,
        files: None,
        ..shown.runner
    };
    assert_eq!(runner, real.runner);
}
