//! The wire, frozen: a real daemon beside a fake GitHub is asked on every route, through both doors, and its answers are held
//! to the contract by hand-written shapes and to what was frozen before.
//!
//! - `story`: what is asked, in order; `scribe`: asks and writes down; `plain`: takes out what is volatile.
//! - `shapes`: the contract; `frozen`: the files; `typed`: what the typed client makes of them.

use std::collections::BTreeSet;
use std::time::Duration;

mod frozen;
mod plain;
mod scribe;
mod shapes;
mod story;
mod typed;

const MAINTAINER: &str = "maintainer-token-of-the-tests";
const WORKER: &str = "worker-token-of-the-tests";
const BEN: &str = "bens-own-token-of-the-tests";
const SECRET: &str = "It's a Secret to Everybody";
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_it_did() {
    let cases = story::tell().await;
    let rows = dispatchd::api::routes::rows();
    let routes: BTreeSet<String> = rows.iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    let told: BTreeSet<String> = cases.keys().cloned().collect();
    let untold: Vec<_> = routes.difference(&told).collect();
    assert!(untold.is_empty(), "no case in the story asks on these routes: {untold:#?}");
    let unknown: Vec<_> = told.difference(&routes).collect();
    assert!(unknown.is_empty(), "the story asks on routes that are not there: {unknown:#?}");
    frozen::compare(cases);
}
