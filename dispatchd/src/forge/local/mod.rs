//! A git repository on disk with issues as Markdown files.
