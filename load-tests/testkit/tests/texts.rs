//! Every text that people type has one form, wherever it is typed, compared, masked or sent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::text::{PersonName, TextError, line, paragraph, search};
use proptest::prelude::*;
use testkit::texts::{UNSEEN, any_text, some};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Marks that have a meaning between the pieces of a picture.
const BINDING: &[char] = &['\u{200d}', '\u{fe0f}'];

/// Marks that a paste adds.
const PASTED: &[&str] = &["\u{200b}", "\u{feff}", "\u{ad}", "\u{2060}", "\u{200e}"];

fn apart(s: &str) -> String {
    s.nfd().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Cases 17 and 19.
    #[test]
    fn a_text_that_is_taken_has_one_form(s in any_text()) {
        for text in [line(&s, 60), paragraph(&s, 300)].into_iter().flatten() {
            prop_assert!(is_nfc(&text), "{:?}", text);
            prop_assert_eq!(text.trim(), &text);
            prop_assert!(!text.contains("  ") && !text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", text);
            let seen = |c: char| !UNSEEN.iter().any(|unseen| unseen.contains(c)) || BINDING.contains(&c);
            prop_assert!(text.chars().all(seen) && text.chars().any(|c| !BINDING.contains(&c)), "{:?}", text);
            prop_assert_eq!(paragraph(&text, 300), Ok(text.clone()));
            prop_assert!(text.len() <= 300 * 12);
        }
    }

    /// Case 17.
    #[test]
    fn how_it_was_typed_changes_nothing(s in any_text(), at in any::<prop::sample::Index>(), mark in prop::sample::select(PASTED)) {
        let places: Vec<usize> = s.char_indices().map(|(i, _)| i).chain([s.len()]).collect();
        let mut marked = s.clone();
        marked.insert_str(*at.get(&places), mark);
        for other in [apart(&s), s.nfc().collect(), marked, format!(" {s}\u{3000}")] {
            prop_assert_eq!(line(&other, 60), line(&s, 60), "{:?}", other);
            prop_assert_eq!(paragraph(&other, 300), paragraph(&s, 300), "{:?}", other);
            prop_assert_eq!(search(&other), search(&s), "{:?}", other);
            prop_assert_eq!(PersonName::stored(&other).masked(), PersonName::stored(&s).masked(), "{:?}", other);
        }
    }

    #[test]
    fn a_name_is_masked_by_what_people_see(s in any_text()) {
        if let Ok(name) = PersonName::parse(&s) {
            let masked = name.masked();
            prop_assert!(is_nfc(&masked) && masked.contains('*'), "{:?}", masked);
            prop_assert_eq!(PersonName::stored(name.expose()), name);
        }
    }
}

#[test]
fn the_texts_are_of_every_kind() {
    let texts = some(400);
    let count = |holds: &dyn Fn(&str) -> bool| texts.iter().filter(|s| holds(s)).count();
    for (what, found) in [
        ("taken", count(&|s| line(s, 60).is_ok())),
        ("too long", count(&|s| matches!(line(s, 60), Err(TextError::TooLong { .. })))),
        ("nothing", count(&|s| line(s, 60) == Err(TextError::Empty))),
        ("controls", count(&|s| line(s, 60) == Err(TextError::Control))),
        ("accents", count(&|s| line(s, 60) == Err(TextError::Marks))),
        ("taken apart", count(&|s| !is_nfc(s))),
        ("changed", count(&|s| line(s, 60).is_ok_and(|text| text != *s))),
    ] {
        assert!(found > 0, "no text is {what}");
    }
}
