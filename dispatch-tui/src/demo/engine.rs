//! Where the demo's agent runs: in a container if an engine and an image are there, else on this machine. Nothing is
//! pulled: the demo needs no network.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cli::Failure;

/// Images that hold a shell, the best first. The agent needs no more; without git the runner commits.
const IMAGES: [&str; 7] = [
    "dispatch-agent:latest",
    "alpine/git:latest",
    "debian:stable-slim",
    "debian:latest",
    "ubuntu:latest",
    "alpine:latest",
    "busybox:latest",
];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// The engine's command and the image.
    Container(&'static str, &'static str),
    /// No container, and why.
    Host(String),
}

impl Engine {
    pub(super) fn is_host(&self) -> bool {
        matches!(self, Engine::Host(_))
    }

    /// The word in the configuration.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Engine::Container(engine, _) => engine,
            Engine::Host(_) => "host",
        }
    }

    pub(super) fn image(&self) -> Option<&'static str> {
        match self {
            Engine::Container(_, image) => Some(image),
            Engine::Host(_) => None,
        }
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Engine::Container(engine, image) => write!(f, "{engine}, image {image}"),
            Engine::Host(why) => write!(f, "this machine, without a container ({why})"),
        }
    }
}

/// The engine for `wanted`: auto, host, docker or podman.
pub(super) async fn choose(wanted: &str) -> Result<Engine, Failure> {
    let candidates: &[&'static str] = match wanted {
        "host" => return Ok(Engine::Host("as asked; nothing isolates it".to_owned())),
        "docker" => &["docker"],
        "podman" => &["podman"],
        _ => &["docker", "podman"],
    };
    let mut reasons = Vec::new();
    for &engine in candidates {
        match image_of(engine).await {
            Ok(image) => return Ok(Engine::Container(engine, image)),
            Err(why) => reasons.push(format!("{engine} {why}")),
        }
    }
    let why = reasons.join(", ");
    if wanted == "auto" {
        return Ok(Engine::Host(why));
    }
    Err(Failure::Said(format!("{why}; pull an image (`{wanted} pull alpine`) or use --runtime host")))
}

/// The first of the images that the engine has.
async fn image_of(engine: &str) -> Result<&'static str, String> {
    let format = "{{.Repository}}:{{.Tag}}";
    let list = Command::new(engine)
        .args(["images", "--format", format])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    // An engine whose daemon hangs must not hang the demo.
    let done = match tokio::time::timeout(Duration::from_secs(3), list).await {
        Err(_) => return Err("does not answer".to_owned()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => return Err("is not installed".to_owned()),
        Ok(Err(e)) => return Err(format!("could not be started: {e}")),
        Ok(Ok(done)) => done,
    };
    if !done.status.success() {
        return Err("is not running".to_owned());
    }
    pick(&String::from_utf8_lossy(&done.stdout)).ok_or_else(|| "has no image with a shell".to_owned())
}

/// Podman puts a registry before the name.
fn pick(listed: &str) -> Option<&'static str> {
    let have = |image: &&&str| {
        listed.lines().any(|l| l.trim() == **image || l.trim().ends_with(&format!("/{image}")))
    };
    IMAGES.iter().find(have).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_image_is_picked() {
        assert_eq!(pick("redis:7\nbusybox:latest\nalpine:latest\n"), Some("alpine:latest"));
        assert_eq!(pick("docker.io/library/busybox:latest\n"), Some("busybox:latest"));
        assert_eq!(pick("notbusybox:latest\n<none>:<none>\n"), None);
    }
}
