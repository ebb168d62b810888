//! Breakers: one actor per upstream, the only user of the circuit breaker. Tree: Root → Breaker.
//!
//! The call itself runs in the caller's task, holding a permit; its outcome comes back as a message and is replayed
//! into the core. A permit that is dropped says "cancelled": no evidence either way.

mod budget;
pub mod core;

use self::budget::Budget;
use self::core::{Admitted, Core, Outcome, Settings};
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tools::Tools;
use clients::UpstreamError;
use domain::channel::Upstream;
use domain::distribution::{ErrorClass, MAX_RETRY_AFTER};
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use serde::Serialize;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Retries of one call (RS-03): after 1, 2, 4 s with full jitter.
pub const RETRIES: u32 = 3;
/// Calls to one upstream at a time: a bulkhead per upstream.
const MAX_CONCURRENT_CALLS: usize = 16;
/// Handle on all breakers.
#[derive(Clone)]
pub struct Breakers {
    each: Arc<HashMap<Upstream, BreakerHandle>>,
}

struct BreakerHandle {
    at: Address<Msg>,
    /// Outside the actor, so that a restart does not forget who is inside.
    bulkhead: Arc<Semaphore>,
    budget: Mutex<Budget>,
    /// Known to be open, and told so; outside the actor, which comes back closed.
    open: Arc<AtomicBool>,
    /// Its last answer was that our key or bill is not accepted, which no breaker waits for.
    refuses: AtomicBool,
}

impl BreakerHandle {
    fn new() -> Self {
        Self {
            at: Address::new(),
            bulkhead: Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS)),
            budget: Mutex::default(),
            open: Arc::default(),
            refuses: AtomicBool::new(false),
        }
    }
}

/// What a breaker shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerView {
    /// Which upstream.
    pub upstream: Upstream,
    /// `CLOSED`, `OPEN` or `HALF_OPEN` (open with a probe under way).
    pub state: &'static str,
    /// Calls in the window.
    pub calls: usize,
    /// Failed calls among these.
    pub failures: usize,
    /// How often it tripped.
    pub trips: u64,
}

impl Breakers {
    /// Makes one handle per upstream. Calls are refused until the actors are started.
    pub(crate) fn new() -> Self {
        let handle = |upstream: &Upstream| (*upstream, BreakerHandle::new());
        Self { each: Arc::new(Upstream::ALL.iter().map(handle).collect()) }
    }

    /// Starts the actors.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub(crate) async fn start(&self, tools: &Arc<Tools>, root: &Root) -> Result<(), ractor::SpawnErr> {
        for upstream in Upstream::ALL {
            // There from the start, so that the first one is seen to come.
            for refused in [ErrorClass::Auth, ErrorClass::Quota] {
                let (upstream, outcome) = (upstream.code(), refused.code());
                metrics::counter!("upstream_calls_total", "upstream" => upstream, "outcome" => outcome).increment(0);
            }
            let handle = &self.each[upstream];
            let args = Args { upstream: *upstream, open: handle.open.clone(), tools: tools.clone() };
            let name = format!("breaker:{}", upstream.code());
            let make = move || (Breaker, args.clone());
            root.adopt(Child::new("breaker", name, OnExhausted::Quarantine, &handle.at, make)).await?;
        }
        Ok(())
    }

    /// Names of the upstreams whose breaker is open.
    #[must_use]
    pub fn open(&self) -> Vec<&'static str> {
        let open = |u: &&Upstream| self.each[*u].open.load(Ordering::Acquire);
        Upstream::ALL.iter().filter(open).map(|u| u.code()).collect()
    }

    /// Names of the upstreams that did not accept our key or bill when they answered last.
    #[must_use]
    pub fn refusing(&self) -> Vec<&'static str> {
        let refuses = |u: &&Upstream| self.each[*u].refuses.load(Ordering::Relaxed);
        Upstream::ALL.iter().filter(refuses).map(|u| u.code()).collect()
    }

    /// Makes one call through the breaker and the bulkhead of an upstream.
    ///
    /// # Errors
    /// `unavailable` while it is open, else what the call says.
    pub async fn once<T, F>(&self, upstream: Upstream, call: F) -> Result<T, UpstreamError>
    where
        F: Future<Output = Result<T, UpstreamError>>,
    {
        let one = &self.each[&upstream];
        let _inside = one.bulkhead.acquire().await.map_err(|_| unavailable(Duration::from_secs(1)))?;
        let admitted = one.at.ask(Msg::Admit, Duration::from_secs(2)).await;
        let permit = match admitted {
            Ok(Ok(admitted)) => Permit { at: one.at.clone(), admitted, done: false },
            Ok(Err(wait)) => return Err(unavailable(wait)),
            // Being started again: that says nothing about the upstream, which was not called.
            Err(_) => return Err(UpstreamError::unreached("its breaker does not answer")),
        };
        let started = Instant::now();
        let (result, sent) = clients::http::watching(call).await;
        permit.complete(outcome_of(&result, sent));
        one.budget.lock().called(Instant::now());
        match result.as_ref().map_err(|e| e.class) {
            Ok(_) if sent => one.refuses.store(false, Ordering::Relaxed),
            Err(ErrorClass::Auth | ErrorClass::Quota) => one.refuses.store(true, Ordering::Relaxed),
            Ok(_) | Err(_) => {}
        }
        let label = result.as_ref().map_or_else(|e| e.class.code(), |_| "ok");
        metrics::counter!("upstream_calls_total", "upstream" => upstream.code(), "outcome" => label).increment(1);
        metrics::histogram!("upstream_seconds", "upstream" => upstream.code()).record(started.elapsed().as_secs_f64());
        result
    }

    /// Makes a call that may be repeated: up to three more times while the failure is transient or throttled, never
    /// into an open breaker, and within the upstream's budget.
    ///
    /// # Errors
    /// What the last call said.
    pub async fn retrying<T, F, Fut>(&self, upstream: Upstream, mut call: F) -> Result<T, UpstreamError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, UpstreamError>>,
    {
        let mut attempt = 0;
        loop {
            let result = self.once(upstream, call()).await;
            let Err(e) = &result else { return result };
            let patient = e.retry_after.is_none_or(|asked| asked <= MAX_RETRY_AFTER);
            let again = e.class.may_retry() && e.class != ErrorClass::Unavailable && attempt < RETRIES && patient;
            if !again || !self.may_retry(upstream) {
                return result;
            }
            let full = Duration::from_secs(1 << attempt).mul_f64(rand::random::<f64>().max(0.05));
            tokio::time::sleep(e.retry_after.map_or(full, |asked| full.max(asked))).await;
            attempt += 1;
        }
    }

    /// Spends one retry of an upstream's budget, if there is one.
    #[must_use]
    pub fn may_retry(&self, upstream: Upstream) -> bool {
        self.each[&upstream].budget.lock().take(Instant::now())
    }

    /// What all breakers show.
    pub async fn view(&self) -> Vec<BreakerView> {
        let mut all = Vec::new();
        for upstream in Upstream::ALL {
            if let Ok(view) = self.each[upstream].at.ask(Msg::View, Duration::from_secs(2)).await {
                all.push(view);
            }
        }
        all
    }

    /// Opens or closes a breaker by hand.
    pub fn force(&self, upstream: Upstream, open: bool) {
        let _ = self.each[&upstream].at.cast(Msg::Force(open));
    }

    /// Stops all breakers.
    pub fn stop(&self) {
        for one in self.each.values() {
            one.at.stop();
        }
    }
}

