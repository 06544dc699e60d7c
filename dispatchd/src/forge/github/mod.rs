//! github.com and GitHub Enterprise.
