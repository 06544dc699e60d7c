//! The OpenAPI document and the schema of a task, held against their official validators, and a real daemon held against the
//! document: every route is asked with data that fits it and with data that does not.

mod narrow;
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use dispatch_tests::python;
use serde_json::Value;

use narrow::Names;
use scene::{MAINTAINER, Pass, Scene, WORKER};

fn asset(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets").join(name)
}

/// Runs a tool and returns what it said; its failure is the test's.
fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().expect("an installed tool can be started");
    let said =
        format!("{}\n{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {}\n{said}", done.status);
    said
}

#[test]
fn the_document_is_valid_openapi() {
    let Some(bin) = python::tools(env!("CARGO_TARGET_TMPDIR")) else { return };
    run(Command::new(bin.join("openapi-spec-validator")).arg(asset("openapi.json")));
}

/// Validates instances against the schema of a task, and prints each one's number with `ok` or what is wrong.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator as Validator, FormatChecker
schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema, format_checker=FormatChecker())
for n, instance in enumerate(json.load(open(sys.argv[2]))):
    print(n, '; '.join(sorted(e.message for e in validator.iter_errors(instance))) or 'ok')
";

fn validated(bin: &Path, tasks: &[Value]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("tasks.json");
    std::fs::write(&file, serde_json::to_string(tasks).expect("JSON")).expect("written");
    let said =
        run(Command::new(bin.join("python")).args(["-c", VALIDATE]).args([asset("task.schema.json"), file]));
    let line = |l: &str| l.split_once(' ').map(|(_, said)| said.to_owned());
    said.lines().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_every_type_fit_their_schema() {
    let Some(bin) = python::tools(env!("CARGO_TARGET_TMPDIR")) else { return };
    let scene = Scene::start().await;
    let client = &scene.daemon.client;
    let ask = async |method: &str, path: &str| -> Value {
        client.call(method, path, &serde_json::json!({})).await.unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let look: Value = client.get("/api/agents/ann/next-task?lane=frontier", &()).await.expect("a look");
    let tasks = [
        ask("POST", "/api/agents/kai/next-task").await,
        ask("POST", "/api/agents/ben/next-task?lane=local").await,
        ask("POST", "/api/agents/cyd/next-task?mode=groom").await,
        ask("POST", "/api/agents/kai/next-task").await,
        look,
    ];
    let types: BTreeSet<&str> = tasks.iter().filter_map(|t| t["type"].as_str()).collect();
    let all = ["followup-pr", "groom", "idle", "implement"];
    assert_eq!(types.into_iter().collect::<Vec<_>>(), all, "one of each: {tasks:#?}");
    assert_eq!(validated(&bin, &tasks), ["ok"; 5]);

    // The schema can say no.
    let mut broken = tasks.to_vec();
    broken[0]["shouldRun"] = false.into();
    broken[1].as_object_mut().expect("a task").remove("forbids");
    broken[2]["claim"]["id"] = 7.into();
    broken[3].as_object_mut().expect("a task").remove("reason");
    broken[4]["type"] = "other".into();
    assert!(validated(&bin, &broken).iter().all(|said| said != "ok"), "{:?}", validated(&bin, &broken));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_document_is_the_frozen_one_on_either_tier() {
    let scene = Scene::start().await;
    for token in [MAINTAINER, WORKER] {
        for (path, name) in
            [("/api/openapi.json", "openapi.json"), ("/api/schema/task.json", "task.schema.json")]
        {
            let served: Value = scene.client(token).get(path, &()).await.expect(path);
            let frozen = std::fs::read_to_string(asset(name)).expect("an asset");
            assert_eq!(served, serde_json::from_str::<Value>(&frozen).expect("JSON"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_have_the_media_types_of_the_document() {
    let scene = Scene::start().await;
    let get = async |path: &str| {
        let request = scene.http().get(format!("{}{path}", scene.url)).bearer_auth(MAINTAINER);
        let answer = request.send().await.expect("an answer");
        let kind =
            answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
        (answer.status().as_u16(), kind)
    };
    assert_eq!(get("/api/events?snapshot=all").await, (200, "text/event-stream".to_owned()));
    assert_eq!(get("/api/runs/r-1/log?follow=true").await, (200, "application/octet-stream".to_owned()));
    assert_eq!(get("/api/runs/r-1/log?stream=events").await, (200, "application/jsonl".to_owned()));
    assert!(get("/metrics").await.1.starts_with("text/plain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_does_what_the_document_says() {
    let Some(bin) = python::tools(env!("CARGO_TARGET_TMPDIR")) else { return };
    let scene = Scene::start().await;
    let document: Value = scene.client(MAINTAINER).get("/api/openapi.json", &()).await.expect("the document");
    let known = scene.known().await;
    // Streams have a test of their own, and what is removed is gone.
    let again = |method: &str, path: &str, _: &Value| method != "delete" && path != "/api/events";
    let workers = |_: &str, _: &str, operation: &Value| operation["x-dispatch-tier"] != "maintainer";
    let last =
        |method: &str, path: &str, _: &Value| method == "delete" || (method, path) == ("post", "/api/repos");
    let also = narrow::narrowed(&document, &known, Names::Also);
    let only = narrow::narrowed(&document, &known, Names::Only);
    let kill = |_: &str, path: &str, _: &Value| path == "/api/runs/{id}/kill";
    let passes = [
        // First, for all else may end the run.
        Pass::new("kill", MAINTAINER, &only, narrow::ids(&document, kill), 5).positive(),
        Pass::new("deep", MAINTAINER, &only, narrow::ids(&document, again), 25).positive(),
        Pass::new("wide", MAINTAINER, &also, narrow::ids(&document, again), 12),
        Pass::new("worker", WORKER, &also, narrow::ids(&document, workers), 8),
        Pass::new("last", MAINTAINER, &only, narrow::ids(&document, last), 8).positive(),
    ];
    let mut findings = String::new();
    for pass in &passes {
        findings.extend(scene.fuzz(&bin, pass).await);
    }
    assert!(findings.is_empty(), "{findings}");

    let answered = scene.answered().await;
    let broken: Vec<_> = answered.iter().filter(|((_, status), _)| *status >= 500).collect();
    let unconfigured = ("POST /api/groomer/run".to_owned(), 503);
    assert!(broken.iter().all(|(key, _)| **key == unconfigured), "{broken:?}");
    let mut done: BTreeMap<&str, u64> = BTreeMap::new();
    for ((route, _), count) in answered.iter().filter(|((_, status), _)| *status < 300) {
        *done.entry(route.as_str()).or_default() += count;
    }
    let all = narrow::operations(&document).into_iter();
    let mut never: Vec<String> =
        all.map(|(method, path, _)| format!("{} {path}", method.to_uppercase())).collect();
    never.retain(|route| !done.contains_key(route.as_str()));
    never.sort();
    assert_eq!(never, NEVER, "routes that were never answered well: nothing was learnt of them");
}

/// What cannot be answered well here: no signature, no groomer is at hand, and streams have a test of their own.
const NEVER: [&str; 5] = [
    "GET /api/events",
    "GET /api/groomer/runs/{id}",
    "POST /api/groomer/run",
    "POST /api/issues/webhook",
    "POST /api/pr-followup/webhook",
];
