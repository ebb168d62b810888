//! The bytes of one socket: what was read and is not whole yet, what is said and not written yet. Idle, it holds nothing.

use super::codec::{Broken, Decoder, Incoming};
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once, into a buffer of the thread.
const SCRATCH: usize = 16 * 1024;
/// Pieces written with one call.
const PIECES: usize = 64;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Why nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WireEnd {
    /// The other side went.
    Gone,
    /// It broke the protocol.
    Broken,
}

/// A socket's bytes.
pub(super) struct Wire<S> {
    stream: S,
    decoder: Decoder,
    input: BytesMut,
    out: Vec<Bytes>,
    /// Bytes of the first piece in `out` that are written.
    written: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// On a stream of which something may have been read.
    pub(super) fn new(stream: S, read: &[u8], most: usize) -> Self {
        Self { stream, decoder: Decoder::new(most), input: BytesMut::from(read), out: Vec::new(), written: 0 }
    }

    /// The next message.
    pub(super) fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Incoming, WireEnd>> {
        loop {
            let next = self.decoder.next(&mut self.input);
            if self.input.is_empty() {
                self.input = BytesMut::new();
            }
            match next {
                Ok(Some(incoming)) => return Poll::Ready(Ok(incoming)),
                Ok(None) => {}
                Err(Broken) => return Poll::Ready(Err(WireEnd::Broken)),
            }
            let read = BUFFER.with_borrow_mut(|buffer| {
                let mut into = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut into))?;
                self.input.extend_from_slice(into.filled());
                Poll::Ready(io::Result::Ok(into.filled().len()))
            });
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(Err(WireEnd::Gone));
            }
        }
    }

    /// Takes messages of at most so many bytes from now on.
    pub(super) fn allow(&mut self, most: usize) {
        self.decoder.allow(most);
    }

    /// What is said next goes in here, framed.
    pub(super) fn out(&mut self) -> &mut Vec<Bytes> {
        &mut self.out
    }

    /// Forgets what is not begun: of a piece that is half written the rest must follow.
    pub(super) fn drop_unwritten(&mut self) {
        self.out.truncate(usize::from(self.written > 0));
    }

    /// Writes what was said, many pieces with one call.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.out.first() {
            let rest = &first[self.written..];
            let written = if self.out.len() == 1 {
                // Most often: a `send`, which costs less than a `writev`.
                ready!(Pin::new(&mut self.stream).poll_write(context, rest))?
            } else {
                let mut pieces = [io::IoSlice::new(&[]); PIECES];
                let count = self.out.len().min(PIECES);
                for (piece, bytes) in pieces.iter_mut().zip(&self.out) {
                    *piece = io::IoSlice::new(bytes);
                }
                pieces[0] = io::IoSlice::new(rest);
                ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &pieces[..count]))?
            };
            match written {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.wrote(n),
            }
        }
        // TLS keeps a record of its own.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn wrote(&mut self, n: usize) {
        self.written += n;
        let mut whole = 0;
        while self.out.get(whole).is_some_and(|piece| piece.len() <= self.written) {
            self.written -= self.out[whole].len();
            whole += 1;
        }
        self.out.drain(..whole);
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// Writes what was said.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_flush(context)).await
    }

    /// Says nothing more, and reads until the other side goes: closing with unread input would reset the connection, and
    /// the close code would be lost.
    pub(super) async fn end(&mut self) {
        let flushed = self.flush().await;
        let shut = std::future::poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await;
        if flushed.is_err() || shut.is_err() {
            return;
        }
        let gone = std::future::poll_fn(|context| {
            BUFFER.with_borrow_mut(|buffer| {
                loop {
                    let mut into = ReadBuf::new(buffer);
                    let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut into));
                    if read.is_err() || into.filled().is_empty() {
                        return Poll::Ready(());
                    }
                }
            })
        });
        gone.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn any_number_of_pieces_arrives_whole_through_a_narrow_pipe() {
        let (near, mut far) = tokio::io::duplex(7);
        let mut wire = Wire::new(near, b"", 100);
        let mut expected = Vec::new();
        for n in 0..200u8 {
            let piece = vec![n; usize::from(n) % 11 + 1];
            expected.extend_from_slice(&piece);
            wire.out().push(piece.into());
        }
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.map(|_| all)
        });
        wire.flush().await.unwrap();
        assert!(wire.out.capacity() == 0 && wire.written == 0, "idle, it holds nothing");
        drop(wire);
        assert_eq!(reading.await.unwrap().unwrap(), expected);
    }

    async fn message<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<Incoming, WireEnd> {
        std::future::poll_fn(|context| wire.poll_message(context)).await
    }

    #[tokio::test]
    async fn what_was_read_with_the_handshake_counts() {
        let (near, mut far) = tokio::io::duplex(64);
        let masked = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        let mut wire = Wire::new(near, &masked[..3], 100);
        far.write_all(&masked[3..]).await.unwrap();
        assert_eq!(message(&mut wire).await, Ok(Incoming::Text("hi".into())));
        assert_eq!(wire.input.capacity(), 0);
        drop(far);
        assert_eq!(message(&mut wire).await, Err(WireEnd::Gone));
    }
}
