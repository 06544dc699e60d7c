//! Hostile repositories and hostile programs, on every engine of this machine: whatever is in a checkout, and whatever is
//! done to it, nothing beside the workspace changes, nothing of the operator's is learnt, and the daemon goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch_shared::protocol::runs::{KillRequest, Run};
use dispatch_shared::run::RuntimeKind;
use dispatch_tests::daemon::{Daemon, wait_until};
use dispatch_tests::image::engines;
use dispatch_tests::leftover;
use dispatch_tests::manifest::Manifest;
use dispatch_tests::scene::{DEADLINE, Scene};
use dispatch_tests::secret::Secret;

const DAEMON: &str = env!("CARGO_BIN_EXE_test-dispatchd");
/// Lies in files and environments that no program may see.
const CANARY: &str = "canary-5f2b9c71e0";

/// Begins every script: where the operator's things are, and what a command says that should never have been run.
const BEGIN: &str = r#"
STATE=${PWD%%/workspaces/*}
PLACE=${STATE%/state}
pwn() { printf 'touch %s/pwned-%s' "$PLACE" "$1"; }
evil_config() {
    cat <<END
[core]
    repositoryformatversion = 0
    bare = false
    worktree = $1
    fsmonitor = "$(pwn fsmonitor); false"
    hooksPath = $PWD/hooks
    sshCommand = $(pwn ssh)
    pager = $(pwn pager)
    editor = $(pwn editor)
    alternateRefsCommand = $(pwn alternaterefs)
    attributesFile = $PWD/.gitattributes
[include]
    path = $PWD/evil.inc
[filter "x"]
    clean = "$(pwn clean); cat"
    smudge = "$(pwn smudge); cat"
    process = $(pwn process)
[diff "x"]
    command = $(pwn diff)
    textconv = $(pwn textconv)
[merge "x"]
    driver = $(pwn merge)
[credential]
    helper = "!$(pwn credential)"
[commit]
    gpgSign = true
[gpg]
    program = $(pwn gpg)
[uploadpack]
    packObjectsHook = $(pwn packobjects)
[remote "origin"]
    url = "ext::sh -c '$(pwn ext)'"
    uploadpack = $(pwn uploadpack)
    promisor = true
[url "ext::sh -c '$(pwn insteadof)' "]
    insteadOf = /
[extensions]
    partialClone = origin
END
}
evil_hooks() {
    mkdir -p "$1"
    for hook in pre-commit commit-msg post-commit post-checkout pre-push post-merge reference-transaction \
        post-index-change fsmonitor-watchman pre-receive update post-receive; do
        printf '#!/bin/sh\n%s\n' "$(pwn $hook)" >"$1/$hook"
        chmod 755 "$1/$hook"
    done
}
# A repository with one branch, as git would take it, and a configuration of ours.
evil_repository() {
    mkdir -p "$1/objects" "$1/refs/heads"
    cp .git/HEAD "$1/HEAD"
    find .git/refs/heads -type f -exec cat {} + | head -n 1 >"$1/refs/heads/main"
    echo 'ref: refs/heads/main' >"$1/HEAD"
    evil_config "$PWD" >"$1/config"
    evil_hooks "$1/hooks"
}
"#;

/// A place with things that nobody may touch, its daemon, and how all of it was before the program began.
struct Ground {
    scene: Scene,
    daemon: Daemon,
    before: Manifest,
}

impl Ground {
    async fn new(kind: RuntimeKind, script: &str, runner: &str) -> Self {
        let mut scene = Scene::new(DAEMON, kind, &format!("{BEGIN}{script}"), runner);
        scene.place.env("DISPATCH_AGENT_TOKEN", CANARY);
        scene.place.env("GH_TOKEN", CANARY);
        let other = scene.place.state().join("workspaces/local/sample/issue-2/repo");
        for dir in [&other, &scene.place.path().join("elsewhere/.git")] {
            std::fs::create_dir_all(dir).expect("made");
            // An agent of the same number as the owner, if it could only get there.
            std::fs::write(dir.join("secret"), CANARY).expect("written");
        }
        std::fs::write(scene.place.path().join("secret"), CANARY).expect("written");
        hostile_upstream(&scene);
        let daemon = scene.place.start().await;
        let before = around(&scene);
        scene.switch_on(&daemon.client).await.expect("switched on");
        Self { scene, daemon, before }
    }

    async fn over(&self) -> Run {
        self.scene.over(&self.daemon.client).await
    }

    /// Asserts that nothing was changed and nothing was learnt; ends the daemon.
    async fn unharmed(self, run: &Run) {
        let Self { scene, daemon, before } = self;
        scene.nothing_left(run).await;
        let changes = before.changes(&around(&scene));
        assert!(changes.is_empty(), "{}: {changes:#?}", scene.kind);
        let canary = Secret::new(CANARY);
        let shown = format!("{run:?}");
        assert!(!canary.is_in(shown.as_bytes()), "{}: {shown}", scene.kind);
        let published = scene.repository.git(&["log", "-p", "--all", "--no-textconv", "--no-ext-diff"]);
        assert!(!canary.is_in(published.as_bytes()), "{}: {published}", scene.kind);
        assert!(!canary.is_in(scene.place.log().as_bytes()), "{}: {}", scene.kind, scene.place.log());
        for dir in ["state/runs", "sample/.dispatch"] {
            let (with, _) = canary.files(&scene.place.path().join(dir));
            assert!(with.is_empty(), "{}: {with:?}", scene.kind);
        }
        assert!(daemon.client.health().await.expect("it answers").ok);
        daemon.stop().await;
    }
}

/// All that is not this run's own: the place, other workspaces, the mirror but for its objects and refs.
fn around(scene: &Scene) -> Manifest {
    let place = scene.place.path();
    let mut own: Vec<PathBuf> =
        ["daemon.log", "v1.sock", "sample/.git", "sample/.dispatch"].iter().map(|p| place.join(p)).collect();
    let state = scene.place.state();
    own.push(state.join("workspaces/local/sample/issue-1"));
    own.extend(["runs", "mirrors"].map(|d| state.join(d)));
    // The store itself.
    let files = std::fs::read_dir(&state).into_iter().flatten().flatten();
    own.extend(files.filter(|e| e.file_type().is_ok_and(|t| t.is_file())).map(|e| e.path()));
    let own: Vec<&Path> = own.iter().map(PathBuf::as_path).collect();
    Manifest::of(place, &own)
}

/// The repository as somebody else made it: everything that git stores and that could lead out of a checkout.
fn hostile_upstream(scene: &Scene) {
    use std::os::unix::fs::symlink;
    let repository = &scene.repository;
    let dir = repository.path();
    let secret = scene.place.path().join("secret");
    for (name, to) in
        [(".env", secret.as_path()), ("up", Path::new("../../../../../..")), ("root", Path::new("/"))]
    {
        symlink(to, dir.join(name)).expect("linked");
    }
    std::fs::write(dir.join(".gitattributes"), "* filter=x diff=x merge=x ident\n*.md filter=lfs diff=lfs\n")
        .expect("written");
    let odd = [
        "new\nline",
        "esc\u{1b}[31mred",
        "-rf",
        "--upload-pack=touch pwned",
        ":(top)x",
        "\u{1}\u{7f}",
        "a'b\"c $(d)",
    ];
    for name in odd {
        std::fs::write(dir.join(name), "odd\n").expect("written");
    }
    // Those that begin with a dash are refused with all that comes with them, so they get no further than a mirror.
    let urls = [
        ("s", "https://example.invalid/s".to_owned()),
        ("s-ext", format!("ext::sh -c touch% {}/pwned-ext", scene.place.path().display())),
        ("s-file", "file:///etc".to_owned()),
        ("s-ssh", format!("ssh://-oProxyCommand=touch {}/pwned-ssh/x", scene.place.path().display())),
        ("s-up", "../elsewhere".to_owned()),
    ];
    let modules: String = urls
        .iter()
        .map(|(name, url)| {
            format!("[submodule \"{name}\"]\n\tpath = {name}\n\turl = {url}\n\tupdate = none\n")
        })
        .collect();
    std::fs::write(dir.join(".gitmodules"), modules).expect("written");
    repository.git(&["add", "--all"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    for (name, _) in urls {
        let link = format!("160000,{},{name}", head.trim());
        repository.git(&["update-index", "--add", "--cacheinfo", &link]);
    }
    repository.git(&["commit", "--quiet", "-m", "Odd things"]);
}

/// A container sees nothing of the operator's, and what it makes of its checkout runs nothing and leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_checkout_runs_nothing_and_leads_nowhere() {
    let script = r#"
# Look at everything.
find / \( -path /proc -o -path /sys -o -path /dev \) -prune -o -type f -size -1000k -print 2>/dev/null >"$HOME/all"
while read -r f; do grep 'canary-' "$f" 2>/dev/null; done <"$HOME/all"
env; cat /proc/1/environ /proc/self/environ; cat .env up/secret root/"$PLACE"/secret 2>&1
ls -la "$PLACE" "$STATE" "$STATE/workspaces" "$STATE/workspaces/local/sample" 2>&1
nc "local:$PLACE/v1.sock" </dev/null 2>&1
# Write everywhere.
for d in "$PLACE" "$STATE" "$STATE"/mirrors "$STATE"/mirrors/*/objects "$STATE"/workspaces/local/sample/issue-2/repo \
    "$PWD/.." "$PWD/../.meta" "$HOME/.." /dispatch; do
    echo pwned >"$d/pwned-write" 2>/dev/null
done
echo pwned >/dispatch/prompt 2>/dev/null
# The checkout.
evil_config "$PLACE/elsewhere" >.git/config
cp .git/config .git/config.worktree
cp .git/config evil.inc
evil_hooks hooks
rm -rf .git/hooks && evil_hooks .git/hooks
printf '* filter=x diff=x merge=x text working-tree-encoding=UTF-16\n' >.git/info/attributes
printf '%s\n' "$PLACE/elsewhere/.git/objects" "$STATE/workspaces/local/sample/issue-2/repo/.git/objects" >.git/objects/info/alternates
echo "$PLACE/elsewhere/.git" >.git/commondir
ln -s "$PLACE/secret" .git/description.link
ln -s "$PLACE" .git/info/link
mkfifo .git/pipe .git/objects/pipe pipe
touch .git/index.lock .git/HEAD.lock .git/refs/heads/x.lock .git/packed-refs.lock
printf '%040d\n' 7 >.git/shallow
# A repository where git would look next.
evil_repository .
# And repositories below, one under a name that is no text, one that is a file.
mkdir sub && evil_repository sub/.git
odd=$(printf 'n\377')
mkdir "$odd" && evil_repository "$odd/.git"
mkdir s && evil_repository s/.git
mkdir file && echo "gitdir: $PLACE/elsewhere/.git" >file/.git
# What a person or a program might open.
echo "{\"mcpServers\":{\"x\":{\"command\":\"sh\",\"args\":[\"-c\",\"$(pwn mcp)\"]}}}" >.mcp.json
ln -s "$PLACE/secret" link-to-secret
ln -s "$PLACE/elsewhere" .dispatch
ln -s "$PLACE/secret" .meta
printf '[submodule "t"]\n\tpath = t\n\turl = ./t\n' >.gitmodules
i=0; d=.; while [ $i -lt 200 ]; do d=$d/d; i=$((i + 1)); done; mkdir -p $d && echo deep >$d/deep
echo "edited" >README.md
# A home that does not want to go.
mkdir -p "$HOME/a/b/c"; echo x >"$HOME/a/b/c/x"; chmod 000 "$HOME/a/b/c" "$HOME/a/b" "$HOME/a"
ln -s "$PLACE" "$HOME/link"
echo done
"#;
    for kind in engines() {
        let hook = "[runner.hooks]\nafter_run = \"git status --short >/dev/null; git add -A; git diff --cached --stat\"";
        let ground = Ground::new(kind, script, &format!("verify = [\"test -e README.md\"]\n{hook}")).await;
        let run = ground.over().await;
        assert_eq!(run.state, "succeeded", "{kind}: {run:?}\n{}", ground.scene.place.log());
        let repository = &ground.scene.repository;
        let branch = repository.branches().pop().expect("it was published");
        let tree = repository.git(&["ls-tree", "-r", "-z", &branch]);
        assert!(
            tree.contains("120000") && tree.contains("link-to-secret"),
            "links are kept as links: {tree}"
        );
        assert!(tree.contains("\tREADME.md") && !tree.contains("sub/"), "{tree}");
        assert_eq!(
            repository.git(&["show", &format!("{branch}:README.md")]),
            "edited\n",
            "no filter was asked"
        );
        ground.unharmed(&run).await;
    }
}

