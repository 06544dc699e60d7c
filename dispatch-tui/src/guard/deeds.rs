//! Finds, in what a worker tells, deeds that its task forbids. Sentence by sentence, by words: what is denied or was only
//! looked at is no deed.

use dispatch_shared::protocol::tasks::Task;
use dispatch_shared::task::Forbid;

use super::{Problem, cut};

/// Words that turn a sentence about a deed into one about its absence, or somebody else's.
const DENIALS: [&str; 16] = [
    "not ",
    "n't ",
    "n’t ",
    "never ",
    "without ",
    "no need",
    "instead of",
    "should be",
    "can be ",
    "may be ",
    "could be ",
    "ready to ",
    "once ",
    "when ",
    "before ",
    "already merged",
];

/// What was told, one problem a deed.
pub(super) fn told(task: &Task, said: &str) -> Vec<Problem> {
    let mut found: Vec<Problem> = Vec::new();
    let own = task.issue.as_ref().map(|i| i.number);
    for sentence in sentences(said) {
        let lower = format!(" {} ", sentence.to_lowercase());
        if DENIALS.iter().any(|d| lower.contains(d)) {
            continue;
        }
        for &forbid in &task.forbids {
            let code = code(forbid);
            if tells(forbid, &lower, own) && !found.iter().any(|p| p.code == code) {
                found.push(Problem {
                    code,
                    text: format!("{} It says: `{}`", forbid.sentence(), cut(sentence)),
                });
            }
        }
    }
    found
}

fn code(forbid: Forbid) -> &'static str {
    match forbid {
        Forbid::MergePullRequest => "merge_pull_request",
        Forbid::OpenPullRequest => "open_pull_request",
        Forbid::ClaimAnother => "claim_another",
        Forbid::GroomOtherIssues => "groom_other_issues",
        Forbid::WriteCode => "write_code",
        Forbid::ChangeProductionConfig => "change_production_config",
    }
}

fn tells(forbid: Forbid, sentence: &str, own: Option<u64>) -> bool {
    let any = |words: &[&str]| words.iter().any(|w| sentence.contains(w));
    let pull = || any(&[" pull request", " pr ", " pr.", " pr,", " prs ", " pr #", "/pull/", " mr "]);
    // Any issue or pull request by number, other than the task's own.
    let other = || numbers(sentence).any(|n| Some(n) != own);
    match forbid {
        Forbid::MergePullRequest => {
            any(&["gh pr merge", "auto-merge", "automerge"])
                || (any(&[" merged ", " squash-merged ", " have merged", " merging "])
                    && (pull() || any(&[" into main", " into master", " to main", " to master"])))
        }
        Forbid::OpenPullRequest => {
            any(&["gh pr create"])
                || (any(&[" opened ", " created ", " raised ", " submitted ", " filed "])
                    && any(&[
                        " a pull request",
                        " a pr",
                        " new pull request",
                        " new pr",
                        " another pr",
                        " another pull request",
                        " second pull request",
                        " separate pull request",
                        " separate pr",
                    ]))
        }
        Forbid::ClaimAnother => {
            (any(&[
                " claimed ",
                " picked up ",
                " took ",
                " started on ",
                " started work on ",
                " assigned myself ",
            ]) && (other()
                || any(&[" another ", " next issue", " next task", " second issue", " second task"])))
                || any(&[" also fixed #", " also implemented #"]) && other()
        }
        Forbid::GroomOtherIssues => {
            any(&[
                " labelled ",
                " labeled ",
                " relabelled ",
                " relabeled ",
                " retitled ",
                " commented on ",
                " closed ",
            ]) && (other() || any(&[" other issue", " another issue"]))
        }
        Forbid::WriteCode => any(&[
            " committed ",
            " pushed ",
            " implemented the ",
            " fixed the code",
            " wrote the code",
            " refactored ",
        ]),
        Forbid::ChangeProductionConfig => {
            any(&[" changed ", " updated ", " edited ", " set ", " deployed ", " applied "])
                && any(&[
                    " production config",
                    " production environment",
                    " prod config",
                    " to production",
                    " production settings",
                ])
        }
    }
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split_inclusive(". ")).map(str::trim).filter(|s| !s.is_empty())
}

/// The numbers behind `#` in a text.
fn numbers(text: &str) -> impl Iterator<Item = u64> + '_ {
    text.match_indices('#').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

/// The pull request that a line names, with its repository if an address tells it.
pub(super) fn pull_named(words: &str) -> Option<(Option<String>, u64)> {
    for word in words.split_whitespace() {
        let word = word.trim_matches(['(', ')', '<', '>', ',', '.', '`', '*', '[', ']']);
        if let Some((before, after)) = word.split_once("/pull/") {
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            let mut parts = before.rsplit('/');
            let (name, owner) = (parts.next(), parts.next());
            if let (Ok(number), Some(name), Some(owner)) = (digits.parse(), name, owner) {
                return Some((Some(format!("{owner}/{name}")), number));
            }
        }
    }
    numbers(words.split_whitespace().next()?).next().map(|n| (None, n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::tests::task;
    use serde_json::json;

    fn deeds(forbids: &[&str], said: &str) -> Vec<&'static str> {
        told(&task("implement", json!({ "forbids": forbids })), said).iter().map(|p| p.code).collect()
    }

    #[test]
    fn a_deed_is_told_of_and_a_denied_one_is_none() {
        let merge = ["merge_pull_request"];
        for bad in [
            "I merged the pull request.",
            "Merged PR #12 into main",
            "Then I ran gh pr merge 4.",
            "I merged it into main.",
        ] {
            assert_eq!(deeds(&merge, bad), merge, "{bad}");
        }
        for fine in [
            "I did not merge the pull request.",
            "Merged main into the branch to resolve the conflict.",
            "The pull request can be merged.",
            "Nothing was merged.",
            "PR #3 was already merged by a person.",
        ] {
            assert_eq!(deeds(&merge, fine), [] as [&str; 0], "{fine}");
        }
    }

    #[test]
    fn each_forbidden_deed_has_its_words() {
        for (code, said) in [
            ("open_pull_request", "I opened a new pull request for this."),
            ("claim_another", "After that I claimed #8 and began."),
            ("claim_another", "I picked up the next task as well."),
            ("groom_other_issues", "Relabelled nothing here. I closed #3 as a duplicate."),
            ("write_code", "I committed the fix."),
            ("change_production_config", "I updated the production config."),
        ] {
            assert_eq!(deeds(&[code], said), [code], "{said}");
        }
        assert_eq!(deeds(&["claim_another"], "I took issue #7 and fixed it."), [] as [&str; 0], "its own");
    }

    #[test]
    fn pull_requests_are_named_by_address_or_number() {
        assert_eq!(
            pull_named("see https://github.com/acme/api/pull/12/files."),
            Some((Some("acme/api".into()), 12))
        );
        assert_eq!(pull_named("#12 handles it"), Some((None, 12)));
        assert_eq!(pull_named("handles what #12 asked"), None, "a number further on may be an issue");
    }
}
