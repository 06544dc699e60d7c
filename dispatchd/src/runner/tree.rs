//! Trees of files that an agent made: walked and removed without following a link, without recursion, and with two open
//! files at the most, however deep, wide or read-only they are.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

/// Visits everything below `top`, parents before what is in them. `visit` says whether to look into a directory.
///
/// # Errors
/// If a directory cannot be read, or `visit` fails. What vanishes meanwhile is no error.
pub(super) fn walk(
    top: &Path,
    mut visit: impl FnMut(&Path, &Metadata) -> io::Result<bool>,
) -> io::Result<()> {
    let mut dirs = vec![top.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let mut inner: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let meta = match fs::symlink_metadata(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                meta => meta?,
            };
            if visit(&path, &meta)? && meta.is_dir() {
                inner.push(path);
            }
        }
        dirs.append(&mut inner);
    }
    Ok(())
}

/// Removes whatever is there under that name. Fine if there is nothing.
///
/// # Errors
/// If something of it stays.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(meta) if meta.is_dir() => match empty(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => fs::remove_dir(path),
        },
        Ok(_) => fs::remove_file(path),
    }
}

fn open(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Module caches are read-only, and a directory may have been closed on purpose.
    let _ = rustix::fs::chmodat(at, name, Mode::RWXU, AtFlags::empty());
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

/// Empties a directory: what is nested is moved up to its top first, so that no path grows long.
fn empty(top: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(top, flags, Mode::empty())?;
    rustix::fs::fchmod(&root, Mode::RWXU)?;
    let mut next = 0_u64;
    let mut dirs: Vec<OsString> = Vec::new();
    clear(&root, &root, &mut next, &mut dirs)?;
    while let Some(name) = dirs.pop() {
        let dir = open(&root, &name)?;
        clear(&root, &dir, &mut next, &mut dirs)?;
        rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Unlinks the files of `dir` and moves its directories to `root`, under names that are added to `dirs`.
fn clear(root: &OwnedFd, dir: &OwnedFd, next: &mut u64, dirs: &mut Vec<OsString>) -> io::Result<()> {
    let mut entries: Vec<(OsString, bool)> = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let is_dir = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => {
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            _ => false,
        };
        entries.push((name.to_owned(), is_dir));
    }
    for (name, is_dir) in entries {
        if !is_dir {
            rustix::fs::unlinkat(dir, &name, AtFlags::empty())?;
            continue;
        }
        // A directory that is moved gets another parent written into it.
        let _ = rustix::fs::chmodat(dir, &name, Mode::RWXU, AtFlags::empty());
        let fresh = loop {
            let fresh = OsString::from(format!(".gone-{next}"));
            *next += 1;
            // Nothing that is there already is replaced: an agent may have thought of the same name.
            match rustix::fs::statat(root, &fresh, AtFlags::SYMLINK_NOFOLLOW) {
                Err(rustix::io::Errno::NOENT) => break fresh,
                Ok(_) => {}
                Err(e) => return Err(e.into()),
            }
        };
        rustix::fs::renameat(dir, &name, root, &fresh)?;
        dirs.push(fresh);
    }
    Ok(())
}

/// The directory that `dirs` lead to below `top`, made where it is not there yet. No link is followed.
///
/// # Errors
/// If a part of the way is no directory, or cannot be made.
pub(super) fn beneath<'a>(top: &Path, dirs: impl IntoIterator<Item = &'a OsStr>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(top, flags, Mode::empty())?;
    for dir in dirs {
        match rustix::fs::mkdirat(&at, dir, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        at = rustix::fs::openat(&at, dir, flags, Mode::empty())?;
    }
    Ok(at)
}

/// The parts of a name in a checkout: no way out of it, and none into a `.git`.
///
/// # Errors
/// If it is none.
pub(super) fn inside(name: &Path) -> io::Result<Vec<&OsStr>> {
    use std::path::Component;
    let odd = || io::Error::other(format!("{} is no name in a checkout", name.display()));
    let part = |part| match part {
        Component::Normal(part) if !part.eq_ignore_ascii_case(".git") => Ok(part),
        _ => Err(odd()),
    };
    let parts: Vec<&OsStr> = name.components().map(part).collect::<io::Result<_>>()?;
    if parts.is_empty() { Err(odd()) } else { Ok(parts) }
}

/// Gives a tree to another user; what is already its own is not touched, so that git's index stays true. Links are given
/// away themselves, never what they point to.
///
/// # Errors
/// If something cannot be given away.
pub(super) fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, lchown};
    let own = |path: &Path, meta: &Metadata| match (meta.uid(), meta.gid()) {
        (u, g) if (u, g) == (uid, gid) => Ok(()),
        _ => lchown(path, Some(uid), Some(gid)),
    };
    let meta = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta?,
    };
    own(path, &meta)?;
    if !meta.is_dir() {
        return Ok(());
    }
    walk(path, |path, meta| own(path, meta).map(|()| true))
}

/// The first `max` bytes of a plain file; `None` if it is anything else, or not there.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read_plain(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read;
    // A link could lead anywhere on this machine, and a pipe has no end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(None),
        file => fs::File::from(file?),
    };
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let (top, beside) = (dir.path().join("top"), dir.path().join("beside"));
        fs::create_dir(&top).unwrap();
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("kept"), "kept").unwrap();
        fs::create_dir(top.join(".gone-0")).unwrap();
        symlink(&beside, top.join("link")).unwrap();
        let mut at = rustix::fs::open(&top, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            rustix::fs::symlinkat(&beside, &at, "link2").unwrap();
            at = open(&at, OsStr::new("d")).unwrap();
        }
        drop(at);
        remove(&top).unwrap();
        assert!(!top.exists());
        assert_eq!(fs::read_to_string(beside.join("kept")).unwrap(), "kept");
        remove(&top).unwrap();
    }

    #[test]
    fn what_was_closed_against_removal_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::write(top.join("a/b/c/file"), "x").unwrap();
        for closed in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(top.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
        }
        remove(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn only_the_head_of_a_plain_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read_plain(&file, 3).unwrap(), Some(vec![0; 3]));
        assert_eq!(read_plain(&link, 3).unwrap(), None);
        assert_eq!(read_plain(dir.path(), 3).unwrap(), None);
        assert_eq!(read_plain(&dir.path().join("none"), 3).unwrap(), None);
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(read_plain(&pipe, 3).unwrap(), None);
    }
}
