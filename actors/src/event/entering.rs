//! Entries on their way to the journal: refused here only when storage agrees.

use super::{EventError, GATE_TTL, Msg, State, visit_key};
use crate::entry::{Brought, BroughtVisit, EnterError, Entered, Pending};
use crate::system::Shared;
use domain::event::{Event, Status};
use domain::visit_code::{VisitClaim, accepts};
use domain::visit_guard::PhoneIndex;
use ractor::ActorRef;
use serde_json::json;
use std::time::Instant;
use storage::entries::{Gate, flag};
use storage::notices::NewNotice;

/// What becomes of a visit code or token.
enum VisitVerdict {
    /// It is right: the entry has the bonus.
    Visited,
    /// Too many were wrong: the entry counts without the bonus, and nobody says so.
    Unjudged,
    /// It is wrong, and the customer hears it.
    Wrong,
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
        if self.erasures.exhausted(&pending.row.phone_index, crate::system::now()) {
            return self.refuse_unless_stored(pending, EnterError::ErasedTooOften);
        }
        if let Some(visit) = brought.visit {
            match self.judge(&pending.row.phone_index, &visit) {
                VisitVerdict::Wrong => return self.wrong_code(myself, pending, &visit),
                VisitVerdict::Unjudged => self.tell_of_guessing(),
                VisitVerdict::Visited => {
                    if let Some(weight) = self.loaded().ok().and_then(|l| l.event.visit_weight) {
                        pending.row.weight = i16::from(weight);
                    }
                    pending.row.flags |= flag::VISITED;
                }
            }
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

    /// Judges a code or token; a typed one only while not too many were wrong.
    fn judge(&mut self, phone: &PhoneIndex, visit: &BroughtVisit) -> VisitVerdict {
        let now = crate::system::now();
        let typed = matches!(visit.claim, VisitClaim::Typed(_));
        if typed && !self.visit_guard.judges(phone, &visit.address, now) {
            return VisitVerdict::Unjudged;
        }
        let voided = self.loaded().map_or(0, |l| l.event.visit_papers);
        if accepts(&visit_key(&self.shared, self.args.id), &visit.claim, voided, now) {
            self.visit_guard.right(visit.address, now);
            return VisitVerdict::Visited;
        }
        if typed {
            self.visit_guard.wrong(*phone, visit.address, now);
        }
        VisitVerdict::Wrong
    }

    /// A repetition may come with a code that was good when it was first sent: it is no wrong try after all.
    fn wrong_code(&self, myself: &ActorRef<Msg>, pending: Pending, visit: &BroughtVisit) {
        if pending.row.request_key.is_none() {
            return pending.refuse_or(Err(EnterError::VisitCodeInvalid));
        }
        let (shared, myself, phone) = (self.shared.clone(), myself.clone(), pending.row.phone_index);
        let counted = matches!(visit.claim, VisitClaim::Typed(_)).then_some(visit.address);
        self.shared.tracker.spawn(async move {
            let stored = stored_before(&shared, &pending).await;
            if let (Some(_), Some(address)) = (&stored, counted) {
                let _ = myself.cast(Msg::ForgiveVisitCode(phone, address));
            }
            pending.refuse_or(stored.ok_or(EnterError::VisitCodeInvalid));
        });
    }

    /// The owner hears once of an event that somebody tries its codes, on the side: entries wait for nothing of it.
    fn tell_of_guessing(&mut self) {
        if std::mem::replace(&mut self.guessing_told, true) {
            return;
        }
        let Ok(event) = self.loaded().map(|l| l.event.clone()) else { return };
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move {
            crate::notices::tell_once(&shared, guessing(&event), event.id).await;
        });
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

fn guessing(event: &Event) -> NewNotice {
    let title = event.title.as_deref().unwrap_or_default();
    NewNotice {
        owner: event.owner,
        kind: "visit-code-guessed",
        level: "warning",
        message_ko: format!(
            "'{title}' 방문 코드를 여러 번 틀리게 입력한 사람이 있어요. 그런 번호와 주소에서 직접 입력한 코드는 한동안 보너스 없이 응모로만 받아요. \
             매장에 표시된 QR을 찍은 손님은 그대로 보너스를 받으니, 손님께 QR을 안내해 주세요."
        ),
        message_en: format!(
            "Somebody typed wrong visit codes for '{title}' again and again. For a while codes typed from such phones and \
             addresses enter without the bonus. Customers who scan the QR code in the shop keep theirs: please point them to it."
        ),
        data: json!({"eventId": event.id}),
    }
}