/// Without a `.git` of its own, git would look elsewhere: for what the program made, or for the operator's.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_repository_ends_the_run_and_nothing_else() {
    let damages = [
        "evil_repository .; printf '* filter=x\n' >.gitattributes; rm .git/HEAD",
        "evil_repository .; mv .git was; ln -s \"$PLACE/elsewhere/.git\" .git",
        "evil_repository evil; rm -rf .git; echo \"gitdir: $PWD/evil\" >.git",
        "evil_repository .git/.git; echo 'ref: ../../outside' >.git/HEAD",
    ];
    for kind in engines() {
        for damage in damages {
            let ground = Ground::new(kind, &format!("echo x >x\n{damage}\n"), "").await;
            let run = ground.over().await;
            let reason = run.reason.clone().unwrap_or_default();
            assert!(run.state == "failed" && reason.contains("damaged"), "{kind}: {damage}: {run:?}");
            assert!(ground.scene.repository.pulls().is_empty(), "{kind}: {damage}");
            ground.unharmed(&run).await;
        }
    }
}

/// A question is the text of a plain file, and of so much as a person can read.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_no_way_to_read_a_file() {
    for kind in engines() {
        for blocked in [
            "ln -s \"$PLACE/secret\" BLOCKED.md",
            "ln -s /etc/passwd BLOCKED.md",
            "mkfifo BLOCKED.md",
            "truncate -s 5G BLOCKED.md",
        ] {
            let ground = Ground::new(kind, blocked, "").await;
            let run = ground.over().await;
            assert_eq!(
                (run.state.as_str(), run.question.as_deref()),
                ("no-changes", None),
                "{kind}: {run:?}"
            );
            ground.unharmed(&run).await;
        }
    }
}

