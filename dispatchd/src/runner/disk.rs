//! The disk: what a workspace takes of it while a program works, and what has to be free before another is prepared.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::settings::{Settings, Size};

/// Between two looks at a workspace, at the least.
const LOOK: Duration = Duration::from_secs(15);
/// A look takes at most one part in so many of the time.
const SHARE: u32 = 50;

/// What a tree takes of the disk, holes not counted. What vanishes, or cannot be looked into, counts for nothing.
///
/// # Errors
/// If it is deeper than any path may be long.
pub(super) fn weight(dir: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0_u64;
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::InvalidFilename => return Err(e),
            Err(_) => continue,
            Ok(entries) => entries,
        };
        for entry in entries.flatten() {
            // Does not follow links.
            let Ok(meta) = entry.metadata() else { continue };
            // A file under many names takes its place once.
            let shares = if meta.is_dir() { 1 } else { meta.nlink().max(1) };
            sum = sum.saturating_add(meta.blocks().saturating_mul(512) / shares);
            if meta.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(sum)
}

/// Waits until the workspace in `dir` takes more than `limit`, and says so; for good if zero, which is no limit. `first` is
/// when it is looked at for the first time.
pub(super) async fn outgrown(dir: PathBuf, limit: Size) -> String {
    if limit.0 == 0 {
        return std::future::pending().await;
    }
    let mut pause = LOOK.min(Duration::from_secs(1));
    loop {
        tokio::time::sleep(pause).await;
        let (at, from) = (Instant::now(), dir.clone());
        let weighed = tokio::task::spawn_blocking(move || weight(&from)).await;
        pause = LOOK.max(at.elapsed().saturating_mul(SHARE));
        match weighed {
            Ok(Ok(bytes)) if bytes > limit.0 => {
                return format!(
                    "its workspace takes {} of the disk, more than runner.workspace_limit, {}",
                    said(bytes),
                    said(limit.0)
                );
            }
            Ok(Err(error)) => {
                return format!("its workspace cannot be weighed (runner.workspace_limit): {error}");
            }
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

/// Why nothing new is prepared on the disk that `dir` is on; `None` if there is room.
pub(super) fn cramped(dir: &Path, settings: &Settings) -> Option<String> {
    let floor = settings.min_free.0;
    let stat = rustix::fs::statvfs(dir).ok().filter(|_| floor > 0)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (free < floor).then(|| {
        format!(
            "the disk of {} has {} free, less than runner.min_free, {}: no run starts before there is more; old workspaces \
             go by runner.keep",
            dir.display(),
            said(free),
            said(floor)
        )
    })
}

/// Bytes for a person.
pub(super) fn said(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => {
            let tenths = bytes / ((1 << 30) / 10);
            format!("{}.{} GiB", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_tree_weighs_what_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        let empty = weight(dir.path()).unwrap();
        fs::write(dir.path().join("d/file"), vec![7; 1 << 20]).unwrap();
        fs::hard_link(dir.path().join("d/file"), dir.path().join("d/again")).unwrap();
        fs::File::create(dir.path().join("hole")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        let full = weight(dir.path()).unwrap() - empty;
        assert!((1 << 20..2 << 20).contains(&full), "{full}");
        assert_eq!(weight(&dir.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn room_is_what_is_free_for_us() {
        let dir = tempfile::tempdir().unwrap();
        let settings = |min_free| Settings { min_free: Size(min_free), ..Settings::default() };
        assert_eq!(cramped(dir.path(), &settings(0)), None);
        assert_eq!(cramped(dir.path(), &settings(1)), None);
        let why = cramped(dir.path(), &settings(u64::MAX)).unwrap();
        assert!(why.contains("runner.min_free"), "{why}");
    }

    #[test]
    fn bytes_are_said_for_a_person() {
        assert_eq!(
            (said(1), said(5 << 20), said(3 << 29)),
            ("1 KiB".into(), "5 MiB".into(), "1.5 GiB".into())
        );
    }
}
