//! Files as people save them: each line is entered or told.

use super::*;
use proptest::prelude::*;

/// The names that are entered, and what is said of other lines.
fn read(text: &str) -> (Vec<String>, Vec<(usize, String)>) {
    let import = import(text);
    (import.customers.into_iter().map(|c| c.name).collect(), import.notices)
}

/// The lines of an editor that hold something.
fn lines_with_something(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r']).filter(|line| !line.trim().is_empty()).count()
}

#[test]
fn files_as_people_save_them() {
    let text = "이름,전화\n김서연,010-1111-2222\n";
    let (ansi, ..) = encoding_rs::EUC_KR.encode(text);
    assert_eq!(text_of(&ansi).as_deref(), Some(text), "as Excel saves it");
    assert_eq!(text_of(format!("\u{feff}{text}").as_bytes()).as_deref(), Some(text));
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(text_of(&utf16).as_deref(), Some(text), "as Excel saves Unicode text");
    assert_eq!(text_of(&[0xff, 0xff, 0x0a]), None);
}

/// Case 4.
#[test]
fn a_quote_that_is_not_closed_hides_no_other_line() {
    let text = "이름,전화\n김하나,010-1111-0001\n\"박둘,010-1111-0002\n이셋,010-1111-0003\n최넷,010-1111-0004\n";
    let (names, notices) = read(text);
    assert_eq!(names, ["김하나", "이셋", "최넷"]);
    assert_eq!(notices[1], (3, "left out, a quote is not closed on its line".into()));
    for text in [
        "김하나,010-1111-0001\n이셋,\"010-1111-0003\n최넷,010-1111-0004\n",
        "\"김하나,010-1111-0001\n박둘,010-1111-0002\n이셋,010-1111-0003\n최넷,010-1111-0004\"\n",
    ] {
        let (names, notices) = read(text);
        assert_eq!(names.len() + notices.len(), lines_with_something(text), "{notices:?}");
        assert!(notices.iter().all(|(_, told)| told.starts_with("left out")), "{notices:?}");
    }
    assert!(read("\"김, 하나\",\"010-1111-0001\"\r\n").1.is_empty(), "quotes that are closed are fine");
}

/// Case 5: no heading, so the first line is a customer like any other.
#[test]
fn a_first_line_is_entered_or_told() {
    for entered in [
        "김하나,０１０-１１１１-０００１",
        "김하나;010-1111-0001;QR",
        "김하나\t010-1111-0001",
        "\n\n김하나,01011110001",
    ] {
        assert_eq!(read(entered), (vec!["김하나".to_owned()], vec![]), "{entered}");
    }
    for told in
        ["김하나,", "김하나", "김하나;", "김하나,공일공-1111", "김하나,공일공", ",", "\"김하나", "김하나|010-1111-0001"]
    {
        let (names, notices) = read(told);
        assert!(names.is_empty() && notices.len() == 1, "{told}: {notices:?}");
        assert!(notices[0].0 == 1 && notices[0].1.starts_with("left out"), "{told}: {notices:?}");
    }
    for heading in ["이름,전화번호", "성명;연락처", "Name\tPhone\tChannel", "\u{20}고객 이름 , 휴대폰 번호"]
    {
        assert_eq!(read(heading).1, [(1, "read as the heading".to_owned())], "{heading}");
    }
    let (names, notices) = read("이름;전화;경로\n김하나;010-1111-0001;qr\n\"박,둘\";010-1111-0002\n");
    assert_eq!((names, notices.len()), (vec!["김하나".to_owned(), "박,둘".to_owned()], 1));
}

/// Case 6.
#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for end in ["\r", "\n", "\r\n"] {
        let lines = ["이름,전화", "김하나,010-1111-0001", "박둘,", "", "이셋,02-123-4567", "최넷,010-1111-0001", ""];
        let (names, notices) = read(&lines.join(end));
        assert_eq!(names, ["김하나"], "{end:?}");
        assert_eq!(notices.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 5, 6], "{end:?}");
        assert!(notices[3].1.contains("that of line 2"), "{notices:?}");
    }
}

proptest! {
    /// Cases 4 to 6: whatever is in a file, each line that holds something is entered or told, once and by its number.
    #[test]
    fn no_line_disappears(text in "([ ,;\\t\"가이름a0０1-]|010-1234-567[0-9]|이름,|\\r|\\n|\\r\\n|\\PC){0,60}") {
        let import = import(&text);
        prop_assert_eq!(import.customers.len() + import.notices.len(), lines_with_something(&text));
        let told: std::collections::BTreeSet<usize> = import.notices.iter().map(|(line, _)| *line).collect();
        prop_assert_eq!(told.len(), import.notices.len());
    }
}

/// Cases 17 and 19: names of every kind are entered, and mean the one form that the server stores, or are told.
#[test]
fn names_of_every_kind_are_entered_or_told() {
    let (mut entered, mut told) = (0, 0);
    for text in testkit::texts::some(400).iter().filter(|text| !text.contains(['\n', '\r'])) {
        let (names, notices) = read(&format!("\"{}\",010-1111-0001\n", text.replace('"', "\"\"")));
        match PersonName::parse(text) {
            Ok(name) => {
                assert_eq!((names.len(), notices.len()), (1, 0), "{text:?}: {notices:?}");
                assert_eq!(PersonName::parse(&names[0]).as_ref(), Ok(&name), "{text:?}");
                entered += 1;
            }
            Err(_) => {
                assert_eq!((names.len(), notices.len()), (0, 1), "{text:?}: {notices:?}");
                told += 1;
            }
        }
    }
    assert!(entered > 50 && told > 20, "{entered} entered, {told} told");
}
