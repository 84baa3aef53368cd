//! The loopback mount's socket, whose connections can break.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Breaks one connection: what is written to it from then on fails, and the server closes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    pub(crate) fn break_off(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Socket>> for Breaker {
    fn connect_info(stream: IncomingStream<'_, Socket>) -> Self {
        stream.remote_addr().1.clone()
    }
}

/// A listener whose connections have a [`Breaker`].
#[derive(Debug)]
pub(crate) struct Socket(pub(crate) TcpListener);

impl Listener for Socket {
    type Io = Line;
    type Addr = (SocketAddr, Breaker);

    async fn accept(&mut self) -> (Line, (SocketAddr, Breaker)) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let breaker = Breaker::default();
        (Line { stream, breaker: breaker.clone() }, (address, breaker))
    }

    fn local_addr(&self) -> io::Result<(SocketAddr, Breaker)> {
        Ok((self.0.local_addr()?, Breaker::default()))
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    breaker: Breaker,
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.breaker.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
