//! Makes plain what differs from run to run: times, commits, fences, addresses, directories. What stands in its place is
//! still of its kind, so that the types of the protocol read it.

use serde_json::{Value, json};

const TIME: &str = "2026-01-02T03:04:05.000Z";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) struct Plain {
    replaced: Vec<(String, &'static str)>,
}

impl Plain {
    pub(super) fn new(forge: &str, place: &str) -> Self {
        let forge = forge.trim_end_matches('/').to_owned();
        Self { replaced: vec![(forge, "http://forge.example"), (place.to_owned(), "/place")] }
    }

    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if is_day(text) => json!(&TIME[..10]),
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(all) => all.iter().map(|v| self.value(v)).collect(),
            Value::Object(fields) => {
                // Whether the forge has been told already depends on the moment.
                let fields = fields.iter().filter(|(name, _)| *name != "statusNote");
                let plain = fields.map(|(name, v)| (name.clone(), self.field(name, v)));
                Value::Object(plain.collect())
            }
            other => other.clone(),
        }
    }

    fn field(&self, name: &str, value: &Value) -> Value {
        match (name, value) {
            ("attempt" | "pid" | "requests" | "points" | "items" | "remaining" | "seq", Value::Number(_)) => {
                json!(1)
            }
            // A program's last words may come with its end.
            ("write" | "lastEvent" | "lastOutputAt", _) => Value::Null,
            // Repositories are read at once: who comes first has the smaller number.
            ("syncRunId", Value::String(_)) => json!("s-1"),
            ("id", Value::String(id)) if id.strip_prefix("e-").is_some_and(|n| n.parse::<u64>().is_ok()) => {
                json!("e-1")
            }
            // How often it was read by then, and what happened within one second, depends on the moment.
            ("syncRuns", Value::Array(all)) => all.iter().take(1).map(|v| self.value(v)).collect(),
            ("recentEvents", Value::Array(all)) => {
                let first = all.iter().find(|e| e["type"] == "sync_completed");
                first.into_iter().map(|v| self.value(v)).collect()
            }
            ("writesPending", _) => json!(0),
            ("version", Value::String(_)) => json!("0.0.0"),
            ("container", Value::String(_)) => json!("container"),
            // It shows commits and is marked by what it holds; what prompts say is frozen where they are made.
            ("prompt", Value::String(text)) => json!(text.lines().next()),
            ("listen", Value::String(_)) => json!("127.0.0.1:1"),
            _ => self.value(value),
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut plain = text.to_owned();
        for (volatile, stead) in &self.replaced {
            plain = plain.replace(volatile.as_str(), stead);
        }
        shas(&times(&plain))
    }
}

/// Whether it is `2026-11-20` and nothing else.
fn is_day(text: &str) -> bool {
    let pattern = b"0000-00-00";
    text.len() == pattern.len()
        && pattern
            .iter()
            .zip(text.bytes())
            .all(|(p, b)| if *p == b'0' { b.is_ascii_digit() } else { *p == b })
}

/// Replaces every `2026-11-20T10:00:00Z`, with or without fractions.
fn times(text: &str) -> String {
    let pattern = b"0000-00-00T00:00:00";
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let fits = bytes.len() > pattern.len()
            && pattern.iter().zip(bytes).all(|(p, b)| if *p == b'0' { b.is_ascii_digit() } else { p == b });
        let end = fits.then(|| {
            let tail = &bytes[pattern.len()..];
            let fraction = tail.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
            (tail.get(fraction) == Some(&b'Z')).then_some(pattern.len() + fraction + 1)
        });
        if let Some(end) = end.flatten() {
            out.push_str(TIME);
            rest = &rest[end..];
        } else {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..next]);
            rest = &rest[next..];
        }
    }
    out
}

/// Replaces every run of exactly forty hexadecimal digits.
fn shas(text: &str) -> String {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if hex(c) {
            word.push(c);
            continue;
        }
        out.push_str(if word.len() == 40 { SHA } else { &word });
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[test]
fn what_is_volatile_is_found_inside_sentences_too() {
    let plain = Plain::new("http://127.0.0.1:4711/", "/tmp/dt0");
    let sha = "f".repeat(40);
    let said =
        format!("held until 2026-11-20T10:00:00.123Z at {sha}, see http://127.0.0.1:4711/a and /tmp/dt0/x");
    let expected = format!("held until {TIME} at {SHA}, see http://forge.example/a and /place/x");
    assert_eq!(plain.text(&said), expected);
    let fields = json!({"attempt": 7, "at": "2026-11-20T10:00:00Z", "day": "2026-11-20", "number": 7});
    assert_eq!(plain.value(&fields), json!({"attempt": 1, "at": TIME, "day": "2026-01-02", "number": 7}));
}
