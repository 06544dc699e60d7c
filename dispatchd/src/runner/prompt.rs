//! What a program is told: the template that a run names, filled with what is known of its task.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_shared::prompt::{
    self as shared, Comment, Comments, Earlier, Facts, File, Issue, Kind as Subject, Pull, Unknown,
};
use dispatch_shared::protocol::followup::FeedbackItem;
use dispatch_shared::protocol::tasks::{Related, RelatedKind};
use minijinja::{Value, context};

use super::templates::{Kind, Templates};
use crate::core::record::{Hand, Target};

/// Stands for a text, to see whether a template has a place for it.
const PROBE: &str = "a text that stands for another";

/// What a template sees: the facts, and `task`, which is what was asked for by hand.
fn values(hand: Option<&Hand>, facts: &Facts, plan: Option<&str>) -> Value {
    let none = BTreeMap::new();
    let variables = hand.map_or(&none, |h| &h.variables);
    context! {
        plan => plan.map(str::trim),
        task => facts.request.as_deref().map(str::trim),
        variables => variables,
        ..facts.values(&[])
    }
}

fn filled(kind: Kind, name: &str, source: &str, values: &Value) -> Result<String, String> {
    shared::fill(&format!("{} `{name}`", kind.word()), source, values, Unknown::Refused)
}

/// The prompt made of `facts`, from the template that `hand` names, else from `default`.
///
/// # Errors
/// A sentence, if a template is not there or cannot be filled.
pub(super) fn render(
    templates: &Templates,
    default: &str,
    hand: Option<&Hand>,
    facts: &Facts,
) -> Result<String, String> {
    let plan = match hand.and_then(|h| h.plan.as_deref()) {
        None => None,
        Some(name) => {
            let source = templates.get(Kind::Plan, name)?;
            Some(filled(Kind::Plan, name, &source, &values(hand, facts, None))?)
        }
    };
    let name = hand.map_or(default, |h| h.template.as_str());
    let source = templates.get(Kind::Prompt, name)?;
    let prompt = filled(Kind::Prompt, name, &source, &values(hand, facts, plan.as_deref()))?;
    match hand.and_then(|h| h.persona.as_deref()) {
        None => Ok(prompt),
        Some(name) => {
            let persona = templates.get(Kind::Persona, name)?;
            Ok(format!("{}\n\n{prompt}", persona.trim()))
        }
    }
}

/// Whether a prompt can be made of what is asked, before anything is started.
///
/// # Errors
/// A sentence that says what is missing, unknown or given in vain.
pub(super) fn check(templates: &Templates, target: &Target, hand: &Hand) -> Result<(), String> {
    let source = templates.get(Kind::Prompt, &hand.template)?;
    let mut sources = vec![source.clone()];
    if let Some(name) = &hand.plan {
        sources.push(templates.get(Kind::Plan, name)?);
    }
    if let Some(name) = &hand.persona {
        templates.get(Kind::Persona, name)?;
    }
    for facts in [sample(target, &hand.task), full(sample(target, &hand.task))] {
        render(templates, "", Some(hand), &facts)?;
    }
    let names = sources.iter().flat_map(|source| shared::names(source));
    let used: BTreeSet<String> =
        names.filter_map(|name| name.strip_prefix("variables.").map(ToOwned::to_owned)).collect();
    if let Some(vain) = hand.variables.keys().find(|name| !used.contains(*name)) {
        let used: Vec<String> = used.into_iter().collect();
        let there = if used.is_empty() {
            "what is asked for uses none".to_owned()
        } else {
            format!("there are {}", used.join(", "))
        };
        return Err(format!("there is no variable `{vain}`; {there}"));
    }
    for (place, wanted) in [("task", true), ("plan", hand.plan.is_some())] {
        let (request, plan) = if place == "task" { (PROBE, "p") } else { ("t", PROBE) };
        let values = values(Some(hand), &full(sample(target, request)), Some(plan));
        if wanted && !filled(Kind::Prompt, &hand.template, &source, &values)?.contains(PROBE) {
            return Err(format!(
                "the template `{}` has no place for a {place}: `{{{{ {place} }}}}`",
                hand.template
            ));
        }
    }
    Ok(())
}

