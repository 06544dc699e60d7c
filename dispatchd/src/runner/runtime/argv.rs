//! The command lines of the engines, as pure functions: what a run may and may not do is read here.

use std::path::Path;

use dispatch_shared::claim::Attempt;
use dispatch_shared::id::RunId;
use dispatch_shared::run::RuntimeKind;

use crate::edges::{RunSpec, Selinux};

/// The label of the run.
pub(super) const RUN: &str = "dispatch.run";
/// The label of the attempt.
pub(super) const ATTEMPT: &str = "dispatch.attempt";
/// The label of the state directory, so that two daemons on one engine leave each other's containers alone.
pub(super) const STATE: &str = "dispatch.state";
/// Where the prompt lies in a container.
pub(super) const PROMPT: &str = "/dispatch/prompt";
/// The program gets the prompt as its standard input, and both its outputs become one stream inside, so that reading the
/// log again from its start gives the same bytes. No client is attached that could die with the daemon.
const ENTRY: &str = "exec \"$@\" </dispatch/prompt 2>&1";
/// Apple's engine keeps no exit code: the entry leaves it in the run's home.
const APPLE_ENTRY: &str = "\"$@\" </dispatch/prompt 2>&1; echo $? >\"$HOME/.dispatch-exit\"";

/// What the engine is like, beyond its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits {
    /// Its root is an ordinary user of this machine.
    pub(super) rootless: bool,
    /// Its control groups are those of cgroup v1.
    pub(super) old_groups: bool,
}

impl Traits {
    /// Why it cannot limit a run, if it cannot.
    pub(super) fn refuses_limits(self, kind: RuntimeKind) -> Option<String> {
        (self.rootless && self.old_groups).then(|| {
            format!(
                "{kind} without root on cgroup v1 cannot limit memory, processors or processes: start the machine with \
                 cgroup v2 (systemd.unified_cgroup_hierarchy=1), run {kind} as root, or go without limits with \
                 runner.limits = false"
            )
        })
    }
}

