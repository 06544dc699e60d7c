//! Which submodules a checkout gets, and from where: what `.gitmodules` says is input of whoever may push there.
//!
//! A repository that is not its owner's own may name any address. So the credential of a repository is offered to what lies
//! beside it alone (the same host and owner), other hosts are asked only if the operator says so, and nothing that git would
//! take for an option, a program or a file of this machine gets that far.

use serde::Deserialize;

/// How deep submodules may lie in submodules.
pub const DEPTH: usize = 4;
/// How many are fetched for one checkout.
pub const COUNT: usize = 64;

/// Which are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// None.
    Off,
    /// Those of the repository's own host; of a repository on this machine, those beside it.
    #[default]
    Own,
    /// All that have a safe address.
    Any,
}

/// One entry of `.gitmodules`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// As the entry is called.
    pub name: String,
    /// Where in the checkout it lies.
    pub path: String,
    /// As it is written there.
    pub url: String,
}

/// Where a submodule is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// For git.
    pub url: String,
    /// Whether the credential of the repository itself may be offered there.
    pub trusted: bool,
}

/// The entries that git lists of a `.gitmodules` (`git config -z --list`), those alone that name a path.
#[must_use]
pub fn parse(listing: &str) -> Vec<Module> {
    let mut found: Vec<Module> = Vec::new();
    for entry in listing.split('\0') {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
        // The name in the middle keeps its case and may hold dots; the first and last part do not.
        let Some((name, field)) = key.strip_prefix("submodule.").and_then(|rest| rest.rsplit_once('.'))
        else {
            continue;
        };
        if found.iter().all(|m| m.name != name) {
            found.push(Module { name: name.to_owned(), ..Module::default() });
        }
        let Some(module) = found.iter_mut().find(|m| m.name == name) else { continue };
        match field {
            "path" => module.path = value.to_owned(),
            "url" => module.url = value.to_owned(),
            _ => {}
        }
    }
    found.retain(|m| !m.path.is_empty());
    found
}

/// Whether name and path stay what they are: no way out of the checkout, into a `.git`, or into an option.
///
/// # Errors
/// A sentence.
pub fn check(module: &Module) -> Result<(), String> {
    let climbs = |text: &str| text.split(['/', '\\']).any(|part| part == "..");
    if module.name.is_empty() || climbs(&module.name) || module.name.contains(char::is_control) {
        return Err("its name leads out of where git keeps submodules".into());
    }
    let odd = |part: &str| part.is_empty() || part == "." || part.eq_ignore_ascii_case(".git");
    if climbs(&module.path) || module.path.starts_with('-') || module.path.split('/').any(odd) {
        return Err("its path leads out of the checkout".into());
    }
    Ok(())
}

/// An address, taken apart.
struct Parts<'a> {
    scheme: &'a str,
    /// With a port, without a user.
    host: String,
    user: Option<&'a str>,
    /// Without the slash that it begins with.
    path: &'a str,
}

/// Takes `https://host/path` and `user@host:path` apart; `None` for what names no host.
fn parts(url: &str) -> Option<Parts<'_>> {
    let split = |place: &'_ str| place.rfind('@');
    if let Some((scheme, rest)) = url.split_once("://") {
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match split(place) {
            Some(at) => (Some(&place[..at]), &place[at + 1..]),
            None => (None, place),
        };
        return Some(Parts { scheme, host: host.to_ascii_lowercase(), user, path });
    }
    let (place, path) = url.split_once(':').filter(|(place, _)| !place.contains('/'))?;
    let (user, host) = match split(place) {
        Some(at) => (Some(&place[..at]), &place[at + 1..]),
        None => (None, place),
    };
    Some(Parts { scheme: "ssh", host: host.to_ascii_lowercase(), user, path: path.trim_start_matches('/') })
}

/// A relative address, seen from `base`.
fn resolve(url: &str, base: &str) -> Option<String> {
    let mut base = base.trim_end_matches('/');
    let mut rest = url;
    loop {
        if let Some(inner) = rest.strip_prefix("./") {
            rest = inner;
        } else if let Some(inner) = rest.strip_prefix("../") {
            let (up, gone) = base.rsplit_once('/')?;
            // The host itself is no directory.
            if gone.is_empty() || up.ends_with('/') || up.is_empty() {
                return None;
            }
            (base, rest) = (up, inner);
        } else {
            break;
        }
    }
    (!rest.is_empty()).then(|| format!("{base}/{rest}"))
}

