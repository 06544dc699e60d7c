//! What a webhook of GitHub says: whether it is genuine, which repository it is about, and what of it speaks for work on a
//! pull request. A hint, never the truth: deliveries come in any order, late, or not at all.

pub mod hint;

use dispatch_shared::followup::FixType;
use dispatch_shared::protocol::followup::FeedbackItem;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::api::PullHint;
use crate::core::fix::health::Check;
use crate::core::fix::{News, pick, signal};
pub use crate::core::hint::Hint;
use crate::secret::Secret;

/// The most that is kept of one remark, in characters.
const TEXT_KEPT: usize = 4_000;

/// Whether `header` (`sha256=<hex>`) is the signature of `body`; compares in constant time.
#[must_use]
pub fn is_signed(secret: &Secret, body: &[u8], header: &str) -> bool {
    let Some(hex) = header.trim().strip_prefix("sha256=") else { return false };
    let Some(signature) = unhex(hex) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    (digits.len() == 64).then_some(())?;
    digits
        .chunks(2)
        .map(|pair| {
            let high = char::from(*pair.first()?).to_digit(16)?;
            let low = char::from(*pair.get(1)?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect()
}

/// The JSON of a delivery, sent bare or as the form field `payload`.
#[must_use]
pub fn payload(body: &[u8]) -> Option<Value> {
    if body.starts_with(b"payload=") {
        let field = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload")?.1;
        return serde_json::from_str(&field).ok();
    }
    serde_json::from_slice(body).ok()
}

fn text(value: &Value, path: &str) -> Option<String> {
    value.pointer(path)?.as_str().filter(|t| !t.is_empty()).map(ToOwned::to_owned)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_KEPT) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// `owner/name` of the repository that it is about, and the forge's number of it.
#[must_use]
pub fn repository(payload: &Value) -> (Option<String>, Option<u64>) {
    (text(payload, "/repository/full_name"), payload.pointer("/repository/id").and_then(Value::as_u64))
}

/// The pull requests that a delivery is about, by number or by their head: whatever it says, they are worth a look.
#[must_use]
pub fn touches(event: &str, payload: &Value) -> Vec<PullHint> {
    let number = |at: &str| payload.pointer(at).and_then(Value::as_u64);
    let listed = |at: &str| {
        let pulls = payload.pointer(at).and_then(Value::as_array).into_iter().flatten();
        pulls.filter_map(|p| p.get("number")?.as_u64()).collect::<Vec<_>>()
    };
    let head = |at: &str| text(payload, at).map(PullHint::Head);
    let mut found: Vec<PullHint> = match event {
        "issue_comment" => {
            number("/issue/number").filter(|_| payload.pointer("/issue/pull_request").is_some())
        }
        _ => number("/pull_request/number"),
    }
    .into_iter()
    .map(PullHint::Number)
    .collect();
    match event {
        "check_run" => {
            found.extend(listed("/check_run/pull_requests").into_iter().map(PullHint::Number));
            found.extend(head("/check_run/head_sha"));
        }
        "check_suite" | "workflow_run" | "workflow_job" => {
            found.extend(listed(&format!("/{event}/pull_requests")).into_iter().map(PullHint::Number));
            found.extend(head(&format!("/{event}/head_sha")));
        }
        "status" => found.extend(head("/sha")),
        _ => {}
    }
    found.dedup();
    found
}

/// Something that a delivery says about one pull request.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The pull request.
    pub pr: u64,
    /// Its author, if the payload tells.
    pub author: Option<String>,
    /// Its branch, if the payload tells.
    pub branch: Option<String>,
    /// Who said it; `None` for a check.
    pub speaker: Option<String>,
    /// What it comes to.
    pub news: News,
}

impl Said {
    /// Whether it is nothing but talk of the pull request's own side: its author, or one of `identities`.
    #[must_use]
    pub fn is_own(&self, author: &str, identities: &[String]) -> bool {
        self.speaker.as_deref().is_some_and(|speaker| {
            pick::is_identity(identities.iter().map(String::as_str).chain([author]), speaker)
        })
    }
}

/// What the delivery `event` says about pull requests of `repo`.
#[must_use]
pub fn said(event: &str, repo: &str, payload: &Value) -> Vec<Said> {
    let action = text(payload, "/action").unwrap_or_default();
    match (event, action.as_str()) {
        ("pull_request_review", "submitted") => review(repo, payload).into_iter().collect(),
        ("pull_request_review_comment", "created") => {
            remark(event, repo, payload, "/pull_request").into_iter().collect()
        }
        ("issue_comment", "created") if payload.pointer("/issue/pull_request").is_some() => {
            // A bot's comment under the pull request (coverage, previews) comes anew with each push and asks for nothing.
            let bot = text(payload, "/comment/user/type").is_some_and(|t| t == "Bot");
            remark(event, repo, payload, "/issue").filter(|_| !bot).into_iter().collect()
        }
        ("check_run", "completed") => check(repo, payload),
        _ => Vec::new(),
    }
}

fn about(payload: &Value, at: &str, news: News, speaker: Option<String>) -> Option<Said> {
    Some(Said {
        pr: payload.pointer(&format!("{at}/number"))?.as_u64()?,
        author: text(payload, &format!("{at}/user/login")),
        branch: text(payload, &format!("{at}/head/ref")),
        speaker,
        news,
    })
}

fn review(repo: &str, payload: &Value) -> Option<Said> {
    let state = text(payload, "/review/state")?.to_ascii_lowercase();
    let said = text(payload, "/review/body").unwrap_or_default();
    let asks = state == "changes_requested";
    if signal::is_own(&said) || !(asks || state == "commented" && !said.trim().is_empty()) {
        return None;
    }
    let pr = payload.pointer("/pull_request/number")?.as_u64()?;
    let id = payload.pointer("/review/id")?.as_u64()?;
    let speaker = text(payload, "/review/user/login");
    let news = News {
        keys: vec![signal::evidence_key("pull_request_review", repo, pr, &id.to_string())],
        fix_type: FixType::ReviewFeedback,
        reason: if asks { "changes are requested" } else { "a reviewer commented" }.into(),
        feedback: vec![FeedbackItem { author: speaker.clone(), ..FeedbackItem::text(cut(&said)) }],
        head: None,
    };
    about(payload, "/pull_request", news, speaker)
}

fn remark(event: &str, repo: &str, payload: &Value, at: &str) -> Option<Said> {
    let said = text(payload, "/comment/body")?;
    if signal::is_own(&said) {
        return None;
    }
    let pr = payload.pointer(&format!("{at}/number"))?.as_u64()?;
    let id = payload.pointer("/comment/id")?.as_u64()?;
    let speaker = text(payload, "/comment/user/login");
    let line = payload.pointer("/comment/line").and_then(Value::as_u64);
    let line = line.or_else(|| payload.pointer("/comment/original_line").and_then(Value::as_u64));
    let path = text(payload, "/comment/path");
    let news = News {
        keys: vec![signal::evidence_key(event, repo, pr, &id.to_string())],
        fix_type: FixType::ReviewFeedback,
        reason: if path.is_some() { "a reviewer commented on the code" } else { "somebody commented" }.into(),
        feedback: vec![FeedbackItem { author: speaker.clone(), path, line, text: cut(&said) }],
        head: None,
    };
    about(payload, at, news, speaker)
}

fn check(repo: &str, payload: &Value) -> Vec<Said> {
    let conclusion = text(payload, "/check_run/conclusion").unwrap_or_default();
    let Some(id) =
        payload.pointer("/check_run/id").and_then(Value::as_u64).filter(|_| signal::failed(&conclusion))
    else {
        return Vec::new();
    };
    let output =
        ["title", "summary", "text"].iter().filter_map(|f| text(payload, &format!("/check_run/output/{f}")));
    let check = Check {
        id: id.to_string(),
        name: text(payload, "/check_run/name").unwrap_or_else(|| "a check".into()),
        conclusion,
        text: Some(cut(&output.collect::<Vec<_>>().join("\n"))),
        job: None,
    };
    let head = text(payload, "/check_run/head_sha");
    let pulls = payload.pointer("/check_run/pull_requests").and_then(Value::as_array);
    pulls
        .into_iter()
        .flatten()
        .filter_map(|pull| {
            let pr = pull.get("number")?.as_u64()?;
            let key = signal::evidence_key("check_run", repo, pr, &check.id);
            let news = signal::of_check(key, &check, head.clone());
            Some(Said { pr, author: None, branch: text(pull, "/head/ref"), speaker: None, news })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_signature_of_githubs_documentation_holds() {
        let secret = Secret::new("It's a Secret to Everybody");
        let digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_signed(&secret, b"Hello, World!", &format!("sha256={digest}")));
        assert!(!is_signed(&secret, b"Hello, World?", &format!("sha256={digest}")), "another body");
        assert!(
            !is_signed(&Secret::new("x"), b"Hello, World!", &format!("sha256={digest}")),
            "another secret"
        );
        for wrong in ["", "sha256=", "sha1=00", digest, "sha256=zz", &format!("sha256={}", &digest[2..])] {
            assert!(!is_signed(&secret, b"Hello, World!", wrong), "{wrong}");
        }
    }

    #[test]
    fn remarks_carry_author_path_and_line() {
        let payload = json!({
            "action": "created",
            "comment": {"id": 7, "body": "Why?", "path": "src/a.rs", "line": null, "original_line": 12,
                "user": {"login": "ada", "type": "User"}},
            "pull_request": {"number": 4, "user": {"login": "kai[bot]"}, "head": {"ref": "fix/issue-1-x", "sha": "b"}},
        });
        let said = said("pull_request_review_comment", "Acme/Api", &payload);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].news.keys, ["pull_request_review_comment:acme/api#4:7"]);
        let item = &said[0].news.feedback[0];
        assert_eq!(
            (item.path.as_deref(), item.line, item.author.as_deref()),
            (Some("src/a.rs"), Some(12), Some("ada"))
        );
        assert_eq!(said[0].branch.as_deref(), Some("fix/issue-1-x"));
        assert!(!said[0].is_own("kai[bot]", &[]));
        assert!(said[0].is_own("Ada", &[]), "an author's own talk asks for nothing");
    }

    #[test]
    fn a_delivery_names_the_pull_requests_that_are_worth_a_look() {
        let (four, head) = (PullHint::Number(4), PullHint::Head("c".into()));
        let suite = json!({"head_sha": "c", "pull_requests": [{"number": 4}]});
        for (event, payload, found) in [
            ("pull_request", json!({"pull_request": {"number": 4}}), vec![four.clone()]),
            ("pull_request_review_thread", json!({"pull_request": {"number": 4}}), vec![four.clone()]),
            ("issue_comment", json!({"issue": {"number": 4, "pull_request": {}}}), vec![four.clone()]),
            ("issue_comment", json!({"issue": {"number": 4}}), vec![]),
            ("check_run", json!({"check_run": suite}), vec![four.clone(), head.clone()]),
            ("workflow_run", json!({"workflow_run": suite}), vec![four, head.clone()]),
            ("status", json!({"sha": "c"}), vec![head]),
            ("push", json!({"after": "c"}), vec![]),
        ] {
            assert_eq!(touches(event, &payload), found, "{event}");
        }
    }

    #[test]
    fn only_what_asks_for_work_is_heard() {
        let comment = |kind: &str, body: &str| {
            json!({"action": "created", "issue": {"number": 4, "pull_request": {}, "user": {"login": "kai"}},
                "comment": {"id": 1, "body": body, "user": {"login": "x", "type": kind}}})
        };
        assert_eq!(said("issue_comment", "a/b", &comment("User", "please")).len(), 1);
        assert!(said("issue_comment", "a/b", &comment("Bot", "coverage 80%")).is_empty());
        assert!(said("issue_comment", "a/b", &comment("User", "x <!-- dispatch:i-3 -->")).is_empty());
        let check = |conclusion: &str| {
            json!({"action": "completed", "check_run": {"id": 9, "name": "ci", "conclusion": conclusion,
                "head_sha": "c", "output": {"summary": "two failed"}, "pull_requests": [{"number": 4, "head": {"ref": "r"}}]}})
        };
        for bad in ["failure", "cancelled", "timed_out", "action_required"] {
            let said = said("check_run", "a/b", &check(bad));
            assert_eq!((said.len(), said[0].news.head.as_deref()), (1, Some("c")), "{bad}");
            assert!(said[0].news.feedback[0].text.contains("two failed"));
        }
        for fine in ["success", "neutral", "skipped", "stale"] {
            assert!(said("check_run", "a/b", &check(fine)).is_empty(), "{fine}");
        }
    }
}
