//! Manual pages, made from the same words as `--help`.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use super::Failure;
use super::args::Args;
use super::out::Out;

/// The main page to `out`, or those of all commands into `dir`.
pub(super) fn man(dir: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let command = Args::command();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return Ok(out.write_all(&page)?);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|e| format!("the manual pages cannot be written into {}: {e}", dir.display()))?;
    Ok(())
}
