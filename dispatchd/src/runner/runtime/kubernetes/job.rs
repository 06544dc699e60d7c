//! What the cluster is told to run, as a pure function: what a pod may and may not do is read here.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, LocalObjectReference,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
    SeccompProfile, SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Cluster;
use crate::edges::RunSpec;
use crate::runner::runtime::argv::{ATTEMPT, PROMPT, RUN, STATE};
use crate::runner::settings::Pull;

/// The only container of a pod.
pub(super) const CONTAINER: &str = "agent";
/// The file in the run's home that carries the names it is passed.
pub(super) const ENV_FILE: &str = ".dispatch-env";
/// Tells one start from another of the same run and attempt.
pub(super) const START: &str = "dispatch.start";
/// Reads what only this run may know, then becomes the program: the prompt is its standard input, and both its outputs are
/// one stream, so that reading the log again gives the same bytes.
const ENTRY: &str = r#"e=$HOME/.dispatch-env
if [ -f "$e" ]; then . "$e" && rm -f "$e" || exit 126; fi
exec "$@" </dispatch/prompt 2>&1"#;
/// The claim's name within the pod.
const STATE_VOLUME: &str = "state";
/// Added to a run's own time before the pod ends by itself: the daemon, if there is one, ends it long before.
const UNWATCHED: Duration = Duration::from_secs(600);

/// A part of the claim, where the pod sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Below the claim's root.
    pub(super) part: String,
    /// In the pod.
    pub(super) target: String,
    /// It cannot be written there.
    pub(super) read_only: bool,
}

/// What stands on the Job beside what the run wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) name: &'a str,
    pub(super) state: &'a str,
    pub(super) start: &'a str,
    pub(super) cluster: &'a Cluster,
    pub(super) pull: Pull,
    pub(super) grace: Duration,
    pub(super) mounts: &'a [Mount],
}

