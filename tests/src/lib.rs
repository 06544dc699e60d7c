//! What the scenarios share: hands that drive the real parts, and stand-ins for the world around them.
//!
//! - [`crowd`]: a stand-in for a daemon with very many cards.
//! - [`daemon`]: a real daemon in a directory of its own.
//! - [`github`]: a GitHub in memory with real git repositories, that can be told to fail.
//! - [`hooks`]: payloads of GitHub's webhooks.
//! - [`image`]: a container image made of busybox.
//! - [`leftover`]: what a run may leave behind and must not.
//! - `kube`: a Kubernetes cluster in memory that can be told to fail, and can run its pods; with the feature `kubernetes`.
//! - [`ledger`]: commands by the handful, a clock that steps, a state's shape, for whoever drives the ledger directly.
//! - [`manifest`]: what lies in a directory, before and after.
//! - [`openai`]: an OpenAI-compatible endpoint that says what it is told to.
//! - [`pty`]: a program in a pseudo terminal, driven by keys and read as a screen.
//! - [`python`]: tools from PyPI, in an environment of their own.
//! - [`model`]: a model server for real programs.
//! - [`secret`]: a search for a secret in processes and files.
//! - [`repository`]: a git repository on disk for the local forge.
//! - [`schemas`]: GitHub's public schemas, and what checks against them.
//! - [`scene`]: one issue, one repository, one program, one runtime.
//! - [`sample`]: a repository on disk with issues that are ready.
//!
//! Deliberately absent: any sleep that waits for something. Waits have a name and a deadline.

pub mod crowd;
pub mod daemon;
pub mod github;
pub mod hooks;
pub mod image;
#[cfg(feature = "kubernetes")]
pub mod kube;
pub mod ledger;
pub mod leftover;
pub mod manifest;
pub mod model;
pub mod openai;
pub mod pty;
pub mod python;
pub mod repository;
pub mod sample;
pub mod scene;
pub mod schemas;
pub mod secret;
