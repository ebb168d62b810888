//! The root: starts the actors there is one of, and starts them again when they end. Tree: Root.
//!
//! Each child has a budget of its own (`supervise.rs`). Past it, a channel or a breaker is left alone for a while;
//! what the product cannot do without fails the system: the process drains and ends, for the service manager to start
//! again. Rows hold everything that was acknowledged.

use crate::ask::{Unavailable, ask};
use crate::supervise::{Budgets, Verdict};
use futures_util::future::BoxFuture;
use parking_lot::RwLock;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, Message, MessagingErr, RpcReplyPort, SpawnErr,
    SupervisionEvent,
};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Time in which the root answers: it waits for nothing but the start of a child.
const ROOT_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an actor lives now. Addresses die with the actor, so holders look here at every use.
pub(crate) struct Address<M: Message>(Arc<RwLock<Option<ActorRef<M>>>>);

impl<M: Message> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> Address<M> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    fn set(&self, actor: ActorRef<M>) {
        *self.0.write() = Some(actor);
    }

    pub(crate) fn get(&self) -> Option<ActorRef<M>> {
        self.0.read().clone()
    }

    /// Sends a message; gives it back when nobody is there to take it.
    pub(crate) fn cast(&self, message: M) -> Result<(), Option<M>> {
        let Some(actor) = self.get() else { return Err(Some(message)) };
        actor.cast(message).map_err(|e| match e {
            MessagingErr::SendErr(message) => Some(message),
            _ => None,
        })
    }

    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        message: impl FnOnce(RpcReplyPort<R>) -> M,
        deadline: Duration,
    ) -> Result<R, Unavailable> {
        ask(&self.get().ok_or(Unavailable)?, message, deadline).await
    }

    pub(crate) fn stop(&self) {
        if let Some(actor) = self.get() {
            actor.stop(None);
        }
    }
}

/// What follows when a child has used up its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnExhausted {
    /// It is left alone for a while, then tried once: the others do without it.
    Quarantine,
    /// Nobody can do without it: the system has failed.
    Fail,
}

type Start = Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// An actor there is one of.
pub(crate) struct Child {
    kind: &'static str,
    name: String,
    on_exhausted: OnExhausted,
    start: Start,
}

impl Child {
    /// `make` gives actor and arguments of each life; the address follows it.
    pub(crate) fn new<A: Actor>(
        kind: &'static str,
        name: impl Into<String>,
        on_exhausted: OnExhausted,
        address: &Address<A::Msg>,
        make: impl Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    ) -> Self {
        let address = address.clone();
        let start = move |root: ActorCell| -> BoxFuture<'static, Result<ActorCell, SpawnErr>> {
            let ((actor, arguments), address) = (make(), address.clone());
            Box::pin(async move {
                let (actor, _) = A::spawn_linked(None, actor, arguments, root).await?;
                address.set(actor.clone());
                Ok(actor.get_cell())
            })
        };
        Self { kind, name: name.into(), on_exhausted, start: Box::new(start) }
    }
}

/// What the root shows of a child.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildView {
    /// Its name.
    pub name: String,
    /// How often it was started again.
    pub restarts: u64,
    /// False while it waits to be started again.
    pub running: bool,
}

/// Handle on the root.
#[derive(Clone)]
pub struct Root {
    actor: ActorRef<Msg>,
    standing_down: CancellationToken,
}

impl Root {
    /// Starts the root. `failed` is cancelled when the system cannot go on.
    pub(crate) async fn start(failed: CancellationToken) -> Result<Self, SpawnErr> {
        let (actor, life) = RootActor::spawn(None, RootActor, failed.clone()).await?;
        let standing_down = CancellationToken::new();
        let expected = standing_down.clone();
        tokio::spawn(async move {
            let _ = life.await;
            if !expected.is_cancelled() {
                failed.cancel();
            }
        });
        Ok(Self { actor, standing_down })
    }

    /// Starts a child and watches over it.
    pub(crate) async fn adopt(&self, child: Child) -> Result<(), SpawnErr> {
        // Counted from nothing, so that the first one is an increase.
        metrics::counter!("actor_quarantines_total", "kind" => child.kind).increment(0);
        match ask(&self.actor, |reply| Msg::Adopt(child, reply), ROOT_ANSWER_TIMEOUT).await {
            Ok(started) => started,
            Err(e) => Err(SpawnErr::StartupFailed(e.into())),
        }
    }

    /// The children, in the order they were started.
    pub async fn view(&self) -> Vec<ChildView> {
        ask(&self.actor, Msg::View, ROOT_ANSWER_TIMEOUT).await.unwrap_or_default()
    }

