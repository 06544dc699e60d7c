//! The board's keys as they are in force, and what is wrong with the operator's settings.

use std::process::ExitCode;

use super::out::{Out, dim};
use super::{Failure, env};
use crate::keymap::TABLE;
use crate::settings::{self, Settings};

pub(super) fn keys(check: bool, out: &mut Out) -> Result<ExitCode, Failure> {
    let path = settings::path(env);
    let settings = Settings::load(&path);
    if !check {
        if out.json {
            let rows: Vec<_> = TABLE
                .iter()
                .map(|b| {
                    let keys: Vec<_> = settings.keys.keys(b.action).iter().map(|k| k.name()).collect();
                    serde_json::json!({ "name": b.name(), "keys": keys, "group": b.group, "help": b.help })
                })
                .collect();
            out.json(&rows)?;
        } else {
            let row = |b: &crate::keymap::Binding| {
                vec![b.name().into(), settings.keys.names(b.action).into(), dim(b.help)]
            };
            out.table(&["NAME", "KEYS", ""], TABLE.iter().map(row).collect(), "")?;
        }
    }
    if settings.complaints.is_empty() {
        if check {
            let there = if path.exists() { "makes sense" } else { "is not there, which is well" };
            out.line(format!("{} {there}", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let all = settings.complaints.join("\n  ");
    Err(Failure::Said(format!("{}:\n  {all}", path.display())))
}
