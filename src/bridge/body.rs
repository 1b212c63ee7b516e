//! The body of an answer, decoded if the server encoded it all the same.
//!
//! Invariant: what is decoded is at most 100 times as long as what was received.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

/// How much longer a body may become.
const RATIO_MAX: usize = 100;
/// Up to this size the ratio does not matter (bytes).
const FREE_BYTES: usize = 64 << 10;
/// How much is decoded between two looks at the ratio (bytes).
const STEP_BYTES: usize = 1 << 10;

/// How a body is encoded.
pub enum BodyDecoder {
    Plain,
    Gzip(GzDecoder<Vec<u8>>),
    /// The format of `deflate` is known with its first byte.
    DeflateStart,
    Zlib(ZlibDecoder<Vec<u8>>),
    Deflate(DeflateDecoder<Vec<u8>>),
}

/// Takes a body in pieces.
pub struct Decoding {
    decoder: BodyDecoder,
    received: usize,
    decoded: usize,
}

impl Decoding {
    /// # Errors
    /// The encoding is not known.
    pub fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut decoder = BodyDecoder::Plain;
        for value in headers.get_all(CONTENT_ENCODING) {
            let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
            decoder = match (name.as_str(), decoder) {
                ("" | "identity", known) => known,
                ("gzip" | "x-gzip", BodyDecoder::Plain) => {
                    BodyDecoder::Gzip(GzDecoder::new(Vec::new()))
                }
                ("deflate", BodyDecoder::Plain) => BodyDecoder::DeflateStart,
                _ => return Err("answered in an encoding that was not asked for".to_owned()),
            };
        }
        Ok(Self {
            decoder,
            received: 0,
            decoded: 0,
        })
    }

    /// Decodes the next piece, as far as it goes.
    ///
    /// # Errors
    /// It is not valid, or becomes too long.
    pub fn take(&mut self, piece: Bytes) -> Result<Bytes, String> {
        if matches!(self.decoder, BodyDecoder::Plain) || piece.is_empty() {
            return Ok(piece);
        }
        let mut decoded = Vec::new();
        for step in piece.chunks(STEP_BYTES) {
            self.received = self.received.saturating_add(step.len());
            let more = self
                .step(step)
                .map_err(|_| "answered with an invalid encoding".to_owned())?;
            self.decoded = self.decoded.saturating_add(more.len());
            let limit = self.received.saturating_mul(RATIO_MAX).max(FREE_BYTES);
            if self.decoded > limit {
                return Err(format!(
                    "answered with a body that becomes more than {RATIO_MAX} times longer"
                ));
            }
            decoded.extend_from_slice(&more);
        }
        Ok(decoded.into())
    }

    fn step(&mut self, step: &[u8]) -> io::Result<Vec<u8>> {
        if matches!(self.decoder, BodyDecoder::DeflateStart) {
            // Servers mean zlib by it (RFC 9110), and some send it raw.
            let is_zlib = step.first().is_some_and(|byte| byte & 0x0f == 8);
            self.decoder = if is_zlib {
                BodyDecoder::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                BodyDecoder::Deflate(DeflateDecoder::new(Vec::new()))
            };
        }
        match &mut self.decoder {
            BodyDecoder::Plain | BodyDecoder::DeflateStart => Ok(step.to_vec()),
            BodyDecoder::Gzip(decoder) => {
                decoder.write_all(step)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            BodyDecoder::Zlib(decoder) => {
                decoder.write_all(step)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            BodyDecoder::Deflate(decoder) => {
                decoder.write_all(step)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    fn headers(encoding: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        headers
    }

    fn encoded(encoding: &str, plain: &[u8]) -> Vec<u8> {
        let best = Compression::best();
        match encoding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), best);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), best);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), best);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn encoded_bodies_are_decoded_in_pieces() {
        let plain = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        for encoding in ["gzip", "deflate", "raw"] {
            let name = if encoding == "raw" {
                "deflate"
            } else {
                encoding
            };
            let mut decoding = Decoding::of(&headers(name)).unwrap();
            let mut decoded = Vec::new();
            for piece in encoded(encoding, plain).chunks(1) {
                decoded.extend(decoding.take(Bytes::copy_from_slice(piece)).unwrap());
            }
            assert_eq!(decoded, plain, "{encoding}");
        }
        assert!(Decoding::of(&headers("br")).is_err());
        assert!(Decoding::of(&headers("identity")).is_ok());
    }

    #[test]
    fn a_bomb_is_refused() {
        for encoding in ["gzip", "deflate"] {
            let bomb = encoded(encoding, &vec![b' '; 32 << 20]);
            let mut decoding = Decoding::of(&headers(encoding)).unwrap();
            assert!(decoding.take(bomb.into()).is_err(), "{encoding}");
            assert!(decoding.decoded < 4 << 20);
        }
    }
}
