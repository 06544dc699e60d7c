//! The board in a real terminal, against a real daemon where what the daemon does matters.

#![cfg(unix)]

mod board;
mod crowd;
mod first;
mod keys;
mod link;
mod mouse;
mod run;
mod scene;
mod terminal;
