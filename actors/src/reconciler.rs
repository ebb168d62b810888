//! Finds what no one woke: events whose time has come, publications without a job, figures that grew old, rows that
//! expired, files that nothing uses. Tree: Root → Reconciler.

use crate::events::Events;
use crate::jobs::Jobs;
use crate::pictures::sweep;
use crate::tools::Tools;
use crate::{publishing, retention};
use domain::job::JobKind;
use domain::job::NewJob;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use storage::Result;

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds before their time at which events are woken, so that their own timers are exact.
const AHEAD_SECONDS: i32 = 8;
/// Seconds after which channel figures are asked for again (CT-17).
const MEASURE_SECONDS: i32 = 300;
/// Time between two removals of expired rows.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(300);

pub(crate) enum Msg {
    /// Time to look.
    LookDue,
}

pub(crate) struct Reconciler;

/// What the actor is started with, each time.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) tools: Arc<Tools>,
    pub(crate) events: Events,
    pub(crate) jobs: Jobs,
}

pub(crate) struct State {
    deps: Deps,
    /// When rows that expired were removed last; not yet since the start.
    housekept: Option<Instant>,
    looking: Arc<AtomicBool>,
    destroying: Arc<AtomicBool>,
}

impl Actor for Reconciler {
    type Msg = Msg;
    type State = State;
    type Arguments = Deps;

    async fn pre_start(&self, myself: ActorRef<Msg>, deps: Deps) -> std::result::Result<State, ActorProcessingErr> {
        myself.cast(Msg::LookDue)?;
        Ok(State { deps, housekept: None, looking: Arc::default(), destroying: Arc::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg>,
        _: Msg,
        s: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        myself.send_after(LOOK_INTERVAL, || Msg::LookDue);
        let Some(busy) = BusyGuard::with(&s.looking) else { return Ok(()) };
        let housekeeping = s.housekept.is_none_or(|at| at.elapsed() > HOUSEKEEPING_INTERVAL);
        let deps = s.deps.clone();
        s.deps.tools.tracker.spawn(async move {
            if let Err(e) = look(&deps, housekeeping).await {
                tracing::warn!(error = %e, "the reconciler could not look");
            }
            drop(busy);
        });
        if housekeeping {
            s.housekept = Some(Instant::now());
            s.destroy();
        }
        Ok(())
    }
}

/// One at a time; free again whatever happens.
struct BusyGuard(Arc<AtomicBool>);

impl BusyGuard {
    fn with(what: &Arc<AtomicBool>) -> Option<Self> {
        (!what.swap(true, Ordering::AcqRel)).then(|| Self(what.clone()))
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl State {
    /// Destroys what need not be kept, beside the looks: of a large event it takes longer than one may.
    fn destroy(&self) {
        let Some(busy) = BusyGuard::with(&self.destroying) else { return };
        let Deps { tools, events, .. } = self.deps.clone();
        self.deps.tools.tracker.spawn(async move {
            if let Err(e) = retention::destroy(&tools, &events).await {
                tracing::warn!(error = %e, "what need not be kept was not looked for");
            }
            if let Err(e) = retention::remind(&tools).await {
                tracing::warn!(error = %e, "events that wait for their draw were not looked for");
            }
            drop(busy);
        });
    }
}

async fn look(deps: &Deps, housekeeping: bool) -> Result<()> {
    let Deps { tools, events, jobs } = deps;
    let (due, orphans, old, standing) = tools
        .store
        .run(async move |c| {
            let due = storage::events::due(c, AHEAD_SECONDS).await?;
            let orphans = storage::distributions::orphaned(c).await?;
            let old = storage::events::to_measure(c, MEASURE_SECONDS).await?;
            let standing = storage::distributions::not_recalled(c).await?;
            Ok((due, orphans, old, standing))
        })
        .await?;
    for id in due {
        events.get(id).wake().await;
    }
    for (id, event, owner) in orphans {
        jobs.submit(publishing::job(id, event, owner)).await?;
    }
    for (id, event, owner) in standing {
        publishing::recall(tools, id, event, owner).await?;
    }
    for (event, owner) in old {
        let job = NewJob {
            kind: JobKind::Statistics,
            key: format!("statistics:{event}"),
            owner: Some(owner),
            event: Some(event),
            input: json!({}),
            after: Duration::ZERO,
        };
        jobs.submit(job).await?;
    }
    if housekeeping {
        tools.store.ensure_partitions().await?;
        tools.store.run(async move |c| storage::sessions::sweep(c).await).await?;
        sweep::drop_superseded(tools).await?;
    }
    sweep::delete_files(tools).await
}
