//! One HTTP/1.1 connection that costs the measuring side as little as it can: prebuilt requests, answers read in place.

use super::arrival;
use crate::server::Failure;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// A kept connection.
pub struct Connection {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    filled: usize,
    /// Is it known when answers arrive, and for how long the last one had been there when it was read?
    notes: bool,
    lay: Duration,
}

/// An answer: status, and where its body is in the connection's buffer.
pub struct Response {
    /// Its status.
    pub status: u16,
    body: std::ops::Range<usize>,
}

impl Connection {
    /// One to `host:port`; connected when first used, and anew when it broke.
    #[must_use]
    pub fn to(address: &str) -> Self {
        let (buffer, lay) = (vec![0; 4096], Duration::ZERO);
        Self { address: address.to_owned(), stream: None, buffer, filled: 0, notes: false, lay }
    }

    /// Has it known from now on when answers arrive, whenever they are read.
    pub fn note_arrivals(&mut self) {
        (self.notes, self.stream) = (true, None);
    }

    /// For how long the last answer had been there when it was read.
    #[must_use]
    pub fn lay(&self) -> Duration {
        self.lay
    }

    /// Connects, unless it is connected; anew, too, when the other side closed it while nobody used it.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn open(&mut self) -> Result<&mut TcpStream, Failure> {
        match self.stream.as_ref().map(|s| s.try_read(&mut [0])) {
            Some(Ok(0)) => self.stream = None,
            Some(Ok(_)) => return Err("an answer that nobody asked for".into()),
            Some(Err(e)) if e.kind() != ErrorKind::WouldBlock => self.stream = None,
            Some(Err(_)) | None => {}
        }
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            if self.notes {
                arrival::note(&stream)?;
            }
            self.stream = Some(stream);
        }
        Ok(self.stream.as_mut().ok_or("not connected")?)
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is none; the next request connects anew.
    pub async fn send(&mut self, request: &[u8]) -> Result<Response, Failure> {
        self.open().await?;
        // Not in its place until all is read: given up in between, it would answer the next request with this one's answer.
        let mut stream = self.stream.take().ok_or("not connected")?;
        let answered = self.exchange(&mut stream, request).await?;
        self.stream = Some(stream);
        Ok(answered)
    }

    /// The body of the answer that was read last.
    #[must_use]
    pub fn body(&self, response: &Response) -> &[u8] {
        &self.buffer[response.body.clone()]
    }

    async fn exchange(&mut self, stream: &mut TcpStream, request: &[u8]) -> Result<Response, Failure> {
        let sent = Instant::now();
        stream.write_all(request).await?;
        (self.filled, self.lay) = (0, Duration::ZERO);
        let mut searched = 0;
        let head = loop {
            if self.read(stream).await? == 0 {
                return Err("closed".into());
            }
            if let Some(end) = end_of_head(&self.buffer[..self.filled], searched) {
                break end;
            }
            searched = self.filled.saturating_sub(3);
            if self.filled == self.buffer.len() {
                if self.filled >= MAX_HEAD {
                    return Err("a head without an end".into());
                }
                self.buffer.resize(self.filled * 2, 0);
            }
        };
        let (status, length) = read_head(&self.buffer[..head]).ok_or("no answer of HTTP/1.1 with a length")?;
        if self.buffer.len() < head + length {
            self.buffer.resize(head + length, 0);
        }
        while self.filled < head + length {
            if self.read(stream).await? == 0 {
                return Err("closed within a body".into());
            }
        }
        // The clocks may have moved meanwhile: an answer does not arrive before its request.
        self.lay = self.lay.min(sent.elapsed());
        Ok(Response { status, body: head..head + length })
    }

    async fn read(&mut self, stream: &mut TcpStream) -> Result<usize, Failure> {
        let free = &mut self.buffer[self.filled..];
        let (n, lay) = match self.notes {
            true => arrival::read(stream, free).await?,
            false => (stream.read(free).await?, Duration::ZERO),
        };
        (self.filled, self.lay) = (self.filled + n, lay);
        Ok(n)
    }
}

fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

/// Status and content length.
fn read_head(head: &[u8]) -> Option<(u16, usize)> {
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    if status == 204 || status == 304 {
        return Some((status, 0));
    }
    let mut lines = memchr::memchr_iter(b'\n', head).map(|end| &head[end + 1..]);
    const NAME: &[u8] = b"content-length:";
    let length = lines.find_map(|line| {
        let (name, rest) = line.split_at_checked(NAME.len())?;
        let value = &rest[..memchr::memchr(b'\r', rest)?];
        name.eq_ignore_ascii_case(NAME).then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    })?;
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heads() {
        let head = b"HTTP/1.1 201 Created\r\nContent-Length: 17\r\nx: y\r\n\r\n";
        assert_eq!(read_head(head), Some((201, 17)));
        assert_eq!(end_of_head(head, 0), Some(head.len()));
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), None);
        assert_eq!(read_head(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((204, 0)));
    }
}
