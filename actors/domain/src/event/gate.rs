//! The gate of an event: what the row that entries lock says about taking them.

use super::Status;

/// Whether entries are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Not yet, or not for now.
    Shut,
    /// Within the period of the event.
    Open,
    /// Never again: a closed gate stays closed.
    Closed,
}

impl Gate {
    /// Every gate.
    pub const ALL: [Self; 3] = [Self::Shut, Self::Open, Self::Closed];

    /// Returns the gate of an event in this status.
    #[must_use]
    pub fn of(status: Status) -> Self {
        match status {
            Status::Scheduled | Status::Live => Self::Open,
            Status::Draft | Status::Planned | Status::Ready | Status::Paused => Self::Shut,
            Status::Closed | Status::Drawn | Status::Settled | Status::Cancelled | Status::Purged => Self::Closed,
        }
    }

    /// Returns the stored number.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::Shut => 0,
            Self::Open => 1,
            Self::Closed => 2,
        }
    }

    /// Reads a stored number.
    #[must_use]
    pub fn parse(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|gate| gate.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_follows_the_status_and_its_number_leads_back() {
        for status in Status::ALL.iter().copied() {
            let gate = Gate::of(status);
            assert_eq!(gate == Gate::Closed, status.is_over(), "{status}");
            assert_eq!(Gate::parse(gate.code()), Some(gate));
        }
        assert_eq!(Gate::parse(3), None);
    }
}
