//! Logs of runs that are over, compressed: `raw.log.gz` beside where `raw.log` was. It appears whole before the log goes, so a
//! crash leaves one or both, never neither.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// A shorter log is not worth it.
const LEAST: u64 = 64 << 10;
/// The format keeps the length in four bytes.
const MOST: u64 = u32::MAX as u64;

fn packed(path: &Path) -> PathBuf {
    path.with_added_extension("gz")
}

/// Compresses the file, if it is there and long enough.
pub(super) fn pack(path: &Path) -> io::Result<()> {
    let mut from = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        from => from?,
    };
    if !(LEAST..=MOST).contains(&from.metadata()?.len()) {
        return Ok(());
    }
    let new = path.with_added_extension("gz.new");
    let mut to = GzEncoder::new(File::create(&new)?, Compression::fast());
    io::copy(&mut from, &mut to)?;
    to.finish()?.sync_all()?;
    fs::rename(&new, packed(path))?;
    fs::remove_file(path)
}

/// How long the log is that was packed.
pub(super) fn len(path: &Path) -> io::Result<u64> {
    let mut file = File::open(packed(path))?;
    file.seek(SeekFrom::End(-4))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    Ok(u32::from_le_bytes(length).into())
}

/// The log that was packed, in a file that is nobody else's and goes with its last reader.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut from = GzDecoder::new(File::open(packed(path))?);
    let mut to = tempfile::tempfile()?;
    io::copy(&mut from, &mut to)?;
    to.seek(SeekFrom::Start(0))?;
    Ok(to)
}
