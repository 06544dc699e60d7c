//! The filter: which rows hold all of its words.

use super::filter::tokens;

/// Whether `hay` holds every word of `filter`, in upper or lower case; `hay` is only made if there are words.
pub(crate) fn keeps(filter: &str, hay: impl FnOnce() -> String) -> bool {
    if filter.trim().is_empty() {
        return true;
    }
    let hay = hay().to_lowercase();
    tokens(&filter.to_lowercase()).iter().all(|word| {
        // A field of cards that a row does not tell under its name is looked for as it is.
        let value = word.split_once(':').map(|(_, value)| value).filter(|v| !v.is_empty());
        let named = word.split_once(':').is_some_and(|(field, _)| hay.contains(&format!("{field}:")));
        hay.contains(word.as_str()) || (!named && value.is_some_and(|value| hay.contains(value)))
    })
}

/// The value of the last word `field:value` in `filter`.
pub(crate) fn field<'a>(filter: &'a str, field: &str) -> Option<&'a str> {
    let of = |word: &'a str| word.strip_prefix(field)?.strip_prefix(':').filter(|v| !v.is_empty());
    filter.split_whitespace().filter_map(of).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_must_be_there_and_fields_are_read() {
        assert!(keeps("  ", || unreachable!("no words, nothing to look at")));
        assert!(keeps("Acme 377", || "acme/api#377 Cache".into()));
        assert!(!keeps("acme 378", || "acme/api#377 Cache".into()));
        assert_eq!(field("actor:kai x action: actor:bo", "actor"), Some("bo"));
        assert_eq!(field("action:", "action"), None);
    }
}
