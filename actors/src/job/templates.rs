//! Built-in proposals, for when no model answers and none has for this key: plain, but usable.

use domain::catalog::{Industry, Objective};
use domain::channel::Channel;
use domain::offer::{EventOption, Expected, Prize, Proposal, Range, Tier, Trends, cost_won};
use domain::time::Season;

/// Three proposals for an industry, a purpose and a season.
pub(super) fn proposal(industry: &Industry, objective: Objective, season: Season) -> Proposal {
    let tiers = [
        (Tier::Low, 0.5, 20, 7, vec![Channel::Instagram, Channel::Naver], 60),
        (Tier::Medium, 1.5, 20, 10, vec![Channel::RingoBiz, Channel::Instagram, Channel::Naver, Channel::Kakao], 180),
        (Tier::High, 4.0, 15, 14, Channel::ALL.to_vec(), 400),
    ];
    let options = tiers
        .into_iter()
        .map(|(tier, share, quantity, days, channels, people)| {
            let value = ((industry.ticket_won as f64 * share / 1000.0).round() as i64).max(1) * 1000;
            let prizes = vec![Prize { name: format!("{} 이용권", won(value)), quantity, unit_value_won: value }];
            let cost = cost_won(&prizes, &channels);
            let revenue = |n: i64| n * industry.ticket_won * 35 / 100;
            let (low, high) = (revenue(people), revenue(people * 2));
            let roi = |r: i64| domain::roi::percent(r, cost).map_or(0, |p| p.round() as i64);
            EventOption {
                id: String::new(),
                tier,
                title: format!("{} {} 이벤트 {} 이용권", season.ko(), occasion(objective), won(value)),
                summary: format!(
                    "{}에서 응모하신 분 가운데 {quantity}분께 {} 이용권을 드려요.",
                    industry.name_ko,
                    won(value)
                ),
                mechanics: "매장의 QR 코드나 링크로 이름과 휴대전화번호를 남기면 응모돼요.".into(),
                prizes,
                duration_days: days,
                channels,
                expected: Expected {
                    participants: Range { low: people, high: people * 2 },
                    cost_won: cost,
                    revenue_won: Range { low, high },
                    roi_percent: Range { low: roi(low), high: roi(high) },
                },
                rationale: vec!["어느 업종에나 맞는 기본 제안이에요.".into()],
            }
        })
        .collect();
    Proposal { options, trends: Trends::default() }
}

/// What an event is called to customers: the objective is the owner's own affair.
fn occasion(objective: Objective) -> &'static str {
    match objective {
        Objective::NewCustomers => "첫 방문 환영",
        Objective::Revisit => "단골 감사",
        Objective::Sales => "고객 감사",
        Objective::Awareness => "동네 인사",
    }
}

fn won(value: i64) -> String {
    if value % 10_000 == 0 { format!("{}만 원", value / 10_000) } else { format!("{},000원", value / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::catalog::INDUSTRIES;

    #[test]
    fn every_template_is_a_valid_proposal() {
        for industry in INDUSTRIES {
            for objective in Objective::ALL {
                for season in Season::ALL {
                    let mut p = proposal(industry, objective, season);
                    for (i, o) in p.options.iter_mut().enumerate() {
                        o.id = format!("{i}");
                    }
                    p.validate().unwrap();
                }
            }
        }
    }
}
