use super::*;
use crate::runner::mirror::Ask;
use crate::runner::settings::Settings;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

#[test]
fn a_pointer_is_read_and_nothing_else() {
    let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let text = format!("{VERSION}oid sha256:{oid}\nsize 12345\n");
    assert_eq!(Pointer::read(text.as_bytes()), Some(Pointer { oid: oid.into(), size: 12_345 }));
    for bad in [
        "hello",
        &text[..60],
        &text.replace("sha256:4d", "sha256:.."),
        &text.replace("12345", "many"),
        &text.replace("v1", "v9"),
    ] {
        assert_eq!(Pointer::read(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn the_server_is_the_repositorys_own() {
    assert_eq!(server("/src/app").1, "file:///src/app");
    assert_eq!(server("https://h/o/r.git").1, "https://h/o/r.git/info/lfs");
    assert_eq!(server("https://h/o/r").1, "https://h/o/r.git/info/lfs");
}

const OID: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

/// A server of Git LFS that wants a credential. Returns its address, and what it was asked, with the credentials.
fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, own) = (asked.clone(), address.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let (mut line, mut length, mut credential) = (String::new(), 0, String::new());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
                let (name, value) = header.trim().split_once(": ").unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "authorization" => credential = value.to_owned(),
                    _ => {}
                }
                header.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let what = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
            heard.lock().unwrap().push(format!("{what} {credential}"));
            let batch = format!(
                "{{\"transfer\":\"basic\",\"objects\":[{{\"oid\":\"{OID}\",\"size\":6,\"authenticated\":true,\
                 \"actions\":{{\"download\":{{\"href\":\"{own}/object\"}}}}}}]}}"
            );
            let (status, body) = match what.as_str() {
                "GET /object" => ("200 OK", "hello\n"),
                _ if credential.is_empty() => ("401 Unauthorized", "{}"),
                "POST /acme/app.git/info/lfs/objects/batch" => ("200 OK", batch.as_str()),
                _ => ("404 Not Found", "{}"),
            };
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/vnd.git-lfs+json\r\nContent-Length: {}\r\n\
                 LFS-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, asked)
}

#[tokio::test]
async fn it_is_fetched_with_the_daemons_credential_that_stays_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let spaces = Workspaces::new(dir.path(), &Settings::default()).unwrap();
    if !spaces.git.try_run(dir.path(), &["lfs", "version"]).await.unwrap().ok() {
        let required = std::env::var("DISPATCH_REQUIRE_LFS").is_ok_and(|v| v == "1");
        assert!(!required, "DISPATCH_REQUIRE_LFS=1, and git-lfs is not installed");
        return;
    }
    let origin = dir.path().join("origin");
    fs::create_dir(&origin).unwrap();
    let files = [
        (".gitattributes", "*.bin filter=lfs\n".to_owned()),
        (".lfsconfig", "[lfs]\n\turl = http://127.0.0.1:1/evil\n".to_owned()),
        ("data.bin", format!("{VERSION}oid sha256:{OID}\nsize 6\n")),
    ];
    for (name, text) in files {
        fs::write(origin.join(name), text).unwrap();
    }
    spaces.git.run(&origin, &["init", "--quiet", "-b", "main"]).await.unwrap();
    spaces.git.run(&origin, &["add", "--all"]).await.unwrap();
    spaces.git.run(&origin, &["commit", "--quiet", "-m", "Large"]).await.unwrap();
    let work = dir.path().join("workspaces/acme/app/issue-1");
    let ws = Workspace {
        repo: work.join("repo"),
        meta: work.join(".meta/1"),
        home: work.join(".meta/1/home"),
        prompt: work.join(".meta/1/prompt.md"),
        mirror: dir.path().join("mirrors/app.git"),
        branch: "fix/1".into(),
        base: "main".into(),
        tag: None,
        files: None,
        dir: work,
    };
    let local = GitRemote { url: origin.display().to_string(), credential: None };
    let ask = Ask { remote: &local, tags: false, partial: false, say: &|_| {} };
    spaces.mirrors.fetch(&spaces.git, &ws.mirror, ask).await.unwrap();
    let (address, asked) = serve();
    let credential = Some(("ada".to_owned(), crate::secret::Secret::new("s3cret")));
    let remote = GitRemote { url: format!("{address}/acme/app.git"), credential };
    let made = spaces.prepare(&ws, &remote, || None, &|_| {}).await.unwrap();
    let asked = asked.lock().unwrap().join("\n");
    assert_eq!(fs::read_to_string(ws.repo.join("data.bin")).unwrap(), "hello\n", "{made:?}\n{asked}");
    // ada:s3cret
    assert!(asked.contains("objects/batch Basic YWRhOnMzY3JldA=="), "{asked}");
    assert!(changed(&ws).is_empty());
    let left =
        std::process::Command::new("grep").args(["-rlE", "s3cret|YWRhOnMzY3JldA"]).arg(dir.path()).output();
    assert_eq!(String::from_utf8_lossy(&left.unwrap().stdout), "", "it stays nowhere");
}
