//! The state of one event: the fold of its facts.

use super::fact::Fact;
use super::transition::Status;
use crate::catalog::Objective;
use crate::channel::Channel;
use crate::ids::{DistributionId, EventId, ImageId, StoreId, UserId};
use crate::offer::{EventOption, Prize};
use crate::time::Instant;
use serde::{Deserialize, Serialize};

/// A chosen picture. Until approval it follows the newest version; approval pins one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentItem {
    /// The picture.
    pub image: ImageId,
    /// The version approved, if it was.
    pub version: Option<i32>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The unguessable name in links.
    pub slug: String,
    /// The owner's account.
    pub owner: UserId,
    /// The shop it is for.
    pub store: StoreId,
    /// What it is for.
    pub objective: Objective,
    /// The title, from the plan on.
    pub title: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// Number of the newest fact: the version of the API.
    pub revision: i64,
    /// When it opens.
    pub starts_at: Option<Instant>,
    /// When it closes.
    pub ends_at: Option<Instant>,
    /// The option chosen, as it was then.
    pub option: Option<EventOption>,
    /// What can be won.
    pub prizes: Vec<Prize>,
    /// Weight in the draw of an entry made in the shop, 2 to 10.
    pub visit_weight: Option<u8>,
    /// The chosen pictures.
    pub content: Vec<ContentItem>,
    /// The chosen channels.
    pub channels: Vec<Channel>,
    /// The publishing started by approval.
    pub distribution: Option<DistributionId>,
    /// SHA-256 of the draw's seed, published at approval.
    pub commitment: Option<[u8; 32]>,
    /// What the draw's root committed to, once closed: root and number of entries.
    pub root: Option<([u8; 32], i64)>,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// Were its winners drawn?
    pub drawn: bool,
    /// How often the visit tokens printed on paper were voided: those of before are worth nothing.
    pub visit_papers: u32,
    /// When it was made.
    pub created_at: Instant,
}

impl Event {
    /// A new draft.
    #[must_use]
    pub fn draft(id: EventId, slug: String, owner: UserId, store: StoreId, objective: Objective, now: Instant) -> Self {
        Self {
            id,
            slug,
            owner,
            store,
            objective,
            title: None,
            status: Status::Draft,
            revision: 1,
            starts_at: None,
            ends_at: None,
            option: None,
            prizes: Vec::new(),
            visit_weight: None,
            content: Vec::new(),
            channels: Vec::new(),
            distribution: None,
            commitment: None,
            root: None,
            closed_at: None,
            drawn: false,
            visit_papers: 0,
            created_at: now,
        }
    }

    /// Folds one fact in. Never fails: what was decided and stored is true.
    pub fn apply(&mut self, fact: &Fact, at: Instant) {
        self.revision += 1;
        match fact {
            Fact::Planned { option, title, starts_at, ends_at, prizes, visit_weight, keeps_content } => {
                self.option = Some(option.clone());
                self.title = Some(title.clone());
                self.starts_at = Some(*starts_at);
                self.ends_at = Some(*ends_at);
                self.prizes.clone_from(prizes);
                self.visit_weight = *visit_weight;
                if !keeps_content {
                    self.content.clear();
                }
                self.settle_draft();
            }
            Fact::Duplicated { option, title, prizes, visit_weight, images, channels, .. } => {
                self.option = Some(option.clone());
                self.title = Some(title.clone());
                self.prizes.clone_from(prizes);
                self.visit_weight = *visit_weight;
                self.content = images.iter().map(|i| ContentItem { image: *i, version: None }).collect();
                self.channels.clone_from(channels);
                self.settle_draft();
            }
            Fact::Retitled { title } => {
                self.title = Some(title.clone());
                self.content.clear();
                self.settle_draft();
            }
            Fact::EndMoved { ends_at } => self.ends_at = Some(*ends_at),
            Fact::ContentChosen { images } => {
                self.content = images.iter().map(|i| ContentItem { image: *i, version: None }).collect();
                self.settle_draft();
            }
            Fact::ChannelsChosen { channels } => {
                self.channels.clone_from(channels);
                self.settle_draft();
            }
            Fact::Approved { commitment, distribution, content, live } => {
                self.commitment = hex32(commitment);
                self.distribution = Some(*distribution);
                self.content.clone_from(content);
                self.status = if *live { Status::Live } else { Status::Scheduled };
            }
            Fact::Opened {} | Fact::Resumed {} => self.status = Status::Live,
            Fact::Paused { .. } => self.status = Status::Paused,
            Fact::Closed { .. } => {
                self.status = Status::Closed;
                self.closed_at = Some(at);
            }
            Fact::Rooted { root, entries } => self.root = hex32(root).map(|r| (r, *entries)),
            Fact::Drawn { .. } => {
                self.status = Status::Drawn;
                self.drawn = true;
            }
            Fact::Cancelled {} => self.status = Status::Cancelled,
            Fact::VisitPapersVoided {} => self.visit_papers += 1,
            Fact::Purged { .. } => self.status = Status::Purged,
            Fact::Created { .. } | Fact::Forfeited { .. } | Fact::Distributed { .. } | Fact::Destroyed { .. } => {}
        }
    }

    /// Has it ended, by its status or by its time?
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        self.status.is_over() || self.ends_at.is_some_and(|at| at <= now)
    }

    /// Planned or ready, by what is there.
    fn settle_draft(&mut self) {
        let complete =
            self.option.is_some() && self.ends_at.is_some() && !self.content.is_empty() && !self.channels.is_empty();
        self.status = match (self.option.is_some(), complete) {
            (false, _) => Status::Draft,
            (true, false) => Status::Planned,
            (true, true) => Status::Ready,
        };
    }
}

/// 32 bytes from 64 hex digits.
#[must_use]
pub fn hex32(s: &str) -> Option<[u8; 32]> {
    // `from_str_radix` alone would take a sign.
    if s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(s.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

/// Lowercase hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
