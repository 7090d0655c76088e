//! A client's connection, which has the kernel send what its lane knows to be a file.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Lane;

/// A connection with its lane.
#[derive(Debug)]
pub struct Wire {
    pub(super) stream: TcpStream,
    lane: Lane,
    /// Whether the kernel holds back what does not fill a packet, until the next flush.
    is_corked: bool,
}

impl Wire {
    /// Over `stream`, with a lane of its own.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, lane: Lane::default(), is_corked: false }
    }

    /// What tells this connection which bytes are files.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// `sendfile(2)` hands on 64 KiB at a time, and each would leave in packets of its own. Where the
    /// socket cannot be corked that is slower, and nothing else.
    #[cfg(target_os = "linux")]
    fn cork(&mut self, wanted: bool) {
        if self.is_corked != wanted && rustix::net::sockopt::set_tcp_cork(&self.stream, wanted).is_ok() {
            self.is_corked = wanted;
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn cork(&mut self, _: bool) {}
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        if let Some((file, offset)) = self.lane.find(bytes) {
            self.cork(true);
            return linux::send_file(&mut self.stream, context, &file, offset, bytes);
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        #[cfg(target_os = "linux")]
        if !self.lane.is_empty() {
            // What is read lies before, between and behind: each leaves by its own way.
            match (slices, slices.iter().position(|slice| self.lane.find(slice).is_some())) {
                ([first, ..], Some(0)) => return self.poll_write(context, first),
                ([first, ..], Some(_)) => return linux::send_ahead(&self.stream, context, first),
                _ => {}
            }
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cork(false);
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use rustix::net::SendFlags;
    use tokio::io::{AsyncWrite as _, Interest};
    use tokio::net::TcpStream;

    /// What one call sends at most: other connections of the thread wait meanwhile.
    const AT_ONCE: usize = 2 << 20;

    /// Sends `bytes`, which are the file's from `offset` on.
    pub(super) fn send_file(
        stream: &mut TcpStream,
        context: &mut Context<'_>,
        file: &File,
        offset: u64,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let send = |stream: &TcpStream| {
            let mut offset = offset;
            let count = bytes.len().min(AT_ONCE);
            Ok(rustix::fs::sendfile(stream, file, Some(&mut offset), count)?)
        };
        match ready!(when_writable(stream, context, send)) {
            // The file is shorter than the range that was mapped: it must not be touched.
            Ok(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            // A filesystem that cannot: the bytes can be read as well.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => Pin::new(stream).poll_write(context, bytes),
            sent => Poll::Ready(sent),
        }
    }

    /// Sends what comes before a file, an answer's head mostly, and says that more follows at once, so that it
    /// shares a packet with it.
    pub(super) fn send_ahead(
        stream: &TcpStream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        when_writable(stream, context, |stream| Ok(rustix::net::send(stream, bytes, flags)?))
    }

    fn when_writable(
        stream: &TcpStream,
        context: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_write_ready(context))?;
            match stream.try_io(Interest::WRITABLE, || send(stream)) {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                done => return Poll::Ready(done),
            }
        }
    }
}