/// The arguments that start `spec` detached.
pub(super) fn start(
    kind: RuntimeKind,
    traits: Traits,
    name: &str,
    state: &str,
    spec: &RunSpec,
) -> Vec<String> {
    let mut a = Args::default();
    a.all(["run", "--detach", "--name", name]);
    a.pair("--label", format!("{RUN}={}", spec.run));
    a.pair("--label", format!("{ATTEMPT}={}", spec.attempt.0));
    a.pair("--label", format!("{STATE}={state}"));
    match kind {
        RuntimeKind::Docker => {
            // The file log is the one that can be read again from its start. Of two files the older one is always full, so
            // what is left is never less than the limit.
            a.all(["--log-driver", "json-file", "--log-opt", "max-file=2"]);
            a.pair("--log-opt", format!("max-size={}", spec.log_max));
            a.all(["--init", "--pull", "never"]);
            harden(&mut a, spec);
        }
        RuntimeKind::Podman => {
            a.all(["--log-driver", "k8s-file"]);
            a.pair("--log-opt", format!("max-size={}", spec.log_max));
            a.all(["--init", "--pull", "never"]);
            harden(&mut a, spec);
        }
        // One virtual machine a container, which is the boundary; it has no such switches.
        RuntimeKind::Apple | RuntimeKind::Host | RuntimeKind::Kubernetes => {}
    }
    user(&mut a, kind, traits, spec);
    limits(&mut a, kind, spec);
    openings(&mut a, kind, spec);
    for (key, value) in [("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "true")] {
        a.pair("--env", format!("{key}={value}"));
    }
    a.pair("--env", format!("HOME={}", spec.home.display()));
    for (key, value) in &spec.env {
        a.pair("--env", format!("{key}={value}"));
    }
    for key in &spec.env_names {
        a.pair("--env", key.clone());
    }
    let own = Mount { kind, label: label(spec.selinux, Label::Private), read_only: false };
    own.add(&mut a, &spec.repo_dir, None);
    own.add(&mut a, &spec.home, None);
    Mount { read_only: true, ..own }.add(&mut a, &spec.prompt, Some(PROMPT));
    let shared = Mount { kind, label: label(spec.selinux, Label::Shared), read_only: true };
    for dir in &spec.read_only {
        shared.add(&mut a, dir, None);
    }
    a.pair("--workdir", spec.repo_dir.display().to_string());
    // The image's own entry point would stand before ours.
    a.pair("--entrypoint", "sh");
    a.all([spec.image.as_str()]);
    let entry = if kind == RuntimeKind::Apple { APPLE_ENTRY } else { ENTRY };
    a.all(["-c", entry, "sh"]);
    a.0.extend(spec.argv.iter().cloned());
    a.0
}

fn harden(a: &mut Args, spec: &RunSpec) {
    a.pair("--security-opt", "no-new-privileges");
    if spec.selinux == Selinux::Disable {
        a.pair("--security-opt", "label=disable");
    }
    a.pair("--cap-drop", "ALL");
    if spec.read_only_root {
        a.all(["--read-only"]);
        // Builds and tests run what they put there.
        for dir in ["/tmp", "/var/tmp", "/run"] {
            a.pair("--tmpfs", format!("{dir}:rw,exec,nosuid,nodev,mode=1777"));
        }
    }
    if let Some(pids) = spec.limits.pids {
        a.pair("--pids-limit", pids.to_string());
    }
}

/// GPUs and the way to this machine, where they were asked for.
fn openings(a: &mut Args, kind: RuntimeKind, spec: &RunSpec) {
    match kind {
        RuntimeKind::Docker if spec.gpus => a.pair("--gpus", "all"),
        RuntimeKind::Podman if spec.gpus => a.pair("--device", "nvidia.com/gpu=all"),
        _ => {}
    }
    if spec.host_gateway && matches!(kind, RuntimeKind::Docker | RuntimeKind::Podman) {
        for name in ["host.docker.internal", "host.containers.internal"] {
            a.pair("--add-host", format!("{name}:host-gateway"));
        }
    }
}

fn user(a: &mut Args, kind: RuntimeKind, traits: Traits, spec: &RunSpec) {
    let (uid, gid) = spec.uid_gid;
    match (kind, traits.rootless) {
        // The owner of the workspace keeps its number inside.
        (RuntimeKind::Podman, true) => {
            a.all(["--userns", "keep-id"]);
            a.pair("--user", format!("{uid}:{gid}"));
        }
        // Its root is the owner of the workspace, any other number would be a stranger.
        (RuntimeKind::Docker, true) => a.pair("--user", "0:0"),
        _ => a.pair("--user", format!("{uid}:{gid}")),
    }
}

fn limits(a: &mut Args, kind: RuntimeKind, spec: &RunSpec) {
    let limits = &spec.limits;
    if let Some(memory) = limits.memory {
        if kind == RuntimeKind::Apple {
            a.pair("--memory", format!("{}M", (memory >> 20).max(1)));
        } else {
            a.pair("--memory", memory.to_string());
            // Without this as much again may be swapped.
            a.pair("--memory-swap", memory.to_string());
        }
    }
    if let Some(cpus) = limits.milli_cpus {
        if kind == RuntimeKind::Apple {
            a.pair("--cpus", cpus.div_ceil(1_000).to_string());
        } else {
            a.pair("--cpus", format!("{}.{:03}", cpus / 1_000, cpus % 1_000));
        }
    }
    if let Some(files) = limits.nofile {
        a.pair("--ulimit", format!("nofile={files}:{files}"));
    }
    if limits.network != "default" {
        a.pair("--network", limits.network.clone());
    }
}

/// For whom SELinux labels what is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// This container.
    Private,
    /// All containers.
    Shared,
}

