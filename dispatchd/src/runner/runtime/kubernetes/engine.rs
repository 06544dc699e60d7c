//! The engine itself: what the runner asks, in the cluster's terms.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams};
use tokio::io::AsyncRead;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Cluster;
use super::job::{self, ENV_FILE, Frame, START};
use super::link::{CALL, Link, Trouble, call};
use super::log::Follower;
use super::marks;
use super::pod::{Verdict, judge};
use super::watch::{self, Look, Target};
use crate::edges::{Exit, Found, Handle, RunSpec, Runtime, RuntimeError, Wants};
use crate::runner::runtime::{Following, argv};
use crate::runner::settings::{Pull, Settings};

/// How often a start is tried again because a Job of that name is there.
const TRIES: u32 = 3;

/// See the module above.
#[derive(Clone)]
pub(in crate::runner::runtime) struct Kubernetes(Arc<Inner>);

struct Inner {
    state: String,
    /// The state directory's own place for what is noted of logs.
    dir: PathBuf,
    /// Where the daemon has the claim.
    root: PathBuf,
    cluster: Cluster,
    pull: Pull,
    grace: Duration,
    host_gateway: bool,
    link: OnceCell<Link>,
}

/// What waiting came to.
enum End {
    Exit(Exit),
    Failed(String),
    /// Nothing began in time: which thing may know why, and what its status says.
    Late {
        kind: &'static str,
        name: String,
        why: Option<String>,
    },
}

impl Kubernetes {
    pub(in crate::runner::runtime) fn new(settings: &Settings, state_dir: &Path, state: String) -> Self {
        let cluster = settings.kubernetes.clone();
        let root = cluster.volume_path.clone().unwrap_or_else(|| state_dir.to_path_buf());
        Self(Arc::new(Inner {
            state,
            dir: state_dir.join("kubernetes"),
            root,
            cluster,
            pull: settings.pull,
            grace: settings.grace.0,
            host_gateway: settings.host_gateway,
            link: OnceCell::new(),
        }))
    }

    async fn link(&self) -> Result<&Link, RuntimeError> {
        self.0.link.get_or_try_init(|| Link::open(&self.0.cluster)).await
    }

    fn target(&self, handle: &Handle) -> Target {
        let labels = job::labels(&handle.run.to_string(), handle.attempt.0, &self.0.state);
        let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        Target { name: handle.name.clone(), selector: selector.join(",") }
    }

    /// Where `path` lies in the claim.
    fn part(&self, path: &Path) -> Result<String, String> {
        let real = |p: &Path| p.canonicalize().map_err(|e| format!("{}: {e}", p.display()));
        let (root, path) = (real(&self.0.root)?, real(path)?);
        let part = path.strip_prefix(&root).ok().and_then(Path::to_str).filter(|p| !p.is_empty());
        part.map(str::to_owned).ok_or_else(|| {
            format!(
                "{} does not lie below {}, where the daemon has its claim: set runner.kubernetes.volume_path",
                path.display(),
                root.display()
            )
        })
    }

    async fn pods(&self, link: &Link, target: &Target) -> Result<Vec<Pod>, Trouble> {
        let list = ListParams::default().labels(&target.selector);
        Ok(call("looking for a pod", link.pods.list(&list)).await?.items)
    }

