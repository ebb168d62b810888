//! What happened to an event: rows of its history, in order, with who and when.

use super::state::ContentItem;
use crate::catalog::Objective;
use crate::channel::Channel;
use crate::ids::{DistributionId, EventId, ImageId, UserId};
use crate::offer::{EventOption, Prize};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The person or part of the system that made it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The owner.
    Owner(UserId),
    /// The clock or a background job.
    System,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(id) => write!(f, "owner:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A fact. Field names are those of the stored JSON; binary values are lowercase hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Fact {
    /// The objective was chosen.
    Created {
        /// What for.
        objective: Objective,
    },
    /// A proposal was chosen, or its dates, prizes or title changed.
    Planned {
        /// The option as it was then.
        option: EventOption,
        /// The title.
        title: String,
        /// When it opens.
        starts_at: Instant,
        /// When it closes.
        ends_at: Instant,
        /// What can be won.
        prizes: Vec<Prize>,
        /// Weight of an entry made in the shop.
        visit_weight: Option<u8>,
        /// Only dates or weight changed: pictures still fit.
        keeps_content: bool,
    },
    /// Made from another event: its plan, pictures and channels, without dates.
    Duplicated {
        /// The event it was made from.
        from: EventId,
        /// The option.
        option: EventOption,
        /// The title.
        title: String,
        /// What can be won.
        prizes: Vec<Prize>,
        /// Weight of an entry made in the shop.
        visit_weight: Option<u8>,
        /// Copies of the pictures.
        images: Vec<ImageId>,
        /// The channels.
        channels: Vec<Channel>,
    },
    /// The title changed.
    Retitled {
        /// The new one.
        title: String,
    },
    /// The end moved later.
    EndMoved {
        /// The new end.
        ends_at: Instant,
    },
    /// Pictures were chosen.
    ContentChosen {
        /// 1 to 9.
        images: Vec<ImageId>,
    },
    /// Channels were chosen.
    ChannelsChosen {
        /// At least one.
        channels: Vec<Channel>,
    },
    /// The owner approved; the seed's hash is public from here.
    Approved {
        /// SHA-256 of the seed, hex.
        commitment: String,
        /// The publishing that began.
        distribution: DistributionId,
        /// The picture versions approved.
        content: Vec<ContentItem>,
        /// Whether it opened at once.
        live: bool,
    },
    /// It opened at its start.
    Opened {},
    /// It stopped taking entries for now.
    Paused {
        /// Why, where the system did it.
        reason: Option<String>,
    },
    /// It goes on.
    Resumed {},
    /// It ended.
    Closed {
        /// At its end, rather than by the owner.
        by_time: bool,
        /// Numbers given out.
        entries: i64,
    },
    /// The entries were committed to.
    Rooted {
        /// The draw's root, hex.
        root: String,
        /// Numbers under it.
        entries: i64,
    },
    /// Winners were drawn.
    Drawn {
        /// 1, 2, …
        round: i32,
        /// How many won.
        winners: i32,
    },
    /// A winner gave up the prize (erasure): the next alternate moved up.
    Forfeited {
        /// The number that lost it.
        entry_no: i64,
        /// The number that moved up.
        promoted: Option<i64>,
    },
    /// Publishing ended.
    Distributed {
        /// `completed`, `partial` or `failed`.
        status: String,
    },
    /// It was called off.
    Cancelled {},
    /// Visit tokens printed on paper stop counting as visits.
    VisitPapersVoided {},
    /// Names and numbers of those who did not win were destroyed.
    Destroyed {
        /// How many entries that left without them.
        entries: i64,
    },
    /// All personal data was destroyed.
    Purged {
        /// Number of entries.
        entries: i64,
    },
}

impl Fact {
    /// The stored kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Planned { .. } => "planned",
            Self::Duplicated { .. } => "duplicated",
            Self::Retitled { .. } => "retitled",
            Self::EndMoved { .. } => "end-moved",
            Self::ContentChosen { .. } => "content-chosen",
            Self::ChannelsChosen { .. } => "channels-chosen",
            Self::Approved { .. } => "approved",
            Self::Opened {} => "opened",
            Self::Paused { .. } => "paused",
            Self::Resumed {} => "resumed",
            Self::Closed { .. } => "closed",
            Self::Rooted { .. } => "rooted",
            Self::Drawn { .. } => "drawn",
            Self::Forfeited { .. } => "forfeited",
            Self::Distributed { .. } => "distributed",
            Self::Cancelled {} => "cancelled",
            Self::VisitPapersVoided {} => "visit-papers-voided",
            Self::Destroyed { .. } => "destroyed",
            Self::Purged { .. } => "purged",
        }
    }
}
