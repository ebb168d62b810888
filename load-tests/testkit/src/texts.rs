//! Texts as people, keyboards and pastes make them, for everything that takes one.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use unicode_normalization::UnicodeNormalization;

const WORDS: &[&str] = &[
    "홍길동",
    "크리스마스 할인",
    "오픈기념이벤트",
    "강",
    "ㅎㅇ",
    "\u{1112}\u{119e}\u{11ab}글",
    "李舜臣",
    "José",
    "Zoë & Co.",
    "O'Brien",
    "Ａ１２３",
    "ﬁn",
    "שלום",
    "مرحبا",
    "ไม้",
    "<b>1+1</b>",
    "50%",
];
const PICTURES: &[&str] = &["👩‍👩‍👧", "❤️‍🔥", "1️⃣", "🇰🇷", "👍🏽", "☕️", "🏴‍☠️", "🎉"];
const SPACES: &[&str] = &[" ", "  ", "\u{3000}", "\u{a0}", "\t"];
/// Marks that show nothing.
pub const UNSEEN: &[&str] = &[
    "\u{200b}",
    "\u{feff}",
    "\u{ad}",
    "\u{2060}",
    "\u{200e}",
    "\u{200f}",
    "\u{61c}",
    "\u{2068}",
    "\u{2069}",
    "\u{202a}",
    "\u{202c}",
    "\u{3164}",
    "\u{2800}",
    "\u{115f}",
    "\u{1160}",
    "\u{ffa0}",
    "\u{180e}",
    "\u{fe0f}",
    "\u{34f}",
    "\u{e0041}",
    "\u{200d}",
];
const REFUSED: &[&str] = &["\u{202e}", "\u{7}", "\n", "\u{2028}", "\0", "\u{301}\u{301}\u{301}\u{301}\u{301}"];

fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        20 => select(WORDS),
        5 => select(PICTURES),
        6 => select(SPACES),
        4 => select(UNSEEN),
        2 => select(REFUSED),
    ]
}

/// Any text of one to some five hundred characters, composed or taken apart, with pictures, turned and unseen marks.
pub fn any_text() -> impl Strategy<Value = String> {
    let times = prop_oneof![9 => Just(1usize), 1 => 5usize..30];
    (prop::collection::vec(piece(), 1..8), any::<bool>(), times).prop_map(|(pieces, apart, times)| {
        let text = pieces.concat().repeat(times);
        if apart { text.nfd().collect() } else { text }
    })
}

/// Returns this many of them, the same in every run.
///
/// # Panics
/// Never: no text is filtered out.
#[must_use]
pub fn some(n: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let texts = any_text();
    (0..n).map(|_| texts.new_tree(&mut runner).expect("a text").current()).collect()
}