    /// Ends a child as a crash would, for the root to start it again: an operator's last resort. False: no such child
    /// runs.
    pub async fn restart(&self, name: &str) -> bool {
        let name = name.to_owned();
        ask(&self.actor, |reply| Msg::Kill(name, reply), ROOT_ANSWER_TIMEOUT).await.unwrap_or(false)
    }

    /// From now on, what ends stays ended.
    pub(crate) async fn stand_down(&self) {
        self.standing_down.cancel();
        let _ = ask(&self.actor, Msg::StandDown, ROOT_ANSWER_TIMEOUT).await;
    }

    pub(crate) fn stop(&self) {
        self.actor.stop(None);
    }
}

enum Msg {
    /// Answers whether the child started.
    Adopt(Child, RpcReplyPort<Result<(), SpawnErr>>),
    /// A delayed restart.
    RestartDue(usize),
    /// Answers whether there was such a child to end.
    Kill(String, RpcReplyPort<bool>),
    /// Answers the children.
    View(RpcReplyPort<Vec<ChildView>>),
    /// Answers when no child is started again any more.
    StandDown(RpcReplyPort<()>),
}

struct RootActor;

struct State {
    children: Vec<Child>,
    restarts: Vec<u64>,
    running: HashMap<ActorId, (usize, ActorCell)>,
    budgets: Budgets<usize>,
    standing_down: bool,
    failed: CancellationToken,
}

impl State {
    async fn start(&mut self, myself: &ActorRef<Msg>, which: usize) -> Result<(), SpawnErr> {
        let cell = (self.children[which].start)(myself.get_cell()).await?;
        self.running.insert(cell.get_id(), (which, cell));
        Ok(())
    }

    async fn restart(&mut self, myself: &ActorRef<Msg>, which: usize) {
        if self.standing_down {
            return;
        }
        match self.start(myself, which).await {
            Ok(()) => self.restarts[which] += 1,
            Err(e) => self.ended(myself, which, &e.to_string()),
        }
    }

    fn gone(&mut self, myself: &ActorRef<Msg>, id: ActorId, why: &str) {
        if let Some((which, _)) = self.running.remove(&id)
            && !self.standing_down
        {
            self.ended(myself, which, why);
        }
    }

    fn ended(&mut self, myself: &ActorRef<Msg>, which: usize, why: &str) {
        let child = &self.children[which];
        metrics::counter!("actor_restarts_total", "kind" => child.kind).increment(1);
        let wait = match self.budgets.failed(&which, Instant::now(), rand::random()) {
            Verdict::Restart(wait) => wait,
            Verdict::Quarantine(wait) if child.on_exhausted == OnExhausted::Quarantine => {
                tracing::error!(child = child.name, why, wait_s = wait.as_secs(), "an actor is quarantined");
                metrics::counter!("actor_quarantines_total", "kind" => child.kind).increment(1);
                wait
            }
            Verdict::Quarantine(_) => {
                tracing::error!(child = child.name, why, "an actor keeps ending: the process must end");
                self.failed.cancel();
                return;
            }
        };
        tracing::warn!(child = child.name, why, wait_ms = wait.as_millis() as u64, "an actor ended; starting it again");
        myself.send_after(wait, move || Msg::RestartDue(which));
    }

    fn view(&self) -> Vec<ChildView> {
        let running = |which| self.running.values().any(|(w, _)| *w == which);
        let each = self.children.iter().zip(&self.restarts).enumerate();
        each.map(|(i, (c, n))| ChildView { name: c.name.clone(), restarts: *n, running: running(i) }).collect()
    }
}

impl Actor for RootActor {
    type Msg = Msg;
    type State = State;
    type Arguments = CancellationToken;

    async fn pre_start(&self, _: ActorRef<Msg>, failed: CancellationToken) -> Result<State, ActorProcessingErr> {
        Ok(State {
            children: Vec::new(),
            restarts: Vec::new(),
            running: HashMap::new(),
            budgets: Budgets::new(),
            standing_down: false,
            failed,
        })
    }

