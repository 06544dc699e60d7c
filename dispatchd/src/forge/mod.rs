//! GitHub and the local forge, the sync that reads them and the outbox that writes them.
//!
//! - [`github`], [`local`]: the two places where issues live, behind [`Forge`].
//! - [`hinted`]: reads what a webhook is about.
//! - [`sync`]: reads what changed into the ledger, each repository at its own pace.
//! - [`health`]: looks at how pull requests are.
//! - [`automation`]: reads workflows, their runs and releases, each repository at its own pace.
//! - [`waits`]: reads what blocks issues, where the forge keeps that.
//! - [`outbox`]: carries out what the ledger wants written.
//!
//! Neither the sync nor the outbox knows which forge it talks to; [`Forges`] picks it by repository.

use std::sync::Arc;

use crate::core::record::{ForgeKind, Repo};
use crate::edges::{Forge, ForgeError};

pub mod automation;
pub mod github;
pub mod health;
pub mod hinted;
pub mod local;
pub mod outbox;
mod pace;
#[cfg(test)]
mod stub;
pub mod sync;
pub mod waits;

/// The forges that there are.
#[derive(Clone)]
pub struct Forges {
    /// GitHub, which says itself if there is no token; `None` where it is left out.
    pub github: Option<Arc<dyn Forge>>,
    /// Repositories on disk.
    pub local: Arc<dyn Forge>,
}

impl crate::edges::Forges for Forges {
    fn for_repo(&self, repo: &Repo) -> Result<Arc<dyn Forge>, ForgeError> {
        match repo.forge {
            ForgeKind::Local => Ok(self.local.clone()),
            ForgeKind::Github => self.github.clone().ok_or_else(|| {
                ForgeError::Unauthorized(format!("{} lives on GitHub, which is left out here", repo.name))
            }),
        }
    }
}

impl std::fmt::Debug for Forges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forges").field("github", &self.github.is_some()).finish_non_exhaustive()
    }
}
