//! The dispatcher: claims due jobs and starts one actor each. Tree: Root → Jobs → Job.
//!
//! Rows are the truth; casts only wake. A job's actor is not restarted: the row's lease runs out and it is claimed again.

use crate::job::{Deps, JobActor, JobArgs, Report};
use crate::job_updates;
use crate::root::{Address, Child, OnExhausted, Root};
use crate::tools::Tools;
use domain::ids::{JobId, UserId};
use domain::job::{Job, NewJob};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use storage::Result;
use storage::jobs::End;
use tokio_util::task::AbortOnDropHandle;

/// Jobs running at once on this node: nearly all of them wait for an upstream, and a slow channel must not keep the
/// others' jobs from being claimed. What computes has places of its own.
const MAX_RUNNING: usize = 256;
/// Time between two looks at the table without a signal.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A job as its owner sees it.
pub struct JobView {
    /// Offset of its topic.
    pub version: i64,
    /// No more changes by itself.
    pub over: bool,
    /// What the API shows.
    pub body: Value,
}

/// What the cache keeps of a job that is over.
#[derive(Deserialize)]
struct CachedJob {
    owner: Option<UserId>,
    version: i64,
    body: Value,
}

/// Handle on the jobs.
#[derive(Clone)]
pub struct Jobs {
    at: Address<Msg>,
    tools: Arc<Tools>,
}

impl Jobs {
    pub(crate) async fn start(deps: Deps, root: &Root) -> std::result::Result<Self, ractor::SpawnErr> {
        let (at, tools) = (Address::new(), deps.tools.clone());
        let make = move || (Dispatcher, deps.clone());
        root.adopt(Child::new("jobs", "jobs", OnExhausted::Fail, &at, make)).await?;
        Ok(Self { at, tools })
    }

    /// Looks for due jobs now.
    pub fn wake(&self) {
        self.tools.jobs.wake();
    }

    /// Asks for a job; the active one with the same key, if there is one.
    pub async fn submit(&self, job: NewJob) -> Result<Job> {
        let made = self.tools.store.run(async move |c| storage::jobs::insert(c, job).await).await?;
        self.wake();
        Ok(made)
    }

    /// Calls a job off. `None`: it was over already.
    pub async fn cancel(&self, id: JobId) -> Result<Option<Job>> {
        let cancel = self.tools.store.run(async move |c| storage::jobs::cancel(c, id).await);
        let gone = cancel.await?;
        if let Some(job) = &gone {
            job_updates::cancelled(&self.tools, job).await;
        }
        Ok(gone)
    }

    /// Gives a dead job its attempts back. `None`: it is not dead.
    pub async fn replay(&self, id: JobId) -> Result<Option<Job>> {
        let again = self.tools.store.run(async move |c| storage::jobs::replay(c, id).await).await?;
        if let Some(job) = &again {
            job_updates::progressed(&self.tools, job);
        }
        self.wake();
        Ok(again)
    }

    /// A job as its owner sees it; `None`: there is none, or it is somebody else's.
    pub async fn read(&self, id: JobId, owner: UserId) -> Result<Option<JobView>> {
        let tools = &self.tools;
        let cached = tools.cache.get(&job_updates::cache_key(id)).await;
        if let Some(kept) = cached.and_then(|bytes| serde_json::from_slice::<CachedJob>(&bytes).ok()) {
            tools.vitals.cache("job", true);
            return Ok((kept.owner == Some(owner)).then_some(JobView {
                version: kept.version,
                over: true,
                body: kept.body,
            }));
        }
        tools.vitals.cache("job", false);
        let found = tools.store.run(async move |c| storage::jobs::get(c, id).await).await?;
        let Some(job) = found.filter(|j| j.owner == Some(owner)) else { return Ok(None) };
        job_updates::remember(tools, &job).await;
        Ok(Some(JobView { version: job.version, over: job.status.is_over(), body: crate::view::job(&job) }))
    }

    /// Stops claiming and gives the leases of what runs back.
    pub(crate) async fn stop(&self, limit: Duration) {
        let _ = self.at.ask(Msg::Finish, limit).await;
        self.at.stop();
    }
}

enum Msg {
    /// Jobs are due, or were cancelled.
    Wake,
    /// Look again, on the timer.
    PollDue,
    /// These were claimed.
    Claimed(Result<Vec<Job>>),
    /// Answers when nothing runs any more.
    Finish(RpcReplyPort<()>),
}

struct Dispatcher;

struct State {
    deps: Deps,
    /// Ends with this life of the dispatcher.
    _woken: AbortOnDropHandle<()>,
    running: HashMap<ActorId, (JobId, ActorRef<Report>)>,
    claiming: bool,
    again: bool,
    finishing: Option<RpcReplyPort<()>>,
    /// Nothing is begun any more.
    finished: bool,
}

