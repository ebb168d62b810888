//! Alarms: looks at the vitals, tells people. Tree: Root → Alarms.
//!
//! Each alarm is told once, again when it gets worse or has gone on for an hour, and when it is over. Sinks are the log,
//! a webhook and mail; a sink that fails is tried again a few times and then left, with a line in the log.

mod core;

pub use self::core::{Message, Severity};

use self::core::{Board, Finding, Observations, judge};
use crate::breaker::Breakers;
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tools::Tools;
use crate::vitals::Window;
use clients::alarm::Sink;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Time between two looks at the counters.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Window over which counters are judged (the `[5m]` of the rules).
const WINDOW: Duration = Duration::from_secs(300);
/// Tries per sink and message.
const TRIES: u32 = 3;

/// Handle on the alarms.
#[derive(Clone)]
pub struct Alarms {
    at: Address<Msg>,
}

impl Alarms {
    pub(crate) async fn start(deps: Deps, root: &Root) -> Result<Self, ractor::SpawnErr> {
        let at = Address::new();
        let make = move || (AlarmActor, deps.clone());
        root.adopt(Child::new("alarms", "alarms", OnExhausted::Quarantine, &at, make)).await?;
        Ok(Self { at })
    }

    /// What is wrong now.
    pub async fn active(&self) -> Vec<Message> {
        self.at.ask(Msg::Active, Duration::from_secs(2)).await.unwrap_or_default()
    }

    pub(crate) fn stop(&self) {
        self.at.stop();
    }
}

enum Msg {
    /// Look, on the timer.
    LookDue,
    /// Look between two ticks of the timer.
    LookNow,
    /// What a look saw.
    Saw(Observations),
    /// Answers what is wrong now.
    Active(RpcReplyPort<Vec<Message>>),
}

struct AlarmActor;

/// What the actor is started with, each time.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) tools: Arc<Tools>,
    pub(crate) breakers: Breakers,
    pub(crate) sinks: Arc<Vec<Arc<dyn Sink>>>,
}

struct State {
    deps: Deps,
    /// Ends with this life of the actor.
    _woken: AbortOnDropHandle<()>,
    board: Board,
    window: Window,
    looking: bool,
}

impl Actor for AlarmActor {
    type Msg = Msg;
    type State = State;
    type Arguments = Deps;

    async fn pre_start(&self, myself: ActorRef<Msg>, deps: Deps) -> Result<State, ActorProcessingErr> {
        myself.send_after(LOOK_INTERVAL, || Msg::LookDue);
        let tools = deps.tools.clone();
        let woken = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tools.alarms.notified().await;
                let _ = myself.cast(Msg::LookNow);
            }
        }));
        Ok(State { deps, _woken: woken, board: Board::default(), window: Window::new(WINDOW), looking: false })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::LookDue => {
                myself.send_after(LOOK_INTERVAL, || Msg::LookDue);
                s.look(&myself);
            }
            Msg::LookNow => s.look(&myself),
            Msg::Saw(seen) => {
                s.looking = false;
                let found: Vec<Finding> = judge(&seen);
                // A database that does not answer says nothing about dead letters, and does not make them go away.
                let counted = seen.dead.is_some();
                for message in s.board.look(Instant::now(), found, |key| counted || key != "dead-letters") {
                    s.tell(&message);
                }
            }
            Msg::Active(reply) => {
                let _ = reply.send(s.board.active());
            }
        }
        Ok(())
    }
}

impl State {
    /// Gathers what must be asked for elsewhere; the answer comes back as a message.
    fn look(&mut self, myself: &ActorRef<Msg>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        let (tools, breakers) = (self.deps.tools.clone(), self.deps.breakers.clone());
        let lately = self.window.add(Instant::now(), tools.vitals.totals());
        let myself = myself.clone();
        self.deps.tools.tracker.spawn(async move {
            let redis_memory = tools.cache.memory_ratio().await;
            if let Some(ratio) = redis_memory {
                metrics::gauge!("redis_memory_ratio").set(ratio);
            }
            let (open, refusing) = (breakers.open(), breakers.refusing());
            let counted = tools.store.run(async move |c| storage::dead::count(c).await).await;
            let dead = counted.ok().inspect(|n| metrics::gauge!("dead_letters").set(*n as f64));
            let clock_ahead = storage::clock::ahead_seconds();
            metrics::gauge!("database_clock_ahead_seconds").set(clock_ahead);
            let _ = myself.cast(Msg::Saw(Observations { lately, redis_memory, open, refusing, dead, clock_ahead }));
        });
    }

    fn tell(&self, message: &Message) {
        let word = if message.resolved { "resolved" } else { "firing" };
        tracing::warn!(target: "alarm", alarm = message.key, severity = ?message.severity, state = word, "{}", message.text);
        let severity = match message.severity {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let text =
            format!("[{}] {}: {}", if message.resolved { "resolved" } else { severity }, message.key, message.text);
        for sink in self.deps.sinks.iter() {
            let (sink, text) = (sink.clone(), text.clone());
            self.deps.tools.tracker.spawn(async move { deliver(sink.as_ref(), &text).await });
        }
    }
}

async fn deliver(sink: &dyn Sink, text: &str) {
    for attempt in 0..TRIES {
        match sink.send(text).await {
            Ok(()) => {
                metrics::counter!("alarms_sent_total", "channel" => sink.name(), "result" => "ok").increment(1);
                return;
            }
            Err(e) => tracing::warn!(sink = sink.name(), error = %e, attempt, "an alarm was not delivered"),
        }
        tokio::time::sleep(Duration::from_secs(1 << attempt)).await;
    }
    metrics::counter!("alarms_sent_total", "channel" => sink.name(), "result" => "failed").increment(1);
}
