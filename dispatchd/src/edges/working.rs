//! Word of long work under way, for whoever looks on: a sync, a clone, the pull of an image. It is not kept.

use dispatch_shared::protocol::events::Progress;
use tokio::sync::broadcast;

/// Where the shells tell of long work. Clones are the same.
#[derive(Clone, Debug)]
pub struct Working(broadcast::Sender<Progress>);

impl Default for Working {
    fn default() -> Self {
        Self(broadcast::channel(256).0)
    }
}

impl Working {
    /// All that is told from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Progress> {
        self.0.subscribe()
    }

    /// Tells how far a work is; nobody may be listening.
    pub fn tell(&self, progress: Progress) {
        let _ = self.0.send(progress);
    }

    /// Tells that `what` begins, of which nobody knows how much it is. It is over when the answer is dropped, however that
    /// comes about.
    #[must_use]
    pub fn begin(&self, what: String) -> Piece {
        self.tell(Progress { what: what.clone(), done: 0, total: None, finished: false });
        Piece { working: self.clone(), what, far: (0, None) }
    }
}

/// A work under way.
#[derive(Debug)]
pub struct Piece {
    working: Working,
    what: String,
    far: (u64, Option<u64>),
}

impl Piece {
    /// Tells how much is done, of how much if that is known.
    pub fn tell(&mut self, (done, total): (u64, Option<u64>)) {
        self.far = (done, total);
        self.working.tell(Progress { what: self.what.clone(), done, total, finished: false });
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let what = std::mem::take(&mut self.what);
        let (done, total) = self.far;
        self.working.tell(Progress { what, done, total, finished: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_is_over_however_it_ends() {
        let working = Working::default();
        let mut told = working.listen();
        let piece = working.begin("clone acme/api".into());
        assert!(told.try_recv().is_ok_and(|p| p.what == "clone acme/api" && !p.finished));
        assert!(told.try_recv().is_err(), "nothing more while it lasts");
        let mut piece = piece;
        piece.tell((2, Some(3)));
        assert!(told.try_recv().is_ok_and(|p| (p.done, p.finished) == (2, false)));
        drop(piece);
        assert!(
            told.try_recv().is_ok_and(|p| p.what == "clone acme/api" && (p.done, p.finished) == (2, true))
        );
    }
}
