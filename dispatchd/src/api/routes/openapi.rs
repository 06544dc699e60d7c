//! `/api/openapi.json` and `/api/schema/task.json`: the API described for machines.

use std::sync::LazyLock;

use serde_json::Value;

use crate::api::extract::Json;
use crate::api::openapi;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&super::rows()));
static TASK: LazyLock<Value> = LazyLock::new(openapi::task_schema);

pub(super) async fn document() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

pub(super) async fn task() -> Json<&'static Value> {
    Json(&TASK)
}
