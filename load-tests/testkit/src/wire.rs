//! The client's side of a WebSocket, for tests that need the bytes themselves.

/// A whole frame as a client sends it (RFC 6455, 5.2), masked with zeros: `first` is FIN and opcode, 0x81 for a text.
///
/// # Panics
/// When the payload has 64 KiB or more.
#[must_use]
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()).expect("a short payload") {
        short @ 0..=125 => out.push(0x80 | short as u8),
        long => {
            out.push(0x80 | 126);
            out.extend(long.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(payload);
    out
}

/// The upgrade a client asks for; the key is the example of RFC 6455.
#[must_use]
pub fn upgrade(path: &str, host: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