/// The most memory that the daemon ever had, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it lives");
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("the kernel says");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// A program that never stops talking is ended; neither the log nor the daemon grows with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_bounded() {
    for kind in engines() {
        for flood in ["yes 'a line that is like all the others and never ends'", "tr '\\000' x </dev/zero"] {
            let ground = Ground::new(kind, flood, "log_limit = \"1m\"\ngrace = \"1s\"").await;
            let before = peak(&ground.daemon);
            let run = ground.over().await;
            let reason = run.reason.clone().unwrap_or_default();
            assert!(run.state == "failed" && reason.contains("runner.log_limit"), "{kind}: {run:?}");
            let logs = Manifest::of(&ground.scene.place.state().join("runs"), &[]);
            assert_ne!(logs, Manifest::default(), "there are logs");
            for file in ["raw.log", "events.jsonl"] {
                let path = ground.scene.place.state().join(format!("runs/{}/{file}", run.id));
                let size = std::fs::metadata(&path).expect("there").len();
                assert!(size < (1 << 20) + (64 << 10), "{kind}: {file} has {size} bytes");
            }
            let grown = peak(&ground.daemon).saturating_sub(before);
            assert!(grown < 100 << 10, "{kind}: the daemon grew by {grown} KiB");
            ground.unharmed(&run).await;
        }
    }
}

