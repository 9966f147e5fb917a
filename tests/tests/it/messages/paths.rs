//! A path is read in one way: by the Worker, its router, the log and the server's own routes.

use miniflow_tests::eventually;

use super::server;
use super::wire::Connection;

/// Targets as clients send them, and the path that they mean.
const READINGS: [(&str, &str); 16] = [
    ("/a%2Fb", "/a%2Fb"),
    ("/a%20b", "/a%20b"),
    ("//a//b/", "//a//b/"),
    ("/x/../y", "/y"),
    ("/x/%2e%2E/y", "/y"),
    ("/x/.%2e/./y", "/y"),
    ("/x\\..\\y", "/y"),
    ("/x/%2e", "/x/"),
    ("/x/..", "/"),
    ("/../../y", "/y"),
    ("/%61", "/%61"),
    ("/\u{fc}", "/%C3%BC"),
    ("/a|b", "/a|b"),
    ("/..a/b..", "/..a/b.."),
    ("/a?b/../c", "/a"),
    ("/%%2e/x", "/%%2e/x"),
];

#[test]
fn path_equals_the_path_of_the_url() {
    let server = server();
    let mut connection = Connection::open(&server);
    for (target, path) in READINGS {
        let message = connection.ask("GET", target);
        assert_eq!(message.text(), format!("path() {path} url() {path}"), "{target}");
    }
}

#[test]
fn router_resolves_dot_segments() {
    let server = server();
    let mut connection = Connection::open(&server);
    for target in ["/x/%2e%2e/admin", "/x/%2E./admin", "/x\\..\\admin", "/x/../admin", "/admin"] {
        assert_eq!(connection.ask("GET", target).status(), 403, "{target}");
    }
    eventually("each request has its line", || (server.lines_with("GET /admin 403").len() == 5).then_some(()));
}

#[test]
fn own_paths_are_found_by_what_they_mean() {
    let server = server();
    let mut connection = Connection::open(&server);
    let time = connection.ask("GET", "/x/%2e%2e/cdn-cgi/local/miniflow/time");
    assert!(time.text().contains("\"now\""), "{time:?}");
    assert_eq!(connection.ask("GET", "/cdn-cgi/%2e%2e/y").text(), "path() /y url() /y");
}
