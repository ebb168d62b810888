//! Words stay whole as long as any size allows it, however they are encoded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use creative::layout::text_width;
use creative::{Palette, Picture, PictureLook, compose};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

const INSTAGRAM: (u32, u32) = (1080, 1080);
const NAVER: (u32, u32) = (800, 600);
const KAKAO: (u32, u32) = (800, 400);
/// The longest title, in characters.
const MAX_TITLE: usize = 60;

fn svg((width, height): (u32, u32), headline: &str, body: &str) -> String {
    let palette = Palette::parse("MONO").unwrap();
    compose(&Picture { width, height, look: PictureLook::Simple, headline, body, palette, background: None })
}

/// Lines of one weight: 700 is the headline, 400 the small text.
fn lines(svg: &str, weight: u32) -> Vec<String> {
    let begin = format!(r#"font-weight="{weight}""#);
    let texts = svg.split("<text ").skip(1).filter(|text| text.contains(&begin));
    texts.map(|text| text.split_once('>').unwrap().1.split_once("</text>").unwrap().0.to_owned()).collect()
}

/// Case 18.
#[test]
fn a_word_of_a_headline_is_not_broken() {
    for format in [INSTAGRAM, NAVER, KAKAO] {
        for title in ["오픈기념이벤트", "개업1주년기념이벤트"] {
            assert_eq!(lines(&svg(format, title, ""), 700), [title], "{format:?}");
        }
        let two = lines(&svg(format, "크리스마스기념 할인", ""), 700);
        assert_eq!(two.join(" "), "크리스마스기념 할인", "{format:?}");
    }
}

/// Case 18.
#[test]
fn month_and_day_stay_on_one_line() {
    for shop in ["동네빵집", "우리동네에서가장오래된빵집", "아주 오래된 우리 동네의 빵집", "빵집 옆 카페"]
    {
        for prize in ["아메리카노", "아메리카노 한 잔 무료 쿠폰", "소금빵과 아메리카노를 함께 드리는 쿠폰"]
        {
            let body = format!("{shop} · {prize} · 12월 8일까지");
            for format in [INSTAGRAM, NAVER, KAKAO] {
                let lines = lines(&svg(format, "가을맞이", &body), 400);
                assert!(lines.iter().any(|line| line.contains("12월 8일까지")), "{format:?}: {lines:?}");
            }
        }
    }
}

/// Case 17 e: a title that a Mac typed, letter by letter, is the same picture.
#[test]
fn decomposed_hangul_is_the_same_picture() {
    for format in [INSTAGRAM, NAVER, KAKAO] {
        let (headline, body) = ("크리스마스 할인", "동네빵집 · 커피 한 잔 · 12월 8일까지");
        let decomposed = |text: &str| text.nfd().collect::<String>();
        assert_ne!(decomposed(headline), headline);
        assert_eq!(svg(format, &decomposed(headline), &decomposed(body)), svg(format, headline, body));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    /// Case 18: no title loses a word, and only a word that no size shows whole is broken.
    #[test]
    fn words_stay_whole(words in proptest::collection::vec("[가-힣A-Za-z0-9😀]{1,24}", 1..20)) {
        let text: String = words.join(" ").chars().take(MAX_TITLE).collect();
        let title = text.trim_end();
        for (width, height) in [INSTAGRAM, NAVER, KAKAO] {
            let lines = lines(&svg((width, height), title, ""), 700);
            prop_assert_eq!(lines.concat().replace(' ', ""), title.replace(' ', ""), "nothing is cut");
            // The box is 76 % of the width, the smallest size 3.6 % of the height.
            let widest = f64::from(width) * 0.76 / (f64::from(height) * 0.036);
            for word in title.split(' ').filter(|word| text_width(word) < widest - 0.01) {
                prop_assert!(lines.iter().any(|line| line.split(' ').any(|w| w == word)), "{}: {:?}", word, lines);
            }
        }
    }
}
