//! Industries and regions: what a shop is and where.

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

/// 시도: official name and what people call it.
const PROVINCES: &[(&str, &str)] = &[
    ("서울특별시", "서울"),
    ("부산광역시", "부산"),
    ("대구광역시", "대구"),
    ("인천광역시", "인천"),
    ("광주광역시", "광주"),
    ("대전광역시", "대전"),
    ("울산광역시", "울산"),
    ("세종특별자치시", "세종"),
    ("경기도", "경기"),
    ("강원특별자치도", "강원"),
    ("충청북도", "충북"),
    ("충청남도", "충남"),
    ("전북특별자치도", "전북"),
    ("전라남도", "전남"),
    ("경상북도", "경북"),
    ("경상남도", "경남"),
    ("제주특별자치도", "제주"),
];
/// Names that were official before a province changed its own.
const FORMER: &[(&str, &str)] = &[
    ("강원도", "강원특별자치도"),
    ("전라북도", "전북특별자치도"),
    ("제주도", "제주특별자치도"),
    ("서울시", "서울특별시"),
    ("세종시", "세종특별자치시"),
];

/// A 시도 and 시군구, in official form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region {
    province: String,
    district: String,
}

/// Not a Korean 시도 followed by a 시군구.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Korean 시도 and 시군구")]
pub struct RegionError;

impl Region {
    /// Reads `서울특별시 강남구`, `서울 강남구`, `경기도 성남시 분당구`; 세종 has no 시군구.
    ///
    /// # Errors
    /// The first word is no 시도, or what follows is no 시군구.
    pub fn parse(s: &str) -> Result<Self, RegionError> {
        let mut words = s.split_whitespace();
        let first = words.next().ok_or(RegionError)?;
        let first = FORMER.iter().find(|(old, _)| *old == first).map_or(first, |(_, new)| new);
        let (province, short) =
            PROVINCES.iter().find(|(full, short)| *full == first || *short == first).ok_or(RegionError)?;
        let rest: Vec<&str> = words.collect();
        let is_district = |w: &&str| {
            let n = w.chars().count();
            (2..=8).contains(&n) && w.chars().all(|c| ('가'..='힣').contains(&c)) && w.ends_with(['시', '군', '구'])
        };
        let fits = match rest.len() {
            0 => *short == "세종",
            1 if *short == "세종" => true,
            1 | 2 => rest.iter().all(is_district),
            _ => false,
        };
        if !fits {
            return Err(RegionError);
        }
        Ok(Self { province: (*province).to_owned(), district: rest.join(" ") })
    }

    /// The 시도.
    #[must_use]
    pub fn province(&self) -> &str {
        &self.province
    }

    /// What people call the 시도 and 시군구: `서울 강남구`.
    #[must_use]
    pub fn short(&self) -> String {
        let short = PROVINCES.iter().find(|(full, _)| *full == self.province).map_or("", |(_, s)| s);
        format!("{short} {}", self.district).trim().to_owned()
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(format!("{} {}", self.province, self.district).trim())
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;
    fn try_from(s: String) -> Result<Self, RegionError> {
        Self::parse(&s)
    }
}

impl From<Region> for String {
    fn from(r: Region) -> Self {
        r.to_string()
    }
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
    fn regions_have_one_form() {
        for (s, official) in [
            ("서울 강남구", "서울특별시 강남구"),
            ("서울특별시  강남구", "서울특별시 강남구"),
            ("경기도 성남시 분당구", "경기도 성남시 분당구"),
            ("강원도 춘천시", "강원특별자치도 춘천시"),
            ("세종", "세종특별자치시"),
        ] {
            assert_eq!(Region::parse(s).unwrap().to_string(), official);
        }
        for s in ["", "서울", "화성 1구역", "서울 강남", "Seoul Gangnam-gu", "서울 강남구 역삼동 1", "부산 <b>구"]
        {
            assert_eq!(Region::parse(s), Err(RegionError), "{s}");
        }
    }

    #[test]
    fn industry_codes_are_unique() {
        let mut codes: Vec<_> = INDUSTRIES.iter().map(|i| i.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), INDUSTRIES.len());
    }
}
