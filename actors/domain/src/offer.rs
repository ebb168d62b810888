//! Proposals: the three options an owner chooses from. A model's answer is untrusted until [`Proposal::validate`] passed.

use crate::channel::{Channel, codes};
use crate::rule::{Broken, within};
use crate::text::{line, paragraph};
use serde::{Deserialize, Serialize};

codes! {
    /// The cost tier of an option.
    Tier {
        /// 저비용.
        Low = "LOW",
        /// 중비용.
        Medium = "MEDIUM",
        /// 고비용.
        High = "HIGH",
    }
}

/// A prize. `unit_value_won` is what one costs the shop, in won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prize {
    /// 1 to 60 characters.
    pub name: String,
    /// How many, 1 to 1,000.
    pub quantity: u32,
    /// 0 to 100,000,000 won each.
    pub unit_value_won: i64,
}

/// Characters of a prize's name: it stands in one line of a page.
pub const MAX_PRIZE_NAME: usize = 60;
/// Characters of an option's id, which a model chooses.
pub const MAX_OPTION_ID: usize = 64;
/// The most kinds of prize an event has: as many as a page lists without scrolling twice.
pub const MAX_PRIZE_KINDS: usize = 20;
/// The most prizes of one kind.
pub const MAX_PRIZE_QUANTITY: u32 = 1_000;
/// The dearest prize, in won.
pub const MAX_PRIZE_WON: i64 = 100_000_000;

/// Which prize broke which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {broken}")]
pub struct PrizeError {
    /// Path of the field, as `prizes[0].quantity`.
    pub field: String,
    /// Which rule.
    pub broken: Broken,
}

/// Checks a list of prizes: 1 to 20 kinds, each within its bounds. Names come back in their one form.
///
/// # Errors
/// The first rule broken, with the field.
pub fn check_prizes(prizes: &[Prize]) -> Result<Vec<Prize>, PrizeError> {
    if prizes.is_empty() {
        return Err(PrizeError { field: "prizes".into(), broken: "required".into() });
    }
    within("too-many", prizes.len() as i64, 1..=MAX_PRIZE_KINDS as i64)
        .map_err(|broken| PrizeError { field: "prizes".into(), broken })?;
    let bad = |i: usize, field: &str, broken: Broken| PrizeError { field: format!("prizes[{i}].{field}"), broken };
    prizes
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let name = line(&p.name, MAX_PRIZE_NAME).map_err(|e| bad(i, "name", e.into()))?;
            within("out-of-range", p.quantity, 1..=MAX_PRIZE_QUANTITY.into()).map_err(|e| bad(i, "quantity", e))?;
            within("out-of-range", p.unit_value_won, 0..=MAX_PRIZE_WON).map_err(|e| bad(i, "unitValueWon", e))?;
            Ok(Prize { name, ..*p })
        })
        .collect()
}

/// A range of an estimate, `low` ≤ `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The cautious end.
    pub low: i64,
    /// The hopeful end.
    pub high: i64,
}

/// What an option is expected to bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// People.
    pub participants: Range,
    /// Prizes and channels, in won.
    pub cost_won: i64,
    /// In won.
    pub revenue_won: Range,
    /// (revenue − cost) ÷ cost × 100, computed by us from the figures above.
    pub roi_percent: Range,
}

/// One of three proposals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventOption {
    /// Unique within its recommendation.
    pub id: String,
    /// The cost tier.
    pub tier: Tier,
    /// 1 to 40 characters.
    pub title: String,
    /// One or two sentences.
    pub summary: String,
    /// How a customer takes part.
    pub mechanics: String,
    /// At least one.
    pub prizes: Vec<Prize>,
    /// 1 to 60 days.
    pub duration_days: u32,
    /// Channels that fit.
    pub channels: Vec<Channel>,
    /// The estimate.
    pub expected: Expected,
    /// Why, in short sentences.
    pub rationale: Vec<String>,
}

/// What is going on around the shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trends {
    /// In the industry.
    pub industry: Vec<String>,
    /// In the region.
    pub region: Vec<String>,
    /// In the season.
    pub season: Vec<String>,
}

/// A model's answer: three options and the trends behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Always three, one of each tier, LOW first.
    pub options: Vec<EventOption>,
    /// The trends.
    pub trends: Trends,
}

/// Why a model's answer is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProposalError(pub String);

impl Proposal {
    /// Checks an untrusted answer and brings it into normal form: bounded texts, known ranges, one option of each
    /// tier, ROI recomputed by us.
    ///
    /// # Errors
    /// The first rule broken, in words a model can repair from.
    pub fn validate(mut self) -> Result<Self, ProposalError> {
        if self.options.len() != 3 {
            return Err(ProposalError(format!("options must have exactly 3 entries, got {}", self.options.len())));
        }
        self.options.sort_by_key(|o| o.tier);
        if self.options.iter().map(|o| o.tier).ne(Tier::ALL.iter().copied()) {
            return Err(ProposalError("options must be one each of LOW, MEDIUM, HIGH".into()));
        }
        for (i, o) in self.options.iter_mut().enumerate() {
            check_option(o).map_err(|e| ProposalError(format!("options[{i}].{e}")))?;
        }
        for list in [&mut self.trends.industry, &mut self.trends.region, &mut self.trends.season] {
            list.truncate(5);
            for t in list.iter_mut() {
                *t = line(t, 120).map_err(|e| ProposalError(format!("trends: {e}")))?;
            }
        }
        let mut ids: Vec<_> = self.options.iter().map(|o| o.id.clone()).collect();
        ids.dedup();
        if ids.len() != 3 {
            return Err(ProposalError("option ids must differ".into()));
        }
        Ok(self)
    }
}

