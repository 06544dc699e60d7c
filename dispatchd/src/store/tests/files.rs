//! The file, its lock and its modes, and the sentences.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::store::OpenError;
use crate::store::open;
use crate::store::table::{FORMAT, META};

fn open_at(state: &Path) -> Result<Store, OpenError> {
    Store::open_opts(state, edges(Arc::default()), Arc::new(Policy::default()), options())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_may_read() {
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("a/state");
    let store = open_at(&state).unwrap();
    store.submit(freeze("a")).await.unwrap();
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("dispatch.redb")), 0o600);
    assert_eq!(mode(&state.join("daemon.json")), 0o600);
    store.close().await.unwrap();
    assert!(!state.join("daemon.json").exists(), "nobody serves it any more");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing else is left behind");
    assert_eq!(actors(&open_at(&state).unwrap()), ["a"]);
}

#[test]
fn a_second_daemon_is_told_who_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let first = open_at(temp.path()).unwrap();
    let pid = std::process::id();
    let state = temp.path().display();
    assert_eq!(
        open_at(temp.path()).unwrap_err().to_string(),
        format!(
            "another dispatchd (pid {pid}) already serves {state}; stop it or choose another DISPATCH_STATE_DIR"
        )
    );
    first.announce(Path::new("/run/x/v1.sock"), Timestamp(5)).unwrap();
    let sentence = open_at(temp.path()).unwrap_err().to_string();
    assert!(sentence.contains(&format!("(pid {pid}, socket /run/x/v1.sock)")), "{sentence}");
    drop(first);
    open_at(temp.path()).expect("the lock went with the first");
}

#[test]
fn a_lock_that_outlives_its_daemon_for_a_moment_is_waited_for() {
    let temp = tempfile::tempdir().unwrap();
    drop(open_at(temp.path()).unwrap());
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let note = format!("{{\"pid\":{},\"socket\":null,\"started_at\":\"2026-01-02T03:04:05Z\"}}", dead.id());
    fs::write(temp.path().join("daemon.json"), note).unwrap();
    let file = fs::File::open(temp.path().join("dispatch.redb")).unwrap();
    file.lock().unwrap();
    let (mut lock, mut waited) = (Some(file), 0);
    let opened = open::once_free(temp.path(), || {
        waited += 1;
        lock = None;
    });
    opened.expect("it opens when the lock is gone");
    assert_eq!(waited, 1, "it was refused as long as the lock was there, and no longer");
}

#[test]
fn a_damaged_store_is_left_as_it_is() {
    let junk = |bytes: &[u8]| {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dispatch.redb");
        fs::write(&path, bytes).unwrap();
        let error = open_at(temp.path()).unwrap_err();
        assert!(matches!(&error, OpenError::Unreadable(_)), "{error}");
        let sentence = error.to_string();
        assert!(
            sentence.contains(&*path.to_string_lossy()) && sentence.contains("left as it is"),
            "{sentence}"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes, "nothing was overwritten");
    };
    junk(b"not a database");
    junk(&[0; 8192]);
}

#[test]
fn a_truncated_store_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    drop(open_at(temp.path()).unwrap());
    let path = temp.path().join("dispatch.redb");
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let error = open_at(temp.path()).unwrap_err();
    assert!(matches!(error, OpenError::Unreadable(_)), "{error}");
}

fn set_format(disk: &Disk, format: &[u8]) {
    let db = redb::Builder::new().create_with_backend(disk.backend()).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(FORMAT, format).unwrap();
    txn.commit().unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let disk = Disk::new();
    drop(open(&disk));
    set_format(&disk, &7_u32.to_be_bytes());
    let refuse = || {
        let edges = edges(Arc::default());
        Store::open_with(disk.backend(), edges, Arc::default(), options()).unwrap_err().to_string()
    };
    let sentence = refuse();
    assert!(sentence.contains("format 7") && sentence.contains("up to 1"), "{sentence}");
    set_format(&disk, b"seven");
    assert!(refuse().contains("format number"), "{}", refuse());
    set_format(&disk, &1_u32.to_be_bytes());
    drop(open(&disk));
}

#[test]
fn another_programs_database_is_refused() {
    let disk = Disk::new();
    {
        let db = redb::Builder::new().create_with_backend(disk.backend()).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
        txn.commit().unwrap();
    }
    let error =
        Store::open_with(disk.backend(), edges(Arc::default()), Arc::default(), options()).unwrap_err();
    assert!(error.to_string().contains("not one of dispatchd's"), "{error}");
}

#[test]
fn what_a_killed_first_start_left_is_swept() {
    let temp = tempfile::tempdir().unwrap();
    let left = temp.path().join(".new-store-abc");
    fs::write(&left, b"half a store").unwrap();
    drop(open_at(temp.path()).unwrap());
    assert!(!left.exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open_at(&file.join("state")).unwrap_err();
    assert!(matches!(error, OpenError::Io(_)), "{error}");
    assert!(error.to_string().contains("file/state"), "{error}");
}
