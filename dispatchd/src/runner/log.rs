//! The logs of runs: `<state>/runs/<run>/raw.log`, the bytes as the program put them out, and `events.jsonl`, one event a
//! line. Both only grow, so that a reader may come back with the byte it has reached. What the program says is bounded
//! in both, their heads are kept and a mark says that they were cut. A long raw log is compressed once its run is over
//! (`raw.log.gz`), which no reader notices, and old ones go.
//!
//! In crash terms: a byte of the program is in the raw log once or not yet. The log's length, less what programs before it said, is
//! the place at which the engine's log is taken up again; what the runner itself says comes after the program's last byte.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dispatch_shared::Timestamp;
use dispatch_shared::id::RunId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::pack;
use super::redact::Redactor;
use super::stream::{Event, Kind};
use crate::core::record::Mark;

/// Which of a run's two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The bytes of the program, then what the runner says.
    Raw,
    /// One JSON object a line: [`Line`].
    Events,
}

impl Stream {
    fn file(self) -> &'static str {
        match self {
            Stream::Raw => "raw.log",
            Stream::Events => "events.jsonl",
        }
    }
}

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was read.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// How far a run's logs have come, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the raw log.
    pub raw: u64,
    /// Of the events.
    pub events: u64,
    /// Nothing will be added any more.
    pub done: bool,
}

impl Reach {
    /// Of one of the two.
    #[must_use]
    pub fn of(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Raw => self.raw,
            Stream::Events => self.events,
        }
    }
}

/// All runs' logs. Cheap to share; readers need no lock on the files.
#[derive(Debug)]
pub struct RunLogs {
    dir: PathBuf,
    limit: u64,
    live: Mutex<HashMap<RunId, watch::Sender<Reach>>>,
}

impl RunLogs {
    /// The logs below `state_dir`; a raw log keeps at most `limit` bytes.
    #[must_use]
    pub fn new(state_dir: &Path, limit: u64) -> Arc<Self> {
        Arc::new(Self { dir: state_dir.join("runs"), limit, live: Mutex::default() })
    }

    pub(super) fn path(&self, run: RunId, stream: Stream) -> PathBuf {
        self.dir.join(run.to_string()).join(stream.file())
    }

    /// Says at which byte of the raw log the program began that is there now, unless it is the first one.
    fn began(&self, run: RunId) -> PathBuf {
        self.dir.join(run.to_string()).join("began")
    }

