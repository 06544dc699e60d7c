//! `dispatchd image build`: makes the image that runs start from, with the engine that will run it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dispatch_shared::run::RuntimeKind;

use crate::config::Config;
use crate::edges::RuntimeError;
use crate::runner::settings::RuntimeChoice;

/// An image that comes with Dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// The programs, git and a shell (assets/images/agent.Containerfile).
    #[default]
    Agent,
    /// The same with Rust's tools; build agent first (assets/images/rust.Containerfile).
    Rust,
}

impl Variant {
    fn text(self) -> &'static str {
        match self {
            Variant::Agent => include_str!("../../assets/images/agent.Containerfile"),
            Variant::Rust => include_str!("../../assets/images/rust.Containerfile"),
        }
    }
}

/// What to build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Build {
    /// Which of the images that come with Dispatch.
    #[arg(value_enum, default_value_t)]
    pub variant: Variant,
    /// A Containerfile of your own instead.
    #[arg(long, value_name = "FILE", conflicts_with = "variant")]
    pub file: Option<PathBuf>,
    /// What to call it [default: runner.image, or dispatch-agent:VARIANT]
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    /// docker, podman or apple [default: the one that runner.runtime means]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<RuntimeChoice>,
    /// A value for one of its ARGs; may come several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_arg: Vec<String>,
    /// Print the Containerfile and the command, and build nothing.
    #[arg(long)]
    pub print: bool,
}

/// The command line that builds `file` in the directory `context`.
fn argv(kind: RuntimeKind, tag: &str, file: &Path, context: &Path, build_args: &[String]) -> Vec<String> {
    let program = if kind == RuntimeKind::Apple { "container" } else { kind.word() };
    let mut argv: Vec<String> = [program, "build", "--tag", tag, "--file"].map(str::to_owned).into();
    argv.push(file.display().to_string());
    for arg in build_args {
        argv.extend(["--build-arg".to_owned(), arg.clone()]);
    }
    argv.push(context.display().to_string());
    argv
}

/// Builds it, with the engine's own words on this program's outputs.
///
/// # Errors
/// A sentence: no engine, no file, or the engine's build failed.
pub async fn build(config: &Config, build: &Build, out: &mut impl std::io::Write) -> Result<(), String> {
    let runner = &config.file.runner;
    let said = |e: RuntimeError| e.0;
    let kind = crate::runner::builder(build.engine.unwrap_or(runner.runtime), &config.state_dir).await;
    let kind = kind.map_err(said)?;
    let tag = build.tag.clone().unwrap_or_else(|| match (&build.file, build.variant) {
        (None, Variant::Rust) => "dispatch-agent:rust".to_owned(),
        _ => runner.image.clone(),
    });
    // Nothing of this machine goes along but what the operator's own file lies beside.
    let dir = tempfile::tempdir().map_err(|e| format!("a temporary directory: {e}"))?;
    let (file, context) = match &build.file {
        Some(file) => {
            let file = file.canonicalize().map_err(|e| format!("{}: {e}", file.display()))?;
            let context = file.parent().map_or_else(|| dir.path().to_path_buf(), Path::to_path_buf);
            (file, context)
        }
        None => {
            let file = dir.path().join("Containerfile");
            std::fs::write(&file, build.variant.text()).map_err(|e| format!("{}: {e}", file.display()))?;
            (file, dir.path().to_path_buf())
        }
    };
    let argv = argv(kind, &tag, &file, &context, &build.build_arg);
    if build.print {
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        return write!(out, "{text}\n# {}\n", argv.join(" ")).map_err(|e| e.to_string());
    }
    let mut command = tokio::process::Command::new(&argv[0]);
    let status = command.args(&argv[1..]).stdin(std::process::Stdio::null()).status().await;
    let status = status.map_err(|e| format!("`{}` could not be started: {e}", argv[0]))?;
    if !status.success() {
        return Err(format!("`{}` failed with {status}; its own words stand above", argv.join(" ")));
    }
    let hint =
        if tag == runner.image { String::new() } else { format!("; use it with runner.image = \"{tag}\"") };
    writeln!(out, "built {tag} with {kind}{hint}").map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_is_told_in_its_own_words() {
        let line = |kind| {
            argv(kind, "a:1", Path::new("/x/Containerfile"), Path::new("/x"), &["P=1 2".into()]).join("|")
        };
        let rest = "|build|--tag|a:1|--file|/x/Containerfile|--build-arg|P=1 2|/x";
        assert_eq!(line(RuntimeKind::Docker), format!("docker{rest}"));
        assert_eq!(line(RuntimeKind::Podman), format!("podman{rest}"));
        assert_eq!(line(RuntimeKind::Apple), format!("container{rest}"));
    }

    #[test]
    fn every_variant_leaves_root() {
        for variant in Variant::value_variants() {
            let user = variant.text().lines().rev().find_map(|l| l.strip_prefix("USER "));
            assert_eq!(user, Some("1000:1000"), "{variant:?}");
        }
    }
}
