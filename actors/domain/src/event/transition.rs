//! The table of transitions: the one place that says which move is allowed in which status.

use crate::channel::codes;

codes! {
    /// Where an event is in its life.
    Status {
        /// Objective chosen.
        Draft = "draft",
        /// A proposal chosen, with dates and prizes.
        Planned = "planned",
        /// Pictures and channels chosen.
        Ready = "ready",
        /// Approved, not begun.
        Scheduled = "scheduled",
        /// Taking entries.
        Live = "live",
        /// Not taking entries for now.
        Paused = "paused",
        /// Over; no entry after this.
        Closed = "closed",
        /// Winners drawn.
        Drawn = "drawn",
        /// All prizes handed over.
        Settled = "settled",
        /// Called off.
        Cancelled = "cancelled",
        /// Personal data destroyed.
        Purged = "purged",
    }
}

/// What moves an event from one status to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A plan was chosen, or something that content depends on changed.
    Plan,
    /// Content and channels are both there.
    Complete,
    /// Approved, starting later.
    Schedule,
    /// Begins taking entries: at approval or at its start.
    Open,
    /// Stops taking entries for now.
    Pause,
    /// Goes on.
    Resume,
    /// Ends for good.
    Close,
    /// Winners are drawn.
    Draw,
    /// All prizes are settled.
    Settle,
    /// Called off.
    Cancel,
    /// Retention is over.
    Purge,
}

impl Move {
    /// Every move.
    pub const ALL: [Self; 11] = [
        Self::Plan,
        Self::Complete,
        Self::Schedule,
        Self::Open,
        Self::Pause,
        Self::Resume,
        Self::Close,
        Self::Draw,
        Self::Settle,
        Self::Cancel,
        Self::Purge,
    ];
}

impl Status {
    /// The status after a move; `None` when the move is not allowed here.
    #[must_use]
    pub fn after(self, by: Move) -> Option<Self> {
        use Status::{Cancelled, Closed, Draft, Drawn, Live, Paused, Planned, Purged, Ready, Scheduled, Settled};
        Some(match (self, by) {
            (Draft | Planned | Ready, Move::Plan) => Planned,
            (Planned | Ready, Move::Complete) => Ready,
            (Ready, Move::Schedule) => Scheduled,
            (Ready | Scheduled, Move::Open) => Live,
            (Live, Move::Pause) => Paused,
            (Paused, Move::Resume) => Live,
            (Live | Paused, Move::Close) => Closed,
            (Closed, Move::Draw) => Drawn,
            (Drawn, Move::Settle) => Settled,
            (Draft | Planned | Ready | Scheduled | Live | Paused, Move::Cancel) => Cancelled,
            (Closed | Drawn | Settled | Cancelled, Move::Purge) => Purged,
            _ => return None,
        })
    }

    /// Not yet approved: everything may still change.
    #[must_use]
    pub fn is_drafting(self) -> bool {
        matches!(self, Self::Draft | Self::Planned | Self::Ready)
    }

    /// Scheduled, live or paused: the store cannot be deleted under it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Live | Self::Paused)
    }

    /// Over: closed, drawn, settled, cancelled or purged.
    #[must_use]
    pub fn is_over(self) -> bool {
        !self.is_drafting() && !self.is_open()
    }

    /// The statuses behind a filter word of the list (`drafting`, `upcoming`, `running`, `ended`, or a status).
    #[must_use]
    pub fn filter(word: &str) -> Option<Vec<Self>> {
        Some(match word {
            "drafting" => vec![Self::Draft, Self::Planned, Self::Ready],
            "upcoming" => vec![Self::Scheduled],
            "running" => vec![Self::Live, Self::Paused],
            "ended" => Self::ALL.iter().copied().filter(|s| s.is_over()).collect(),
            other => vec![Self::parse(other)?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The drawing of `product.md`, written as text; every pair not in it must be refused.
    #[test]
    fn every_pair_of_status_and_move() {
        let drawing = "
            draft>Plan>planned planned>Plan>planned ready>Plan>planned planned>Complete>ready ready>Complete>ready
            ready>Schedule>scheduled ready>Open>live scheduled>Open>live live>Pause>paused paused>Resume>live
            live>Close>closed paused>Close>closed closed>Draw>drawn drawn>Settle>settled
            draft>Cancel>cancelled planned>Cancel>cancelled ready>Cancel>cancelled scheduled>Cancel>cancelled
            live>Cancel>cancelled paused>Cancel>cancelled
            closed>Purge>purged drawn>Purge>purged settled>Purge>purged cancelled>Purge>purged";
        let drawn: Vec<&str> = drawing.split_whitespace().collect();
        let mut made = Vec::new();
        for from in Status::ALL {
            for by in Move::ALL {
                if let Some(to) = from.after(by) {
                    made.push(format!("{from}>{by:?}>{to}"));
                }
            }
        }
        let mut expected: Vec<String> = drawn.iter().map(|s| (*s).to_owned()).collect();
        made.sort();
        expected.sort();
        assert_eq!(made, expected);
    }

    #[test]
    fn filters_cover_every_status_once() {
        let mut all: Vec<Status> =
            ["drafting", "upcoming", "running", "ended"].iter().flat_map(|w| Status::filter(w).unwrap()).collect();
        all.sort();
        assert_eq!(all, Status::ALL.to_vec());
        assert_eq!(Status::filter("nonsense"), None);
    }
}