fn label(selinux: Selinux, wanted: Label) -> Option<Label> {
    match selinux {
        Selinux::Disable | Selinux::Off => None,
        Selinux::Relabel => Some(wanted),
        Selinux::Shared => Some(Label::Shared),
    }
}

/// How a directory or file comes into a container.
#[derive(Clone, Copy, Debug)]
struct Mount {
    kind: RuntimeKind,
    label: Option<Label>,
    read_only: bool,
}

impl Mount {
    fn add(self, a: &mut Args, source: &Path, target: Option<&str>) {
        let source = source.display().to_string();
        let target = target.unwrap_or(&source);
        let mode = if self.read_only { ",readonly" } else { "" };
        match (self.kind, self.label) {
            // Only its short form can label.
            (RuntimeKind::Docker, Some(label)) => {
                let mode = if self.read_only { "ro" } else { "rw" };
                let label = if label == Label::Private { "Z" } else { "z" };
                a.pair("--volume", format!("{source}:{target}:{mode},{label}"));
            }
            (RuntimeKind::Podman, Some(label)) => {
                let label = if label == Label::Private { "private" } else { "shared" };
                a.pair("--mount", format!("type=bind,source={source},target={target}{mode},relabel={label}"));
            }
            _ => a.pair("--mount", format!("type=bind,source={source},target={target}{mode}")),
        }
    }
}

/// Why `spec` cannot be said to this engine.
pub(super) fn unsayable(kind: RuntimeKind, spec: &RunSpec) -> Option<String> {
    let labels = matches!(spec.selinux, Selinux::Relabel | Selinux::Shared);
    let colon = |p: &Path| p.as_os_str().as_encoded_bytes().contains(&b':');
    (kind == RuntimeKind::Docker && labels && colon(&spec.repo_dir)).then(|| {
        format!(
            "docker cannot label {}, whose path has a colon: move the state directory, or set runner.selinux = \"disable\"",
            spec.repo_dir.display()
        )
    })
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn all<const N: usize>(&mut self, args: [&str; N]) {
        self.0.extend(args.map(str::to_owned));
    }

    fn pair(&mut self, key: &str, value: impl Into<String>) {
        self.0.extend([key.to_owned(), value.into()]);
    }
}

