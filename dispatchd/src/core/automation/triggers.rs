//! What starts a workflow, as its file says.
//!
//! `on:` is a word, a list of words, or a map of words with filters; YAML 1.1 reads the key itself as `true`. A file that
//! is odd in one place is still read in the others: only one that is no YAML, or has no `on`, tells nothing.

use std::fmt;

use dispatch_shared::protocol::actions::{DispatchInput, Trigger};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// No workflow file that a person wrote is longer.
const MOST_BYTES: usize = 1 << 20;
/// Of each list and map in it.
const MOST_ENTRIES: usize = 100;

/// Any YAML.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Null,
    /// A scalar, as text.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("YAML")
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Node, D::Error> {
                Node::deserialize(d)
            }
            fn visit_bool<E>(self, v: bool) -> Result<Node, E> {
                Ok(Node::Text(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Node, E> {
                Ok(Node::Text(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Node, E> {
                Ok(Node::Text(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Node, E> {
                Ok(Node::Text(v.to_string()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Node, E> {
                Ok(Node::Text(v.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = seq.next_element()? {
                    list.push(node);
                }
                Ok(Node::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Node::Map(map))
            }
        }
        d.deserialize_any(Any)
    }
}

impl Node {
    fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&Node> {
        let Node::Map(map) = self else { return None };
        map.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// A word, or the words of a list.
    fn words(&self) -> Vec<String> {
        match self {
            Node::Text(text) => vec![text.clone()],
            Node::List(list) => {
                list.iter().filter_map(Node::text).map(ToOwned::to_owned).take(MOST_ENTRIES).collect()
            }
            Node::Null | Node::Map(_) => Vec::new(),
        }
    }
}

/// What starts the workflow whose file this is.
///
/// # Errors
/// One sentence, if the file tells nothing.
pub fn parse(text: &str) -> Result<Vec<Trigger>, String> {
    if text.len() > MOST_BYTES {
        return Err("its file is larger than 1 MiB".to_owned());
    }
    let file: Node = serde_saphyr::from_str(text).map_err(|e| {
        let said = e.to_string();
        format!("its file is no YAML: {}", said.lines().next().unwrap_or_default())
    })?;
    let on = file.get("on").or_else(|| file.get("true"));
    match on {
        None | Some(Node::Null) => Err("its file has no `on`".to_owned()),
        Some(Node::Map(map)) => {
            let named = map.iter().filter_map(|(key, with)| Some(trigger(key.text()?, with)));
            Ok(named.take(MOST_ENTRIES).collect())
        }
        Some(words) => Ok(words.words().iter().map(|word| trigger(word, &Node::Null)).collect()),
    }
}

fn trigger(event: &str, with: &Node) -> Trigger {
    let words = |name: &str| with.get(name).map(Node::words).unwrap_or_default();
    let cron = match with {
        Node::List(times) if event == "schedule" => {
            times.iter().filter_map(|t| t.get("cron")?.text().map(ToOwned::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let inputs = match with.get("inputs") {
        Some(Node::Map(inputs)) if event == "workflow_dispatch" => inputs
            .iter()
            .filter_map(|(name, input)| Some(self::input(name.text()?, input)))
            .take(MOST_ENTRIES)
            .collect(),
        _ => Vec::new(),
    };
    Trigger {
        event: event.to_owned(),
        types: words("types"),
        branches: words("branches"),
        branches_ignore: words("branches-ignore"),
        tags: words("tags"),
        tags_ignore: words("tags-ignore"),
        paths: words("paths"),
        paths_ignore: words("paths-ignore"),
        workflows: words("workflows"),
        cron,
        inputs,
    }
}

fn input(name: &str, with: &Node) -> DispatchInput {
    let text = |key: &str| with.get(key).and_then(Node::text).map(ToOwned::to_owned);
    DispatchInput {
        name: name.to_owned(),
        kind: text("type").unwrap_or_else(|| "string".to_owned()),
        required: text("required").as_deref() == Some("true"),
        preset: text("default"),
        description: text("description"),
        options: with.get("options").map(Node::words).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        parse(text).unwrap().into_iter().map(|t| t.event).collect()
    }

    #[test]
    fn a_word_a_list_and_a_map_say_the_same() {
        for text in [
            "on: push",
            "on: [push]",
            "on:\n  - push",
            "on:\n  push:",
            "\"on\": push",
            "true: push",
            "name: x\non: {push: {}}\njobs: {}",
        ] {
            assert_eq!(events(text), ["push"], "{text}");
        }
        assert_eq!(events("on: [push, pull_request]"), ["push", "pull_request"]);
    }

    #[test]
    fn filters_times_and_inputs_are_read() {
        let text = r#"
name: CI
on:
  push:
    branches: [main, 'release/**']
    tags-ignore: "v0*"
    paths: [src/**]
  pull_request:
    types: [opened, synchronize]
    branches-ignore: [gh-pages]
  schedule:
    - cron: '0 3 * * 1'
    - cron: "30 5 * * *"
  workflow_run:
    workflows: [Build]
  workflow_dispatch:
    inputs:
      environment:
        description: Where to
        required: true
        type: choice
        options: [staging, production]
        default: staging
      dry_run: {type: boolean, default: true}
      level: {default: 3}
      bare:
jobs:
  test:
    runs-on: ubuntu-latest
"#;
        let triggers = parse(text).unwrap();
        let [push, pull, schedule, after, by_hand] = triggers.as_slice() else { panic!("{triggers:?}") };
        assert_eq!(
            (push.branches.join(","), push.paths.join(",")),
            ("main,release/**".into(), "src/**".into())
        );
        assert_eq!(push.tags_ignore, ["v0*"], "a word alone is a list of one");
        assert_eq!((pull.types.len(), pull.branches_ignore.join(",")), (2, "gh-pages".into()));
        assert_eq!(schedule.cron, ["0 3 * * 1", "30 5 * * *"]);
        assert_eq!(after.workflows, ["Build"]);
        let line = |i: &DispatchInput| {
            format!("{}:{}:{}:{:?}:{}", i.name, i.kind, i.required, i.preset, i.options.join("|"))
        };
        let inputs: Vec<String> = by_hand.inputs.iter().map(line).collect();
        assert_eq!(
            inputs,
            [
                "environment:choice:true:Some(\"staging\"):staging|production",
                "dry_run:boolean:false:Some(\"true\"):",
                "level:string:false:Some(\"3\"):",
                "bare:string:false:None:",
            ]
        );
        assert_eq!(by_hand.inputs[0].description.as_deref(), Some("Where to"));
    }

    #[test]
    fn a_file_that_tells_nothing_says_why() {
        for (text, why) in [
            ("jobs: {}", "no `on`"),
            ("on:\njobs: {}", "no `on`"),
            ("on: [push", "no YAML"),
            ("- push", "no `on`"),
            ("", "no"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        let large = format!("on: push\n# {}", "x".repeat(MOST_BYTES));
        assert!(parse(&large).is_err());
    }

    #[test]
    fn what_is_odd_in_one_place_is_read_in_the_others() {
        let triggers =
            parse("on:\n  push: {branches: {a: b}, tags: [1, 2.5]}\n  schedule: nightly\n  7:\n").unwrap();
        assert_eq!(triggers.len(), 3);
        assert!(triggers[0].branches.is_empty() && triggers[1].cron.is_empty());
        assert_eq!(triggers[0].tags, ["1", "2.5"]);
    }
}
