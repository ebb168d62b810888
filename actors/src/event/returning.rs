//! Counts customers who return: looks phones up among the shop's other events, in steps behind the entries.

use super::dashboard::Change;
use super::{EventError, Msg, State, UPDATE_INTERVAL};
use domain::topic::Topic;
use ractor::ActorRef;
use std::time::{Duration, Instant};

/// Entries whose phones are looked up at once.
const PHONES_PER_STEP: i64 = 2_000;
/// Steps within one read; the rest follows with the next.
const STEPS_PER_READ: usize = 10;
/// Pause before the next step, as a multiple of what the last one took: a storm must not be spent on this.
const PAUSE_FACTOR: u32 = 9;
/// Time for which a shop without another event is not asked about again.
const SINGLE_EVENT_RECHECK: Duration = Duration::from_secs(1);

/// How far this came for updates.
#[derive(Default)]
pub(super) struct Pace {
    /// No step before this.
    rests_until: Option<Instant>,
    /// A look at the rest is due.
    due: bool,
    /// What the last update showed.
    shown: i64,
}

impl State {
    /// Repairs what was missed and counts who returns, as far as one read may take. False: not everybody is counted yet.
    pub(super) async fn settle(&mut self, myself: &ActorRef<Msg>) -> Result<bool, EventError> {
        if self.loaded()?.stale {
            self.reload(myself).await?;
        }
        for _ in 0..STEPS_PER_READ {
            if self.count_step().await?.counted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts before an update that somebody reads, as far as there is time; the rest follows with an update of its own.
    pub(super) async fn count_for_update(&mut self, myself: &ActorRef<Msg>) {
        let mut counted = self.loaded().is_ok_and(|l| l.returning_to >= l.tally.last_no);
        if !counted && self.returning.rests_until.is_none_or(|at| at <= Instant::now()) {
            let began = Instant::now();
            match self.count_step().await {
                Ok(step) => {
                    let rest = if step.alone { SINGLE_EVENT_RECHECK } else { began.elapsed() * PAUSE_FACTOR };
                    self.returning.rests_until = Some(Instant::now() + rest);
                    counted = step.counted;
                }
                Err(e) => {
                    tracing::warn!(event = %self.args.id, error = %e, "who returns could not be counted");
                    self.returning.rests_until =
                        Some(Instant::now() + (began.elapsed() * PAUSE_FACTOR).max(SINGLE_EVENT_RECHECK));
                }
            }
        }
        if !counted {
            self.count_later(myself);
        }
    }

    /// Readers shall see the rest, too.
    pub(super) fn count_later(&mut self, myself: &ActorRef<Msg>) {
        if self.tools.hub.is_read(&Topic::Event(self.args.id)) && !std::mem::replace(&mut self.returning.due, true) {
            myself.send_after(UPDATE_INTERVAL, || Msg::CountDue);
        }
    }

    /// What readers were shown.
    pub(super) fn counted_shown(&mut self) {
        self.returning.shown = self.loaded().map_or(0, |l| l.tally.returning);
    }

    /// Counts the rest, and has it shown under a version of its own: readers have the one before already.
    pub(super) async fn count_rest(&mut self, myself: &ActorRef<Msg>) {
        self.returning.due = false;
        let id = self.args.id;
        // What is about to be published counts for itself.
        if self.unpublished.is_some() || !self.tools.hub.is_read(&Topic::Event(id)) {
            return;
        }
        self.count_for_update(myself).await;
        let shown = self.returning.shown;
        let news = self.loaded().is_ok_and(|l| l.tally.returning != shown);
        if self.returning.due || !news {
            return;
        }
        match self.tools.store.run(async move |c| storage::events::log_fact(c, id).await).await {
            Ok(version) => {
                self.logged(version);
                self.touch(myself, Change::Counted);
            }
            Err(e) => tracing::warn!(event = %id, error = %e, "who returns was counted, but not shown"),
        }
    }

    async fn count_step(&mut self) -> Result<Step, EventError> {
        let l = self.loaded()?;
        let (from, last) = (l.returning_to + 1, l.tally.last_no);
        if from > last {
            return Ok(Step { counted: true, alone: false });
        }
        let (event, store, to) = (l.event.id, l.event.store, last.min(from + PHONES_PER_STEP - 1));
        let found =
            self.tools.store.run(async move |c| storage::tally::returning(c, event, store, from, to).await).await?;
        let l = self.loaded()?;
        l.tally.returning += found.unwrap_or(0);
        l.returning_to = if found.is_some() { to } else { last };
        Ok(Step { counted: l.returning_to >= last, alone: found.is_none() })
    }
}

struct Step {
    /// Everybody is counted.
    counted: bool,
    /// The shop has no other event.
    alone: bool,
}
