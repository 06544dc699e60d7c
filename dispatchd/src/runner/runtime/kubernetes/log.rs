//! Following a pod's log from a byte on.
//!
//! The API knows no byte offsets, only times, whole seconds of them; and a node keeps the newest part of a log alone (10 MiB,
//! unless told otherwise). So lines are asked for with their stamps, which are taken off; where lines began is noted in
//! [`marks`](super::marks); and to go on at a byte means to ask from the second of the last line noted before it, to skip to that
//! very line, told from others of the same stamp by counting, and then the bytes of it that are known.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::AsyncReadExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::job::CONTAINER;
use super::link::{Link, Trouble, call};
use super::marks::{Marks, Place};
use super::pod::{Verdict, judge};
use super::stamps::{Piece, Stamps};
use super::watch::{self, Look, Target};

/// See the module.
pub(super) struct Follower {
    link: Link,
    target: Target,
    reader: Reader,
}

/// What became of one reading.
enum Read {
    /// The log broke off, or is over.
    End,
    /// Nobody reads what is read here.
    Deaf,
}

impl Follower {
    pub(super) fn new(link: Link, target: Target, dir: PathBuf, offset: u64) -> Self {
        let marks = Marks::of(&dir, &target.name);
        let line = marks.before(offset);
        Self { link, target, reader: Reader { at: offset, line, marks } }
    }

