//! Entries on their way to the journal: refused here only when storage agrees.

use super::{EventError, GATE_TTL, Msg, State, visit_key};
use crate::entry::{EnterError, Entered, EntryEvidence, Pending, VisitEvidence};
use crate::tools::Tools;
use domain::event::{Event, Gate, Status};
use domain::visit_code::accepts;
use domain::visit_guard::PhoneIndex;
use ractor::ActorRef;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Instant;
use storage::entries::{GateReading, flag};
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
async fn stored_before(tools: &Tools, pending: &Pending) -> storage::Result<Option<Entered>> {
    let (event, phone) = (pending.row.event, pending.row.phone_index);
    let Some(key) = pending.row.request_key else { return Ok(None) };
    let found = tools.store.run(async move |c| storage::entries::stored_by(c, event, phone, key).await).await?;
    Ok(found.map(|found| {
        let receipt = crate::entry::receipt(&tools.keys, found.id);
        Entered { entry_no: found.entry_no, receipt, entered_at: found.entered_at }
    }))
}

impl State {
    /// Takes an entry to the journal, unless the event is known not to take any.
    pub(super) async fn enter(&mut self, myself: &ActorRef<Msg>, pending: Pending, evidence: EntryEvidence) {
        let status = match self.loaded() {
            Ok(l) => l.event.status,
            Err(EventError::NotFound) => return pending.reply(Err(EnterError::NotFound)),
            Err(_) => return pending.reply(Err(EnterError::Overloaded)),
        };
        if status != Status::Live
            && let Some(refusal) = self.refusal(myself, status).await
        {
            return self.refuse_unless_stored(pending, refusal);
        }
        if evidence.outdated {
            return self.refuse_unless_stored(pending, EnterError::NoticeChanged);
        }
        if self.erasures.exhausted(&pending.row.phone_index, crate::clock::now()) {
            return self.refuse_unless_stored(pending, EnterError::ErasedTooOften);
        }
        match evidence.visit {
            Some(visit) if visit.is_typed() && pending.row.request_key.is_some() => {
                self.judge_unless_stored(myself, pending, visit);
            }
            Some(visit) => self.enter_judged(pending, &visit),
            None => self.submit(pending),
        }
    }

    /// Judges what a customer saw in the shop, and takes the entry to the journal unless it is wrong.
    pub(super) fn enter_judged(&mut self, mut pending: Pending, visit: &VisitEvidence) {
        match self.judge(&pending.row.phone_index, visit) {
            // A repetition may come with a token that was good when it was first sent.
            VisitVerdict::Wrong => return self.refuse_unless_stored(pending, EnterError::VisitCodeInvalid),
            VisitVerdict::Unjudged => self.tell_of_guessing(),
            VisitVerdict::Visited => {
                if let Some(weight) = self.loaded().ok().and_then(|l| l.event.visit_weight) {
                    pending.row.weight = i16::from(weight);
                }
                pending.row.flags |= flag::VISITED;
            }
        }
        self.submit(pending);
    }

    fn submit(&self, pending: Pending) {
        self.args.journal.submit(pending);
    }

    /// Storage is asked on the side, for everybody else's entries wait behind this one.
    fn refuse_unless_stored(&self, pending: Pending, refusal: EnterError) {
        let tools = self.tools.clone();
        self.tools.tracker.spawn(async move {
            let stored = stored_before(&tools, &pending).await.ok().flatten();
            pending.reply(stored.ok_or(refusal));
        });
    }

    /// Judges a code or token; a typed one only while not too many were wrong.
    fn judge(&mut self, phone: &PhoneIndex, visit: &VisitEvidence) -> VisitVerdict {
        let (now, typed) = (crate::clock::now(), visit.is_typed());
        if typed && !self.visit_guard.judges(phone, &visit.address, now) {
            return VisitVerdict::Unjudged;
        }
        let voided = self.loaded().map_or(0, |l| l.event.visit_papers);
        if accepts(&visit_key(&self.tools, self.args.id), &visit.claim, voided, now) {
            self.visit_guard.right(visit.address, now);
            return VisitVerdict::Visited;
        }
        if typed {
            self.visit_guard.wrong(*phone, visit.address, now);
        }
        VisitVerdict::Wrong
    }

    /// Answers a repetition without judging its typed code, on the side; any other entry comes back to be judged. A code that
    /// was judged first and forgiven afterwards could be guessed for ever under one stored key.
    fn judge_unless_stored(&self, myself: &ActorRef<Msg>, pending: Pending, visit: VisitEvidence) {
        let (tools, myself) = (self.tools.clone(), myself.clone());
        self.tools.tracker.spawn(async move {
            match stored_before(&tools, &pending).await {
                Ok(Some(stored)) => pending.reply(Ok(stored)),
                Ok(None) => {
                    let _ = myself.cast(Msg::JudgeVisit(Box::new(pending), visit));
                }
                Err(_) => pending.reply(Err(EnterError::Overloaded)),
            }
        });
    }

    /// The owner hears once of an event that somebody tries its codes, on the side: entries wait for nothing of it. A notice
    /// that was not stored is told at the next unjudged code.
    fn tell_of_guessing(&mut self) {
        let Ok(event) = self.loaded().map(|l| l.event.clone()) else { return };
        if self.guessing_told.swap(true, Ordering::AcqRel) {
            return;
        }
        let (tools, told) = (self.tools.clone(), self.guessing_told.clone());
        self.tools.tracker.spawn(async move {
            if !crate::notices::tell_once(&tools, guessing(&event), event.id).await {
                told.store(false, Ordering::Release);
            }
        });
    }

    /// Storage takes no entries of an event that this actor believes in.
    pub(super) fn shut(&mut self, myself: &ActorRef<Msg>) {
        if self.loaded().is_ok_and(|l| l.event.status == Status::Live && !l.event.is_over(crate::clock::now())) {
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
        if gate.gate != Gate::of(status) {
            self.behind(myself);
        }
        match (gate.gate, gate.begun, gate.over) {
            (Gate::Shut, ..) if status.is_drafting() => Some(EnterError::NotFound),
            (Gate::Closed, ..) | (_, _, true) => Some(EnterError::Ended),
            (Gate::Shut, begun, _) if begun || status == Status::Paused => Some(EnterError::Paused),
            (Gate::Open, true, _) => None,
            _ => Some(EnterError::NotStarted),
        }
    }

    /// The gate, read a moment ago at most.
    async fn gate(&mut self) -> Result<Option<GateReading>, EventError> {
        if let Some((_, gate)) = self.gate.filter(|(at, _)| at.elapsed() < GATE_TTL) {
            return Ok(Some(gate));
        }
        let id = self.args.id;
        let gate = self.tools.store.run(async move |c| storage::entries::gate(c, id).await).await?;
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
