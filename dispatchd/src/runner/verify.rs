//! The repository's own checks: which commands they are, and running them where the run ran.

use std::path::Path;

use dispatch_shared::run::EndClass;

use super::agents::Agent;
use super::disk;
use super::follow;
use super::log::Writer;
use super::prepare;
use super::publish;
use super::settings::Verify;
use super::supervise::{Life, Stop, crashed};
use super::tree;
use super::workspace::Workspace;
use crate::core::budget;
use crate::core::command::RunStep;
use crate::core::fix::excerpt::Excerpt;
use crate::core::record::{Checked, Repo, Run};
use crate::core::rounds::{self, Allowance};
use crate::edges::Exit;

/// A file that tells of checks is no longer.
const LONGEST: u64 = 4 << 20;

/// The commands to run in `repo`, in order; none if nothing is to be verified.
pub(super) fn commands(verify: &Verify, repo: &Path) -> Vec<String> {
    match verify {
        Verify::Off => Vec::new(),
        Verify::Commands(list) => list.clone(),
        Verify::Auto => detect(repo),
    }
}

/// The checks that a repository of this kind is known for. Its files are an agent's: no link is followed.
fn detect(repo: &Path) -> Vec<String> {
    let has = |name: &str| std::fs::symlink_metadata(repo.join(name)).is_ok_and(|m| m.is_file());
    let text = |name: &str| {
        let read = tree::read_plain(&repo.join(name), LONGEST).ok().flatten();
        read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    let mut found = Vec::new();
    if has("Cargo.toml") {
        found.push("cargo test --quiet".to_owned());
    }
    if has("go.mod") {
        found.push("go vet ./... && go test ./...".to_owned());
    }
    if script(&text("package.json")) {
        let (install, test) = if has("pnpm-lock.yaml") {
            ("pnpm install --frozen-lockfile", "pnpm test")
        } else if has("yarn.lock") {
            ("yarn install --frozen-lockfile", "yarn test")
        } else if has("package-lock.json") || has("npm-shrinkwrap.json") {
            ("npm ci --silent", "npm test --silent")
        } else {
            ("npm install --silent --no-package-lock", "npm test --silent")
        };
        found.push(format!("{{ test -d node_modules || {install}; }} && {test}"));
    }
    if pytest(repo, &has, &text) {
        // Code 5 says that there is no test.
        found.push("python3 -m pytest -q || test $? -eq 5".to_owned());
    }
    if has("composer.json") {
        found.push("composer validate --no-interaction".to_owned());
        if script(&text("composer.json")) {
            found.push("composer test --no-interaction".to_owned());
        } else if has("phpunit.xml") || has("phpunit.xml.dist") {
            found.push("vendor/bin/phpunit".to_owned());
        }
    }
    // Where there is a way of the language's own, the Makefile most often calls that.
    if found.is_empty()
        && let Some(file) = ["GNUmakefile", "makefile", "Makefile"].into_iter().find(|n| has(n))
        && let Some(target) = target(&text(file))
    {
        found.push(format!("make {target}"));
    }
    found
}

/// Whether a `package.json` or `composer.json` has a script `test` that tests: the one that `npm init` writes only fails.
fn script(json: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    match value.pointer("/scripts/test") {
        Some(serde_json::Value::String(line)) => {
            !line.trim().is_empty() && !line.contains("no test specified")
        }
        Some(serde_json::Value::Array(lines)) => !lines.is_empty(),
        _ => false,
    }
}

fn pytest(repo: &Path, has: &dyn Fn(&str) -> bool, text: &dyn Fn(&str) -> String) -> bool {
    let named = has("pytest.ini")
        || has("conftest.py")
        || text("pyproject.toml").contains("[tool.pytest")
        || text("setup.cfg").contains("[tool:pytest]")
        || text("tox.ini").contains("[pytest]");
    let python = || ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"].into_iter().any(has);
    let tests = || {
        ["tests", "test"]
            .into_iter()
            .any(|d| std::fs::symlink_metadata(repo.join(d)).is_ok_and(|m| m.is_dir()))
    };
    named || (python() && tests())
}

/// The target of a Makefile that checks: `test`, else `check`.
fn target(makefile: &str) -> Option<&'static str> {
    let made = |target: &&str| {
        makefile.lines().any(|line| {
            let Some((names, rest)) = line.split_once(':') else { return false };
            // `:=` assigns, a line that begins with a tab is a recipe.
            !line.starts_with('\t')
                && !rest.starts_with('=')
                && names.split_whitespace().any(|n| n == *target)
        })
    };
    ["test", "check"].into_iter().find(made)
}

