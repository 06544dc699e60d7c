//! `dispatchd check`: looks at everything that a start needs and says of each what is wrong and what to do.

use std::io::{self, Write};

use dispatch_shared::id::RepoName;

use crate::api::tcp;
use crate::config::Config;
use crate::config::token::Identity;
use crate::core::record::{ForgeKind, Repo};
use crate::daemon;
use crate::edges::{Edges, Forge as _};
use crate::forge::github::GithubForge;
use crate::{runner, store};

/// Writes a line for each part; returns whether a start would succeed. Starts and changes nothing. `offline` leaves GitHub
/// alone.
///
/// # Errors
/// If `out` cannot be written.
pub async fn run(config: &Config, offline: bool, out: &mut impl Write) -> io::Result<bool> {
    let file = if config.path.exists() { "read" } else { "not there, the defaults hold" };
    writeln!(out, "ok    configuration  {} ({file})", config.path.display())?;
    writeln!(out, "ok    state          {}", config.state_dir.display())?;
    writeln!(out, "ok    socket         {}", config.socket.display())?;
    let mut fine = listener(config, out).await?;
    fine &= webhooks(config, out)?;
    fine &= github(config, offline, out).await?;
    for (kind, answer) in runner::engines(&config.state_dir).await {
        match answer {
            Ok(()) => writeln!(out, "ok    {:<14} usable", kind.word())?,
            Err(error) => writeln!(out, "note  {:<14} {error}", kind.word())?,
        }
    }
    match runner::ready(&config.file.runner, &config.state_dir).await {
        Ok((kind, missing)) => {
            writeln!(out, "ok    runner         runs start on {kind}")?;
            for image in missing {
                let how = format!(
                    "build it with `dispatchd image build --tag {image}`, or it is pulled at the first run"
                );
                writeln!(out, "note  image          {image} is not there: {how}")?;
            }
        }
        Err(error) => writeln!(out, "note  runner         no run can start: {error}")?,
    }
    Ok(fine)
}

async fn listener(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let Some(text) = &config.doors.listen else {
        writeln!(out, "note  tcp            not listened on; DISPATCH_LISTEN=127.0.0.1:8080 turns it on")?;
        return Ok(true);
    };
    match tcp::bind(text, !config.doors.keys.is_empty(), config.doors.off).await {
        Ok(_) if config.doors.off => writeln!(out, "note  tcp            {text}, and auth is off")?,
        Ok(_) => writeln!(out, "ok    tcp            {text}, {} token(s)", config.doors.keys.len())?,
        Err(error) => {
            writeln!(out, "wrong tcp            {error}")?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn webhooks(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    match config.webhook_secret.find() {
        Ok(Some(found)) => writeln!(out, "ok    webhooks       signed with {}", found.source)?,
        Ok(None) => writeln!(out, "note  webhooks       none is taken; WEBHOOK_SECRET turns them on")?,
        Err(error) => {
            writeln!(out, "wrong webhooks       {error}")?;
            return Ok(false);
        }
    }
    Ok(true)
}

async fn github(config: &Config, offline: bool, out: &mut impl Write) -> io::Result<bool> {
    let forge = match daemon::github(config, &Edges::default()) {
        Ok(forge) => forge,
        Err(error) => {
            writeln!(out, "wrong github         {error}")?;
            return Ok(false);
        }
    };
    match forge.source().await {
        Ok((source, stale)) => {
            writeln!(out, "ok    github         {} for {}", source, config.api_url)?;
            if let Some(stale) = stale {
                writeln!(out, "note  github         {stale}")?;
            }
        }
        Err(error) => writeln!(out, "note  github         only local repositories: {error}")?,
    }
    if config.file.github.app.id.is_some() && matches!(config.identity, Identity::Token(_)) {
        writeln!(
            out,
            "note  github         github.app is not used: a token in the environment wins over it"
        )?;
    }
    let (repos, mut fine) = repositories(config, out)?;
    if offline {
        writeln!(out, "note  repositories   {} not looked at (--offline)", repos.len())?;
        return Ok(fine);
    }
    for repo in &repos {
        fine &= permissions(&forge, repo, out).await?;
    }
    Ok(fine)
}

/// Those that are tracked, or would be at the first start.
fn repositories(config: &Config, out: &mut impl Write) -> io::Result<(Vec<Repo>, bool)> {
    let mut found = match store::tracked(&config.state_dir) {
        Ok(found) => found,
        Err(store::OpenError::Locked { .. }) => {
            writeln!(
                out,
                "note  repositories   dispatchd serves; what it tracks is at `GET /api/setup?check=true`"
            )?;
            return Ok((Vec::new(), true));
        }
        Err(error) => {
            writeln!(out, "wrong store          {error}")?;
            return Ok((Vec::new(), false));
        }
    };
    if found.is_empty() {
        let names: std::collections::BTreeSet<&RepoName> = config.seed.iter().collect();
        found.extend(names.into_iter().cloned().map(Repo::unknown));
    }
    found.retain(|r| r.forge == ForgeKind::Github);
    Ok((found, true))
}

async fn permissions(forge: &GithubForge, repo: &Repo, out: &mut impl Write) -> io::Result<bool> {
    let name = &repo.name;
    let seen = match forge.repository(repo).await {
        Ok(seen) => seen,
        Err(error) => {
            writeln!(out, "wrong repository     {name}: {error}")?;
            return Ok(false);
        }
    };
    match forge.allowed(repo).await {
        Ok(allowed) if allowed.missing.is_empty() => {
            writeln!(out, "ok    repository     {} ({})", seen.name, seen.default_branch)?;
            Ok(true)
        }
        Ok(allowed) => {
            for missing in allowed.missing {
                writeln!(out, "wrong permission     {missing}")?;
            }
            Ok(false)
        }
        Err(error) => {
            writeln!(out, "note  permissions    {name}: {error}")?;
            Ok(true)
        }
    }
}
