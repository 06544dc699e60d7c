//! What a pod's status means for the run in it, as a pure function.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};

use super::job::CONTAINER;
use crate::edges::Exit;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has not begun; why, as far as that is known. Time may help.
    Waiting(Option<String>),
    /// It has not begun and never will; why.
    Hopeless(String),
    /// The program works, or works as far as anybody knows.
    Running,
    /// The program ended so.
    Ended(Exit),
    /// It was taken away from outside, or never got to begin; why.
    Failed(String),
}

impl Verdict {
    /// Whether there is, or was, a program that says something.
    pub(super) fn begun(&self) -> bool {
        matches!(self, Verdict::Running | Verdict::Ended(_) | Verdict::Failed(_))
    }
}

/// What `pod` says.
pub(super) fn judge(pod: &Pod) -> Verdict {
    let Some(status) = &pod.status else { return Verdict::Waiting(None) };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let state = status
        .container_statuses
        .iter()
        .flatten()
        .find(|c| c.name == CONTAINER)
        .and_then(|c| c.state.as_ref());
    if phase == "Failed"
        && let Some(reason) = &status.reason
    {
        return Verdict::Failed(taken(reason, status.message.as_deref()));
    }
    let mut conditions = status.conditions.iter().flatten();
    let disrupted = conditions.rfind(|c| c.type_ == "DisruptionTarget" && c.status == "True");
    match state {
        Some(ContainerState { terminated: Some(end), .. }) => match disrupted {
            Some(condition) if end.exit_code != 0 => Verdict::Failed(taken(
                condition.reason.as_deref().unwrap_or("Disrupted"),
                condition.message.as_deref(),
            )),
            _ => ended(end),
        },
        Some(ContainerState { running: Some(_), .. }) => Verdict::Running,
        _ if phase == "Failed" => Verdict::Ended(Exit::Lost),
        _ if phase == "Succeeded" => Verdict::Ended(Exit::Code(0)),
        // The node has not been heard of for a while: what runs there runs on.
        _ if phase == "Unknown" => Verdict::Running,
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            waits(waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref(), image(pod))
        }
        _ => Verdict::Waiting(unscheduled(pod)),
    }
}

fn image(pod: &Pod) -> &str {
    let container = pod.spec.iter().flat_map(|s| &s.containers).find(|c| c.name == CONTAINER);
    container.and_then(|c| c.image.as_deref()).unwrap_or("of the run")
}

fn ended(end: &ContainerStateTerminated) -> Verdict {
    let reason = end.reason.as_deref().unwrap_or_default();
    match reason {
        "StartError" | "ContainerCannotRun" => {
            Verdict::Failed(format!("its container could not be started{}", after(end.message.as_deref())))
        }
        "ContainerStatusUnknown" => Verdict::Ended(Exit::Lost),
        "OOMKilled" if end.exit_code != 0 => Verdict::Ended(Exit::OutOfMemory),
        _ => Verdict::Ended(Exit::Code(end.exit_code)),
    }
}

