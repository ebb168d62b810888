//! `analytics.channel_stats` and `analytics.link_hits`: what channels report, and visits of our links; with them what
//! became of the publications.

use crate::error::Result;
use crate::sql::{sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::channel::{Channel, Source};
use domain::dashboard::{ChannelFigures, Figures};
use domain::distribution::PublicationStatus;
use domain::ids::EventId;
use domain::time::Instant;
use std::collections::BTreeMap;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Text)]
    channel: String,
    #[diesel(sql_type = t::Nullable<t::BigInt>)]
    impressions: Option<i64>,
    #[diesel(sql_type = t::Nullable<t::BigInt>)]
    clicks: Option<i64>,
    #[diesel(sql_type = t::Bool)]
    stale: bool,
    #[diesel(sql_type = t::Nullable<t::Timestamptz>)]
    as_of: Option<Instant>,
}

#[derive(QueryableByName)]
struct Hits {
    #[diesel(sql_type = t::Text)]
    source: String,
    #[diesel(sql_type = t::BigInt)]
    hits: i64,
}

/// The newest figures of an event.
pub async fn load(c: &mut Conn, event: EventId) -> Result<Figures> {
    let rows: Vec<Row> =
        sql("select channel, impressions, clicks, stale, as_of from analytics.channel_stats where event_id = ?")
            .bind::<t::Uuid, _>(event.0)
            .all(c)
            .await?;
    let hits: Vec<Hits> = sql("select source, hits from analytics.link_hits where event_id = ?")
        .bind::<t::Uuid, _>(event.0)
        .all(c)
        .await?;
    let distribution = crate::distributions::of_event(c, event).await?;
    let reported = rows
        .into_iter()
        .filter_map(|r| {
            let known = ChannelFigures { impressions: r.impressions, clicks: r.clicks, as_of: r.as_of, stale: r.stale };
            Some((Channel::parse(&r.channel)?, known))
        })
        .collect();
    let hits = hits.into_iter().filter_map(|h| Some((Source::parse(&h.source)?, h.hits))).collect();
    let publications = distribution.into_iter().flat_map(|d| d.publications).map(|p| {
        // What was called off before anything was out is as good as skipped.
        let never_out = p.status == PublicationStatus::Recalled && p.external_id.is_none();
        (p.channel, (p.mode, if never_out { PublicationStatus::Skipped } else { p.status }))
    });
    let publications = publications.collect();
    Ok(Figures { reported, hits, publications })
}

/// Stores what a channel answered; `None`: it did not answer, and what is known is stale from now.
pub async fn measured(
    c: &mut Conn,
    event: EventId,
    channel: Channel,
    figures: Option<(Option<i64>, Option<i64>)>,
) -> Result<()> {
    let (impressions, clicks) = figures.unwrap_or_default();
    sql("insert into analytics.channel_stats as s (event_id, channel, impressions, clicks, stale, as_of)
         values (?, ?, ?, ?, not ?, case when ? then now() end)
         on conflict (event_id, channel) do update
            set impressions = case when excluded.stale then s.impressions else excluded.impressions end,
                clicks = case when excluded.stale then s.clicks else excluded.clicks end,
                stale = excluded.stale, as_of = coalesce(excluded.as_of, s.as_of), tried_at = now()")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Text, _>(channel.code())
    .bind::<t::Nullable<t::BigInt>, _>(impressions)
    .bind::<t::Nullable<t::BigInt>, _>(clicks)
    .bind::<t::Bool, _>(figures.is_some())
    .bind::<t::Bool, _>(figures.is_some())
    .run(c)
    .await?;
    Ok(())
}

/// Adds visits of our links.
pub async fn add_hits(c: &mut Conn, event: EventId, hits: &BTreeMap<Source, i64>) -> Result<()> {
    for (source, n) in hits {
        sql("insert into analytics.link_hits as h (event_id, source, hits) values (?, ?, ?)
             on conflict (event_id, source) do update set hits = h.hits + excluded.hits")
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::Text, _>(source.code())
        .bind::<t::BigInt, _>(*n)
        .run(c)
        .await?;
    }
    Ok(())
}
