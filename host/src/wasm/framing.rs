//! What a guest's answer says of itself, held against what HTTP allows (RFC 9110, 9112).
//!
//! **Guarantees.** An answer has a status from 200 on; 204, 205 and 304 have no content and no length but 205's 0; no header of a connection
//! leaves. **Non-goals.** Lengths: a body that does not keep the one which its guest declared breaks off (wasmtime checks it).

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use wasmtime_wasi_http::WasiBody;

/// Header fields of a connection, which guests neither set nor see. All others of wasmtime's list are end-to-end fields.
pub(super) const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    HeaderName::from_static("http2-settings"),
];

/// A guest's answer that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it answered with status {}: an answer has a status from 200 to 599", .0.as_u16())]
pub(crate) struct NotAnAnswer(StatusCode);

/// Returns `response` as it may be sent.
///
/// # Errors
///
/// When its status is informational, which is not an answer.
pub(crate) fn answer(mut response: Response<WasiBody>) -> Result<Response<WasiBody>, NotAnAnswer> {
    let status = response.status();
    if status.is_informational() {
        return Err(NotAnAnswer(status));
    }
    response.headers_mut().remove(header::TE);
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(response);
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    if status == StatusCode::RESET_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // What the guest wrote is not read: its writer learns that the reader is gone.
    Ok(response.map(|_| Empty::new().map_err(|never| match never {}).boxed_unsync()))
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::Full;

    use super::*;

    fn checked(status: u16) -> Result<(Option<String>, bool), NotAnAnswer> {
        let body: WasiBody = Full::from("content").map_err(|never| match never {}).boxed_unsync();
        let response = Response::builder().status(status).header(header::CONTENT_LENGTH, "7").body(body).unwrap();
        let response = answer(response)?;
        let length = response.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        Ok((length, response.body().is_end_stream()))
    }

    #[test]
    fn status_decides_whether_there_is_content() {
        assert_eq!(checked(200), Ok((Some("7".to_owned()), false)));
        assert_eq!(checked(204), Ok((None, true)));
        assert_eq!(checked(205), Ok((Some("0".to_owned()), true)));
        assert_eq!(checked(304), Ok((None, true)));
        assert_eq!(checked(999), Ok((Some("7".to_owned()), false)));
        let text = checked(103).unwrap_err().to_string();
        assert_eq!(text, "it answered with status 103: an answer has a status from 200 to 599");
    }
}