/// What the engine keeps of a container's log on its disk, in bytes.
fn kept(kind: RuntimeKind, container: &str) -> u64 {
    let format = if kind == RuntimeKind::Podman { "{{.HostConfig.LogConfig.Path}}" } else { "{{.LogPath}}" };
    let output = std::process::Command::new(kind.word())
        .args(["container", "inspect", "--format", format, container])
        .output()
        .expect("it can be asked");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let name = path.file_name().expect("a log has a name").to_string_lossy().into_owned();
    let beside =
        std::fs::read_dir(path.parent().expect("it lies in a directory")).expect("it is there").flatten();
    let logs = beside.filter(|e| e.file_name().to_string_lossy().starts_with(&name));
    logs.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

/// Says so much while no daemon is there to end it. The engine's disk stays bounded, and the next daemon explains the end.
async fn floods_alone(kind: RuntimeKind, bytes: u64) {
    let script = format!(
        "echo once upon a time\ntouch .git/ready; while [ ! -e .git/alone ]; do sleep 0.1; done\n\
         yes 'a line that is like all the others, of sixty-four bytes in all.' | head -c {bytes}\n\
         touch .git/said; while :; do sleep 1; done\n"
    );
    let mut scene = Scene::new(DAEMON, kind, &script, "log_limit = \"1m\"\ngrace = \"1s\"");
    scene.place.env("DISPATCH_LOG", "info");
    let daemon = scene.place.start().await;
    scene.switch_on(&daemon.client).await.expect("switched on");
    let run = scene.running(&daemon.client).await;
    scene.said(&daemon.client, &run, "once upon a time").await;
    daemon.kill();
    let git = scene.checkout().join(".git");
    std::fs::write(git.join("alone"), "").expect("the program can be told");
    let container = run.container.clone().expect("it has one");
    let mut most = 0;
    wait_until("all to be said", Duration::from_secs(1_200), async || {
        most = most.max(kept(kind, &container));
        git.join("said").exists().then_some(())
    })
    .await;
    // Two files of 16 times the limit, and what was just written.
    assert!(most > 1 << 20 && most < 36 << 20, "{kind}: the engine kept {most} bytes");
    let daemon = scene.place.start().await;
    let over = scene.over(&daemon.client).await;
    let reason = over.reason.clone().unwrap_or_default();
    assert!(over.state == "failed", "{kind}: {over:?}\n{}", scene.place.log());
    assert!(reason.contains("runner.log_limit") || reason.contains("lost its beginning"), "{kind}: {reason}");
    scene.nothing_left(&over).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_nobody_reads_is_bounded() {
    for kind in engines() {
        floods_alone(kind, 120 << 20).await;
    }
}

/// `cargo test -p dispatch-tests --test hostile -- --ignored five_gigabytes --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn five_gigabytes_that_nobody_reads_are_bounded() {
    for kind in engines() {
        let began = std::time::Instant::now();
        floods_alone(kind, 5 << 30).await;
        println!("{kind}: {:?}", began.elapsed());
    }
}

/// A program whose checks never stop talking is ended as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_the_checks_is_bounded() {
    for kind in engines() {
        let config = "log_limit = \"1m\"\nverify = [\"yes checked\"]";
        let ground = Ground::new(kind, "echo more >>README.md", config).await;
        let run = ground.over().await;
        let reason = run.reason.clone().unwrap_or_default();
        assert!(run.state == "verify-failed" && reason.contains("runner.log_limit"), "{kind}: {run:?}");
        ground.unharmed(&run).await;
    }
}

