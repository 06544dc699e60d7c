//! The edges of the house: which room may name which. A compiler checks this between packages; within the daemon this does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a source directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of code, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Whether `text` names `word` as a whole path segment.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn rooms_name_only_the_floors_below_them() {
    let src = root().join("dispatchd/src");
    let rooms = [
        "api",
        "forge",
        "groomer",
        "runner",
        "store",
        "daemon",
        "desk",
        "config",
        "clockwork",
        "watch",
        "notify",
        "program",
        "check",
    ];
    let allowed: BTreeMap<&str, &[&str]> = [
        ("core", &[][..]),
        ("store", &["store"]),
        ("forge", &["forge"]),
        ("runner", &["runner"]),
        ("groomer", &["groomer"]),
        ("api", &["api"]),
    ]
    .into();
    for (room, own) in allowed {
        for path in sources(&src.join(room)) {
            let text = code(&path);
            for other in rooms.iter().filter(|r| !own.contains(r)) {
                assert!(
                    !names(&text, &format!("crate::{other}::")),
                    "{} names the room `{other}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn core_is_pure() {
    let forbidden = [
        "tokio::",
        "redb::",
        "reqwest::",
        "std::fs",
        "std::net",
        "std::process",
        "std::io",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "crate::edges",
        "crate::ledger",
        "async fn",
    ];
    for path in sources(&root().join("dispatchd/src/core")) {
        let text = code(&path);
        for word in forbidden {
            assert!(!names(&text, word), "{} names `{word}`", path.display());
        }
    }
}

#[test]
fn only_the_store_names_redb_and_only_forges_groomer_and_notices_name_reqwest() {
    for path in sources(&root().join("dispatchd/src")) {
        let text = code(&path);
        let room = path.strip_prefix(root().join("dispatchd/src")).expect("a path below").to_owned();
        assert!(room.starts_with("store") || !names(&text, "redb::"), "{} names redb", path.display());
        let talks = room.starts_with("forge") || room.starts_with("groomer") || room.starts_with("notify.rs");
        assert!(talks || !names(&text, "reqwest::"), "{} names reqwest", path.display());
    }
}

#[test]
fn the_board_is_drawn_and_updated_without_waiting() {
    let src = root().join("dispatch-tui/src");
    for dir in ["view", "update", "model"] {
        for path in sources(&src.join(dir)) {
            assert!(!names(&code(&path), "tokio::"), "{} names tokio", path.display());
        }
    }
    for path in sources(&src) {
        assert!(!names(&code(&path), "dispatchd::"), "{} names the daemon", path.display());
    }
    for path in sources(&root().join("dispatchd/src")) {
        assert!(!names(&code(&path), "dispatch_tui::"), "{} names the client", path.display());
    }
}

#[test]
fn no_path_merges_a_pull_request() {
    for path in sources(&root().join("dispatchd/src")) {
        let text = code(&path);
        for way in ["/merge\"", "/merge`", "mergePullRequest", "enablePullRequestAutoMerge"] {
            assert!(!text.contains(way), "{} knows a way to merge: {way}", path.display());
        }
    }
}
