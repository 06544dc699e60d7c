//! Which permission a request needs, and in what words it is said that it is missing: the same for a refusal at work and for
//! a look beforehand.

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use super::access::Bearer;
use crate::edges::Source;

/// A permission as GitHub's settings name it, and what cannot be done without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// In the API: `issues`.
    pub(super) api: &'static str,
    /// In the settings: `Issues`.
    pub(super) title: &'static str,
    /// `read` or `write`.
    pub(super) level: &'static str,
    /// What cannot be done without it.
    pub(super) without: &'static str,
}

const fn need(api: &'static str, title: &'static str, level: &'static str, without: &'static str) -> Need {
    Need { api, title, level, without }
}

pub(super) const ISSUES_READ: Need = need("issues", "Issues", "read", "issues cannot be read");
pub(super) const ISSUES: Need = need("issues", "Issues", "write", "labels and comments cannot be set");
pub(super) const PULLS_READ: Need =
    need("pull_requests", "Pull requests", "read", "pull requests cannot be read");
pub(super) const PULLS: Need =
    need("pull_requests", "Pull requests", "write", "pull requests cannot be opened");
pub(super) const CONTENTS: Need = need("contents", "Contents", "write", "branches cannot be pushed");
pub(super) const CHECKS: Need = need("checks", "Checks", "read", "check runs cannot be seen");
pub(super) const STATUSES: Need =
    need("statuses", "Commit statuses", "read", "commit statuses cannot be seen");
pub(super) const ACTIONS_READ: Need =
    need("actions", "Actions", "read", "workflow runs and their logs cannot be read");
pub(super) const ACTIONS: Need = need("actions", "Actions", "write", "workflows cannot be run again");
const METADATA: Need = need("metadata", "Metadata", "read", "the repository cannot be seen");

/// All that Dispatch does with a repository, so that each is named once at its highest level.
pub(super) const ALL: [Need; 6] = [ISSUES, PULLS, CONTENTS, CHECKS, STATUSES, ACTIONS];

/// What a request to this address needs. `path` is the URL's.
pub(super) fn of(method: &Method, path: &str) -> Need {
    let below: Vec<&str> = path.split('/').skip_while(|s| *s != "repos" && *s != "repositories").collect();
    let reads = method == Method::GET;
    let rest = below.get(if below.first() == Some(&"repos") { 3 } else { 2 }..).unwrap_or_default();
    match rest {
        ["issues" | "labels" | "milestones", ..] => {
            if reads {
                ISSUES_READ
            } else {
                ISSUES
            }
        }
        ["pulls", ..] => {
            if reads {
                PULLS_READ
            } else {
                PULLS
            }
        }
        ["actions", ..] => {
            if reads {
                ACTIONS_READ
            } else {
                ACTIONS
            }
        }
        ["commits", _, "check-runs" | "check-suites", ..] | ["check-runs" | "check-suites", ..] => CHECKS,
        ["commits", _, "status" | "statuses", ..] => STATUSES,
        ["git" | "contents" | "branches" | "commits" | "compare" | "releases", ..] => CONTENTS,
        _ => METADATA,
    }
}

/// Whether `granted` (`read`, `write`, `admin`) is enough.
pub(super) fn suffices(granted: &str, level: &str) -> bool {
    let rank = |word: &str| ["read", "write", "admin"].iter().position(|w| *w == word).map_or(0, |n| n + 1);
    rank(granted) >= rank(level)
}

/// What kind of token it is, by how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Scopes decide.
    Classic,
    /// Permissions decide; nothing tells which it has.
    FineGrained,
    /// Of an App's installation, which says what it may.
    App,
}

pub(super) fn kind(bearer: &Bearer) -> Kind {
    match &bearer.token {
        Some(token) if matches!(token.source, Source::App(_)) => Kind::App,
        Some(token) if token.secret.expose().starts_with("github_pat_") => Kind::FineGrained,
        Some(token) if token.secret.expose().starts_with("ghs_") => Kind::FineGrained,
        _ => Kind::Classic,
    }
}

/// Whether scopes (`repo, workflow`) let a token do what Dispatch does.
pub(super) fn scope_suffices(scopes: &str, private: bool) -> bool {
    scopes.split(',').map(str::trim).any(|s| s == "repo" || (s == "public_repo" && !private))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|v| !v.is_empty())
}

/// What GitHub itself says was needed, where it does: `issues=write; pull_requests=write` names two that would each do.
fn accepted(headers: &HeaderMap, guess: Need) -> Need {
    let Some(said) = header(headers, "x-accepted-github-permissions") else { return guess };
    let known =
        [ISSUES, ISSUES_READ, PULLS, PULLS_READ, CONTENTS, CHECKS, STATUSES, ACTIONS, ACTIONS_READ, METADATA];
    let named = |word: &str| {
        let (api, level) = word.trim().split_once('=')?;
        known.iter().find(|n| n.api == api && n.level == level).copied()
    };
    let all: Vec<Need> = said.split([';', ',']).filter_map(named).collect();
    if all.iter().any(|n| (n.api, n.level) == (guess.api, guess.level)) {
        return guess;
    }
    all.first().copied().unwrap_or(guess)
}

/// Where the permission is granted: `web` is where people see GitHub.
fn place(kind: Kind, owner: &str, web: &str) -> String {
    match kind {
        Kind::Classic => format!("{web}/settings/tokens"),
        Kind::FineGrained => format!("{web}/settings/personal-access-tokens"),
        Kind::App => format!(
            "{web}/settings/apps (the App's permissions), which {owner} then accepts at \
             {web}/organizations/{owner}/settings/installations"
        ),
    }
}