    /// Copies until the program has ended and its last line is there, through lost connections and restarts of the API server.
    pub(super) async fn run(mut self, mut to: DuplexStream) {
        const FIRST: Duration = Duration::from_millis(100);
        let mut pause = FIRST;
        loop {
            // What a follower is given last may not be all, so after the end it is read once more.
            let Some((pod, over)) = self.begun().await else { return };
            let before = self.reader.at;
            match self.copy(&pod, !over, &mut to).await {
                Ok(Read::Deaf) => return,
                Ok(Read::End) if over => return,
                Ok(Read::End) => {}
                // It is not there any more, or never was.
                Err(Trouble { code: 400 | 404, .. }) if over => return,
                Err(trouble) => {
                    tracing::warn!(why = trouble.words, job = self.target.name, "a log broke off")
                }
            }
            pause = if self.reader.at > before { FIRST } else { (pause * 2).min(Duration::from_secs(30)) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until there is something to read; says in which pod, and whether the program is over. `None` if there will never
    /// be anything.
    async fn begun(&self) -> Option<(String, bool)> {
        watch::until(&self.link, &self.target, None, |look, _| match look {
            Look::Gone => Some(None),
            Look::Unmade => None,
            Look::Pod(pod) => {
                let verdict = judge(pod);
                if matches!(verdict, Verdict::Hopeless(_)) {
                    return Some(None);
                }
                let name = pod.metadata.name.clone().unwrap_or_default();
                verdict.begun().then(|| Some((name, verdict != Verdict::Running)))
            }
        })
        .await
    }

    async fn copy(&mut self, pod: &str, follow: bool, to: &mut DuplexStream) -> Result<Read, Trouble> {
        let doing = "reading a log";
        let from = self.reader.line;
        let params = LogParams {
            container: Some(CONTAINER.into()),
            follow,
            timestamps: true,
            since_time: from.and_then(|place| Timestamp::from_second(place.stamp.as_second()).ok()),
            ..LogParams::default()
        };
        let log = call(doing, self.link.pods.log_stream(pod, &params)).await?;
        let mut log = pin!(log);
        let (mut stamps, mut pass) = (Stamps::default(), Pass::new(from));
        let (mut buffer, mut out) = (vec![0; 64 << 10], Vec::new());
        loop {
            let n = match log.read(&mut buffer).await {
                Ok(n) => n,
                Err(error) => {
                    return Err(Trouble { code: 0, words: format!("{doing}: it was cut: {error}") });
                }
            };
            stamps.push(&buffer[..n], |piece| self.reader.take(&mut pass, piece, &mut out));
            if !out.is_empty() && to.write_all(&out).await.is_err() {
                return Ok(Read::Deaf);
            }
            out.clear();
            if n == 0 {
                return Ok(Read::End);
            }
        }
    }
}

/// One reading, from its request to its end.
struct Pass {
    /// The line to be found again first.
    sought: Option<Place>,
    /// Lines with its stamp that went by.
    same: u32,
    /// The byte of the log that comes next.
    next: u64,
}

impl Pass {
    fn new(from: Option<Place>) -> Self {
        Self { sought: from, same: 0, next: from.map_or(0, |p| p.offset) }
    }
}

struct Reader {
    /// The next byte to hand out.
    at: u64,
    /// The last line known to begin at or before it.
    line: Option<Place>,
    marks: Marks,
}

impl Reader {
    fn take(&mut self, pass: &mut Pass, piece: Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Line(Some(stamp)) => self.begin(pass, stamp),
            // What a node says for itself.
            Piece::Line(None) => {}
            Piece::Bytes(_) if pass.sought.is_some() => {}
            Piece::Bytes(bytes) => {
                let known = usize::try_from(self.at.saturating_sub(pass.next)).unwrap_or(usize::MAX);
                let new = &bytes[known.min(bytes.len())..];
                out.extend_from_slice(new);
                pass.next += bytes.len() as u64;
                self.at += new.len() as u64;
            }
        }
    }

    fn begin(&mut self, pass: &mut Pass, stamp: Timestamp) {
        if let Some(sought) = pass.sought {
            if stamp < sought.stamp {
                return;
            }
            if stamp == sought.stamp && pass.same < sought.nth {
                pass.same += 1;
                return;
            }
            pass.sought = None;
            if stamp == sought.stamp {
                return;
            }
            // The node does not have it any more: what comes now comes after a gap that nobody can fill.
            tracing::warn!(since = %sought.stamp, "part of a log was gone before it was read");
            pass.next = self.at;
        }
        let nth = self.line.filter(|last| last.stamp == stamp).map_or(0, |last| last.nth + 1);
        let place = Place { offset: pass.next, stamp, nth };
        self.marks.note(place);
        self.line = Some(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of lines with few different stamps.
    fn lines() -> Vec<(i64, String)> {
        (0..40).map(|i| (i / 7, format!("line {i:02}{}\n", "x".repeat(i as usize % 5)))).collect()
    }

    fn stamped(lines: &[(i64, String)]) -> Vec<u8> {
        lines.iter().flat_map(|(s, text)| format!("1970-01-01T00:00:0{s}.5Z {text}").into_bytes()).collect()
    }

    fn text(lines: &[(i64, String)]) -> String {
        lines.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Reads as a node would give it to who asks since the reader's line, no more than `most` bytes.
    fn pass(reader: &mut Reader, lines: &[(i64, String)], most: usize) -> Vec<u8> {
        let since = reader.line.map_or(0, |l| l.stamp.as_second());
        let kept: Vec<_> = lines.iter().filter(|(s, _)| *s >= since).cloned().collect();
        let log = stamped(&kept);
        let (mut stamps, mut pass, mut out) = (Stamps::default(), Pass::new(reader.line), Vec::new());
        let cut = &log[..most.min(log.len())];
        stamps.push(cut, |piece| reader.take(&mut pass, piece, &mut out));
        out
    }

    #[test]
    fn a_log_cut_anywhere_is_read_without_gap_or_repeat() {
        let (lines, dir) = (lines(), tempfile::tempdir().unwrap());
        let all = text(&lines);
        for cut in 0..stamped(&lines).len() {
            let name = cut.to_string();
            let mut reader = Reader { at: 0, line: None, marks: Marks::of(dir.path(), &name) };
            let mut read = pass(&mut reader, &lines, cut);
            read.extend(pass(&mut reader, &lines, usize::MAX));
            assert_eq!(String::from_utf8(read).unwrap(), all, "cut at {cut}");
        }
    }

    #[test]
    fn a_reader_that_comes_back_at_a_byte_goes_on_there() {
        let (lines, dir) = (lines(), tempfile::tempdir().unwrap());
        let all = text(&lines);
        let mut first = Reader { at: 0, line: None, marks: Marks::of(dir.path(), "x") };
        pass(&mut first, &lines, usize::MAX);
        for at in 0..=all.len() {
            let marks = Marks::of(dir.path(), "x");
            let line = marks.before(at as u64);
            let mut again = Reader { at: at as u64, line, marks };
            assert_eq!(
                String::from_utf8(pass(&mut again, &lines, usize::MAX)).unwrap(),
                all[at..],
                "from {at}"
            );
        }
    }

    #[test]
    fn a_log_whose_beginning_is_gone_is_gone_on_with_after_the_gap() {
        let (lines, dir) = (lines(), tempfile::tempdir().unwrap());
        let mut reader = Reader { at: 0, line: None, marks: Marks::of(dir.path(), "x") };
        let before = pass(&mut reader, &lines[..10], usize::MAX).len();
        // The node has thrown away the lines before this one.
        let rest = pass(&mut reader, &lines[30..], usize::MAX);
        assert_eq!(String::from_utf8(rest).unwrap(), text(&lines[30..]));
        assert_eq!(
            reader.at,
            (before + text(&lines[30..]).len()) as u64,
            "bytes are counted as they were handed out"
        );
        // Cut once more, it is found again from there.
        assert!(pass(&mut reader, &lines[30..], usize::MAX).is_empty());
    }
}
