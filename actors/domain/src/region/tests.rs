use super::*;
use chrono::NaiveDate;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

/// Every spelling, made once.
static ALL: LazyLock<Vec<(String, Region)>> = LazyLock::new(spelled_in_full);

fn of(s: &str) -> String {
    Region::parse(s).unwrap_or_else(|_| panic!("{s:?} is no region")).to_string()
}

/// Case 1.
#[test]
fn every_name_leads_to_todays() {
    for (spelled, official) in [
        ("전남광주통합특별시 북구", "전남광주통합특별시 북구"),
        ("전남광주통합특별시 여수시", "전남광주통합특별시 여수시"),
        ("전남광주 순천시", "전남광주통합특별시 순천시"),
        ("광주광역시 북구", "전남광주통합특별시 북구"),
        ("광주시 광산구", "전남광주통합특별시 광산구"),
        ("전라남도 목포시", "전남광주통합특별시 목포시"),
        ("전남 여천시", "전남광주통합특별시 여수시"),
        ("강원자치도 춘천시", "강원특별자치도 춘천시"),
        ("강원도 춘천시", "강원특별자치도 춘천시"),
        ("전북자치도 전주시", "전북특별자치도 전주시"),
        ("전라북도 전주시 덕진구", "전북특별자치도 전주시 덕진구"),
        ("부산시 해운대구", "부산광역시 해운대구"),
        ("대구시 수성구", "대구광역시 수성구"),
        ("경북 군위군", "대구광역시 군위군"),
        ("대구 군위군", "대구광역시 군위군"),
        ("서울특별시  강남구", "서울특별시 강남구"),
        ("서울시강남구", "서울특별시 강남구"),
        ("서울특별시마포구", "서울특별시 마포구"),
        ("부산 부산진구", "부산광역시 부산진구"),
        ("부산진구", "부산광역시 부산진구"),
        ("제주도 제주시", "제주특별자치도 제주시"),
        ("제주시", "제주특별자치도 제주시"),
        ("경기 광주시", "경기도 광주시"),
        ("경기도 성남시 분당구", "경기도 성남시 분당구"),
        ("경기 분당구", "경기도 성남시 분당구"),
        ("경기 성남 분당구", "경기도 성남시 분당구"),
        ("수원시 팔달구", "경기도 수원시 팔달구"),
        ("경기도 여주군", "경기도 여주시"),
        ("경기 화성시 동탄구", "경기도 화성시 동탄구"),
        ("경기도 부천시 원미구", "경기도 부천시 원미구"),
        ("충북 청원군", "충청북도 청주시"),
        ("충남 연기군", "세종특별자치시"),
        ("경남 마산시", "경상남도 창원시"),
        ("경남 진해시", "경상남도 창원시 진해구"),
        ("인천 남구", "인천광역시 미추홀구"),
        ("인천 동구", "인천광역시 제물포구"),
        ("인천 검단구", "인천광역시 검단구"),
        ("세종", "세종특별자치시"),
        ("세종시", "세종특별자치시"),
        ("세종 세종시", "세종특별자치시"),
        ("세종특별자치시 세종시", "세종특별자치시"),
        ("\u{feff}서울\u{200b} 강남구", "서울특별시 강남구"),
        (" 서울\u{3000}강남구\t", "서울특별시 강남구"),
    ] {
        assert_eq!(of(spelled), official, "{spelled}");
        // Case 17: a Mac sends it taken apart.
        assert_eq!(of(&spelled.nfd().collect::<String>()), official, "{spelled}");
    }
}

/// Case 1.
#[test]
fn what_is_no_region_is_refused() {
    for s in [
        "",
        "서울",
        "경기도",
        "화성 1구역",
        "서울 강남",
        "Seoul Gangnam-gu",
        "서울 강남구 역삼동 1",
        "부산 <b>구",
        "서울 없는구",
        "세종 아무말",
        "세종 강남구",
        "부산 강남구",
        "광주 여수시",
        "전남 북구",
        "중구",
        "고성군",
        "광주시",
        "강남구 서울",
        "서울 강남구 강남구",
    ] {
        assert_eq!(Region::parse(s), Err(RegionError), "{s}");
    }
}

