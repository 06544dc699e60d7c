use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::routes;
use crate::api::tier::{self, Tier};

fn document() -> Value {
    super::document(&routes::rows())
}

/// The methods of one path of the document.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &'_ Value)| {
        METHODS
            .iter()
            .filter(|m| item.get(**m).is_some())
            .map(|m| (m.to_uppercase(), path.clone()))
            .collect::<Vec<_>>()
    };
    let names: Vec<(String, String)> = paths.iter().flat_map(of).collect();
    names
        .into_iter()
        .map(|(method, path)| (format!("{method} {path}"), &paths[&path][method.to_lowercase()]))
        .collect()
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let document = document();
    let told: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let rows: BTreeSet<String> = routes::rows().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(told, rows);
    let ids: BTreeSet<&str> =
        operations(&document).iter().filter_map(|(_, o)| o["operationId"].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "each has an id of its own");
}

#[test]
fn every_route_says_what_it_does_who_may_and_what_it_answers() {
    let document = document();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|s| s.ends_with('.')), "{name}");
        let answers = operation["responses"].as_object().expect("answers");
        assert!(answers.contains_key("200") || answers.contains_key("201"), "{name}");
        assert!(
            answers.values().all(|a| a["content"].is_object() || a["$ref"].is_string()),
            "{name}: all have a body"
        );
        let (method, path) = name.split_once(' ').expect("a method and a path");
        let tier = tier::of(method, path).expect("a tier");
        assert_eq!(operation["x-dispatch-tier"], tier.word(), "{name}");
        assert_eq!(tier == Tier::Open, operation["security"] == serde_json::json!([]), "{name}");
        let limited = tier != Tier::Open && tier::mutates(method);
        assert_eq!(answers.contains_key("429"), limited, "{name}");
        if tier != Tier::Open {
            assert!(answers.contains_key("401") && answers.contains_key("403"), "{name}");
        }
        let in_path = operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path");
        assert_eq!(in_path.count(), path.matches('{').count(), "{name}: every parameter of the path");
    }
}

#[test]
fn every_reference_leads_to_a_schema_and_every_field_is_described() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    for found in text.split("\"$ref\":\"").skip(1) {
        let reference = found.split('"').next().expect("an end");
        let there = document.pointer(reference.trim_start_matches('#'));
        assert!(there.is_some(), "{reference}");
    }
    for (name, schema) in schemas {
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}: two types of one name");
        for (field, what) in schema["properties"].as_object().into_iter().flatten() {
            assert!(what.get("description").is_some() || what.get("$ref").is_some(), "{name}.{field}");
        }
    }
}

#[test]
fn the_task_is_described_as_in_the_document() {
    let (task, document) = (super::task_schema(), document());
    assert_eq!(task["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let there = &document["components"]["schemas"]["Task"];
    assert_eq!(task["required"], there["required"]);
    assert_eq!(task["allOf"], there["allOf"]);
}

#[test]
fn the_document_is_the_frozen_one() {
    frozen("openapi.json", &document());
}

#[test]
fn the_schema_of_a_task_is_the_frozen_one() {
    frozen("task.schema.json", &super::task_schema());
}

/// Compares with the file under `assets/`, or writes it anew where that was asked for.
fn frozen(name: &str, now: &Value) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name);
    if std::env::var_os("DISPATCH_REFREEZE").is_some_and(|v| v == "1") {
        let text = serde_json::to_string_pretty(now).expect("JSON can be written") + "\n";
        fs::write(&path, text).expect("assets can be written");
        return;
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let kept: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut differs = Vec::new();
    compare("", &kept, now, &mut differs);
    assert!(
        differs.is_empty(),
        "assets/{name} is not what the routes say any more. If the change is meant (fields are added, never renamed or \
         dropped), refresh it: DISPATCH_REFREEZE=1 cargo test -p dispatchd --lib api::openapi\n{}",
        differs.join("\n")
    );
}

/// The places where two documents differ, a few words each.
fn compare(at: &str, kept: &Value, now: &Value, differs: &mut Vec<String>) {
    match (kept, now) {
        (Value::Object(kept), Value::Object(now)) => {
            for key in kept.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
                let (a, b) = (kept.get(key).unwrap_or(&Value::Null), now.get(key).unwrap_or(&Value::Null));
                compare(&format!("{at}/{key}"), a, b, differs);
            }
        }
        _ if kept == now => {}
        _ => {
            let short = |v: &Value| v.to_string().chars().take(160).collect::<String>();
            differs.push(format!("{at}: was {}, is {}", short(kept), short(now)));
        }
    }
}
