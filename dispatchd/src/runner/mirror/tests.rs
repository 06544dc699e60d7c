use super::*;
use std::process::Stdio;

struct Ground {
    dir: tempfile::TempDir,
    git: Git,
    mirrors: Mirrors,
}

impl Ground {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::new(&dir.path().join("mirrors"), ("D".into(), "d@x".into())).unwrap();
        let origin = dir.path().join("origin");
        fs::create_dir(&origin).unwrap();
        git.run(&origin, &["init", "--quiet", "-b", "main"]).await.unwrap();
        let ground = Self { dir, git, mirrors: Mirrors::default() };
        ground.commit("first").await;
        ground.fetch().await.unwrap();
        ground
    }

    fn origin(&self) -> PathBuf {
        self.dir.path().join("origin")
    }

    fn mirror(&self) -> PathBuf {
        self.dir.path().join("mirrors/m.git")
    }

    async fn commit(&self, text: &str) {
        fs::write(self.origin().join(text), text).unwrap();
        self.git.run(&self.origin(), &["add", "--all"]).await.unwrap();
        self.git.run(&self.origin(), &["commit", "--quiet", "-m", text]).await.unwrap();
    }

    async fn fetch(&self) -> Result<(), String> {
        self.fetch_from(&self.origin().display().to_string(), false).await
    }

    async fn fetch_from(&self, url: &str, partial: bool) -> Result<(), String> {
        let remote = GitRemote { url: url.to_owned(), credential: None };
        let ask = Ask { remote: &remote, tags: false, partial, say: &|_| {} };
        let mirror = self.mirror();
        let fetched = self.mirrors.fetch(&self.git, &mirror, ask);
        tokio::time::timeout(Duration::from_secs(60), fetched).await.expect("a fetch comes to an end")
    }

    /// Stores an object in the origin, whatever git thinks of it; returns its id.
    async fn store(&self, kind: &str, content: &[u8]) -> String {
        let file = self.dir.path().join("object");
        fs::write(&file, content).unwrap();
        let args = ["hash-object", "-t", kind, "--literally", "-w", "--stdin"];
        let id = self.git.fed(&self.origin(), &File::open(&file).unwrap(), &args).await.unwrap();
        id.trim().to_owned()
    }

    /// The mirror has all that the origin has.
    async fn is_whole(&self) -> bool {
        let tip = self.git.run(&self.origin(), &["rev-parse", "main"]).await.unwrap();
        let mirrored = self.git.run(&self.mirror(), &["rev-parse", "refs/heads/main"]).await;
        let fsck = self.git.try_run(&self.mirror(), &["fsck", "--connectivity-only"]).await.unwrap();
        mirrored == Ok(tip) && fsck.ok()
    }
}

#[tokio::test]
async fn a_mirror_that_is_broken_or_half_made_is_made_anew() {
    for (what, breaks) in [
        ("no HEAD", (|m| fs::remove_file(m.join("HEAD")).unwrap()) as fn(PathBuf)),
        ("a HEAD of zeros", |m| fs::write(m.join("HEAD"), [0; 20]).unwrap()),
        ("no objects", |m| fs::remove_dir_all(m.join("objects")).unwrap()),
        ("no refs", |m| fs::remove_dir_all(m.join("refs")).unwrap()),
        ("a ref of nothing", |m| fs::write(m.join("refs/heads/main"), "").unwrap()),
        ("a configuration of rubbish", |m| fs::write(m.join("config"), "[[[").unwrap()),
        ("an empty directory", |m| {
            fs::remove_dir_all(&m).unwrap();
            fs::create_dir(&m).unwrap();
        }),
    ] {
        let ground = Ground::new().await;
        breaks(ground.mirror());
        ground.commit("second").await;
        ground.fetch().await.unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(ground.is_whole().await, "{what}");
    }
}

#[tokio::test]
async fn locks_and_halves_of_a_git_that_was_killed_stand_in_nobodys_way() {
    let ground = Ground::new().await;
    for lock in ["packed-refs.lock", "refs/heads/main.lock", "config.lock", "objects/pack/tmp_pack_x"] {
        fs::write(ground.mirror().join(lock), "").unwrap();
    }
    ground.commit("second").await;
    // A daemon of its own, as it were: what this one left it knows.
    let ground = Ground { mirrors: Mirrors::default(), ..ground };
    ground.fetch().await.unwrap();
    assert!(ground.is_whole().await);
    assert!(!ground.mirror().join("objects/pack/tmp_pack_x").exists());
}

