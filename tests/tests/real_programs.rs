//! The programs themselves, as the npm registry has them, run with the command lines that are built in, against a model server
//! on loopback: what they say must be read as it is meant. Skipped in words where npm is not there or too slow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dispatch_shared::run::EndClass;
use dispatch_tests::image::say;
use dispatch_tests::model::FakeModel;
use dispatchd::edges::Exit;
use dispatchd::runner::agents::Agents;
use dispatchd::runner::stream::{Before, Reader};

/// To the version: a newer one may say other things.
const PACKAGES: [&str; 6] = [
    "@anthropic-ai/claude-code@2.1.197",
    "@openai/codex@0.169.0",
    "@google/gemini-cli@0.61.0",
    "opencode-ai@1.18.33",
    "@qwen-code/qwen-code@0.15.10",
    "@github/copilot@1.0.102",
];
/// The longest that installing them may take.
const PATIENCE: Duration = Duration::from_secs(300);
const KEY: &str = "sk-not-a-real-key-0001";

/// The directory with the programs, made once below `target/`; `None`, said aloud, where they cannot be had.
async fn programs() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    let (bin, mark) = (home.join("node_modules/.bin"), home.join("installed"));
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&mark).is_ok_and(|is| is == wanted) {
        return Some(bin);
    }
    fs::create_dir_all(&home).expect("a directory below target");
    let mut npm = tokio::process::Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).args(PACKAGES).current_dir(&home);
    npm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let why = match tokio::time::timeout(PATIENCE, npm.status()).await {
        Ok(Ok(status)) if status.success() => {
            fs::write(mark, wanted).expect("a mark is written");
            return Some(bin);
        }
        Ok(Ok(status)) => format!("npm cannot install the programs ({status})"),
        Ok(Err(error)) => format!("npm cannot be started ({error})"),
        Err(_) => format!("npm did not install the programs within {} s", PATIENCE.as_secs()),
    };
    say(&format!("skipped: {why}"));
    None
}

/// A home and a checkout for one program, and what it needs to ask the server.
struct Place {
    dir: tempfile::TempDir,
    origin: String,
}

