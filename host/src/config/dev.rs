//! Checks `dev` of a configuration: where it is served, for those who do not say it on the command line.

use std::net::{IpAddr, Ipv4Addr};

use super::fields::{check_keys, wrong_type};
use super::problem::{Problem, Problems};
use super::raw::{Document, Node, Value};
use super::resolved::DevSettings;

const FIELDS: [&str; 10] = [
    "ip",
    "port",
    "inspector_port",
    "inspector_ip",
    "local_protocol",
    "upstream_protocol",
    "host",
    "enable_containers",
    "container_engine",
    "generate_types",
];

/// Takes `dev` from `document`.
pub(super) fn settings(document: &Document, problems: &mut Problems) -> DevSettings {
    let mut settings = DevSettings::default();
    let Some(dev) = document.root.get("dev") else { return settings };
    if dev.entries().is_none() {
        problems.push(wrong_type("dev", "object", dev).at(document.place(dev.offset)));
        return settings;
    }
    check_keys(document, dev, "dev", &FIELDS, problems);
    let mut report = |node: &Node, problem: Problem| problems.push(problem.at(document.place(node.offset)));
    if let Some(node) = dev.get("port") {
        match node.value {
            Value::Number(port) if port.fract() == 0.0 && (0.0..=65_535.0).contains(&port) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole and within the bounds"
                )]
                let port = port as u16;
                settings.port = Some(port);
            }
            Value::Number(_) => {
                let message =
                    format!("\"dev.port\" must be a whole number from 0 to 65535 but got {}.", node.to_json());
                report(node, Problem::error(message).with_hint("0 takes any port that is free"));
            }
            _ => report(node, wrong_type("dev.port", "number", node)),
        }
    }
    if let Some(node) = dev.get("ip") {
        match node.text().map(parse_ip) {
            Some(Some(ip)) => settings.ip = Some(ip),
            Some(None) => {
                let problem = Problem::error(format!("\"dev.ip\" must be an IP address but got {}.", node.to_json()));
                report(node, problem.with_hint("for example `127.0.0.1`, `::1` or `localhost`"));
            }
            None => report(node, wrong_type("dev.ip", "string", node)),
        }
    }
    if let Some(node) = dev.get("local_protocol").filter(|node| node.text() != Some("http")) {
        let problem = Problem::warning(format!("\"dev.local_protocol\" is {}, and http is served", node.to_json()));
        report(node, problem.with_hint("put a proxy in front of it for anything else"));
    }
    settings
}

/// Reads an IP address, or `localhost`. wrangler's `*` is every address.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    match text {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
        _ => text.parse().ok(),
    }
}
