//! Where a shop is: 시도 and 시군구, under any name they have or had, stored under today's.

pub mod table;

use crate::text::{line, shown};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;
use std::sync::LazyLock;
use table::{DIVIDED, MERGED, Merged, PROVINCES, Province, RENAMED};

/// Characters of a region. The longest in the table has 15; the rest is room for spaces.
pub const MAX_CHARACTERS: usize = 60;

/// A 시도 and 시군구 under their names of today: `서울특별시 강남구`, `경기도 성남시 분당구`, `세종특별자치시`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct Region {
    official: String,
    code: Option<&'static str>,
}

/// Not a Korean 시도 followed by one of its 시군구.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Korean 시도 and 시군구")]
pub struct RegionError;

// By hand: the derived one asks for a text that lives as long as the code.
impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl Region {
    /// Reads a region, however it is spaced: `서울 강남구`, `서울시강남구`, `광주광역시 북구`, `강원도 춘천시`. The 시도
    /// may be left out where one 시군구 of the country has the name.
    ///
    /// # Errors
    /// The 시도 has no such 시군구 and had none, or nothing says which one is meant.
    pub fn parse(s: &str) -> Result<Self, RegionError> {
        let text = line(s, MAX_CHARACTERS).map_err(|_| RegionError)?;
        SPELLINGS.get(&joined(&text)).cloned().ok_or(RegionError)
    }

    /// Reads a region that was stored, under whatever rules were in force then: one that is in no table keeps its words.
    #[must_use]
    pub fn stored(s: &str) -> Self {
        Self::parse(s).unwrap_or_else(|_| Self { official: shown(s).trim().to_owned(), code: None })
    }

    /// The names of today.
    #[must_use]
    pub fn official(&self) -> &str {
        &self.official
    }

    /// 행정표준코드 of the 시군구, five digits; `None` where the name was divided among several, or is in no table.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.official)
    }
}

impl From<String> for Region {
    fn from(s: String) -> Self {
        Self::stored(&s)
    }
}

impl From<Region> for String {
    fn from(r: Region) -> Self {
        r.official
    }
}

/// Every spelling without its spaces, and what it means.
static SPELLINGS: LazyLock<HashMap<String, Region>> = LazyLock::new(|| {
    let mut known: HashMap<String, Region> = spelled_in_full().into_iter().collect();
    let provinces: Vec<String> = PROVINCES.iter().flat_map(names_of).chain(merged_names()).map(str::to_owned).collect();
    let mut alone: HashMap<String, Vec<Region>> = HashMap::new();
    for (district, region) in spelled_alone() {
        let meant = alone.entry(district).or_default();
        if !meant.contains(&region) {
            meant.push(region);
        }
    }
    for (district, mut meant) in alone {
        // `광주시` is a 시 of 경기도, and what people call a 시도.
        let is_ambiguous = meant.len() != 1 || provinces.contains(&district);
        if let (Some(region), false) = (meant.pop(), is_ambiguous) {
            known.entry(district).or_insert(region);
        }
    }
    known
});

/// Every 시도 with every 시군구, under all of their names.
fn spelled_in_full() -> Vec<(String, Region)> {
    let mut all = Vec::new();
    let mut add = |province: &str, district: &str, region: &Region| {
        all.push((joined(&format!("{province} {district}")), region.clone()));
    };
    for province in PROVINCES {
        for (code, name) in province.districts {
            let (region, spelled) = (in_province(province, code, name), spellings(province, name));
            let merged = MERGED.iter().filter(|m| m.into == province.code && had(m, code));
            let former = merged.flat_map(|m| m.names.iter().copied());
            for prefix in names_of(province).chain(former) {
                spelled.iter().for_each(|district| add(prefix, district, &region));
            }
        }
    }
    for change in RENAMED {
        if let Some(region) = by_code(change.now) {
            names_then(change.province).into_iter().for_each(|prefix| add(prefix, change.was, &region));
        }
    }
    for change in DIVIDED {
        let region = Region { official: format!("{} {}", change.province, change.was), code: None };
        names_then(change.province).into_iter().for_each(|prefix| add(prefix, change.was, &region));
    }
    all
}

/// Every 시군구 under all of its names, without its 시도.
fn spelled_alone() -> Vec<(String, Region)> {
    let mut all = Vec::new();
    for province in PROVINCES {
        for (code, name) in province.districts.iter().filter(|(_, name)| !name.is_empty()) {
            let region = in_province(province, code, name);
            all.extend(spellings(province, name).into_iter().map(|district| (district, region.clone())));
        }
    }
    let renamed = RENAMED.iter().filter_map(|change| Some((change.was.to_owned(), by_code(change.now)?)));
    all.extend(renamed);
    let divided = |was: &str, province: &str| Region { official: format!("{province} {was}"), code: None };
    all.extend(DIVIDED.iter().map(|change| (change.was.to_owned(), divided(change.was, change.province))));
    all
}

/// How people write a 시군구, without spaces. A 구 of a 시 may stand without it where the 시도 has one of that name only.
fn spellings(province: &Province, name: &str) -> Vec<String> {
    if name.is_empty() {
        // 세종 is both in one: `세종`, `세종 세종시`.
        return std::iter::once("").chain(names_of(province)).map(str::to_owned).collect();
    }
    let Some((city, ward)) = name.split_once(' ') else { return vec![name.to_owned()] };
    let mut spelled = vec![format!("{city}{ward}"), format!("{}{ward}", city.trim_end_matches('시'))];
    let has_ward = |(_, other): &&(&str, &str)| other.split(' ').next_back() == Some(ward);
    if province.districts.iter().filter(has_ward).count() == 1 {
        spelled.push(ward.to_owned());
    }
    spelled
}

fn joined(s: &str) -> String {
    s.chars().filter(|c| !c.is_whitespace()).collect()
}

fn names_of(province: &Province) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(province.name).chain(province.others.iter().map(|(name, _)| *name))
}

fn merged_names() -> impl Iterator<Item = &'static str> {
    MERGED.iter().flat_map(|m| m.names.iter().copied())
}

/// All names of the 시도 that had this official one.
fn names_then(official: &str) -> Vec<&'static str> {
    let today: Option<Vec<&'static str>> = PROVINCES.iter().find(|p| p.name == official).map(|p| names_of(p).collect());
    let merged = || MERGED.iter().find(|m| m.names.contains(&official)).map(|m| m.names.to_vec());
    today.or_else(merged).unwrap_or_default()
}

fn had(merged: &Merged, code: &str) -> bool {
    merged.codes.iter().any(|(first, last)| (*first..=*last).contains(&code))
}

fn in_province(province: &Province, code: &'static str, name: &str) -> Region {
    Region { official: format!("{} {name}", province.name).trim_end().to_owned(), code: Some(code) }
}

fn by_code(code: &str) -> Option<Region> {
    let (province, (code, name)) =
        PROVINCES.iter().flat_map(|p| p.districts.iter().map(move |d| (p, *d))).find(|(_, (c, _))| *c == code)?;
    Some(in_province(province, code, name))
}

#[cfg(test)]
mod tests;
