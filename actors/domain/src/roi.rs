//! Did it pay? ROI% = (revenue − cost) ÷ cost × 100 (BR-07), with every input shown.

use crate::catalog::Industry;
use serde::{Deserialize, Serialize};

/// Share of participants who come and buy once because of an event: our own planning figure for estimates.
pub const BUYING_SHARE: f64 = 0.35;
/// Share of new participants who stay as customers for a year: our own planning figure for estimates.
pub const STAYING_SHARE: f64 = 0.10;

/// Where the sales figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RoiSource {
    /// Planning figures times participants.
    Estimated,
    /// Sales the owner reported.
    Measured,
}

/// The inputs of the figure, all in won but `new_customers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roi {
    /// What the prizes cost.
    pub prize_cost_won: i64,
    /// What the channels cost.
    pub platform_cost_won: i64,
    /// More sales because of the event.
    pub sales_increase_won: i64,
    /// New customers who stay.
    pub new_customers: i64,
    /// What these bring in a year.
    pub ltv_won: i64,
    /// Estimated or measured.
    pub source: RoiSource,
}

impl Roi {
    /// The estimate for `participants` people, of whom `returning` were seen at an earlier event of the shop.
    #[must_use]
    pub fn estimate(
        industry: &Industry,
        participants: i64,
        returning: i64,
        prize_cost_won: i64,
        platform_cost_won: i64,
    ) -> Self {
        let new = (participants - returning).max(0);
        let new_customers = (new as f64 * STAYING_SHARE).round() as i64;
        Self {
            prize_cost_won,
            platform_cost_won,
            sales_increase_won: (participants as f64 * BUYING_SHARE * industry.ticket_won as f64).round() as i64,
            new_customers,
            ltv_won: new_customers * industry.ltv_won,
            source: RoiSource::Estimated,
        }
    }

    /// ROI in percent; `None` while nothing was spent.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        percent(self.sales_increase_won + self.ltv_won, self.prize_cost_won + self.platform_cost_won)
    }
}

/// (revenue − cost) ÷ cost × 100; `None` without a cost.
#[must_use]
pub fn percent(revenue_won: i64, cost_won: i64) -> Option<f64> {
    (cost_won > 0).then(|| (revenue_won - cost_won) as f64 / cost_won as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::industry_of;

    #[test]
    fn the_formula() {
        assert_eq!(percent(150, 100), Some(50.0));
        assert_eq!(percent(0, 100), Some(-100.0));
        assert_eq!(percent(5, 0), None);
        let roi = Roi::estimate(industry_of("CAFE").unwrap(), 100, 40, 50_000, 30_000);
        assert_eq!((roi.sales_increase_won, roi.new_customers, roi.ltv_won), (262_500, 6, 360_000));
        assert_eq!(roi.percent(), Some(678.125));
    }
}
