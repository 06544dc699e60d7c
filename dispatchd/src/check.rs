//! `dispatchd check`: looks at everything that a start needs and says of each what is wrong and what to do.

use std::io::{self, Write};
use std::sync::Arc;

use crate::api::tcp;
use crate::config::Config;
use crate::edges::{Edges, Forge as _};
use crate::forge::github::GithubForge;
use crate::runner;

/// Writes a line for each part; returns whether a start would succeed. Starts and changes nothing.
///
/// # Errors
/// If `out` cannot be written.
pub async fn run(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let file = if config.path.exists() { "read" } else { "not there, the defaults hold" };
    writeln!(out, "ok    configuration  {} ({file})", config.path.display())?;
    writeln!(out, "ok    state          {}", config.state_dir.display())?;
    writeln!(out, "ok    socket         {}", config.socket.display())?;
    let mut fine = true;
    match &config.doors.listen {
        None => {
            writeln!(out, "note  tcp            not listened on; DISPATCH_LISTEN=127.0.0.1:8080 turns it on")?
        }
        Some(text) => match tcp::bind(text, !config.doors.keys.is_empty(), config.doors.off).await {
            Ok(_) if config.doors.off => writeln!(out, "note  tcp            {text}, and auth is off")?,
            Ok(_) => writeln!(out, "ok    tcp            {text}, {} token(s)", config.doors.keys.len())?,
            Err(error) => {
                fine = false;
                writeln!(out, "wrong tcp            {error}")?;
            }
        },
    }
    match &config.token {
        None => writeln!(
            out,
            "note  github         no token; only local repositories. Set GH_TOKEN, or log in with `gh auth login`"
        )?,
        Some(token) => {
            let forge = GithubForge::new(config.api_url.clone(), Some(token.clone()), Edges::default());
            match forge.map(Arc::new) {
                Err(error) => {
                    fine = false;
                    writeln!(out, "wrong github         {error}")?;
                }
                Ok(forge) => {
                    writeln!(out, "ok    github         a token for {}", config.api_url)?;
                    for name in &config.seed {
                        let repo = crate::core::record::Repo::unknown(name.clone());
                        match forge.repository(&repo).await {
                            Ok(seen) => {
                                writeln!(out, "ok    repository     {} ({})", seen.name, seen.default_branch)?
                            }
                            Err(error) => {
                                fine = false;
                                writeln!(out, "wrong repository     {name}: {error}")?;
                            }
                        }
                    }
                }
            }
        }
    }
    for (kind, answer) in runner::engines(&config.state_dir).await {
        match answer {
            Ok(()) => writeln!(out, "ok    {:<14} usable", kind.word())?,
            Err(error) => writeln!(out, "note  {:<14} {error}", kind.word())?,
        }
    }
    Ok(fine)
}