/// That `need` is missing on `repo` (`owner/name`).
pub(super) fn missing(need: Need, repo: &str, kind: Kind, web: &str) -> String {
    let owner = repo.split('/').next().unwrap_or(repo);
    let Need { title, level, without, .. } = need;
    format!("{title}: {level} is missing on {repo}: {without}; grant it at {}", place(kind, owner, web))
}

/// That a classic token lacks the scope.
pub(super) fn no_scope(repo: &str, scopes: &str, web: &str) -> String {
    let has = if scopes.is_empty() { "none".to_owned() } else { format!("`{scopes}`") };
    format!(
        "the scope `repo` is missing on the token for {repo} (it has {has}): labels, branches and pull requests cannot be \
         written; grant it at {web}/settings/tokens"
    )
}

/// That the account itself may not.
pub(super) fn no_role(need: Need, repo: &str, web: &str) -> String {
    let Need { title, level, without, .. } = need;
    format!(
        "{title}: {level} is missing on {repo}: {without}, because the token's account may not write there; give it the \
         role Write at {web}/{repo}/settings/access"
    )
}

/// What a 403 of GitHub's own comes to, in words; `None` where it is no matter of permissions.
pub(super) fn refusal(
    headers: &HeaderMap,
    said: &str,
    method: &Method,
    url: &Url,
    repo: Option<&str>,
    bearer: &Bearer,
    web: &str,
) -> Option<String> {
    if let Some(sso) = header(headers, "x-github-sso").and_then(|v| v.split_once("url=")) {
        let to = sso.1.trim();
        return Some(format!("the token is not authorised for the organisation's single sign-on: open {to}"));
    }
    let lower = said.to_ascii_lowercase();
    let speaks = header(headers, "x-accepted-github-permissions").is_some()
        || lower.contains("not accessible")
        || lower.contains("must have");
    let repo = repo.filter(|_| speaks || header(headers, "x-accepted-oauth-scopes").is_some())?;
    let need = accepted(headers, of(method, url.path()));
    let kind = kind(bearer);
    Some(match (kind, header(headers, "x-oauth-scopes")) {
        (Kind::Classic, Some(scopes)) if !scope_suffices(scopes, true) => no_scope(repo, scopes, web),
        (Kind::Classic, _) if header(headers, "x-accepted-github-permissions").is_none() => {
            no_role(need, repo, web)
        }
        _ => missing(need, repo, kind, web),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Token;
    use crate::secret::Secret;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn bearer(token: &str) -> Bearer {
        let (secret, source) = (Secret::new(token), Source::Environment("GH_TOKEN"));
        Bearer::of("token", Some(Token { secret, source }))
    }

    fn said(pairs: &[(&'static str, &str)], token: &str, method: Method, path: &str) -> Option<String> {
        let url = format!("https://api.github.com{path}").parse().unwrap();
        let said = "Resource not accessible by personal access token";
        refusal(&headers(pairs), said, &method, &url, Some("acme/api"), &bearer(token), "https://github.com")
    }

    #[test]
    fn every_request_has_its_permission() {
        for (method, path, api, level) in [
            (Method::POST, "/repos/acme/api/issues/1/labels", "issues", "write"),
            (Method::GET, "/repositories/7/issues", "issues", "read"),
            (Method::GET, "/api/v3/repos/acme/api/pulls/4", "pull_requests", "read"),
            (Method::POST, "/repos/acme/api/pulls", "pull_requests", "write"),
            (Method::GET, "/repos/acme/api/commits/abc/check-runs", "checks", "read"),
            (Method::GET, "/repos/acme/api/commits/abc/status", "statuses", "read"),
            (Method::POST, "/repos/acme/api/actions/runs/7/rerun", "actions", "write"),
            (Method::GET, "/repos/acme/api", "metadata", "read"),
        ] {
            let need = of(&method, path);
            assert_eq!((need.api, need.level), (api, level), "{method} {path}");
        }
    }

    #[test]
    fn the_words_name_permission_repository_consequence_and_place() {
        let labels = "/repos/acme/api/issues/1/labels";
        let accepted = [("x-accepted-github-permissions", "issues=write; pull_requests=write")];
        assert_eq!(
            said(&accepted, "github_pat_x", Method::POST, labels).unwrap(),
            "Issues: write is missing on acme/api: labels and comments cannot be set; grant it at \
             https://github.com/settings/personal-access-tokens"
        );
        let scopes = [("x-oauth-scopes", "read:org, public_repo"), ("x-accepted-oauth-scopes", "repo")];
        let text = said(&scopes, "ghp_x", Method::POST, labels).unwrap();
        assert!(text.contains("scope `repo`") && text.contains("public_repo"), "{text}");
        let role =
            said(&[("x-oauth-scopes", "repo")], "ghp_x", Method::POST, "/repos/acme/api/pulls").unwrap();
        assert!(role.contains("Pull requests: write") && role.contains("role Write"), "{role}");
        let sso =
            [("x-github-sso", "required; url=https://github.com/orgs/acme/sso?authorization_request=A")];
        assert!(said(&sso, "ghp_x", Method::GET, labels).unwrap().contains("orgs/acme/sso"));
    }

    #[test]
    fn levels_and_scopes() {
        assert!(suffices("write", "read") && suffices("admin", "write") && !suffices("read", "write"));
        assert!(!suffices("", "read"));
        assert!(scope_suffices("gist, repo", true) && !scope_suffices("public_repo", true));
        assert!(scope_suffices("public_repo", false) && !scope_suffices("", false));
    }
}
