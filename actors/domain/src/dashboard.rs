//! What an owner sees of an event, folded from its log and its channels' figures.

use crate::catalog::Industry;
use crate::channel::{Channel, Mode, Source};
use crate::distribution::PublicationStatus;
use crate::offer::{Prize, prize_cost_won};
use crate::roi::Roi;
use crate::time::{Instant, kst_hour_of_day};
use serde::Serialize;
use std::collections::BTreeMap;

/// Figures a channel reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelFigures {
    /// Exposures or views; `None` where the channel does not measure them.
    pub impressions: Option<i64>,
    /// Clicks the channel counted; `None` where it does not.
    pub clicks: Option<i64>,
    /// When the channel last answered.
    pub as_of: Option<Instant>,
    /// The last attempt to ask it failed.
    pub stale: bool,
}

/// What is known of an event's channels, beside its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// What they reported.
    pub reported: BTreeMap<Channel, ChannelFigures>,
    /// Visits of our links.
    pub hits: BTreeMap<Source, i64>,
    /// How they were connected, and what became of the publication; none before approval.
    pub publications: BTreeMap<Channel, (Mode, PublicationStatus)>,
}

impl Figures {
    /// What the channels cost, in won: planned ones, and after approval those that something went out on.
    fn cost_won(&self, channels: &[Channel]) -> i64 {
        let out = |c: &&Channel| {
            !matches!(self.publications.get(c), Some((_, PublicationStatus::Skipped | PublicationStatus::Failed)))
        };
        channels.iter().filter(out).map(|c| c.price_won()).sum()
    }
}

/// The counts an event's log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Version of the log: the topic's offset.
    pub version: i64,
    /// Numbers given out.
    pub last_no: i64,
    /// Entries among these that were erased before the close.
    pub void: i64,
    /// Entries that count, per [`Source::index`].
    pub by_source: [i64; 8],
    /// Numbers given out per hour, void ones included.
    pub by_hour: BTreeMap<Instant, i64>,
    /// Entries among these that were erased before the close.
    pub void_by_hour: BTreeMap<Instant, i64>,
    /// Entries among these whose phone is known from another event of the shop.
    pub returning: i64,
    /// When the newest row was written.
    pub at: Option<Instant>,
}

impl Tally {
    /// Entries that count.
    #[must_use]
    pub fn participants(&self) -> i64 {
        self.last_no - self.void
    }

    /// Entries that count, per hour.
    #[must_use]
    pub fn hours(&self) -> BTreeMap<Instant, i64> {
        let void = |hour| self.void_by_hour.get(hour).copied().unwrap_or(0);
        self.by_hour.iter().map(|(hour, n)| (*hour, n - void(hour))).collect()
    }

    /// Folds in what one commit of the journal added. Older versions change nothing: positions only rise.
    pub fn apply_commit(&mut self, c: &Commit) {
        if c.version <= self.version {
            return;
        }
        self.version = c.version;
        self.last_no = c.last_no;
        self.by_source = c.by_source;
        self.by_hour.insert(c.hour, c.hour_entries);
        self.at = Some(c.at);
    }

    /// Folds in an erasure before the close.
    pub fn apply_erasure(&mut self, version: i64, source: Source, hour: Instant, at: Instant) {
        if version <= self.version {
            return;
        }
        self.version = version;
        self.void += 1;
        self.by_source[source.index()] -= 1;
        *self.void_by_hour.entry(hour).or_default() += 1;
        self.at = Some(at);
    }
}

/// One commit of the journal, as the event's log records it: totals so far, not differences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The log's version.
    pub version: i64,
    /// Numbers given out so far.
    pub last_no: i64,
    /// Entries so far per source, erased ones left out.
    pub by_source: [i64; 8],
    /// The hour it falls into.
    pub hour: Instant,
    /// Numbers given out so far in this hour, void ones included.
    pub hour_entries: i64,
    /// When it became durable.
    pub at: Instant,
}

/// The body of `GET /api/events/{id}/analytics` but for event id and position.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// The four figures on top.
    pub cards: Cards,
    /// One row per source; their entries add up to the participants.
    pub channels: Vec<ChannelRow>,
    /// Entries per hour, Korean time.
    pub hourly: Vec<HourRow>,
    /// The people who take part.
    pub profile: Profile,
    /// The inputs of the ROI.
    pub roi: Roi,
}

/// The four figures on top.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cards {
    /// Entries that count.
    pub participants: i64,
    /// Exposures and views, as far as channels measure them.
    pub impressions: Option<i64>,
    /// Entries ÷ impressions, 0 to 1; null without impressions.
    pub conversion_rate: Option<f64>,
    /// ROI in percent; null without a cost.
    pub roi_percent: Option<f64>,
}

