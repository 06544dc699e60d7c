//! Logs: to standard error, where systemd and launchd pick them up; what is logged is chosen by `DISPATCH_LOG`.

use tracing_subscriber::EnvFilter;

/// Starts logging. `filter` is the value of `DISPATCH_LOG`; nonsense in it is said and ignored.
pub fn start(filter: Option<&str>) {
    let parsed = filter.map(EnvFilter::try_new);
    let (filter, wrong) = match parsed {
        None => (EnvFilter::new("info"), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(e)) => (EnvFilter::new("info"), Some(e)),
    };
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    // A second start, in tests, keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_writer(std::io::stderr)
        .try_init();
    if let Some(error) = wrong {
        tracing::warn!(%error, "DISPATCH_LOG cannot be read; logging at info");
    }
}
