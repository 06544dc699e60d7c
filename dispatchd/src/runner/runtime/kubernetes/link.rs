//! The way to the cluster: who it is, what may be done there, and its refusals in words.

use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::Cluster;
use crate::edges::RuntimeError;

/// How long a call may take.
pub(super) const CALL: Duration = Duration::from_secs(60);
/// How long a followed log may be silent before the connection is made anew: nobody else notices that one is dead.
const SILENCE: Duration = Duration::from_secs(300);
/// What the daemon does there: group, resource, subresource, verb.
const RIGHTS: [(&str, &str, &str, &str); 8] = [
    ("batch", "jobs", "", "create"),
    ("batch", "jobs", "", "get"),
    ("batch", "jobs", "", "list"),
    ("batch", "jobs", "", "delete"),
    ("", "pods", "", "list"),
    ("", "pods", "", "watch"),
    ("", "pods", "", "delete"),
    ("", "pods", "log", "get"),
];

/// Why the cluster did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Its status; 0 if there was no answer.
    pub(super) code: u16,
    /// In words, with what was being done.
    pub(super) words: String,
}

impl From<Trouble> for RuntimeError {
    fn from(trouble: Trouble) -> Self {
        RuntimeError(trouble.words)
    }
}

impl Trouble {
    /// What `error` means for somebody who was `doing` something.
    pub(super) fn of(doing: &str, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self {
                code: 0,
                words: format!("{doing}: the cluster cannot be reached: {}", cause(error)),
            };
        };
        let message = status.message.trim();
        let words = match status.code {
            401 => format!(
                "{doing}: the cluster does not know this credential ({message}): renew it in the kubeconfig, or name another \
                 with runner.kubernetes.context"
            ),
            403 => format!(
                "{doing}: it is not allowed ({message}): bind the role of assets/kubernetes/role.yaml"
            ),
            code => format!("{doing}: {message} ({code})"),
        };
        Self { code: status.code, words }
    }

    fn late(doing: &str) -> Self {
        Self { code: 0, words: format!("{doing}: the cluster did not answer within {} s", CALL.as_secs()) }
    }
}

/// The innermost reason: the outer ones name libraries.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// [`Trouble`], also where none came.
pub(super) async fn call<T>(
    doing: &str,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(CALL, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Trouble::of(doing, &error)),
        Err(_) => Err(Trouble::late(doing)),
    }
}

/// An open way to one namespace of a cluster.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    /// Where Jobs are made.
    pub(super) namespace: String,
    pub(super) jobs: Api<Job>,
    pub(super) pods: Api<Pod>,
}

impl Link {
    /// Reads how the cluster is reached. Nothing is asked of it yet.
    ///
    /// # Errors
    /// A sentence, if there is no way to a cluster.
    pub(super) async fn open(cluster: &Cluster) -> Result<Self, RuntimeError> {
        let mut config = config(cluster).await?;
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        let namespace = cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)
            .map_err(|e| RuntimeError(format!("the way to the cluster cannot be used: {}", cause(&e))))?;
        let jobs = Api::namespaced(client.clone(), &namespace);
        let pods = Api::namespaced(client.clone(), &namespace);
        Ok(Self { client, namespace, jobs, pods })
    }

    /// Whether the cluster answers and lets the daemon do all that it has to.
    ///
    /// # Errors
    /// What is missing, all of it at once.
    pub(super) async fn usable(&self) -> Result<(), RuntimeError> {
        call("asking the cluster for its version", self.client.apiserver_version()).await?;
        let asked = join_all(RIGHTS.map(|right| self.may(right))).await;
        let missing: Vec<String> = asked.into_iter().flatten().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(RuntimeError(format!(
            "in the namespace `{}` this credential may not {}: bind the role of assets/kubernetes/role.yaml",
            self.namespace,
            missing.join(", ")
        )))
    }

    /// What may not be done; `None` if it may, or nobody can tell.
    async fn may(&self, (group, resource, subresource, verb): (&str, &str, &str, &str)) -> Option<String> {
        let attributes = ResourceAttributes {
            group: Some(group.into()),
            namespace: Some(self.namespace.clone()),
            resource: Some(resource.into()),
            subresource: Some(subresource.to_owned()).filter(|s| !s.is_empty()),
            verb: Some(verb.into()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews = Api::<SelfSubjectAccessReview>::all(self.client.clone());
        let answer =
            call("asking what is allowed", reviews.create(&PostParams::default(), &review)).await.ok()?;
        let slash = if subresource.is_empty() { "" } else { "/" };
        (!answer.status?.allowed).then(|| format!("{verb} {resource}{slash}{subresource}"))
    }

    /// Whether the claim can hold the state directory.
    ///
    /// # Errors
    /// What is the matter with it. Whoever may not look at claims is told when a pod does not start.
    pub(super) async fn claim(&self, name: &str) -> Result<(), RuntimeError> {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), &self.namespace);
        let found = match call("looking at runner.kubernetes.volume_claim", claims.get_opt(name)).await {
            Err(Trouble { code: 403, .. }) => return Ok(()),
            found => found?,
        };
        let phase = match &found {
            None => {
                return Err(RuntimeError(format!(
                    "runner.kubernetes.volume_claim: the namespace `{}` has no claim `{name}`: make it, and mount it where \
                     the daemon keeps its state",
                    self.namespace
                )));
            }
            Some(claim) => claim.status.as_ref().and_then(|s| s.phase.as_deref()),
        };
        match phase {
            Some("Lost") => Err(RuntimeError(format!(
                "runner.kubernetes.volume_claim: the volume of `{name}` is lost: restore it, or name another claim"
            ))),
            _ => Ok(()),
        }
    }

    /// The last complaint about an object, if the cluster tells.
    pub(super) async fn complaint(&self, kind: &str, name: &str) -> Option<String> {
        let events = Api::<Event>::namespaced(self.client.clone(), &self.namespace);
        let about = ListParams::default()
            .fields(&format!("involvedObject.kind={kind},involvedObject.name={name},type=Warning"));
        let list = call("asking for events", events.list(&about)).await.ok()?;
        let last = list.items.into_iter().max_by_key(|e| e.last_timestamp.clone().map(|t| t.0))?;
        last.message.filter(|m| !m.is_empty())
    }
}

async fn config(cluster: &Cluster) -> Result<Config, RuntimeError> {
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    let why = |e: &dyn std::error::Error| cause(e);
    if let Some(path) = &cluster.kubeconfig {
        let wrong = |e: &dyn std::error::Error| {
            RuntimeError(format!("runner.kubernetes.kubeconfig: {}: {}", path.display(), why(e)))
        };
        let read = Kubeconfig::read_from(path).map_err(|e| wrong(&e))?;
        return Config::from_custom_kubeconfig(read, &options).await.map_err(|e| wrong(&e));
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        Err(e) if cluster.context.is_some() => {
            Err(RuntimeError(format!("runner.kubernetes.context: {}", why(&e))))
        }
        Err(e) => Config::incluster().map_err(|inside| {
            RuntimeError(format!(
                "no way to a cluster: {}, and the daemon runs in no pod ({}): name a file with runner.kubernetes.kubeconfig",
                why(&e),
                why(&inside)
            ))
        }),
    }
}