    async fn handle(&self, myself: ActorRef<Msg>, msg: Msg, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Msg::Adopt(child, reply) => {
                s.children.push(child);
                s.restarts.push(0);
                let started = s.start(&myself, s.children.len() - 1).await;
                let _ = reply.send(started);
            }
            Msg::RestartDue(which) => s.restart(&myself, which).await,
            Msg::Kill(name, reply) => {
                let found = s.running.values().find(|(which, _)| s.children[*which].name == name);
                let _ = reply.send(found.is_some());
                if let Some((_, cell)) = found {
                    cell.kill();
                }
            }
            Msg::View(reply) => {
                let _ = reply.send(s.view());
            }
            Msg::StandDown(reply) => {
                s.standing_down = true;
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Msg>,
        e: SupervisionEvent,
        s: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match e {
            SupervisionEvent::ActorTerminated(cell, _, why) => {
                s.gone(&myself, cell.get_id(), why.as_deref().unwrap_or("stopped"));
            }
            SupervisionEvent::ActorFailed(cell, error) => s.gone(&myself, cell.get_id(), &error.to_string()),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Counts; panics, errs or stops when told to.
    struct Counter;
    enum Tell {
        Count(RpcReplyPort<u32>),
        Panic,
        Err,
        Stop,
    }

    impl Actor for Counter {
        type Msg = Tell;
        type State = u32;
        type Arguments = ();
        async fn pre_start(&self, _: ActorRef<Tell>, (): ()) -> Result<u32, ActorProcessingErr> {
            Ok(0)
        }
        async fn handle(&self, myself: ActorRef<Tell>, msg: Tell, n: &mut u32) -> Result<(), ActorProcessingErr> {
            match msg {
                Tell::Count(reply) => {
                    *n += 1;
                    let _ = reply.send(*n);
                }
                Tell::Panic => panic!("told to"),
                Tell::Err => return Err("told to".into()),
                Tell::Stop => myself.stop(None),
            }
            Ok(())
        }
    }

    async fn adopt(root: &Root, name: &str, on_exhausted: OnExhausted) -> Address<Tell> {
        let address = Address::new();
        root.adopt(Child::new("counter", name, on_exhausted, &address, || (Counter, ()))).await.unwrap();
        address
    }

    async fn count(at: &Address<Tell>) -> Result<u32, Unavailable> {
        at.ask(Tell::Count, Duration::from_secs(5)).await
    }

    /// Asks until a new life answers; the first answer of a life is 1.
    async fn reborn(at: &Address<Tell>) {
        tokio::time::timeout(Duration::from_secs(5), async {
            while count(at).await != Ok(1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("started again");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_child_that_panics_errs_or_stops_comes_back_and_its_siblings_notice_nothing() {
        let failed = CancellationToken::new();
        let root = Root::start(failed.clone()).await.unwrap();
        let (bad, good) = (adopt(&root, "bad", OnExhausted::Fail).await, adopt(&root, "good", OnExhausted::Fail).await);
        assert_eq!((count(&bad).await, count(&good).await), (Ok(1), Ok(1)));
        for (n, end) in [Tell::Panic, Tell::Err, Tell::Stop].into_iter().enumerate() {
            assert!(bad.cast(end).is_ok());
            reborn(&bad).await;
            assert_eq!(count(&good).await, Ok(n as u32 + 2), "the sibling kept its state");
        }
        assert!(root.restart("bad").await && !root.restart("nobody").await);
        reborn(&bad).await;
        let view = root.view().await;
        assert_eq!((view[0].restarts, view[1].restarts), (4, 0));
        assert!(!failed.is_cancelled());
        root.stop();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn past_its_budget_a_child_is_quarantined_or_fails_the_system() {
        let failed = CancellationToken::new();
        let root = Root::start(failed.clone()).await.unwrap();
        let (spare, vital) =
            (adopt(&root, "spare", OnExhausted::Quarantine).await, adopt(&root, "vital", OnExhausted::Fail).await);
        for life in 0..5 {
            assert!(spare.cast(Tell::Panic).is_ok());
            if life < 4 {
                reborn(&spare).await;
            }
        }
        while root.view().await[0].running {
            tokio::task::yield_now().await;
        }
        assert!(count(&spare).await.is_err() && !failed.is_cancelled(), "left alone, and nobody minds");
        assert_eq!(count(&vital).await, Ok(1));
        for life in 0..5 {
            assert!(vital.cast(Tell::Panic).is_ok());
            if life < 4 {
                reborn(&vital).await;
            }
        }
        tokio::time::timeout(Duration::from_secs(5), failed.cancelled()).await.expect("the system failed");
        root.stop();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_stands_down_starts_nobody_again() {
        let root = Root::start(CancellationToken::new()).await.unwrap();
        let child = adopt(&root, "child", OnExhausted::Fail).await;
        root.stand_down().await;
        child.stop();
        while root.view().await[0].running {
            tokio::task::yield_now().await;
        }
        assert_eq!(root.view().await[0].restarts, 0);
        root.stop();
    }
}
