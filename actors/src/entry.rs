//! An entry on its way: what the handle prepares, and what the customer hears.

use crate::admission::AdmissionPermit;
use domain::entry::{EntryForm, Verdict};
use domain::ids::{EventId, StoreId};
use domain::time::{Instant, kst_day};
use domain::visit_code::VisitClaim;
use domain::visit_guard::AddressTag;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use storage::crypto::Keyring;
use storage::entries::{NewEntry, flag};
use tokio::sync::oneshot;
use uuid::Uuid;

/// An entry to be made: the form, checked for everything that needs no event.
pub type EnterRequest = EntryForm;

/// A durable entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// 1, 2, 3 …
    pub entry_no: i64,
    /// What proves it: 32 hex digits.
    pub receipt: String,
    /// When it became durable.
    pub entered_at: Instant,
}

/// Why an entry was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// No such event.
    #[error("no such event")]
    NotFound,
    /// The notice was not acknowledged.
    #[error("consent required")]
    ConsentRequired,
    /// Another notice is shown by now.
    #[error("the notice changed")]
    NoticeChanged,
    /// Not the code shown in the shop.
    #[error("wrong visit code")]
    VisitCodeInvalid,
    /// This phone is in already.
    #[error("already entered")]
    AlreadyEntered,
    /// Not taking entries for now.
    #[error("paused")]
    Paused,
    /// Not begun.
    #[error("not started")]
    NotStarted,
    /// Over.
    #[error("ended")]
    Ended,
    /// This phone's entry was erased too often today.
    #[error("erased too often")]
    ErasedTooOften,
    /// Too much at once; nothing was done.
    #[error("overloaded")]
    Overloaded,
    /// It may have been stored: repeating it with the same key tells.
    #[error("outcome unknown")]
    OutcomeUnknown,
}

/// What a handle must know of an event to prepare its entries.
#[derive(Clone, Debug)]
pub(crate) struct EntryMeta {
    pub(crate) store: StoreId,
    /// The shop's version: what is shown depends on it.
    pub(crate) version: i64,
    pub(crate) index_kid: String,
    pub(crate) notice: [u8; 32],
    pub(crate) notice_version: String,
}

/// An entry in flight.
pub(crate) struct Pending {
    pub(crate) row: NewEntry,
    pub(crate) ticket: Ticket,
}

/// What came with an entry for its event to judge.
pub(crate) struct EntryEvidence {
    /// What was seen in the shop.
    pub(crate) visit: Option<VisitEvidence>,
    /// Another notice was read than is shown now.
    pub(crate) outdated: bool,
}

/// What a customer says to have seen in the shop, and from where.
pub(crate) struct VisitEvidence {
    pub(crate) claim: VisitClaim,
    pub(crate) address: AddressTag,
}

impl VisitEvidence {
    /// Returns whether it can be guessed: six digits, rather than a token.
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self.claim, VisitClaim::Typed(_))
    }
}

/// The caller that waits for an entry, and the entry's place among those in flight.
pub(crate) struct Ticket {
    pub(crate) reply: oneshot::Sender<Result<Entered, EnterError>>,
    /// The receipt that goes with the row's id.
    pub(crate) receipt: String,
    /// An attempt to store it was not answered: until the database says otherwise it may be stored.
    pub(crate) maybe_stored: bool,
    /// When it was handed over.
    pub(crate) since: std::time::Instant,
    pub(crate) _place: AdmissionPermit,
}

impl Pending {
    /// Answers who waits.
    pub(crate) fn reply(self, result: Result<Entered, EnterError>) {
        self.ticket.answer(result);
    }
}

