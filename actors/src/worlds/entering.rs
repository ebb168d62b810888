//! Customers, the journal of each node, and an owner who pauses, resumes and closes.

use super::database::{Contended, HEADS, Row, clock};
use super::scheduler::{Millis, Scheduler};
use super::{FAULTS_END, NODES, World};
use crate::journal::lanes::{Lane, Lanes};
use domain::catalog::Objective;
use domain::channel::Channel;
use domain::entry::Verdict;
use domain::event::command::PlanInput;
use domain::event::{Command, Event, Status, decide};
use domain::ids::{DistributionId, EventId, ImageId, StoreId, UserId};
use domain::offer::{EventOption, Expected, Prize, Range, Tier};
use rand::Rng;
use uuid::Uuid;

/// The journal's pure core over the rows of this world.
pub(super) type Journal = Lanes<usize, Row>;

/// How long a statement without an answer is repeated.
const PATIENCE: Millis = 2_500;

#[derive(Debug)]
pub(super) enum Action {
    /// A customer sends the request, for the first time or again.
    Send { customer: usize },
    /// The request reaches a node.
    Arrive { node: usize, life: u32, customer: usize },
    /// The statement of a batch reaches the database; whether its answer is lost was decided when it was sent.
    Statement { flush: Flush, lost: bool },
    /// Its answer, or none, reaches the node.
    Return { flush: Flush, verdicts: Option<Vec<Option<Verdict>>>, contended: bool },
    /// The answer reaches the customer.
    Answer { customer: usize, answer: Answer },
    /// Somebody else takes the head's lock for a while.
    Hold(usize),
    /// The owner's command reaches a node that knows the event as it was then.
    Command { node: usize, life: u32, command: Command, seen: Box<Event>, tries: u32 },
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub(super) struct Flush {
    node: usize,
    life: u32,
    lane: Lane,
    batch: Vec<Row>,
    begun: Millis,
    skip_held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 201 with this number.
    Entered(i64),
    /// 409, 410: there is nothing more to hear.
    Refused,
    /// 503 and 425: again.
    Later,
}

pub(super) struct Customer {
    head: usize,
    phone: u32,
    key: u32,
    heard: Option<Answer>,
}

impl Action {
    /// The node that acts, if one does.
    pub(super) fn node(&self) -> Option<usize> {
        match self {
            Self::Arrive { node, .. } | Self::Command { node, .. } => Some(*node),
            Self::Return { flush, .. } => Some(flush.node),
            _ => None,
        }
    }
}

pub(super) fn journal(scheduler: &mut Scheduler<super::Action>) -> Journal {
    // Small batches, so that worlds meet what large ones would.
    Lanes::new(|row: &Row| row.head, scheduler.rng.random_range(1..12))
}

/// An event that is live, as the rules make one.
pub(super) fn live_event() -> Event {
    let id = |n: u128| Uuid::from_u128(n);
    let (owner, store) = (UserId(id(1)), StoreId(id(2)));
    let mut event = Event::draft(EventId(id(3)), "s".into(), owner, store, Objective::Sales, clock(0));
    let range = Range { low: 1, high: 2 };
    let option = EventOption {
        id: "o1".into(),
        tier: Tier::Low,
        title: "제목".into(),
        summary: "s".into(),
        mechanics: "m".into(),
        prizes: vec![Prize { name: "쿠폰".into(), quantity: 1, unit_value_won: 1_000 }],
        duration_days: 7,
        channels: vec![Channel::Kakao],
        expected: Expected {
            participants: range,
            cost_won: 1_000,
            revenue_won: range,
            roi_percent: Range { low: 0, high: 0 },
        },
        rationale: vec![],
    };
    let plan = PlanInput { option, title: None, starts_at: None, ends_at: None, prizes: None, visit_weight: None };
    let approve = Command::Approve { commitment: [7; 32], distribution: DistributionId(id(4)), content: vec![] };
    for command in [
        Command::Plan(Box::new(plan)),
        Command::ChooseContent(vec![ImageId(id(5))]),
        Command::ChooseChannels(vec![Channel::Kakao]),
        approve,
    ] {
        for fact in decide(&event, command, clock(0)).expect("a draft takes it") {
            event.apply(&fact, clock(0));
        }
    }
    assert_eq!(event.status, Status::Live);
    event
}

impl World {
    /// Customers come over the first minutes; the owner pauses, resumes, and closes in the end.
    pub(super) fn open_shop(&mut self) {
        let count = self.scheduler.rng.random_range(5..60);
        for n in 0..count {
            // A small pool of phones: some come twice, in requests of their own.
            let phone = self.scheduler.rng.random_range(0..count as u32 * 2);
            let head = self.scheduler.rng.random_range(0..HEADS);
            self.customers.push(Customer { head, phone, key: n as u32, heard: None });
            self.plan(0..FAULTS_END, Action::Send { customer: n });
        }
        for _ in 0..self.scheduler.rng.random_range(0..6) {
            let head = self.scheduler.rng.random_range(0..HEADS);
            self.plan(0..FAULTS_END, Action::Hold(head));
        }
        let seen = Box::new(self.database.event.clone());
        for _ in 0..self.scheduler.rng.random_range(0..4) {
            let command = if self.scheduler.chance(0.5) { Command::Pause { reason: None } } else { Command::Resume };
            let at = self.scheduler.rng.random_range(0..FAULTS_END);
            self.command(at, command, seen.clone(), 0);
        }
        // Open at the end, so that everybody hears something, then shut.
        self.command(FAULTS_END + 5_000, Command::Resume, seen.clone(), 0);
        self.command(FAULTS_END + 100_000, Command::Close { by_time: false }, seen, 0);
    }

