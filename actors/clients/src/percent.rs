//! Percent-encoding, taken back.

/// Takes percent-encoding back once. A `%` without two hexadecimal digits stays as it is, and a `+` stays a `+`.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_back_once() {
        for (text, plain) in [
            ("abc%2Bdef%3d%3D", "abc+def=="),
            ("a+b%20c", "a+b c"),
            ("50%off", "50%off"),
            ("%2", "%2"),
            ("%252B", "%2B"),
            ("%ED%99%8D", "홍"),
            ("%FF", "%FF"),
            ("홍%3A", "홍:"),
        ] {
            assert_eq!(decoded(text), plain, "{text}");
        }
    }
}