#[test]
fn a_divided_name_stays_until_its_owner_chooses() {
    for s in ["인천 중구", "인천광역시 서구"] {
        let region = Region::parse(s).unwrap();
        assert!(region.official().starts_with("인천광역시 ") && region.code().is_none(), "{region}");
        assert_eq!(Region::parse(region.official()), Ok(region));
    }
}

#[test]
fn a_region_of_other_rules_stays_readable() {
    assert_eq!(Region::stored("서울특별시 없는구").official(), "서울특별시 없는구");
    assert_eq!(Region::stored("전라남도 여수시").official(), "전남광주통합특별시 여수시");
    let read: Region = serde_json::from_str("\"광주광역시 북구\"").unwrap();
    assert_eq!(
        (read.code(), serde_json::to_string(&read).unwrap().as_str()),
        (Some("12300"), "\"전남광주통합특별시 북구\"")
    );
}

#[test]
fn the_table_is_sound() {
    let codes: Vec<&str> = PROVINCES.iter().flat_map(|p| p.districts).map(|(code, _)| *code).collect();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "codes are sorted, and each is there once");
    let whole = PROVINCES.iter().flat_map(|p| p.districts).filter(|(_, name)| !name.contains(' ')).count();
    assert_eq!((PROVINCES.len(), whole), (16, 230));
    let date = |day: &str| NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok();
    for p in PROVINCES {
        assert!(date(p.since) && p.others.iter().filter_map(|(_, until)| *until).all(date), "{}", p.name);
        assert!(p.districts.iter().all(|(code, _)| code.len() == 5 && code.starts_with(p.code)), "{}", p.name);
        for (city, ward) in p.districts.iter().filter_map(|(_, name)| name.split_once(' ')) {
            assert!(p.districts.iter().any(|(_, name)| *name == city), "{city} of {ward}");
        }
    }
    assert!(MERGED.iter().all(|m| date(m.until) && PROVINCES.iter().any(|p| p.code == m.into)));
    assert!(RENAMED.iter().all(|r| date(r.since) && codes.contains(&r.now) && !names_then(r.province).is_empty()));
    assert!(RENAMED.windows(2).all(|pair| pair[0].since >= pair[1].since));
    assert!(DIVIDED.iter().all(|d| date(d.since) && d.now.iter().all(|code| codes.contains(code))));
}

#[test]
fn no_spelling_means_two_regions() {
    let mut known: HashMap<String, Region> = HashMap::new();
    for (spelled, region) in ALL.iter() {
        if let Some(before) = known.insert(spelled.clone(), region.clone()) {
            assert_eq!(&before, region, "{spelled}");
        }
    }
    assert!(known.len() > 1_000);
    for (spelled, region) in known {
        assert_eq!(Region::parse(&spelled).as_ref(), Ok(&region), "{spelled}");
        assert_eq!(Region::parse(region.official()).as_ref(), Ok(&region), "{spelled}");
    }
}

proptest! {
    #[test]
    fn any_spacing_of_any_spelling_is_read(at in any::<prop::sample::Index>(), cuts in prop::collection::vec(prop::sample::select(vec!["", " ", "\u{a0}", "\u{3000} ", "\u{200b}", "\t"]), 40), apart in any::<bool>()) {
        let (spelled, region) = at.get(&ALL);
        let spaced: String = spelled.chars().zip(&cuts).flat_map(|(c, cut)| [c.to_string(), (*cut).to_owned()]).collect();
        let spaced: String = if apart { spaced.nfd().collect() } else { spaced };
        let parsed = Region::parse(&spaced);
        prop_assert_eq!(parsed.as_ref(), Ok(region), "{:?}", spaced);
    }

    #[test]
    fn what_passes_passes_again(s in "[가-힣 ]{0,12}") {
        if let Ok(region) = Region::parse(&s) {
            prop_assert_eq!(Region::parse(region.official()), Ok(region));
        }
    }
}
