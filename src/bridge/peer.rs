//! The TCP connection below TLS and proxy, and whether its other end still acknowledges.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::sys::socket;

/// A connection that its [`Peer`] looks at.
pub struct TcpLink(Rc<RefCell<TcpStream>>);

/// The other end of a connection. Does not keep it open.
#[derive(Clone)]
pub struct Peer(Weak<RefCell<TcpStream>>);

impl TcpLink {
    pub fn new(stream: TcpStream) -> (Self, Peer) {
        let stream = Rc::new(RefCell::new(stream));
        let peer = Peer(Rc::downgrade(&stream));
        (Self(stream), peer)
    }
}

impl Peer {
    /// How long it has acknowledged nothing, while it owes an acknowledgement.
    pub fn silence(&self) -> Option<Duration> {
        let stream = self.0.upgrade()?;
        let stream = stream.try_borrow().ok()?;
        socket::silence(&*stream)
    }
}

impl AsyncRead for TcpLink {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(context, buffer)
    }
}

impl AsyncWrite for TcpLink {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(context)
    }
}