/// One source of entries.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRow {
    /// The source.
    pub channel: Source,
    /// How it was connected at approval: what a simulated one reports is no real figure. Null before, and for `QR` and
    /// `DIRECT`.
    pub mode: Option<Mode>,
    /// Null where not measured.
    pub impressions: Option<i64>,
    /// Clicks the channel counted and hits of our link.
    pub clicks: Option<i64>,
    /// Entries.
    pub entries: i64,
    /// Entries ÷ impressions, 0 to 1.
    pub conversion_rate: Option<f64>,
    /// The channel's own figures are older than they should be.
    pub stale: bool,
    /// When the channel last answered.
    pub as_of: Option<Instant>,
}

/// Entries of one hour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HourRow {
    /// Start of the hour, with the Korean offset.
    pub hour: String,
    /// Entries.
    pub entries: i64,
}

/// The people who take part.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Share of participants per source that has any, 0 to 1.
    pub by_channel: BTreeMap<&'static str, f64>,
    /// Entries per hour of the Korean day, 24 numbers.
    pub by_hour: Vec<i64>,
    /// New and returning people.
    pub new_vs_returning: NewVsReturning,
}

/// New and returning people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NewVsReturning {
    /// Not seen at another event of the shop.
    pub new: i64,
    /// Seen before.
    pub returning: i64,
}

fn rate(entries: i64, impressions: Option<i64>) -> Option<f64> {
    let shown = impressions.filter(|i| *i > 0)?;
    Some((entries as f64 / shown as f64).min(1.0))
}

/// Folds everything known into what is shown.
#[must_use]
pub fn fold(
    tally: &Tally,
    figures: &Figures,
    channels: &[Channel],
    prizes: &[Prize],
    industry: &Industry,
) -> Dashboard {
    let participants = tally.participants();
    let chosen = |s: &Source| s.channel().is_none_or(|c| channels.contains(&c));
    let (shown, hidden): (Vec<Source>, Vec<Source>) =
        Source::ALL.iter().partition(|s| chosen(s) || tally.by_source[s.index()] > 0);
    // Visits that named a channel which has no row came by the bare link: no visit disappears.
    let strays: i64 = hidden.iter().filter_map(|s| figures.hits.get(s)).sum();
    let rows: Vec<ChannelRow> = shown
        .into_iter()
        .map(|s| channel_row(s, tally, figures, if s == Source::Direct { strays } else { 0 }))
        .collect();
    let impressions = rows.iter().filter_map(|r| r.impressions).reduce(|a, b| a + b);
    let (prize_cost, platform_cost) = (prize_cost_won(prizes), figures.cost_won(channels));
    let roi = Roi::estimate(industry, participants, tally.returning, prize_cost, platform_cost);
    let mut by_hour = vec![0; 24];
    let hours = tally.hours();
    for (hour, n) in &hours {
        by_hour[kst_hour_of_day(*hour) as usize] += n;
    }
    Dashboard {
        cards: Cards {
            participants,
            impressions,
            conversion_rate: rate(participants, impressions),
            roi_percent: roi.percent(),
        },
        profile: Profile {
            by_channel: rows
                .iter()
                .filter(|r| r.entries > 0)
                .map(|r| (r.channel.code(), (r.entries as f64 / participants as f64 * 10_000.0).round() / 10_000.0))
                .collect(),
            by_hour,
            new_vs_returning: NewVsReturning { new: participants - tally.returning, returning: tally.returning },
        },
        channels: rows,
        hourly: hours
            .iter()
            .map(|(hour, n)| HourRow { hour: hour.with_timezone(&crate::time::kst()).to_rfc3339(), entries: *n })
            .collect(),
        roi,
    }
}

