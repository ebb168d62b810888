//! Proposals: what a model would say, from what the prompt says of shop, place, purpose and season.

use crate::background::seed;
use crate::korean::{eul, i};
use serde_json::{Value, json};

/// What an industry gives away (cheap, middling, grand) with prices in won, what it is known for, and what is in vogue.
struct Goods {
    cheap: (&'static str, i64),
    middling: (&'static str, i64),
    grand: (&'static str, i64),
    known_for: &'static str,
    vogue: [&'static str; 3],
}

fn goods(industry: &str) -> &'static Goods {
    GOODS.iter().find(|(code, _)| *code == industry).map_or(&GOODS[GOODS.len() - 1].1, |(_, goods)| goods)
}

const fn g(
    cheap: (&'static str, i64),
    middling: (&'static str, i64),
    grand: (&'static str, i64),
    known_for: &'static str,
    vogue: [&'static str; 3],
) -> Goods {
    Goods { cheap, middling, grand, known_for, vogue }
}

/// By industry; the last one is for restaurants and whatever is not listed.
#[rustfmt::skip]
const GOODS: &[(&str, Goods)] = &[
    ("CAFE", g(("아메리카노 한 잔", 4_500), ("시그니처 음료와 디저트 세트", 12_000), ("원두 구독 3개월권", 60_000), "직접 볶은 원두", ["논커피 메뉴와 저당 음료의 주문이 늘고 있어요", "디저트를 함께 찍은 사진이 방문으로 이어져요", "텀블러 할인에 대한 반응이 좋아요"])),
    ("BAKERY", g(("소금빵 두 개", 6_000), ("식빵과 잼 세트", 15_000), ("홀케이크", 45_000), "매일 새벽에 굽는 빵", ["소금빵과 베이글의 인기가 이어지고 있어요", "갓 구운 시간 알림을 기다리는 손님이 많아요", "선물용 구움과자 수요가 커졌어요"])),
    ("BAR", g(("안주 한 접시", 9_000), ("하이볼 4잔 이용권", 32_000), ("단체석 5만 원 이용권", 50_000), "계절 안주", ["하이볼과 저도주 주문이 늘었어요", "2차보다 이른 저녁 예약이 많아졌어요", "소규모 모임이 주를 이뤄요"])),
    ("BEAUTY", g(("두피 케어 이용권", 15_000), ("클리닉 이용권", 45_000), ("펌·염색 이용권", 120_000), "꼼꼼한 상담", ["모발 진단 같은 개인 맞춤 서비스가 인기예요", "예약 뒤 방문 후기가 새 손님을 데려와요", "남성 그루밍 수요가 늘고 있어요"])),
    ("FITNESS", g(("일일 체험권", 15_000), ("PT 1회권", 50_000), ("3개월 이용권", 210_000), "초보를 돕는 수업", ["짧고 강한 그룹 운동을 찾는 분이 많아요", "출근 전 시간대 이용이 늘었어요", "인바디 변화를 나누는 챌린지가 유행이에요"])),
    ("FASHION", g(("양말 세트", 8_000), ("2만 원 상품권", 20_000), ("10만 원 상품권", 100_000), "편하게 입는 옷", ["기본 아이템을 오래 입으려는 분이 늘었어요", "색을 맞춰 입는 사진이 인기예요", "수선 서비스를 찾는 분이 많아요"])),
    ("FLOWER", g(("꽃 한 송이", 5_000), ("미니 꽃다발", 20_000), ("꽃 정기구독 한 달권", 60_000), "그날 들어온 꽃", ["작은 꽃다발을 자주 사는 손님이 늘었어요", "반려식물 관리법에 관심이 높아요", "기념일 예약이 앞당겨지고 있어요"])),
    ("GROCERY", g(("제철 과일 한 봉지", 6_000), ("장보기 1만 원권", 10_000), ("한우 선물세트", 90_000), "산지 직송 신선식품", ["소포장과 손질 채소의 판매가 늘었어요", "저녁 마감 할인을 기다리는 분이 많아요", "제철 과일 소식에 반응이 빨라요"])),
    ("EDUCATION", g(("교재 한 권", 12_000), ("체험 수업 4회권", 60_000), ("한 달 수강권", 200_000), "소수 정원 수업", ["한 달 단위의 짧은 과정을 찾아요", "학습 진도를 공유하면 만족도가 높아요", "형제자매 등록 문의가 늘었어요"])),
    ("PET", g(("수제 간식", 7_000), ("목욕 이용권", 30_000), ("호텔 2박 이용권", 90_000), "안심하고 맡기는 돌봄", ["수제 간식과 건강식에 관심이 높아요", "반려동물 사진 이벤트의 참여율이 높아요", "동반 가능한 공간을 찾는 분이 많아요"])),
    ("HEALTH", g(("건강 키트", 8_000), ("건강 상담권", 30_000), ("종합 건강 꾸러미", 100_000), "친절한 설명", ["예방과 생활 관리에 관심이 커졌어요", "계절성 질환 정보를 찾는 분이 많아요", "가족 단위 방문이 늘었어요"])),
    ("LODGING", g(("웰컴 음료", 6_000), ("조식 2인권", 36_000), ("평일 1박 숙박권", 110_000), "조용한 하룻밤", ["가까운 곳에서 쉬는 평일 여행이 늘었어요", "연박보다 하루 더 머무는 혜택을 좋아해요", "지역 체험을 함께 찾아요"])),
    ("LEISURE", g(("음료 이용권", 4_000), ("2시간 이용권", 16_000), ("단체 이용권", 80_000), "누구나 즐기는 공간", ["둘이 즐기는 체험이 인기예요", "평일 저녁 이용이 늘고 있어요", "기록을 겨루는 이벤트에 관심이 높아요"])),
    ("LAUNDRY", g(("셔츠 2벌 세탁권", 5_000), ("이불 세탁권", 18_000), ("겨울옷 보관권", 60_000), "깨끗하고 빠른 마무리", ["계절이 바뀌면 이불과 외투가 몰려요", "수거 배달을 찾는 분이 늘었어요", "친환경 세제를 확인하는 손님이 많아요"])),
    ("RETAIL", g(("생활소품", 5_000), ("1만 원 상품권", 10_000), ("5만 원 상품권", 50_000), "쓸모 있는 물건", ["작은 선물을 사러 오는 분이 많아요", "직접 써 본 후기가 구매로 이어져요", "포장 서비스의 만족도가 높아요"])),
    ("SERVICE", g(("기본 점검권", 10_000), ("서비스 50% 이용권", 25_000), ("프리미엄 이용권", 90_000), "믿고 맡기는 솜씨", ["미리 가격을 알려 주면 문의가 늘어요", "재방문 손님에게 주는 혜택을 기억해요", "이웃 추천이 가장 큰 통로예요"])),
    ("RESTAURANT", g(("사이드 메뉴", 5_000), ("2인 식사권", 30_000), ("가족 식사권", 80_000), "정성껏 끓인 대표 메뉴", ["혼밥 손님과 포장 주문이 함께 늘고 있어요", "제철 메뉴 소식에 반응이 좋아요", "단체 예약이 주말에 몰려요"])),
];

/// What a season feels like: adjective, theme, what people do, what to offer.
fn season(code: &str) -> [&'static str; 4] {
    match code {
        "SPRING" => [
            "봄바람 부는",
            "봄맞이",
            "나들이 나온 가족과 연인이 늘어나는 때예요",
            "새 학기와 꽃놀이 손님을 맞기 좋아요",
        ],
        "SUMMER" => ["시원한", "여름나기", "더위를 피해 실내를 찾는 때예요", "차갑고 가벼운 것에 손이 가요"],
        "AUTUMN" => {
            ["단풍 든", "가을맞이", "선선한 저녁 산책 손님이 늘어나는 때예요", "추석과 핼러윈 사이 모임이 많아요"]
        }
        _ => ["포근한", "겨울나기", "따뜻한 것을 찾고 연말 모임이 이어지는 때예요", "선물과 송년 모임 수요가 커요"],
    }
}

/// How a purpose is met: verb in the title, mechanics, why, share of entrants who are new.
fn purpose(code: &str) -> [[&'static str; 3]; 3] {
    match code {
        "NEW_CUSTOMERS" => [
            [
                "첫 방문 환영",
                "처음 오신 분이 QR로 응모하면 추첨으로 드려요.",
                "처음 오는 문턱을 낮추면 새 손님이 늘어요",
            ],
            [
                "친구랑 첫 만남",
                "친구와 함께 와서 각자 응모하면 두 분 모두 기회를 드려요.",
                "함께 오는 손님이 새 손님을 데려와요",
            ],
            [
                "우리 동네 첫인사",
                "동네 방송과 지니TV를 보고 응모하신 분께 큰 경품을 드려요.",
                "넓게 알릴수록 처음 듣는 분이 많아요",
            ],
        ],
        "REVISIT" => [
            [
                "또 만나 반가워요",
                "다시 오신 날 매장 코드로 응모하면 당첨 확률이 올라가요.",
                "다시 올 이유가 분명하면 단골이 돼요",
            ],
            [
                "단골 감사 주간",
                "방문할 때마다 매장 코드를 확인하고 추첨에 참여해요.",
                "감사를 표현하면 방문 간격이 짧아져요",
            ],
            [
                "일 년의 약속",
                "다시 찾은 단골께 오래 쓰는 혜택을 추첨으로 드려요.",
                "오래 쓰는 혜택은 다음 방문을 약속해요",
            ],
        ],
        "SALES" => [
            [
                "오늘만 하나 더",
                "구매하신 분이 응모하면 추첨으로 하나 더 드려요.",
                "덤은 적은 비용으로 한 번 더 사게 해요",
            ],
            ["같이 사면 두 배", "세트를 구매하고 응모하면 추첨 기회를 드려요.", "세트를 권하면 객단가가 올라가요"],
            ["통 큰 대잔치", "기간 안에 구매한 모든 분이 응모할 수 있어요.", "큰 경품은 구매 결정을 앞당겨요"],
        ],
        _ => [
            ["소문내기", "가게 사진을 나누고 응모하면 추첨으로 드려요.", "손님의 사진이 가장 믿을 만한 광고예요"],
            ["이름을 불러 줘요", "가게 이름을 맞히고 응모하면 추첨으로 드려요.", "이름을 한 번 말하면 기억에 남아요"],
            ["동네방네 알리기", "우리동네TV와 통화연결음을 듣고 응모해요.", "여러 곳에서 만날수록 떠올리기 쉬워요"],
        ],
    }
}

/// The answer for the data of a prompt.
pub(crate) fn proposal(data: &Value) -> Value {
    let text = |key: &str| data[key].as_str().unwrap_or_default();
    let (industry, objective) = (text("industry"), text("objective"));
    let region = text("region");
    let place = region.split_whitespace().last().unwrap_or("우리 동네");
    let g = goods(industry);
    let s = season(text("season"));
    let p = purpose(objective);
    let ticket = data["averageSaleWon"].as_i64().unwrap_or(20_000);
    let mood = seed(&format!("{region}{industry}{objective}{}", text("season")));
    let tiers = [("LOW", g.cheap, 20, 7, 60), ("MEDIUM", g.middling, 15, 10, 180), ("HIGH", g.grand, 8, 14, 420)];
    let options: Vec<Value> = tiers
        .iter()
        .zip(p)
        .map(|((tier, prize, quantity, days, people), words)| {
            option(
                tier,
                *prize,
                *quantity + i64::from(mood % 4),
                *days,
                *people + i64::from(mood % 37),
                words,
                place,
                g,
                s,
                ticket,
            )
        })
        .collect();
    let visitors = ["평일 점심", "평일 저녁", "주말 오후", "주말 저녁"][(mood % 4) as usize];
    json!({"options": options, "trends": {
        "industry": g.vogue,
        "region": [format!("{place}에서는 {visitors} 유동 인구가 눈에 띄어요"), format!("{place} 주민은 걸어서 갈 수 있는 가게 소식에 잘 반응해요")],
        "season": [s[2], s[3]],
    }})
}

#[allow(clippy::too_many_arguments, reason = "the ingredients of one sentence each")]
fn option(
    tier: &str,
    prize: (&str, i64),
    quantity: i64,
    days: i64,
    people: i64,
    words: [&str; 3],
    place: &str,
    g: &Goods,
    s: [&str; 4],
    ticket: i64,
) -> Value {
    let title = format!("{} {place} {} {}", s[1], words[0], short(prize.0));
    let channels: &[&str] = match tier {
        "LOW" => &["INSTAGRAM", "KAKAO", "NAVER"],
        "MEDIUM" => &["RINGO_BIZ", "INSTAGRAM", "NAVER", "KAKAO"],
        _ => &["WOORI_TV", "GENIE_TV", "RINGO_BIZ", "INSTAGRAM", "NAVER", "KAKAO"],
    };
    let side = (g.cheap.0, g.cheap.1, quantity * 2);
    let mut prizes = vec![json!({"name": prize.0, "quantity": quantity, "unitValueWon": prize.1})];
    if tier != "LOW" {
        prizes.push(json!({"name": side.0, "quantity": side.2, "unitValueWon": side.1}));
    }
    let (low, high) = (people, people * 2);
    json!({
        "id": uuid::Uuid::now_v7().to_string(), "tier": tier, "title": title.chars().take(40).collect::<String>(),
        "summary": format!("{} {place}에서 {} {quantity}분께 드리는 이벤트예요. {}도 함께 소개하면 더 좋아요.", s[0], eul(prize.0), g.known_for),
        "mechanics": words[1], "prizes": prizes, "durationDays": days, "channels": channels,
        "expected": {"participants": {"low": low, "high": high}, "costWon": 0,
            "revenueWon": {"low": low * ticket * 35 / 100, "high": high * ticket * 35 / 100}, "roiPercent": {"low": 0, "high": 0}},
        "rationale": [words[2], s[3], format!("{} 있어 이야기를 나누기 좋아요", i(g.known_for))],
    })
}

fn short(prize: &str) -> &str {
    // "식빵과 잼 세트": a particle wants what follows it.
    let words = if prize.split(' ').next().is_some_and(|w| w.ends_with(['과', '와'])) { 2 } else { 1 };
    prize.match_indices(' ').nth(words - 1).map_or(prize, |(at, _)| &prize[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Over fifty combinations: no two proposals alike, three tiers each, costs rising with the tier.
    #[test]
    fn no_two_alike() {
        let mut titles = HashSet::new();
        let mut n = 0;
        for industry in ["CAFE", "BAKERY", "BEAUTY", "PET", "RESTAURANT"] {
            for objective in ["NEW_CUSTOMERS", "REVISIT", "SALES", "AWARENESS"] {
                for season in ["SPRING", "SUMMER", "AUTUMN", "WINTER"] {
                    let data = json!({"industry": industry, "objective": objective, "season": season, "region": "서울특별시 강남구", "averageSaleWon": 9000});
                    let p = proposal(&data);
                    let options = p["options"].as_array().unwrap();
                    assert_eq!(
                        options.iter().map(|o| o["tier"].as_str().unwrap()).collect::<Vec<_>>(),
                        ["LOW", "MEDIUM", "HIGH"]
                    );
                    let cost = |o: &Value| {
                        o["prizes"]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|x| x["quantity"].as_i64().unwrap() * x["unitValueWon"].as_i64().unwrap())
                            .sum::<i64>()
                    };
                    assert!(cost(&options[0]) < cost(&options[1]) && cost(&options[1]) < cost(&options[2]), "{p}");
                    for o in options {
                        assert!(titles.insert(o["title"].as_str().unwrap().to_owned()), "{}", o["title"]);
                        assert!(o["title"].as_str().unwrap().chars().count() <= 40);
                        n += 1;
                    }
                }
            }
        }
        assert_eq!(titles.len(), n);
    }
}
