//! The breaker's rules: pure but for the crate it wraps, with time as an argument.
//!
//! `circuitbreaker-rs` decides by a cumulative rate, wedges half-open when a probe is lost, and counts completions of
//! earlier states. So it only holds the state; admission, the window and the single probe are ours, and its half-open
//! state exists only inside one synchronous call.

use circuitbreaker_rs::{CircuitBreaker, DefaultPolicy, State};
use std::collections::VecDeque;
use std::time::Duration;

/// The limits, settled in CT-01 and RS-02.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Length of the sliding window.
    pub window: Duration,
    /// The most calls it holds.
    pub window_calls: usize,
    /// Calls before a rate means anything.
    pub min_calls: usize,
    /// Share of failures that opens it.
    pub rate: f64,
    /// How long it stays open at first.
    pub cooldown: Duration,
    /// The longest cooldown after failed probes.
    pub longest: Duration,
    /// A probe without an outcome after this long is lost.
    pub probe_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            window_calls: 100,
            min_calls: 10,
            rate: 0.5,
            cooldown: Duration::from_secs(30),
            longest: Duration::from_secs(60),
            probe_ttl: Duration::from_secs(45),
        }
    }
}

/// A call that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    nonce: u64,
    generation: u64,
    id: u64,
    probe: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream did its part, if only by saying no.
    Succeeded,
    /// It did not.
    Failed,
    /// It answered, and not to the point: our key, our bill, our words. It lives, but that says nothing of a rate.
    Answered,
    /// It asked to be left alone for a while.
    Throttled,
    /// Cancelled, or settled without the upstream.
    NoEvidence,
}

#[derive(Debug)]
struct Up;

impl std::fmt::Display for Up {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("upstream")
    }
}

impl std::error::Error for Up {}

/// One breaker.
pub struct Core {
    held: CircuitBreaker<DefaultPolicy, Up>,
    settings: Settings,
    nonce: u64,
    generation: u64,
    next: u64,
    window: VecDeque<(Duration, bool)>,
    retry_at: Duration,
    cooldown: Duration,
    probe: Option<(u64, Duration)>,
    trips: u64,
    forced: bool,
}

impl Core {
    /// A closed breaker. The nonce tells permits of an earlier life apart.
    #[must_use]
    pub fn new(settings: Settings, nonce: u64) -> Self {
        let held = CircuitBreaker::<DefaultPolicy, Up>::builder()
            .failure_threshold(2.0)
            .min_throughput(u64::MAX)
            .consecutive_failures(u64::MAX)
            .consecutive_successes(1)
            .probe_interval(0)
            .cooldown(Duration::ZERO)
            .build();
        let cooldown = settings.cooldown;
        Self {
            held,
            settings,
            nonce,
            generation: 0,
            next: 0,
            window: VecDeque::new(),
            retry_at: Duration::ZERO,
            cooldown,
            probe: None,
            trips: 0,
            forced: false,
        }
    }

    /// Lets a call through, or says how long to wait.
    ///
    /// # Errors
    /// Open: the time until the next probe.
    pub fn admit(&mut self, now: Duration) -> Result<Admitted, Duration> {
        self.next += 1;
        let admitted = Admitted { nonce: self.nonce, generation: self.generation, id: self.next, probe: false };
        if self.held.current_state() == State::Closed {
            return Ok(admitted);
        }
        if self.forced {
            return Err(self.cooldown);
        }
        if let Some((_, since)) = self.probe {
            let lost_at = since + self.settings.probe_ttl;
            if now < lost_at {
                return Err(lost_at.checked_sub(now).unwrap_or_default());
            }
            // A lost probe is a failed probe.
            self.probe = None;
            self.retry_at = now + self.cooldown;
        }
        if now < self.retry_at {
            return Err(self.retry_at.checked_sub(now).unwrap_or_default());
        }
        self.probe = Some((self.next, now));
        Ok(Admitted { probe: true, ..admitted })
    }