    /// The length of a log in bytes; 0 if there is none.
    #[must_use]
    pub fn len(&self, run: RunId, stream: Stream) -> u64 {
        let path = self.path(run, stream);
        match fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(_) => pack::len(&path).unwrap_or(0),
        }
    }

    /// Compresses the long logs of a run that is over.
    ///
    /// # Errors
    /// If the disk does not take them; the logs stay as they were.
    pub fn pack(&self, run: RunId) -> io::Result<()> {
        [Stream::Raw, Stream::Events].into_iter().try_for_each(|stream| pack::pack(&self.path(run, stream)))
    }

    /// The runs of which there are logs.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
    }

    /// Removes the logs of runs that are over: those that ended before `since`, then the oldest until all that is left of them
    /// takes at most `total` bytes on the disk. Returns whose logs went.
    pub fn collect(&self, over: &[(RunId, Timestamp)], since: Timestamp, total: u64) -> Vec<RunId> {
        let mut over = over.to_vec();
        over.sort_by_key(|(run, at)| std::cmp::Reverse((*at, *run)));
        let (mut kept, mut gone) = (0_u64, Vec::new());
        for (run, at) in over {
            let dir = self.dir.join(run.to_string());
            let files = fs::read_dir(&dir).into_iter().flatten().flatten();
            let size: u64 = files.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
            kept = kept.saturating_add(size);
            if (at < since || kept > total) && dir.exists() {
                match fs::remove_dir_all(&dir) {
                    Ok(()) => gone.push(run),
                    Err(error) => tracing::warn!(%run, %error, "its old logs were not removed"),
                }
            }
        }
        gone
    }

    /// A reader that stands at byte `offset` (or at the end, if that lies beyond it).
    ///
    /// # Errors
    /// Not found, if the run has no log yet or any more.
    pub fn open(&self, run: RunId, stream: Stream, offset: u64) -> io::Result<File> {
        let path = self.path(run, stream);
        let mut file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => pack::open(&path)?,
            file => file?,
        };
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset.min(end)))?;
        Ok(file)
    }

    /// Tells how far the logs have come, each time they come further. Of a run that is over: its last state.
    #[must_use]
    pub fn follow(&self, run: RunId) -> watch::Receiver<Reach> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        match live.get(&run) {
            Some(sender) => sender.subscribe(),
            None => watch::channel(self.reach(run, true)).1,
        }
    }

    /// Says that `run` lives, so that a follower that comes before its first byte waits for it.
    pub fn announce(&self, run: RunId) {
        let reach = self.reach(run, false);
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.entry(run).or_insert_with(|| watch::channel(reach).0);
    }

    /// Tells the followers of `run` that nothing will be added any more.
    pub fn finish(&self, run: RunId) {
        let reach = self.reach(run, true);
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = live.remove(&run) {
            sender.send_replace(reach);
        }
    }

    fn reach(&self, run: RunId, done: bool) -> Reach {
        Reach { raw: self.len(run, Stream::Raw), events: self.len(run, Stream::Events), done }
    }

    /// Opens the logs of `run` for adding. One writer a run.
    ///
    /// # Errors
    /// If the directory cannot be made or written.
    pub fn writer(self: &Arc<Self>, run: RunId) -> io::Result<Writer> {
        fs::create_dir_all(self.dir.join(run.to_string()))?;
        let open =
            |stream| OpenOptions::new().create(true).append(true).read(true).open(self.path(run, stream));
        let (raw, mut events) = (open(Stream::Raw)?, open(Stream::Events)?);
        end_line(&mut events)?;
        let mut told = 0;
        for line in io::BufReader::new(self.open(run, Stream::Events, 0)?).lines() {
            let program = serde_json::from_str::<Line>(&line?).is_ok_and(|l| l.event.kind != Kind::Note);
            told += u64::from(program);
        }
        self.announce(run);
        let reach = self.reach(run, false);
        let redactor = Redactor::default();
        let began = fs::read_to_string(self.began(run)).ok().and_then(|text| text.trim().parse().ok());
        let began = began.unwrap_or(0);
        Ok(Writer { logs: self.clone(), run, raw, events, reach, began, seen: 0, told, redactor })
    }
}

/// A crash may have left half a line.
fn end_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

/// Adds to a run's logs, until [`RunLogs::finish`] says that it is over.
#[derive(Debug)]
pub struct Writer {
    logs: Arc<RunLogs>,
    run: RunId,
    raw: File,
    events: File,
    reach: Reach,
    /// Where the program that is there now began in the raw log.
    began: u64,
    /// Events of the program that were given to this writer.
    seen: u64,
    /// Events of the program that the file held already: that many are known and not written again.
    told: u64,
    redactor: Redactor,
}

impl Writer {
    /// How many bytes of programs the raw log holds.
    #[must_use]
    pub fn raw_len(&self) -> u64 {
        // What says that the log is cut is no program's.
        self.reach.raw.min(self.logs.limit)
    }

