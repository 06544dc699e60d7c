//! The document as a whole.

use dispatch_shared::error::ApiError;
use dispatch_shared::protocol::tasks::Task;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};

use super::errors;
use super::operation::{self, Operation, Words};
use crate::api::table::Row;
use crate::api::tier::{self, Tier};

/// The JSON Schema (2020-12) of a task as it is handed out.
#[must_use]
pub(in crate::api) fn task_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with_transform(RecursiveTransform(operation::tidy));
    settings.into_generator().into_root_schema_for::<Task>().to_value()
}

/// The OpenAPI 3.1 document of these routes.
pub(in crate::api) fn document(rows: &[Row]) -> Value {
    let mut words = Words::new();
    words.answered.subschema_for::<ApiError>();
    let mut paths = Map::new();
    for row in rows {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        path[row.method.as_str().to_lowercase()] = operation(row, &mut words);
    }
    let mut taken = Value::Object(words.taken.take_definitions(true));
    let mut schemas = words.answered.take_definitions(true);
    let twofold = twofold(&mut taken, &schemas);
    for (_, operation) in paths.iter_mut().filter_map(|(_, p)| p.as_object_mut()).flatten() {
        for part in ["parameters", "requestBody"] {
            operation.get_mut(part).into_iter().for_each(|part| rename(part, &twofold));
        }
    }
    if let Value::Object(taken) = taken {
        for (name, schema) in taken {
            let name = if twofold.contains(&name) { taken_name(&name) } else { name };
            schemas.insert(name, schema);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dispatch",
            "summary": "Hands GitHub issues and pull requests to coding agents.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
        },
        "servers": [{"url": "/", "description": "The local socket (`v1.sock`), or TCP where it is configured."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": errors::all(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Over TCP: a maintainer's or a worker's token."}
            }
        }
    })
}

const ABOUT: &str = "The same routes answer on the local socket, where the caller's user is checked and no token is asked for, and over \
     TCP, where one is. An empty body is `{}` and Content-Type is not enforced; unknown fields are ignored; an empty value of a \
     query counts as absent. Add to what you read: fields are added, none is renamed or dropped.";

fn operation(row: &Row, words: &mut Words) -> Value {
    let tier = row.tier();
    let mut told = Operation::new(row.path);
    (row.tell)(&mut told, words);
    told.fails(row.fails);
    let mutates = tier::mutates(row.method.as_str());
    if tier > Tier::Open {
        told.fails(&[401, 403]);
        if mutates {
            told.fails(&[429]);
        }
        if mutates && tier == Tier::Worker {
            // A worker's body is read at the gate, whatever its handler takes.
            told.fails(&[400, 408, 413]);
        }
    }
    let mut answers = told.answers;
    for status in told.fails {
        answers.entry(status).or_insert_with(|| errors::reference(status));
    }
    let answers: Map<String, Value> = answers.into_iter().map(|(s, a)| (s.to_string(), a)).collect();
    let security = if tier == Tier::Open { json!([]) } else { json!([{"bearer": []}, {}]) };
    let mut operation = json!({
        "operationId": name(row),
        "summary": row.about,
        "tags": [row.path.split('/').nth(if row.path.starts_with("/api/") { 2 } else { 1 })],
        "security": security,
        "x-dispatch-tier": tier.word(),
        "responses": answers
    });
    if !told.parameters.is_empty() {
        operation["parameters"] = told.parameters.into();
    }
    if let Some(body) = told.body {
        operation["requestBody"] = body;
    }
    if told.deprecated {
        operation["deprecated"] = true.into();
    }
    operation
}

/// `getIssuesByIdWhy`.
fn name(row: &Row) -> String {
    let mut name = row.method.as_str().to_lowercase();
    for part in row.path.trim_start_matches("/api").split('/').filter(|p| !p.is_empty()) {
        let part = match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(parameter) => format!("by-{parameter}"),
            None => part.to_owned(),
        };
        for word in part.split(['-', '.']) {
            let mut letters = word.chars();
            name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
    }
    name
}

/// The words that are taken otherwise than they are answered, or speak of one that is: they go by a name of their own.
fn twofold(taken: &mut Value, answered: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    loop {
        rename(taken, &names);
        let differs = |(name, schema): (&String, &Value)| {
            answered.get(name).is_some_and(|other| other != schema).then(|| name.clone())
        };
        let found: Vec<String> = taken.as_object().into_iter().flatten().filter_map(differs).collect();
        if found.len() == names.len() {
            return names;
        }
        names = found;
    }
}

fn taken_name(name: &str) -> String {
    format!("{name}Taken")
}

/// Has every reference to one of `names` mean the word as it is taken.
fn rename(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(name) = reference.rsplit('/').next()
                && names.iter().any(|n| n == name)
            {
                *reference = format!("#/components/schemas/{}", taken_name(name));
            }
            map.values_mut().for_each(|v| rename(v, names));
        }
        Value::Array(all) => all.iter_mut().for_each(|v| rename(v, names)),
        _ => {}
    }
}