/// Why a container waits.
fn waits(reason: &str, message: Option<&str>, image: &str) -> Verdict {
    match reason {
        "" | "ContainerCreating" | "PodInitializing" => {
            Verdict::Waiting(message.filter(|m| !m.trim().is_empty()).map(str::to_owned))
        }
        // The node tries again, and a registry may come back.
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => Verdict::Waiting(Some(format!(
            "the image `{image}` could not be pulled{}; set runner.image, or runner.kubernetes.image_pull_secrets",
            after(message)
        ))),
        "ErrImageNeverPull" => Verdict::Hopeless(format!(
            "the image `{image}` is not on the node, and runner.pull = \"never\"{}",
            after(message)
        )),
        "InvalidImageName" => {
            Verdict::Hopeless(format!("`{image}` is no name of an image{}; set runner.image", after(message)))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Verdict::Waiting(Some(format!("its container could not be made{}", after(message))))
        }
        other => Verdict::Waiting(Some(format!("it waits, {other}{}", after(message)))),
    }
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let refused = conditions.rfind(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(format!("no node takes its pod{}", after(refused.message.as_deref())))
}

/// Why a pod ended that the cluster ended.
fn taken(reason: &str, message: Option<&str>) -> String {
    let message = after(message);
    match reason {
        "Evicted" | "EvictionByEvictionAPI" => format!("its pod was evicted{message}"),
        "DeadlineExceeded" => {
            format!("it worked beyond its time with nobody watching, and the cluster ended it{message}")
        }
        "NodeLost" => format!("its node was lost{message}"),
        "Shutdown" | "Terminated" | "NodeShutdown" | "TerminationByKubelet" => {
            format!("its node went down{message}")
        }
        "Preempting" | "Preempted" | "PreemptionByScheduler" => {
            format!("its pod had to make room for a more important one{message}")
        }
        "DeletionByTaintManager" => format!("its node does not put up with it any more{message}"),
        other => format!("the cluster ended its pod, {other}{message}"),
    }
}

fn after(message: Option<&str>) -> String {
    message.map(str::trim).filter(|m| !m.is_empty()).map_or_else(String::new, |m| format!(": {m}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Verdict {
        let pod = json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": CONTAINER, "image": "a:1"}]},
            "status": status,
        });
        judge(&serde_json::from_value(pod).unwrap())
    }

    fn state(phase: &str, state: serde_json::Value) -> serde_json::Value {
        let container = json!({
            "name": CONTAINER, "image": "a:1", "imageID": "", "ready": false, "restartCount": 0, "state": state
        });
        json!({"phase": phase, "containerStatuses": [container]})
    }

    fn ended(code: i32, reason: &str) -> serde_json::Value {
        state("Failed", json!({"terminated": {"exitCode": code, "reason": reason}}))
    }

    #[test]
    fn a_program_runs_and_ends() {
        assert_eq!(pod(json!({"phase": "Pending"})), Verdict::Waiting(None));
        assert_eq!(pod(state("Running", json!({"running": {}}))), Verdict::Running);
        assert_eq!(pod(json!({"phase": "Unknown"})), Verdict::Running);
        assert_eq!(
            pod(state("Succeeded", json!({"terminated": {"exitCode": 0, "reason": "Completed"}}))),
            Verdict::Ended(Exit::Code(0))
        );
        assert_eq!(pod(ended(7, "Error")), Verdict::Ended(Exit::Code(7)));
        assert_eq!(pod(ended(137, "OOMKilled")), Verdict::Ended(Exit::OutOfMemory));
        assert_eq!(pod(ended(137, "ContainerStatusUnknown")), Verdict::Ended(Exit::Lost));
        assert!(matches!(pod(ended(128, "StartError")), Verdict::Failed(why) if why.contains("started")));
    }

    #[test]
    fn what_keeps_a_pod_from_starting_is_said() {
        let waiting =
            |reason: &str| state("Pending", json!({"waiting": {"reason": reason, "message": "because"}}));
        let said = |verdict: Verdict| match verdict {
            Verdict::Waiting(Some(why)) | Verdict::Hopeless(why) => why,
            other => panic!("{other:?}"),
        };
        let pull = said(pod(waiting("ImagePullBackOff")));
        assert!(pull.contains("`a:1` could not be pulled: because"), "{pull}");
        assert!(matches!(pod(waiting("InvalidImageName")), Verdict::Hopeless(_)));
        assert!(matches!(pod(waiting("ErrImageNeverPull")), Verdict::Hopeless(_)));
        let refused = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
        ]});
        assert_eq!(said(pod(refused)), "no node takes its pod: 0/3 nodes are available");
    }

    #[test]
    fn what_the_cluster_takes_away_is_no_end_of_the_program() {
        let mut evicted = ended(137, "Error");
        evicted["reason"] = "Evicted".into();
        evicted["message"] = "The node was low on resource: memory.".into();
        assert_eq!(
            pod(evicted),
            Verdict::Failed("its pod was evicted: The node was low on resource: memory.".into())
        );
        let condition = json!([{
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "room"
        }]);
        let mut preempted = ended(143, "Error");
        preempted["conditions"] = condition.clone();
        assert!(matches!(pod(preempted), Verdict::Failed(why) if why.contains("make room")));
        let mut done = ended(0, "Completed");
        done["conditions"] = condition;
        assert_eq!(pod(done), Verdict::Ended(Exit::Code(0)), "it was done before");
    }
}
