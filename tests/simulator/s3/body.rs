//! The content that a PUT carries.

use std::io::Read;

use bytes::Bytes;
use http::Request;
use sha2::{Digest, Sha256};

use crate::{Answer, ErrorReply};

/// The content, out of `aws-chunked` framing where it has that, checked against the digests sent with it.
pub(super) fn content(request: &Request<Bytes>) -> Answer<Bytes> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let declared = header("x-amz-content-sha256").unwrap_or_default();
    let chunked = header("content-encoding")
        .is_some_and(|coding| coding.split(',').any(|one| one.trim() == "aws-chunked"))
        || declared.starts_with("STREAMING-");
    let content = if chunked { dechunked(request.body())? } else { request.body().clone() };
    if let Some(length) = header("x-amz-decoded-content-length").and_then(|length| length.parse::<usize>().ok())
        && length != content.len()
    {
        let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
        return Err(ErrorReply::new("IncompleteBody", message));
    }
    if declared.len() == 64 && hex(&Sha256::digest(&content)) != declared.to_ascii_lowercase() {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(ErrorReply::new("XAmzContentSHA256Mismatch", message));
    }
    if let Some(sent) = header("x-amz-checksum-crc32")
        && base64(&crc32(&content).to_be_bytes()) != sent
    {
        let message = "The CRC32 you specified did not match the calculated checksum.";
        return Err(ErrorReply::new("BadDigest", message));
    }
    Ok(content)
}

/// `size[;chunk-signature=…]\r\n` content `\r\n` … `0\r\n` trailers `\r\n`. Trailing checksums are passed over.
fn dechunked(framed: &Bytes) -> Answer<Bytes> {
    let broken = || ErrorReply::new("InvalidChunkSizeError", "The chunk size is not valid");
    let mut rest = framed.clone();
    let mut content = Vec::with_capacity(framed.len());
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(broken)?;
        let head = rest.split_to(end + 2);
        let size = std::str::from_utf8(&head[..end]).ok().and_then(|line| line.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).ok_or_else(broken)?;
        if size == 0 {
            return Ok(content.into());
        }
        if rest.len() < size + 2 {
            return Err(ErrorReply::new("IncompleteBody", "The request body terminated unexpectedly"));
        }
        let chunk = rest.split_to(size);
        // Reading from memory cannot fail.
        chunk.as_ref().read_to_end(&mut content).unwrap_or_default();
        let _line_end = rest.split_to(2);
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// CRC-32 as in zip: the checksum that every AWS client sends unless told otherwise.
fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let index = u32::try_from(index).unwrap_or_default();
        (0..8).fold(index, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ table[usize::from((crc as u8) ^ byte)];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_the_one_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn signed_chunks_and_trailers_are_taken_off() {
        let framed = "5;chunk-signature=ab\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(dechunked(&Bytes::from(framed)).unwrap(), Bytes::from("hello!"));
    }
}
