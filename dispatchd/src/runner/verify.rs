//! The repository's own checks: which commands they are.

use std::path::Path;

use super::settings::Verify;

/// The commands to run in `repo`, in order; none if nothing is to be verified.
pub(super) fn commands(verify: &Verify, repo: &Path) -> Vec<String> {
    match verify {
        Verify::Off => Vec::new(),
        Verify::Commands(list) => list.clone(),
        Verify::Auto => detect(repo),
    }
}

fn detect(repo: &Path) -> Vec<String> {
    let has = |name: &str| repo.join(name).is_file();
    let mut found = Vec::new();
    if has("Cargo.toml") {
        found.push("cargo test --quiet");
    }
    if has("go.mod") {
        found.push("go vet ./... && go test ./...");
    }
    if has("package.json") {
        found.push(if has("pnpm-lock.yaml") {
            "pnpm test"
        } else if has("yarn.lock") {
            "yarn test"
        } else {
            "npm test --silent"
        });
    }
    if has("pyproject.toml") || has("setup.cfg") || has("pytest.ini") {
        found.push("python3 -m pytest -q");
    }
    if has("composer.json") {
        found.push("composer validate --no-interaction && composer test --no-interaction");
    }
    found.into_iter().map(str::to_owned).collect()
}

/// One command that runs all of them, names each, and stops at the first that fails.
pub(super) fn argv(commands: &[String]) -> Vec<String> {
    const EACH: &str = r#"for check in "$@"; do echo "+ $check"; sh -c "$check" </dev/null || exit; done"#;
    let mut argv: Vec<String> = ["sh", "-c", EACH, "verify"].map(str::to_owned).into();
    argv.extend(commands.iter().cloned());
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_detected() {
        let dir = tempfile::tempdir().unwrap();
        assert!(commands(&Verify::Auto, dir.path()).is_empty());
        for name in ["Cargo.toml", "package.json", "yarn.lock"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(commands(&Verify::Auto, dir.path()), ["cargo test --quiet", "yarn test"]);
        assert!(commands(&Verify::Off, dir.path()).is_empty());
    }

    #[test]
    fn the_first_failure_ends_the_checks_with_its_code() {
        let argv = argv(&["true".into(), "exit 3".into(), "echo never".into()]);
        let output = std::process::Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "+ true\n+ exit 3\n");
    }
}