    fn plan(&mut self, within: std::ops::Range<Millis>, action: Action) {
        self.scheduler.within(within, super::Action::Entering(action));
    }

    fn command(&mut self, after: Millis, command: Command, seen: Box<Event>, tries: u32) {
        let node = self.scheduler.rng.random_range(0..NODES);
        let life = self.nodes[node].life;
        self.scheduler.after(after, super::Action::Entering(Action::Command { node, life, command, seen, tries }));
    }

    pub(super) fn entering(&mut self, action: Action) {
        match action {
            Action::Send { customer } => self.send(customer),
            Action::Arrive { node, life, customer } => {
                if self.is_alive(node, life) {
                    let c = &self.customers[customer];
                    let row = Row {
                        customer,
                        head: c.head,
                        maybe_stored: false,
                        since: self.scheduler.now,
                        phone: c.phone,
                        key: c.key,
                        id: Uuid::from_u128(self.scheduler.rng.random()),
                    };
                    self.nodes[node].journal.submit(row);
                    self.flush(node);
                }
            }
            Action::Statement { flush, lost } => self.statement(flush, lost),
            Action::Return { flush, verdicts, contended } => {
                if self.is_alive(flush.node, flush.life) {
                    self.returned(flush, verdicts, contended);
                }
            }
            Action::Answer { customer, answer } => self.hear(customer, answer),
            Action::Hold(head) => {
                let until = self.scheduler.now + self.scheduler.rng.random_range(1..8_000);
                let held = &mut self.database.heads[head].held_until;
                *held = until.max(*held);
            }
            Action::Command { node, life, command, seen, tries } => {
                if self.is_alive(node, life) {
                    self.decide(command, &seen, tries);
                } else {
                    // The owner hears nothing, reads the event, and asks again.
                    let seen = Box::new(self.database.event.clone());
                    self.command(3_000, command, seen, 0);
                }
            }
        }
    }

    /// To any node; lost, doubled, or on its way. Repeated with the same key until something definite is heard.
    fn send(&mut self, customer: usize) {
        if matches!(self.customers[customer].heard, Some(Answer::Entered(_) | Answer::Refused)) {
            return;
        }
        let copies = if self.scheduler.chance(0.1) { 2 } else { usize::from(!self.scheduler.chance(0.1)) };
        for _ in 0..copies {
            let node = self.scheduler.rng.random_range(0..NODES);
            let life = self.nodes[node].life;
            self.plan(1..200, Action::Arrive { node, life, customer });
        }
        self.plan(1_000..9_000, Action::Send { customer });
    }

    fn hear(&mut self, customer: usize, answer: Answer) {
        let heard = &mut self.customers[customer].heard;
        match (*heard, answer) {
            (Some(Answer::Entered(one)), Answer::Entered(other)) => {
                assert_eq!(one, other, "a customer was given two numbers");
            }
            (Some(Answer::Refused), Answer::Entered(number)) => panic!("refused, then entered as {number}"),
            (Some(Answer::Entered(_) | Answer::Refused), _) => {}
            _ => *heard = Some(answer),
        }
    }

    fn flush(&mut self, node: usize) {
        for lane in Lane::ALL {
            if let Some(batch) = self.nodes[node].journal.batch(lane) {
                let (life, begun) = (self.nodes[node].life, self.scheduler.now);
                self.write(Flush { node, life, lane, batch, begun, skip_held: lane == Lane::Main });
            }
        }
    }

    fn write(&mut self, flush: Flush) {
        // Lost on the way, or executed and its answer lost.
        let faulty = self.scheduler.now < FAULTS_END && self.scheduler.chance(0.15);
        if faulty && self.scheduler.chance(0.5) {
            self.plan(5..300, Action::Return { flush, verdicts: None, contended: false });
        } else {
            self.plan(1..30, Action::Statement { flush, lost: faulty });
        }
    }