/// Whether the template of runs that nobody starts by hand can be filled.
///
/// # Errors
/// A sentence that says what is missing or unknown.
pub(super) fn check_default(templates: &Templates, name: &str) -> Result<(), String> {
    let facts = || Facts { request: None, ..sample(&Target::Issue, "") };
    [facts(), full(facts())].iter().try_for_each(|facts| render(templates, name, None, facts).map(drop))
}

pub(super) fn subject(target: &Target) -> Subject {
    match target {
        Target::Issue => Subject::Issue,
        Target::Pull(_) => Subject::Pr,
        Target::Branch(_) => Subject::Branch,
        Target::Tag(_) => Subject::Tag,
    }
}

/// The least that is known of a run on `target`.
fn sample(target: &Target, task: &str) -> Facts {
    Facts {
        repo: "owner/name".into(),
        kind: subject(target),
        issue: (*target == Target::Issue).then(|| Issue { number: 1, ..Issue::default() }),
        pull: matches!(target, Target::Pull(_)).then(|| Pull { number: 1, ..Pull::default() }),
        branch: Some("b".into()),
        base: Some("b".into()),
        tag: matches!(target, Target::Tag(_)).then(|| "t".into()),
        request: Some(task.to_owned()),
        ..Facts::default()
    }
}

/// The same with all that may be known besides.
fn full(facts: Facts) -> Facts {
    let some = || Some("x".to_owned());
    let all = || vec!["x".to_owned()];
    let related =
        Related { kind: RelatedKind::Issue, number: 2, title: "x".into(), url: "x".into(), why: "x".into() };
    let issue = Issue { number: 1, labels: all(), ..Issue::default() };
    let comment = Comment { author: "x".into(), text: "x".into(), ..Comment::default() };
    Facts {
        issue: Some(issue),
        comments: Some(Comments { list: vec![comment], ..Comments::default() }),
        head: some(),
        answer: some(),
        question: some(),
        criteria: all(),
        reasons: all(),
        feedback: vec![FeedbackItem::text("x")],
        related: vec![related],
        commits: all(),
        files: vec![File { path: "x".into(), text: "x".into() }],
        earlier: Some(Earlier { class: "failed".into(), reason: some(), output: some() }),
        rules: all(),
        ..facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand(template: &str, plan: Option<&str>, variables: &[(&str, &str)]) -> Hand {
        Hand {
            task: "Count the lines".into(),
            template: template.into(),
            plan: plan.map(Into::into),
            persona: None,
            variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            by: "ada".into(),
        }
    }

    #[test]
    fn the_default_template_needs_nothing_that_only_a_hand_gives() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.md"), "{{ body }} {{ variables.mood }}").unwrap();
        std::fs::write(dir.path().join("odd.md"), "{{ boddy }}").unwrap();
        let templates = Templates::new(Some(dir.path().to_path_buf()));
        for (name, _) in shared::TEMPLATES {
            check_default(&templates, name).unwrap();
        }
        let said = |name: &str| check_default(&templates, name).unwrap_err();
        assert!(said("own").contains("variables that were not given: mood"), "{}", said("own"));
        assert!(said("odd").contains("names `boddy`") && said("odd").contains("body"), "{}", said("odd"));
        assert!(said("none").contains("followup-pr"), "{}", said("none"));
    }

    #[test]
    fn what_cannot_be_filled_is_said_before_a_start() {
        let templates = Templates::default();
        let said = |hand: Hand| check(&templates, &Target::Issue, &hand).unwrap_err();
        assert!(
            said(hand("nothing", None, &[]))
                .contains("there are coding, conventions, followup-pr, groom, reading, review, security")
        );
        assert!(said(hand("coding", Some("nothing"), &[])).contains("bug-fix"));
        assert!(
            said(hand("coding", Some("port"), &[])).contains("needs variables that were not given: from")
        );
        let vain = said(hand("coding", Some("port"), &[("from", "x"), ("form", "y")]));
        assert!(vain.contains("no variable `form`") && vain.contains("from"), "{vain}");
        assert!(said(hand("coding", None, &[("x", "y")])).contains("uses none"));
        let ghost = Hand { persona: Some("ghost".into()), ..hand("coding", None, &[]) };
        assert!(said(ghost).contains("engineer"));
        for plan in ["bug-fix", "new-feature", "refactor"] {
            check(&templates, &Target::Tag("v1".into()), &hand("coding", Some(plan), &[])).unwrap();
        }
        check(&templates, &Target::Pull(3), &hand("reading", Some("port"), &[("from", "x")])).unwrap();
    }
}