/// The name of a run's container: unique among all daemons of this machine.
pub(super) fn name(run: RunId, attempt: Attempt, state: &str) -> String {
    format!("dispatch-{run}-{}-{}", attempt.0, &state[..state.len().min(8)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Limits;

    fn spec() -> RunSpec {
        RunSpec {
            run: RunId(7),
            attempt: Attempt(4_294_967_298),
            image: "agent:1".into(),
            argv: vec!["claude".into(), "-p".into()],
            env: vec![("GIT_AUTHOR_NAME".into(), "Dispatch".into())],
            env_names: vec!["ANTHROPIC_API_KEY".into()],
            repo_dir: "/s/w/repo".into(),
            meta_dir: "/s/w/.meta/r-7".into(),
            prompt: "/s/w/.meta/r-7/prompt.md".into(),
            home: "/s/w/.meta/r-7/home".into(),
            read_only: vec!["/s/mirrors/k.git/objects".into()],
            uid_gid: (1000, 1000),
            limits: Limits {
                memory: Some(4 << 30),
                milli_cpus: Some(1_500),
                pids: Some(512),
                nofile: Some(4_096),
                network: "none".into(),
            },
            read_only_root: true,
            gpus: false,
            host_gateway: false,
            timeout: std::time::Duration::from_secs(3_600),
            selinux: Selinux::Disable,
            log_max: 1 << 30,
        }
    }

    fn line(kind: RuntimeKind, rootless: bool) -> String {
        line_of(kind, rootless, &spec())
    }

    fn line_of(kind: RuntimeKind, rootless: bool, spec: &RunSpec) -> String {
        let traits = Traits { rootless, ..Traits::default() };
        let args = start(
            kind,
            traits,
            &name(RunId(7), Attempt(4_294_967_298), "0123456789ab"),
            "0123456789ab",
            spec,
        );
        // One option a line.
        args.join(" ").replace(" --", "\n--").replace(" agent:1", "\nagent:1")
    }

    #[test]
    fn docker_command_line() {
        insta::assert_snapshot!(line(RuntimeKind::Docker, false));
    }

    #[test]
    fn podman_command_line() {
        insta::assert_snapshot!(line(RuntimeKind::Podman, true));
    }

    #[test]
    fn apple_command_line() {
        insta::assert_snapshot!(line(RuntimeKind::Apple, false));
    }

    #[test]
    fn what_was_asked_for_is_given_as_each_engine_says_it() {
        let spec = RunSpec { gpus: true, host_gateway: true, read_only_root: false, ..spec() };
        let docker = line_of(RuntimeKind::Docker, false, &spec);
        assert!(docker.contains("--gpus all"), "{docker}");
        assert!(docker.contains("--add-host host.docker.internal:host-gateway"), "{docker}");
        assert!(!docker.contains("--read-only") && !docker.contains("--tmpfs"), "{docker}");
        let podman = line_of(RuntimeKind::Podman, false, &spec);
        assert!(podman.contains("--device nvidia.com/gpu=all"), "{podman}");
        assert!(podman.contains("--add-host host.containers.internal:host-gateway"), "{podman}");
    }

    #[test]
    fn docker_command_line_with_labels() {
        let spec = RunSpec { selinux: Selinux::Relabel, ..spec() };
        insta::assert_snapshot!(line_of(RuntimeKind::Docker, false, &spec));
    }

    #[test]
    fn podman_command_line_with_labels() {
        let spec = RunSpec { selinux: Selinux::Relabel, ..spec() };
        insta::assert_snapshot!(line_of(RuntimeKind::Podman, true, &spec));
    }

    #[test]
    fn labels_can_be_shared_or_left_alone() {
        for kind in [RuntimeKind::Docker, RuntimeKind::Podman] {
            let of = |selinux| line_of(kind, false, &RunSpec { selinux, ..spec() });
            let shared = of(Selinux::Shared);
            assert_eq!(
                shared.matches("relabel=shared").count() + shared.matches(",z").count(),
                4,
                "{shared}"
            );
            assert!(!shared.contains("label=disable") && !shared.contains("private"), "{shared}");
            let off = of(Selinux::Off);
            assert_eq!(off, of(Selinux::Disable).replace("\n--security-opt label=disable", ""));
        }
        let odd = RunSpec { selinux: Selinux::Relabel, repo_dir: "/s/a:b/repo".into(), ..spec() };
        assert!(unsayable(RuntimeKind::Docker, &odd).is_some_and(|s| s.contains("colon")));
        assert_eq!(unsayable(RuntimeKind::Podman, &odd), None);
        assert_eq!(unsayable(RuntimeKind::Docker, &spec()), None);
    }

    #[test]
    fn a_network_is_named_unless_it_is_the_engines_own() {
        let of = |network: &str| {
            let limits = Limits { network: network.into(), ..spec().limits };
            line_of(RuntimeKind::Docker, false, &RunSpec { limits, ..spec() })
        };
        assert!(of("none").contains("--network none") && of("lab").contains("--network lab"));
        assert!(!of("default").contains("--network"));
    }

    #[test]
    fn only_an_engine_without_root_on_old_groups_cannot_limit() {
        for (rootless, old_groups) in [(false, false), (false, true), (true, false)] {
            assert_eq!(Traits { rootless, old_groups }.refuses_limits(RuntimeKind::Podman), None);
        }
        let said = Traits { rootless: true, old_groups: true }.refuses_limits(RuntimeKind::Podman);
        assert!(said.is_some_and(|s| s.contains("runner.limits = false")));
    }

    #[test]
    fn rootless_docker_maps_its_root_to_the_owner() {
        assert!(line(RuntimeKind::Docker, true).contains("--user 0:0"));
    }
}