/// Where `url`, as a repository at `base` writes it, is fetched from; `origin` is the repository that is worked on, whose
/// credential is at hand.
///
/// # Errors
/// A sentence that says why it is not fetched.
pub fn address(url: &str, base: &str, origin: &str, which: Which) -> Result<Address, String> {
    let odd = || format!("its address `{}` is none that is fetched", url.escape_debug());
    let climbs = |path: &str| {
        let lower = path.to_ascii_lowercase();
        path.split('/').any(|part| part == "..") || lower.contains("%2e") || lower.contains("%2f")
    };
    if url.is_empty() || url.starts_with('-') || url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(odd());
    }
    if url.contains("::") || url.contains(['\\', '?', '#']) {
        return Err(odd());
    }
    let url_of = if url.starts_with("./") || url.starts_with("../") {
        resolve(url, base).ok_or_else(odd)?
    } else {
        url.to_owned()
    };
    let local = |url: &str| url.strip_prefix("file://").unwrap_or(url).starts_with('/');
    if local(&url_of) {
        let path = url_of.strip_prefix("file://").unwrap_or(&url_of).to_owned();
        let from = origin.strip_prefix("file://").unwrap_or(origin);
        if !local(origin) {
            return Err(format!("its address `{path}` is a path on this machine"));
        }
        if climbs(&path) {
            return Err(odd());
        }
        let beside = from.trim_end_matches('/').rsplit_once('/').map(|(up, _)| format!("{up}/"));
        if which != Which::Any && !beside.is_some_and(|up| path.starts_with(&up)) {
            return Err(format!("{path} is not beside the repository, and runner.submodules is not \"any\""));
        }
        return Ok(Address { url: path, trusted: true });
    }
    let there = parts(&url_of).ok_or_else(odd)?;
    let here = parts(origin);
    let option = |text: &str| text.is_empty() || text.starts_with('-');
    if option(&there.host) || option(there.path) || climbs(there.path) || there.user.is_some_and(option) {
        return Err(odd());
    }
    let same_way = here.as_ref().is_some_and(|h| h.scheme == there.scheme);
    let web = matches!(there.scheme, "http" | "https");
    match there.scheme {
        "https" | "ssh" => {}
        "http" | "git" if same_way => {}
        scheme => {
            return Err(format!("its address goes over `{}`, which is not safe", scheme.escape_debug()));
        }
    }
    if there.user.is_some_and(|user| web || user.contains(':')) {
        return Err("its address holds a user or a password".into());
    }
    let bare = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
    let own = here.as_ref().is_some_and(|h| match (h.scheme, there.scheme) {
        (a, b) if a == b => h.host == there.host,
        _ => bare(&h.host) == bare(&there.host),
    });
    if which != Which::Any && !own {
        return Err(format!("it is on {}, and runner.submodules is not \"any\"", there.host));
    }
    let Some(here) = here.filter(|_| own) else { return Ok(Address { url: url_of, trusted: false }) };
    // The daemon's way to its own host is the one that it has a credential for.
    let origin_web = matches!(here.scheme, "http" | "https");
    let rewritten = (origin_web && there.scheme == "ssh")
        .then(|| format!("{}://{}/{}", here.scheme, here.host, there.path));
    let owner = |path: &str| path.split('/').next().unwrap_or_default().to_ascii_lowercase();
    // A submodule of somebody else's lends none to what it names in turn.
    let kin = |path: &str| owner(path) == owner(here.path);
    let asked = parts(base).is_some_and(|b| b.host == here.host && kin(b.path));
    let trusted = (same_way || rewritten.is_some()) && asked && kin(there.path);
    Ok(Address { url: rewritten.unwrap_or(url_of), trusted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://git.example/acme/app.git";

    fn at(url: &str) -> Result<(String, bool), String> {
        address(url, HERE, HERE, Which::Own).map(|a| (a.url, a.trusted))
    }

    #[test]
    fn what_lies_beside_a_repository_is_fetched_with_its_credential() {
        let beside = Ok(("https://git.example/acme/lib.git".to_owned(), true));
        for url in [
            "../lib.git",
            "./../lib.git",
            "https://git.example/acme/lib.git",
            "git@git.example:acme/lib.git",
            "ssh://git@git.example/acme/lib.git",
        ] {
            assert_eq!(at(url), beside, "{url}");
        }
        let other = Ok(("https://git.example/other/lib.git".to_owned(), false));
        assert_eq!(at("../../other/lib.git"), other, "another owner's is fetched as anybody would");
        assert!(at("https://other.example/acme/lib.git").is_err_and(|e| e.contains("other.example")));
        let any = address("https://other.example/acme/lib", HERE, HERE, Which::Any);
        assert_eq!(any, Ok(Address { url: "https://other.example/acme/lib".into(), trusted: false }));
    }

    #[test]
    fn a_submodule_of_another_owner_lends_its_own_no_credential() {
        let theirs = "https://git.example/evil/lib.git";
        let next = |url| address(url, theirs, HERE, Which::Own).map(|a| (a.url, a.trusted));
        assert_eq!(next("../more.git"), Ok(("https://git.example/evil/more.git".into(), false)));
        let back = next("https://git.example/acme/secret.git");
        assert_eq!(back, Ok(("https://git.example/acme/secret.git".into(), false)));
    }

    #[test]
    fn no_address_is_an_option_a_program_or_a_file() {
        for url in [
            "",
            "-u./x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "ext::x",
            "fd::7",
            "file:///etc",
            "/etc",
            "foo/bar",
            "http://git.example/acme/lib",
            "git://git.example/acme/lib",
            "ftp://git.example/acme/lib",
            "ssh://-oProxyCommand=x/acme",
            "-oProxyCommand=x:acme",
            "git@-oProxyCommand=x:acme",
            "-x@git.example:acme",
            "git@git.example:-x",
            "https:///acme",
            "https://me:secret@git.example/acme/lib",
            "https://git.example@evil.example/acme/lib",
            "https://git.example/acme/../../evil/x",
            "https://git.example/acme/%2e%2e/evil/x",
            "https://git.example/acme/x?y",
            "https://git.example\\@evil.example/acme",
            "https://git.example/a\nb",
            "../../../../x",
            "../../../x",
            "../",
        ] {
            for which in [Which::Own, Which::Any] {
                let said = address(url, HERE, HERE, which);
                assert!(said.is_err(), "{url:?}: {said:?}");
            }
        }
    }

    #[test]
    fn a_repository_on_this_machine_has_its_neighbours_alone() {
        let at = |url: &str, which| address(url, "/src/app", "/src/app", which).map(|a| a.url);
        assert_eq!(at("../lib", Which::Own), Ok("/src/lib".into()));
        assert_eq!(at("/src/lib", Which::Own), Ok("/src/lib".into()));
        assert_eq!(at("file:///src/lib", Which::Own), Ok("/src/lib".into()));
        assert!(at("/home/me/secret", Which::Own).is_err());
        assert_eq!(at("/home/me/lib", Which::Any), Ok("/home/me/lib".into()));
        assert!(at("/src/../home/me", Which::Any).is_err());
    }

    #[test]
    fn names_and_paths_stay_inside() {
        let module =
            |name: &str, path: &str| Module { name: name.into(), path: path.into(), url: "../x".into() };
        for (name, path) in [
            ("../../hooks", "x"),
            ("a/../b", "x"),
            ("a\\..\\b", "x"),
            ("", "x"),
            ("x", "../x"),
            ("x", "/etc"),
            ("x", ".git/hooks"),
            ("x", "a/.GIT"),
            ("x", "a//b"),
            ("x", "-x"),
        ] {
            assert!(check(&module(name, path)).is_err(), "{name:?} {path:?}");
        }
        assert_eq!(check(&module("libs/a.b", ".github/actions/a.b")), Ok(()));
    }

    #[test]
    fn what_git_lists_is_read() {
        let listing = "submodule.libs/a.b.path\nlibs/a\0submodule.libs/a.b.url\n../a\0submodule.half.url\n../h\0\
                       core.x\n1\0submodule.libs/a.b.update\n!touch pwned\0";
        let module = Module { name: "libs/a.b".into(), path: "libs/a".into(), url: "../a".into() };
        assert_eq!(parse(listing), [module]);
    }
}
