//! What an owner or the clock asks of an event, and what becomes of it.

use super::fact::Fact;
use super::state::{ContentItem, Event, hex};
use super::transition::{Move, Status};
use crate::channel::Channel;
use crate::ids::{DistributionId, ImageId};
use crate::offer::{EventOption, Prize, check_prizes};
use crate::rule::{Broken, within};
use crate::text::line;
use crate::time::{Instant, storable};
use chrono::Duration;

/// The longest event: a year and a day, so that every season fits once.
pub const MAX_DAYS: i64 = 366;
/// The longest title, in characters: the longest that fits the smallest picture.
pub const MAX_TITLE: usize = 60;
/// The most pictures of an event: three styles for three platforms.
pub const MAX_IMAGES: usize = 9;

/// Tickets of an entry made in the shop, at least: every other entry has one.
pub const MIN_VISIT_WEIGHT: u8 = 2;
/// Tickets of an entry made in the shop, at most: with more, the other entries hardly have a chance.
pub const MAX_VISIT_WEIGHT: u8 = 10;

/// What the owner says when choosing an option; what is left out comes from the option.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanInput {
    /// The chosen option.
    pub option: EventOption,
    /// Another title.
    pub title: Option<String>,
    /// Another start.
    pub starts_at: Option<Instant>,
    /// Another end.
    pub ends_at: Option<Instant>,
    /// Other prizes.
    pub prizes: Option<Vec<Prize>>,
    /// The weight of an entry made in the shop, 2 to 10.
    pub visit_weight: Option<Option<u8>>,
}

/// A command to an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Choose an option.
    Plan(Box<PlanInput>),
    /// Change what is given: the title before approval, a later end until closed.
    Edit {
        /// The title.
        title: Option<String>,
        /// The end.
        ends_at: Option<Instant>,
    },
    /// Choose pictures; whether they are the event's own was checked.
    ChooseContent(Vec<ImageId>),
    /// Choose channels.
    ChooseChannels(Vec<Channel>),
    /// Approve: publish, and open now or at the start.
    Approve {
        /// SHA-256 of the seed.
        commitment: [u8; 32],
        /// The publishing to start.
        distribution: DistributionId,
        /// The picture versions of this moment.
        content: Vec<ContentItem>,
    },
    /// The start has come.
    Open,
    /// Stop taking entries for now.
    Pause {
        /// Why, where the system does it.
        reason: Option<String>,
    },
    /// Go on.
    Resume,
    /// End.
    Close {
        /// At its end rather than by the owner.
        by_time: bool,
    },
    /// Call off.
    Cancel,
    /// Void the visit tokens that were printed on paper.
    VoidVisitPapers,
    /// Record that the data of those who did not win is destroyed.
    RecordDestroyed {
        /// How many entries that left without a name.
        entries: i64,
    },
    /// Retention is over, and all personal data destroyed.
    Purge {
        /// Number of entries.
        entries: i64,
    },
}

/// Why a command was refused. A refusal is an answer, not a failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not in this status (409 `wrong-state`).
    #[error("not allowed while {0}")]
    WrongState(Status),
    /// A field broke a rule (422).
    #[error("{field}: {broken}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// Which rule.
        broken: Broken,
    },
    /// The event changed since it was read (412).
    #[error("stale")]
    Stale,
}

fn invalid(field: impl Into<String>, broken: impl Into<Broken>) -> Rejection {
    Rejection::Invalid { field: field.into(), broken: broken.into() }
}

/// Decides a command. No facts means that nothing changes (and that is fine).
///
/// # Errors
/// The refusal, in the words of the API.
pub fn decide(event: &Event, command: Command, now: Instant) -> Result<Vec<Fact>, Rejection> {
    match command {
        Command::Plan(input) => plan(event, *input, now),
        Command::Edit { title, ends_at } => edit(event, title.as_deref(), ends_at),
        Command::ChooseContent(images) => choose_content(event, images),
        Command::ChooseChannels(channels) => choose_channels(event, channels),
        Command::Approve { commitment, distribution, content } => {
            approve(event, commitment, distribution, content, now)
        }
        Command::Open => step(event, Move::Open, Fact::Opened {}),
        Command::Pause { reason } => step(event, Move::Pause, Fact::Paused { reason }),
        Command::Resume => step(event, Move::Resume, Fact::Resumed {}),
        // How many entries there are is known where the gate is shut, in the same transaction.
        Command::Close { by_time } => step(event, Move::Close, Fact::Closed { by_time, entries: 0 }),
        Command::Cancel => step(event, Move::Cancel, Fact::Cancelled {}),
        // Nobody enters what is over: there is nothing left to void.
        Command::VoidVisitPapers if event.status.is_over() => Ok(Vec::new()),
        Command::VoidVisitPapers => Ok(vec![Fact::VisitPapersVoided {}]),
        Command::RecordDestroyed { entries } => match event.status {
            Status::Drawn | Status::Settled | Status::Cancelled => Ok(vec![Fact::Destroyed { entries }]),
            other => Err(Rejection::WrongState(other)),
        },
        Command::Purge { entries } => step(event, Move::Purge, Fact::Purged { entries }),
    }
}

fn step(event: &Event, by: Move, fact: Fact) -> Result<Vec<Fact>, Rejection> {
    event.status.after(by).map(|_| vec![fact]).ok_or(Rejection::WrongState(event.status))
}

fn drafting(event: &Event) -> Result<(), Rejection> {
    if event.status.is_drafting() { Ok(()) } else { Err(Rejection::WrongState(event.status)) }
}

fn planned(event: &Event) -> Result<(), Rejection> {
    if matches!(event.status, Status::Planned | Status::Ready) {
        Ok(())
    } else {
        Err(Rejection::WrongState(event.status))
    }
}

