//! Entries on their way to the journal: refused here only when storage agrees.

use super::{EventError, GATE_TTL, Msg, State, visit_key};
use crate::entry::{Brought, EnterError, Entered, Pending};
use crate::system::Shared;
use domain::event::Status;
use domain::visit_code;
use ractor::ActorRef;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use storage::entries::{Gate, flag};

/// Wrong visit codes of one phone within an hour, after which the entry counts without the bonus.
const WRONG_CODES: u32 = 5;
/// How long they are remembered.
const WRONG_CODES_FOR: Duration = Duration::from_secs(3600);
/// Phones whose wrong visit codes are remembered.
const MAX_WRONG: usize = 10_000;
/// How often those that are over are looked for when there is no room.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Wrong visit codes by phone. Anybody may send some for any phone: past [`MAX_WRONG`] one is forgotten for each new one.
#[derive(Default)]
pub(super) struct WrongCodes {
    by_phone: HashMap<[u8; 16], (u32, Instant)>,
    swept: Option<Instant>,
}

impl WrongCodes {
    /// Has a phone had all its tries?
    fn exhausted(&self, phone: &[u8; 16]) -> bool {
        self.by_phone.get(phone).is_some_and(|(n, since)| *n >= WRONG_CODES && since.elapsed() < WRONG_CODES_FOR)
    }

    fn count(&mut self, phone: [u8; 16]) {
        if self.by_phone.len() >= MAX_WRONG && !self.by_phone.contains_key(&phone) {
            self.make_room();
        }
        let (n, since) = self.by_phone.entry(phone).or_insert_with(|| (0, Instant::now()));
        if since.elapsed() >= WRONG_CODES_FOR {
            (*n, *since) = (0, Instant::now());
        }
        *n += 1;
    }

    fn forgive(&mut self, phone: &[u8; 16]) {
        if let Some((n, _)) = self.by_phone.get_mut(phone) {
            *n = n.saturating_sub(1);
        }
    }

    fn make_room(&mut self) {
        if self.swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
            self.by_phone.retain(|_, (_, since)| since.elapsed() < WRONG_CODES_FOR);
            self.swept = Some(Instant::now());
        }
        if self.by_phone.len() >= MAX_WRONG
            && let Some(any) = self.by_phone.keys().next().copied()
        {
            self.by_phone.remove(&any);
        }
    }
}

/// What this very request was answered before, if it was: whatever became of the event or the code since, a repetition
/// hears the same.
async fn stored_before(shared: &Shared, pending: &Pending) -> Option<Entered> {
    let (event, phone, key) = (pending.row.event, pending.row.phone_index, pending.row.request_key?);
    let found = shared
        .store
        .run(move |c| Box::pin(async move { storage::entries::stored_by(c, event, phone, key).await }))
        .await
        .ok()??;
    let receipt = crate::entry::receipt(&shared.keys, found.id);
    Some(Entered { entry_no: found.entry_no, receipt, entered_at: found.entered_at })
}

impl State {
    /// Takes an entry to the journal, unless the event is known not to take any.
    pub(super) async fn enter(&mut self, myself: &ActorRef<Msg>, mut pending: Pending, brought: Brought) {
        let status = match self.loaded() {
            Ok(l) => l.event.status,
            Err(EventError::NotFound) => return pending.refuse_or(Err(EnterError::NotFound)),
            Err(_) => return pending.refuse_or(Err(EnterError::Overloaded)),
        };
        if status != Status::Live
            && let Some(refusal) = self.refusal(myself, status).await
        {
            return self.refuse_unless_stored(pending, refusal);
        }
        if brought.outdated {
            return self.refuse_unless_stored(pending, EnterError::NoticeChanged);
        }
        if let Some(code) = brought.visit_code.filter(|_| !self.wrong_codes.exhausted(&pending.row.phone_index)) {
            if !visit_code::accepts(&visit_key(&self.shared, self.args.id), &code, crate::system::now()) {
                return self.wrong_code(myself, pending);
            }
            if let Some(weight) = self.loaded().ok().and_then(|l| l.event.visit_weight) {
                pending.row.weight = i16::from(weight);
            }
            pending.row.flags |= flag::VISITED;
        }
        match self.args.events.journal() {
            Some(journal) => journal.submit(pending),
            None => pending.refuse_or(Err(EnterError::Overloaded)),
        }
    }

