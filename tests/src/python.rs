//! Tools from PyPI in an environment of their own below `target/`, made once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// What is installed, to the version: a newer one may find other things.
const TOOLS: [&str; 3] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0", "jsonschema==4.26.0"];

/// The directory with the tools' programs; `temporary` is `env!("CARGO_TARGET_TMPDIR")`. `None`, said aloud, where they cannot
/// be had.
///
/// # Panics
/// If `DISPATCH_REQUIRE_PYTHON=1` and they cannot be had.
#[must_use]
pub fn tools(temporary: &str) -> Option<PathBuf> {
    match install(Path::new(temporary)) {
        Ok(bin) => Some(bin),
        Err(why) => {
            let required = std::env::var("DISPATCH_REQUIRE_PYTHON").is_ok_and(|v| v == "1");
            assert!(!required, "DISPATCH_REQUIRE_PYTHON=1, and {why}");
            crate::image::say(&format!("skipped: {why}"));
            None
        }
    }
}

fn install(temporary: &Path) -> Result<PathBuf, String> {
    let said = |e: std::io::Error| format!("the environment for tools cannot be made: {e}");
    std::fs::create_dir_all(temporary).map_err(said)?;
    // Test binaries may come here at the same time; whoever is first installs.
    let lock = File::create(temporary.join("python.lock")).map_err(said)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|e| said(e.into()))?;
    let home = temporary.join("python");
    let (bin, mark) = (home.join("bin"), home.join("installed"));
    let wanted = TOOLS.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|is| is == wanted) {
        return Ok(bin);
    }
    let place = home.to_str().ok_or("the path of the target directory is no text")?;
    run("python3", &["-m", "venv", "--clear", place])?;
    let pip = bin.join("pip");
    let args = [&["install", "--quiet", "--disable-pip-version-check"], &TOOLS[..]].concat();
    run(pip.to_str().unwrap_or("pip"), &args)?;
    std::fs::write(mark, wanted).map_err(said)?;
    Ok(bin)
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(args).stdin(Stdio::null()).output();
    let done = done.map_err(|e| format!("{program} cannot be started: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program} {} fails: {}", args.join(" "), error.lines().last().unwrap_or("without a word")))
}