    /// Tells the nodes to end these pods: TERM, and KILL after `grace`, a second at least.
    async fn end(&self, link: &Link, pods: &[Pod], grace: Duration) -> Result<(), Trouble> {
        let seconds = u32::try_from(grace.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        for name in pods.iter().filter(|p| !finished(p)).filter_map(|p| p.metadata.name.as_deref()) {
            let how = DeleteParams::default().grace_period(seconds);
            match call("ending a pod", link.pods.delete(name, &how)).await {
                Err(trouble) if trouble.code != 404 => return Err(trouble),
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends what runs under this name, and takes Job and pod away. Returns once they are gone.
    async fn discard(&self, link: &Link, handle: &Handle) -> Result<(), RuntimeError> {
        let target = self.target(handle);
        let pods = self.pods(link, &target).await?;
        self.end(link, &pods, Duration::ZERO).await?;
        match call("removing a job", link.jobs.delete(&handle.name, &DeleteParams::foreground())).await {
            Err(trouble) if trouble.code != 404 => return Err(trouble.into()),
            _ => {}
        }
        marks::forget(&self.0.dir, &handle.name);
        let (deadline, mut pause) = (Instant::now() + CALL, Duration::from_millis(50));
        loop {
            let job = call("looking at a job", link.jobs.get_opt(&handle.name)).await?;
            let left = self.pods(link, &target).await?;
            if job.is_none() && left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(RuntimeError(stuck(&handle.name, &left)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Whether the Job that is there is the one of this very start.
    async fn ours(&self, link: &Link, name: &str, start: &str) -> bool {
        let found = call("looking at a job", link.jobs.get_opt(name)).await;
        let noted = |job: Job| job.metadata.annotations?.get(START).cloned();
        found.ok().flatten().and_then(noted).is_some_and(|s| s == start)
    }
}

/// Whether nothing of it runs any more: its node has said so.
fn finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Why something does not go.
fn stuck(name: &str, pods: &[Pod]) -> String {
    let node = |p: &Pod| p.spec.as_ref().and_then(|s| s.node_name.clone());
    match pods.iter().find_map(|p| Some((p.metadata.name.as_deref()?, node(p)?))) {
        Some((pod, node)) => format!(
            "{name} is not known to be over: the node {node} does not say so; if that node is gone for good, tell the cluster \
             with `kubectl delete pod {pod} --force`"
        ),
        None => format!("{name} is not known to be over: look with `kubectl describe job {name}`"),
    }
}

/// What a shell reads so that these names have these values.
///
/// # Errors
/// A sentence, if a name is none that a shell can know.
fn exports(values: impl Iterator<Item = (String, String)>) -> Result<String, String> {
    let mut text = String::new();
    for (name, value) in values {
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(fine) {
            return Err(format!("`{name}` cannot be passed to a pod: it is no name that a shell knows"));
        }
        text.push_str(&format!("export {name}='{}'\n", value.replace('\'', r"'\''")));
    }
    Ok(text)
}

/// Leaves what the run is passed by name in its home, readable for it alone; the pod's entry takes it from there.
fn hand_over(spec: &RunSpec) -> Result<(), RuntimeError> {
    let path = spec.home.join(ENV_FILE);
    let said = |e: std::io::Error| RuntimeError(format!("{}: {e}", path.display()));
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(said(e)),
        _ => {}
    }
    let set = spec.env_names.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let text = exports(set).map_err(RuntimeError)?;
    if text.is_empty() {
        return Ok(());
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(said)?;
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = spec.uid_gid;
        fchown(&file, Some(uid), Some(gid)).map_err(said)?;
    }
    file.write_all(text.as_bytes()).map_err(said)
}

/// Tells this start from every other.
fn token() -> Result<String, RuntimeError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| RuntimeError(format!("no random numbers: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[async_trait]
impl Runtime for Kubernetes {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Kubernetes
    }

    fn handle(&self, run: RunId, attempt: Attempt) -> Handle {
        Handle { run, attempt, name: argv::name(run, attempt, &self.0.state) }
    }

    async fn check(&self) -> Result<(), RuntimeError> {
        if self.0.cluster.volume_claim.is_empty() {
            return Err(RuntimeError(
                "runner.kubernetes.volume_claim: name the claim that holds the state directory; pods see their checkout \
                 through it"
                    .into(),
            ));
        }
        self.link().await?.usable().await
    }

    async fn fits(&self, wants: &Wants) -> Result<(), RuntimeError> {
        if wants.network != "default" {
            return Err(RuntimeError(format!(
                "runner.network = \"{}\": the network of pods is the cluster's: leave it at \"default\", and limit pods with the \
                 label dispatch.state={} by a NetworkPolicy",
                wants.network, self.0.state
            )));
        }
        if wants.gpus {
            return Err(RuntimeError(
                "runner.gpus: pods are not given GPUs; use a node of this machine".into(),
            ));
        }
        if self.0.host_gateway {
            return Err(RuntimeError(
                "runner.host_gateway: a pod cannot reach this machine by a name; give the model an address of its own".into(),
            ));
        }
        self.link().await?.claim(&self.0.cluster.volume_claim).await
    }

    /// Nodes pull for themselves, and say when they cannot.
    async fn image(&self, _name: &str) -> Result<bool, RuntimeError> {
        Ok(true)
    }

    async fn pull(&self, _name: &str) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn start(&self, spec: &RunSpec) -> Result<Handle, RuntimeError> {
        let handle = self.handle(spec.run, spec.attempt);
        let link = self.link().await?;
        let mounts = job::mounts(spec, |path| self.part(path)).map_err(RuntimeError)?;
        let start = token()?;
        let frame = Frame {
            name: &handle.name,
            state: &self.0.state,
            start: &start,
            cluster: &self.0.cluster,
            pull: self.0.pull,
            grace: self.0.grace,
            mounts: &mounts,
        };
        let job = job::job(frame, spec);
        let mut tries = 0;
        loop {
            // A start that a crash cut short may have left one.
            self.discard(link, &handle).await?;
            hand_over(spec)?;
            let Err(trouble) = call("making a job", link.jobs.create(&PostParams::default(), &job)).await
            else {
                return Ok(handle);
            };
            // The answer may have been lost on its way, or be to a second request of a client that did not hear the first.
            let unsure = matches!(trouble.code, 0 | 409 | 500..);
            if unsure && self.ours(link, &handle.name, &start).await {
                return Ok(handle);
            }
            tries += 1;
            if trouble.code != 409 || tries > TRIES {
                return Err(trouble.into());
            }
        }
    }

    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let link = self.link().await?;
        let ours = ListParams::default().labels(&format!("{}={}", argv::STATE, self.0.state));
        let jobs = call("listing jobs", link.jobs.list(&ours)).await?;
        let found = |job: Job| {
            let labels = job.metadata.labels.as_ref()?;
            let run = labels.get(argv::RUN)?.parse().ok()?;
            let attempt = Attempt(labels.get(argv::ATTEMPT)?.parse().ok()?);
            // One that is being removed is as good as gone.
            if job.metadata.deletion_timestamp.is_some() {
                return None;
            }
            let running = !watch::over(&job);
            Some(Found { handle: Handle { run, attempt, name: job.metadata.name? }, running })
        };
        Ok(jobs.items.into_iter().filter_map(found).collect())
    }

    async fn logs(
        &self,
        handle: &Handle,
        offset: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, RuntimeError> {
        let link = self.link().await?.clone();
        let (to, from) = tokio::io::duplex(64 << 10);
        let follower = Follower::new(link, self.target(handle), self.0.dir.clone(), offset);
        Ok(Box::new(Following::new(from, tokio::spawn(follower.run(to)))))
    }

    async fn wait(&self, handle: &Handle) -> Result<Exit, RuntimeError> {
        let link = self.link().await?;
        let patience = self.0.cluster.start_timeout.0;
        let end = watch::until(link, &self.target(handle), Some(Instant::now() + patience), |look, late| {
            let pod = match look {
                Look::Gone => return Some(End::Exit(Exit::Lost)),
                Look::Unmade => {
                    let name = handle.name.clone();
                    return late.then_some(End::Late { kind: "Job", name, why: None });
                }
                Look::Pod(pod) => pod,
            };
            match judge(pod) {
                Verdict::Ended(exit) => Some(End::Exit(exit)),
                Verdict::Failed(why) | Verdict::Hopeless(why) => Some(End::Failed(why)),
                Verdict::Waiting(why) if late => {
                    Some(End::Late { kind: "Pod", name: pod.metadata.name.clone().unwrap_or_default(), why })
                }
                Verdict::Waiting(_) | Verdict::Running => None,
            }
        })
        .await;
        match end {
            End::Exit(exit) => Ok(exit),
            End::Failed(why) => Err(RuntimeError(why)),
            End::Late { kind, name, why } => {
                let known = match why {
                    Some(why) => Some(why),
                    None => link.complaint(kind, &name).await,
                };
                let why = known.unwrap_or_else(|| {
                    format!("look with `kubectl describe {} {name}`", kind.to_ascii_lowercase())
                });
                Err(RuntimeError(format!("its pod did not start within {} s: {why}", patience.as_secs())))
            }
        }
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), RuntimeError> {
        let link = self.link().await?;
        let target = self.target(handle);
        let pods = self.pods(link, &target).await?;
        if pods.is_empty() {
            // A pod may still be made: the Job goes, so that none is.
            return match call("looking at a job", link.jobs.get_opt(&handle.name)).await? {
                Some(job) if !watch::over(&job) => self.discard(link, handle).await,
                _ => Ok(()),
            };
        }
        self.end(link, &pods, grace).await?;
        let over = watch::until(link, &target, None, |look, _| match look {
            Look::Gone => Some(()),
            Look::Unmade => None,
            Look::Pod(pod) => finished(pod).then_some(()),
        });
        if tokio::time::timeout(grace + CALL, over).await.is_ok() {
            return Ok(());
        }
        let left = self.pods(link, &target).await.unwrap_or(pods);
        Err(RuntimeError(stuck(&handle.name, &left)))
    }

    async fn remove(&self, handle: &Handle) -> Result<(), RuntimeError> {
        let link = self.link().await?;
        self.discard(link, handle).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_every_value_as_it_is() {
        let odd = "it's $HOME `x` \"y\" \\ \n two lines";
        let text = exports([("ODD".to_owned(), odd.to_owned())].into_iter()).unwrap();
        let script = format!("{text}printf %s \"$ODD\"");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), odd);
        for name in ["", "1A", "A-B", "A;B"] {
            assert!(exports([(name.to_owned(), String::new())].into_iter()).is_err(), "{name:?}");
        }
    }
}
