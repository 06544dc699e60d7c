//! A program in a pseudo terminal, driven by keys and read as a screen.
//!
//! A thread reads what the program puts out into a terminal emulator; waits are for named conditions of the screen with a
//! deadline, and a failed one shows the screen as it was.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use color_eyre::eyre::{Result, WrapErr, eyre};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// The emulated terminal, and whether the program still writes to it.
struct Shared {
    parser: vt100::Parser,
    /// Everything that came, for what the screen does not keep.
    raw: Vec<u8>,
    open: bool,
    /// Nothing is read for the time being.
    held: bool,
}

/// A running program and its terminal. Dropping it kills the program.
pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl std::fmt::Debug for Pty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pty({:?})\n{}", self.child.process_id(), self.text())
    }
}

fn nonzero(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}

fn size((columns, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Pty {
    /// Starts `program` with `args` in a terminal of (columns, rows). Of the environment it gets what is given, and a
    /// `PATH`, a `TERM` with colours and a locale with UTF-8.
    ///
    /// # Errors
    /// If the terminal cannot be made or the program cannot be started.
    pub fn spawn(program: &Path, args: &[&str], env: &[(&str, &str)], at: (u16, u16)) -> Result<Self> {
        let pair = native_pty_system().openpty(size(at)).map_err(|e| eyre!("no pseudo terminal: {e}"))?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        for (name, value) in
            [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("TZ", "UTC")].iter().chain(env)
        {
            command.env(name, value);
        }
        let child = pair
            .slave
            .spawn_command(command)
            .map_err(|e| eyre!("{} cannot be started: {e}", program.display()))?;
        drop(pair.slave);
        let mut out =
            pair.master.try_clone_reader().map_err(|e| eyre!("the terminal cannot be read: {e}"))?;
        let keys = pair.master.take_writer().map_err(|e| eyre!("the terminal cannot be written: {e}"))?;
        let parser = vt100::Parser::new(nonzero(at.1), nonzero(at.0), 0);
        let shared = Arc::new((
            Mutex::new(Shared { parser, raw: Vec::new(), open: true, held: false }),
            Condvar::new(),
        ));
        let reader = shared.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let waits = reader.0.lock().unwrap_or_else(PoisonError::into_inner);
                drop(reader.1.wait_while(waits, |shared| shared.held));
                // The end of a pseudo terminal is an error on Linux.
                let read = out.read(&mut buffer).unwrap_or(0);
                let mut shared = reader.0.lock().unwrap_or_else(PoisonError::into_inner);
                shared.parser.process(&buffer[..read]);
                shared.raw.extend_from_slice(&buffer[..read]);
                shared.open = read > 0;
                reader.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Ok(Self { child, master: pair.master, keys, shared })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bytes as if typed: `"j"`, `"\r"`, `"\x1b"`, `"\x13"` for Ctrl-s.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .wrap_err("the program takes no keys")
    }

    /// Sends text as a bracketed paste.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn paste(&mut self, text: &str) -> Result<()> {
        self.send(&format!("\x1b[200~{text}\x1b[201~"))
    }

    /// Makes the terminal (columns, rows) large; the program is told.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn resize(&mut self, at: (u16, u16)) -> Result<()> {
        self.lock().parser.screen_mut().set_size(nonzero(at.1), nonzero(at.0));
        self.master.resize(size(at)).map_err(|e| eyre!("the terminal cannot be resized: {e}"))
    }

    /// The screen as lines of text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lock().parser.screen().contents()
    }

    /// Everything that the program ever put out.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.lock().raw.clone()
    }

    /// What `look` finds on the screen: styles, the cursor, modes.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.lock().parser.screen())
    }

    /// The style of the first character of `needle`; `None` if it is not on the screen.
    #[must_use]
    pub fn style(&self, needle: &str) -> Option<vt100::Cell> {
        self.look(|screen| {
            let (rows, columns) = screen.size();
            for row in 0..rows.get() {
                let cells: Vec<_> = (0..columns.get()).filter_map(|c| screen.cell(row, c)).collect();
                let text = |cells: &[&vt100::Cell]| -> String {
                    cells.iter().map(|c| if c.has_contents() { c.contents() } else { " " }).collect()
                };
                let at = (0..cells.len()).find(|at| text(&cells[*at..]).starts_with(needle));
                if let Some(cell) = at.and_then(|at| cells.get(at)) {
                    return Some((*cell).clone());
                }
            }
            None
        })
    }

    /// Waits until `is` holds of the screen.
    ///
    /// # Errors
    /// After `within`, or when the program ended before: what was waited for, and the screen.
    pub fn wait_until(
        &self,
        what: &str,
        within: Duration,
        is: impl Fn(&vt100::Screen) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut shared = self.lock();
        loop {
            if is(shared.parser.screen()) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !shared.open {
                let why = if shared.open { "within the time" } else { "before the program ended" };
                return Err(eyre!(
                    "{what}: not seen {why}; the screen was:\n{}",
                    shared.parser.screen().contents()
                ));
            }
            shared = self.shared.1.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many bytes have come so far.
    #[must_use]
    pub fn came(&self) -> usize {
        self.lock().raw.len()
    }

    /// Waits until a whole frame has come after the byte `from`; returns the byte after it.
    ///
    /// # Errors
    /// As [`Pty::wait_until`].
    pub fn wait_for_frame(&self, from: usize, within: Duration) -> Result<usize> {
        const END: &[u8] = b"\x1b[?2026l";
        let deadline = Instant::now() + within;
        let mut shared = self.lock();
        loop {
            let found = shared.raw.get(from..).and_then(|r| r.windows(END.len()).position(|w| w == END));
            if let Some(at) = found {
                return Ok(from + at + END.len());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !shared.open {
                return Err(eyre!("no frame came; the screen is:\n{}", shared.parser.screen().contents()));
            }
            shared = self.shared.1.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Stops reading what the program puts out, as a slow link does, or goes on.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
        self.shared.1.notify_all();
    }

    /// Presses a mouse button (0 left, 2 right, 64 and 65 the wheel) at a cell, from 0.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn press(&mut self, button: u16, (column, row): (u16, u16)) -> Result<()> {
        self.send(&format!("\x1b[<{button};{};{}M", column + 1, row + 1))
    }

    /// Moves the mouse to a cell with the left button down.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn drag(&mut self, at: (u16, u16)) -> Result<()> {
        self.press(32, at)
    }

    /// Lets the left button go at a cell.
    ///
    /// # Errors
    /// If the program is gone.
    pub fn release(&mut self, (column, row): (u16, u16)) -> Result<()> {
        self.send(&format!("\x1b[<0;{};{}m", column + 1, row + 1))
    }

    /// The cell where `needle` stands.
    #[must_use]
    pub fn place(&self, needle: &str) -> Option<(u16, u16)> {
        self.look(|screen| {
            let (rows, columns) = screen.size();
            for row in 0..rows.get() {
                let cells: Vec<_> = (0..columns.get()).filter_map(|c| screen.cell(row, c)).collect();
                let text = |at: usize| -> String {
                    cells[at..].iter().map(|c| if c.has_contents() { c.contents() } else { " " }).collect()
                };
                if let Some(at) = (0..cells.len()).find(|at| text(*at).starts_with(needle)) {
                    return Some((u16::try_from(at).ok()?, row));
                }
            }
            None
        })
    }

    /// Waits until `needle` stands on the screen.
    ///
    /// # Errors
    /// As [`Pty::wait_until`].
    pub fn wait_for(&self, needle: &str, within: Duration) -> Result<()> {
        self.wait_until(&format!("`{needle}`"), within, |screen| screen.contents().contains(needle))
    }

    /// Waits until the program has ended and returns its exit code.
    ///
    /// # Errors
    /// After `within`: the screen.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<u32> {
        let deadline = Instant::now() + within;
        let mut shared = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        while shared.open {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(eyre!(
                    "the program goes on; the screen is:\n{}",
                    shared.parser.screen().contents()
                ));
            }
            shared = self.shared.1.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(shared);
        Ok(self.child.wait().wrap_err("the program cannot be waited for")?.exit_code())
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.process_id()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must be reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
