//! Which mirrors are partial ones.

use serde::{Deserialize, Deserializer, de::Error as _};

/// Whether mirrors are made without the contents of files that no checkout needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Partial {
    /// Where the forge says that a repository is larger than [`Partial::LARGE`].
    #[default]
    Auto,
    /// Of all repositories, or none.
    Always(bool),
    /// Of these (`owner/name`).
    Of(Vec<String>),
}

impl Partial {
    /// From here on a repository is large, in bytes.
    pub const LARGE: u64 = 1 << 30;

    /// Whether the mirror of `name` is to be partial; `None` if that depends on its size.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<bool> {
        match self {
            Partial::Auto => None,
            Partial::Always(always) => Some(*always),
            Partial::Of(names) => Some(names.iter().any(|n| n.eq_ignore_ascii_case(name))),
        }
    }
}

impl<'de> Deserialize<'de> for Partial {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Word(String),
            Always(bool),
            Of(Vec<String>),
        }
        match Raw::deserialize(d)? {
            Raw::Word(w) if w == "auto" => Ok(Partial::Auto),
            Raw::Word(w) => Err(D::Error::custom(format!(
                "`{w}` is no way to fetch: use \"auto\", true, false or a list of repositories"
            ))),
            Raw::Always(always) => Ok(Partial::Always(always)),
            Raw::Of(names) => Ok(Partial::Of(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn it_is_a_word_or_a_list() {
        let partial = |text: &str| toml::from_str::<Settings>(text).map(|s| s.partial.of("acme/Huge"));
        assert_eq!(partial("partial = 'auto'"), Ok(None));
        assert_eq!(partial("partial = true"), Ok(Some(true)));
        assert_eq!(partial("partial = ['Acme/huge']"), Ok(Some(true)));
        assert_eq!(partial("partial = ['acme/other']"), Ok(Some(false)));
        assert!(partial("partial = 'some'").is_err());
    }
}
