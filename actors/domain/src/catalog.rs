//! Industries and regions: what a shop is and where.

pub use crate::region::{Region, RegionError};

use serde::{Deserialize, Serialize};

/// An industry, with the figures estimates are made from.
///
/// `ticket_won` and `ltv_won` are our own planning figures (an average sale, and what a new customer brings in a
/// year), shown with every estimate that uses them; they are not statistics of any office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Industry {
    /// Stable code of the API.
    pub code: &'static str,
    /// Korean name.
    pub name_ko: &'static str,
    /// English name.
    pub name_en: &'static str,
    /// Average sale, in won.
    pub ticket_won: i64,
    /// What a new customer brings in a year, in won.
    pub ltv_won: i64,
}

const fn industry(
    code: &'static str,
    name_ko: &'static str,
    name_en: &'static str,
    ticket_won: i64,
    ltv_won: i64,
) -> Industry {
    Industry { code, name_ko, name_en, ticket_won, ltv_won }
}

/// Every industry we plan for.
pub const INDUSTRIES: &[Industry] = &[
    industry("RESTAURANT", "음식점", "Restaurant", 18_000, 90_000),
    industry("CAFE", "카페·디저트", "Café", 7_500, 60_000),
    industry("BAKERY", "제과점", "Bakery", 12_000, 72_000),
    industry("BAR", "주점", "Bar", 32_000, 96_000),
    industry("BEAUTY", "미용실·뷰티", "Beauty", 45_000, 180_000),
    industry("FITNESS", "헬스·운동", "Fitness", 60_000, 300_000),
    industry("FASHION", "의류·패션", "Fashion", 48_000, 140_000),
    industry("FLOWER", "꽃집", "Florist", 35_000, 90_000),
    industry("GROCERY", "식료품·마트", "Grocery", 22_000, 150_000),
    industry("EDUCATION", "학원·교육", "Education", 150_000, 600_000),
    industry("PET", "반려동물", "Pet care", 40_000, 200_000),
    industry("HEALTH", "병원·약국", "Health", 30_000, 120_000),
    industry("LODGING", "숙박", "Lodging", 90_000, 150_000),
    industry("LEISURE", "여가·오락", "Leisure", 20_000, 70_000),
    industry("LAUNDRY", "세탁·수선", "Laundry", 15_000, 100_000),
    industry("RETAIL", "기타 소매", "Other retail", 25_000, 90_000),
    industry("SERVICE", "기타 서비스", "Other service", 35_000, 110_000),
];

/// The industry of a code.
#[must_use]
pub fn industry_of(code: &str) -> Option<&'static Industry> {
    INDUSTRIES.iter().find(|i| i.code == code)
}

/// What an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Objective {
    /// 신규 고객 유치.
    NewCustomers,
    /// 재방문 유도.
    Revisit,
    /// 매출 증대.
    Sales,
    /// 인지도 향상.
    Awareness,
}

impl Objective {
    /// All objectives.
    pub const ALL: [Self; 4] = [Self::NewCustomers, Self::Revisit, Self::Sales, Self::Awareness];

    /// The wire name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NewCustomers => "NEW_CUSTOMERS",
            Self::Revisit => "REVISIT",
            Self::Sales => "SALES",
            Self::Awareness => "AWARENESS",
        }
    }

    /// Reads a wire name.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.code() == s)
    }

    /// The Korean words.
    #[must_use]
    pub fn ko(self) -> &'static str {
        match self {
            Self::NewCustomers => "신규 고객 유치",
            Self::Revisit => "재방문 유도",
            Self::Sales => "매출 증대",
            Self::Awareness => "인지도 향상",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn industry_codes_are_unique() {
        let mut codes: Vec<_> = INDUSTRIES.iter().map(|i| i.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), INDUSTRIES.len());
    }
}
