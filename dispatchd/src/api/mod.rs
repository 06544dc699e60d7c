//! HTTP over the local socket.
