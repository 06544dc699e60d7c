//! What comes with Dispatch, by name.

macro_rules! built_in {
    ($folder:literal: $($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../../assets/", $folder, "/", $name, ".md")))),*]
    };
}

/// Prompts.
pub const TEMPLATES: &[(&str, &str)] = built_in!(
    "prompts": "coding", "conventions", "followup-pr", "groom", "reading", "review", "security"
);
/// Plans, which a prompt may hold.
pub const PLANS: &[(&str, &str)] = built_in!("prompts/plans": "bug-fix", "new-feature", "refactor", "port");
/// Personas, which stand before a prompt.
pub const PERSONAS: &[(&str, &str)] =
    built_in!("personas": "engineer", "reviewer", "security", "tester", "writer");

macro_rules! parts {
    ($($name:literal),*) => {
        &[$((concat!("parts/", $name, ".md"), include_str!(concat!("../../../assets/prompts/parts/", $name, ".md")))),*]
    };
}

/// What templates include.
pub(super) const PARTS: &[(&str, &str)] = parts!(
    "marks",
    "subject",
    "comments",
    "criteria",
    "feedback",
    "plan",
    "earlier",
    "related",
    "repository",
    "answer",
    "blocked"
);

/// The text of a prompt's template.
#[must_use]
pub fn template(name: &str) -> Option<&'static str> {
    TEMPLATES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What a program is told whose checks failed.
pub(super) const CHECKS: &str = include_str!("../../../assets/prompts/parts/checks.md");
