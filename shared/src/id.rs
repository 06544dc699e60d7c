//! Names and numbers that identify things, each in a type of its own so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A schema with a name of its own; what is answered may be narrower than what is taken.
macro_rules! schema {
    ($name:ident, [$($doc:literal),*], $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn schema_id() -> std::borrow::Cow<'static, str> { concat!(module_path!(), "::", stringify!($name)).into() }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let make: fn(&SchemaGenerator) -> Schema = $schema;
                let mut schema = make(generator);
                schema.insert("description".to_owned(), concat!($($doc),*).trim().into());
                schema
            }
        }
    };
}

macro_rules! text_id {
    ($(#[doc = $doc:literal])* $name:ident, $pattern:expr, $most:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        schema!($name, [$($doc),*], |_| json_schema!({
            "type": "string", "pattern": $pattern, "minLength": 1, "maxLength": $most
        }));

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self { Self(text.into()) }
            /// The text as it goes over the wire.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

macro_rules! number_id {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        schema!($name, [$($doc),*], |generator: &SchemaGenerator| json_schema!({
            "type": "string",
            "pattern": if generator.contract().is_serialize() {
                concat!("^", $prefix, "[0-9]+$")
            } else {
                concat!("^(", $prefix, ")?[0-9]{1,19}$")
            }
        }));

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                text.strip_prefix($prefix)
                    .unwrap_or(text)
                    .parse()
                    .map(Self)
                    .map_err(|_| format!("`{text}` is no id of this kind, they look like {}7", $prefix))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u64(self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    u64::deserialize(d).map(Self)
                }
            }
        }
    };
}

text_id!(
    /// An identity that works: `saffron-local`. Carried on issues as the label `agent/<name>`.
    AgentName, "^[A-Za-z0-9._-]+$", AGENT_NAME_MAX
);
text_id!(
    /// The forge's own identity of a repository (`gh1296269`, `lo5f3a…`): survives a rename, keys everything.
    RepoKey, "^[A-Za-z0-9_-]+$", 200
);
text_id!(
    /// An issue's opaque id on the wire, `[A-Za-z0-9_-]+`: the repository key and the number.
    IssueId, "^[A-Za-z0-9_-]+$", 200
);
number_id!(
    /// One claim on one subject.
    ClaimId, "c-"
);
number_id!(
    /// One run of a program by the built-in runner.
    RunId, "r-"
);
number_id!(
    /// One outbox intent.
    IntentId, "i-"
);

number_id!(
    /// One thing that an agent did.
    AgentRunId, "ar-"
);

/// The longest agent name: `agent/<name>` must fit GitHub's 50 characters for a label.
pub const AGENT_NAME_MAX: usize = 44;

impl AgentName {
    /// Checks a name given from outside.
    ///
    /// # Errors
    /// A sentence saying what a name may hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > AGENT_NAME_MAX || !text.chars().all(fine) {
            return Err(format!(
                "`{}` is no agent name: use 1 to {AGENT_NAME_MAX} letters, digits, `-`, `_` or `.`",
                text.chars().take(60).collect::<String>()
            ));
        }
        Ok(Self(text.into()))
    }
}

impl IssueId {
    /// Checks an id given from outside; whether there is such an issue is another question.
    ///
    /// # Errors
    /// A sentence saying what an id may hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if text.is_empty() || text.len() > 200 || !text.chars().all(fine) {
            let shown: String = text.chars().take(60).collect();
            return Err(format!("`{shown}` is no issue's id: they hold letters, digits, `-` and `_`"));
        }
        Ok(Self(text.into()))
    }

    /// The id of issue `number` in the repository `repo`.
    #[must_use]
    pub fn of(repo: &RepoKey, number: u64) -> Self {
        Self(format!("{repo}-{number}").into())
    }

    /// Takes the id apart again; `None` if it was not made by [`IssueId::of`].
    #[must_use]
    pub fn parts(&self) -> Option<(RepoKey, u64)> {
        let (repo, number) = self.0.rsplit_once('-')?;
        (!repo.is_empty()).then_some(())?;
        Some((RepoKey::new(repo), number.parse().ok()?))
    }
}

/// `owner/name` as the forge spells it; compares case-folded through [`RepoName::folded`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName {
    owner: String,
    name: String,
}

schema!(RepoName, [" `owner/name` as the forge spells it; compares case-folded."], |_| json_schema!({
    "type": "string", "pattern": "^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", "maxLength": 201
}));

impl RepoName {
    /// The part before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lower case, for comparing.
    #[must_use]
    pub fn folded(&self) -> String {
        self.to_string().to_lowercase()
    }
}

impl FromStr for RepoName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fine = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if fine(owner) && fine(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("`{text}` is no repository: write owner/name")),
        }
    }
}

impl TryFrom<String> for RepoName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RepoName> for String {
    fn from(repo: RepoName) -> String {
        repo.to_string()
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_ids_come_apart_again() {
        let id = IssueId::of(&RepoKey::new("gh1296269"), 42);
        assert_eq!(id.as_str(), "gh1296269-42");
        assert_eq!(id.parts(), Some((RepoKey::new("gh1296269"), 42)));
        assert_eq!(IssueId::new("nonsense").parts(), None);
        assert_eq!(IssueId::new("-4").parts(), None);
        assert_eq!(IssueId::parse("gh1-2"), Ok(IssueId::new("gh1-2")));
        for bad in ["", "a/b", "ⓔ", "a b"] {
            assert!(IssueId::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn repository_names_are_checked() {
        assert!("a/b".parse::<RepoName>().is_ok());
        for bad in ["a", "a/", "/b", "a/b/c", "a/..", "a b/c", "a/b\n"] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn agent_names_fit_a_label() {
        assert!(AgentName::parse("saffron-local").is_ok());
        assert!(AgentName::parse(&"x".repeat(45)).is_err());
        assert!(AgentName::parse("a/b").is_err());
    }

    #[test]
    fn numbered_ids_read_with_and_without_prefix() {
        assert_eq!("r-12".parse(), Ok(RunId(12)));
        assert_eq!("12".parse(), Ok(RunId(12)));
        assert!("r-x".parse::<RunId>().is_err());
    }
}
