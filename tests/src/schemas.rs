//! GitHub's public schemas, and scripts that check against them. The scripts and the list of packages lie in
//! `tests/schemas`; the packages are installed into `target/schemas`, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// One installation at a time in one process; npm itself locks nothing.
static INSTALL: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Puts scripts and packages side by side.
///
/// # Errors
/// Why it cannot be done here: there is no npm, or no registry.
pub fn install() -> Result<PathBuf, String> {
    let _one = INSTALL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("../target"), PathBuf::from);
    let dir = target.join("schemas");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{} cannot be made: {e}", dir.display()))?;
    let wanted = std::fs::read(root().join("schemas/package.json")).map_err(|e| e.to_string())?;
    for entry in std::fs::read_dir(root().join("schemas")).map_err(|e| e.to_string())?.flatten() {
        std::fs::copy(entry.path(), dir.join(entry.file_name())).map_err(|e| e.to_string())?;
    }
    let stamp = dir.join("installed");
    if std::fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(dir);
    }
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"])
        .current_dir(&dir)
        .output()
        .map_err(|e| format!("npm does not run: {e}"))?;
    if !npm.status.success() {
        return Err(format!("npm cannot install: {}", String::from_utf8_lossy(&npm.stderr)));
    }
    std::fs::write(&stamp, wanted).map_err(|e| e.to_string())?;
    Ok(dir)
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
