//! A distribution: its job with lease and epoch, six channels that lose answers, and a runner that may be the second one.

use super::scheduler::Millis;
use super::{FAULTS_END, NODES, World};
use domain::channel::{Channel, Mode};
use domain::distribution::{ErrorClass, Outcome, PublicationStatus, Situation, Step, on_recovery, settle};
use domain::job::{BEAT, LEASE};
use rand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// A call to a channel is given up after this; it may still arrive until then.
const DEADLINE: Millis = 10_000;
/// How often the dispatcher looks for due jobs.
const POLL: Millis = 1_000;

/// A run of the job by a node in one of its lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    node: usize,
    life: u32,
    epoch: u64,
}

/// Where the run stands with a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    channel: Channel,
    calls: i32,
    attempt: i32,
}

#[derive(Debug)]
pub(super) enum Action {
    /// The dispatcher of a node looks.
    Poll { node: usize, life: u32 },
    /// The runner renews its lease.
    Beat(Run),
    /// The runner does what follows.
    Step(Run, Progress, Step),
    /// The runner sends what it recorded, if that is not too long ago.
    Send(Run, Progress, Millis),
    /// A post reaches the channel.
    Post(Channel),
    /// A call ended so for the runner.
    Called(Run, Progress, Outcome),
}

/// What the channels really have.
#[derive(Default)]
pub(super) struct Upstream {
    posts: BTreeMap<Channel, u32>,
    /// Channels a run still works on.
    open: BTreeMap<u64, usize>,
}

impl Action {
    pub(super) fn node(&self) -> Option<usize> {
        match self {
            Self::Poll { node, .. } => Some(*node),
            Self::Beat(run) | Self::Step(run, ..) | Self::Send(run, ..) | Self::Called(run, ..) => Some(run.node),
            Self::Post(_) => None,
        }
    }
}

fn millis(d: Duration) -> Millis {
    d.as_millis() as Millis
}

impl World {
    pub(super) fn begin_publishing(&mut self) {
        for node in 0..NODES {
            self.poll(node);
        }
    }

    pub(super) fn poll(&mut self, node: usize) {
        let life = self.nodes[node].life;
        self.act(POLL, Action::Poll { node, life });
    }

    fn act(&mut self, after: Millis, action: Action) {
        self.scheduler.after(after, super::Action::Publishing(action));
    }

    pub(super) fn publishing(&mut self, action: Action) {
        match action {
            Action::Post(channel) => *self.upstream.posts.entry(channel).or_default() += 1,
            Action::Poll { node, life } if self.is_alive(node, life) => self.look(node, life),
            // Fenced, or over: no more beats.
            Action::Beat(run)
                if self.is_alive(run.node, run.life) && self.database.beat(self.scheduler.now, run.epoch) =>
            {
                self.act(millis(BEAT), Action::Beat(run));
            }
            Action::Step(run, progress, step) if self.is_alive(run.node, run.life) => self.step(run, progress, step),
            Action::Send(run, progress, leased) if self.is_alive(run.node, run.life) => {
                if self.scheduler.now - leased > millis(LEASE) - DEADLINE {
                    let held_up = Outcome::Failed { class: ErrorClass::Throttled, retry_after: None };
                    self.follow(run, progress, held_up);
                } else {
                    self.call(run, progress);
                }
            }
            Action::Called(run, progress, outcome) if self.is_alive(run.node, run.life) => {
                self.follow(run, progress, outcome);
            }
            _ => {}
        }
    }

    fn look(&mut self, node: usize, life: u32) {
        let now = self.scheduler.now;
        self.database.reconcile(now);
        if let Some(epoch) = self.database.claim(now) {
            let run = Run { node, life, epoch };
            self.act(millis(BEAT), Action::Beat(run));
            let rows: Vec<_> = self.database.publications.iter().map(|(c, p)| (*c, p.clone())).collect();
            let mut begun = 0;
            for (channel, row) in rows {
                let progress = Progress { channel, calls: row.calls, attempt: row.attempts };
                if let Some(step) = on_recovery(channel, row.status, Mode::Live) {
                    begun += 1;
                    self.act(0, Action::Step(run, progress, step));
                }
            }
            self.upstream.open.insert(epoch, begun);
            self.settle(run, 0);
        }
        if now < super::ENDS / 2 {
            self.act(POLL, Action::Poll { node, life });
        }
    }

