//! Which hosts guests reach over the network.
//!
//! Promises: what is denied is known from the request alone: no name is looked up, nothing is sent. Never does: look at addresses; a host is
//! allowed by the name that the request has.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

use crate::urls;

/// Where guests' requests may go that leave the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network(Option<Vec<AllowedHost>>);

impl Network {
    /// Returns the network of a session. With `is_denied`, and as soon as something is `allowed`, nothing else is.
    #[must_use]
    pub fn new(is_denied: bool, allowed: Vec<AllowedHost>) -> Self {
        Self((is_denied || !allowed.is_empty()).then_some(allowed))
    }

    /// The hosts that are allowed; none when all are.
    #[must_use]
    pub fn allowed(&self) -> Option<&[AllowedHost]> {
        self.0.as_deref()
    }

    /// Checks where a request is to go.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), Denied> {
        let Some(allowed) = &self.0 else { return Ok(()) };
        let host = standard(uri.host().unwrap_or_default());
        let default = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default);
        if allowed.iter().any(|allowed| allowed.covers(&host, port)) {
            return Ok(());
        }
        Err(Denied { host, port, allowed: allowed.clone() })
    }
}

/// A request that was not sent.
#[derive(Debug, thiserror::Error)]
#[error("the request to `{host}:{port}` was not sent: {}; `--allow-host {host}` allows it", reach(.allowed))]
pub(super) struct Denied {
    host: String,
    port: u16,
    allowed: Vec<AllowedHost>,
}

fn reach(allowed: &[AllowedHost]) -> String {
    if allowed.is_empty() {
        return "the session has no network (`--deny-net`)".to_owned();
    }
    let names: Vec<_> = allowed.iter().map(|host| format!("`{host}`")).collect();
    format!("the session reaches only {} (`--allow-host`)", names.join(", "))
}

/// A host that may be reached: `example.com`, `*.example.com` (everything below it), an IP address, each with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    /// All below `host` are meant, and not itself.
    is_suffix: bool,
    /// None: any.
    port: Option<u16>,
}

impl AllowedHost {
    fn covers(&self, host: &str, port: u16) -> bool {
        let is_meant = match self.is_suffix {
            true => host.strip_suffix(&self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.host,
        };
        is_meant && self.port.is_none_or(|allowed| allowed == port)
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, is_suffix, port } = self;
        f.write_str(if *is_suffix { "*." } else { "" })?;
        f.write_str(host)?;
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// What is no host that could be allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHost {
    /// A URL, or part of one.
    #[error("name a host, such as `api.example.com` or `*.example.com:8443`, not a URL")]
    Url,
    /// Something else.
    #[error("not a host, such as `api.example.com`, `*.example.com:8443`, `127.0.0.1` or `[::1]:8080`")]
    Host,
    /// A port that no server has.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

impl FromStr for AllowedHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if text.contains("://") || text.contains(['/', '?', '#', '@']) {
            return Err(NoHost::Url);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self { host: standard(&format!("[{text}]")), is_suffix: false, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((_, after)) if after.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0).ok_or(NoHost::Port)?)),
            None => (text, None),
        };
        let (host, is_suffix) = match host.strip_prefix("*.") {
            Some(below) => (below, true),
            None => (host, false),
        };
        let host = urls::host(host).filter(|host| match host.starts_with('[') {
            true => !is_suffix,
            false => is_name(host),
        });
        Ok(Self { host: host.ok_or(NoHost::Host)?, is_suffix, port })
    }
}

fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    host.split('.').all(is_label)
}

/// The host as hosts are compared; as it is when it is none.
fn standard(host: &str) -> String {
    urls::host(host).unwrap_or_else(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(hosts: &[&str]) -> Network {
        Network::new(true, hosts.iter().map(|host| host.parse().unwrap()).collect())
    }

    #[track_caller]
    fn denied(network: &Network, url: &str) -> String {
        network.check(&url.parse().unwrap()).unwrap_err().to_string()
    }

    #[track_caller]
    fn check(network: &Network, allowed: &[&str], refused: &[&str]) {
        for url in allowed {
            assert!(network.check(&url.parse().unwrap()).is_ok(), "{url}");
        }
        for url in refused {
            assert!(network.check(&url.parse().unwrap()).is_err(), "{url}");
        }
    }

    #[test]
    fn everything_is_reached_unless_something_is_said() {
        check(&Network::default(), &["http://example.com/"], &[]);
        check(&Network::new(false, Vec::new()), &["http://example.com/"], &[]);
        check(&Network::new(true, Vec::new()), &[], &["http://example.com/", "http://localhost/", "http://[::1]/"]);
        check(&Network::new(false, vec!["a.test".parse().unwrap()]), &["http://a.test/"], &["http://b.test/"]);
    }

    #[test]
    fn a_host_is_allowed_by_name_and_port() {
        let network = only(&["a.test", "b.test:8080", "127.0.0.1", "[::1]:80", "2001:DB8::1"]);
        check(
            &network,
            &[
                "https://a.test/",
                "http://A.Test:99/x?y",
                "http://a.test./",
                "http://b.test:8080/",
                "http://127.0.0.1:1/",
                "http://[::1]/",
                "https://[2001:db8:0:0::1]/",
                "http://127.1/",
                "http://0x7f000001/",
            ],
            &[
                "http://x.a.test/",
                "http://b.test/",
                "https://b.test/",
                "http://127.0.0.2/",
                "https://[::1]/",
                "http://a.test.evil/",
            ],
        );
    }

    #[test]
    fn a_wildcard_is_everything_below() {
        let network = only(&["*.example.com", "*.local:443"]);
        check(
            &network,
            &["http://a.example.com/", "http://a.b.Example.com:1/", "https://x.local/"],
            &["http://example.com/", "http://badexample.com/", "http://.example.com/", "http://x.local/"],
        );
    }

    #[test]
    fn name_of_other_letters_is_allowed_in_either_form() {
        for text in ["b\u{fc}cher.test", "xn--bcher-kva.test"] {
            check(&only(&[text]), &["http://xn--bcher-kva.test/"], &["http://bcher.test/"]);
        }
        check(&only(&["*.b\u{fc}cher.test"]), &["http://a.xn--bcher-kva.test/"], &[]);
    }

    #[test]
    fn a_denied_request_is_told_which_host_and_which_flag() {
        assert_eq!(
            denied(&only(&[]), "https://api.example.com/v1"),
            "the request to `api.example.com:443` was not sent: the session has no network (`--deny-net`); `--allow-host api.example.com` allows it"
        );
        assert_eq!(
            denied(&only(&["a.test", "*.b.test:80"]), "http://[::1]:99/"),
            "the request to `[::1]:99` was not sent: the session reaches only `a.test`, `*.b.test:80` (`--allow-host`); `--allow-host [::1]` allows it"
        );
    }

    #[test]
    fn what_is_no_host_is_told() {
        for (text, error) in [
            ("https://a.test", NoHost::Url),
            ("a.test/path", NoHost::Url),
            ("me@a.test", NoHost::Url),
            ("", NoHost::Host),
            ("a..test", NoHost::Host),
            ("*", NoHost::Host),
            ("a.*.test", NoHost::Host),
            ("*.[::1]", NoHost::Host),
            ("[::1", NoHost::Host),
            ("[::g]", NoHost::Host),
            ("a test", NoHost::Host),
            ("a.test:", NoHost::Port),
            ("a.test:0", NoHost::Port),
            ("a.test:65536", NoHost::Port),
        ] {
            assert_eq!(text.parse::<AllowedHost>(), Err(error), "{text}");
        }
    }
}