/// One command that runs all of them, names each, and stops at the first that fails.
pub(super) fn argv(commands: &[String]) -> Vec<String> {
    const EACH: &str = r#"for check in "$@"; do echo "+ $check"; sh -c "$check" </dev/null || exit; done"#;
    let mut argv: Vec<String> = ["sh", "-c", EACH, "verify"].map(str::to_owned).into();
    argv.extend(commands.iter().cloned());
    argv
}

impl Life {
    /// Runs the checks with the engine that the program ran with. They get a home of their own, without credentials: they run
    /// the agent's code and need no model. `Ok(false)`: they failed, and the run is to go back to its program.
    ///
    /// # Errors
    /// What halts the run, or that its checks failed for good.
    pub(super) async fn verify(
        &mut self,
        repo: &Repo,
        run: &Run,
        agent: &Agent,
        ws: &Workspace,
        writer: &mut Writer,
    ) -> Result<bool, Stop> {
        let ctx = self.seat.ctx.clone();
        let wanted = ctx.settings.of(&repo.name);
        let checks = commands(wanted.verify, &ws.repo);
        if checks.is_empty() {
            return Ok(true);
        }
        let _ = writer.closing(ctx.edges.clock.now(), &format!("verifying: {}", checks.join(", ")));
        prepare::home(ws, None, &ctx.spaces, prepare::owner(&self.seat)).map_err(crashed)?;
        let mut spec = prepare::spec(&self.seat, run, agent, ws, argv(&checks));
        spec.env_names.clone_from(&ctx.settings.env);
        spec.timeout = wanted.verify_timeout.0;
        ctx.edges.hook.before("runner.verify").map_err(|e| crashed(format!("verify: {e}")))?;
        self.unsure = true;
        let handle = match self.seat.engine.start(&spec).await {
            Ok(handle) => handle,
            Err(error) => return Err(self.engine_failed(error).await),
        };
        self.handle = Some(handle.clone());
        let limit = wanted.verify_timeout.0;
        let secrets = prepare::secrets(agent, &ctx.settings);
        let mut excerpt = Excerpt::new(None, secrets.iter().map(String::as_str).collect());
        let watched = async {
            tokio::select! {
                exit = follow::copy(&self.seat, &handle, writer, &mut excerpt) => exit,
                why = disk::outgrown(ws.dir.clone(), ctx.settings.workspace_limit) => Err(why),
            }
        };
        let exit = self.or_halt(tokio::time::timeout(limit, watched)).await?;
        let failed = match exit {
            Ok(Ok(Exit::Code(0))) => None,
            Ok(Ok(Exit::Code(code))) => Some(format!("the repository's checks failed with exit code {code}")),
            Ok(Ok(Exit::OutOfMemory)) => {
                Some("the repository's checks ran out of memory: raise runner.memory".into())
            }
            Ok(Ok(_)) => Some("the repository's checks were ended from outside".into()),
            Ok(Err(why)) => Some(why),
            Err(_) => Some(format!("the repository's checks took longer than {} s", limit.as_secs())),
        };
        // Before anything else has its name: what still runs of them is ended.
        self.seat.engine.remove(&handle).await.map_err(|e| crashed(e.0))?;
        (self.handle, self.unsure) = (None, false);
        ws.forget_home();
        let now = ctx.edges.clock.now();
        let checked = Checked { at: now, failed: failed.clone(), output: excerpt.finish() };
        let Some(why) = failed else {
            let _ = writer.closing(now, "the repository's checks passed");
            self.checked = Some(checked);
            return Ok(true);
        };
        ctx.edges.hook.before("runner.verified").map_err(|e| crashed(format!("verified: {e}")))?;
        match self.may_go_on(agent, wanted.verify_retries) {
            Ok(()) => {
                if let Err(said) = publish::tidy(&ctx.spaces, ws).await {
                    let _ = writer.closing(now, &format!("what the checks left was not taken away: {said}"));
                }
                let _ = writer.closing(now, &format!("{why}; its program is told"));
                let step = RunStep::Again { checked: Some(checked), log: writer.mark() };
                self.seat.step(step).await?;
                Ok(false)
            }
            Err(but) => {
                self.checked = Some(checked);
                let why = but.map_or_else(|| why.clone(), |but| format!("{why}, and {but}"));
                Err((EndClass::VerifyFailed, why).into())
            }
        }
    }