    /// Where the log of the program that is there now is to be taken up: how much of it is kept.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.raw_len().saturating_sub(self.began)
    }

    /// Where the program that is there now began in the raw log.
    #[must_use]
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Says, before it starts, that a program begins whose own log is empty: a second one comes after a daemon that ended the
    /// first.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn begin(&mut self) -> io::Result<()> {
        let (path, now) = (self.logs.began(self.run), self.raw_len());
        if now != self.began {
            let new = path.with_added_extension("new");
            fs::write(&new, now.to_string())?;
            fs::rename(&new, &path)?;
            self.began = now;
        }
        Ok(())
    }

    /// How far the logs have come, for the next round of the run.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { raw: self.reach.raw, events: self.seen.max(self.told) }
    }

    /// What the program of this round says begins here: events that come before were another's.
    pub fn goes_on_at(&mut self, mark: Mark) {
        self.seen = mark.events;
    }

    /// Values that are not to be kept from now on.
    pub fn hide(&mut self, secrets: Vec<String>) {
        self.redactor.hide(secrets);
    }

    /// What may be kept of the program's next bytes: as many, but some of the last may wait for the next call.
    pub fn scrub(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.redactor.push(bytes)
    }

    /// What waited, once the program is over.
    pub fn scrub_rest(&mut self) -> Vec<u8> {
        self.redactor.finish()
    }

    /// Adds bytes of the program.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = self.logs.limit;
        if self.reach.raw >= limit {
            return Ok(());
        }
        let room = usize::try_from(limit - self.reach.raw).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(room)];
        self.raw.write_all(kept)?;
        self.reach.raw += kept.len() as u64;
        if kept.len() < bytes.len() {
            let mark = format!("\n[dispatch] the log is cut here, at {limit} bytes\n");
            self.raw.write_all(mark.as_bytes())?;
            self.reach.raw += mark.len() as u64;
        }
        self.tell();
        Ok(())
    }

    /// Adds events of the program. Those that a writer before this one had added are passed over.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn events(&mut self, at: Timestamp, events: Vec<Event>) -> io::Result<()> {
        for event in events {
            self.seen += 1;
            if self.seen <= self.told || self.reach.events >= self.logs.limit {
                continue;
            }
            self.line(&Line { at, event })?;
            if self.reach.events >= self.logs.limit {
                let text = format!("the events are cut here, at {} bytes", self.logs.limit);
                self.line(&Line { at, event: Event { kind: Kind::Note, text } })?;
            }
        }
        self.tell();
        Ok(())
    }

    /// Says something as the runner, among the events alone: while the program lives, the raw log is its own.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn note(&mut self, at: Timestamp, text: &str) -> io::Result<()> {
        let text = self.redactor.text(text);
        self.line(&Line { at, event: Event { kind: Kind::Note, text } })?;
        self.tell();
        Ok(())
    }

    /// Says something as the runner, in both logs: only after the program's last byte.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn closing(&mut self, at: Timestamp, text: &str) -> io::Result<()> {
        let line = format!("[dispatch] {}\n", self.redactor.text(text.trim_end()));
        end_line(&mut self.raw)?;
        self.raw.write_all(line.as_bytes())?;
        self.reach.raw = self.raw.metadata()?.len();
        self.note(at, text)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.events.write_all(&json)?;
        self.reach.events += json.len() as u64;
        Ok(())
    }

    fn tell(&self) {
        let live = self.logs.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = live.get(&self.run) {
            sender.send_replace(self.reach);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_000);

    fn text(logs: &RunLogs, stream: Stream, from: u64) -> String {
        io::read_to_string(logs.open(RunId(1), stream, from).unwrap()).unwrap()
    }

    fn event(text: &str) -> Event {
        Event { kind: Kind::Text, text: text.into() }
    }

    #[tokio::test]
    async fn a_follower_is_woken_and_told_of_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 1 << 20);
        let mut writer = logs.writer(RunId(1)).unwrap();
        let mut follow = logs.follow(RunId(1));
        writer.raw(b"hello\n").unwrap();
        follow.changed().await.unwrap();
        assert_eq!(*follow.borrow_and_update(), Reach { raw: 6, events: 0, done: false });
        assert_eq!(text(&logs, Stream::Raw, 2), "llo\n");
        logs.finish(RunId(1));
        follow.changed().await.unwrap();
        assert!(follow.borrow().done);
        assert!(logs.follow(RunId(1)).borrow().done, "a run that is over is not followed");
    }

    #[test]
    fn a_long_log_keeps_its_head_and_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 10);
        let mut writer = logs.writer(RunId(1)).unwrap();
        for _ in 0..5 {
            writer.raw(b"0123456\n").unwrap();
        }
        writer.closing(AT, "over").unwrap();
        assert_eq!(
            text(&logs, Stream::Raw, 0),
            "0123456\n01\n[dispatch] the log is cut here, at 10 bytes\n[dispatch] over\n"
        );
        assert_eq!(writer.raw_len(), 10, "only the program's bytes count");
    }

    #[test]
    fn a_program_that_begins_again_is_taken_up_at_its_own_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 10);
        let mut writer = logs.writer(RunId(1)).unwrap();
        writer.begin().unwrap();
        writer.raw(b"first\n").unwrap();
        assert_eq!((writer.began(), writer.taken()), (0, 6));
        drop(writer);
        let mut writer = logs.writer(RunId(1)).unwrap();
        assert_eq!(writer.taken(), 6, "the first goes on");
        writer.begin().unwrap();
        assert_eq!(writer.taken(), 0, "the second has said nothing yet");
        writer.raw(b"two").unwrap();
        drop(writer);
        let mut writer = logs.writer(RunId(1)).unwrap();
        assert_eq!((writer.began(), writer.taken()), (6, 3));
        writer.raw(b"cut here").unwrap();
        assert_eq!((writer.raw_len(), writer.taken()), (10, 4), "the mark is not the program's");
    }

    #[test]
    fn a_packed_log_reads_like_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 1 << 20);
        let mut writer = logs.writer(RunId(1)).unwrap();
        let long: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
        writer.raw(long.as_bytes()).unwrap();
        writer.note(AT, "short").unwrap();
        drop(writer);
        let events = text(&logs, Stream::Events, 0);
        // Twice, as after a crash.
        logs.pack(RunId(1)).unwrap();
        logs.pack(RunId(1)).unwrap();
        assert!(!logs.path(RunId(1), Stream::Raw).exists(), "the long one is packed");
        assert!(logs.path(RunId(1), Stream::Events).exists(), "the short one is not");
        assert_eq!(logs.len(RunId(1), Stream::Raw), long.len() as u64);
        for from in [0, 1, 70_000, long.len() - 1, long.len(), long.len() + 9] {
            assert!(text(&logs, Stream::Raw, from as u64) == long[from.min(long.len())..], "from {from}");
        }
        assert_eq!(text(&logs, Stream::Events, 0), events);
    }

    #[test]
    fn old_logs_go_and_then_the_oldest_until_the_rest_fits() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 1 << 20);
        for run in 1..=4 {
            logs.writer(RunId(run)).unwrap().raw(&[b'x'; 100]).unwrap();
        }
        let over: Vec<_> =
            (1..=3).map(|n| (RunId(n), Timestamp(1_000 * i64::try_from(n).unwrap()))).collect();
        assert_eq!(logs.collect(&over, Timestamp(1_500), 10_000), [RunId(1)], "too old");
        assert_eq!(logs.collect(&over, Timestamp(0), 150), [RunId(2)], "the newest fits");
        let mut left = logs.runs();
        left.sort();
        assert_eq!(left, [RunId(3), RunId(4)], "what is not over stays");
    }

    #[test]
    fn events_are_bounded_as_well_and_the_runner_still_has_its_say() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 1_000);
        let mut writer = logs.writer(RunId(1)).unwrap();
        for _ in 0..3 {
            writer.events(AT, (0..100).map(|_| event("one of many")).collect()).unwrap();
        }
        writer.note(AT, "over").unwrap();
        let all = text(&logs, Stream::Events, 0);
        assert!(all.len() < 1_500, "{}", all.len());
        assert_eq!(all.matches("cut here").count(), 1, "{all}");
        assert!(all.ends_with("\"over\"}\n"), "{all}");
    }

    #[test]
    fn replayed_events_are_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let logs = RunLogs::new(dir.path(), 1 << 20);
        let mut writer = logs.writer(RunId(1)).unwrap();
        writer.note(AT, "begins").unwrap();
        writer.events(AT, vec![event("one"), event("two")]).unwrap();
        drop(writer);
        fs::OpenOptions::new()
            .append(true)
            .open(logs.path(RunId(1), Stream::Events))
            .unwrap()
            .write_all(b"{\"half")
            .unwrap();
        let mut writer = logs.writer(RunId(1)).unwrap();
        writer.events(AT, vec![event("one"), event("two"), event("three")]).unwrap();
        let all = text(&logs, Stream::Events, 0);
        assert_eq!(all.matches("\"two\"").count(), 1);
        assert!(all.ends_with("\"three\"}\n"), "{all}");
        assert!(all.contains("{\"half\n"), "half a line is ended, not continued");
    }
}
