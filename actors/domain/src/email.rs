//! E-mail addresses: one form, by which accounts are found.

use crate::text::shown;
use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization;

/// Bytes of the longest address that mail servers take (RFC 5321, section 4.5.3.1.3, without its angle brackets).
pub const MAX_BYTES: usize = 254;
/// Characters that an address has in quotes or comments only, which nobody's has.
const QUOTING: &str = "<>()\"',;";

/// Not an address that mail reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct EmailError;

/// Reads an address: one width (NFKC), in lower case, without the white space around it and the invisible marks within.
///
/// # Errors
/// No address of a name and a host with two labels, or one with white space, quotes or characters that turn the text. A host
/// has letters, digits and hyphens only, and its last label has a letter: a number is an address of a machine.
pub fn parse(s: &str) -> Result<String, EmailError> {
    let address: String = shown(s).nfkc().collect::<String>().trim().to_lowercase().nfc().collect();
    let plain = !address.chars().any(|c| c.is_whitespace() || c.is_control() || QUOTING.contains(c));
    let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
    let reachable = address.rsplit_once('@').is_some_and(|(_, host)| is_host(host));
    let valid = address.len() <= MAX_BYTES && plain && reachable;
    if valid && EmailAddress::parse_with_options(&address, options).is_ok() { Ok(address) } else { Err(EmailError) }
}

fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-')) && last.chars().any(char::is_alphabetic)
}

/// Reads an address as versions before this form did. Accounts of then are found by it.
#[must_use]
pub fn former(s: &str) -> String {
    s.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_form() {
        for (typed, address) in [
            (" Owner@Shop.KR ", "owner@shop.kr"),
            ("a+b@c-d.co.kr", "a+b@c-d.co.kr"),
            ("\u{feff}o\u{200b}wner@shop\u{ad}.kr", "owner@shop.kr"),
            ("\u{2068}owner@shop.kr\u{2069}", "owner@shop.kr"),
            ("\u{212a}im@shop.kr", "kim@shop.kr"),
            ("사장@가게.한국", "사장@가게.한국"),
            ("ｏｗｎｅｒ＠ｓｈｏｐ．ｋｒ", "owner@shop.kr"),
            ("owner＠shop．kr", "owner@shop.kr"),
            ("\u{1109}\u{1161}장@가게.한국", "사장@가게.한국"),
        ] {
            assert_eq!(parse(typed).as_deref(), Ok(address), "{typed:?}");
        }
    }

    /// From the attacks' low list: e-mails took bidi overrides.
    #[test]
    fn no_address() {
        for bad in [
            "",
            "a",
            "a@b",
            "@b.kr",
            "a@b.",
            "a@@b.kr",
            "a b@c.kr",
            "<a@b.kr>",
            "a@b.k\u{202e}r",
            "\u{202d}a@b.kr",
            "a@b..kr",
            ".a@b.kr",
            "a..b@c.kr",
            "a@-b.kr",
            "a@b.kr-",
            "a@[127.0.0.1]",
            "a@1.2.3.4",
            "a@shop.123",
            "a@b.kr?x=1",
            "a@b.kr/x",
            "a@b_c.kr",
            "a@b.kr#c",
            "a@b!c.kr",
            "\"a b\"@c.kr",
            "a@b.kr\0",
            "a\u{3000}b@c.kr",
            "a@b.kr\nb@c.kr",
            "\u{200b}@b.kr",
            "Kim <a@b.kr>",
        ] {
            assert_eq!(parse(bad), Err(EmailError), "{bad:?}");
        }
        let name = "a".repeat(65);
        assert_eq!(parse(&format!("{name}@b.kr")), Err(EmailError));
    }

    proptest! {
        #[test]
        fn a_form_stays(s in "\\PC{0,40}", host in "[a-z]{1,8}\\.kr") {
            for s in [format!("{s}@{host}"), s] {
                if let Ok(once) = parse(&s) {
                    prop_assert_eq!(parse(&once), Ok(once.clone()));
                }
            }
        }
    }
}