impl Ticket {
    /// Answers who waits for this row, by the journal's verdict.
    pub(crate) fn judged(mut self, keys: &Keyring, row: Uuid, verdict: Verdict) {
        let result = match verdict {
            Verdict::Stored { entry_no, id, entered_at, .. } => {
                let receipt = if id == row { std::mem::take(&mut self.receipt) } else { receipt(keys, id) };
                Ok(Entered { entry_no, receipt, entered_at })
            }
            Verdict::Duplicate => Err(EnterError::AlreadyEntered),
            Verdict::Ended => Err(EnterError::Ended),
            Verdict::NotOpen => Err(EnterError::NotStarted),
            Verdict::Unknown => Err(EnterError::NotFound),
        };
        self.answer(result);
    }

    /// Refuses who waits: nothing was done, unless an attempt was not answered.
    pub(crate) fn refuse(self, why: EnterError) {
        let unknown = self.maybe_stored && why == EnterError::Overloaded;
        self.answer(Err(if unknown { EnterError::OutcomeUnknown } else { why }));
    }

    /// Answers who waits.
    pub(crate) fn answer(self, result: Result<Entered, EnterError>) {
        let label = match &result {
            Ok(_) => "stored",
            Err(EnterError::AlreadyEntered) => "duplicate",
            Err(EnterError::Overloaded | EnterError::OutcomeUnknown) => "unavailable",
            Err(_) => "refused",
        };
        metrics::counter!("entries_total", "result" => label).increment(1);
        let _ = self.reply.send(result);
    }
}

/// The receipt of an entry: HMAC(key, entry id), 128 bits in hex. Only its SHA-256 is stored.
pub(crate) fn receipt(keys: &Keyring, id: Uuid) -> String {
    domain::event::state::hex(&keys.mac("receipt", &[id.as_bytes()])[..16])
}

/// What is stored of a receipt, and what its leaf in the draw's tree holds.
#[must_use]
pub(crate) fn receipt_hash(receipt: &str) -> [u8; 32] {
    Sha256::digest(receipt.as_bytes()).into()
}

/// Returns the tag under which an address is counted for a day: a keyed hash of its network, which the next day has another
/// key. Phones change their address within a /64 of IPv6 as they like.
pub(crate) fn address_tag(keys: &Keyring, address: Option<IpAddr>, now: Instant) -> AddressTag {
    let network = match address.map(|a| a.to_canonical()) {
        Some(IpAddr::V4(a)) => a.octets().to_vec(),
        Some(IpAddr::V6(a)) => a.octets()[..8].to_vec(),
        None => Vec::new(),
    };
    let full = keys.mac("address-of-day", &[kst_day(now).to_string().as_bytes(), &network]);
    let mut tag = AddressTag::default();
    tag.copy_from_slice(&full[..8]);
    tag
}

/// Prepares a row and its receipt: seals name and phone, indexes the phone. Runs in the caller's task.
pub(crate) fn prepare(
    keys: &Keyring,
    event: EventId,
    meta: &EntryMeta,
    form: &EntryForm,
) -> Result<(NewEntry, String), EnterError> {
    if !form.consents.privacy {
        return Err(EnterError::ConsentRequired);
    }
    let phone = form.phone.expose();
    let phone_index = keys.phone_index(&meta.index_kid, meta.store, phone).map_err(|_| EnterError::Overloaded)?;
    let id = Uuid::now_v7();
    let request_key = form.idempotency_key.as_deref().map(|key| {
        let full = keys.mac("entry-request", &[event.0.as_bytes(), phone.as_bytes(), key.as_bytes()]);
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        half
    });
    let mut flags = 0;
    for (given, bit) in [(form.consents.marketing, flag::MARKETING), (form.consents.night, flag::NIGHT)] {
        flags |= if given { bit } else { 0 };
    }
    let receipt = receipt(keys, id);
    let row = NewEntry {
        event,
        id,
        phone_index,
        receipt_hash: receipt_hash(&receipt),
        request_key,
        source: form.source,
        weight: 1,
        flags,
        notice: meta.notice,
        sealed: storage::entries::seal(keys, id, form.name.expose(), phone),
    };
    Ok((row, receipt))
}
