//! As much HTTP/1.1 as a server of whole requests needs.

use std::io::{self, BufRead, Read as _};

/// A request without its headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With what follows a question mark.
    pub path: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The next one, or `None` at the end of the connection.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut request = Self {
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            body: Vec::new(),
        };
        let (mut length, mut is_chunked) = (0, false);
        while let Some((name, value)) = header(reader)? {
            match name.as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        if is_chunked {
            while let Some(mut chunk) = chunk(reader)? {
                request.body.append(&mut chunk);
            }
        } else {
            reader.take(length).read_to_end(&mut request.body)?;
        }
        Ok(Some(request))
    }
}

/// The next header, its name in lower case, or `None` at their end.
fn header(reader: &mut impl BufRead) -> io::Result<Option<(String, String)>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let pair = line.trim().split_once(':');
    Ok(pair.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
}

/// The next part of a body whose length is not known before, or `None` at its end.
fn chunk(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let length = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
    let mut chunk = Vec::new();
    reader.take(length).read_to_end(&mut chunk)?;
    reader.read_line(&mut line)?;
    Ok((length > 0).then_some(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &str) -> Vec<Request> {
        let mut reader = text.as_bytes();
        std::iter::from_fn(|| Request::read(&mut reader).expect("in memory")).collect()
    }

    #[test]
    fn reads_one_request_after_the_other() {
        let [first, second] = &requests(
            "POST /v1/x?y=1 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        )[..] else {
            panic!("two requests");
        };
        assert_eq!((&*first.path, &*first.body), ("/v1/x?y=1", &b"body"[..]));
        assert_eq!((&*second.method, &*second.path), ("GET", "/"));
    }

    #[test]
    fn reads_a_body_in_chunks() {
        let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nb\r\n0123456789a\r\n0\r\n\r\n";
        let [request] = &requests(text)[..] else {
            panic!("one request");
        };
        assert_eq!(request.body, b"ab0123456789a");
    }
}