impl State {
    /// Claims as many as there is room for, one claim at a time.
    fn claim(&mut self, myself: &ActorRef<Msg>) {
        if self.finished {
            return;
        }
        let room = MAX_RUNNING.saturating_sub(self.running.len());
        if self.claiming || room == 0 {
            self.again = true;
            return;
        }
        self.claiming = true;
        self.again = false;
        let (myself, tools) = (myself.clone(), self.deps.tools.clone());
        self.deps.tools.tracker.spawn(async move {
            let dead = tools.store.run(async move |c| storage::jobs::bury(c).await).await;
            for job in dead.unwrap_or_default() {
                tracing::error!(job = %job.id, kind = job.kind.code(), "its runner vanished with each attempt");
                job_updates::ended(&tools, &job).await;
            }
            let claimed = tools.store.run(async move |c| storage::jobs::claim(c, room as i64).await).await;
            let _ = myself.cast(Msg::Claimed(claimed));
        });
    }

    async fn begin(&mut self, myself: &ActorRef<Msg>, jobs: Vec<Job>) {
        for job in jobs {
            let id = job.id;
            job_updates::progressed(&self.deps.tools, &job);
            let args = JobArgs { deps: self.deps.clone(), job };
            match JobActor::spawn_linked(None, JobActor, args, myself.get_cell()).await {
                Ok((actor, _)) => {
                    self.running.insert(actor.get_id(), (id, actor));
                }
                Err(e) => tracing::error!(job = %id, error = %e, "a job's actor did not start; its lease will run out"),
            }
        }
        metrics::gauge!("jobs_running").set(self.running.len() as f64);
    }

    fn end_cancelled(&self) {
        for id in self.deps.tools.jobs.take_cancelled() {
            if let Some((_, actor)) = self.running.values().find(|(job, _)| *job == id) {
                actor.stop(Some("cancelled".into()));
            }
        }
    }

    /// Gives back what was claimed while the end began.
    async fn give_back(&self, jobs: Vec<Job>) {
        for job in jobs {
            let back =
                self.deps.tools.store.run(async move |c| {
                    storage::jobs::finish(c, job.id, job.epoch, End::Released(Duration::ZERO)).await
                });
            if let Err(e) = back.await {
                tracing::warn!(job = %job.id, error = %e, "a lease was not given back; it runs out");
            }
        }
    }

    /// Says that nothing runs any more, once that is so.
    fn end(&mut self) {
        if self.running.is_empty()
            && !self.claiming
            && let Some(reply) = self.finishing.take()
        {
            let _ = reply.send(());
        }
    }

    fn gone(&mut self, myself: &ActorRef<Msg>, actor: ActorId) {
        self.running.remove(&actor);
        metrics::gauge!("jobs_running").set(self.running.len() as f64);
        if self.finished { self.end() } else { self.claim(myself) }
    }
}

impl Actor for Dispatcher {
    type Msg = Msg;
    type State = State;
    type Arguments = Deps;

    async fn pre_start(&self, myself: ActorRef<Msg>, deps: Deps) -> std::result::Result<State, ActorProcessingErr> {
        myself.send_after(POLL_INTERVAL, || Msg::PollDue);
        let tools = deps.tools.clone();
        let woken = AbortOnDropHandle::new(tokio::spawn(async move {
            // What came before this life began is looked for at once.
            loop {
                let _ = myself.cast(Msg::Wake);
                tools.jobs.changed().await;
            }
        }));
        Ok(State {
            deps,
            _woken: woken,
            running: HashMap::new(),
            claiming: false,
            again: false,
            finishing: None,
            finished: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg>,
        msg: Msg,
        s: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match msg {
            Msg::Wake => {
                s.end_cancelled();
                s.claim(&myself);
            }
            Msg::PollDue => {
                s.claim(&myself);
                myself.send_after(POLL_INTERVAL, || Msg::PollDue);
            }
            Msg::Claimed(result) => {
                s.claiming = false;
                match result {
                    Ok(jobs) if s.finished => s.give_back(jobs).await,
                    Ok(jobs) => {
                        let more = !jobs.is_empty() || s.again;
                        s.begin(&myself, jobs).await;
                        if more {
                            s.claim(&myself);
                        }
                    }
                    Err(e) => tracing::warn!(error = %e, "jobs could not be claimed"),
                }
                s.end();
            }
            Msg::Finish(reply) => {
                (s.finished, s.finishing) = (true, Some(reply));
                for (_, actor) in s.running.values() {
                    let _ = actor.cast(Report::Release);
                }
                s.end();
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Msg>,
        e: SupervisionEvent,
        s: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match e {
            SupervisionEvent::ActorTerminated(cell, ..) => s.gone(&myself, cell.get_id()),
            SupervisionEvent::ActorFailed(cell, error) => {
                tracing::error!(error = %error, "a job's actor failed; its lease will run out");
                metrics::counter!("actor_restarts_total", "kind" => "job").increment(1);
                s.gone(&myself, cell.get_id());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}