    /// Takes the outcome of a call. Late ones, of an earlier state or life, are ignored. `jitter` in 0..1 spreads the
    /// cooldown by a fifth either way.
    pub fn complete(&mut self, now: Duration, admitted: Admitted, outcome: Outcome, jitter: f64) {
        if admitted.nonce != self.nonce || admitted.generation != self.generation {
            return;
        }
        if admitted.probe {
            self.complete_probe(now, admitted, outcome, jitter);
            return;
        }
        if matches!(outcome, Outcome::NoEvidence | Outcome::Answered | Outcome::Throttled) {
            return;
        }
        self.window.push_back((now, outcome == Outcome::Failed));
        self.evict(now);
        let failures = self.window.iter().filter(|(_, failed)| *failed).count();
        let calls = self.window.len();
        if calls >= self.settings.min_calls && failures as f64 >= self.settings.rate * calls as f64 {
            self.open(now, jitter);
        }
    }

    fn complete_probe(&mut self, now: Duration, admitted: Admitted, outcome: Outcome, jitter: f64) {
        if self.probe.map(|(id, _)| id) != Some(admitted.id) {
            return;
        }
        self.probe = None;
        match outcome {
            Outcome::NoEvidence => self.retry_at = now,
            Outcome::Throttled => self.retry_at = now + spread(self.cooldown, jitter),
            Outcome::Succeeded | Outcome::Answered => {
                let _ = self.held.call(|| Ok::<(), Up>(()));
                self.close();
            }
            Outcome::Failed => {
                let _ = self.held.call(|| Err::<(), Up>(Up));
                self.cooldown = (self.cooldown * 2).min(self.settings.longest);
                self.retry_at = now + spread(self.cooldown, jitter);
            }
        }
    }

    fn evict(&mut self, now: Duration) {
        while self.window.len() > self.settings.window_calls
            || self.window.front().is_some_and(|(at, _)| now.saturating_sub(*at) > self.settings.window)
        {
            self.window.pop_front();
        }
    }

    fn open(&mut self, now: Duration, jitter: f64) {
        self.held.force_open();
        self.held.reset_stats();
        self.generation += 1;
        self.trips += 1;
        self.window.clear();
        self.probe = None;
        self.cooldown = self.settings.cooldown;
        self.retry_at = now + spread(self.cooldown, jitter);
    }

    fn close(&mut self) {
        self.held.force_closed();
        self.generation += 1;
        self.window.clear();
        self.cooldown = self.settings.cooldown;
        self.forced = false;
    }

    /// An operator opens it until it is closed by hand, or closes it.
    pub fn force(&mut self, now: Duration, open: bool) {
        if open {
            self.open(now, 0.5);
            self.forced = true;
        } else {
            self.probe = None;
            self.close();
        }
    }

    /// `CLOSED`, `OPEN`, or `HALF_OPEN` while a probe is under way.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match (self.held.current_state(), self.probe) {
            (State::Closed, _) => "CLOSED",
            (_, Some(_)) => "HALF_OPEN",
            (_, None) => "OPEN",
        }
    }

    /// Calls in the window, and how many of them failed.
    #[must_use]
    pub fn window(&self) -> (usize, usize) {
        (self.window.len(), self.window.iter().filter(|(_, failed)| *failed).count())
    }

    /// How often it opened.
    #[must_use]
    pub fn trips(&self) -> u64 {
        self.trips
    }
}

fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn trip(core: &mut Core, at: Duration) {
        for _ in 0..10 {
            let a = core.admit(at).unwrap();
            core.complete(at, a, Outcome::Failed, 0.5);
        }
        assert_eq!(core.state_name(), "OPEN");
    }

    #[test]
    fn opens_at_half_of_ten_and_closes_after_one_good_probe() {
        let mut core = Core::new(Settings::default(), 1);
        for i in 0..9 {
            let a = core.admit(s(0)).unwrap();
            core.complete(s(0), a, if i % 2 == 0 { Outcome::Failed } else { Outcome::Succeeded }, 0.5);
        }
        assert_eq!(core.state_name(), "CLOSED", "nine calls say nothing");
        let late = core.admit(s(0)).unwrap();
        let a = core.admit(s(0)).unwrap();
        core.complete(s(0), a, Outcome::Failed, 0.5);
        assert_eq!(core.state_name(), "OPEN");
        assert!(core.admit(s(29)).is_err());
        let probe = core.admit(s(30)).unwrap();
        assert!(core.admit(s(30)).is_err(), "exactly one probe");
        core.complete(s(31), late, Outcome::Succeeded, 0.5);
        assert_eq!(core.state_name(), "HALF_OPEN", "a late completion is ignored");
        core.complete(s(31), probe, Outcome::Succeeded, 0.5);
        assert_eq!(core.state_name(), "CLOSED");
    }

    #[test]
    fn failed_probes_wait_longer_up_to_a_minute_and_lost_ones_are_recovered() {
        let mut core = Core::new(Settings::default(), 1);
        trip(&mut core, s(0));
        let probe = core.admit(s(30)).unwrap();
        core.complete(s(30), probe, Outcome::Failed, 0.5);
        assert!(core.admit(s(89)).is_err());
        let lost = core.admit(s(90)).unwrap();
        assert!(core.admit(s(134)).is_err());
        assert!(core.admit(s(135)).is_err(), "the lost probe counts as failed");
        let probe = core.admit(s(195)).unwrap();
        core.complete(s(195), lost, Outcome::Succeeded, 0.5);
        assert_eq!(core.state_name(), "HALF_OPEN");
        core.complete(s(195), probe, Outcome::NoEvidence, 0.5);
        assert_eq!(core.state_name(), "OPEN", "a cancelled probe is no evidence");
        assert!(core.admit(s(195)).is_ok(), "and its place is free");
    }

    #[test]
    fn caller_faults_and_old_failures_do_not_open_it() {
        let mut core = Core::new(Settings::default(), 1);
        for i in 0..200 {
            let a = core.admit(s(i * 10)).unwrap();
            core.complete(s(i * 10), a, Outcome::Failed, 0.5);
        }
        assert_eq!(core.state_name(), "CLOSED", "never ten within a minute");
        let foreign = Admitted { nonce: 9, generation: 0, id: 1, probe: false };
        for _ in 0..50 {
            core.complete(s(2000), foreign, Outcome::Failed, 0.5);
        }
        assert_eq!(core.state_name(), "CLOSED");
    }

    proptest! {
        // A million steps: 2,500 histories of 400 on average.
        #![proptest_config(ProptestConfig::with_cases(2_500))]
        /// For events in any order: never two probes at once, and after a quiet while a probe is let
        /// through and a success closes it. No wedge, ever.
        #[test]
        fn never_wedges(steps in prop::collection::vec((0u8..6, 0u64..20, 0f64..1.0), 1..800)) {
            let mut core = Core::new(Settings::default(), 7);
            let (mut now, mut held) = (Duration::ZERO, Vec::<Admitted>::new());
            for (what, wait, jitter) in steps {
                now += s(wait);
                match what {
                    0..=2 => if let Ok(a) = core.admit(now) {
                        if a.probe { prop_assert!(core.probe.is_some()); }
                        held.push(a);
                    },
                    3 => if let Some(a) = held.pop() { core.complete(now, a, Outcome::Failed, jitter) },
                    4 => if let Some(a) = held.pop() { core.complete(now, a, Outcome::Succeeded, jitter) },
                    _ => { if !held.is_empty() { let a = held.remove(0); core.complete(now, a, Outcome::NoEvidence, jitter) } }
                }
                prop_assert_ne!(core.held.current_state(), State::HalfOpen);
            }
            // A probe that was lost counts as failed first: two waits at most, then a call is let through.
            now += s(200);
            let mut admitted = core.admit(now);
            for _ in 0..2 {
                if let Err(wait) = admitted {
                    now += wait;
                    admitted = core.admit(now);
                }
            }
            prop_assert!(admitted.is_ok(), "wedged");
            let a = admitted.unwrap();
            core.complete(now, a, Outcome::Succeeded, 0.5);
            let b = if core.state_name() == "CLOSED" { None } else { core.admit(now).ok() };
            if let Some(b) = b { core.complete(now, b, Outcome::Succeeded, 0.5); }
            prop_assert!(core.state_name() != "OPEN" || core.admit(now + s(200)).is_ok());
        }
    }
}
