//! GitHub Apps: who comes with a word signed by the App's key gets tokens for its installations. And what tokens may.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dispatch_shared::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::page::{Asked, Said, complaint, not_found, said};
use super::routes::time;
use super::shape::account_of;
use super::state::{State, now};
use super::{FakeGithub, Shared};

/// The key that the fake knows the App by; its private halves are the fixtures `app/pkcs1.pem` and `app/pkcs8.pem`.
const PUBLIC: &[u8] = include_bytes!("../../fixtures/app/public.der");

/// What an App and tokens may.
#[derive(Default)]
pub(super) struct Access {
    app: Option<String>,
    installations: BTreeMap<String, Installation>,
    issued: Vec<Issued>,
    count: u64,
    /// What a token lacks, by token: `issues=write`.
    lacking: BTreeMap<String, Vec<String>>,
    /// The scopes of a classic token.
    scopes: BTreeMap<String, String>,
}

struct Installation {
    id: u64,
    permissions: Value,
    suspended: bool,
    life: Duration,
}

impl Installation {
    fn json(&self, owner: &str) -> Value {
        let url = format!("https://api.github.example/app/installations/{}", self.id);
        json!({
            "id": self.id, "account": account_of(owner, 21, "Organization"), "repository_selection": "all",
            "access_tokens_url": format!("{url}/access_tokens"), "repositories_url": format!("{url}/repositories"),
            "html_url": url, "app_id": 1, "app_slug": "dispatch", "target_id": 21, "target_type": "Organization",
            "permissions": self.permissions, "events": [], "single_file_name": null, "suspended_by": null,
            "suspended_at": null, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    }
}

struct Issued {
    token: String,
    owner: String,
    until: Timestamp,
}

impl State {
    /// Whether a token is good now.
    pub(super) fn accepts(&self, token: &str) -> bool {
        self.tokens.iter().any(|t| t == token) || self.access.owner(token).is_some()
    }

    /// What a token may not do here, as GitHub says it.
    pub(super) fn forbids(&self, token: &str, asked: &Asked) -> Option<Said> {
        let owner = match asked.segments.first().map(String::as_str) {
            Some("repos") => asked.segments.get(1).cloned(),
            Some("repositories") => {
                let id = asked.segments.get(1)?;
                self.repos.iter().find(|r| r.id.to_string() == *id).map(|r| r.owner.clone())
            }
            _ => None,
        }?;
        if self.access.owner(token).is_some_and(|of| !of.eq_ignore_ascii_case(&owner)) {
            return Some(not_found());
        }
        let need = need(asked);
        let lacks = |all: &Vec<String>| all.contains(&need);
        if self.access.lacking.get(token).is_some_and(lacks) {
            let mut answer = complaint(403, "Resource not accessible by personal access token");
            answer.headers.push(("x-accepted-github-permissions", need));
            return Some(answer);
        }
        None
    }

    /// The header with a classic token's scopes.
    pub(super) fn scopes(&self, token: &str) -> Option<String> {
        self.access.scopes.get(token).cloned()
    }
}

impl Access {
    fn owner(&self, token: &str) -> Option<&str> {
        let live = |i: &&Issued| i.token == token && i.until > now();
        self.issued.iter().find(live).map(|i| i.owner.as_str())
    }
}

fn need(asked: &Asked) -> String {
    let at = if asked.segments.first().is_some_and(|s| s == "repos") { 3 } else { 2 };
    let rest: Vec<&str> = asked.segments.iter().skip(at).map(String::as_str).collect();
    let name = match rest.as_slice() {
        ["issues" | "labels", ..] => "issues",
        ["pulls", ..] => "pull_requests",
        ["actions", ..] => "actions",
        ["commits", _, "check-runs"] => "checks",
        ["commits", _, "status"] => "statuses",
        ["git", ..] => "contents",
        _ => "metadata",
    };
    format!("{name}={}", if asked.method == "GET" { "read" } else { "write" })
}

/// Whether `jwt` is the App's word: signed by its key, of now, and for ten minutes at most.
fn is_word(app: &str, jwt: &str) -> Result<(), &'static str> {
    let (message, signature) = jwt.rsplit_once('.').ok_or("A JSON web token could not be decoded")?;
    let (head, claims) = message.split_once('.').ok_or("A JSON web token could not be decoded")?;
    let part =
        |text: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
    let undecoded = "A JSON web token could not be decoded";
    let (head, claims) = (part(head).ok_or(undecoded)?, part(claims).ok_or(undecoded)?);
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| undecoded)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, PUBLIC);
    if head["alg"] != "RS256" || key.verify(message.as_bytes(), &signature).is_err() {
        return Err(undecoded);
    }
    if claims["iss"] != app {
        return Err("Integration not found");
    }
    let now = now().0 / 1_000;
    let (iat, exp) = (claims["iat"].as_i64().unwrap_or(i64::MAX), claims["exp"].as_i64().unwrap_or(0));
    match () {
        () if iat > now => Err(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ),
        () if exp < now => {
            Err("'Expiration time' claim ('exp') must be a numeric value representing the future time")
        }
        () if exp - iat > 600 => Err("'Expiration time' claim ('exp') is too far in the future"),
        () => Ok(()),
    }
}

