//! What is in the cluster, and what its controllers make of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::{CLAIM, Fault, NAMESPACE, Node, now};

/// The only container's name.
const CONTAINER: &str = "agent";

/// See the module.
pub(super) struct World {
    version: u64,
    serial: u64,
    pub(super) node: Node,
    pub(super) stop: CancellationToken,
    pub(super) jobs: BTreeMap<String, Value>,
    pub(super) pods: BTreeMap<String, Value>,
    /// What became of pods: when, what, and how it then was.
    pub(super) history: Vec<(u64, &'static str, Value)>,
    logs: BTreeMap<String, Log>,
    /// Where processes hear that they are to end, and how soon.
    pub(super) ends: BTreeMap<String, mpsc::UnboundedSender<Duration>>,
    pub(super) faults: Vec<Fault>,
    pub(super) forbidden: Vec<(String, String)>,
    pub(super) claim: Option<&'static str>,
    pub(super) silent: bool,
    pub(super) events: Vec<Value>,
    pub(super) requests: Vec<String>,
}

fn container(state: &Value) -> Value {
    json!([{
        "name": CONTAINER, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
    }])
}

/// The status of a pod that runs.
pub(super) fn running() -> Value {
    json!({"phase": "Running", "containerStatuses": container(&json!({"running": {"startedAt": now()}}))})
}

/// The status of a pod whose program has ended.
pub(super) fn ended(code: i32, reason: &str) -> Value {
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "finishedAt": now()}});
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    json!({"phase": phase, "containerStatuses": container(&state)})
}

/// Whether an object has all labels of a selector.
pub(super) fn selected(object: &Value, selector: Option<&str>) -> bool {
    let wanted = selector.unwrap_or_default().split(',').filter_map(|s| s.split_once('='));
    wanted.into_iter().all(|(key, value)| object["metadata"]["labels"][key] == value)
}

fn terminal(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

impl World {
    pub(super) fn new(node: Node, stop: CancellationToken) -> Self {
        Self {
            version: 1,
            serial: 0,
            node,
            stop,
            jobs: BTreeMap::new(),
            pods: BTreeMap::new(),
            history: Vec::new(),
            logs: BTreeMap::new(),
            ends: BTreeMap::new(),
            faults: Vec::new(),
            forbidden: Vec::new(),
            claim: Some(CLAIM),
            silent: false,
            events: Vec::new(),
            requests: Vec::new(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whether this goes wrong now; it will not a second time.
    pub(super) fn takes(&mut self, fault: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.faults.iter().position(fault)?;
        Some(self.faults.remove(at))
    }

    pub(super) fn log(&mut self, pod: &str) -> &mut Log {
        self.logs.entry(pod.to_owned()).or_default()
    }

    fn stamped(&mut self, object: &mut Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
    }

    /// Takes a Job in; its pod follows. Returns the Job and the pod's name, `None` if there is one of that name.
    pub(super) fn make_job(&mut self, mut job: Value) -> Option<(Value, Option<String>)> {
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.jobs.contains_key(&name) {
            return None;
        }
        self.serial += 1;
        job["metadata"]["namespace"] = NAMESPACE.into();
        job["metadata"]["uid"] = format!("uid-{}", self.serial).into();
        job["metadata"]["creationTimestamp"] = now().into();
        job["status"] = json!({});
        self.stamped(&mut job);
        self.jobs.insert(name.clone(), job.clone());
        if self.takes(|f| *f == Fault::NoPod).is_some() {
            return Some((job, None));
        }
        let pod_name = format!("{name}-p{}", self.serial);
        let template = &job["spec"]["template"];
        let mut pod = json!({
            "metadata": template["metadata"], "spec": template["spec"], "status": {"phase": "Pending"},
        });
        pod["metadata"]["name"] = pod_name.clone().into();
        pod["metadata"]["namespace"] = NAMESPACE.into();
        pod["metadata"]["creationTimestamp"] = now().into();
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": true,
        }]);
        pod["spec"]["nodeName"] = "node-1".into();
        self.put(&pod_name, pod, "ADDED");
        Some((job, Some(pod_name)))
    }

    fn put(&mut self, name: &str, mut pod: Value, what: &'static str) {
        self.stamped(&mut pod);
        self.history.push((self.version, what, pod.clone()));
        if what == "DELETED" {
            self.pods.remove(name);
        } else {
            self.pods.insert(name.to_owned(), pod);
        }
    }

    pub(super) fn set_status(&mut self, name: &str, status: &Value) {
        let Some(mut pod) = self.pods.get(name).cloned() else { return };
        pod["status"] = status.clone();
        let over = terminal(&pod);
        let job = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default().to_owned();
        let good = status["phase"] == "Succeeded";
        self.put(name, pod, "MODIFIED");
        if over {
            self.job_over(&job, good);
        }
    }

    fn job_over(&mut self, name: &str, good: bool) {
        let Some(mut job) = self.jobs.get(name).cloned() else { return };
        if job["status"]["conditions"].is_null() {
            let kind = if good { "Complete" } else { "Failed" };
            job["status"]["conditions"] = json!([{"type": kind, "status": "True"}]);
            self.stamped(&mut job);
            self.jobs.insert(name.to_owned(), job);
        }
    }

    /// The pod is not there any more.
    pub(super) fn drop_pod(&mut self, name: &str) {
        let Some(pod) = self.pods.get(name).cloned() else { return };
        let job = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default().to_owned();
        self.put(name, pod, "DELETED");
        // Who follows its log already still gets the end of it.
        self.log(name).end();
        self.ends.remove(name);
        self.job_over(&job, false);
        self.settle(&job);
    }

    /// A Job that is to go goes with its last pod.
    fn settle(&mut self, job: &str) {
        let going = self.jobs.get(job).is_some_and(|j| !j["metadata"]["deletionTimestamp"].is_null());
        if going && !self.pods.values().any(|p| p["metadata"]["ownerReferences"][0]["name"] == job) {
            self.jobs.remove(job);
        }
    }

    /// Somebody asks for a pod's end. Returns false if there is none.
    pub(super) fn end_pod(&mut self, name: &str, grace: u64) -> bool {
        let Some(mut pod) = self.pods.get(name).cloned() else { return false };
        // Like the real thing: a second request can shorten the grace, not lengthen it.
        let before = pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(u64::MAX);
        let grace = grace.min(before);
        pod["metadata"]["deletionTimestamp"] = now().into();
        pod["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        let over = terminal(&pod);
        let begun = !pod["status"]["containerStatuses"][0]["state"]["running"].is_null();
        self.put(name, pod, "MODIFIED");
        if over {
            self.drop_pod(name);
        } else if self.silent {
            return true;
        } else if let Some(end) = self.ends.get(name) {
            let _ = end.send(Duration::from_secs(grace));
        } else {
            if begun {
                self.log(name).end();
                self.set_status(name, &ended(143, "Error"));
            }
            self.drop_pod(name);
        }
        true
    }

    /// Somebody asks for a Job's removal, its pods first. Returns false if there is none.
    pub(super) fn end_job(&mut self, name: &str) -> bool {
        let Some(job) = self.jobs.get_mut(name) else { return false };
        job["metadata"]["deletionTimestamp"] = now().into();
        let grace = job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let own = |p: &&Value| p["metadata"]["ownerReferences"][0]["name"] == name;
        let pods: Vec<String> = self
            .pods
            .values()
            .filter(own)
            .filter_map(|p| p["metadata"]["name"].as_str().map(str::to_owned))
            .collect();
        for pod in pods {
            self.end_pod(&pod, grace);
        }
        self.settle(name);
        true
    }
}
