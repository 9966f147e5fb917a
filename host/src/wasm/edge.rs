//! Headers that the platform's edge adds to each request from outside.
//!
//! **Guarantees.** The client cannot choose them: what it sends under these names is replaced, but for `x-forwarded-for`, which is continued. They
//! are added once, where a request comes in: a request between Workers has them only when its sender passes them on.
//!
//! **Non-goals.** Knowing where a client is: its country is `XX`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const CONNECTING_IPV6: HeaderName = HeaderName::from_static("cf-connecting-ipv6");
const COUNTRY: HeaderName = HeaderName::from_static("cf-ipcountry");
const RAY: HeaderName = HeaderName::from_static("cf-ray");
const VISITOR: HeaderName = HeaderName::from_static("cf-visitor");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Headers that are about the way to this server and mean nothing on the way to another.
const OF_WAY_IN: [HeaderName; 5] = [CONNECTING_IP, CONNECTING_IPV6, COUNTRY, RAY, VISITOR];

/// Sets the headers of a request that came from `client`.
pub(crate) fn arrives(headers: &mut HeaderMap, client: IpAddr) {
    remove_way_in(headers);
    let client = client.to_canonical().to_string();
    let before = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let forwarded = before.chain([client.as_str()]).collect::<Vec<_>>().join(", ");
    let ray = format!("{:016x}-DEV", rand::random::<u64>());
    for (name, value) in [
        (CONNECTING_IP, client.as_str()),
        (REAL_IP, &client),
        (FORWARDED_FOR, &forwarded),
        (FORWARDED_PROTO, "http"),
        (RAY, &ray),
        (COUNTRY, "XX"),
        (VISITOR, r#"{"scheme":"http"}"#),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// Removes the headers of the way in from a request that goes to the network.
pub(crate) fn remove_way_in(headers: &mut HeaderMap) {
    for name in OF_WAY_IN {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_cannot_choose_its_address() {
        let mut headers = HeaderMap::new();
        for name in [CONNECTING_IP, CONNECTING_IPV6, COUNTRY, RAY, VISITOR, FORWARDED_FOR, FORWARDED_PROTO, REAL_IP] {
            headers.insert(name, HeaderValue::from_static("192.0.2.7"));
        }
        arrives(&mut headers, "::ffff:127.0.0.1".parse().unwrap());
        let get = |name| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(get(CONNECTING_IP), Some("127.0.0.1"));
        assert_eq!(get(REAL_IP), Some("127.0.0.1"));
        assert_eq!(get(FORWARDED_FOR), Some("192.0.2.7, 127.0.0.1"));
        assert_eq!(get(FORWARDED_PROTO), Some("http"));
        assert_eq!(get(COUNTRY), Some("XX"));
        assert_eq!(get(VISITOR), Some(r#"{"scheme":"http"}"#));
        assert_eq!(get(CONNECTING_IPV6), None);
        let ray = get(RAY).unwrap();
        assert!(ray.len() == 20 && ray.ends_with("-DEV"), "{ray}");
        remove_way_in(&mut headers);
        assert_eq!(headers.len(), 3);
    }
}
