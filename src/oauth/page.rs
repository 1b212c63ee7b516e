//! The page that the browser shows after the redirect.

use std::io::{self, Write as _};
use std::net::TcpStream;

/// A browser that waits for its page.
#[derive(Debug)]
pub struct WaitingPage(TcpStream);

impl WaitingPage {
    pub fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Shows a page with these paragraphs of plain text. The browser may have left.
    pub fn show(self, status: &str, title: &str, paragraphs: &[String]) {
        drop(write(self.0, status, title, paragraphs));
    }
}

fn write(
    mut stream: TcpStream,
    status: &str,
    title: &str,
    paragraphs: &[String],
) -> io::Result<()> {
    let body = html(title, paragraphs);
    // Nothing is loaded, run, framed or kept, and the address with the code goes nowhere.
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
         Referrer-Policy: no-referrer\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

fn html(title: &str, paragraphs: &[String]) -> String {
    let title = escape(title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}</style>\n\
         <h1>{title}</h1>\n"
    );
    for paragraph in paragraphs {
        text.extend(["<p>", &escape(paragraph), "</p>\n"]);
    }
    text
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_page_is_markup() {
        let page = html("a<b", &["<script>alert('x')</script> & \"y\"".to_owned()]);
        assert!(page.contains("a&lt;b") && !page.contains("<script>"));
        assert!(page.contains("&amp; &quot;y&quot;"));
    }
}
