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

/// The password in its one form, as it is hashed, if an account with this e-mail may have it.
pub(crate) fn check(password: &str, email: &str) -> Result<String, &'static str> {
    let password: String = password.nfc().collect();
    if password.chars().count() < PASSWORD_MIN_CHARS {
        Err("password-too-short")
    } else if password.len() > PASSWORD_MAX_BYTES {
        Err("password-too-long")
    } else if password.contains('\0') {
        Err("invalid-characters")
    } else if is_common(&password, email) {
        Err("password-common")
    } else {
        Ok(password)
    }
}

/// Would a guesser try it first? Case, width, unseen marks and the spaces around it make no difference.
fn is_common(password: &str, email: &str) -> bool {
    let plain = domain::text::shown(password).trim().to_lowercase();
    let narrow: String = plain.nfkc().collect::<String>().trim().to_lowercase();
    is_own(&plain, email) || is_own(&narrow, email) || is_pattern(&plain) || is_pattern(&narrow) || is_listed(&narrow)
}

/// The account's e-mail, or the part before its `@`.
fn is_own(password: &str, email: &str) -> bool {
    let email = email.nfc().collect::<String>().trim().to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    password == email || password == local
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
    use super::check;
    use proptest::prelude::*;

    const EMAIL: &str = "Kim.Owner@Shop.kr";

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
        ] {
            assert_eq!(check(bad, EMAIL), Err("password-common"), "{bad:?}");
        }
        let composed = "한국가게사장님댁";
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(composed).collect();
        assert_eq!(check(&decomposed, &format!("{composed}@shop.kr")), Err("password-common"));
        let decomposed: String = unicode_normalization::UnicodeNormalization::nfd("\u{e9}cole.paris").collect();
        assert_eq!(check(&decomposed, "\u{c9}cole.Paris@shop.kr"), Err("password-common"));
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
        ] {
            assert_eq!(check(good, EMAIL).as_deref(), Ok(good));
        }
        for (bad, code) in
            [("short", "password-too-short"), ("가가가", "password-too-short"), ("password\0", "invalid-characters")]
        {
            assert_eq!(check(bad, EMAIL), Err(code));
        }
        assert_eq!(check(&"가나".repeat(12), EMAIL), Err("password-too-long"));
        for good in ["초록 대문 옆 가게", "caf\u{e9} du coin"] {
            let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(good).collect();
            assert_ne!(decomposed, good);
            assert_eq!(check(&decomposed, EMAIL).as_deref(), Ok(good), "one form, however it is typed");
        }
    }

    proptest! {
        /// The look-up takes its time for nobody, and panics for nobody.
        #[test]
        fn any_password_is_judged(password in "\\PC{0,40}") {
            let begun = std::time::Instant::now();
            let _ = check(&password, EMAIL);
            prop_assert!(begun.elapsed().as_secs() < 2, "{password:?}");
        }
    }
}
