//! Frames from clients (RFC 6455): masked, bounded, reassembled. And the few control frames a server sends.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A whole text message.
    Text(String),
    /// A ping, to be answered.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A part of a message that goes on.
    Part,
    /// It closes.
    Close,
}

/// The client broke the protocol; the connection closes with 4400.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reassembles messages.
pub(super) struct Decoder {
    max: usize,
    partial: Option<Vec<u8>>,
}

impl Decoder {
    /// For messages of at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self { max, partial: None }
    }

    /// Takes messages of at most `max` bytes from now on.
    pub(super) fn allow(&mut self, max: usize) {
        self.max = max;
    }

    /// Takes one frame from the buffer. `None`: more bytes are needed.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, Broken> {
        let Some((fin, opcode, payload)) = frame(buffer, self.max)? else { return Ok(None) };
        match (opcode, fin) {
            (0x8, true) => Ok(Some(Incoming::Close)),
            (0x9, true) => Ok(Some(Incoming::Ping(payload.into()))),
            (0xa, true) => Ok(Some(Incoming::Pong)),
            (0x1, true) if self.partial.is_none() => text(payload),
            (0x1, false) if self.partial.is_none() => {
                self.partial = Some(payload);
                Ok(Some(Incoming::Part))
            }
            (0x0, _) => {
                let mut whole = self.partial.take().ok_or(Broken)?;
                // Nothing, and more to come: work without an end.
                if (payload.is_empty() && !fin) || whole.len() + payload.len() > self.max {
                    return Err(Broken);
                }
                whole.extend(payload);
                if fin {
                    return text(whole);
                }
                self.partial = Some(whole);
                Ok(Some(Incoming::Part))
            }
            // Binary, reserved opcodes, fragmented control frames, a message inside a message.
            _ => Err(Broken),
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<Option<Incoming>, Broken> {
    String::from_utf8(bytes).map(|s| Some(Incoming::Text(s))).map_err(|_| Broken)
}

/// One frame, unmasked: FIN, opcode, payload.
fn frame(buffer: &mut BytesMut, max: usize) -> Result<Option<(bool, u8, Vec<u8>)>, Broken> {
    let Some(&[first, second]) = buffer.get(..2).and_then(|b| <&[u8; 2]>::try_from(b).ok()) else { return Ok(None) };
    let (fin, reserved, opcode, masked) = (first & 0x80 != 0, first & 0x70, first & 0x0f, second & 0x80 != 0);
    // Extensions were not offered, and a client must mask (5.1).
    if reserved != 0 || !masked {
        return Err(Broken);
    }
    let (length, at) = match second & 0x7f {
        126 => match buffer.get(2..4) {
            Some(b) => (usize::from(u16::from_be_bytes([b[0], b[1]])), 4),
            None => return Ok(None),
        },
        127 => match buffer.get(2..10).and_then(|b| <[u8; 8]>::try_from(b).ok()) {
            Some(b) => (usize::try_from(u64::from_be_bytes(b)).map_err(|_| Broken)?, 10),
            None => return Ok(None),
        },
        n => (usize::from(n), 2),
    };
    if length > max || (opcode >= 0x8 && length > 125) {
        return Err(Broken);
    }
    if buffer.len() < at + 4 + length {
        return Ok(None);
    }
    buffer.advance(at);
    let mask = buffer.split_to(4);
    let mut payload = buffer.split_to(length).to_vec();
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[i % 4];
    }
    Ok(Some((fin, opcode, payload)))
}

/// A control frame of a server.
pub(super) fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(125)];
    let mut out = BytesMut::with_capacity(2 + payload.len());
    out.put_u8(0x80 | opcode);
    out.put_u8(payload.len() as u8);
    out.extend_from_slice(payload);
    out.freeze()
}

/// A close frame with a code.
pub(super) fn close(code: u16) -> Bytes {
    control(0x8, &code.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        if payload.len() < 126 {
            out.push(0x80 | payload.len() as u8);
        } else {
            out.push(0x80 | 126);
            out.extend((payload.len() as u16).to_be_bytes());
        }
        let mask = [1, 2, 3, 4];
        out.extend(mask);
        out.extend(payload.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
        out
    }

    fn all(bytes: &[u8]) -> Result<Vec<Incoming>, Broken> {
        let (mut decoder, mut buffer, mut out) = (Decoder::new(65_536), BytesMut::new(), Vec::new());
        // Byte by byte: a frame may arrive in any pieces.
        for b in bytes {
            buffer.put_u8(*b);
            while let Some(i) = decoder.next(&mut buffer)? {
                out.push(i);
            }
        }
        Ok(out)
    }

    #[test]
    fn messages_whole_fragmented_and_interleaved_with_pings() {
        let mut bytes = masked(0x81, b"one");
        bytes.extend(masked(0x01, b"tw"));
        bytes.extend(masked(0x89, b"hey"));
        bytes.extend(masked(0x80, b"o"));
        bytes.extend(masked(0x81, "가".repeat(100).as_bytes()));
        bytes.extend(masked(0x88, &[]));
        let long = Incoming::Text("가".repeat(100));
        let expected = [
            Incoming::Text("one".into()),
            Incoming::Part,
            Incoming::Ping(Bytes::from_static(b"hey")),
            Incoming::Text("two".into()),
            long,
            Incoming::Close,
        ];
        assert_eq!(all(&bytes).unwrap(), expected);
    }

    #[test]
    fn broken_clients() {
        let unmasked = vec![0x81, 1, b'a'];
        let mut huge = vec![0x81, 0x80 | 127];
        huge.extend((70_000u64).to_be_bytes());
        for bytes in [
            unmasked,
            huge,
            masked(0x82, b"binary"),
            masked(0xc1, b"rsv"),
            masked(0x80, b"nothing to continue"),
            masked(0x09, b"fragmented ping"),
            masked(0x81, &[0xff, 0xfe]),
            masked(0x83, b"reserved opcode"),
            [masked(0x01, b"a"), masked(0x81, b"b")].concat(),
        ] {
            assert_eq!(all(&bytes), Err(Broken), "{bytes:?}");
        }
        let mut flood = masked(0x01, &[b'a'; 60_000]);
        flood.extend(masked(0x00, &[b'a'; 6_000]));
        assert_eq!(all(&flood), Err(Broken), "64 KiB in all");
    }

    #[test]
    fn what_is_allowed_changes() {
        let (mut decoder, mut buffer) = (Decoder::new(4), BytesMut::from(&masked(0x81, b"hello")[..]));
        assert_eq!(decoder.next(&mut buffer), Err(Broken));
        decoder.allow(5);
        assert_eq!(decoder.next(&mut buffer), Ok(Some(Incoming::Text("hello".into()))));
    }

    #[test]
    fn any_bytes_never_panic() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let _ = all(&bytes);
        }
    }
}
