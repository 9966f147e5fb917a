//! Whom guests' requests believe when a connection is to be secure.
//!
//! Promises: the web's authorities are believed, and those of the files that the developer names; a connection is never without a check. Never does:
//! look for authorities by itself, in the system or anywhere else.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

/// Certificates of authorities that are believed besides those of the web: of a company's proxy, or of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a file names no authorities.
#[derive(Debug, thiserror::Error)]
pub enum NoAuthorities {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It is read, and there is nothing in it that could be believed.
    #[error("there is no certificate of an authority in it")]
    Nothing,
}

impl Authorities {
    /// Adds those in the PEM file at `path`. What else is in it is passed over, as others do who read such a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has none.
    pub fn read(&mut self, path: &Path) -> Result<(), NoAuthorities> {
        let text = std::fs::read(path).map_err(NoAuthorities::Unreadable)?;
        let mut found = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).filter(is_certificate).peekable();
        if found.peek().is_none() {
            return Err(NoAuthorities::Nothing);
        }
        self.0.extend(found);
        Ok(())
    }
}

fn is_certificate(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// Makes connections secure.
#[derive(Default)]
pub(super) struct Tls {
    authorities: Authorities,
    /// Made with the first connection; later ones take up its sessions.
    connector: OnceLock<TlsConnector>,
}

impl Tls {
    pub(super) fn new(authorities: Authorities) -> Self {
        Self { authorities, connector: OnceLock::new() }
    }

    /// Makes a connection secure, and sees who is at its other end. Cancel-safe: a connection that is dropped is closed.
    ///
    /// # Errors
    ///
    /// When the other side is not `host`, which may be a name or an address, or nobody says so who is believed.
    pub(super) async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(address.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let connector = self.connector.get_or_init(|| connect_with(&self.authorities)).clone();
        connector.connect(name, stream).await.map_err(|error| why(host, &error))
    }
}

fn connect_with(authorities: &Authorities) -> TlsConnector {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
    roots.add_parsable_certificates(authorities.0.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Why there is no secure connection, in words: WASI's codes have none for what is wrong with a certificate.
fn why(host: &str, error: &io::Error) -> Error {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    let text = match error {
        Some(rustls::Error::InvalidCertificate(error)) => {
            format!("the certificate of `{host}` is not trusted: {}", what_is_wrong(error))
        }
        Some(rustls::Error::AlertReceived(alert)) => format!("no secure connection: `{host}` refused it ({alert:?})"),
        Some(_) | None => return Error::TlsProtocolError,
    };
    Error::InternalError(Some(text))
}

fn what_is_wrong(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "it is of an authority that is not known; `--ca-file FILE` has one more believed".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is of another name".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut authorities = Authorities::default();
        let missing = authorities.read(&folder.path().join("missing.pem"));
        assert!(matches!(missing, Err(NoAuthorities::Unreadable(_))), "{missing:?}");
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "not a certificate", certificate, &certificate[..40]] {
            let path = folder.path().join("a.pem");
            std::fs::write(&path, text).unwrap();
            let nothing = authorities.read(&path);
            assert!(matches!(nothing, Err(NoAuthorities::Nothing)), "{text}: {nothing:?}");
        }
        assert_eq!(authorities, Authorities::default());
    }
}
