//! GitHub's public schemas, and scripts that check against them. The scripts and the list of packages lie in
//! `tests/schemas`; the packages are installed into `target/schemas`, once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// The one file that is wanted of a package that is large for all the others.
const REST: &str = "api.github.com.json";

/// The directory with scripts and packages side by side. `None`, said aloud, where they cannot be had.
///
/// # Panics
/// If `DISPATCH_REQUIRE_NODE=1` and they cannot be had.
#[must_use]
pub fn tools() -> Option<PathBuf> {
    match install() {
        Ok(dir) => Some(dir),
        Err(why) => {
            let required = std::env::var("DISPATCH_REQUIRE_NODE").is_ok_and(|v| v == "1");
            assert!(!required, "DISPATCH_REQUIRE_NODE=1, and {why}");
            crate::image::say(&format!("skipped: GitHub's schemas cannot be checked against: {why}"));
            None
        }
    }
}

fn install() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("../target"), PathBuf::from);
    let dir = target.join("schemas");
    let said = |e: std::io::Error| format!("{} cannot be filled: {e}", dir.display());
    std::fs::create_dir_all(&dir).map_err(said)?;
    // Test binaries may come here at the same time; whoever is first installs.
    let lock = File::create(dir.join("lock")).map_err(said)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|e| said(e.into()))?;
    for entry in std::fs::read_dir(root.join("schemas")).map_err(said)?.flatten() {
        std::fs::copy(entry.path(), dir.join(entry.file_name())).map_err(said)?;
    }
    let wanted = std::fs::read(dir.join("package.json")).map_err(said)?;
    let stamp = dir.join("installed");
    if std::fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(dir);
    }
    run(&dir, "npm", &["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"])?;
    let package: serde_json::Value = serde_json::from_slice(&wanted).map_err(|e| e.to_string())?;
    let rest =
        package["openapi"].as_str().ok_or("package.json does not name the description of the REST API")?;
    let packed = run(&dir, "npm", &["pack", "--silent", rest])?;
    let packed = packed.trim();
    let member = format!("package/generated/{REST}");
    run(&dir, "tar", &["-xzf", packed, "--strip-components=2", &member])?;
    std::fs::remove_file(dir.join(packed)).map_err(said)?;
    std::fs::write(&stamp, wanted).map_err(said)?;
    Ok(dir)
}

fn run(dir: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output();
    let done = done.map_err(|e| format!("{program} cannot be started: {e}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let error = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program} {} fails: {}", args.join(" "), error.trim()))
}

/// Runs a script over what was recorded. Returns what it says.
///
/// # Errors
/// What it says, if there were faults.
///
/// # Panics
/// If node does not run, though npm does.
pub fn check(dir: &Path, script: &str, recorded: &serde_json::Value) -> Result<String, String> {
    let input = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(input.path(), recorded.to_string()).expect("it can be written");
    let node = Command::new("node").arg(dir.join(script)).arg(input.path()).output().expect("node runs");
    let said = format!("{}{}", String::from_utf8_lossy(&node.stdout), String::from_utf8_lossy(&node.stderr));
    if node.status.success() { Ok(said) } else { Err(said) }
}
