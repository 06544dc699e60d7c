//! What has to be closed first: read from an issue's text, or listed by the forge itself ([`super::waits`]), looked up in the
//! world.

use std::collections::BTreeSet;
use std::fmt;

use dispatch_shared::followup::PullState;
use dispatch_shared::id::RepoName;
use dispatch_shared::issue::IssueState;
use serde::{Deserialize, Serialize};

use super::record::{Card, CardKey};
use super::world::World;

/// How far a chain of blockers is followed when looking for a cycle.
const FAR: usize = 1_000;

/// An issue that a text names as a blocker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blocker {
    /// `owner/name`; none is the same repository.
    pub repo: Option<RepoName>,
    /// Its number.
    pub number: u64,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repo {
            Some(repo) => write!(f, "{repo}#{}", self.number),
            None => write!(f, "#{}", self.number),
        }
    }
}

/// The issues that `body` says come first: `blocked by #n`, `depends on owner/repo#n` or the address of an issue, several
/// of them in a row or as a list. Code says nothing, nor does `not blocked by`.
#[must_use]
pub fn read(body: &str) -> Vec<Blocker> {
    let text = without_code(body);
    let folded = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for phrase in ["blocked by", "depends on"] {
        for (at, _) in folded.match_indices(phrase) {
            let (before, after) = (&folded[..at], &text[at + phrase.len()..]);
            let denied = ["not", "longer", "never"]
                .iter()
                .any(|no| before.split_whitespace().next_back() == Some(no) && before.ends_with(' '));
            if denied || before.ends_with(char::is_alphanumeric) {
                continue;
            }
            let words = after.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
            let glue = |w: &&str| {
                matches!(
                    w.to_ascii_lowercase().as_str(),
                    "and" | "-" | "*" | "+" | ":" | "[" | "]" | "[x]" | "[ ]"
                )
            };
            for word in words.filter(|w| !glue(w)) {
                let Some(blocker) = reference(word) else { break };
                if !found.contains(&blocker) {
                    found.push(blocker);
                }
            }
        }
    }
    found
}

/// The text without fenced blocks and code in a line.
fn without_code(body: &str) -> String {
    let (mut kept, mut fence) = (String::with_capacity(body.len()), None::<&str>);
    for line in body.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let code = line.matches('`').count() >= 2;
                let parts = line.split('`').enumerate().filter(|(n, _)| !code || n % 2 == 0);
                kept.extend(parts.map(|(_, part)| part));
                kept.push('\n');
            }
        }
    }
    kept
}

/// `#4`, `owner/repo#4`, or `https://…/owner/repo/issues/4`.
fn reference(word: &str) -> Option<Blocker> {
    let word = word.trim_start_matches([':', '(', '<']).trim_end_matches(['.', ';', ')', '>', '!', ':']);
    if let Some(address) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) {
        let path: Vec<&str> = address.split(['?', '#']).next()?.trim_end_matches('/').split('/').collect();
        let [.., owner, repo, "issues" | "pull", number] = path.as_slice() else { return None };
        let repo = format!("{owner}/{repo}").parse().ok()?;
        return Some(Blocker { repo: Some(repo), number: number.parse().ok()? });
    }
    let (repo, number) = word.split_once('#')?;
    let repo = if repo.is_empty() { None } else { Some(repo.parse().ok()?) };
    Some(Blocker { repo, number: number.parse().ok()? })
}

/// How a blocker stands.
enum Stands {
    Open(CardKey),
    /// Open by the forge's word, where nothing is tracked.
    Elsewhere,
    Closed,
    Unknown,
}

/// A blocker, and whether it was open when the forge last listed it, if it did.
struct Named {
    blocker: Blocker,
    said: Option<bool>,
}

fn stands(world: &World, card: &Card, named: &Named) -> Stands {
    let tracked = named.blocker.repo.as_ref().map(|name| world.repo_named(name));
    let repo = match tracked {
        None => card.key.repo.clone(),
        Some(Some(repo)) => repo.key.clone(),
        Some(None) => {
            return match named.said {
                Some(true) => Stands::Elsewhere,
                Some(false) => Stands::Closed,
                None => Stands::Unknown,
            };
        }
    };
    let key = CardKey { repo, number: named.blocker.number };
    if key == card.key {
        return Stands::Closed;
    }
    if let Some(found) = world.cards.get(&key) {
        let open = found.state == IssueState::Open && !found.gone;
        return if open { Stands::Open(key) } else { Stands::Closed };
    }
    if let Some(pull) = world.pulls.get(&(key.repo.clone(), key.number)) {
        return if pull.seen.state == PullState::Open { Stands::Open(key) } else { Stands::Closed };
    }
    // In a repository that is read whole, what is not there is not open, unless the forge has just said so.
    if named.said == Some(true) { Stands::Elsewhere } else { Stands::Closed }
}