impl Place {
    fn new(model: &FakeModel) -> Self {
        let place =
            Self { dir: tempfile::tempdir().expect("a directory"), origin: model.origin().to_owned() };
        let made = Command::new("git").args(["init", "-q"]).arg(place.repo()).status().expect("git is there");
        assert!(made.success());
        let codex = format!(
            "model_provider = \"fake\"\nmodel = \"gpt-5\"\n[model_providers.fake]\nname = \"fake\"\nbase_url = \"{}/v1\"\n\
             env_key = \"CODEX_API_KEY\"\nwire_api = \"responses\"\nrequest_max_retries = 0\nstream_max_retries = 0\n",
            place.origin
        );
        let opencode = format!(
            r#"{{"provider":{{"fake":{{"npm":"@ai-sdk/openai-compatible","options":{{"baseURL":"{}/v1","apiKey":"{KEY}"}},"models":{{"fake-model":{{}}}}}}}}}}"#,
            place.origin
        );
        for (file, text) in [
            (".codex/config.toml", codex.as_str()),
            (".gemini/settings.json", r#"{"security":{"auth":{"selectedType":"gemini-api-key"}}}"#),
            (".qwen/settings.json", r#"{"security":{"auth":{"selectedType":"openai"}}}"#),
            (".config/opencode/opencode.json", opencode.as_str()),
        ] {
            let path = place.home().join(file);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(path, text).expect("written");
        }
        place
    }

    /// Another home, with nothing in it but the configuration and what the program's entry says that it keeps its
    /// conversations in: as it is with a later run.
    fn another_home(&self, program: &str, model: &FakeModel) {
        let agent = Agents::new(&BTreeMap::new()).expect("built in").get(program).expect("known");
        let old = self.dir.path().join("old");
        fs::rename(self.home(), &old).expect("moved");
        let fresh = Place::new(model);
        fs::rename(fresh.home(), self.home()).expect("moved");
        for kept in &agent.sessions {
            let (from, to) = (old.join(kept), self.home().join(kept));
            if fs::symlink_metadata(&from).is_ok() {
                fs::create_dir_all(to.parent().expect("a directory")).expect("made");
                let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp is there");
                assert!(copied.success());
            }
        }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// Runs `program` as the runner would, and reads what it says.
    async fn run(&self, bin: &Path, program: &str, before: Option<Before>) -> (Reader, Exit, String) {
        let agent = Agents::new(&BTreeMap::new()).expect("built in").get(program).expect("known");
        let session = before.as_ref().map(|b| b.session.as_str());
        let argv = agent.argv(&self.repo(), &self.home(), "main", session);
        let prompt = self.dir.path().join("prompt");
        // A prompt that begins so would be an option, were it an argument.
        fs::write(&prompt, "-- say hello\n").expect("written");
        let mut command = tokio::process::Command::new(bin.join(&argv[0]));
        command.args(&argv[1..]).current_dir(self.repo()).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home());
        let v1 = format!("{}/v1", self.origin);
        command.envs([("CI", "true"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("CLAUDE_CODE_MAX_RETRIES", "0")]);
        command
            .envs([("ANTHROPIC_BASE_URL", self.origin.as_str()), ("GOOGLE_GEMINI_BASE_URL", &self.origin)]);
        command.envs([("OPENAI_BASE_URL", v1.as_str()), ("COPILOT_PROVIDER_BASE_URL", &v1)]);
        command.envs([("COPILOT_OFFLINE", "true"), ("COPILOT_MODEL", "fake-model")]);
        for name in [
            "ANTHROPIC_API_KEY",
            "CODEX_API_KEY",
            "OPENAI_API_KEY",
            "GEMINI_API_KEY",
            "COPILOT_PROVIDER_API_KEY",
        ] {
            command.env(name, KEY);
        }
        command.envs(agent.set.clone());
        command.stdin(fs::File::open(&prompt).expect("there"));
        let done = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
        let output = done.unwrap_or_else(|_| panic!("{program} does not end")).expect("it starts");
        let mut reader = Reader::new(agent.format).resuming(before);
        reader.push(&output.stdout);
        reader.finish();
        let shown = format!(
            "{argv:?}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (reader, output.status.code().map_or(Exit::Lost, Exit::Code), shown)
    }
}

const ALL: [(&str, [u64; 3]); 6] = [
    ("claude", [400, 300, 12]),
    ("codex", [1000, 400, 50]),
    ("gemini:gemini-2.5-flash", [1000, 400, 50]),
    ("opencode:fake/fake-model", [1000, 400, 50]),
    // It asks once more than it shows.
    ("qwen:fake-model", [2000, 800, 100]),
    ("copilot:fake-model", [0, 0, 0]),
];

#[tokio::test]
#[ignore = "installs 1.4 GB of programs from npm: cargo test -p dispatch-tests --test real_programs -- --ignored"]
async fn what_the_programs_say_is_read_as_they_mean_it() {
    let Some(bin) = programs().await else { return };
    let (well, ill) = (FakeModel::start(None), FakeModel::start(Some(401)));
    for (program, tokens) in ALL {
        let (reader, exit, shown) = Place::new(&well).run(&bin, program, None).await;
        assert_eq!(reader.judge(exit), Ok(()), "{program}: {shown}");
        let used = reader.summary.usage;
        assert_eq!([used.input_tokens, used.cached_tokens, used.output_tokens], tokens, "{program}: {shown}");
        assert!(reader.summary.session.is_some(), "{program} tells its session: {shown}");
        let (reader, exit, shown) = Place::new(&ill).run(&bin, program, None).await;
        let class = reader.judge(exit).expect_err("a refused key is no success").0;
        assert_eq!(class, EndClass::Auth, "{program}: {shown}");
    }
}

#[tokio::test]
#[ignore = "installs 1.4 GB of programs from npm: cargo test -p dispatch-tests --test real_programs -- --ignored"]
async fn a_session_is_taken_up_again_and_counted_once() {
    let Some(bin) = programs().await else { return };
    let well = FakeModel::start(None);
    for (program, tokens) in ALL
        .into_iter()
        .filter(|(p, _)| Agents::new(&BTreeMap::new()).expect("built in").get(p).expect("known").resumes())
    {
        let place = Place::new(&well);
        let (first, exit, shown) = place.run(&bin, program, None).await;
        assert_eq!(first.judge(exit), Ok(()), "{program}: {shown}");
        let session = first.summary.session.clone().expect("a session");
        let total = first.summary.total.unwrap_or_default();
        let before = Some(Before { session: session.clone(), total });
        place.another_home(program, &well);
        let (again, exit, shown) = place.run(&bin, program, before).await;
        assert_eq!(again.judge(exit), Ok(()), "{program}: {shown}");
        assert_eq!(again.summary.session, Some(session), "{program} goes on: {shown}");
        let used = again.summary.usage;
        assert_eq!([used.input_tokens, used.cached_tokens, used.output_tokens], tokens, "{program}: {shown}");
    }
}
