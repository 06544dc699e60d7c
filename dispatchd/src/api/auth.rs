//! Who asks: the tokens that there are, and what they are good for.
//!
//! The local socket's peer is the operator; a token that it presents lowers it to that token's tier. On TCP there is a token,
//! or with `auth = "off"` whoever comes is the operator.

use std::time::Duration;

use dispatch_shared::error::Code;
use dispatch_shared::id::AgentName;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::count::Requests;
use super::error::{Failure, failure};
use super::limit::Limiter;
use super::tier::Tier;
use crate::secret::Secret;

/// A token and what it is good for.
#[derive(Clone, Debug)]
pub struct Key {
    /// The token.
    pub token: Secret,
    /// Worker or maintainer.
    pub tier: Tier,
    /// The one name that it acts for.
    pub bound: Option<AgentName>,
}

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The local socket.
    Local,
    /// TCP.
    Tcp,
}

/// What guards both doors.
#[derive(Debug)]
pub struct Doors {
    keys: Vec<([u8; 32], Tier, Option<AgentName>)>,
    pub(super) off: bool,
    tcp: bool,
    pub(super) limiter: Limiter,
    /// What was answered so far.
    pub requests: Requests,
}

impl Doors {
    /// Guards with these tokens; `off` asks for none. `tcp` says whether there is a TCP listener at all; there, an actor may
    /// make `most` changes `within` a span.
    #[must_use]
    pub fn new(keys: &[Key], off: bool, tcp: bool, most: usize, within: Duration) -> Self {
        let keys = keys.iter().map(|k| (digest(k.token.expose()), k.tier, k.bound.clone())).collect();
        Self { keys, off, tcp, limiter: Limiter::new(most, within), requests: Requests::default() }
    }

    /// `socket` without a TCP listener, else `token` or `off`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match (self.tcp, self.off) {
            (false, _) => "socket",
            (true, false) => "token",
            (true, true) => "off",
        }
    }

    /// The token's place in the list. Takes as long for a wrong token as for a right one, however much of it is right.
    fn find(&self, token: &str) -> Option<usize> {
        let presented = digest(token);
        let (mut found, mut at) = (Choice::from(0), 0_u64);
        for (n, (known, ..)) in (0_u64..).zip(&self.keys) {
            let same = known.ct_eq(&presented);
            at.conditional_assign(&n, same);
            found |= same;
        }
        bool::from(found).then(|| usize::try_from(at).unwrap_or_default())
    }

    /// Who sends these headers through this door.
    ///
    /// # Errors
    /// 401.
    pub(super) fn identify(&self, door: Entrance, headers: &HeaderMap) -> Result<Caller, Failure> {
        let operator = Caller { tier: Tier::Maintainer, bound: None, named: None, key: "operator".into() };
        let open = door == Entrance::Local || self.off;
        let Some(given) = headers.get(AUTHORIZATION).filter(|v| !v.is_empty()) else {
            if open {
                return Ok(operator);
            }
            let none = if self.keys.is_empty() {
                "; dispatchd has none yet: start it with DISPATCH_AGENT_TOKEN"
            } else {
                ": DISPATCH_AGENT_TOKEN or DISPATCH_WORKER_TOKEN"
            };
            return Err(failure(
                Code::Unauthorized,
                format!("a token is needed over TCP, as `Authorization: Bearer …`{none}"),
            ));
        };
        let token = given
            .to_str()
            .ok()
            .and_then(|v| v.split_once(' '))
            .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty());
        let Some((_, token)) = token else {
            return Err(failure(Code::Unauthorized, "write the token as `Authorization: Bearer …`"));
        };
        match self.find(token.trim()).and_then(|n| Some((n, self.keys.get(n)?))) {
            Some((n, (_, tier, bound))) => {
                Ok(Caller { tier: *tier, bound: bound.clone(), named: None, key: format!("token {n}") })
            }
            // Whoever may pass without a token may pass with one meant for elsewhere; on the socket it is a mistake that
            // should not end with more rights than were asked for.
            None if self.off && door == Entrance::Tcp => Ok(operator),
            None => Err(failure(
                Code::Unauthorized,
                "dispatchd does not know this token; compare DISPATCH_AGENT_TOKEN or DISPATCH_WORKER_TOKEN with the daemon's",
            )),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What a worker is called that says nowhere who it is.
pub const UNNAMED: &str = "worker";

/// Who asks; with every request, for handlers that care.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How much it may do.
    pub tier: Tier,
    /// The one name that its token acts for.
    pub bound: Option<AgentName>,
    /// The name it goes by in the audit if it sends no `x-agent-name`.
    pub named: Option<String>,
    /// What tells it from others where changes are counted.
    pub(super) key: String,
}

impl Caller {
    /// Whoever asks where nobody is asked.
    pub(super) fn anybody() -> Self {
        Self { tier: Tier::Open, bound: None, named: None, key: "anybody".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(off: bool) -> Doors {
        let key = |token: &str, tier, bound: Option<&str>| Key {
            token: Secret::new(token),
            tier,
            bound: bound.map(|b| AgentName::parse(b).expect("a name")),
        };
        let keys = [
            key("m-1", Tier::Maintainer, None),
            key("w-1", Tier::Worker, None),
            key("k-1", Tier::Worker, Some("kai")),
        ];
        Doors::new(&keys, off, true, 30, Duration::from_secs(10))
    }

    fn tier(doors: &Doors, door: Entrance, authorization: Option<&str>) -> Result<(Tier, bool), u16> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        }
        let caller = doors.identify(door, &headers).map_err(|f| f.0.code.status())?;
        Ok((caller.tier, caller.bound.is_some()))
    }

    #[test]
    fn a_token_decides_on_tcp_and_lowers_on_the_socket() {
        let doors = doors(false);
        for door in [Entrance::Tcp, Entrance::Local] {
            assert_eq!(tier(&doors, door, Some("Bearer m-1")), Ok((Tier::Maintainer, false)));
            assert_eq!(tier(&doors, door, Some("bearer  w-1 ")), Ok((Tier::Worker, false)));
            assert_eq!(tier(&doors, door, Some("Bearer k-1")), Ok((Tier::Worker, true)));
            for wrong in ["Bearer m-2", "Bearer m-", "Bearer", "Bearer  ", "Basic m-1", "m-1"] {
                assert_eq!(tier(&doors, door, Some(wrong)), Err(401), "{wrong}");
            }
        }
        assert_eq!(tier(&doors, Entrance::Tcp, None), Err(401));
        assert_eq!(tier(&doors, Entrance::Local, None), Ok((Tier::Maintainer, false)));
    }

    #[test]
    fn without_tokens_nobody_passes_by_luck() {
        let none = Doors::new(&[], false, true, 30, Duration::from_secs(10));
        assert_eq!(tier(&none, Entrance::Tcp, Some("Bearer ")), Err(401));
        assert_eq!(tier(&none, Entrance::Tcp, Some("Bearer x")), Err(401));
    }

    #[test]
    fn off_is_open_and_still_lowers() {
        let doors = doors(true);
        assert_eq!(tier(&doors, Entrance::Tcp, None), Ok((Tier::Maintainer, false)));
        assert_eq!(tier(&doors, Entrance::Tcp, Some("Bearer w-1")), Ok((Tier::Worker, false)));
        assert_eq!(doors.mode(), "off");
    }
}
