//! Where the hosted groomer's model is, from the environment.

use std::time::Duration;

use url::Url;

use crate::secret::Secret;

/// See the module.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The endpoint, `https://host/v1`; `/chat/completions` is added.
    pub base_url: Url,
    /// Its key; none for endpoints on this machine.
    pub api_key: Option<Secret>,
    /// The model.
    pub model: String,
    /// How long one answer may take.
    pub timeout: Duration,
    /// The most bytes that are sent as instructions and issue.
    pub max_context: usize,
    /// What counts where a request says nothing.
    pub dry_run: bool,
}

fn flag(name: &str, text: Option<String>, absent: bool) -> Result<bool, String> {
    match text.as_deref().map(|t| t.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(absent),
        Some("true" | "1" | "yes" | "on") => Ok(true),
        Some("false" | "0" | "no" | "off") => Ok(false),
        Some(other) => Err(format!("{name}: `{other}` is neither true nor false")),
    }
}

fn number(name: &str, text: Option<String>, absent: u64, least: u64) -> Result<u64, String> {
    let Some(text) = text else { return Ok(absent) };
    match text.trim().parse::<u64>() {
        Ok(n) if n >= least => Ok(n),
        _ => Err(format!("{name}: `{text}` is no number of at least {least}")),
    }
}

/// Reads the environment; `None` if the groomer is off, or lacks an endpoint or a model.
///
/// # Errors
/// A sentence that names the variable.
pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, String> {
    let env = |name: &str| get(name).filter(|v| !v.trim().is_empty());
    if !flag("DISPATCH_HOSTED_GROOMER_ENABLED", env("DISPATCH_HOSTED_GROOMER_ENABLED"), false)? {
        return Ok(None);
    }
    let timeout = number("DISPATCH_GROOMER_TIMEOUT_MS", env("DISPATCH_GROOMER_TIMEOUT_MS"), 60_000, 1)?;
    let context = number(
        "DISPATCH_GROOMER_MAX_CONTEXT_BYTES",
        env("DISPATCH_GROOMER_MAX_CONTEXT_BYTES"),
        32_768,
        4_096,
    )?;
    let dry_run = flag("DISPATCH_GROOMER_DRY_RUN", env("DISPATCH_GROOMER_DRY_RUN"), true)?;
    let (Some(base), Some(model)) = (env("DISPATCH_LLM_BASE_URL"), env("DISPATCH_GROOMER_MODEL")) else {
        tracing::warn!(
            "the hosted groomer is on, but DISPATCH_LLM_BASE_URL or DISPATCH_GROOMER_MODEL is missing"
        );
        return Ok(None);
    };
    // What was written is not repeated: a key may have been pasted into it.
    let wrong = "DISPATCH_LLM_BASE_URL is no address like https://host/v1 without user and password";
    let base_url = Url::parse(base.trim()).map_err(|_| wrong.to_owned())?;
    let clean = base_url.username().is_empty() && base_url.password().is_none() && base_url.query().is_none();
    if !matches!(base_url.scheme(), "http" | "https") || !clean {
        return Err(wrong.to_owned());
    }
    Ok(Some(Settings {
        base_url,
        api_key: env("DISPATCH_LLM_API_KEY").map(|key| Secret::new(&key)),
        model: model.trim().to_owned(),
        timeout: Duration::from_millis(timeout),
        max_context: usize::try_from(context).unwrap_or(usize::MAX),
        dry_run,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    const ON: (&str, &str) = ("DISPATCH_HOSTED_GROOMER_ENABLED", "true");
    const URL: (&str, &str) = ("DISPATCH_LLM_BASE_URL", "http://127.0.0.1:9/v1");
    const MODEL: (&str, &str) = ("DISPATCH_GROOMER_MODEL", "m");

    #[test]
    fn off_unless_asked_for_and_complete() {
        assert!(from(&[URL, MODEL]).unwrap().is_none());
        assert!(from(&[ON, URL]).unwrap().is_none());
        let settings = from(&[ON, URL, MODEL]).unwrap().unwrap();
        assert!(settings.dry_run && settings.api_key.is_none());
    }

    #[test]
    fn errors_name_the_variable_and_no_secret() {
        let said = from(&[ON, MODEL, ("DISPATCH_LLM_BASE_URL", "https://me:sk-1@host/v1")]).unwrap_err();
        assert!(said.contains("DISPATCH_LLM_BASE_URL") && !said.contains("sk-1"), "{said}");
        let said = from(&[ON, URL, MODEL, ("DISPATCH_GROOMER_TIMEOUT_MS", "soon")]).unwrap_err();
        assert!(said.contains("DISPATCH_GROOMER_TIMEOUT_MS"), "{said}");
        let key = ("DISPATCH_LLM_API_KEY", "sk-secret");
        let settings = from(&[ON, URL, MODEL, key]).unwrap().unwrap();
        assert!(!format!("{settings:?}").contains("sk-secret"));
    }
}
