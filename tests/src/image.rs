//! Engines and an image for tests: Debian's static busybox with its applets, imported without any registry.

use std::path::Path;
use std::process::{Command, Stdio};

use dispatch_shared::run::RuntimeKind;

/// The image that [`build`] makes.
pub const IMAGE: &str = "dispatch-test-busybox:1";

/// Runs a command, returns what it printed.
///
/// # Errors
/// A sentence with its last words.
fn call(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program} {}: {e}", args.join(" ")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The container engines that answer on this machine. None is said aloud, and a failure if `DISPATCH_REQUIRE_ENGINE=1`.
///
/// # Panics
/// If an engine is required and there is none.
#[must_use]
pub fn engines() -> Vec<RuntimeKind> {
    let mut found = Vec::new();
    for kind in [RuntimeKind::Docker, RuntimeKind::Podman] {
        match call(kind.word(), &["info"]) {
            Ok(_) => found.push(kind),
            Err(why) => say(&format!("skipped on {kind}: {why}")),
        }
    }
    let required = std::env::var("DISPATCH_REQUIRE_ENGINE").is_ok_and(|v| v == "1");
    assert!(!required || !found.is_empty(), "DISPATCH_REQUIRE_ENGINE=1 and no container engine answers");
    found
}

/// Says why something was skipped.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Makes [`IMAGE`] for `engine`, if it is not there.
///
/// # Panics
/// If there is no static busybox, or the engine does not take the image.
pub fn build(engine: RuntimeKind) {
    if call(engine.word(), &["image", "inspect", IMAGE]).is_ok() {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tar = dir.path().join("image.tar");
    pack(&dir.path().join("root"), &tar).expect("busybox-static is installed (.ci/engines)");
    call(engine.word(), &["import", &tar.display().to_string(), IMAGE]).expect("the engine takes the image");
}

fn pack(root: &Path, tar: &Path) -> Result<(), String> {
    let io = |e: std::io::Error| e.to_string();
    let (bin, tmp) = (root.join("bin"), root.join("tmp"));
    for dir in [&bin, &tmp, &root.join("etc")] {
        std::fs::create_dir_all(dir).map_err(io)?;
    }
    std::fs::copy("/bin/busybox", bin.join("busybox")).map_err(|e| format!("/bin/busybox: {e}"))?;
    for applet in call("/bin/busybox", &["--list"])?.lines().filter(|a| *a != "busybox") {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).map_err(io)?;
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").map_err(io)?;
    call("chmod", &["1777", &tmp.display().to_string()])?;
    call("tar", &["-C", &root.display().to_string(), "-cf", &tar.display().to_string(), "."]).map(drop)
}
