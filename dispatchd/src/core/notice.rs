//! What of the problems a person is told who does not look: what is new, once, together.

use std::collections::BTreeSet;

use dispatch_shared::protocol::control::{Problem, ProblemKind};

/// So many problems are named; of more only how many.
const NAMED: usize = 5;

/// The ids of the problems that were told and still stand.
pub type Told = BTreeSet<String>;

/// The problems of the wanted kinds (none is all) that were not told, and what is told once these are. What is over is
/// forgotten: when it comes again it is new.
#[must_use]
pub fn fresh(told: &Told, problems: &[Problem], kinds: &[ProblemKind]) -> (Vec<Problem>, Told) {
    let wanted = |p: &&Problem| kinds.is_empty() || kinds.contains(&p.kind);
    let standing: Vec<&Problem> = problems.iter().filter(wanted).collect();
    let fresh = standing.iter().filter(|p| !told.contains(&p.id)).map(|p| (*p).clone()).collect();
    (fresh, standing.iter().map(|p| p.id.clone()).collect())
}

/// A heading and what it is about, for a person.
#[must_use]
pub fn words(fresh: &[Problem]) -> (String, String) {
    let title = match fresh {
        [one] => format!("{} needs you", one.subject),
        many => format!("{} things need you", many.len()),
    };
    let mut lines: Vec<String> =
        fresh.iter().take(NAMED).map(|p| format!("{}: {}", p.subject, p.text)).collect();
    if fresh.len() > NAMED {
        lines.push(format!("and {} more", fresh.len() - NAMED));
    }
    (title, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use dispatch_shared::Timestamp;

    use super::*;

    fn problem(n: usize, kind: ProblemKind) -> Problem {
        Problem {
            id: format!("p-{n}"),
            kind,
            since: Timestamp(0),
            subject: format!("acme/api#{n}"),
            text: "asks".into(),
            action: "answer".into(),
            issue_id: None,
            run_id: None,
            repo_full_name: None,
        }
    }

    #[test]
    fn a_problem_is_told_once_and_again_only_after_it_was_over() {
        let all = [problem(1, ProblemKind::Question), problem(2, ProblemKind::Review)];
        let (first, told) = fresh(&Told::new(), &all, &[]);
        assert_eq!(first.len(), 2);
        let (second, told) = fresh(&told, &all, &[]);
        assert!(second.is_empty());
        let (_, told) = fresh(&told, &all[1..], &[]);
        assert_eq!(fresh(&told, &all, &[]).0[..], all[..1]);
        assert_eq!(
            fresh(&Told::new(), &all, &[ProblemKind::Question]).0[..],
            all[..1],
            "only the wanted kinds"
        );
    }

    #[test]
    fn many_are_one_message_of_bounded_length() {
        let all: Vec<_> = (0..40).map(|n| problem(n, ProblemKind::Failed)).collect();
        let (title, text) = words(&all);
        assert_eq!(title, "40 things need you");
        assert_eq!((text.lines().count(), text.lines().last()), (6, Some("and 35 more")));
        assert_eq!(words(&all[..1]).0, "acme/api#0 needs you");
    }
}
