//! Entries: what a customer brings, and what the journal says.

use crate::channel::Source;
use crate::phone::Phone;
use crate::text::PersonName;
use crate::time::Instant;

/// What the customer agreed to. `privacy` acknowledges the notice; the rest are separate opt-ins, off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// The notice was read.
    pub privacy: bool,
    /// May send advertising.
    pub marketing: bool,
    /// May send it between 21:00 and 08:00 as well.
    pub night: bool,
}

/// An entry that passed its own rules; whether the event takes it is the journal's to say.
#[derive(Clone, Debug)]
pub struct EntryForm {
    /// Who.
    pub name: PersonName,
    /// The number it counts under, once per event.
    pub phone: Phone,
    /// What was agreed to.
    pub consents: Consents,
    /// Where from.
    pub source: Source,
    /// The digits shown in the shop.
    pub visit_code: Option<String>,
    /// The notice that was shown.
    pub notice_version: Option<String>,
    /// The client's `Idempotency-Key`.
    pub idempotency_key: Option<String>,
}

/// What the journal says of one entry, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored now, or before by this very request: number, when, and whether it was stored by this call.
    Stored {
        /// 1, 2, 3 …
        entry_no: i64,
        /// The entry's id (its receipt is made from it).
        id: uuid::Uuid,
        /// When it became durable.
        entered_at: Instant,
        /// False when an earlier, identical request stored it.
        fresh: bool,
    },
    /// This phone is in already.
    Duplicate,
    /// Ended, closed or cancelled.
    Ended,
    /// Not begun, or paused.
    NotOpen,
    /// No such event.
    Unknown,
}
