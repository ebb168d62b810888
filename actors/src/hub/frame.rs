//! Frames: a WebSocket text frame as a server sends it (RFC 6455, 5.2: FIN, opcode 1, unmasked).

use bytes::{BufMut, Bytes, BytesMut};

/// An update, framed once and shared.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its offset in the topic.
    pub offset: i64,
    /// The bytes for the wire.
    pub bytes: Bytes,
}

/// Frames a text.
#[must_use]
pub fn text_frame(text: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(text.len() + 10);
    out.put_u8(0x81);
    match text.len() {
        n @ 0..=125 => out.put_u8(n as u8),
        n @ 126..=65_535 => {
            out.put_u8(126);
            out.put_u16(n as u16);
        }
        n => {
            out.put_u8(127);
            out.put_u64(n as u64);
        }
    }
    out.extend_from_slice(text.as_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_three_ways() {
        assert_eq!(&text_frame("hi")[..], b"\x81\x02hi");
        assert_eq!(&text_frame(&"a".repeat(126))[..4], b"\x81\x7e\x00\x7e");
        assert_eq!(&text_frame(&"a".repeat(70_000))[..10], b"\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70");
    }
}
