//! Bodies that requests bring. Unknown fields are refused.

use chrono::{DateTime, NaiveDate, Utc};
use domain::channel::{Channel, Platform, Style};
use domain::entry::Consents;
use domain::offer::Prize;
use schemars::JsonSchema;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use uuid::Uuid;

/// Channels in one list, repetitions included: several times as many as there are.
const MAX_CHANNELS_LISTED: usize = 32;
/// Pictures in one list: several times as many as an event takes, which its own rule says better.
const MAX_PICTURES_LISTED: usize = 100;
/// How a longer list is refused: `extract` knows the words.
pub(crate) const LIST_TOO_LONG: &str = "a list longer than allowed";

/// A field that may be left out or null.
pub(crate) type Maybe<T> = Option<T>;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Signup {
    pub(crate) email: String,
    /// At least 8 characters, at most 71 bytes.
    pub(crate) password: String,
    /// The owner's name, as registered with the tax office.
    pub(crate) name: String,
    /// `010` and eight digits, however written or pasted.
    pub(crate) phone: String,
    pub(crate) business_number: String,
    pub(crate) opened_on: NaiveDate,
    pub(crate) store: NewStore,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewStore {
    pub(crate) name: String,
    /// A code of `GET /api/industries`.
    pub(crate) industry: String,
    /// 시도 and 시군구, under any name they have or had: `서울 강남구`, `광주광역시 북구`. Answers have today's.
    pub(crate) region: String,
    #[serde(default)]
    pub(crate) address: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditStore {
    #[serde(default)]
    pub(crate) name: Maybe<String>,
    #[serde(default)]
    pub(crate) industry: Maybe<String>,
    #[serde(default)]
    pub(crate) region: Maybe<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    pub(crate) address: Option<Option<String>>,
}

/// Tells `null` from absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// Reads a list, and no more of it than it may have: a longer one costs nothing but its reading.
fn short_list<'de, const MAX: usize, T, D>(d: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    d.deserialize_seq(ShortList::<MAX, T>(PhantomData))
}

struct ShortList<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for ShortList<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = given.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(LIST_TOO_LONG));
            }
            list.push(one);
        }
        Ok(list)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refresh {
    pub(crate) refresh_token: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditMe {
    #[serde(default)]
    pub(crate) name: Maybe<String>,
    #[serde(default)]
    pub(crate) phone: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// `NEW_CUSTOMERS`, `REVISIT`, `SALES` or `AWARENESS`.
    pub(crate) objective: String,
    /// The shop; the oldest one when left out.
    #[serde(default)]
    pub(crate) store_id: Maybe<Uuid>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditEvent {
    #[serde(default)]
    pub(crate) title: Maybe<String>,
    #[serde(default)]
    pub(crate) ends_at: Maybe<DateTime<Utc>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VisitBonus {
    /// 2 to 10.
    pub(crate) weight: u8,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) option_id: String,
    #[serde(default)]
    pub(crate) job_id: Maybe<Uuid>,
    #[serde(default)]
    pub(crate) title: Maybe<String>,
    #[serde(default)]
    pub(crate) starts_at: Maybe<DateTime<Utc>>,
    #[serde(default)]
    pub(crate) ends_at: Maybe<DateTime<Utc>>,
    #[serde(default)]
    #[schemars(with = "Option<Vec<PrizeBody>>")]
    pub(crate) prizes: Maybe<Vec<Prize>>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    pub(crate) visit_bonus: Option<Option<VisitBonus>>,
}

/// A prize, for the document only.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Prize")]
#[allow(dead_code, reason = "its shape is the document's")]
pub(crate) struct PrizeBody {
    name: String,
    quantity: u32,
    unit_value_won: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Content {
    /// 1 to 9 pictures of the event.
    #[serde(deserialize_with = "short_list::<MAX_PICTURES_LISTED, _, _>")]
    pub(crate) image_ids: Vec<Uuid>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Channels {
    #[serde(deserialize_with = "short_list::<MAX_CHANNELS_LISTED, _, _>")]
    #[schemars(with = "Vec<String>")]
    pub(crate) channels: Vec<Channel>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Recommend {
    #[serde(default)]
    pub(crate) event_id: Maybe<Uuid>,
    #[serde(default)]
    pub(crate) industry: Maybe<String>,
    #[serde(default)]
    pub(crate) region: Maybe<String>,
    #[serde(default)]
    pub(crate) objective: Maybe<String>,
    /// `SPRING`, `SUMMER`, `AUTUMN` or `WINTER`; the present one when left out.
    #[serde(default)]
    pub(crate) season: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MakeImages {
    pub(crate) event_id: Uuid,
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) styles: Maybe<Vec<Style>>,
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) platforms: Maybe<Vec<Platform>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditImage {
    #[serde(default)]
    pub(crate) headline: Maybe<String>,
    #[serde(default)]
    pub(crate) body: Maybe<String>,
    /// The name of a palette, a colour `#rrggbb`, or up to five of them.
    #[serde(default)]
    pub(crate) palette: Maybe<PaletteBody>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PaletteBody {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Confirm {
    #[schemars(with = "String")]
    pub(crate) channel: Channel,
    pub(crate) posted: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Enter {
    pub(crate) name: String,
    /// `010` and eight digits, however written or pasted.
    pub(crate) phone: String,
    #[serde(default)]
    #[schemars(with = "ConsentsBody")]
    pub(crate) consents: Maybe<ConsentsBody>,
    /// One of the channels, `QR` or `DIRECT` (default).
    #[serde(default)]
    pub(crate) channel: Maybe<String>,
    /// The six digits shown in the shop, however written, or the token of its QR code.
    #[serde(default)]
    pub(crate) visit_code: Maybe<String>,
    #[serde(default)]
    pub(crate) notice_version: Maybe<String>,
}

/// `privacy` must be true; what is left out of the others, or null, is not agreed to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consents")]
pub(crate) struct ConsentsBody {
    #[schemars(with = "bool")]
    privacy: Maybe<bool>,
    marketing: Maybe<bool>,
    night: Maybe<bool>,
}

impl From<ConsentsBody> for Consents {
    fn from(given: ConsentsBody) -> Self {
        let yes = |answer: Maybe<bool>| answer.unwrap_or(false);
        Self { privacy: yes(given.privacy), marketing: yes(given.marketing), night: yes(given.night) }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Draw {
    /// 0 to 100.
    #[serde(default)]
    pub(crate) alternates: Maybe<u32>,
    /// 64 hex digits from the owner's browser.
    #[serde(default)]
    pub(crate) external: Maybe<String>,
}
