//! Texts of requests, for the document: each type stands for a `String` of a body, with its rule's own numbers.
//! The document allows nothing that the rules refuse, as far as a pattern can say it; of the many spellings that the rules
//! read it names the usual ones.

#![allow(dead_code, reason = "their schemas are the document's")]

use crate::auth::{PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS, REFRESH_TOKEN_CHARS};
use crate::http::content::MAX_COLOURS;
use crate::http::stores::{MAX_ADDRESS, MAX_NAME};
use creative::colour::NAMED;
use domain::catalog::INDUSTRIES;
use domain::email;
use domain::event::command::MAX_TITLE;
use domain::offer::{MAX_OPTION_ID, MAX_PRIZE_NAME};
use domain::region;
use domain::text;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// Characters that no line has: controls but the tab, line separators, overrides of the direction, noncharacters.
macro_rules! controls {
    () => {
        r"\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\u202d\u202e\ufdd0-\ufdef\ufffe\uffff"
    };
}

/// Characters that show nothing, where a pattern can name them.
macro_rules! unseen {
    () => {
        r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202c\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc"
    };
}

/// A line in which something shows.
const LINE: &str = concat!("^[^", controls!(), "]*[^\\s", controls!(), unseen!(), "][^", controls!(), "]*$");
/// A line that may be blank.
pub(crate) const BLANK_LINE: &str = concat!("^[^", controls!(), "]*$");
/// Lines that may be blank.
const PARAGRAPH: &str =
    r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202d\u202e\ufdd0-\ufdef\ufffe\uffff]*$";
/// The database has no text with NUL in it.
const NO_NUL: &str = r"^[^\u0000]*$";
/// An address of 64 bytes before its `@`, and labels of 63 after it (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4).
const EMAIL: &str = r"^(?=[^@]{1,64}@)[A-Za-z0-9!#$%&*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";
const PHONE: &str = r"^(0|(\+82|0082|82)[ -]?(0|\(0\))?)10[ .-]?[0-9]{4}[ .-]?[0-9]{4}$";
const BUSINESS_NUMBER: &str = r"^(?!000)[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{5}$";
const COLOUR: &str = "^#[0-9a-fA-F]{6}$";
/// Six digits, a token of a minute, or one on paper.
const VISIT_CODE: &str = "^([0-9]{3}[ -]?[0-9]{3}|[0-9a-fA-F]{32}|[pP][0-9a-fA-F]{42})$";
/// The version of a notice: the day of its words and a part of its hash.
const NOTICE_VERSION: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\.[0-9a-f]{8}$";

/// The name of a palette, or colours with commas between them.
fn palette_pattern() -> String {
    let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
    format!("^({}|#[0-9a-fA-F]{{6}}(, ?#[0-9a-fA-F]{{6}}){{0,{}}})$", names.join("|"), MAX_COLOURS - 1)
}

fn industry_codes() -> Vec<&'static str> {
    INDUSTRIES.iter().map(|industry| industry.code).collect()
}