    /// Storage is asked on the side, for everybody else's entries wait behind this one.
    fn refuse_unless_stored(&self, pending: Pending, refusal: EnterError) {
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move {
            let result = stored_before(&shared, &pending).await.ok_or(refusal);
            pending.refuse_or(result);
        });
    }

    /// A repetition may come with a code that was good when it was first sent: it is no wrong try after all.
    fn wrong_code(&mut self, myself: &ActorRef<Msg>, pending: Pending) {
        let (shared, myself, phone) = (self.shared.clone(), myself.clone(), pending.row.phone_index);
        self.wrong_codes.count(phone);
        if pending.row.request_key.is_none() {
            return pending.refuse_or(Err(EnterError::VisitCodeInvalid));
        }
        self.shared.tracker.spawn(async move {
            let stored = stored_before(&shared, &pending).await;
            if stored.is_some() {
                let _ = myself.cast(Msg::NoWrongCode(phone));
            }
            pending.refuse_or(stored.ok_or(EnterError::VisitCodeInvalid));
        });
    }

    pub(super) fn forgive_code(&mut self, phone: &[u8; 16]) {
        self.wrong_codes.forgive(phone);
    }

    /// Storage takes no entries of an event that this actor believes in.
    pub(super) fn shut(&mut self, myself: &ActorRef<Msg>) {
        if self.loaded().is_ok_and(|l| l.event.status == Status::Live && !l.event.is_over(crate::system::now())) {
            self.behind(myself);
        }
    }

    /// Why an event that seems not to be live takes no entry, as its gate says; `None`: the gate is open.
    async fn refusal(&mut self, myself: &ActorRef<Msg>, status: Status) -> Option<EnterError> {
        let unlisted = self.loaded().is_ok_and(|l| l.event.commitment.is_none());
        if unlisted && !status.is_drafting() {
            return Some(EnterError::NotFound);
        }
        let gate = match self.gate().await {
            Ok(Some(gate)) => gate,
            Ok(None) => return Some(EnterError::NotFound),
            Err(_) => return Some(EnterError::Overloaded),
        };
        let believed = match status {
            Status::Scheduled | Status::Live => 1,
            _ if status.is_over() => 2,
            _ => 0,
        };
        if gate.gate != believed {
            self.behind(myself);
        }
        match (gate.gate, gate.begun, gate.over) {
            (0, ..) if status.is_drafting() => Some(EnterError::NotFound),
            (2, ..) | (_, _, true) => Some(EnterError::Ended),
            (0, begun, _) if begun || status == Status::Paused => Some(EnterError::Paused),
            (1, true, _) => None,
            _ => Some(EnterError::NotStarted),
        }
    }

    /// The gate, read a moment ago at most.
    async fn gate(&mut self) -> Result<Option<Gate>, EventError> {
        if let Some((_, gate)) = self.gate.filter(|(at, _)| at.elapsed() < GATE_TTL) {
            return Ok(Some(gate));
        }
        let id = self.args.id;
        let gate = self.shared.store.run(move |c| Box::pin(async move { storage::entries::gate(c, id).await })).await?;
        self.gate = gate.map(|gate| (Instant::now(), gate));
        Ok(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_of_everybody_fit() {
        let mut wrong = WrongCodes::default();
        let phone = |n: u32| {
            let mut phone = [0; 16];
            phone[..4].copy_from_slice(&n.to_be_bytes());
            phone
        };
        for _ in 0..4 {
            wrong.count(phone(1));
        }
        assert!(!wrong.exhausted(&phone(1)));
        wrong.count(phone(1));
        assert!(wrong.exhausted(&phone(1)) && !wrong.exhausted(&phone(2)));
        for n in 0..50_000 {
            wrong.count(phone(n));
        }
        assert_eq!(wrong.by_phone.len(), MAX_WRONG);
    }
}