    /// Whether there is another round, and if not, why.
    fn may_go_on(&self, agent: &Agent, retries: u32) -> Result<(), Option<&'static str>> {
        let ctx = &self.seat.ctx;
        let (world, now) = (ctx.ledger.snapshot(), ctx.edges.clock.now());
        let Some(run) = world.runs.get(&self.seat.run) else { return Err(None) };
        let limits = &agent.limits;
        let allowance = Allowance {
            retries,
            timeout: Some(limits.timeout.unwrap_or(ctx.settings.timeout).0),
            turns: limits.turns,
            usd: limits.usd,
            tokens: limits.tokens,
        };
        rounds::again(run, &allowance, now)?;
        match budget::ends(&world, now, run) {
            Some(_) => Err(Some("the budget is used up")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_detected() {
        const TESTS: &str = r#"{"scripts":{"test":"vitest run"}}"#;
        type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        let table: &[Row] = &[
            (&[], &[]),
            (&[("Cargo.toml", "")], &["cargo test --quiet"]),
            (&[("go.mod", "")], &["go vet ./... && go test ./..."]),
            (
                &[("package.json", TESTS), ("package-lock.json", "")],
                &["{ test -d node_modules || npm ci --silent; } && npm test --silent"],
            ),
            (
                &[("package.json", TESTS), ("pnpm-lock.yaml", "")],
                &["{ test -d node_modules || pnpm install --frozen-lockfile; } && pnpm test"],
            ),
            (
                &[("package.json", TESTS), ("yarn.lock", "")],
                &["{ test -d node_modules || yarn install --frozen-lockfile; } && yarn test"],
            ),
            (&[("package.json", r#"{"scripts":{"build":"x"}}"#)], &[]),
            (
                &[("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#)],
                &[],
            ),
            (&[("package.json", "not json")], &[]),
            (&[("pytest.ini", "")], &["python3 -m pytest -q || test $? -eq 5"]),
            (
                &[("pyproject.toml", "[tool.pytest.ini_options]\n")],
                &["python3 -m pytest -q || test $? -eq 5"],
            ),
            (&[("pyproject.toml", ""), ("tests/a.py", "")], &["python3 -m pytest -q || test $? -eq 5"]),
            (&[("pyproject.toml", "")], &[]),
            (
                &[("composer.json", r#"{"scripts":{"test":["phpunit"]}}"#)],
                &["composer validate --no-interaction", "composer test --no-interaction"],
            ),
            (
                &[("composer.json", "{}"), ("phpunit.xml.dist", "")],
                &["composer validate --no-interaction", "vendor/bin/phpunit"],
            ),
            (&[("Makefile", "all:\n\techo\n.PHONY: test\ntest: all\n\t./t\n")], &["make test"]),
            (&[("GNUmakefile", "build check: x\n")], &["make check"]),
            (&[("Makefile", "all:\n\techo test: x\ntest := 1\n")], &[]),
            (&[("Makefile", "test:\n"), ("Cargo.toml", "")], &["cargo test --quiet"]),
            (&[("Cargo.toml", ""), ("go.mod", "")], &["cargo test --quiet", "go vet ./... && go test ./..."]),
        ];
        for (files, wanted) in table {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in *files {
                let path = dir.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(commands(&Verify::Auto, dir.path()), *wanted, "{files:?}");
            assert!(commands(&Verify::Off, dir.path()).is_empty());
        }
    }

    #[test]
    fn what_only_links_to_a_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, r#"{"scripts":{"test":"true"}}"#).unwrap();
        let repo = dir.path().join("repo");
        std::fs::create_dir(&repo).unwrap();
        for name in ["package.json", "Cargo.toml"] {
            std::os::unix::fs::symlink(&outside, repo.join(name)).unwrap();
        }
        assert!(commands(&Verify::Auto, &repo).is_empty());
    }

    #[test]
    fn the_first_failure_ends_the_checks_with_its_code() {
        let argv = argv(&["true".into(), "exit 3".into(), "echo never".into()]);
        let output = std::process::Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "+ true\n+ exit 3\n");
    }
}
