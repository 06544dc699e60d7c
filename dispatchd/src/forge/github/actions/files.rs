//! What starts each workflow, from its file on the default branch. A file is read again only when git says that its
//! content is another one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::read::{Reading, Stop};
use super::wire;
use crate::core::automation::{Part, triggers};
use crate::edges::ForgeError;
use crate::forge::github::link::escape;

/// No workflow file that a person wrote is longer.
const MOST_BYTES: u64 = 1 << 20;

impl Reading<'_> {
    pub(super) async fn files(&mut self) -> Result<(), Stop> {
        if self.facts.workflows.is_empty() {
            return Ok(());
        }
        let what = format!("reading the workflow files of {}", self.repo.name);
        let branch = escape(&self.repo.default_branch);
        let path = self.path(&format!("/contents/.github/workflows?ref={branch}"));
        let entries = match self.get::<wire::Listing>(Part::Workflows, &path, &what).await {
            Ok(None) => return Ok(()),
            Ok(Some(wire::Listing::Directory(entries))) => entries,
            Ok(Some(wire::Listing::Other(_))) => Vec::new(),
            Err(Stop::Forge(ForgeError::NotFound(_))) => Vec::new(),
            // The workflows themselves may be read, only their files may not.
            Err(Stop::Forge(ForgeError::Refused(said))) => {
                for workflow in &mut self.facts.workflows {
                    workflow.triggers_note = Some(said.clone());
                }
                return Ok(());
            }
            Err(stop) => return Err(stop),
        };
        for at in 0..self.facts.workflows.len() {
            if let Err(stop) = self.file(at, &entries, &what).await {
                // Without a validator the list, and with it the rest, is read again.
                self.forget(Part::Workflows, &path);
                return Err(stop);
            }
        }
        Ok(())
    }

    async fn file(&mut self, at: usize, entries: &[wire::Entry], what: &str) -> Result<(), Stop> {
        let Some(workflow) = self.facts.workflows.get(at) else { return Ok(()) };
        let entry = entries.iter().find(|e| e.path == workflow.path);
        if entry.is_some_and(|e| workflow.blob.as_ref() == Some(&e.sha)) {
            return Ok(());
        }
        let (blob, read) = match entry {
            None => (None, Err(format!("there is no {} on {}", workflow.path, self.repo.default_branch))),
            Some(entry) if entry.size > MOST_BYTES => {
                (Some(entry.sha.clone()), Err("its file is larger than 1 MiB".to_owned()))
            }
            Some(entry) => {
                let path = self.path(&format!("/git/blobs/{}", escape(&entry.sha)));
                let got = self.get::<wire::Blob>(Part::Workflows, &path, what).await?;
                self.forget(Part::Workflows, &path);
                (Some(entry.sha.clone()), got.ok_or_else(String::new).and_then(|blob| text(&blob)))
            }
        };
        let read = read.and_then(|text| triggers::parse(&text));
        if let Some(workflow) = self.facts.workflows.get_mut(at) {
            workflow.blob = blob;
            workflow.triggers_note = read.as_ref().err().cloned();
            workflow.triggers = read.unwrap_or_default();
        }
        Ok(())
    }
}

/// A blob's text; GitHub breaks base64 into lines.
fn text(blob: &wire::Blob) -> Result<String, String> {
    if blob.encoding != "base64" {
        return Ok(blob.content.clone());
    }
    let packed: String = blob.content.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(packed).map_err(|e| format!("its file cannot be decoded: {e}"))?;
    String::from_utf8(bytes).map_err(|_| "its file is no UTF-8 text".to_owned())
}
