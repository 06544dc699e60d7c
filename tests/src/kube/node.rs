//! A node that runs pods as processes of this machine, with the user, directory, environment and standard input that the pod
//! says. It contains nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use dispatchd::edges::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::{Shared, world};

/// Where a pod finds its prompt; a process of this machine finds it where the claim has it.
const PROMPT: &str = "/dispatch/prompt";

/// What a cluster makes of a text: `$$` is one, `$(NAME)` a variable.
fn expanded(text: &str, env: &[(String, String)]) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
        let known = named.and_then(|(name, after)| Some((env.iter().find(|(n, _)| n == name)?, after)));
        match known {
            Some(((_, value), after)) => {
                out.push_str(value);
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out + rest
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// Where the prompt is on this machine. Everything else must be mounted where it is.
fn prompt(container: &Value, claim: &Path) -> Result<PathBuf, String> {
    let mut found = None;
    for mount in container["volumeMounts"].as_array().into_iter().flatten().filter(|m| m["name"] == "state") {
        let (target, part) = (mount["mountPath"].as_str(), mount["subPath"].as_str());
        let (target, part) = (target.unwrap_or_default(), part.unwrap_or_default());
        let real = claim.join(part);
        if part.is_empty() || part.starts_with('/') || !real.exists() {
            return Err(format!("subPath {part:?} is not in the claim"));
        }
        if target == PROMPT {
            found = Some(real);
        } else if real != Path::new(target) {
            return Err(format!("{target} is mounted from {}", real.display()));
        }
    }
    found.ok_or_else(|| "no prompt is mounted".into())
}

/// Runs the pod `name` until it ends or is ended.
pub(super) async fn run(shared: Arc<Shared>, name: String, pod: Value, claim: PathBuf) {
    let (tx, ends) = mpsc::unbounded_channel();
    shared.change(|w| w.ends.insert(name.clone(), tx));
    let stop = shared.world().stop.clone();
    let status = tokio::select! {
        done = contain(&shared, &name, &pod, &claim, ends) => match done {
            Ok(code) => world::ended(code, if code == 0 { "Completed" } else { "Error" }),
            Err(why) => {
                let mut status = world::ended(128, "StartError");
                status["containerStatuses"][0]["state"]["terminated"]["message"] = why.into();
                status
            }
        },
        () = stop.cancelled() => return,
    };
    shared.change(|w| {
        w.log(&name).end();
        w.ends.remove(&name);
        w.set_status(&name, &status);
        if w.pods.get(&name).is_some_and(|p| !p["metadata"]["deletionTimestamp"].is_null()) {
            w.drop_pod(&name);
        }
    });
}

/// Ends the whole group when it goes.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

async fn contain(
    shared: &Arc<Shared>,
    name: &str,
    pod: &Value,
    claim: &Path,
    mut ends: mpsc::UnboundedReceiver<Duration>,
) -> Result<i32, String> {
    let container = &pod["spec"]["containers"][0];
    let prompt = prompt(container, claim)?.display().to_string();
    let mut env: Vec<(String, String)> = Vec::new();
    for pair in container["env"].as_array().into_iter().flatten() {
        let value = expanded(pair["value"].as_str().unwrap_or_default(), &env);
        env.push((pair["name"].as_str().unwrap_or_default().to_owned(), value));
    }
    let argv = texts(&container["command"]).into_iter().chain(texts(&container["args"]));
    let argv: Vec<String> = argv.map(|a| expanded(&a, &env).replace(PROMPT, &prompt)).collect();
    let mut command = tokio::process::Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(env)
        .current_dir(container["workingDir"].as_str().unwrap_or("/"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    if rustix::process::geteuid().is_root() {
        let id =
            |key: &str| pod["spec"]["securityContext"][key].as_u64().and_then(|id| u32::try_from(id).ok());
        command.uid(id("runAsUser").ok_or("no user")?).gid(id("runAsGroup").ok_or("no group")?);
    }
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or("no process")?;
    let group = Group(pid);
    let mut output = child.stdout.take().ok_or("no output")?;
    let (to, of) = (shared.clone(), name.to_owned());
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(n @ 1..) = output.read(&mut buffer).await {
            to.change(|w| w.log(&of).push(&buffer[..n], SystemClock.now().0));
        }
    });
    shared.change(|w| w.set_status(name, &world::running()));
    let mut kill_at = None;
    let status = loop {
        let late = async {
            match kill_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = child.wait() => break status.map_err(|e| e.to_string())?,
            Some(grace) = ends.recv() => {
                let _ = kill_process(pid, Signal::TERM);
                kill_at = Some(tokio::time::Instant::now() + grace);
            }
            () = late => {
                let _ = kill_process_group(pid, Signal::KILL);
                kill_at = None;
            }
        }
    };
    // With its first process a pod's whole process namespace goes.
    drop(group);
    let _ = reading.await;
    use std::os::unix::process::ExitStatusExt;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(9)))
}
