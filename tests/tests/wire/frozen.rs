//! The frozen files: one per route, each a list of cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Writes the files anew instead of comparing.
pub(super) const REFREEZE: &str = "DISPATCH_REFREEZE";

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Case {
    /// What it shows.
    pub(super) case: String,
    /// Whose token went with it.
    #[serde(rename = "as")]
    pub(super) who: String,
    pub(super) method: String,
    /// With its parameters and its query.
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Value>,
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) answer: Value,
}

/// All cases of one route.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Route {
    pub(super) route: String,
    pub(super) cases: Vec<Case>,
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wire")
}

/// `POST /api/issues/{id}/lane` is `issues.id.lane.post.json`.
fn file(route: &str) -> PathBuf {
    let (method, path) = route.split_once(' ').expect("a route is a method and a path");
    let words = path.trim_start_matches("/api/").trim_matches('/').replace('/', ".").replace(['{', '}'], "");
    dir().join(format!("{words}.{}.json", method.to_lowercase()))
}

/// Every frozen route.
pub(super) fn all() -> Vec<Route> {
    let files = fs::read_dir(dir()).expect("the frozen files").flatten().map(|e| e.path());
    let mut all: Vec<Route> = files
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a frozen file");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .collect();
    all.sort_by(|a, b| a.route.cmp(&b.route));
    all
}

/// Compares what was written down with what is frozen, or freezes it.
pub(super) fn compare(cases: BTreeMap<String, Vec<Case>>) {
    let refreeze = std::env::var_os(REFREEZE).is_some_and(|v| v == "1");
    let advice = format!("if the change is meant, and adds only, freeze it with {REFREEZE}=1");
    if refreeze {
        for old in fs::read_dir(dir()).into_iter().flatten().flatten() {
            fs::remove_file(old.path()).expect("a frozen file can be removed");
        }
    }
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for (route, cases) in cases {
        let path = file(&route);
        files.push(path.clone());
        let now = Route { route, cases };
        if refreeze {
            let text = serde_json::to_string_pretty(&now).expect("JSON") + "\n";
            fs::write(&path, text).expect("a frozen file can be written");
            continue;
        }
        let then: Option<Route> = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let Some(then) = then else {
            wrong.push(format!("{}: there is no {}", now.route, path.display()));
            continue;
        };
        for (n, case) in now.cases.iter().enumerate() {
            if then.cases.get(n) != Some(case) {
                let was = then.cases.get(n).map(|c| serde_json::to_string_pretty(c).expect("JSON"));
                let is = serde_json::to_string_pretty(case).expect("JSON");
                wrong.push(format!("{}: {}\n{}", now.route, case.case, difference(was.as_deref(), &is)));
            }
        }
        if then.cases.len() > now.cases.len() {
            wrong.push(format!(
                "{}: {} cases are frozen, {} were told",
                now.route,
                then.cases.len(),
                now.cases.len()
            ));
        }
    }
    for left in fs::read_dir(dir()).into_iter().flatten().flatten().map(|e| e.path()) {
        if !files.contains(&left) {
            wrong.push(format!("{}: no such route any more", left.display()));
        }
    }
    assert!(wrong.is_empty(), "the wire changed; {advice}:\n{}", wrong.join("\n\n"));
}

/// The lines that differ.
fn difference(was: Option<&str>, is: &str) -> String {
    let Some(was) = was else { return format!("new:\n{is}") };
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let gone = was.iter().filter(|l| !is.contains(l)).map(|l| format!("- {l}"));
    let new = is.iter().filter(|l| !was.contains(l)).map(|l| format!("+ {l}"));
    let lines: Vec<String> = gone.chain(new).collect();
    if lines.is_empty() { "the same lines in another order".to_owned() } else { lines.join("\n") }
}