/// What a call says about the upstream's health.
fn outcome_of<T>(result: &Result<T, UpstreamError>, sent: bool) -> Outcome {
    match result.as_ref().map_err(|e| (e.class, e.class.counts_as_failure())) {
        Err((_, Some(true))) => Outcome::Failed,
        // What was settled without the upstream is no evidence, and never a probe that went well.
        _ if !sent => Outcome::NoEvidence,
        Ok(_) | Err((_, Some(false))) => Outcome::Succeeded,
        Err((ErrorClass::Throttled, None)) => Outcome::Throttled,
        Err((ErrorClass::Unavailable, None)) => Outcome::NoEvidence,
        Err((_, None)) => Outcome::Answered,
    }
}

fn unavailable(wait: Duration) -> UpstreamError {
    UpstreamError { retry_after: Some(wait), ..UpstreamError::new(ErrorClass::Unavailable, "breaker open") }
}

/// A call under way. Dropped without an outcome, it says "cancelled".
struct Permit {
    at: Address<Msg>,
    admitted: Admitted,
    done: bool,
}

impl Permit {
    fn complete(mut self, outcome: Outcome) {
        self.done = true;
        let _ = self.at.cast(Msg::Complete(self.admitted, outcome));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.at.cast(Msg::Complete(self.admitted, Outcome::NoEvidence));
        }
    }
}

enum Msg {
    /// May a call be made? Answers a permit, or how long to wait.
    Admit(RpcReplyPort<Result<Admitted, Duration>>),
    /// A call ended.
    Complete(Admitted, Outcome),
    /// Answers what it shows.
    View(RpcReplyPort<BreakerView>),
    /// An operator opens (true) or closes it.
    Force(bool),
}

struct Breaker;

/// What a breaker is started with, each time.
#[derive(Clone)]
struct Args {
    upstream: Upstream,
    open: Arc<AtomicBool>,
    tools: Arc<Tools>,
}

struct State {
    args: Args,
    core: Core,
    started: Instant,
}

impl State {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn report(&self, before: &'static str) {
        let (after, upstream) = (self.core.state_name(), self.args.upstream);
        if before != after {
            tracing::warn!(upstream = upstream.code(), from = before, to = after, "breaker");
        }
        let open = after != "CLOSED";
        if self.args.open.swap(open, Ordering::AcqRel) != open {
            let tools = self.args.tools.clone();
            tools.alarms.notify_one();
            self.args.tools.tracker.spawn(async move {
                crate::notices::tell_of_upstream(&tools, upstream, open).await;
            });
        }
        let value = match after {
            "CLOSED" => 0.0,
            "HALF_OPEN" => 1.0,
            _ => 2.0,
        };
        metrics::gauge!("breaker_state", "upstream" => upstream.code()).set(value);
    }
}

impl Actor for Breaker {
    type Msg = Msg;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, _: ActorRef<Msg>, args: Args) -> Result<State, ActorProcessingErr> {
        Ok(State { args, core: Core::new(Settings::default(), rand::random()), started: Instant::now() })
    }

    async fn handle(&self, _: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        let before = s.core.state_name();
        match msg {
            Msg::Admit(reply) => {
                if !reply.is_closed() {
                    let now = s.now();
                    let _ = reply.send(s.core.admit(now));
                }
            }
            Msg::Complete(admitted, outcome) => {
                let now = s.now();
                s.core.complete(now, admitted, outcome, rand::random());
            }
            Msg::View(reply) => {
                let (calls, failures) = s.core.window();
                let _ = reply.send(BreakerView {
                    upstream: s.args.upstream,
                    state: before,
                    calls,
                    failures,
                    trips: s.core.trips(),
                });
            }
            Msg::Force(open) => {
                let now = s.now();
                s.core.force(now, open);
            }
        }
        s.report(before);
        Ok(())
    }
}