/// A fork bomb stays in its box, and the daemon answers while it goes off.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_in_its_box() {
    const PIDS: usize = 64;
    // On the command line of everything that it forks.
    const MARK: &str = "31417";
    let script = "mkfifo pipe\n(while :; do (while :; do sleep 31417 & done) & done) >/dev/null 2>&1 &\n\
                  echo lit; read -r never <>pipe\n";
    for kind in engines() {
        let ground = Ground::new(kind, script, &format!("pids = {PIDS}\ncpus = 0.5\ngrace = \"1s\"")).await;
        let client = &ground.daemon.client;
        let run = ground.scene.running(client).await;
        ground.scene.said(client, &run, "lit").await;
        let (mut most, mut looks) = (0, 0);
        wait_until("the box to be full for a while", DEADLINE, async || {
            let answer = tokio::time::timeout(Duration::from_secs(10), client.health()).await;
            assert!(answer.expect("it answers in time").expect("it answers").ok);
            most = most.max(leftover::processes(MARK).len());
            looks += usize::from(most + 16 >= PIDS);
            (looks >= 20).then_some(())
        })
        .await;
        // Engines have a process or two of their own on whose command line the script stands.
        assert!(most < PIDS + 8, "{kind}: {most} processes");
        let kill = KillRequest { now: true, attempt: None };
        client.kill(run.id, &kill).await.expect("killed");
        let run = ground.over().await;
        assert_eq!(run.state, "killed", "{kind}: {run:?}");
        ground.unharmed(&run).await;
        assert!(leftover::processes(MARK).is_empty(), "{kind}");
    }
}
