//! Where GitHub's credential is, what is wrong with it, and what it may: as `/api/setup` shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch_shared::id::RepoKey;
use dispatch_shared::protocol::setup::Credential;
use futures_util::stream::{self, StreamExt as _};

use crate::api::Access;
use crate::core::record::{ForgeKind, Repo};
use crate::edges::{Edges, Source};
use crate::forge::github::GithubForge;

/// How long one repository is looked at, and how many at a time.
const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 4;

/// See the module.
pub struct Looks {
    github: Arc<GithubForge>,
    edges: Edges,
    found: Mutex<BTreeMap<RepoKey, Access>>,
}

impl Looks {
    /// Looks with `github`.
    #[must_use]
    pub fn new(github: Arc<GithubForge>, edges: Edges) -> Self {
        Self { github, edges, found: Mutex::default() }
    }

    /// See [`crate::api::ForgeDesk::credential`].
    pub async fn credential(&self) -> Credential {
        let troubles = self.github.troubles().borrow().values().cloned().collect::<Vec<_>>().join("; ");
        let trouble = Some(troubles).filter(|t| !t.is_empty());
        match self.github.source().await {
            Err(error) => Credential { note: trouble.or(Some(error.to_string())), ..Credential::default() },
            Ok((source, stale)) => Credential {
                configured: true,
                source: Some(source.word().to_owned()),
                note: trouble.or(stale).or_else(|| place(&source)),
            },
        }
    }

    /// See [`crate::api::ForgeDesk::check_access`].
    pub async fn check(&self, repos: &[Arc<Repo>]) {
        let github = repos.iter().filter(|r| r.forge == ForgeKind::Github);
        stream::iter(github).for_each_concurrent(AT_ONCE, |repo| self.look(repo)).await;
    }

    async fn look(&self, repo: &Repo) {
        let looked = tokio::time::timeout(PATIENCE, self.github.allowed(repo)).await;
        let at = self.edges.clock.now();
        let failed = |said| Access { at, kind: None, missing: Vec::new(), failed: Some(said) };
        let access = match looked {
            Err(_) => failed(format!("GitHub did not answer within {} s", PATIENCE.as_secs())),
            Ok(Err(error)) => failed(error.to_string()),
            Ok(Ok(allowed)) => {
                Access { at, kind: Some(allowed.kind), missing: allowed.missing, failed: None }
            }
        };
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.key.clone(), access);
    }

    /// See [`crate::api::ForgeDesk::access`].
    pub fn of(&self, repo: &RepoKey) -> Option<Access> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    /// Forgets what was found: it has changed.
    pub fn forget(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.github.forget_installations();
    }
}

/// Where it is exactly, where the kind of place does not say it.
fn place(source: &Source) -> Option<String> {
    match source {
        Source::Setup => None,
        other => Some(other.to_string()),
    }
}
