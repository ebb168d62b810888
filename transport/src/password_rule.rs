//! Which passwords an account may have: long enough, short enough for bcrypt, and none that a guesser tries first.

use crate::auth::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS};
use unicode_normalization::UnicodeNormalization;

/// Guesses that find each of the 3,000 commonest passwords of eight characters or more: the last of them is the 8,949th of
/// zxcvbn's list, and a word's guesses are its rank and one. Two words or patterns in a row cost 10,000 or more, so that no
/// phrase is refused.
const MAX_COMMON_GUESSES: u64 = 9_000;
/// Characters of the longest word of that list. Longer passwords are not looked up, which costs time in the square of the length.
const MAX_COMMON_CHARS: usize = 20;
/// Signs in a word of the list. Each multiplies the spellings that are tried.
const MAX_COMMON_SIGNS: usize = 3;
/// Rows of keyboards, and the order of the Korean syllables in which children learn them.
const ROWS: &[&str] = &[
    "`1234567890-=",
    "~!@#$%^&*()_+",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ",
    "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ",
    "가나다라마바사아자차카타파하",
    "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "1234567890",
];

/// Words that Koreans begin a password with, as they are typed in either state of the keyboard, and the names of this product.
const COMMON_STEMS: &[&str] = &[
    "비밀번호",
    "qlalfqjsgh",
    "안녕",
    "dkssud",
    "안녕하세요",
    "dkssudgktpdy",
    "사랑해",
    "tkfkdgo",
    "사랑해요",
    "tkfkdgody",
    "tkfkdgkqslek",
    "대한민국",
    "eogksalsrnr",
    "한국",
    "gksrnr",
    "우리나라",
    "dnflskfk",
    "korea",
    "seoul",
    "daehan",
    "qwer",
    "qwert",
    "qwerty",
    "asdf",
    "asdfg",
    "zxcv",
    "qwe",
    "asd",
    "zxc",
    "1q2w3e4r",
    "1q2w3e",
    "q1w2e3r4",
    "1qaz2wsx",
    "admin",
    "administrator",
    "manager",
    "master",
    "test",
    "guest",
    "welcome",
    "password",
    "passwd",
    "pass",
    "love",
    "iloveyou",
    "saranghae",
    "sarang",
    "madang",
    "마당",
    "akekd",
    "사장님",
    "tkwkdsla",
    "가게",
    "rkrp",
];
/// Digits and signs after such a word that a guesser tries with it.
const MAX_TAIL_CHARS: usize = 5;

/// What an account is known by: none of it is a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'a> {
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) phone: &'a str,
    pub(crate) business_number: &'a str,
    pub(crate) shop: &'a str,
}

/// The password in its one form, as it is hashed, if the account may have it.
pub(crate) fn check(password: &str, own: Own<'_>) -> Result<String, &'static str> {
    let password: String = password.nfc().collect();
    if password.chars().count() < PASSWORD_MIN_CHARS {
        Err("password-too-short")
    } else if password.len() > PASSWORD_MAX_BYTES {
        Err("password-too-long")
    } else if password.contains('\0') {
        Err("invalid-characters")
    } else if is_common(&password, own) {
        Err("password-common")
    } else {
        Ok(password)
    }
}

/// Would a guesser try it first? Case, width, unseen marks and the spaces around it make no difference.
fn is_common(password: &str, own: Own<'_>) -> bool {
    let plain = domain::text::shown(password).trim().to_lowercase();
    let narrow = narrow(&plain);
    let stem = stem(&narrow);
    is_pattern(&plain)
        || is_pattern(&narrow)
        || is_listed(&narrow)
        || COMMON_STEMS.contains(&stem)
        || is_own(&plain, stem, own)
        || is_own(&narrow, stem, own)
}

fn narrow(text: &str) -> String {
    text.nfkc().collect::<String>().trim().to_lowercase().nfc().collect()
}

/// Returns the word without the few digits and signs that follow it.
fn stem(password: &str) -> &str {
    let word = password.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation());
    if password.len() - word.len() <= MAX_TAIL_CHARS { word } else { password }
}

/// Is it the account's e-mail or the part before its `@`, its phone or business number however written, or the name of owner or
/// shop?
fn is_own(password: &str, stem: &str, own: Own<'_>) -> bool {
    let email = narrow(own.email);
    let local = email.split('@').next().unwrap_or_default();
    let number = !password.contains(char::is_alphabetic);
    let is_number = |of: &str| number && !digits(of).is_empty() && digits(of) == digits(password);
    let without_spaces = |text: &str| narrow(text).replace(' ', "");
    let is_name = |of: &str| !of.trim().is_empty() && without_spaces(of) == without_spaces(stem);
    password == email
        || password == local
        || [own.phone, own.business_number].into_iter().any(is_number)
        || [own.name, own.shop].into_iter().any(is_name)
}

fn digits(text: &str) -> String {
    text.nfkc().filter(char::is_ascii_digit).collect()
}

