//! Waiting for something to become of a run's pod: it is looked at once, then watched. A watch that has grown too old, was cut, or
//! ended in its time begins anew with a look; a cluster that does not answer is waited for.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use tokio::time::Instant;

use super::link::{Link, Trouble, call};

/// A watch is ended by the server after so long.
const WATCH: Duration = Duration::from_secs(290);
/// A Job without a pod is looked at again after so long, and ever more rarely.
const UNMADE: Duration = Duration::from_secs(2);
const FIRST: Duration = Duration::from_millis(100);

/// Whose pod.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The Job's name.
    pub(super) name: String,
    /// The labels of its pod.
    pub(super) selector: String,
}

/// What there is to see.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look<'a> {
    /// Neither Job nor pod, or a Job that is over and whose pod somebody took away.
    Gone,
    /// A Job whose pod is not made yet.
    Unmade,
    /// The pod.
    Pod(&'a Pod),
}

/// Whether the Job has run its course.
pub(super) fn over(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

/// The newest of several: there is one at most, unless somebody tampers.
pub(super) fn newest(pods: Vec<Pod>) -> Option<Pod> {
    pods.into_iter().max_by_key(|p| p.metadata.creation_timestamp.clone())
}

/// Waits until `look` finds something. It is asked whenever there is news, and once when `late` has passed, of which it is then
/// told.
pub(super) async fn until<T>(
    link: &Link,
    target: &Target,
    late: Option<Instant>,
    mut look: impl FnMut(Look<'_>, bool) -> Option<T>,
) -> T {
    let mut pause = FIRST;
    loop {
        let began = Instant::now();
        match round(link, target, late, &mut look).await {
            Ok(Some(found)) => return found,
            Ok(None) => {}
            Err(trouble) => tracing::warn!(why = trouble.words, job = target.name, "a pod cannot be watched"),
        }
        pause = if began.elapsed() > Duration::from_secs(5) { FIRST } else { pause };
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// One look and one watch.
async fn round<T>(
    link: &Link,
    target: &Target,
    late: Option<Instant>,
    look: &mut impl FnMut(Look<'_>, bool) -> Option<T>,
) -> Result<Option<T>, Trouble> {
    let list = ListParams::default().labels(&target.selector);
    let listed = call("looking for a pod", link.pods.list(&list)).await?;
    let version = listed.metadata.resource_version.clone().unwrap_or_else(|| "0".into());
    let mut pod = newest(listed.items);
    let mut gone = false;
    if pod.is_none() {
        let job = call("looking at a job", link.jobs.get_opt(&target.name)).await?;
        gone = job.as_ref().is_none_or(over);
    }
    let mut told = late.is_some_and(|at| at <= Instant::now());
    let shown = |pod: &Option<Pod>, told: bool, look: &mut dyn FnMut(Look<'_>, bool) -> Option<T>| match pod {
        Some(pod) => look(Look::Pod(pod), told),
        None if gone => look(Look::Gone, told),
        None => look(Look::Unmade, told),
    };
    if let Some(found) = shown(&pod, told, look) {
        return Ok(Some(found));
    }
    // Nothing can come of what is not there.
    if gone {
        return Ok(None);
    }
    let params = WatchParams::default().labels(&target.selector).timeout(WATCH.as_secs() as u32);
    let events = call("watching a pod", link.pods.watch(&params, &version)).await?;
    let mut events = pin!(events);
    // The end of a Job that has no pod would go unseen here.
    let end = Instant::now() + if pod.is_some() { WATCH + Duration::from_secs(30) } else { UNMADE };
    loop {
        let next = tokio::select! {
            next = events.next() => next,
            () = tokio::time::sleep_until(late.unwrap_or(end)), if late.is_some() && !told => {
                told = true;
                if let Some(found) = shown(&pod, told, look) {
                    return Ok(Some(found));
                }
                continue;
            }
            // Also where a connection died without a word.
            () = tokio::time::sleep_until(end) => return Ok(None),
        };
        match next {
            Some(Ok(WatchEvent::Added(new) | WatchEvent::Modified(new))) => {
                pod = newest(pod.into_iter().chain([new]).collect());
                if let Some(found) = shown(&pod, told, look) {
                    return Ok(Some(found));
                }
            }
            // Its last words count; then it is asked what there is without it.
            Some(Ok(WatchEvent::Deleted(last))) => return Ok(look(Look::Pod(&last), told)),
            Some(Ok(WatchEvent::Bookmark(_))) => {}
            Some(Ok(WatchEvent::Error(status))) if status.code == 410 => return Ok(None),
            Some(Ok(WatchEvent::Error(status))) => {
                return Err(Trouble::of("watching a pod", &kube::Error::Api(status)));
            }
            Some(Err(error)) => return Err(Trouble::of("watching a pod", &error)),
            None => return Ok(None),
        }
    }
}