    /// Counts ended channels of a run; with the last one the job ends.
    fn settle(&mut self, run: Run, ended: usize) {
        let Some(open) = self.upstream.open.get_mut(&run.epoch) else { return };
        *open = open.saturating_sub(ended);
        if *open == 0 {
            self.database.finish(run.epoch);
        }
    }

    fn step(&mut self, run: Run, mut progress: Progress, step: Step) {
        match step {
            Step::CallAfter(wait) if !wait.is_zero() => {
                self.act(millis(wait), Action::Step(run, progress, Step::CallAfter(Duration::ZERO)));
            }
            Step::CallAfter(_) => match self.database.begin_call(self.scheduler.now, run.epoch, progress.channel) {
                // Somebody else settles it.
                None => self.settle(run, 1),
                Some((calls, attempt)) => {
                    (progress.calls, progress.attempt) = (calls, attempt);
                    // Between what is recorded and what is sent a node may stall.
                    let wait = self.scheduler.rng.random_range(1..2_000);
                    let leased = self.scheduler.now;
                    self.act(wait, Action::Send(run, progress, leased));
                }
            },
            Step::Ask => self.ask(run, progress),
            Step::End(ending) => {
                let look_at = ending.look_again_in.map(|wait| self.scheduler.now + millis(wait));
                self.database.change(progress.channel, progress.attempt, ending.status, look_at);
                self.settle(run, 1);
            }
        }
    }

    /// The post may arrive or not, and so may its answer; what arrives does so within the deadline.
    fn call(&mut self, run: Run, progress: Progress) {
        let healthy = self.scheduler.now >= FAULTS_END;
        let arrives = healthy || self.scheduler.chance(0.6);
        let answered = healthy || self.scheduler.chance(0.6);
        let takes = self.scheduler.rng.random_range(10..DEADLINE);
        let failed = |class| Outcome::Failed { class, retry_after: None };
        let outcome = match (arrives, answered) {
            (true, true) => Outcome::Published,
            (false, true) if self.scheduler.chance(0.5) => failed(ErrorClass::Throttled),
            (false, true) => failed(ErrorClass::Transient),
            _ => failed(ErrorClass::UnknownOutcome),
        };
        if arrives {
            let at = if answered { takes } else { self.scheduler.rng.random_range(10..DEADLINE) };
            self.act(at.saturating_sub(1), Action::Post(progress.channel));
        }
        let heard = if answered { takes } else { DEADLINE };
        self.act(heard, Action::Called(run, progress, outcome));
    }

    /// The channel says what it has, or nothing.
    fn ask(&mut self, run: Run, progress: Progress) {
        let silent = self.scheduler.now < FAULTS_END && self.scheduler.chance(0.3);
        let there = self.upstream.posts.contains_key(&progress.channel);
        let outcome = match (silent, there) {
            (true, _) => Outcome::NobodyKnows,
            (false, true) => Outcome::Published,
            (false, false) => Outcome::NotThere,
        };
        let wait = self.scheduler.rng.random_range(5..500);
        self.act(wait, Action::Called(run, progress, outcome));
    }

    /// Does what the channel's shell does, by the same decision.
    fn follow(&mut self, run: Run, progress: Progress, outcome: Outcome) {
        let now = Situation {
            channel: progress.channel,
            calls: progress.calls,
            event_over: false,
            longest_wait: Duration::MAX,
            jitter: self.scheduler.rng.random(),
        };
        let step = settle(outcome, &now);
        if matches!(step, Step::CallAfter(_))
            && !self.database.change(progress.channel, progress.attempt, PublicationStatus::Retrying, None)
        {
            // Another runner took over: what this one knows is no news.
            return self.settle(run, 1);
        }
        self.step(run, progress, step);
    }

    pub(super) fn judge_publications(&self) -> Result<(), String> {
        use PublicationStatus as P;
        for (channel, row) in &self.database.publications {
            let posts = self.upstream.posts.get(channel).copied().unwrap_or(0);
            if posts > 1 {
                return Err(format!("{channel} was posted to {posts} times"));
            }
            match (row.status, posts) {
                (P::Published, 1) | (P::Failed, 0) => {}
                (P::Unknown, _) if !channel.can_be_asked() => {}
                (status, posts) => return Err(format!("{channel} is {status} in the end, with {posts} posts")),
            }
        }
        if !self.database.job.status.is_over() {
            return Err(format!("the job is {} in the end", self.database.job.status));
        }
        Ok(())
    }
}
