//! Addresses: those we build (escaped), and those that GitHub gives in `Link`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, LINK};

/// All that is not unreserved in a URI: label names hold slashes, colons, emoji and `%`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One path segment or one query value.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The address with this relation in the `Link` header, as GitHub gave it.
pub(super) fn link(headers: &HeaderMap, rel: &str) -> Option<String> {
    let wanted = format!("rel=\"{rel}\"");
    headers.get_all(LINK).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(", <")).find_map(
        |part| {
            let (address, parameters) = part.trim_start_matches('<').split_once('>')?;
            parameters.split(';').any(|p| p.trim() == wanted).then(|| address.to_owned())
        },
    )
}

/// The number of the last page, where `Link` tells.
pub(super) fn last_page(headers: &HeaderMap) -> Option<u64> {
    page_in(&link(headers, "last")?)
}

/// The number of the page in the address of one.
pub(super) fn page_in(address: &str) -> Option<u64> {
    let url: url::Url = address.parse().ok()?;
    url.query_pairs().find(|(k, _)| k == "page")?.1.parse().ok()
}

/// The id in an address below `/repositories/ID`.
pub(super) fn repository_in(address: &str) -> Option<u64> {
    let url: url::Url = address.parse().ok()?;
    let mut segments = url.path_segments()?.skip_while(|s| *s != "repositories");
    segments.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_relation_and_leaves_the_address_alone() {
        let mut headers = HeaderMap::new();
        let value = "<https://h/repositories/1/issues?labels=a,b&page=2>; rel=\"next\", \
                     <https://h/repositories/1/issues?labels=a,b&page=7>; rel=\"last\"";
        headers.insert(LINK, value.parse().unwrap());
        assert_eq!(
            link(&headers, "next").as_deref(),
            Some("https://h/repositories/1/issues?labels=a,b&page=2")
        );
        assert_eq!(last_page(&headers), Some(7));
        assert_eq!(repository_in("https://h/api/v3/repositories/81/issues?page=2"), Some(81));
        assert_eq!(repository_in("https://h/repos/acme/repositories"), None);
        assert_eq!(link(&headers, "prev"), None);
    }

    #[test]
    fn escapes_what_would_change_the_path() {
        assert_eq!(escape("status/in progress: 100%?#"), "status%2Fin%20progress%3A%20100%25%3F%23");
        assert_eq!(escape("🐛"), "%F0%9F%90%9B");
    }
}