fn channel_row(s: Source, tally: &Tally, figures: &Figures, strays: i64) -> ChannelRow {
    let channel = s.channel();
    let known = channel.and_then(|c| figures.reported.get(&c)).copied().unwrap_or_default();
    let own = figures.hits.get(&s).copied();
    let hits = if strays > 0 { Some(own.unwrap_or(0) + strays) } else { own };
    let clicks = match (known.clicks, hits) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
    };
    let entries = tally.by_source[s.index()];
    ChannelRow {
        channel: s,
        mode: channel.and_then(|c| figures.publications.get(&c)).map(|(mode, _)| *mode),
        impressions: known.impressions,
        clicks,
        entries,
        conversion_rate: rate(entries, known.impressions),
        stale: known.stale,
        as_of: known.as_of,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::industry_of;
    use proptest::prelude::*;

    fn at(s: i64) -> Instant {
        chrono::DateTime::from_timestamp(1_800_000_000 + s, 0).unwrap()
    }

    proptest! {
        #[test]
        fn sums_always_agree(adds in prop::collection::vec((0usize..8, 0i64..5, 0i64..4), 0..30), erase in 0usize..5) {
            let mut tally = Tally::default();
            let (mut by, mut hours, mut no) = ([0i64; 8], BTreeMap::<Instant, i64>::new(), 0);
            for (i, (source, n, hour)) in adds.iter().enumerate() {
                by[*source] += n;
                no += n;
                let hour = at(hour * 3600);
                *hours.entry(hour).or_default() += n;
                let commit = Commit { version: i as i64 + 1, last_no: no, by_source: by, hour, hour_entries: hours[&hour], at: at(i as i64) };
                tally.apply_commit(&commit);
                tally.apply_commit(&commit);
            }
            for _ in 0..erase {
                if let Some(s) = Source::ALL.iter().find(|s| tally.by_source[s.index()] > 0)
                    && let Some(h) = tally.hours().iter().find(|(_, n)| **n > 0).map(|(h, _)| *h) {
                        let v = tally.version + 1;
                        tally.apply_erasure(v, *s, h, at(99));
                    }
            }
            let d = fold(&tally, &Figures::default(), &[Channel::WooriTv], &[], industry_of("CAFE").unwrap());
            prop_assert_eq!(d.channels.iter().map(|c| c.entries).sum::<i64>(), d.cards.participants);
            prop_assert_eq!(d.hourly.iter().map(|h| h.entries).sum::<i64>(), d.cards.participants);
            prop_assert_eq!(d.profile.by_hour.iter().sum::<i64>(), d.cards.participants);
            prop_assert_eq!(d.cards.conversion_rate, None);
        }
    }

    #[test]
    fn impressions_and_conversion() {
        let tally = Tally { version: 1, last_no: 50, by_source: [30, 0, 0, 0, 0, 0, 10, 10], ..Tally::default() };
        let reported =
            BTreeMap::from([(Channel::WooriTv, ChannelFigures { impressions: Some(1000), ..Default::default() })]);
        let figures = Figures { reported, ..Figures::default() };
        let d = fold(&tally, &figures, &[Channel::WooriTv, Channel::RingoBiz], &[], industry_of("CAFE").unwrap());
        assert_eq!(d.cards.impressions, Some(1000));
        assert_eq!(d.cards.conversion_rate, Some(0.05));
        assert_eq!(d.channels[0].conversion_rate, Some(0.03));
        assert_eq!(d.channels[1].impressions, None);
        assert_eq!(d.channels.len(), 4, "two chosen, QR and DIRECT");
    }

    /// Case 27: visits that name a channel which was not chosen are shown with the bare link's.
    #[test]
    fn no_visit_disappears() {
        let hits = BTreeMap::from([(Source::Kakao, 3), (Source::Naver, 2), (Source::Direct, 1)]);
        let figures = Figures { hits, ..Figures::default() };
        let clicks = |tally: &Tally| -> Vec<(Source, i64)> {
            let d = fold(tally, &figures, &[Channel::Naver], &[], industry_of("CAFE").unwrap());
            d.channels.iter().filter_map(|c| Some((c.channel, c.clicks?))).collect()
        };
        assert_eq!(clicks(&Tally::default()), [(Source::Naver, 2), (Source::Direct, 4)]);
        let entered = Tally { last_no: 1, by_source: [0, 0, 0, 0, 0, 1, 0, 0], ..Tally::default() };
        assert_eq!(clicks(&entered), [(Source::Naver, 2), (Source::Kakao, 3), (Source::Direct, 1)]);
    }

    #[test]
    fn what_did_not_go_out_costs_nothing() {
        use Channel::{GenieTv, RingoBiz, WooriTv};
        let chosen = [WooriTv, RingoBiz, GenieTv];
        let of = |figures: &Figures| fold(&Tally::default(), figures, &chosen, &[], industry_of("CAFE").unwrap());
        let planned = of(&Figures::default());
        assert_eq!(planned.roi.platform_cost_won, chosen.iter().map(|c| c.price_won()).sum::<i64>());
        assert_eq!(planned.channels[0].mode, None);
        let publications = BTreeMap::from([
            (WooriTv, (Mode::Sandbox, PublicationStatus::Published)),
            (RingoBiz, (Mode::Live, PublicationStatus::Failed)),
            (GenieTv, (Mode::Off, PublicationStatus::Skipped)),
        ]);
        let out = of(&Figures { publications, ..Figures::default() });
        assert_eq!(out.roi.platform_cost_won, WooriTv.price_won());
        assert_eq!(out.channels[0].mode, Some(Mode::Sandbox), "simulated figures are called so");
    }
}
