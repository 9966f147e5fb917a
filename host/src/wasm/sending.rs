//! A request over the network: HTTP/1.1, a connection for each.
//!
//! Promises: what the guest set as time-outs holds, and a handshake counts as a part of connecting; bodies stream both ways. Never does: ask whether the
//! request may go there ([`super::network`]), send it twice, or follow a redirection.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use miniflow_runtime::clock::real;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::own_address::Returns;
use super::tls::Tls;

/// For how long anything is waited for, unless the guest says so. The platform's own limit is not documented; wasmtime's is this.
const PATIENCE: Duration = Duration::from_secs(600);

/// Drives the connection while the response is read.
pub(super) type Connection = Box<dyn Future<Output = Result<(), Error>> + Send>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends a request, and returns the response as soon as its head is there. With `returns`, one to this server is marked. Dropping the future, or the connection, gives it up.
///
/// # Errors
///
/// When there is no response.
pub(super) async fn send(
    tls: &Tls,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
    returns: Option<Returns>,
) -> Result<(Response<WasiBody>, Connection), Error> {
    let options = options.unwrap_or_default();
    let limit = options.connect_timeout.unwrap_or(PATIENCE);
    let connecting = connect(tls, request.uri());
    let (stream, ends) = real::timeout(limit, connecting).await.ok_or(Error::ConnectionTimeout)??;
    if let (Some(returns), Some((local, peer))) = (returns, ends) {
        let marked = returns.mark(request.headers_mut(), local, peer);
        marked.map_err(|why| Error::InternalError(Some(why)))?;
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The host is a header; scheme and authority are for proxies.
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));

    let mut connection = Some(connection);
    let limit = options.first_byte_timeout.unwrap_or(PATIENCE);
    let answered = async {
        let mut answering = pin!(sender.send_request(request));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            // It moves only when it is polled. One that is over may have left an answer behind, also when it broke off: many servers close
            // a connection without the words that TLS has for that.
            let Some(driven) = &mut connection else { return Poll::Pending };
            let driven = ready!(Pin::new(driven).poll(cx));
            connection = None;
            match (answering.as_mut().poll(cx), driven) {
                (Poll::Pending, Err(error)) => Poll::Ready(Err(error)),
                (answer, _) => answer,
            }
        })
        .await
    };
    let answer = real::timeout(limit, answered).await.ok_or(Error::ConnectionReadTimeout)??;
    let limit = options.between_bytes_timeout.unwrap_or(PATIENCE);
    let answer = answer.map(|incoming| WasiBody::new(Arriving { incoming, limit, silence: None }));
    let rest = async move {
        match connection {
            Some(connection) => connection.await.map_err(Error::from),
            None => Ok(()),
        }
    };
    Ok((answer, Box::new(rest)))
}

/// Connects to the server of `uri`; returns the stream, and both addresses of a connection without TLS.
async fn connect(tls: &Tls, uri: &Uri) -> Result<(Box<dyn Stream>, Option<(SocketAddr, SocketAddr)>), Error> {
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(Error::HttpRequestUriInvalid)?;
    let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = TcpStream::connect(format!("{host}:{port}")).await.map_err(Error::Connect)?;
    if is_secure {
        return Ok((Box::new(tls.secure(host, stream).await?), None));
    }
    let ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
    Ok((Box::new(stream), ends))
}

/// The body of a response as it comes. A silence that is too long ends it, counted from when somebody waits for more.
struct Arriving {
    incoming: Incoming,
    limit: Duration,
    silence: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let limit = this.limit;
        let silence = this.silence.get_or_insert_with(|| Box::pin(real::sleep(limit)));
        ready!(silence.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
