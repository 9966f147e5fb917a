use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures::{FutureExt as _, stream};
use http_body_util::{Full, StreamBody};

use super::*;

const TEXT: &[u8] = b"hello, hello, hello";

/// [`TEXT`] in brotli.
const BROTLI: &[u8] = &[27, 18, 0, 248, 141, 148, 110, 222, 68, 9, 82, 134, 150, 108, 44, 111, 17, 79, 36, 208, 113, 0];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Decodes `bytes`, which arrive in pieces of `size`.
fn decoded_in(bytes: &[u8], size: usize, codings: &str) -> Result<Vec<u8>, String> {
    let pieces: Vec<_> =
        bytes.chunks(size.max(1)).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    let body = StreamBody::new(stream::iter(pieces)).boxed_unsync();
    let collected = decode(body, codings).map_err(|error| format!("{error:?}"))?.collect().now_or_never();
    let collected = collected.expect("all bytes are there").map_err(|error| format!("{error:?}"))?;
    Ok(collected.to_bytes().to_vec())
}

fn decoded(bytes: &[u8], codings: &str) -> Result<Vec<u8>, String> {
    decoded_in(bytes, bytes.len(), codings)
}

#[test]
fn every_coding_is_undone_however_it_arrives() {
    let twice = gzip(&gzip(TEXT));
    let mixed = zstd(&zlib(TEXT));
    let two_members = [gzip(b"hello, "), gzip(b"hello, hello")].concat();
    for (codings, bytes) in [
        ("gzip", gzip(TEXT)),
        ("X-GZip", gzip(TEXT)),
        ("gzip", two_members),
        ("deflate", zlib(TEXT)),
        ("deflate", bare(TEXT)),
        ("br", BROTLI.to_vec()),
        ("zstd", zstd(TEXT)),
        ("gzip, gzip", twice),
        ("deflate,zstd", mixed),
        ("identity", TEXT.to_vec()),
        ("", TEXT.to_vec()),
        ("gzip, of-its-own", gzip(TEXT)),
    ] {
        let expected = if codings.contains("own") { bytes.as_slice() } else { TEXT };
        for size in [1, 2, 7, bytes.len()] {
            assert_eq!(decoded_in(&bytes, size, codings).as_deref(), Ok(expected), "{codings} in pieces of {size}");
        }
    }
}

#[test]
fn empty_body_is_in_no_coding() {
    for codings in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        assert_eq!(decoded(b"", codings).as_deref(), Ok(&[][..]), "{codings}");
    }
}

#[test]
fn body_that_is_cut_off_or_is_something_else_is_an_error() {
    for (codings, bytes) in [
        ("gzip", gzip(TEXT)),
        ("deflate", zlib(TEXT)),
        ("deflate", bare(TEXT)),
        ("br", BROTLI.to_vec()),
        ("zstd", zstd(TEXT)),
    ] {
        let cut = decoded(&bytes[..bytes.len() - 1], codings).unwrap_err();
        assert!(cut.contains(&format!("the body is not valid {codings}")), "{cut}");
        let other = decoded(b"<html>not encoded</html>", codings).unwrap_err();
        assert!(other.contains("is not valid"), "{codings}: {other}");
    }
    let many = ["gzip"; CODINGS_MAX + 1].join(",");
    assert!(decoded(TEXT, &many).unwrap_err().contains("at most 5"));
}

#[test]
fn body_that_expands_comes_in_bounded_frames() {
    let large = vec![0; 64 << 20];
    for (codings, bytes) in [("gzip", gzip(&large)), ("zstd", zstd(&large))] {
        let body = Full::from(bytes).map_err(|never| match never {}).boxed_unsync();
        let mut body = decode(body, codings).unwrap();
        let mut length = 0;
        while let Some(frame) = body.frame().now_or_never().unwrap() {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= FRAME_BYTES);
            length += data.len();
        }
        assert_eq!(length, large.len(), "{codings}");
    }
}

#[test]
fn client_gets_a_coding_it_accepts_and_no_other() {
    let answer = |accepted: Option<&'static str>, marked: bool| {
        let body = Full::from(gzip(TEXT)).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::builder().header("content-encoding", "gzip").header("content-length", "9");
        if marked {
            response = response.header(BY_DEFAULT, "1");
        }
        let accepted: Vec<_> =
            accepted.into_iter().flat_map(|lines| lines.split('|')).map(HeaderValue::from_static).collect();
        let response = for_client(response.body(body).unwrap(), &accepted);
        assert!(!response.headers().contains_key(BY_DEFAULT));
        let is_coded = response.headers().contains_key("content-encoding");
        assert_eq!(response.headers().contains_key("content-length"), is_coded);
        let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(is_coded, body != TEXT);
        is_coded
    };
    for (accepted, is_coded) in [
        (None, false),
        (Some("gzip, br"), true),
        (Some("br, GZIP;q=0.5"), true),
        (Some("br|gzip"), true),
        (Some("gzip;q=0, *"), false),
        (Some("*"), true),
        (Some("*;q=0"), false),
        (Some("br"), false),
        (Some("identity"), false),
    ] {
        assert_eq!(answer(accepted, true), is_coded, "{accepted:?}");
        assert!(answer(accepted, false), "the Worker chose the coding: {accepted:?}");
    }
}
