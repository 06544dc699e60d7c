//! Takes secrets out of text that came from elsewhere, before it is kept or shown: those that are known by name of their
//! owner, and those that give themselves away by their shape. What goes through here may still hold a secret of a shape
//! that nobody has seen; it is the last line, not the first.

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Shorter ones would mask half of every text.
const LEAST: usize = 6;

/// How a token begins, and how many characters of its alphabet follow at least.
pub const SHAPES: [(&str, usize); 19] = [
    ("github_pat_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("glpat-", 20),
    ("sk-", 20),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xapp-", 10),
    ("npm_", 30),
    ("pypi-", 30),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("eyJ", 40),
];

/// `line` without `secrets` and without what looks like one.
#[must_use]
pub fn redact(line: &str, secrets: &[&str]) -> String {
    let mut text = line.to_owned();
    for secret in secrets.iter().filter(|s| s.len() >= LEAST) {
        if text.contains(secret) {
            text = text.replace(secret, MASK);
        }
    }
    without_credentials_in_addresses(&without_headers(&without_shapes(&text)))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn without_shapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    'text: while !rest.is_empty() {
        let before = kept.chars().next_back();
        if before.is_none_or(|c| !c.is_ascii_alphanumeric()) {
            for (start, least) in SHAPES {
                let Some(tail) = rest.strip_prefix(start) else { continue };
                let length = tail.find(|c| !is_token(c)).unwrap_or(tail.len());
                if length >= least {
                    kept.push_str(MASK);
                    rest = &tail[length..];
                    continue 'text;
                }
            }
        }
        let Some(c) = rest.chars().next() else { break };
        kept.push(c);
        rest = &rest[c.len_utf8()..];
    }
    kept
}

/// `Authorization: Bearer x`, `authorization: basic x`, `token x`.
fn without_headers(text: &str) -> String {
    let folded = text.to_ascii_lowercase();
    let Some(at) = folded.find("authorization") else { return text.to_owned() };
    let after = &folded[at..];
    let Some((scheme, word)) = ["bearer ", "basic ", "token "]
        .iter()
        .filter_map(|w| Some((after.find(w)?, *w)))
        .min_by_key(|(found, _)| *found)
    else {
        return text.to_owned();
    };
    let start = at + scheme + word.len();
    let end = text[start..].find([' ', '"', '\'']).map_or(text.len(), |e| start + e);
    format!("{}{MASK}{}", &text[..start], &text[end..])
}

/// `https://user:secret@host` keeps the host alone.
fn without_credentials_in_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        kept.push_str(head);
        let end =
            tail.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(tail.len());
        match tail[..end].rfind('@') {
            Some(sign) => {
                kept.push_str(MASK);
                rest = &tail[sign..];
            }
            None => rest = tail,
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_by_name_and_by_shape() {
        let own = ["s3cret-webhook", "short"];
        for (line, clean) in [
            ("key s3cret-webhook!", "key ***!"),
            ("short stays", "short stays"),
            ("using ghp_0123456789abcdefghijABCDEFGHIJ012345 now", "using *** now"),
            ("GH=github_pat_11ABCDEFG0123456789_abcdefghij", "GH=***"),
            ("OPENAI_API_KEY=sk-proj-0123456789abcdefghij", "OPENAI_API_KEY=***"),
            ("task-sk-all is a name", "task-sk-all is a name"),
            ("id AKIAIOSFODNN7EXAMPLE.", "id ***"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig", "***"),
            ("> Authorization: Bearer abc.def", "> Authorization: Bearer ***"),
            ("-H 'authorization: basic dXNlcjpwYXNz' x", "-H 'authorization: basic ***' x"),
            ("clone https://x-access-token:hunter22@github.com/a/b", "clone https://***@github.com/a/b"),
            ("see https://example.com/a@b", "see https://example.com/a@b"),
            ("ghp_ alone, eyJ alone, Ünïcode", "ghp_ alone, eyJ alone, Ünïcode"),
        ] {
            assert_eq!(redact(line, &own), clean, "{line}");
        }
    }
}
