//! Opening and closing in time, by the database's clock; and leaving when nobody needs the actor.

use super::{DRAFT_IDLE_TIMEOUT, EventError, IDLE_CHECK_INTERVAL, IDLE_TIMEOUT, LOAD_RETRY_PAUSE, Msg, Phase, State};
use crate::clock::now;
use domain::event::{Command, Event, Status, Who};
use domain::time::Instant as At;
use ractor::ActorRef;
use std::time::Duration;

/// The longest timer. A later moment gets a new timer then: clocks are set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Pause before the database is asked again when its clock turned out to be behind the estimate.
const NOT_YET: Duration = Duration::from_secs(1);

/// How long to wait before looking at what is due then.
fn until(due: At, now: At) -> Duration {
    (due - now).to_std().unwrap_or_default().min(LOOK_AGAIN)
}

/// How long an event's actor stays when nobody asks.
fn longest_idle(event: Option<&Event>) -> Duration {
    // The commitment is published at approval.
    let is_draft = event.is_some_and(|event| event.commitment.is_none());
    if is_draft { DRAFT_IDLE_TIMEOUT } else { IDLE_TIMEOUT }
}

impl State {
    /// When something happens by itself next.
    fn due(&mut self) -> Option<At> {
        let event = &self.loaded().ok()?.event;
        match event.status {
            Status::Scheduled => event.starts_at,
            Status::Live | Status::Paused => event.ends_at,
            _ => None,
        }
    }

    /// Sets the timer of the next start or end.
    pub(super) fn arm(&mut self, myself: &ActorRef<Msg>) {
        let Some(due) = self.due() else { return };
        let Ok(revision) = self.loaded().map(|l| l.event.revision) else { return };
        myself.send_after(until(due, now()) + Duration::from_millis(5), move || Msg::BoundaryDue(revision));
    }

    /// A timer has run out: opens or closes if it is time, else waits on.
    pub(super) async fn boundary(&mut self, myself: &ActorRef<Msg>, revision: i64) {
        if !self.loaded().is_ok_and(|l| l.event.revision == revision) {
            return;
        }
        match self.due() {
            Some(due) if due > now() => self.arm(myself),
            Some(_) => {
                let wait = match self.pass_time(myself).await {
                    Ok(true) => return,
                    Ok(false) => NOT_YET,
                    Err(e) => {
                        let id = self.args.id;
                        tracing::warn!(event = %id, error = %e, "an event did not open or close in time; trying again");
                        LOAD_RETRY_PAUSE
                    }
                };
                myself.send_after(wait, move || Msg::BoundaryDue(revision));
            }
            None => {}
        }
    }

    /// Opens or closes when the database says that it is time. True: it did.
    pub(super) async fn pass_time(&mut self, myself: &ActorRef<Msg>) -> Result<bool, EventError> {
        let (id, status) = self.loaded().map(|l| (l.event.id, l.event.status))?;
        let gate = self.tools.store.run(async move |c| storage::entries::gate(c, id).await).await?;
        let Some(gate) = gate else { return Ok(false) };
        let command = match status {
            Status::Scheduled if gate.begun => Command::Open,
            Status::Live | Status::Paused if gate.over => Command::Close { by_time: true },
            _ => return Ok(false),
        };
        self.command(myself, Who::System, command, None).await?;
        Ok(true)
    }

    /// As the reconciler sees it: this process's clock may be behind, or its timer set for another day.
    pub(super) async fn due_by_database(&mut self, myself: &ActorRef<Msg>) {
        if let Err(e) = self.pass_time(myself).await {
            tracing::warn!(event = %self.args.id, error = %e, "an event did not open or close in time");
        }
    }

    /// Leaves when nobody has asked for long and nothing is to happen soon.
    pub(super) fn idle(&mut self, myself: &ActorRef<Msg>) {
        let busy = self.working || !self.hits.is_empty() || self.unpublished.is_some();
        let soon = self.due().is_some_and(|at| at - now() < chrono::Duration::seconds(120));
        let missing = matches!(self.phase, Phase::Missing);
        let longest = longest_idle(self.loaded().ok().map(|l| &*l.event));
        if missing || (self.last_used.elapsed() > longest && !busy && !soon) {
            (self.args.idle)();
        } else {
            myself.send_after(IDLE_CHECK_INTERVAL, || Msg::IdleDue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use domain::catalog::Objective;
    use domain::ids::{EventId, StoreId, UserId};

    #[test]
    fn an_event_that_was_never_approved_leaves_sooner() {
        let (owner, store) = (UserId::new(), StoreId::new());
        let mut event = Event::draft(EventId::new(), "slug".into(), owner, store, Objective::Sales, Utc::now());
        assert_eq!(longest_idle(Some(&event)), DRAFT_IDLE_TIMEOUT);
        event.commitment = Some([1; 32]);
        assert_eq!(longest_idle(Some(&event)), IDLE_TIMEOUT);
        assert_eq!(longest_idle(None), IDLE_TIMEOUT, "it is being loaded");
    }

    #[test]
    fn whatever_is_due_is_looked_at_in_time() {
        let now = Utc::now();
        for seconds in [-5, 0, 1, 599, 601, 3_600, 86_400 * 366] {
            let due = now + chrono::Duration::seconds(seconds);
            let (mut at, mut looks) = (now, 0);
            // Each look sets the next one until it is due.
            loop {
                at += chrono::Duration::from_std(until(due, at)).unwrap();
                looks += 1;
                if at >= due {
                    break;
                }
            }
            assert!(at == due.max(now) && looks <= 1 + seconds.max(0) / 600, "{seconds} s: {looks} looks, at {at}");
        }
    }
}
