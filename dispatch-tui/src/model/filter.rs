//! Which cards are shown: words, and fields that come from what the forge said. Written as one line, `repo:acme/api
//! label:bug cache`, so that it can be kept under a name and typed by hand.

use std::collections::BTreeMap;
use std::fmt;

use dispatch_shared::issue::Priority;
use dispatch_shared::protocol::issues::Issue;

/// What a filter can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Words of number, title, repository and labels.
    Text,
    Repo,
    Priority,
    Type,
    Agent,
    Owner,
    Lane,
    Label,
}

impl Field {
    pub(crate) const ALL: [Field; 8] = [
        Field::Text,
        Field::Repo,
        Field::Priority,
        Field::Type,
        Field::Agent,
        Field::Owner,
        Field::Lane,
        Field::Label,
    ];

    /// Its word before the colon.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Field::Text => "words",
            Field::Repo => "repo",
            Field::Priority => "priority",
            Field::Type => "type",
            Field::Agent => "agent",
            Field::Owner => "owner",
            Field::Lane => "lane",
            Field::Label => "label",
        }
    }

    /// What a card has there.
    pub(crate) fn values(self, issue: &Issue) -> Vec<String> {
        let bare = |value: &Option<String>, prefix: &str| {
            value.iter().map(|v| v.strip_prefix(prefix).unwrap_or(v).to_owned()).collect()
        };
        match self {
            Field::Text => Vec::new(),
            Field::Repo => vec![issue.repo_full_name.to_string()],
            Field::Priority => issue
                .priority
                .as_deref()
                .and_then(Priority::read)
                .map(|p| p.to_string())
                .into_iter()
                .collect(),
            Field::Type => bare(&issue.kind, "type/"),
            Field::Agent => bare(&issue.agent, "agent/"),
            Field::Owner => bare(&issue.owner, "owner/"),
            Field::Lane => vec![issue.lane.clone()],
            Field::Label => issue.labels.clone(),
        }
    }
}

/// A filter; all that it asks for must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// In the order of [`Field::ALL`]; empty asks for nothing.
    values: [String; 8],
}

impl Filter {
    /// Reads what [`Filter`] writes. Whatever is no field is a word, so that nothing is refused.
    pub(crate) fn read(line: &str) -> Filter {
        let mut filter = Filter::default();
        for token in tokens(line) {
            let field = token.split_once(':').and_then(|(word, value)| {
                let field = Field::ALL.into_iter().skip(1).find(|f| f.word() == word)?;
                (!value.is_empty()).then(|| (field, value.to_owned()))
            });
            let (field, value) = field.unwrap_or((Field::Text, token));
            let old = filter.value(field);
            let value =
                if field == Field::Text && !old.is_empty() { format!("{old} {value}") } else { value };
            filter.set(field, value);
        }
        filter
    }

    pub(crate) fn of(field: Field, value: String) -> Filter {
        let mut filter = Filter::default();
        filter.set(field, value);
        filter
    }

    pub(crate) fn value(&self, field: Field) -> &str {
        &self.values[field as usize]
    }

    pub(crate) fn set(&mut self, field: Field, value: String) {
        self.values[field as usize] = value;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|v| v.trim().is_empty())
    }

    pub(crate) fn clear(&mut self) {
        *self = Filter::default();
    }

    /// The filter made ready for many cards.
    pub(crate) fn matcher(&self) -> Matcher {
        Matcher(self.values.clone().map(|v| v.trim().to_lowercase()))
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for field in Field::ALL.into_iter().skip(1).chain([Field::Text]) {
            let value = self.value(field).trim();
            if value.is_empty() {
                continue;
            }
            f.write_str(gap)?;
            gap = " ";
            match field {
                Field::Text => f.write_str(value)?,
                field if value.contains(char::is_whitespace) => write!(f, "{}:\"{value}\"", field.word())?,
                field => write!(f, "{}:{value}", field.word())?,
            }
        }
        Ok(())
    }
}

/// Words, of which a quoted part may hold spaces.
pub(super) fn tokens(line: &str) -> Vec<String> {
    let (mut out, mut token, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => out.push(std::mem::take(&mut token)),
            c => token.push(c),
        }
    }
    out.push(token);
    out.retain(|t| !t.is_empty());
    out
}

/// A filter in lower case.
#[derive(Debug)]
pub(crate) struct Matcher([String; 8]);

impl Matcher {
    /// Whether the card has all that is asked for. The beginning of a value is enough, so that it works while typed.
    pub(crate) fn fits(&self, issue: &Issue) -> bool {
        let begins = |field: Field| {
            let want = &self.0[field as usize];
            want.is_empty() || {
                let values = field.values(issue);
                values.iter().any(|v| {
                    let value = v.to_lowercase();
                    let last = value.rsplit('/').next().unwrap_or_default();
                    value.starts_with(want.as_str()) || last.starts_with(want.as_str())
                }) || (want == "none" && values.is_empty())
            }
        };
        Field::ALL.into_iter().skip(1).all(begins) && self.words(issue)
    }

    fn words(&self, issue: &Issue) -> bool {
        let text = &self.0[Field::Text as usize];
        if text.is_empty() {
            return true;
        }
        let mut hay = format!("#{} {} {}", issue.number, issue.title, issue.repo_full_name).to_lowercase();
        for label in &issue.labels {
            hay.push(' ');
            hay.push_str(&label.to_lowercase());
        }
        text.split_whitespace().all(|word| hay.contains(word))
    }
}

/// What cards have in a field, and how many have it, by name.
pub(crate) fn known<'a>(field: Field, issues: impl Iterator<Item = &'a Issue>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for value in issues.flat_map(|issue| field.values(issue)) {
        *found.entry(value).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use dispatch_shared::issue::Status;
    use proptest::prelude::*;

    use super::*;
    use crate::view::fixture::issue;

    fn card() -> Issue {
        let mut card = issue(390, "Round invoice totals", Status::Ready, 60);
        card.labels.push("good first issue".into());
        card.agent = Some("agent/kai".into());
        card
    }

    #[test]
    fn all_that_is_asked_for_must_hold() {
        for (line, fits) in [
            ("", true),
            ("invoice", true),
            ("invoice cache", false),
            ("repo:acme/api", true),
            ("repo:api", true),
            ("repo:acme/web", false),
            ("priority:p2 round", true),
            ("priority:p1", false),
            ("agent:kai lane:local", true),
            ("owner:none", true),
            ("label:\"good first\"", true),
            ("label:bug", false),
        ] {
            assert_eq!(Filter::read(line).matcher().fits(&card()), fits, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_filter_is_read_as_it_is_written(words in "[a-z #]{0,12}", repo in "[a-z/]{0,8}", label in "[a-z /]{0,12}") {
            let mut filter = Filter::default();
            let tidy = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
            filter.set(Field::Text, tidy(&words));
            filter.set(Field::Repo, repo);
            filter.set(Field::Label, label.trim().to_owned());
            prop_assert_eq!(Filter::read(&filter.to_string()), filter);
        }

        #[test]
        fn whatever_is_typed_is_a_filter(line in any::<String>()) {
            let _ = Filter::read(&line).matcher().fits(&card());
        }
    }
}
