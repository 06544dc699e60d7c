//! Where GitHub's token is looked for.

use super::{ConfigError, File};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// GitHub's token and where it was found: the environment, the file named, what was entered, else what `gh` has.
pub(super) fn find(
    file: &File,
    kept: &Credentials,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<(Secret, &'static str)>, ConfigError> {
    if let Some(token) = env("GH_TOKEN").or_else(|| env("GITHUB_TOKEN")) {
        return Ok(Some((Secret::new(token.trim()), "environment")));
    }
    if let Some(path) = &file.github.token_file {
        let token = Secret::read(path).map_err(|e| ConfigError(format!("github.token_file: {e}")))?;
        return Ok(Some((token, "file")).filter(|(t, _)| !t.is_empty()));
    }
    if let Some(token) = kept.get("githubToken") {
        return Ok(Some((token.clone(), "setup")));
    }
    let asked =
        std::process::Command::new("gh").args(["auth", "token"]).stdin(std::process::Stdio::null()).output();
    Ok(asked
        .ok()
        .filter(|out| out.status.success())
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .map(|text| (Secret::new(text.trim()), "gh"))
        .filter(|(t, _)| !t.is_empty()))
}