#[tokio::test]
async fn a_git_that_outlived_its_daemon_is_waited_for() {
    let ground = Ground::new().await;
    let held = ground.mirrors.hold(&ground.mirror(), &|_| {}).await.unwrap();
    let mut orphan = std::process::Command::new("sleep")
        .arg("600")
        .stdin(Stdio::from(held.lock().try_clone().unwrap()))
        .spawn()
        .unwrap();
    drop(held);
    ground.commit("second").await;
    let ground = Ground { mirrors: Mirrors::default(), ..ground };
    let early = tokio::time::timeout(AGAIN * 3, ground.fetch()).await;
    assert!(early.is_err(), "the lock goes with the process, not with the daemon");
    orphan.kill().unwrap();
    orphan.wait().unwrap();
    tokio::time::timeout(Duration::from_secs(60), ground.fetch()).await.unwrap().unwrap();
    assert!(ground.is_whole().await);
}

#[tokio::test]
async fn borrowed_objects_outlive_a_branch_and_a_collection_of_garbage() {
    let ground = Ground::new().await;
    ground.git.run(&ground.origin(), &["checkout", "--quiet", "-b", "side"]).await.unwrap();
    ground.commit("borrowed").await;
    ground.fetch().await.unwrap();
    let tip = ground.git.run(&ground.origin(), &["rev-parse", "side"]).await.unwrap();
    ground.git.run(&ground.origin(), &["checkout", "--quiet", "main"]).await.unwrap();
    ground.git.run(&ground.origin(), &["branch", "-D", "side"]).await.unwrap();
    ground.fetch().await.unwrap();
    for gc in [vec!["gc", "--quiet"], vec!["gc", "--auto", "--quiet"]] {
        ground.git.run(&ground.mirror(), &gc).await.unwrap();
    }
    let kept = ground.git.run(&ground.mirror(), &["cat-file", "-t", tip.trim()]).await;
    assert_eq!(kept.as_deref().map(str::trim), Ok("commit"));
}

/// Serves `origin` over git's own protocol; every answer ends after `most` bytes. Returns the address.
fn serve(origin: PathBuf, most: Arc<std::sync::atomic::AtomicU64>) -> String {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("git://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&length).unwrap(), 16).unwrap();
            stream.read_exact(&mut vec![0; length - 4]).unwrap();
            let mut pack = std::process::Command::new("git")
                .args(["-c", "safe.directory=*", "upload-pack", "--strict"])
                .arg(origin.join(".git"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut to, mut from) = (pack.stdin.take().unwrap(), pack.stdout.take().unwrap());
            let mut asked = stream.try_clone().unwrap();
            // Not `io::copy`: a splice that waits for the socket keeps the pipe's reader out.
            let asking = std::thread::spawn(move || {
                let mut buffer = [0; 4_096];
                while let Ok(n @ 1..) = asked.read(&mut buffer) {
                    if to.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                }
            });
            let mut left = most.load(std::sync::atomic::Ordering::SeqCst);
            let mut buffer = [0; 4_096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                let n = (n as u64).min(left);
                left -= n;
                if n == 0 || stream.write_all(&buffer[..n as usize]).is_err() {
                    break;
                }
            }
            drop(from);
            let _ = stream.shutdown(Shutdown::Both);
            let _ = asking.join();
            let _ = pack.kill();
            let _ = pack.wait();
        }
    });
    address
}

/// So many bytes that cannot be packed.
fn noise(count: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn a_fetch_that_is_cut_leaves_what_was_there_and_the_next_one_is_whole() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let ground = Ground::new().await;
    let most = Arc::new(AtomicU64::new(100_000));
    let url = serve(ground.origin(), most.clone());
    let before = ground.git.run(&ground.mirror(), &["rev-parse", "refs/heads/main"]).await.unwrap();
    fs::write(ground.origin().join("noise"), noise(1 << 20)).unwrap();
    ground.commit("second").await;
    let cut = ground.fetch_from(&url, false).await.unwrap_err();
    assert!(cut.starts_with("git fetch failed"), "{cut}");
    assert!(!is_broken(&cut), "it is the network's fault: {cut}");
    let after = ground.git.run(&ground.mirror(), &["rev-parse", "refs/heads/main"]).await;
    assert_eq!(after, Ok(before), "what was there is there");
    // The same for the very first.
    fs::remove_dir_all(ground.mirror()).unwrap();
    ground.fetch_from(&url, false).await.unwrap_err();
    assert!(!ground.mirror().exists(), "nothing half takes the place of a mirror");
    most.store(u64::MAX, Ordering::SeqCst);
    ground.fetch_from(&url, false).await.unwrap();
    assert!(ground.is_whole().await);
}

#[tokio::test]
async fn two_that_want_the_same_mirror_take_turns() {
    let ground = Ground::new().await;
    fs::remove_dir_all(ground.mirror()).unwrap();
    let (one, two, three) = tokio::join!(ground.fetch(), ground.fetch(), ground.fetch());
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
    assert!(ground.is_whole().await);
}