/// The answer to what only an App may ask; `None` if it is something else.
pub(super) fn answer(shared: &Shared, asked: &Asked, bearer: Option<&str>) -> Option<Said> {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let mut state = shared.state();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["repos", _, _, "installation"]) | (_, ["app", ..]) => {}
        _ => return None,
    }
    let word = state.access.app.clone().ok_or("Integration not found");
    if let Err(wrong) = word.and_then(|app| is_word(&app, bearer.unwrap_or_default())) {
        return Some(complaint(401, wrong));
    }
    Some(match segments.as_slice() {
        ["repos", owner, name, _] => {
            let there = state.repo(&format!("{owner}/{name}")).is_some();
            let found = state.access.installations.get(&owner.to_lowercase()).filter(|_| there);
            found.map_or_else(not_found, |i| said(200, i.json(owner)))
        }
        ["app", "installations", id, "access_tokens"] if asked.method == "POST" => state.access.issue(id),
        _ => not_found(),
    })
}

impl Access {
    fn issue(&mut self, id: &str) -> Said {
        let Some((owner, installation)) = self.installations.iter().find(|(_, i)| i.id.to_string() == id)
        else {
            return not_found();
        };
        if installation.suspended {
            return complaint(403, "This installation has been suspended");
        }
        let until = now() + installation.life;
        let token = format!("ghs_installation{id}n{}NeverToBeSeen", self.count);
        let answer = json!({
            "token": token,
            "expires_at": time(until),
            "permissions": installation.permissions,
            "repository_selection": "all",
        });
        self.issued.push(Issued { token, owner: owner.clone(), until });
        self.count += 1;
        said(201, answer)
    }
}

impl FakeGithub {
    /// Knows an App by the fixtures' key.
    pub fn add_app(&self, id: &str) {
        self.shared.state().access.app = Some(id.to_owned());
    }

    /// Installs the App for an owner, with everything that Dispatch needs. Returns the installation's id.
    pub fn install_app(&self, owner: &str) -> u64 {
        let mut state = self.shared.state();
        let id = 70_001 + state.access.installations.len() as u64;
        let permissions = json!({
            "metadata": "read", "issues": "write", "contents": "write", "pull_requests": "write", "checks": "read",
            "statuses": "read", "actions": "write",
        });
        let life = Duration::from_secs(3_600);
        let installation = Installation { id, permissions, suspended: false, life };
        state.access.installations.insert(owner.to_lowercase(), installation);
        id
    }

    /// Removes an owner's installation; its tokens end.
    pub fn uninstall_app(&self, owner: &str) {
        let mut state = self.shared.state();
        state.access.installations.remove(&owner.to_lowercase());
        state.access.issued.retain(|i| !i.owner.eq_ignore_ascii_case(owner));
    }

    /// Changes what an installation may: `"read"`, or `""` for nothing. Tokens that are out keep what they have.
    pub fn permit_app(&self, owner: &str, permission: &str, level: &str) {
        let mut state = self.shared.state();
        let installation = state.access.installations.get_mut(&owner.to_lowercase());
        let permissions = &mut installation.expect("the test installed it").permissions;
        match level {
            "" => drop(permissions.as_object_mut().and_then(|p| p.remove(permission))),
            level => permissions[permission] = level.into(),
        }
    }

    /// How long later tokens of an owner's installation live.
    pub fn app_tokens_live(&self, owner: &str, life: Duration) {
        let mut state = self.shared.state();
        let installation = state.access.installations.get_mut(&owner.to_lowercase());
        installation.expect("the test installed it").life = life;
    }

    /// Ends all tokens of installations before their time.
    pub fn end_app_tokens(&self) {
        self.shared.state().access.issued.clear();
    }

    /// How many tokens of installations were made.
    #[must_use]
    pub fn app_tokens(&self) -> u64 {
        self.shared.state().access.count
    }

    /// Takes permissions (`issues=write`) from a token that is accepted.
    pub fn forbid(&self, token: &str, lacking: &[&str]) {
        let lacking = lacking.iter().map(|l| (*l).to_owned()).collect();
        self.shared.state().access.lacking.insert(token.to_owned(), lacking);
    }

    /// Makes a token a classic one with these scopes.
    pub fn scope(&self, token: &str, scopes: &str) {
        self.shared.state().access.scopes.insert(token.to_owned(), scopes.to_owned());
    }

    /// Renames a label of a repository and of all that bears it; no issue's time changes.
    pub fn rename_label(&self, repo: &str, from: &str, to: &str) {
        let mut state = self.shared.state();
        let repo = state.known(repo);
        let items = repo.items.values_mut().map(|i| &mut i.labels);
        for label in items.chain([&mut repo.labels]).flatten().filter(|l| *l == from) {
            to.clone_into(label);
        }
    }
}
