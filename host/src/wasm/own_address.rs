//! Requests that the session sends to its own server over the network.
//!
//! **Guarantees.** Such a request says how many Workers are asked before it, in a header with a secret of this process. Without the secret the
//! header is ignored; it never reaches a Worker, nor another server. It is recognised by the address that the connection leads to, so the name in
//! the URL does not matter.
//!
//! **Non-goals.** Loops over another server, such as a proxy in front of this one.

use std::net::SocketAddr;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::inward::DEPTH_MAX;

/// `SECRET DEPTH`.
const HEADER: HeaderName = HeaderName::from_static("miniflow-depth");

static SECRET: LazyLock<String> = LazyLock::new(|| format!("{:032x}", rand::random::<u128>()));

/// Addresses that the server of a session listens on.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Vec<SocketAddr>);

impl OwnAddresses {
    /// Returns the addresses of a server that listens on `addresses`.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self(addresses)
    }

    /// Returns whether a connection from `local` to `peer` leads to this server.
    fn lead_to(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        let (local, peer) = (local.ip().to_canonical(), SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        self.0.iter().filter(|own| own.port() == peer.port()).any(|own| {
            let own = own.ip().to_canonical();
            own == peer.ip() || own.is_unspecified() && (peer.ip().is_loopback() || local == peer.ip())
        })
    }
}

/// What a request needs to be recognised when it comes back.
#[derive(Clone, Debug)]
pub(super) struct Returns {
    /// The addresses of the server.
    pub(super) own: OwnAddresses,
    /// How many Workers are asked already, the sender included.
    pub(super) depth: u32,
}

impl Returns {
    /// Marks a request that is sent from `local` to `peer`.
    ///
    /// # Errors
    ///
    /// The reason, when the chain of requests is as long as is allowed.
    pub(super) fn mark(&self, headers: &mut HeaderMap, local: SocketAddr, peer: SocketAddr) -> Result<(), String> {
        if !self.own.lead_to(local, peer) {
            return Ok(());
        }
        if self.depth >= DEPTH_MAX {
            return Err(format!(
                "Subrequest depth limit exceeded: the Worker asks itself at `{peer}`, {DEPTH_MAX} deep already. \
                 There is no other server behind this address"
            ));
        }
        if let Ok(value) = HeaderValue::try_from(format!("{} {}", *SECRET, self.depth + 1)) {
            headers.insert(HEADER, value);
        }
        Ok(())
    }
}

/// Takes the header off a request that came in; returns how many Workers are asked before it: 0 for a request from outside.
pub(crate) fn depth_of(headers: &mut HeaderMap) -> u32 {
    let Some(value) = headers.remove(HEADER) else { return 0 };
    let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
    parts.filter(|(secret, _)| *secret == *SECRET).and_then(|(_, depth)| depth.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(own: &str, local: &str, peer: &str) -> bool {
        OwnAddresses::new(vec![own.parse().unwrap()]).lead_to(local.parse().unwrap(), peer.parse().unwrap())
    }

    #[test]
    fn own_server_is_recognised_by_its_address() {
        assert!(leads("127.0.0.1:80", "127.0.0.1:9", "127.0.0.1:80"));
        assert!(leads("127.0.0.1:80", "[::ffff:127.0.0.1]:9", "[::ffff:127.0.0.1]:80"));
        assert!(leads("0.0.0.0:80", "192.0.2.1:9", "192.0.2.1:80"));
        assert!(leads("[::]:80", "[::1]:9", "[::1]:80"));
        assert!(!leads("127.0.0.1:80", "127.0.0.1:9", "127.0.0.1:81"));
        assert!(!leads("127.0.0.1:80", "127.0.0.1:9", "127.0.0.2:80"));
        assert!(!leads("0.0.0.0:80", "192.0.2.1:9", "192.0.2.2:80"));
    }

    #[test]
    fn depth_is_read_with_the_secret_only() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let returns = |depth| Returns { own: OwnAddresses::new(vec![at]), depth };
        let mut headers = HeaderMap::new();
        returns(3).mark(&mut headers, at, at).unwrap();
        assert_eq!(depth_of(&mut headers), 4);
        assert!(headers.is_empty());
        headers.insert(HEADER, HeaderValue::from_static("0 31"));
        assert_eq!(depth_of(&mut headers), 0);
        assert!(headers.is_empty());
        assert!(returns(DEPTH_MAX).mark(&mut headers, at, at).unwrap_err().contains("asks itself"));
        returns(0).mark(&mut headers, at, "127.0.0.1:81".parse().unwrap()).unwrap();
        assert!(headers.is_empty());
    }
}
