//! The terminal, taken and given back whatever happens: by a guard that exists before anything is changed, and by a
//! panic hook that runs before the panic is printed.
//!
//! What is to be written is collected in a page: a frame and whatever else is due goes out in one piece, which the terminal
//! shows at once (synchronized output). Whoever owns the page writes it, so that a slow terminal holds up nobody else.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use crossterm::event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::model::{Model, text};
use crate::view::links::{self, Link};

/// Whether the terminal is ours at the moment: the hook and the guard must not restore twice.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Buttons, the wheel and drags, in a form without limits of size. Not every motion: nothing is shown under a pointer that
/// only passes, and each motion would wake us.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";

/// Gives the terminal back. Errors cannot be told to anybody by then.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(
            out,
            EndSynchronizedUpdate,
            Print(MOUSE_OFF),
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

/// What is to be written.
#[derive(Clone, Debug, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// A page goes out when it is complete, see [`Screen::take_page`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a page to the terminal; blocks for as long as the terminal takes.
///
/// # Errors
/// If the terminal is gone.
pub(crate) fn write(page: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(page)?;
    out.flush()
}

/// What may be asked of the terminal beyond drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) mouse: bool,
    /// Links that the terminal opens (OSC 8).
    pub(crate) links: bool,
    /// The clipboard through the terminal (OSC 52).
    pub(crate) clipboard: bool,
}

/// Holds the terminal; dropping it gives it back.
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Page>>,
    page: Page,
    can: Abilities,
    size: (u16, u16),
    /// The links that stand on the screen.
    links: Vec<Link>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If standard input or output is no terminal, or it refuses.
    pub(crate) fn take(can: Abilities) -> io::Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other(
                "the board needs a terminal on standard input and output; for scripts there are `dispatch issues`, `dispatch runs` and others, see `dispatch --help`",
            ));
        }
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        let page = Page::default();
        let size = crossterm::terminal::size()?;
        // Of a fixed size: the model knows the size from the last word of it, and the frame must be of the same.
        let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
        let terminal =
            Terminal::with_options(CrosstermBackend::new(page.clone()), TerminalOptions { viewport })?;
        let mut screen = Self { terminal, page, can, size, links: Vec::new() };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        self.page.bytes().clear();
        queue!(self.page, EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, cursor::Hide)?;
        self.set_mouse(self.can.mouse)?;
        self.clear()
    }

    /// Takes or frees the mouse.
    pub(crate) fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.can.mouse = on;
        queue!(self.page, Print(if on { MOUSE_ON } else { MOUSE_OFF }))
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }

    /// Draws one frame into the page, as large as the model believes that the terminal is.
    pub(crate) fn draw(&mut self, model: &Model) -> io::Result<()> {
        queue!(self.page, BeginSynchronizedUpdate)?;
        if model.size != self.size {
            self.size = model.size;
            self.clear()?;
        }
        let mut links = Vec::new();
        let can = self.can.links;
        self.terminal.draw(|frame| {
            crate::view::draw(model, frame);
            if can {
                links = links::find(model, frame.buffer_mut());
            }
        })?;
        if links != self.links {
            for link in &links {
                queue!(self.page, cursor::SavePosition)?;
                link.write(&mut self.page)?;
                queue!(self.page, cursor::RestorePosition)?;
            }
            self.links = links;
        }
        queue!(self.page, EndSynchronizedUpdate)
    }

    /// Takes what is to be written, if there is anything.
    pub(crate) fn take_page(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut *self.page.bytes())).filter(|page| !page.is_empty())
    }

    /// Forgets what is on the screen, so that the next frame is drawn whole.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.links.clear();
        queue!(self.page, crossterm::terminal::Clear(crossterm::terminal::ClearType::All))?;
        // Not `Terminal::clear`: that asks the terminal where its cursor is and fails where nobody answers.
        self.terminal.resize(Rect::new(0, 0, self.size.0, self.size.1))
    }

    /// Puts text into the clipboard through the terminal (OSC 52); terminals that do not allow it ignore it.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        if !self.can.clipboard {
            return Ok(());
        }
        write!(self.page, "\x1b]52;c;{}\x07", BASE64.encode(text))
    }

    /// Gives the terminal back while `f` runs, and takes it again. No page may be under way.
    pub(crate) fn lend<T>(&mut self, f: impl FnOnce() -> T) -> io::Result<T> {
        if let Some(page) = self.take_page() {
            write(&page)?;
        }
        restore();
        let out = f();
        self.size = self.size()?;
        self.enter()?;
        Ok(out)
    }

    /// The bell.
    pub(crate) fn bell(&mut self) -> io::Result<()> {
        self.page.write_all(b"\x07")
    }

    /// A notification through the terminal: OSC 777 with a title of its own, else OSC 9.
    pub(crate) fn notify(&mut self, titled: bool, title: &str, body: &str) -> io::Result<()> {
        // A semicolon would end the title, a control character the sequence.
        let clean = |s: &str| text::line(s).replace(';', ",");
        if titled {
            write!(self.page, "\x1b]777;notify;{};{}\x07", clean(title), clean(body))
        } else {
            write!(self.page, "\x1b]9;{}: {}\x07", clean(title), clean(body))
        }
    }

    /// Gives the terminal back, stops this process, and takes the terminal again when it goes on. No page may be under way.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        if let Some(page) = self.take_page() {
            write(&page)?;
        }
        restore();
        #[cfg(unix)]
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        self.size = self.size()?;
        self.enter()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}