/// Types that stand for texts with these schemas.
macro_rules! texts {
    ($($name:ident = $schema:tt;)*) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

texts! {
    Email = {
        "type": "string", "format": "email", "maxLength": email::MAX_BYTES, "pattern": EMAIL,
        "description": "An address that mail reaches. Letters of other scripts are read too."
    };
    LoginEmail = {"type": "string", "minLength": 1, "maxLength": email::MAX_BYTES, "pattern": NO_NUL};
    Password = {
        "type": "string", "minLength": PASSWORD_MIN_CHARS, "maxLength": PASSWORD_MAX_BYTES, "pattern": NO_NUL,
        "description": "At most 71 bytes in UTF-8; none of the 3,000 commonest ones, no pattern of keys, and not the e-mail."
    };
    LoginPassword = {"type": "string", "minLength": 1, "maxLength": PASSWORD_MAX_BYTES, "pattern": NO_NUL};
    RefreshToken = {
        "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{{REFRESH_TOKEN_CHARS}}}$"),
        "description": "As it was received."
    };
    PersonName = {
        "type": "string", "minLength": 1, "maxLength": text::PersonName::MAX, "pattern": LINE,
        "description": "Characters are counted as people see them; an accent needs a letter."
    };
    Phone = {
        "type": "string", "pattern": PHONE,
        "description": "`010` and eight digits. Other spellings are read too: full width, brackets, `tel:`."
    };
    BusinessNumber = {
        "type": "string", "pattern": BUSINESS_NUMBER,
        "description": "Ten digits; the last one is a check digit of the others."
    };
    ShopName = {
        "type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": LINE,
        "description": "Characters are counted as people see them; an accent needs a letter."
    };
    Industry = {"type": "string", "enum": industry_codes(), "description": "A code of `GET /api/industries`."};
    Region = {
        "type": "string", "minLength": 1, "maxLength": region::MAX_CHARACTERS, "pattern": LINE,
        "description": "A Korean 시도 and 시군구, under any name they have or had: `서울 강남구`, `광주광역시 북구`. Answers have today's."
    };
    Address = {"type": "string", "maxLength": MAX_ADDRESS, "pattern": BLANK_LINE, "description": "A blank one is none."};
    Title = {
        "type": "string", "minLength": 1, "maxLength": MAX_TITLE, "pattern": LINE,
        "description": "Characters are counted as people see them; an accent needs a letter."
    };
    OptionId = {
        "type": "string", "minLength": 1, "maxLength": MAX_OPTION_ID, "pattern": NO_NUL,
        "description": "An option that was offered for this event or by the job, or that the event has."
    };
    PrizeName = {"type": "string", "minLength": 1, "maxLength": MAX_PRIZE_NAME, "pattern": LINE};
    PictureText = {
        "type": "string", "maxLength": actors::pictures::MAX_BODY, "pattern": PARAGRAPH,
        "description": "A blank one leaves the picture without it."
    };
    PaletteName = {"type": "string", "pattern": palette_pattern(), "description": "A palette's name, or its colours."};
    Colour = {"type": "string", "pattern": COLOUR};
    VisitClaim = {
        "type": "string", "pattern": VISIT_CODE,
        "description": "The six digits shown in the shop, or the token of its QR code. A blank one is none."
    };
    NoticeVersion = {"type": "string", "pattern": NOTICE_VERSION, "description": "The notice that was read."};
    Digest = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"};
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::phone;
    use domain::text::{TextError, line};
    use jsonschema::Validator;
    use serde_json::json;

    fn document<T: JsonSchema>() -> Validator {
        let schema = T::json_schema(&mut SchemaGenerator::default()).to_value();
        jsonschema::validator_for(&schema).expect("a schema")
    }

    /// Each character of the basic plane, alone: the document allows what the rule takes, and nothing else but lone accents.
    #[test]
    fn lines_have_the_characters_of_their_rule() {
        let (named, addressed) = (document::<ShopName>(), document::<Address>());
        for c in '\0'..='\u{ffff}' {
            let text = c.to_string();
            let (name, address) = (named.is_valid(&json!(text)), addressed.is_valid(&json!(text)));
            match line(&text, MAX_NAME) {
                Ok(_) => assert!(name && address, "{:x} is taken", u32::from(c)),
                Err(TextError::Marks) => {}
                Err(_) => assert!(!name, "{:x} is refused", u32::from(c)),
            }
            if line(&format!("a{c}b"), MAX_NAME) == Err(TextError::Control) {
                assert!(!addressed.is_valid(&json!(format!("a{c}b"))), "{:x} is refused", u32::from(c));
            }
        }
    }

    #[test]
    fn spellings_of_the_document_are_read() {
        let (phones, emails) = (document::<Phone>(), document::<Email>());
        for text in [
            "01012345678",
            "010-1234-5678",
            "010 1234 5678",
            "010.1234.5678",
            "+82 10-1234-5678",
            "+821012345678",
            "+82 (0)10 1234 5678",
            "0082 10 1234 5678",
            "82-10-1234-5678",
            "82-010-1234-5678",
            "+82(0)10.1234.5678",
        ] {
            assert!(phones.is_valid(&json!(text)) && phone::Phone::parse(text).is_ok(), "{text}");
        }
        for text in ["", "011-123-4567", "0101234567", "010-1234-567a", "1012345678", "+1 10 1234 5678"] {
            assert!(!phones.is_valid(&json!(text)) && phone::Phone::parse(text).is_err(), "{text}");
        }
        let long = format!("a@{}kr", "b.".repeat(125));
        for text in ["owner@shop.kr", "a+b@c-d.co.kr", "!#$%&*+/=?^_`{|}~-@a.b", &long] {
            assert!(emails.is_valid(&json!(text)) && email::parse(text).is_ok(), "{text}");
        }
        let (local, label) = (format!("{}@b.kr", "a".repeat(65)), format!("a@{}.kr", "b".repeat(64)));
        for text in ["a@b", "a..b@c.kr", ".a@b.kr", "a@-b.kr", "o'neil@b.kr", &local, &label, &format!("aa{long}")] {
            assert!(!emails.is_valid(&json!(text)) && email::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn palettes_of_the_document_are_read() {
        let palettes = document::<PaletteName>();
        for (text, is_palette) in
            [("SUNSET", true), ("#ff0000", true), ("#ff0000, #00ff00,#0000ff", true), ("red", false), ("#ff00", false)]
        {
            assert_eq!(palettes.is_valid(&json!(text)), is_palette, "{text}");
            assert_eq!(creative::Palette::parse(text).is_some(), is_palette, "{text}");
        }
        let six = ["#000000"; MAX_COLOURS + 1].join(",");
        assert!(!palettes.is_valid(&json!(six)) && creative::Palette::parse(&six).is_none());
    }
}
