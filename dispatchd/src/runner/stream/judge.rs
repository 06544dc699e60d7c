//! How a program that ended fared: its exit code, its terminal event, and what it muttered.

use dispatch_shared::run::EndClass;

use super::{Format, Reader, Terminal, gemini};
use crate::edges::Exit;

impl Reader {
    /// Whether the program was over before its model answered anything.
    #[must_use]
    pub fn did_nothing(&self) -> bool {
        self.summary.turns == 0 && self.summary.usage.tokens() == 0
    }

    /// How a program that ended with `exit` fared. Success is exit code 0, and a terminal event where the format has one,
    /// and that event no error.
    ///
    /// # Errors
    /// The class and a sentence, if it did not end well.
    pub fn judge(&self, exit: Exit) -> Result<(), (EndClass, String)> {
        let code = match exit {
            Exit::Code(code) => code,
            Exit::OutOfMemory => {
                return Err((EndClass::Crashed, "it ran out of memory: raise runner.memory".into()));
            }
            Exit::Lost => {
                return Err((EndClass::Lost, "it vanished and left no exit code".into()));
            }
        };
        if let Some(Terminal::Bad(class, why)) = &self.summary.terminal {
            return Err((*class, why.clone()));
        }
        let said = self.summary.terminal.is_some();
        // opencode has no terminal event: there its error event is the last word.
        if code == 0 && (said || (!self.format.must_say() && self.summary.hint.is_none())) {
            return Ok(());
        }
        if self.format == Format::GeminiStreamJson
            && let Some((class, why)) = gemini::exit_code(code)
        {
            return Err((class, why));
        }
        let muttered = self.summary.muttered.as_ref().filter(|_| code != 0);
        if let Some((class, why)) = self.summary.hint.as_ref().or(muttered)
            && !said
        {
            return Err((*class, why.clone()));
        }
        Err(match code {
            0 => (EndClass::Failed, "it ended without saying how it went".into()),
            125..=127 => (
                EndClass::Crashed,
                format!("it could not start (exit code {code}): is the program in the image?"),
            ),
            137 => {
                // Not every engine tells that it was the kernel, for want of memory.
                let why = "it was killed with signal 9 (exit code 137), and not by Dispatch: most often it ran out of memory, raise \
                           runner.memory";
                (EndClass::Crashed, why.to_owned())
            }
            129..=192 => (EndClass::Crashed, format!("it died of signal {} (exit code {code})", code - 128)),
            _ => (EndClass::Failed, format!("it failed with exit code {code}")),
        })
    }
}