fn check_option(o: &mut EventOption) -> Result<(), String> {
    o.id = line(&o.id, MAX_OPTION_ID).map_err(|e| format!("id: {e}"))?;
    o.title = line(&o.title, 40).map_err(|e| format!("title: {e}"))?;
    o.summary = paragraph(&o.summary, 300).map_err(|e| format!("summary: {e}"))?;
    o.mechanics = paragraph(&o.mechanics, 500).map_err(|e| format!("mechanics: {e}"))?;
    o.prizes = check_prizes(&o.prizes).map_err(|e| e.to_string())?;
    if !(1..=60).contains(&o.duration_days) {
        return Err("durationDays: must be 1 to 60".into());
    }
    let mut seen = Vec::new();
    o.channels.retain(|c| {
        if seen.contains(c) {
            false
        } else {
            seen.push(*c);
            true
        }
    });
    if o.channels.is_empty() {
        return Err("channels: at least one".into());
    }
    if o.rationale.len() > 6 {
        return Err("rationale: at most 6".into());
    }
    for r in &mut o.rationale {
        *r = line(r, 200).map_err(|e| format!("rationale: {e}"))?;
    }
    let e = &mut o.expected;
    let sane = |r: Range, max: i64| 0 <= r.low && r.low <= r.high && r.high <= max;
    if !sane(e.participants, 1_000_000) || !sane(e.revenue_won, 10_000_000_000) {
        return Err("expected: low must not exceed high, nor be negative or absurd".into());
    }
    // What it costs is arithmetic, not opinion.
    e.cost_won = cost_won(&o.prizes, &o.channels);
    let roi = |revenue: i64| crate::roi::percent(revenue, e.cost_won).map_or(0, |p| p.round() as i64);
    e.roi_percent = Range { low: roi(e.revenue_won.low), high: roi(e.revenue_won.high) };
    Ok(())
}

/// Prizes and channels together, in won.
#[must_use]
pub fn cost_won(prizes: &[Prize], channels: &[Channel]) -> i64 {
    prize_cost_won(prizes) + channels.iter().map(|c| c.price_won()).sum::<i64>()
}

/// What all prizes cost, in won.
#[must_use]
pub fn prize_cost_won(prizes: &[Prize]) -> i64 {
    prizes.iter().map(|p| i64::from(p.quantity) * p.unit_value_won).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(tier: Tier) -> EventOption {
        EventOption {
            id: tier.code().to_lowercase(),
            tier,
            title: "가을맞이 아메리카노 이벤트".into(),
            summary: "요약".into(),
            mechanics: "방법".into(),
            prizes: vec![Prize { name: "쿠폰".into(), quantity: 10, unit_value_won: 5_000 }],
            duration_days: 7,
            channels: vec![Channel::WooriTv, Channel::WooriTv],
            expected: Expected {
                participants: Range { low: 10, high: 20 },
                cost_won: 1,
                revenue_won: Range { low: 80_000, high: 160_000 },
                roi_percent: Range { low: 999, high: 9_999 },
            },
            rationale: vec!["이유".into()],
        }
    }

    fn proposal() -> Proposal {
        Proposal {
            options: vec![option(Tier::High), option(Tier::Low), option(Tier::Medium)],
            trends: Trends::default(),
        }
    }

    #[test]
    fn a_good_answer_is_ordered_and_its_arithmetic_is_ours() {
        let p = proposal().validate().unwrap();
        assert_eq!(p.options[0].tier, Tier::Low);
        assert_eq!(p.options[0].channels, [Channel::WooriTv]);
        assert_eq!(p.options[0].expected.cost_won, 80_000);
        assert_eq!(p.options[0].expected.roi_percent, Range { low: 0, high: 100 });
    }

    #[test]
    fn a_bad_answer_is_refused() {
        type Spoil = fn(&mut Proposal);
        let spoils: [Spoil; 7] = [
            |p| {
                p.options.pop();
            },
            |p| p.options[0].tier = Tier::Low,
            |p| p.options[0].title = "가".repeat(41),
            |p| p.options[0].title = "a\0b".into(),
            |p| p.options[0].prizes.clear(),
            |p| p.options[0].duration_days = 0,
            |p| p.options[0].expected.participants = Range { low: 9, high: 1 },
        ];
        for spoil in spoils {
            let mut p = proposal();
            spoil(&mut p);
            assert!(p.validate().is_err());
        }
    }
}
