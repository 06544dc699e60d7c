//! Writing a task down for a program: one renderer for the daemon's runner and for the client, and the templates that come
//! with Dispatch.
//!
//! - [`Facts`]: what a prompt is made of, and which of it is whose word. [`fill`]: a template filled with it.
//! - [`template`], [`PLANS`], [`PERSONAS`]: what comes with Dispatch. Parts that templates share are `parts/NAME.md`; a template
//!   of one's own may include them too.
//! - [`text`]: foreign text made harmless, and the mark that fences it.
//!
//! What holds for every prompt: text that others wrote (an issue, a remark, a commit, what a program printed) is never
//! taken for a template, is bounded, has nothing in it that a reader cannot see, and cannot hold the mark that its fence is
//! closed with.

mod comments;
mod facts;
mod library;
pub mod text;

pub use comments::{Comment, Comments};
pub use facts::{Earlier, Facts, File, Issue, Kind, Pull};
pub use library::{PERSONAS, PLANS, TEMPLATES, template};

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};

/// What becomes of a name that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// A mistake of whoever wrote the template.
    Refused,
    /// Nothing: of a task from a daemon of another version, a field may be missing.
    Empty,
}

fn environment(unknown: Unknown) -> Result<Environment<'static>, minijinja::Error> {
    let mut env = Environment::new();
    env.set_undefined_behavior(match unknown {
        Unknown::Refused => UndefinedBehavior::Strict,
        Unknown::Empty => UndefinedBehavior::Chainable,
    });
    // A line that holds a tag alone leaves none behind.
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    env.set_syntax(syntax.build()?);
    for (name, source) in library::PARTS {
        env.add_template(name, source)?;
    }
    Ok(env)
}

/// The names that `source` looks up, with those inside others as `one.other`. What it includes is not looked into.
#[must_use]
pub fn names(source: &str) -> BTreeSet<String> {
    let Ok(env) = environment(Unknown::Refused) else { return BTreeSet::new() };
    env.template_from_str(source)
        .map(|t| t.undeclared_variables(true).into_iter().collect())
        .unwrap_or_default()
}

/// Fills `source`, which `what` names in sentences.
///
/// # Errors
/// A sentence. For a name that there is not: which, and those that there are.
pub fn fill(what: &str, source: &str, values: &Value, unknown: Unknown) -> Result<String, String> {
    let filled = environment(unknown).and_then(|env| env.render_str(source, values));
    filled.map(|text| format!("{}\n", text.trim())).map_err(|error| {
        if error.kind() != ErrorKind::UndefinedError {
            return format!("the {what} cannot be filled: {error:#}");
        }
        let missing: Vec<String> = names(source).into_iter().filter(|name| !has(values, name)).collect();
        let given: Vec<&str> = missing.iter().filter_map(|name| name.strip_prefix("variables.")).collect();
        if !given.is_empty() {
            return format!("the {what} needs variables that were not given: {}", given.join(", "));
        }
        match missing.first() {
            Some(name) => {
                format!("the {what} names `{name}`, which there is not; there are {}", listed(values))
            }
            None => format!("the {what} cannot be filled: {error:#}"),
        }
    })
}

/// The longest end of what checks printed.
const CHECKS_MAX: usize = 20_000;

/// What a program is told that goes on because the repository's checks failed: `check` is the command, `output` what it
/// printed. It stands alone for a conversation that is taken up again, and can be put below a whole prompt for one that is
/// begun anew.
#[must_use]
pub fn checks_failed(check: &str, output: &str) -> String {
    let output = text::tail(output, CHECKS_MAX);
    let check = text::line(check, 1_000);
    let fence = text::mark([output.as_str(), &check]);
    let values = context! { check => check, output => output, fence => fence };
    let filled = fill("prompt after failed checks", library::CHECKS, &values, Unknown::Refused);
    // It is built in and has all that it names.
    filled.unwrap_or_else(|why| why)
}

/// Whether `path` leads to something.
fn has(values: &Value, path: &str) -> bool {
    let mut at = values.clone();
    for name in path.split('.') {
        match at.get_attr(name) {
            Ok(next) if !next.is_undefined() => at = next,
            _ => return false,
        }
    }
    true
}

fn listed(values: &Value) -> String {
    let mut names: Vec<String> =
        values.try_iter().into_iter().flatten().map(|name| name.to_string()).collect();
    names.sort();
    names.join(", ")
}

#[cfg(test)]
mod tests;
