//! A cluster as an engine: one Job a run, whose only pod is never made again. State stays where the daemon is: checkout, home,
//! prompt and the mirror's objects reach the pod through a volume claim that daemon and pod share, each mounted at the path
//! that it has for the daemon, and nothing else of the claim.
//!
//! What follows from that:
//!
//! - The names that a run is passed travel in a file of its home, which the pod's entry reads and removes. So no credential of
//!   a model lies in the cluster's own store, and the daemon needs no right to write secrets.
//! - A Job's own deadline would remove the pod, and with it log and exit code; the deadline here is the pod's, which keeps them.
//! - Death is believed only from the node. A pod is never removed by force: where its node does not answer, that is said.
//! - Nothing is looked at in intervals: pods are watched, logs followed; a watch that is too old, or cut, begins anew.
//! - A log has no byte offsets in the API, and a node throws its beginning away; how offsets are found again says [`log`].
//!
//! Deliberately absent: `runner.network`, GPUs, the way to the host, and a limit on processes. Those are the cluster's.
//!
//! Not proven yet: a real cluster. All of this was run against an API server in memory that does what the documentation and the
//! sources of Kubernetes 1.33 say. What only a real one can show is TLS and the ways to log in, what an admission webhook or a pod
//! security standard makes of these pods, a claim's storage under the daemon's database and the mirror, and a kubelet's own
//! timing: rotation of logs, eviction, the loss of a node.

mod settings;

#[cfg(not(feature = "kubernetes"))]
mod absent;
#[cfg(feature = "kubernetes")]
mod engine;
#[cfg(feature = "kubernetes")]
mod job;
#[cfg(feature = "kubernetes")]
mod link;
#[cfg(feature = "kubernetes")]
mod log;
#[cfg(feature = "kubernetes")]
mod marks;
#[cfg(feature = "kubernetes")]
mod pod;
#[cfg(feature = "kubernetes")]
mod stamps;
#[cfg(feature = "kubernetes")]
mod watch;

#[cfg(not(feature = "kubernetes"))]
pub(super) use self::absent::Kubernetes;
#[cfg(feature = "kubernetes")]
pub(super) use self::engine::Kubernetes;
pub use self::settings::{Cluster, Toleration};