/// The labels by which this run's pod is found.
pub(super) fn labels(run: &str, attempt: u64, state: &str) -> BTreeMap<String, String> {
    [(RUN, run.to_owned()), (ATTEMPT, attempt.to_string()), (STATE, state.to_owned())]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

/// A text that arrives as it is: the cluster would put a variable's value for `$(NAME)` and one `$` for two.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The Job that runs `spec`.
pub(super) fn job(frame: Frame<'_>, spec: &RunSpec) -> Job {
    let labels = labels(&spec.run.to_string(), spec.attempt.0, frame.state);
    let started = (START.to_owned(), frame.start.to_owned());
    Job {
        metadata: ObjectMeta {
            name: Some(frame.name.to_owned()),
            labels: Some(labels.clone()),
            annotations: Some([started].into()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            // A retry is Dispatch's to decide: a pod that is lost is never made again.
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".into()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(undisturbed()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(frame, spec)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Asks those that tidy a cluster up to leave the pod until it is done.
fn undisturbed() -> BTreeMap<String, String> {
    [("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"), ("karpenter.sh/do-not-disrupt", "true")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn pod(frame: Frame<'_>, spec: &RunSpec) -> PodSpec {
    let cluster = frame.cluster;
    let (uid, gid) = spec.uid_gid;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let some = |list: &[String]| {
        let list: Vec<_> = list.iter().map(|n| LocalObjectReference { name: n.clone() }).collect();
        Some(list).filter(|l| !l.is_empty())
    };
    let bearable = |t: &super::Toleration| Toleration {
        key: t.key.clone(),
        operator: Some(if t.value.is_some() { "Equal" } else { "Exists" }.into()),
        value: t.value.clone(),
        effect: t.effect.clone(),
        ..Toleration::default()
    };
    PodSpec {
        restart_policy: Some("Never".into()),
        active_deadline_seconds: Some(seconds(
            spec.timeout + frame.grace + cluster.start_timeout.0 + UNWATCHED,
        )),
        termination_grace_period_seconds: Some(seconds(frame.grace).max(1)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // The program is not process 1, which TERM would not end, and what it leaves behind is reaped.
        share_process_namespace: Some(true),
        security_context: Some(PodSecurityContext {
            run_as_user: Some(uid.into()),
            run_as_group: Some(gid.into()),
            run_as_non_root: Some(uid != 0),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        service_account_name: cluster.service_account.clone(),
        runtime_class_name: cluster.runtime_class.clone(),
        priority_class_name: cluster.priority_class.clone(),
        node_selector: Some(cluster.node_selector.clone()).filter(|s| !s.is_empty()),
        tolerations: Some(cluster.tolerations.iter().map(bearable).collect())
            .filter(|t: &Vec<_>| !t.is_empty()),
        image_pull_secrets: some(&cluster.image_pull_secrets),
        volumes: Some(volumes(frame, spec)),
        containers: vec![container(frame, spec)],
        ..PodSpec::default()
    }
}

/// Directories that builds and tests may write although the image cannot be written.
fn scratch(spec: &RunSpec) -> &'static [(&'static str, &'static str)] {
    if spec.read_only_root { &[("tmp", "/tmp"), ("var-tmp", "/var/tmp"), ("run", "/run")] } else { &[] }
}

fn volumes(frame: Frame<'_>, spec: &RunSpec) -> Vec<Volume> {
    let state = Volume {
        name: STATE_VOLUME.into(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: frame.cluster.volume_claim.clone(),
            read_only: None,
        }),
        ..Volume::default()
    };
    let empty = |(name, _): &(&str, &str)| Volume {
        name: (*name).into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    std::iter::once(state).chain(scratch(spec).iter().map(empty)).collect()
}

fn container(frame: Frame<'_>, spec: &RunSpec) -> Container {
    let fixed =
        [("TERM", "dumb"), ("NO_COLOR", "1"), ("CI", "true")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let home = ("HOME".to_owned(), spec.home.display().to_string());
    let env = fixed.into_iter().chain([home]).chain(spec.env.iter().cloned());
    let of_claim = |m: &Mount| VolumeMount {
        name: STATE_VOLUME.into(),
        mount_path: m.target.clone(),
        sub_path: Some(m.part.clone()),
        read_only: Some(m.read_only),
        ..VolumeMount::default()
    };
    let empty = |(name, path): &(&str, &str)| VolumeMount {
        name: (*name).into(),
        mount_path: (*path).into(),
        ..VolumeMount::default()
    };
    let entry = match spec.limits.nofile {
        Some(files) => format!("ulimit -n {files} || exit 126\n{ENTRY}"),
        None => ENTRY.to_owned(),
    };
    let command = ["sh", "-c", &entry, "sh"];
    Container {
        name: CONTAINER.into(),
        image: Some(spec.image.clone()),
        image_pull_policy: Some(
            match frame.pull {
                Pull::Never => "Never",
                Pull::Missing => "IfNotPresent",
                Pull::Always => "Always",
            }
            .into(),
        ),
        command: Some(command.map(literal).into()),
        args: Some(spec.argv.iter().map(|a| literal(a)).collect()),
        working_dir: Some(spec.repo_dir.display().to_string()),
        env: Some(
            env.map(|(name, value)| EnvVar { name, value: Some(literal(&value)), ..EnvVar::default() })
                .collect(),
        ),
        resources: limits(spec),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            privileged: Some(false),
            read_only_root_filesystem: Some(spec.read_only_root),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(
            frame.mounts.iter().map(of_claim).chain(scratch(spec).iter().map(empty)).collect(),
        ),
        ..Container::default()
    }
}

/// As much is set aside for the pod as it may use, so that it is the last to be evicted.
fn limits(spec: &RunSpec) -> Option<ResourceRequirements> {
    let memory = spec.limits.memory.map(|bytes| ("memory".to_owned(), Quantity(bytes.to_string())));
    let cpu = spec.limits.milli_cpus.map(|milli| ("cpu".to_owned(), Quantity(format!("{milli}m"))));
    let limits: BTreeMap<String, Quantity> = memory.into_iter().chain(cpu).collect();
    (!limits.is_empty()).then(|| ResourceRequirements {
        limits: Some(limits.clone()),
        requests: Some(limits),
        claims: None,
    })
}

/// What of the claim a run sees, given where each of its paths lies in it.
///
/// # Errors
/// As `part`.
pub(super) fn mounts(
    spec: &RunSpec,
    part: impl Fn(&std::path::Path) -> Result<String, String>,
) -> Result<Vec<Mount>, String> {
    let same = |path: &std::path::Path, read_only: bool| {
        Ok::<_, String>(Mount { part: part(path)?, target: path.display().to_string(), read_only })
    };
    let mut mounts = vec![same(&spec.repo_dir, false)?, same(&spec.home, false)?];
    mounts.push(Mount { target: PROMPT.into(), ..same(&spec.prompt, true)? });
    for dir in &spec.read_only {
        mounts.push(same(dir, true)?);
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use dispatch_shared::claim::Attempt;
    use dispatch_shared::id::RunId;
    use proptest::prelude::*;

    use super::*;
    use crate::edges::Limits;

    fn spec() -> RunSpec {
        RunSpec {
            run: RunId(7),
            attempt: Attempt(4_294_967_298),
            image: "registry.example/agent:1".into(),
            argv: vec!["sh".into(), "-c".into(), "echo $(HOME) $$ $HOME".into()],
            env: vec![("GIT_AUTHOR_NAME".into(), "Dispatch $(TERM)".into())],
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
                network: "default".into(),
            },
            read_only_root: true,
            gpus: false,
            host_gateway: false,
            selinux: crate::edges::Selinux::Disable,
            log_max: 1 << 30,
            timeout: Duration::from_secs(3_600),
        }
    }

    fn made(cluster: &Cluster, spec: &RunSpec) -> Job {
        let part = |path: &std::path::Path| {
            path.strip_prefix("/s").map(|p| p.display().to_string()).map_err(|e| e.to_string())
        };
        let frame = Frame {
            name: "dispatch-r-7-4294967298-01234567",
            state: "0123456789ab",
            start: "s",
            cluster,
            pull: Pull::Missing,
            grace: Duration::from_secs(10),
            mounts: &mounts(spec, part).unwrap(),
        };
        job(frame, spec)
    }

    #[test]
    fn the_job_of_a_run() {
        let cluster = Cluster {
            volume_claim: "dispatch-state".into(),
            node_selector: [("disk".to_owned(), "ssd".to_owned())].into(),
            image_pull_secrets: vec!["registry".into()],
            tolerations: vec![super::super::Toleration {
                key: Some("agents".into()),
                ..super::super::Toleration::default()
            }],
            runtime_class: Some("gvisor".into()),
            ..Cluster::default()
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&made(&cluster, &spec())).unwrap());
    }

    #[test]
    fn what_is_passed_by_name_is_not_told_to_the_cluster() {
        let text = serde_json::to_string(&made(&Cluster::default(), &spec())).unwrap();
        assert!(!text.contains("ANTHROPIC_API_KEY") && !text.contains("secretKeyRef"), "{text}");
    }

    #[test]
    fn without_limits_nothing_is_set_aside() {
        let mut spec = RunSpec { read_only_root: false, ..spec() };
        spec.limits = Limits { memory: None, milli_cpus: None, nofile: None, ..spec.limits };
        let job = made(&Cluster::default(), &spec);
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.containers[0].resources, None);
        assert_eq!(pod.volumes.unwrap().len(), 1, "no scratch where the image can be written");
        assert!(!pod.containers[0].command.as_ref().unwrap()[2].contains("ulimit"));
    }

    /// What the cluster makes of a text, as its own expansion is documented.
    fn expanded(text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((_, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
                out.push_str("VALUE");
                rest = after;
            } else {
                out.push('$');
            }
        }
        out + rest
    }

    proptest! {
        #[test]
        fn no_text_is_changed_on_its_way(text in "[$()A-Z a]{0,24}") {
            prop_assert_eq!(expanded(&literal(&text)), text);
        }
    }
}