/// Nothing at all, one character again and again, a sequence, or a piece of a row of keys, in either direction.
fn is_pattern(password: &str) -> bool {
    let all: Vec<char> = password.chars().collect();
    let steps: Vec<i64> =
        all.windows(2).map(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]))).collect();
    let even = [-1, 0, 1].iter().any(|step| steps.iter().all(|found| found == step));
    let backwards: String = all.iter().rev().collect();
    // Twice, for those who begin anew at its end.
    let of_row = |row: &&str| {
        let twice = row.repeat(2);
        twice.contains(password) || twice.contains(&backwards)
    };
    even || ROWS.iter().any(of_row)
}

/// Is it in the list of common passwords, or as easily guessed as what is?
fn is_listed(password: &str) -> bool {
    let signs = password.chars().filter(|c| !c.is_ascii_alphanumeric()).count();
    let may_be = password.is_ascii() && password.len() <= MAX_COMMON_CHARS && signs <= MAX_COMMON_SIGNS;
    may_be && zxcvbn::zxcvbn(password, &[]).guesses() <= MAX_COMMON_GUESSES
}

#[cfg(test)]
mod tests {
    use super::{Own, check};
    use proptest::prelude::*;

    const OWN: Own<'_> = Own {
        email: "Kim.Owner@Shop.kr",
        name: "김마당주인",
        phone: "010-2345-6789",
        business_number: "124-81-00998",
        shop: "초록 대문 카페",
    };

    fn with_email(email: &str) -> Own<'_> {
        Own { email, ..OWN }
    }

    /// Case M12.
    #[test]
    fn what_a_guesser_tries_first_is_refused() {
        for bad in [
            "12345678",
            "87654321",
            "password",
            "Password",
            "PASSWORD",
            " password ",
            "ｐａｓｓｗｏｒｄ",
            "        ",
            "　　　　　　　　",
            "aaaaaaaa",
            "ㅋㅋㅋㅋㅋㅋㅋㅋ",
            "qwertyui",
            "QWERTYUI",
            "iuytrewq",
            "asdfghjkl",
            "1234567890",
            "12345678901234567890",
            "0987654321",
            "abcdefgh",
            "hgfedcba",
            "가나다라마바사아",
            "ㅂㅈㄷㄱㅅㅛㅕㅑ",
            "iloveyou",
            "sunshine",
            "1q2w3e4r",
            "1qaz2wsx",
            "qwer1234",
            "passw0rd",
            "p@ssw0rd",
            "12341234",
            "greyhoun",
            "kim.owner",
            "kim.owner@shop.kr",
            "KIM.OWNER@SHOP.KR",
            "!@#$%^&*",
            "dkssudgktpdy",
            "안녕하세요1234",
            "비밀번호1234",
            "korea123",
            "qwer1234!",
            "1q2w3e4r!",
            "asdf1234!",
            "Korea2026!",
            "01023456789",
            "010-2345-6789",
            "010.2345.6789",
            "1248100998",
            "124-81-00998",
            "초록대문카페123",
            "김마당주인2026",
        ] {
            assert_eq!(check(bad, OWN), Err("password-common"), "{bad:?}");
        }
        let composed = "한국가게사장님댁";
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(composed).collect();
        assert_eq!(check(&decomposed, with_email(&format!("{composed}@shop.kr"))), Err("password-common"));
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd("\u{e9}cole.paris").collect();
        assert_eq!(check(&decomposed, with_email("\u{c9}cole.Paris@shop.kr")), Err("password-common"));
    }

    #[test]
    fn what_is_long_enough_and_nobodys_first_guess_is_taken() {
        for good in [
            "correct horse",
            "초록 대문 옆 가게",
            "canary-password-77",
            "demo-0123456789abcdef",
            "kim.owner.7Q",
            "x7Kq2mPz",
            "korea-winter-harbour",
            "초록 대문 카페 앞 자전거",
            "010-2345-6780-door",
        ] {
            assert_eq!(check(good, OWN).as_deref(), Ok(good));
        }
        for (bad, code) in
            [("short", "password-too-short"), ("가가가", "password-too-short"), ("password\0", "invalid-characters")]
        {
            assert_eq!(check(bad, OWN), Err(code));
        }
        assert_eq!(check(&"가나".repeat(12), OWN), Err("password-too-long"));
        for good in ["초록 대문 옆 가게", "caf\u{e9} du coin"] {
            let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(good).collect();
            assert_ne!(decomposed, good);
            assert_eq!(check(&decomposed, OWN).as_deref(), Ok(good), "one form, however it is typed");
        }
    }

    proptest! {
        /// The look-up takes its time for nobody, and panics for nobody.
        #[test]
        fn any_password_is_judged(password in "\\PC{0,40}") {
            let begun = std::time::Instant::now();
            let _ = check(&password, OWN);
            prop_assert!(begun.elapsed().as_secs() < 2, "{password:?}");
        }
    }
}
