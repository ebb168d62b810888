//! What lasts, behaving as the SQL says: a head that is lock and gate, numbers given under it, a revision that is compared,
//! leases with epochs, publications guarded by their status and attempt.

use super::scheduler::Millis;
use chrono::DateTime;
use domain::channel::Channel;
use domain::distribution::PublicationStatus;
use domain::entry::Verdict;
use domain::event::{Event, Fact};
use domain::job::{JobKind, JobStatus, LEASE};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row as a node sends it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) customer: usize,
    /// Which event's head it needs.
    pub(super) head: usize,
    /// An attempt to store it was not answered.
    pub(super) maybe_stored: bool,
    /// When it was handed over.
    pub(super) since: Millis,
    pub(super) phone: u32,
    pub(super) id: Uuid,
    pub(super) key: u32,
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) phone: u32,
    pub(super) id: Uuid,
    key: u32,
    at: Millis,
}

/// `events.jobs`.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) status: JobStatus,
    run_at: Millis,
    lease_until: Millis,
    pub(super) epoch: u64,
    pub(super) attempts: i32,
}

/// `events.publications`.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) status: PublicationStatus,
    pub(super) calls: i32,
    pub(super) attempts: i32,
    pub(super) look_at: Option<Millis>,
}

/// Events of a world. The first has a life; the others only take entries.
pub(super) const HEADS: usize = 3;

/// An event's head, entries and log.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// Somebody else holds it until then.
    pub(super) held_until: Millis,
    pub(super) entries: Vec<Entry>,
    /// Versions of the log with the entries so far.
    pub(super) log: Vec<i64>,
}

pub(super) struct Database {
    pub(super) heads: [Head; HEADS],
    open: bool,
    shut: bool,
    pub(super) event: Event,
    /// Entries that the close counted.
    pub(super) closed_with: Option<usize>,
    pub(super) job: Job,
    pub(super) publications: BTreeMap<Channel, Publication>,
}

/// Virtual time as the database's clock shows it.
pub(super) fn clock(now: Millis) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + now as i64).expect("a time")
}

/// A head was held longer than the statement waits.
#[derive(Debug)]
pub(super) struct Contended;

impl Database {
    pub(super) fn new() -> Self {
        let event = super::entering::live_event();
        Self {
            heads: Default::default(),
            open: true,
            shut: false,
            event,
            closed_with: None,
            job: Job { status: JobStatus::Queued, run_at: 0, lease_until: 0, epoch: 0, attempts: 0 },
            publications: Channel::ALL
                .iter()
                .map(|c| {
                    let queued = PublicationStatus::Queued;
                    (*c, Publication { status: queued, calls: 0, attempts: 0, look_at: None })
                })
                .collect(),
        }
    }

    /// `enter_batch_v1`: `None` where the head is held.
    pub(super) fn enter_batch(
        &mut self,
        now: Millis,
        rows: &[Row],
        skip_held: bool,
    ) -> Result<Vec<Option<Verdict>>, Contended> {
        if !skip_held && rows.iter().any(|row| self.heads[row.head].held_until > now) {
            return Err(Contended);
        }
        let before = self.heads.each_ref().map(|h| h.entries.len());
        let verdicts = rows.iter().map(|row| self.judge(now, row)).collect();
        for (head, before) in self.heads.iter_mut().zip(before) {
            if head.entries.len() > before {
                head.log.push(head.entries.len() as i64);
            }
        }
        Ok(verdicts)
    }

    fn judge(&mut self, now: Millis, row: &Row) -> Option<Verdict> {
        let head = &mut self.heads[row.head];
        if let Some(old) = head.entries.iter().find(|e| e.phone == row.phone) {
            let own = old.id == row.id || old.key == row.key;
            let stored = Verdict::Stored { entry_no: old.number, id: old.id, entered_at: clock(old.at), fresh: false };
            return Some(if own { stored } else { Verdict::Duplicate });
        }
        if head.held_until > now {
            return None;
        }
        match (row.head, self.open, self.shut) {
            (0, _, true) => return Some(Verdict::Ended),
            (0, false, _) => return Some(Verdict::NotOpen),
            _ => {}
        }
        let number = head.entries.len() as i64 + 1;
        head.entries.push(Entry { number, phone: row.phone, id: row.id, key: row.key, at: now });
        Some(Verdict::Stored { entry_no: number, id: row.id, entered_at: clock(now), fresh: true })
    }

