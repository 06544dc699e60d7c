//! Fetching an image, and saying how far that is: on the event stream, and on the run that waits for it.

use dispatch_shared::run::Usage;
use tokio::sync::watch;
use tokio::time::Instant;

use super::context::{Halt, Seat};
use super::follow::TELL;
use crate::core::command::RunStep;
use crate::edges::RuntimeError;

/// Why there is no image.
pub(super) enum Missed {
    /// Its engine says so.
    Engine(RuntimeError),
    /// The run is not to go on.
    Halt(Halt),
}

/// Fetches the image for the run.
///
/// # Errors
/// [`Missed`].
pub(super) async fn pull(seat: &Seat, name: &str, usage: Usage) -> Result<(), Missed> {
    let (tell, mut told) = watch::channel((0, None));
    // Over when this is left, however that comes about: a run may be halted meanwhile.
    let mut piece = seat.ctx.edges.working.begin(format!("pull image {name}"));
    let pulling = seat.engine.pull_telling(name, &tell);
    tokio::pin!(pulling);
    let mut board_at = Instant::now();
    let mut shown = (0, None);
    let pulled = loop {
        let seen = *told.borrow();
        tokio::select! {
            pulled = &mut pulling => break pulled,
            changed = told.changed() => if changed.is_ok() {
                piece.tell(*told.borrow_and_update());
            },
            () = tokio::time::sleep_until(board_at), if seen != shown => {
                shown = seen;
                board_at = Instant::now() + TELL;
                let step = RunStep::Output { last_event: words(name, seen), usage };
                if let Err(halt) = seat.step(step).await {
                    return Err(Missed::Halt(halt));
                }
            }
        }
    };
    piece.tell(*told.borrow());
    pulled.map_err(Missed::Engine)
}

fn words(name: &str, (done, total): (u64, Option<u64>)) -> String {
    match total {
        Some(total) => format!("pulling the image {name}: {done} of {total} layers"),
        None => format!("pulling the image {name}: {done} layers"),
    }
}

/// How far a pull is, by what the engines print: docker `<layer>: <what happens to it>`, podman `Copying blob <digest>`.
#[derive(Debug, Default)]
pub(super) struct Layers {
    all: std::collections::BTreeMap<String, bool>,
}

impl Layers {
    /// Takes a line. Returns how far it is, if that is further than before.
    pub(super) fn line(&mut self, line: &str) -> Option<(u64, Option<u64>)> {
        let before = self.far();
        if let Some(rest) = line.trim().strip_prefix("Copying blob ") {
            let mut words = rest.split_whitespace();
            let layer = words.next()?.trim_start_matches("sha256:").to_owned();
            let done = words.any(|w| matches!(w, "done" | "skipped:"));
            *self.all.entry(layer).or_default() |= done;
        } else if line.trim().starts_with("Copying config ") {
            // All layers are here by now.
            self.all.values_mut().for_each(|done| *done = true);
        } else {
            let (layer, what) = line.trim().split_once(": ")?;
            if layer.len() != 12 || !layer.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let done = matches!(what, "Pull complete" | "Already exists");
            *self.all.entry(layer.to_owned()).or_default() |= done;
        }
        Some(self.far()).filter(|far| *far != before)
    }

    fn far(&self) -> (u64, Option<u64>) {
        let done = self.all.values().filter(|done| **done).count() as u64;
        (done, (!self.all.is_empty()).then_some(self.all.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str) -> Option<(u64, Option<u64>)> {
        let mut layers = Layers::default();
        text.lines().filter_map(|l| layers.line(l)).last()
    }

    #[test]
    fn docker_says_layer_by_layer() {
        let said = "latest: Pulling from library/debian\n8f36dd9a0b4c: Pulling fs layer\n1b930d010525: Pulling fs layer\n\
                    8f36dd9a0b4c: Verifying Checksum\n8f36dd9a0b4c: Download complete\n8f36dd9a0b4c: Pull complete\n";
        assert_eq!(last(said), Some((1, Some(2))));
        let rest = "1b930d010525: Pull complete\nDigest: sha256:0123456789ab\nStatus: Downloaded newer image for debian:latest\n";
        assert_eq!(last(&format!("{said}{rest}")), Some((2, Some(2))));
        assert_eq!(last("8f36dd9a0b4c: Already exists\n"), Some((1, Some(1))));
    }

    #[test]
    fn podman_says_what_it_copies() {
        let said = "Trying to pull docker.io/library/debian:latest...\nGetting image source signatures\n\
                    Copying blob sha256:8f36dd9a0b4c\nCopying blob sha256:1b930d010525\n";
        assert_eq!(last(said), Some((0, Some(2))));
        let rest = "Copying blob 8f36dd9a0b4c done\n";
        assert_eq!(last(&format!("{said}{rest}")), Some((1, Some(2))));
        let rest = "Copying config sha256:5c7c2a5f5a3f\nWriting manifest to image destination\n";
        assert_eq!(last(&format!("{said}{rest}")), Some((2, Some(2))));
        assert_eq!(last("Error: initializing source docker://x: pinging container registry x\n"), None);
    }
}
