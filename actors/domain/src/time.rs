//! Korean time. Korea has no daylight saving: one fixed offset is right.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// The instant type used everywhere: UTC.
pub type Instant = DateTime<Utc>;

/// Korea Standard Time, UTC+09:00.
#[must_use]
pub fn kst() -> FixedOffset {
    FixedOffset::east_opt(9 * 3600).expect("nine hours is a valid offset")
}

/// The Korean calendar day of an instant.
#[must_use]
pub fn kst_day(at: Instant) -> NaiveDate {
    at.with_timezone(&kst()).date_naive()
}

/// The hour of the Korean day, 0 to 23.
#[must_use]
pub fn kst_hour_of_day(at: Instant) -> u32 {
    at.with_timezone(&kst()).hour()
}

/// An instant as storage keeps it: whole microseconds, a leap second as the second after it.
#[must_use]
pub fn storable(at: Instant) -> Instant {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

/// A day in words, Korean time.
#[must_use]
pub fn day_ko(at: Instant) -> String {
    at.with_timezone(&kst()).format("%-m월 %-d일").to_string()
}

/// The last day of what ends at an instant, in words: what ends at midnight ends with the day before.
#[must_use]
pub fn last_day_ko(end: Instant) -> String {
    day_ko(end - chrono::Duration::nanoseconds(1))
}

/// The start of the hour an instant falls into (hours start together in UTC and KST).
#[must_use]
pub fn start_of_hour(at: Instant) -> Instant {
    let seconds = at.timestamp() - at.timestamp().rem_euclid(3600);
    DateTime::from_timestamp(seconds, 0).expect("an hour's start near a valid instant is valid")
}

/// The season of a Korean day, part of a recommendation's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Season {
    /// March to May.
    Spring,
    /// June to August.
    Summer,
    /// September to November.
    Autumn,
    /// December to February.
    Winter,
}

impl Season {
    /// All seasons.
    pub const ALL: [Self; 4] = [Self::Spring, Self::Summer, Self::Autumn, Self::Winter];

    /// The season an instant falls into in Korea.
    #[must_use]
    pub fn at(at: Instant) -> Self {
        match kst_day(at).month() {
            3..=5 => Self::Spring,
            6..=8 => Self::Summer,
            9..=11 => Self::Autumn,
            _ => Self::Winter,
        }
    }

    /// The wire name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Spring => "SPRING",
            Self::Summer => "SUMMER",
            Self::Autumn => "AUTUMN",
            Self::Winter => "WINTER",
        }
    }

    /// Reads a wire name.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|x| x.code() == s)
    }

    /// The Korean word.
    #[must_use]
    pub fn ko(self) -> &'static str {
        match self {
            Self::Spring => "봄",
            Self::Summer => "여름",
            Self::Autumn => "가을",
            Self::Winter => "겨울",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_korean_day_starts_at_fifteen_utc() {
        let before = "2026-02-28T14:59:59Z".parse().unwrap();
        let after = "2026-02-28T15:00:00Z".parse().unwrap();
        assert_eq!(Season::at(before), Season::Winter);
        assert_eq!(Season::at(after), Season::Spring);
        assert_eq!(kst_hour_of_day(after), 0);
        let leap = storable("2027-01-01T23:59:60.1234567Z".parse().unwrap());
        assert_eq!(leap.to_rfc3339(), "2027-01-02T00:00:00.123456+00:00");
        assert_eq!(start_of_hour("2026-02-28T15:59:59.9Z".parse().unwrap()), after);
        assert_eq!(
            (day_ko(after), last_day_ko(after)),
            ("3월 1일".into(), "2월 28일".into()),
            "midnight ends the day before"
        );
        assert_eq!(last_day_ko(after + chrono::Duration::seconds(1)), "3월 1일");
    }
}