#[tokio::test]
async fn a_wait_for_a_mirror_is_said_and_ends() {
    let ground = Ground::new().await;
    let mirrors = Mirrors { patience: MOMENT, ..Mirrors::default() };
    let held = mirrors.hold(&ground.mirror(), &|what| panic!("nobody is waited for: {what}")).await.unwrap();
    let heard = Mutex::new(Vec::new());
    let hear = |what: String| heard.lock().unwrap().push(what);
    let said = mirrors.hold(&ground.mirror(), &hear).await.unwrap_err();
    assert!(said.contains("m.git") && said.contains("another run"), "{said}");
    let heard = heard.into_inner().unwrap();
    assert!(heard.len() == 1 && heard[0].contains("waiting for the mirror"), "{heard:?}");
    // The same for a daemon beside this one, whose turn is not ours.
    let other = Mirrors { patience: MOMENT, ..Mirrors::default() };
    other.hold(&ground.mirror(), &|_| {}).await.unwrap_err();
    drop(held);
    mirrors.hold(&ground.mirror(), &|_| {}).await.unwrap();
}

#[tokio::test]
async fn what_a_remote_sends_is_looked_through() {
    let blob = |id: &str| {
        (0..20).map(|i| u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap()).collect::<Vec<_>>()
    };
    for (name, mode, content) in [
        (".git", "100644", &b"x"[..]),
        ("..", "40000", b""),
        (".gitmodules", "100644", b"[submodule \"x\"]\n\tpath = x\n\turl = -u./x\n"),
        (".gitmodules", "100644", b"[submodule \"x\"]\n\tpath = x\n\turl = ../x\n\tupdate = !touch pwned\n"),
        (".gitmodules", "100644", b"[submodule \"../../hooks\"]\n\tpath = x\n\turl = ../x\n"),
        (".gitmodules", "120000", b"/etc/passwd"),
    ] {
        let ground = Ground::new().await;
        let inner = ground.store(if mode == "40000" { "tree" } else { "blob" }, content).await;
        let mut tree = format!("{mode} {name}\0").into_bytes();
        tree.extend(blob(&inner));
        let tree = ground.store("tree", &tree).await;
        let commit = ["commit-tree", "-m", "evil", &tree];
        let commit = ground.git.run(&ground.origin(), &commit).await.unwrap();
        ground.git.run(&ground.origin(), &["update-ref", "refs/heads/evil", commit.trim()]).await.unwrap();
        let said = ground.fetch().await.unwrap_err();
        assert!(said.contains("fsck error"), "{name}: {said}");
        let there = ground.git.try_run(&ground.mirror(), &["rev-parse", "--verify", "refs/heads/evil"]).await;
        assert!(!there.unwrap().ok(), "{name}");
    }
    // An old program's idea of an address hurts nobody.
    let ground = Ground::new().await;
    let tree = ground.git.run(&ground.origin(), &["rev-parse", "HEAD^{tree}"]).await.unwrap();
    let old = format!("tree {}author Ada <ada 1 +0000\ncommitter Ada ada@x 1 +9999\n\nold\n", tree);
    let old = ground.store("commit", old.as_bytes()).await;
    ground.git.run(&ground.origin(), &["update-ref", "refs/heads/old", &old]).await.unwrap();
    ground.fetch().await.unwrap();
}

#[tokio::test]
async fn a_partial_mirror_has_the_files_of_checkouts_alone() {
    let ground = Ground::new().await;
    fs::remove_dir_all(ground.mirror()).unwrap();
    for (key, value) in [("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true")] {
        ground.git.run(&ground.origin(), &["config", key, value]).await.unwrap();
    }
    let url = ground.origin().display().to_string();
    let blob = async |name: &str| ground.git.run(&ground.origin(), &["rev-parse", name]).await.unwrap();
    let has = async |id: &str| {
        ground.git.try_run(&ground.mirror(), &["cat-file", "-e", id.trim()]).await.unwrap().ok()
    };
    for text in ["one", "two"] {
        fs::write(ground.origin().join("file"), format!("{text} in it")).unwrap();
        ground.commit(text).await;
    }
    ground.fetch_from(&url, true).await.unwrap();
    assert!(is_partial(&ground.mirror()));
    let (old, new) = (blob("HEAD~1:file").await, blob("HEAD:file").await);
    assert!(!has(&old).await && !has(&new).await, "no file was fetched");
    let remote = GitRemote { url: url.clone(), credential: None };
    let ask = Ask { remote: &remote, tags: false, partial: true, say: &|_| {} };
    let tip = blob("HEAD").await.trim().to_owned();
    ground.mirrors.complete(&ground.git, &ground.mirror(), ask, std::slice::from_ref(&tip)).await.unwrap();
    assert!(has(&new).await && !has(&old).await, "what is checked out is there, and no more");
    // It goes on as it is, whatever is asked for later, and nothing is fetched twice.
    fs::write(ground.origin().join("file"), "three in it").unwrap();
    ground.commit("three").await;
    ground.fetch_from(&url, false).await.unwrap();
    ground.mirrors.complete(&ground.git, &ground.mirror(), ask, &[tip]).await.unwrap();
    assert!(!has(&blob("HEAD:file").await).await && !has(&old).await);
    assert!(ground.is_whole().await, "what is missing was promised");
}
