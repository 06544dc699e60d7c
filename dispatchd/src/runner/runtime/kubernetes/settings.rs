//! The `[runner.kubernetes]` section. It is read whether or not this build can use it, so that one configuration does for all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::runner::settings::Span;

/// Which cluster, where in it, and how the state directory gets there. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// The file that says how to reach it; else `KUBECONFIG`, `~/.kube/config`, or the pod that the daemon itself runs in.
    pub kubeconfig: Option<PathBuf>,
    /// The context in that file; else its current one.
    pub context: Option<String>,
    /// Where Jobs are made; else the context's, or the daemon's own.
    pub namespace: Option<String>,
    /// The volume claim that holds the state directory; must be named.
    pub volume_claim: String,
    /// Where the daemon has that claim mounted; else the state directory is the whole of it.
    pub volume_path: Option<PathBuf>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that a run puts up with.
    pub tolerations: Vec<Toleration>,
    /// Secrets with which a node pulls the image.
    pub image_pull_secrets: Vec<String>,
    /// The account that pods run under; its token is never given to them.
    pub service_account: Option<String>,
    /// The class of the container runtime, for a sandbox.
    pub runtime_class: Option<String>,
    /// The class of the pods' priority.
    pub priority_class: Option<String>,
    /// How long a pod may wait for a node and its image.
    pub start_timeout: Span,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            volume_claim: String::new(),
            volume_path: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            image_pull_secrets: Vec::new(),
            service_account: None,
            runtime_class: None,
            priority_class: None,
            start_timeout: Span(Duration::from_secs(600)),
        }
    }
}

/// A taint that is put up with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Toleration {
    /// Its key; every one if empty.
    pub key: Option<String>,
    /// Its value; any if absent.
    pub value: Option<String>,
    /// Its effect; every one if absent.
    pub effect: Option<String>,
}
