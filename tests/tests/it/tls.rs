//! Requests over TLS: to a server with a certificate of an authority of its own, which is believed or is not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use miniflow_tests::Dev;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::network::{error, fetch, fetch_for, listen, read_head};

/// Somebody who signs certificates, and a file that says so.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = Self { issuer, folder };
        std::fs::write(authority.file(), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// What a server of that name shows; `change` is how it is another than it should be.
    fn signs(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A server of one connection: its URL by name, and what comes of `serve`.
fn serve<T: Send + 'static>(
    shows: Arc<ServerConfig>,
    serve: impl FnOnce(Secure) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let (answer, answered) = std::sync::mpsc::channel();
    let (address, serving) = listen(move |stream| {
        let done = serve(StreamOwned::new(ServerConnection::new(shows).unwrap(), stream));
        answer.send(done).unwrap();
    });
    let port = address.rsplit(':').next().unwrap();
    let outcome = std::thread::spawn(move || {
        serving.join().unwrap();
        answered.recv().unwrap()
    });
    (format!("https://localhost:{port}/secret"), outcome)
}

fn answer(stream: &mut Secure, body: &str) -> String {
    let head = read_head(stream);
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream.flush().unwrap();
    head
}

#[test]
fn a_server_of_an_authority_that_was_named_is_asked() {
    let authority = Authority::new("ours");
    let dev = || Dev::guest("behaviours");
    let named = [
        dev().args(["--ca-file".into(), authority.file().into_os_string()]),
        dev().env("MINIFLOW_CA_FILE", authority.file()),
        dev().env("SSL_CERT_FILE", authority.file()),
        dev().env("NODE_EXTRA_CA_CERTS", authority.file()),
    ];
    for dev in named {
        let (url, serving) = serve(authority.signs("localhost", |_| {}), |mut stream| answer(&mut stream, "hidden"));
        let server = dev.start();
        assert_eq!(fetch(&server, &url), json!({ "status": 200, "body": "hidden" }));
        let head = serving.join().unwrap();
        assert!(head.starts_with("GET /secret HTTP/1.1\r\n"), "{head}");
        let port = url.split([':', '/']).nth(4).unwrap();
        assert!(head.contains(&format!("host: localhost:{port}\r\n")), "{head}");
    }
}

#[test]
fn a_server_is_asked_by_its_address_too() {
    let authority = Authority::new("ours");
    let (url, serving) = serve(authority.signs("127.0.0.1", |_| {}), |mut stream| answer(&mut stream, "hidden"));
    let server = Dev::guest("behaviours").env("MINIFLOW_CA_FILE", authority.file()).start();
    assert_eq!(fetch(&server, &url.replace("localhost", "127.0.0.1"))["body"], "hidden");
    serving.join().unwrap();
}

#[test]
fn a_certificate_that_is_not_believed_is_told_why_and_nothing_is_sent() {
    let (known, unknown) = (Authority::new("ours"), Authority::new("another's"));
    let server = Dev::guest("behaviours").args(["--ca-file".into(), known.file().into_os_string()]).start();
    let cases = [
        (
            unknown.signs("localhost", |_| {}),
            "it is of an authority that is not known; `--ca-file FILE` has one more believed",
        ),
        (known.signs("other.test", |_| {}), "it is of another name"),
        (known.signs("localhost", |params| params.not_after = date_time_ymd(2020, 1, 1)), "it has expired"),
        (known.signs("localhost", |params| params.not_before = date_time_ymd(2500, 1, 1)), "it is not valid yet"),
    ];
    for (shows, why) in cases {
        let (url, serving) = serve(shows, |mut stream| stream.read(&mut [0]).map_err(|error| error.to_string()));
        assert_eq!(
            error(&server, &url),
            format!("cannot fetch `{url}`: the certificate of `localhost` is not trusted: {why}")
        );
        let seen = serving.join().unwrap();
        assert!(!matches!(seen, Ok(1..)), "{seen:?}");
    }
}

/// A server without a certificate: what comes first is a TLS handshake that names it, and nothing of the request.
#[test]
fn https_begins_with_a_handshake_and_is_an_error_without_one() {
    let (address, serving) = listen(|mut stream| {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        assert_eq!(hello[..2], [0x16, 0x03], "a handshake record");
        let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        stream.read_exact(&mut rest).unwrap();
        let text = String::from_utf8_lossy(&rest);
        assert!(text.contains("localhost") && !text.contains("/secret"), "{text}");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let port = address.rsplit(':').next().unwrap();
    let server = Dev::guest("behaviours").start();
    let url = format!("https://localhost:{port}/secret");
    let told = error(&server, &url);
    assert!(told.starts_with(&format!("cannot fetch `{url}`: no secure connection")), "{told}");
    serving.join().unwrap();
}

/// Each piece is there before the next is sent, in both directions.
#[test]
fn bodies_stream_through_a_secure_connection_too() {
    let authority = Authority::new("ours");
    let (url, serving) = serve(authority.signs("localhost", |_| {}), |mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        stream.flush().unwrap();
        let mut seen = String::new();
        for piece in ["one", "two", "three"] {
            while !seen.contains(piece) {
                let mut buffer = [0; 256];
                let count = stream.read(&mut buffer).unwrap();
                assert!(count > 0, "{seen}");
                seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            }
            write!(stream, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
            stream.flush().unwrap();
        }
        write!(stream, "0\r\n\r\n").unwrap();
        stream.flush().unwrap();
    });
    let server = Dev::guest("behaviours").env("MINIFLOW_CA_FILE", authority.file()).start();
    let mut exchange = server.exchange(&format!("/proxy?url={url}"));
    for piece in ["one", "two", "three"] {
        exchange.send(piece);
        assert_eq!(exchange.receive().as_deref(), Some(piece));
    }
    exchange.finish();
    assert_eq!(exchange.receive(), None);
    serving.join().unwrap();
}

/// A handshake that gets no answer is a connection that is not there yet.
#[test]
fn who_does_not_want_to_wait_for_a_connection_need_not() {
    let (address, serving) = listen(|mut stream| {
        let mut seen = Vec::new();
        // Until it is closed, or cut off.
        let _ = stream.read_to_end(&mut seen);
        assert_eq!(seen.first(), Some(&0x16), "a handshake record");
    });
    let told = Dev::guest("wasi02").start().get(&format!("/connecting?https://{address}/")).expect(200).text();
    assert!(told.contains("ConnectionTimeout"), "{told}");
    serving.join().unwrap();

    let (address, serving) = listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let server = Dev::guest("behaviours").start();
    assert_eq!(fetch_for(&server, &format!("https://{address}/"), 50), json!({ "error": "gave up" }));
    serving.join().unwrap();
}

#[test]
fn a_silence_in_the_middle_of_a_body_can_be_limited() {
    let (address, serving) = listen(|mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let told = Dev::guest("wasi02").start().get(&format!("/between?http://{address}/")).expect(200).text();
    assert!(told.contains("connection read timeout"), "{told}");
    serving.join().unwrap();
}

#[test]
fn a_file_without_authorities_is_one_error_and_one_of_other_programs_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, "no certificate").unwrap();
    for (path, why) in [(&file, "there is no certificate of an authority in it"), (&folder.path().join("missing"), "")]
    {
        let refusal = Dev::guest("behaviours").args(["--ca-file".into(), path.clone().into_os_string()]).refused();
        refusal.assert_one_error(&[&format!("which `--ca-file` names, cannot be used: {why}"), "a PEM file"]);
    }
    let server = Dev::guest("behaviours").env("NODE_EXTRA_CA_CERTS", &file).start();
    assert!(server.log().contains("which `NODE_EXTRA_CA_CERTS` names, cannot be used"), "{}", server.log());
}