fn title_of(title: &str) -> Result<String, Rejection> {
    line(title, MAX_TITLE).map_err(|e| invalid("title", e))
}

fn plan(event: &Event, input: PlanInput, now: Instant) -> Result<Vec<Fact>, Rejection> {
    drafting(event)?;
    let PlanInput { option, title, starts_at, ends_at, prizes, visit_weight } = input;
    let (starts_at, ends_at) = (starts_at.map(storable), ends_at.map(storable));
    // What is left out stays as it was under the same option, and comes from a new one otherwise; a title given to the
    // bare draft stays too.
    let same_option = event.option.as_ref().is_some_and(|o| o.id == option.id && o.title == option.title);
    let keeps_title = same_option || event.option.is_none();
    let own_title = event.title.as_deref().filter(|_| keeps_title).unwrap_or(&option.title);
    let title = title_of(title.as_deref().unwrap_or(own_title))?;
    let own_prizes = if same_option { &event.prizes } else { &option.prizes };
    let prizes = check_prizes(prizes.as_ref().unwrap_or(own_prizes)).map_err(|e| invalid(e.field, e.broken))?;
    let own_weight = if keeps_title { event.visit_weight } else { None };
    let visit_weight = visit_weight.unwrap_or(own_weight);
    if let Some(weight) = visit_weight {
        let allowed = i64::from(MIN_VISIT_WEIGHT)..=i64::from(MAX_VISIT_WEIGHT);
        within("out-of-range", weight, allowed).map_err(|e| invalid("visitBonus.weight", e))?;
    }
    let (old_start, old_end) = if same_option { (event.starts_at, event.ends_at) } else { (None, None) };
    let start = starts_at.or(old_start).unwrap_or(now);
    let end = match (ends_at, starts_at, old_end) {
        (Some(end), _, _) | (None, None, Some(end)) => end,
        _ => later(start, i64::from(option.duration_days)),
    };
    check_period(start, end, now)?;
    let keeps_content = same_option && event.title.as_deref() == Some(title.as_str()) && event.prizes == prizes;
    Ok(vec![Fact::Planned { option, title, starts_at: start, ends_at: end, prizes, visit_weight, keeps_content }])
}

fn check_period(start: Instant, end: Instant, now: Instant) -> Result<(), Rejection> {
    if start > later(now, MAX_DAYS) {
        return Err(invalid("startsAt", "period-invalid"));
    }
    if end <= start || end <= now || end > later(start, MAX_DAYS) {
        return Err(invalid("endsAt", "period-invalid"));
    }
    Ok(())
}

/// Returns the moment some days later, or the last one there is: a request may name the year 262142.
fn later(start: Instant, days: i64) -> Instant {
    start.checked_add_signed(Duration::days(days)).unwrap_or(Instant::MAX_UTC)
}

/// All of it or nothing.
fn edit(event: &Event, title: Option<&str>, ends_at: Option<Instant>) -> Result<Vec<Fact>, Rejection> {
    let mut facts = match title {
        Some(title) => retitle(event, title)?,
        None => Vec::new(),
    };
    if let Some(ends_at) = ends_at {
        facts.extend(move_end(event, storable(ends_at))?);
    }
    Ok(facts)
}

fn retitle(event: &Event, title: &str) -> Result<Vec<Fact>, Rejection> {
    drafting(event)?;
    let title = title_of(title)?;
    if event.title.as_deref() == Some(title.as_str()) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::Retitled { title }])
}

fn move_end(event: &Event, ends_at: Instant) -> Result<Vec<Fact>, Rejection> {
    let (Some(start), Some(end)) = (event.starts_at, event.ends_at) else {
        return Err(Rejection::WrongState(event.status));
    };
    if event.status.is_over() {
        return Err(Rejection::WrongState(event.status));
    }
    if ends_at == end {
        return Ok(Vec::new());
    }
    if ends_at < end || ends_at > later(start, MAX_DAYS) {
        return Err(invalid("endsAt", "period-invalid"));
    }
    Ok(vec![Fact::EndMoved { ends_at }])
}

fn choose_content(event: &Event, mut images: Vec<ImageId>) -> Result<Vec<Fact>, Rejection> {
    planned(event)?;
    let asked = images.len();
    let mut seen = std::collections::HashSet::new();
    images.retain(|i| seen.insert(*i));
    if images.is_empty() {
        return Err(invalid("imageIds", "required"));
    }
    within("too-many", asked as i64, 1..=MAX_IMAGES as i64).map_err(|e| invalid("imageIds", e))?;
    if event.content.iter().map(|c| c.image).eq(images.iter().copied()) {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::ContentChosen { images }])
}

fn choose_channels(event: &Event, mut channels: Vec<Channel>) -> Result<Vec<Fact>, Rejection> {
    planned(event)?;
    channels.sort_unstable();
    channels.dedup();
    if channels.is_empty() {
        return Err(invalid("channels", "required"));
    }
    if event.channels == channels {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::ChannelsChosen { channels }])
}

fn approve(
    event: &Event,
    commitment: [u8; 32],
    distribution: DistributionId,
    content: Vec<ContentItem>,
    now: Instant,
) -> Result<Vec<Fact>, Rejection> {
    let (Status::Ready, Some(start), Some(end)) = (event.status, event.starts_at, event.ends_at) else {
        return Err(Rejection::WrongState(event.status));
    };
    if end <= now {
        return Err(invalid("endsAt", "period-invalid"));
    }
    Ok(vec![Fact::Approved { commitment: hex(&commitment), distribution, content, live: start <= now }])
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
