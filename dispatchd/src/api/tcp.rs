//! The TCP door. Beyond loopback it opens only to those who have a token, for whatever answers there answers everybody.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Why TCP could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// Nobody could tell who asks.
    #[error(
        "{address} can be reached from other machines and there is no token: set DISPATCH_AGENT_TOKEN (and \
         DISPATCH_WORKER_TOKEN for workers), or listen on 127.0.0.1"
    )]
    NoTokens {
        /// Where.
        address: SocketAddr,
    },
    /// Asked not to tell who asks.
    #[error(
        "{address} can be reached from other machines and `auth = \"off\"` holds only on loopback: remove it and set \
         DISPATCH_AGENT_TOKEN, or listen on 127.0.0.1"
    )]
    Off {
        /// Where.
        address: SocketAddr,
    },
    /// The text is no address.
    #[error(
        "DISPATCH_LISTEN or api.listen `{text}` is no address to listen on: {cause}; write host:port, like 127.0.0.1:8080"
    )]
    Address {
        /// As it was written.
        text: String,
        /// What is wrong.
        cause: String,
    },
    /// The system refused.
    #[error(
        "cannot listen at {address}: {cause}; stop what uses it, or choose another port in DISPATCH_LISTEN"
    )]
    Io {
        /// Where.
        address: SocketAddr,
        /// What it said.
        cause: io::Error,
    },
}

/// A bound port.
#[derive(Debug)]
pub struct Tcp(TcpListener);

/// Binds `host:port`. `tokens` says whether any is configured, `off` whether none is asked for.
///
/// # Errors
/// See [`TcpError`].
pub async fn bind(text: &str, tokens: bool, off: bool) -> Result<Tcp, TcpError> {
    let wrong = |cause: String| TcpError::Address { text: text.to_owned(), cause };
    let found = tokio::net::lookup_host(text).await.map_err(|e| wrong(e.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    // A name may stand for several: the most public one decides.
    if let Some(address) = addresses.iter().find(|a| !a.ip().to_canonical().is_loopback()).copied() {
        if off {
            return Err(TcpError::Off { address });
        }
        if !tokens {
            return Err(TcpError::NoTokens { address });
        }
    }
    let address = *addresses.first().ok_or_else(|| wrong("it stands for no address".into()))?;
    let listener = TcpListener::bind(address).await.map_err(|cause| TcpError::Io { address, cause })?;
    if off {
        tracing::warn!(%address, "auth is off: every process on this machine may do everything over TCP");
    } else if !tokens {
        tracing::warn!(%address, "there is no token: over TCP only /api/health answers; set DISPATCH_AGENT_TOKEN");
    }
    Ok(Tcp(listener))
}

impl Tcp {
    /// Where it listens.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection.
    ///
    /// # Errors
    /// If the system cannot accept; worth another try after a pause.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.0.accept().await?;
        // Answers are written whole; waiting for more to send would only delay them.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(text: &str, tokens: bool, off: bool) -> String {
        bind(text, tokens, off).await.map_or_else(|e| e.to_string(), |_| "bound".to_owned())
    }

    #[tokio::test]
    async fn beyond_loopback_there_are_tokens_or_nothing() {
        for public in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let none = said(public, false, false).await;
            assert!(none.contains("DISPATCH_AGENT_TOKEN") && none.contains("127.0.0.1"), "{public}: {none}");
            for tokens in [false, true] {
                let off = said(public, tokens, true).await;
                assert!(off.contains("only on loopback"), "{public}: {off}");
            }
        }
        assert_eq!(said("127.0.0.1:0", false, false).await, "bound");
        assert_eq!(said("127.0.0.1:0", false, true).await, "bound");
        assert!(said("8080", true, false).await.contains("host:port"));
    }
}