    fn statement(&mut self, flush: Flush, lost: bool) {
        let done = self.database.enter_batch(self.scheduler.now, &flush.batch, flush.skip_held);
        let (verdicts, contended, wait) = match done {
            Ok(verdicts) => ((!lost).then_some(verdicts), false, 1..30),
            Err(Contended) => (None, !lost, 150..180),
        };
        self.plan(wait, Action::Return { flush, verdicts, contended });
    }

    /// What `journal::flush` does with an answer.
    fn returned(&mut self, mut flush: Flush, verdicts: Option<Vec<Option<Verdict>>>, contended: bool) {
        let waited = self.scheduler.now - flush.begun;
        let Some(verdicts) = verdicts else {
            if contended {
                flush.skip_held = true;
                return self.write(flush);
            }
            flush.batch.iter_mut().for_each(|row| row.maybe_stored = true);
            if waited <= PATIENCE {
                return self.write(flush);
            }
            for row in &flush.batch {
                self.refuse(row);
            }
            self.nodes[flush.node].journal.flushed(flush.lane, Vec::new());
            return self.flush(flush.node);
        };
        let mut held = Vec::new();
        for (row, verdict) in flush.batch.into_iter().zip(verdicts) {
            match verdict {
                Some(Verdict::Stored { entry_no, .. }) => self.reply(row.customer, Answer::Entered(entry_no)),
                Some(Verdict::NotOpen) => self.reply(row.customer, Answer::Later),
                Some(_) => self.reply(row.customer, Answer::Refused),
                None if self.scheduler.now - row.since > PATIENCE => self.refuse(&row),
                None => held.push(row),
            }
        }
        self.nodes[flush.node].journal.flushed(flush.lane, held);
        self.flush(flush.node);
    }

    /// 503: nothing was done, unless an attempt was not answered.
    fn refuse(&mut self, row: &Row) {
        let stored = self.database.heads[row.head].entries.iter().any(|e| e.id == row.id);
        assert!(!stored || row.maybe_stored, "customer {} hears that nothing was done, and is in", row.customer);
        self.reply(row.customer, Answer::Later);
    }

    fn reply(&mut self, customer: usize, answer: Answer) {
        if !self.scheduler.chance(0.1) {
            self.plan(1..200, Action::Answer { customer, answer });
        }
    }

    /// On what the node knew; decided anew on what is there when somebody else was first.
    fn decide(&mut self, command: Command, seen: &Event, tries: u32) {
        let now = self.scheduler.now;
        let Ok(facts) = decide(seen, command.clone(), clock(now)) else {
            // Refused on what was known, which may be old: believed only when it is current.
            if seen.revision != self.database.event.revision && tries < 10 {
                let seen = Box::new(self.database.event.clone());
                self.command(1, command, seen, tries + 1);
            }
            return;
        };
        if facts.is_empty() || self.database.commit(now, seen.revision, facts) {
            return;
        }
        let seen = Box::new(self.database.event.clone());
        self.command(50, command, seen, tries);
    }

    /// What customers were told is what is there, in every event.
    pub(super) fn judge_entries(&self) -> Result<(), String> {
        for (n, customer) in self.customers.iter().enumerate() {
            match customer.heard {
                Some(Answer::Entered(number)) => {
                    let entries = &self.database.heads[customer.head].entries;
                    let entry = usize::try_from(number - 1).ok().and_then(|i| entries.get(i));
                    if entry.is_none_or(|e| e.phone != customer.phone) {
                        return Err(format!("customer {n} holds number {number}, which is not theirs"));
                    }
                }
                Some(Answer::Refused) => {}
                other => return Err(format!("customer {n} never heard anything definite: {other:?}")),
            }
        }
        for (n, head) in self.database.heads.iter().enumerate() {
            for entry in &head.entries {
                if !self.customers.iter().any(|c| c.head == n && c.phone == entry.phone) {
                    return Err(format!("number {} of event {n} belongs to nobody", entry.number));
                }
            }
        }
        self.judge_event()
    }

    /// The event is closed in the end, and nothing came after that: the close counted what is there.
    fn judge_event(&self) -> Result<(), String> {
        let (event, stored) = (&self.database.event, self.database.heads[0].entries.len());
        if event.status != Status::Closed {
            return Err(format!("the event is {} in the end", event.status));
        }
        match self.database.closed_with {
            Some(entries) if entries == stored => Ok(()),
            other => Err(format!("closed with {other:?}, {stored} are in")),
        }
    }
}
