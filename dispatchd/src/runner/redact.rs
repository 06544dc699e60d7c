//! Takes secrets out of what a program says, before it is kept: the values that the run was given, and what has the shape of a
//! known token. Each byte of a secret becomes one `*`, so that the log stays as long as the engine's own, in which a
//! restarted daemon goes on at the byte that it has reached. What may be the beginning of a secret waits for more.

use crate::core::redact::SHAPES;

/// Shorter values are words, and masking them would break the text around them.
const LEAST: usize = 8;
/// No token is longer; a run of letters that is goes out.
const MOST: usize = 4 << 10;

/// Bytes that something begins with which is to be masked: most do not, and cost nothing.
#[derive(Clone)]
struct Firsts([u8; 256]);

impl Firsts {
    const SECRET: u8 = 1;
    const SHAPE: u8 = 2;

    fn add(&mut self, begins: &[u8], what: u8) {
        if let Some(first) = begins.first() {
            self.0[usize::from(*first)] |= what;
        }
    }

    fn of(&self, byte: u8) -> u8 {
        self.0[usize::from(byte)]
    }
}

impl Default for Firsts {
    fn default() -> Self {
        let mut firsts = Self([0; 256]);
        SHAPES.iter().for_each(|(start, _)| firsts.add(start.as_bytes(), Self::SHAPE));
        firsts
    }
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<Vec<u8>>,
    firsts: Firsts,
    held: Vec<u8>,
    /// The last byte that went out, for what may stand before a token.
    before: Option<u8>,
    /// The last byte that went out belonged to a token, which goes on.
    within: bool,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

/// How long the token is that `rest` begins with, by its shape.
fn token(rest: &[u8]) -> Option<usize> {
    let run = || rest.iter().take_while(|b| is_token(**b)).count();
    SHAPES
        .iter()
        .find(|(start, least)| rest.starts_with(start.as_bytes()) && run() >= start.len() + least)
        .map(|_| run())
}

impl Redactor {
    /// Hides these values from now on; those that are too short are no secrets.
    pub(super) fn hide(&mut self, secrets: impl IntoIterator<Item = String>) {
        self.secrets.extend(secrets.into_iter().map(String::into_bytes).filter(|s| s.len() >= LEAST));
        self.secrets.iter().for_each(|s| self.firsts.add(s, Firsts::SECRET));
        self.secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        self.secrets.dedup();
    }

    /// What can go out now that `bytes` have come.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let keep = self.unsure(&text);
        self.held = text.split_off(keep);
        self.mask(text)
    }

    /// The rest, once nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let text = std::mem::take(&mut self.held);
        let clean = self.mask(text);
        (self.before, self.within) = (None, false);
        clean
    }

    /// A text that is whole.
    pub(super) fn text(&self, text: &str) -> String {
        let (secrets, firsts) = (self.secrets.clone(), self.firsts.clone());
        let mut fresh = Self { secrets, firsts, ..Self::default() };
        String::from_utf8(fresh.mask(text.as_bytes().to_vec())).unwrap_or_default()
    }

    /// Where that begins of which more has to be seen.
    fn unsure(&self, text: &[u8]) -> usize {
        let mut keep = text.len();
        for secret in &self.secrets {
            let longest = secret.len().saturating_sub(1).min(text.len());
            if let Some(n) = (1..=longest).rev().find(|n| text.ends_with(&secret[..*n])) {
                keep = keep.min(text.len() - n);
            }
        }
        let run = text.iter().rev().take_while(|b| is_token(**b)).count();
        let from = text.len() - run;
        if run <= MOST {
            let may = |at: &usize| {
                let tail = &text[*at..];
                SHAPES.iter().any(|(s, _)| tail.starts_with(s.as_bytes()) || s.as_bytes().starts_with(tail))
            };
            keep = (from..text.len()).find(may).map_or(keep, |at| keep.min(at));
        }
        // A secret that ends beyond `keep` but begins before it must not be cut in two.
        for secret in &self.secrets {
            let first = keep.saturating_sub(secret.len() - 1);
            if let Some(at) = (first..keep).find(|at| text[*at..].starts_with(secret)) {
                keep = keep.min(at);
            }
        }
        keep
    }

    fn mask(&mut self, mut text: Vec<u8>) -> Vec<u8> {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let first = self.firsts.of(rest[0]);
            let open = || self.before.is_none_or(|b| !b.is_ascii_alphanumeric());
            let shape = first & Firsts::SHAPE != 0 && open();
            let secret = first & Firsts::SECRET != 0;
            if !shape && !secret && !self.within {
                self.before = Some(rest[0]);
                at += 1;
                continue;
            }
            let known = if secret { self.secrets.iter().find(|s| rest.starts_with(s)) } else { None };
            let known = known.map(Vec::len);
            let shaped = if shape { token(rest) } else { None };
            // A token longer than what is held at once goes on where it was cut.
            let on = if self.within { Some(rest.iter().take_while(|b| is_token(**b)).count()) } else { None };
            self.within = false;
            let n = known.into_iter().chain(shaped).chain(on).max().unwrap_or(0);
            self.before = Some(text[at + n.max(1) - 1]);
            text[at..at + n].fill(b'*');
            at += n.max(1);
            self.within = n > 0 && at == text.len() && shaped.or(on) == Some(n);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "correct-horse-battery";
    const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

    fn redactor() -> Redactor {
        let mut redactor = Redactor::default();
        redactor.hide([KEY.to_owned(), "short".to_owned()]);
        redactor
    }

    /// In pieces that end at each of `cuts`.
    fn through(text: &str, cuts: &[usize]) -> String {
        let (mut redactor, mut out, mut from) = (redactor(), Vec::new(), 0);
        for &cut in cuts {
            out.extend(redactor.push(&text.as_bytes()[from..cut]));
            from = cut;
        }
        out.extend(redactor.push(&text.as_bytes()[from..]));
        out.extend(redactor.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_are_masked_wherever_they_are_cut() {
        let text = format!("a {KEY} b {{\"key\":\"{TOKEN}\"}} short ghp_ é {KEY}{KEY}\nend {TOKEN}");
        let stars = |n: usize| "*".repeat(n);
        let clean = text.replace(KEY, &stars(KEY.len())).replace(TOKEN, &stars(TOKEN.len()));
        assert!(clean.contains("short ghp_ é"), "{clean}");
        for one in 0..=text.len() {
            assert_eq!(through(&text, &[one]), clean, "cut at {one}");
            let two = (one + 7).min(text.len());
            assert_eq!(through(&text, &[one, two]), clean, "cut at {one} and {two}");
        }
        let every: Vec<usize> = (1..text.len()).collect();
        assert_eq!(through(&text, &every), clean, "byte by byte");
    }

    #[test]
    fn what_can_be_no_secret_does_not_wait() {
        let mut redactor = redactor();
        assert_eq!(redactor.push(b"a line\n"), b"a line\n");
        // Ends with no letter that a token begins with.
        assert_eq!(redactor.push(b"half a row"), b"half a row");
        assert_eq!(redactor.push(b" corr"), b" ", "this may be the key");
        assert_eq!(redactor.push(b"ectly"), b"correctly");
    }

    #[test]
    fn a_long_run_of_letters_is_not_kept_back_for_ever() {
        let text = format!("sk-{}", "x".repeat(3 * MOST));
        let mut redactor = redactor();
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(1_000) {
            out.extend(redactor.push(piece));
            assert!(redactor.held.len() <= MOST, "{}", redactor.held.len());
        }
        out.extend(redactor.finish());
        assert_eq!(out, vec![b'*'; text.len()]);
    }
}