/// Whether nothing that `card` waits for is open.
#[must_use]
pub fn clear(world: &World, card: &Card) -> bool {
    card.waits.unlisted().is_none()
        && all(world, card).iter().all(|named| matches!(stands(world, card, named), Stands::Closed))
}

/// What the text names and the forge lists, each once.
fn all(world: &World, card: &Card) -> Vec<Named> {
    let here = card.blocked_by.iter().map(|number| Blocker { repo: None, number: *number });
    let texts = here.chain(card.blocked_elsewhere.iter().cloned());
    let mut all: Vec<Named> = texts.map(|blocker| Named { blocker, said: None }).collect();
    if card.waits.known.is_empty() {
        return all;
    }
    let home = world.repos.get(&card.key.repo).map(|repo| repo.name.folded());
    let place =
        |b: &Blocker| (b.repo.as_ref().map(RepoName::folded).filter(|r| Some(r) != home.as_ref()), b.number);
    for seen in &card.waits.known {
        let mut blocker = Blocker { repo: Some(seen.repo.clone()), number: seen.number };
        if place(&blocker).0.is_none() {
            blocker.repo = None;
        }
        match all.iter_mut().find(|named| place(&named.blocker) == place(&blocker)) {
            Some(named) => named.said = Some(seen.open),
            None => all.push(Named { blocker, said: Some(seen.open) }),
        }
    }
    all
}

/// What blocks `card`, in words; empty if nothing does.
#[must_use]
pub fn words(world: &World, card: &Card) -> String {
    let say = |named: Named| {
        let blocker = &named.blocker;
        match stands(world, card, &named) {
            Stands::Closed => None,
            Stands::Unknown => {
                Some(format!("{blocker} is in a repository that is not tracked, so it counts as open"))
            }
            Stands::Open(key) if waits_for(world, &key, &card.key) => {
                Some(format!("{blocker} is open, and waits for this one in turn: a cycle"))
            }
            Stands::Open(_) | Stands::Elsewhere => Some(format!("{blocker} is open")),
        }
    };
    let named = all(world, card).into_iter().filter_map(say);
    named.chain(card.waits.unlisted()).collect::<Vec<_>>().join(", ")
}

/// Whether `card` waits for `other`, over any number of steps.
fn waits_for(world: &World, card: &CardKey, other: &CardKey) -> bool {
    let (mut todo, mut seen) = (vec![card.clone()], BTreeSet::new());
    while let Some(key) = todo.pop().filter(|_| seen.len() < FAR) {
        let Some(card) = world.cards.get(&key).filter(|_| seen.insert(key)) else { continue };
        for named in all(world, card) {
            if let Stands::Open(next) = stands(world, card, &named) {
                if next == *other {
                    return true;
                }
                todo.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Vec<String> {
        read(body).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn blockers_are_read_from_the_text() {
        assert_eq!(
            found("Blocked by #3.\nDepends on: #4, #5 and #6\ndepends on nothing #9"),
            ["#3", "#4", "#5", "#6"]
        );
        assert_eq!(found("see #3, unblocked by #4, no longer blocked by #5, not blocked by #6"), [""; 0]);
        assert_eq!(
            found("Depends on acme/web#7 and https://github.com/acme/api/issues/8."),
            ["acme/web#7", "acme/api#8"]
        );
        assert_eq!(found("- [ ] blocked by #1\n- [x] depends on #2"), ["#1", "#2"]);
        assert_eq!(
            found("Blocked by:\n\n- [ ] #1\n- [x] acme/web#2\n* #3\n\nThen #4."),
            ["#1", "acme/web#2", "#3"]
        );
    }

    #[test]
    fn code_says_nothing() {
        assert_eq!(found("```\nblocked by #1\n```\nblocked by #2\n~~~ text\ndepends on #3\n~~~"), ["#2"]);
        assert_eq!(found("write `blocked by #1` there; it`s blocked by #2"), [""; 0]);
        assert_eq!(found("it`s blocked by #2"), ["#2"]);
    }
}
