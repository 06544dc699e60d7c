//! The model's answer, validated: what it may not say is refused or left out, so that nothing in an issue's text can reach
//! further than a groomer may.

use dispatch_shared::protocol::grooming::{GroomAction, GroomerOutput};
use dispatch_shared::protocol::lanes::Confidence;
use serde::Deserialize;

use crate::core::policy::Policy;

/// The longest text that is taken from a model.
const TEXT_MAX: usize = 4_000;

#[derive(Debug, Deserialize)]
struct Raw {
    actionability: String,
    #[serde(default)]
    lane: Option<String>,
    #[serde(default)]
    confidence: Option<Confidence>,
    #[serde(default)]
    labels: Vec<String>,
    summary: String,
    #[serde(default)]
    reason: Option<String>,
}

/// Reads the content of an answer.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn read(content: &str, policy: &Policy, allowed: &[String]) -> Result<GroomerOutput, String> {
    let raw: Raw = serde_json::from_str(unfenced(content))
        .map_err(|e| format!("the model's answer is not the JSON that was asked for: {e}"))?;
    let action = match raw.actionability.as_str() {
        "ready" => GroomAction::PromoteToReady,
        "escalate" => GroomAction::Escalate,
        "not_ready" => GroomAction::MarkNotReady,
        "needs_info" => GroomAction::MarkNeedsInfo,
        "blocked" => GroomAction::MarkBlocked,
        other => return Err(format!("the model's answer has an unknown actionability `{}`", plain(other))),
    };
    let summary = plain(&raw.summary);
    if summary.is_empty() {
        return Err("the model's answer has an empty summary".to_owned());
    }
    let lane = match raw.lane.as_deref().map(str::trim).filter(|l| !l.is_empty()) {
        None => None,
        Some(text) => match policy.lane(text) {
            Some(lane) => Some(lane.id.clone()),
            None => {
                return Err(format!(
                    "the model's answer names the lane `{}`, which there is not",
                    plain(text)
                ));
            }
        },
    };
    let (labels, rejected_labels) = labels(&raw.labels, allowed);
    let reason = raw.reason.map(|r| plain(&r)).filter(|r| !r.is_empty());
    Ok(GroomerOutput {
        labels,
        rejected_labels,
        lane,
        confidence: raw.confidence.unwrap_or(Confidence::Low),
        summary,
        actionability: raw.actionability,
        action,
        reason,
    })
}

/// Some models fence their JSON though they were asked not to.
fn unfenced(content: &str) -> &str {
    let text = content.trim();
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|t| t.strip_suffix("```")).map_or(text, str::trim)
}

/// The allowed ones, as spelled in the list, the first of each `priority/` and `type/`; and the others.
fn labels(named: &[String], allowed: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut kept, mut rejected): (Vec<String>, Vec<String>) = Default::default();
    for label in named {
        let spelled = allowed.iter().find(|a| a.eq_ignore_ascii_case(label.trim()));
        let single = |l: &String| ["priority/", "type/"].into_iter().find(|p| l.starts_with(p));
        match spelled {
            Some(label) if kept.contains(label) => {}
            Some(label) if single(label).is_none_or(|p| !kept.iter().any(|k| k.starts_with(p))) => {
                kept.push(label.clone());
            }
            _ => rejected.push(plain(label).chars().take(60).collect()),
        }
    }
    rejected.truncate(20);
    (kept, rejected)
}

/// Text of a model as it may stand in a comment: it calls nobody, hides nothing, and is not endless.
fn plain(text: &str) -> String {
    let text: String = text.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(TEXT_MAX).collect();
    text.replace('@', "@\u{200b}").replace("<!--", "&lt;!--")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Vec<String> {
        ["priority/p1", "priority/p2", "type/bug", "area/core"].map(str::to_owned).to_vec()
    }

    fn said(content: &str) -> Result<GroomerOutput, String> {
        read(content, &Policy::default(), &allowed())
    }

    #[test]
    fn only_allowed_labels_and_configured_lanes_come_through() {
        let got = said(
            "```json\n{\"actionability\":\"ready\",\"lane\":\"gpt\",\"confidence\":\"high\",\"summary\":\"Ask @ada <!-- x -->\",
             \"labels\":[\"Type/Bug\",\"priority/p2\",\"priority/p1\",\"status/done\",\"deploy\",\"type/bug\"]}\n```",
        )
        .unwrap();
        assert_eq!(got.labels, ["type/bug", "priority/p2"]);
        assert_eq!(got.rejected_labels, ["priority/p1", "status/done", "deploy"]);
        assert_eq!(got.lane.as_deref(), Some("frontier"));
        assert!(!got.summary.contains("@ada") && !got.summary.contains("<!--"), "{}", got.summary);
        let lane = said(r#"{"actionability":"ready","lane":"warp","summary":"s"}"#).unwrap_err();
        assert!(lane.contains("warp"), "{lane}");
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        for bad in [
            "",
            "Sure! Here it is.",
            "[]",
            r#"{"actionability":"merge","summary":"s"}"#,
            r#"{"actionability":"ready","summary":" "}"#,
            r#"{"actionability":"ready","summary":"s","labels":"bug"}"#,
        ] {
            assert!(said(bad).is_err(), "{bad}");
        }
    }
}
