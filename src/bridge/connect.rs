//! One connection to the server: TCP, perhaps through a proxy, perhaps TLS.
//!
//! Invariant: it is up or failed within the limit, so a request is answered in time.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName as TlsName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{HttpProxy, ServerOrigin};
use super::fault::{BridgeFault, CHECK_NETWORK, causes};
use super::peer::{Peer, TcpLink};
use crate::files::io_text;
use crate::host::is_loopback;
use crate::sys::socket::notice_dead_peer;
use crate::tls_words::TlsWords;

/// The limit of name resolution and TCP.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The limit of everything up to the first request.
const READY_LIMIT: Duration = Duration::from_secs(7);
/// The longest answer of a proxy to `CONNECT` (bytes).
const PROXY_ANSWER_BYTES_MAX: usize = 16 << 10;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// How many bytes a connection has received.
pub type Received = Rc<Cell<u64>>;

/// What connections are made of.
#[derive(Clone)]
pub struct Connector {
    pub origin: ServerOrigin,
    /// Set if the server is reached through it.
    pub proxy: Option<HttpProxy>,
    /// Set if the server or the proxy needs it.
    pub tls: Option<TlsConnector>,
}

impl Connector {
    /// Whether requests name the whole URL, for a proxy that sees them.
    pub fn is_absolute(&self) -> bool {
        self.proxy.is_some() && !self.origin.is_tls
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Host and reason.
    pub async fn connect(&self) -> Result<Counted<Box<dyn Duplex>>, BridgeFault> {
        let start = Instant::now();
        let ready = async {
            match &self.proxy {
                None => self.open(&self.origin, start).await,
                Some(proxy) => self.through(proxy, start).await,
            }
        };
        let (stream, peer) = match timeout_at(start + READY_LIMIT, ready).await {
            Ok(done) => done?,
            Err(_) => return Err(unreachable(&self.origin, "no answer in time")),
        };
        Ok(Counted {
            stream,
            received: Received::default(),
            peer,
        })
    }

    async fn open(
        &self,
        to: &ServerOrigin,
        start: Instant,
    ) -> Result<(Box<dyn Duplex>, Peer), BridgeFault> {
        let (link, peer) = TcpLink::new(tcp(to, start).await?);
        let stream: Box<dyn Duplex> = Box::new(link);
        if to.is_tls {
            Ok((self.encrypt(to, stream).await?, peer))
        } else {
            Ok((stream, peer))
        }
    }

    async fn through(
        &self,
        proxy: &HttpProxy,
        start: Instant,
    ) -> Result<(Box<dyn Duplex>, Peer), BridgeFault> {
        let (mut stream, peer) = self.open(&proxy.origin, start).await?;
        if self.is_absolute() {
            return Ok((stream, peer));
        }
        let target = self.origin.host_and_port();
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(value) = &proxy.authorization {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let failed = |reason: &str| unreachable(&proxy.origin, &format!("the proxy {reason}"));
        let written = stream.write_all(&head).await;
        written.map_err(|error| failed(&io_text(&error)))?;
        let status = proxy_status(&mut stream)
            .await
            .map_err(|why| failed(&why))?;
        match status {
            200..=299 => Ok((self.encrypt(&self.origin, stream).await?, peer)),
            407 => Err(failed("asks for another user or password")
                .hint("run `mcpwrap config network` to approve another proxy")),
            _ => Err(failed(&format!("refused with HTTP status {status}"))),
        }
    }

    async fn encrypt(
        &self,
        to: &ServerOrigin,
        stream: Box<dyn Duplex>,
    ) -> Result<Box<dyn Duplex>, BridgeFault> {
        let failed = |reason: &str| unreachable(to, reason);
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| failed("TLS is not set up"))?;
        let name = TlsName::try_from(to.host.clone())
            .map_err(|_| failed("invalid name for a certificate"))?;
        match tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(tls_fault(to, &error)),
        }
    }
}

fn unreachable(to: &ServerOrigin, reason: &str) -> BridgeFault {
    BridgeFault::not_sent(format!("cannot reach {}: {reason}", to.host_and_port()))
        .hint(CHECK_NETWORK)
}

fn tls_fault(to: &ServerOrigin, error: &io::Error) -> BridgeFault {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return unreachable(to, "it ended the connection before TLS was set up")
            .hint("check scheme and port of the URL");
    }
    let Some(words) = TlsWords::of_io(error) else {
        return unreachable(to, &causes(error));
    };
    let fault = unreachable(to, words.text);
    match words.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Connects to the first address that accepts; each gets its part of the time.
async fn tcp(to: &ServerOrigin, start: Instant) -> Result<TcpStream, BridgeFault> {
    let end = start + CONNECT_LIMIT;
    let resolved = timeout_at(end, tokio::net::lookup_host((to.host.as_str(), to.port))).await;
    let addresses: Vec<SocketAddr> = match resolved {
        Ok(Ok(found)) => found.filter(|one| is_right(to, *one)).collect(),
        Ok(Err(_)) => return Err(unreachable(to, "cannot resolve the name")),
        Err(_) => return Err(unreachable(to, "no answer from the resolver")),
    };
    let mut why = "the name has no address".to_owned();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let now = Instant::now();
        let part = end.saturating_duration_since(now) / left.max(1);
        left -= 1;
        match timeout_at(now + part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without these the connection still works.
                crate::sys::ignore(stream.set_nodelay(true));
                notice_dead_peer(&stream);
                return Ok(stream);
            }
            Ok(Err(error)) => why = io_text(&error),
            Err(_) => "no answer in time".clone_into(&mut why),
        }
    }
    Err(unreachable(to, &why))
}

/// Whether the server may be at this address. What is not encrypted because it stays on this machine goes
/// nowhere else, whatever a resolver says about `localhost`.
fn is_right(to: &ServerOrigin, address: SocketAddr) -> bool {
    !is_loopback(&to.host) || address.ip().is_loopback()
}

/// The status of a proxy's answer; nothing behind its head is read.
async fn proxy_status(stream: &mut Box<dyn Duplex>) -> Result<u16, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= PROXY_ANSWER_BYTES_MAX {
            return Err("answered with too many headers".to_owned());
        }
        let byte = stream.read_u8().await;
        head.push(byte.map_err(|error| io_text(&error))?);
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.trim().parse().ok());
    status
        .filter(|_| is_http)
        .ok_or_else(|| "does not answer in HTTP".to_owned())
}

/// Counts what is received.
pub struct Counted<S> {
    stream: S,
    pub received: Received,
    pub peer: Peer,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = buffer.filled().len().saturating_sub(before);
        let count = self.received.get();
        self.received
            .set(count.saturating_add(u64::try_from(new).unwrap_or(u64::MAX)));
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_at_its_own_addresses() {
        for (url, address, expected) in [
            ("http://localhost/", "127.0.0.1:80", true),
            ("http://localhost/", "[::1]:80", true),
            ("http://localhost/", "203.0.113.7:80", false),
            ("https://LocalHost/", "[2001:db8::7]:443", false),
            ("https://a.example/", "203.0.113.7:443", true),
            ("https://localhost.a.example/", "203.0.113.7:443", true),
        ] {
            let to = ServerOrigin::of(&url.parse().unwrap()).unwrap();
            let address = address.parse().unwrap();
            assert_eq!(is_right(&to, address), expected, "{url} {address}");
        }
    }
}
