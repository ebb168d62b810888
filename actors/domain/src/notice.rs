//! The notice shown to customers before they enter, versioned; its hash is stored with each entry.

use crate::retention::{ALL_DAYS, DRAW_DAYS};
use sha2::{Digest, Sha256};

/// The version of the words below. Change it with them.
const WORDS: &str = "2026-11-23";

/// The notice for a shop, in Korean.
#[must_use]
pub fn text(shop: &str) -> String {
    format!(
        "{shop}{} 이벤트 응모와 추첨을 위해 이름과 휴대전화번호를 수집합니다. \
         수집 항목: 이름, 휴대전화번호. 이용 목적: 중복 응모 확인, 추첨, 당첨 안내, 재방문 고객 수 집계. 다른 목적으로 쓰지 않습니다. \
         보유 기간: 당첨자·예비 당첨자가 아닌 분의 이름과 번호는 추첨 또는 이벤트 취소 뒤 지체 없이 파기합니다. \
         당첨자·예비 당첨자의 이름과 번호, 그리고 재방문 고객 수를 세기 위해 알아볼 수 없게 바꾼 번호는 추첨 또는 취소 {ALL_DAYS}일 뒤 \
         파기합니다. 마감 뒤 {DRAW_DAYS}일 안에 추첨하지 않으면 모두 파기합니다. \
         응모 확인증으로 언제든 삭제를 요청할 수 있습니다. 광고 수신은 선택이며 동의하지 않아도 응모할 수 있습니다. \
         만 14세 이상만 응모할 수 있습니다.",
        subject(shop)
    )
}

/// The same in English: a translation for those who do not read Korean. What is agreed to, and hashed, is the Korean text.
#[must_use]
pub fn text_en(shop: &str) -> String {
    format!(
        "{shop} collects your name and mobile number for this event and its draw. Collected: name, mobile number. \
         Purpose: finding double entries, the draw, telling the winners, counting returning customers; nothing else. \
         Kept: name and number of those who are neither winner nor alternate are deleted without delay after the draw or a \
         cancellation; those of winners and alternates, and the number in an unreadable form by which returning customers are \
         counted, {ALL_DAYS} days after it. If nobody is drawn within {DRAW_DAYS} days after the \
         close, everything is deleted. With your receipt you may have your entry deleted at any time. Receiving \
         advertising is your choice, and not needed to enter. Only for people of 14 years or more."
    )
}

/// The subject particle after a name: 이 after a final consonant, 가 after a vowel, both where no Hangul ends it.
fn subject(name: &str) -> &'static str {
    match name.chars().last() {
        Some(c @ '가'..='힣') if (c as u32 - 0xac00).is_multiple_of(28) => "가",
        Some('가'..='힣') => "이",
        _ => "(이)가",
    }
}

/// SHA-256 of version and text: what an entry stores.
#[must_use]
pub fn hash(shop: &str) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(WORDS);
    h.update([0]);
    h.update(text(shop));
    h.finalize().into()
}

/// The version of the notice for a shop: another when the words or the shop's name change.
#[must_use]
pub fn version(shop: &str) -> String {
    let [a, b, c, d, ..] = hash(shop);
    format!("{WORDS}.{a:02x}{b:02x}{c:02x}{d:02x}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_particle_follows_the_name() {
        for (shop, begins) in [("마당커피", "마당커피가 "), ("골목식당", "골목식당이 "), ("Cafe", "Cafe(이)가 ")]
        {
            assert!(super::text(shop).starts_with(begins));
        }
        assert_ne!(super::hash("가"), super::hash("나"));
        assert_ne!(super::version("가"), super::version("나"));
        assert!(super::text_en("Madang").starts_with("Madang collects"));
    }
}
