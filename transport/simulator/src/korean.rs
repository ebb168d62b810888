//! Particles that follow the last syllable.

/// Does the word end in a final consonant?
fn closed(word: &str) -> bool {
    match word.chars().last() {
        Some(c @ '가'..='힣') => !(c as u32 - 0xac00).is_multiple_of(28),
        Some('0' | '1' | '3' | '6' | '7' | '8' | 'l' | 'm' | 'n') => true,
        _ => false,
    }
}

/// 을 or 를.
pub(crate) fn eul(word: &str) -> String {
    format!("{word}{}", if closed(word) { "을" } else { "를" })
}

/// 이 or 가.
pub(crate) fn i(word: &str) -> String {
    format!("{word}{}", if closed(word) { "이" } else { "가" })
}

#[cfg(test)]
mod tests {
    #[test]
    fn particles_follow_the_last_syllable() {
        assert_eq!(super::eul("빵"), "빵을");
        assert_eq!(super::eul("커피"), "커피를");
        assert_eq!(super::i("손님"), "손님이");
    }
}