    /// Facts and fold in one transaction, if nobody was first. The head's lock is part of it.
    pub(super) fn commit(&mut self, now: Millis, revision: i64, mut facts: Vec<Fact>) -> bool {
        if self.event.revision != revision || self.heads[0].held_until > now {
            return false;
        }
        for fact in &mut facts {
            match fact {
                Fact::Closed { entries, .. } => {
                    *entries = self.heads[0].entries.len() as i64;
                    self.closed_with = Some(self.heads[0].entries.len());
                    self.shut = true;
                }
                Fact::Paused { .. } => self.open = false,
                Fact::Resumed {} => self.open = true,
                _ => {}
            }
            self.event.apply(fact, clock(now));
        }
        let head = &mut self.heads[0];
        head.log.push(head.entries.len() as i64);
        true
    }

    /// Claims the job if it is due, or its runner's lease ran out: the epoch of the claim.
    pub(super) fn claim(&mut self, now: Millis) -> Option<u64> {
        let job = &mut self.job;
        let due = match job.status {
            JobStatus::Queued => job.run_at <= now,
            JobStatus::Running => job.lease_until < now,
            _ => false,
        };
        if !due {
            return None;
        }
        job.status = JobStatus::Running;
        job.lease_until = now + LEASE.as_millis() as Millis;
        job.epoch += 1;
        job.attempts += 1;
        Some(job.epoch)
    }

    /// Renews a lease. False: fenced.
    pub(super) fn beat(&mut self, now: Millis, epoch: u64) -> bool {
        let held = self.job.epoch == epoch && self.job.status == JobStatus::Running;
        if held {
            self.job.lease_until = now + LEASE.as_millis() as Millis;
        }
        held
    }

    /// Ends a run, if it is still the one.
    pub(super) fn finish(&mut self, epoch: u64) {
        if self.job.epoch == epoch && self.job.status == JobStatus::Running {
            self.job.status = JobStatus::Succeeded;
        }
    }

    /// Puts the job back where something is left to do and nobody does it, as the reconciler does.
    pub(super) fn reconcile(&mut self, now: Millis) {
        use PublicationStatus as P;
        let left = self.publications.values().any(|p| match p.status {
            P::Queued | P::Publishing | P::Retrying => true,
            P::Unknown | P::AwaitingReview => p.look_at.is_some_and(|at| at <= now),
            _ => false,
        });
        if left && self.job.status.is_over() {
            let attempts = 0;
            self.job = Job { status: JobStatus::Queued, run_at: now, attempts, ..self.job.clone() };
            debug_assert!(self.job.attempts <= JobKind::Distribution.max_attempts());
        }
    }

    /// Records the intent before a call and renews the lease: the attempt that it is. `None`: not to be called now, or not
    /// by this runner.
    pub(super) fn begin_call(&mut self, now: Millis, epoch: u64, channel: Channel) -> Option<(i32, i32)> {
        if !self.beat(now, epoch) {
            return None;
        }
        let p = self.publications.get_mut(&channel).expect("every channel");
        if !matches!(p.status, PublicationStatus::Queued | PublicationStatus::Retrying) {
            return None;
        }
        p.status = PublicationStatus::Publishing;
        p.calls += 1;
        p.attempts += 1;
        p.look_at = None;
        Some((p.calls, p.attempts))
    }

    /// Writes what an attempt came to, if it is still the last one.
    pub(super) fn change(
        &mut self,
        channel: Channel,
        attempt: i32,
        to: PublicationStatus,
        look_at: Option<Millis>,
    ) -> bool {
        use PublicationStatus as P;
        let p = self.publications.get_mut(&channel).expect("every channel");
        let from = matches!(p.status, P::Publishing | P::Retrying | P::Queued | P::AwaitingReview | P::Unknown);
        if !from || p.attempts != attempt {
            return false;
        }
        p.status = to;
        p.look_at = look_at;
        true
    }

    /// What two plays of one seed must agree on.
    pub(super) fn summary(&self) -> String {
        format!("{:?} {:?} {:?}", self.heads, self.publications, self.event.status)
    }
}
