//! The dispatcher: claims due jobs and starts one actor each. Tree: Root → Jobs → Job.
//!
//! Rows are the truth; casts only wake. A job's actor is not restarted: the row's lease runs out and it is claimed again.

use crate::job::{JobActor, JobArgs, Report};
use crate::root::{Address, Beyond, Child, Root};
use crate::system::Shared;
use domain::ids::{JobId, UserId};
use domain::job::JobStatus;
use domain::topic::Topic;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::Result;
use storage::cache::ttl;
use storage::jobs::{End, Job, NewJob};

/// Jobs running at once on this node: nearly all of them wait for an upstream, and a slow channel must not keep the
/// others' jobs from being claimed. What computes has places of its own.
const MAX_RUNNING: usize = 256;
/// How often the table is looked at without being woken.
const POLL: Duration = Duration::from_secs(1);

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
struct Kept {
    owner: Option<UserId>,
    version: i64,
    body: Value,
}

/// Handle on the jobs.
#[derive(Clone)]
pub struct Jobs {
    at: Address<Msg>,
    shared: Arc<OnceLock<Arc<Shared>>>,
}

impl Jobs {
    pub(crate) async fn start(root: &Root) -> std::result::Result<Self, ractor::SpawnErr> {
        let (at, shared) = (Address::new(), Arc::new(OnceLock::new()));
        let each = shared.clone();
        root.adopt(Child::new("jobs", "jobs", Beyond::Fail, &at, move || (Dispatcher, each.clone()))).await?;
        Ok(Self { at, shared })
    }

    pub(crate) fn begin(&self, shared: Arc<Shared>) {
        let _ = self.shared.set(shared);
        let _ = self.at.cast(Msg::Wake);
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get().expect("begun before it is handed out")
    }

    /// Looks for due jobs now.
    pub fn wake(&self) {
        let _ = self.at.cast(Msg::Wake);
    }

    /// Asks for a job; the active one with the same key, if there is one.
    pub async fn submit(&self, job: NewJob) -> Result<Job> {
        let made = self.shared().store.run(async move |c| storage::jobs::insert(c, job).await).await?;
        self.wake();
        Ok(made)
    }

    /// Calls a job off. `None`: it was over already.
    pub async fn cancel(&self, id: JobId) -> Result<Option<Job>> {
        let cancel = self.shared().store.run(async move |c| storage::jobs::cancel(c, id).await);
        let gone = cancel.await?;
        if let Some(job) = &gone {
            self.called_off(job).await;
        }
        Ok(gone)
    }

    /// A job's row says that it was called off: it stops, and whoever follows it hears so.
    pub(crate) async fn called_off(&self, job: &Job) {
        let _ = self.at.cast(Msg::Cancel(job.id));
        ended(self.shared(), job).await;
    }

    /// Gives a dead job its attempts back. `None`: it is not dead.
    pub async fn replay(&self, id: JobId) -> Result<Option<Job>> {
        let again = self.shared().store.run(async move |c| storage::jobs::replay(c, id).await).await?;
        if let Some(job) = &again {
            progressed(self.shared(), job);
        }
        self.wake();
        Ok(again)
    }

    /// A job as its owner sees it; `None`: there is none, or it is somebody else's.
    pub async fn read(&self, id: JobId, owner: UserId) -> Result<Option<JobView>> {
        let shared = self.shared();
        let cached = shared.cache.get(&cache_key(id)).await;
        if let Some(kept) = cached.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok()) {
            shared.vitals.cache("job", true);
            return Ok((kept.owner == Some(owner)).then_some(JobView {
                version: kept.version,
                over: true,
                body: kept.body,
            }));
        }
        shared.vitals.cache("job", false);
        let found = shared.store.run(async move |c| storage::jobs::get(c, id).await).await?;
        let Some(job) = found.filter(|j| j.owner == Some(owner)) else { return Ok(None) };
        remember(shared, &job).await;
        Ok(Some(JobView { version: job.version, over: job.status.is_over(), body: crate::view::job(&job) }))
    }

    /// Stops claiming and gives the leases of what runs back.
    pub(crate) async fn stop(&self, limit: Duration) {
        let _ = self.at.ask(Msg::Finish, limit).await;
        self.at.stop();
    }
}

/// Cache key of a job (CK-06, CK-07). Only what cannot change any more is kept: a dead one may be replayed.
fn cache_key(id: JobId) -> String {
    format!("job:{id}")
}

/// Publishes that a job is over.
pub(crate) async fn ended(shared: &Shared, job: &Job) {
    if job.status == JobStatus::Dead {
        metrics::counter!("dead_letters_total", "kind" => "job").increment(1);
        shared.alarms().look();
    }
    remember(shared, job).await;
    metrics::counter!("jobs_total", "kind" => job.kind.code(), "state" => job.status.code()).increment(1);
    shared.hub.publish(&Topic::Job(job.id), job.version, "job.ended", chrono::Utc::now(), || crate::view::job(job));
}

async fn remember(shared: &Shared, job: &Job) {
    if job.status.is_over() && job.status != JobStatus::Dead {
        let kept = json!({"owner": job.owner, "version": job.version, "body": crate::view::job(job)});
        shared.cache.set(&cache_key(job.id), kept.to_string().into(), ttl::JOB).await;
    }
}

/// Publishes how far a job is.
pub(crate) fn progressed(shared: &Shared, job: &Job) {
    shared.hub.publish(
        &Topic::Job(job.id),
        job.version,
        "job.progress",
        chrono::Utc::now(),
        || json!({"status": job.status, "progress": job.progress, "stage": job.stage}),
    );
}

enum Msg {
    /// Look for due jobs.
    Wake,
    /// Look again, on the timer.
    PollDue,
    /// These were claimed.
    Claimed(Result<Vec<Job>>),
    /// Stop a running one.
    Cancel(JobId),
    /// Answers when nothing runs any more.
    Finish(RpcReplyPort<()>),
}

struct Dispatcher;

struct State {
    shared: Arc<OnceLock<Arc<Shared>>>,
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
        let Some(shared) = self.shared.get().cloned().filter(|_| !self.finished) else { return };
        let room = MAX_RUNNING.saturating_sub(self.running.len());
        if self.claiming || room == 0 {
            self.again = true;
            return;
        }
        self.claiming = true;
        self.again = false;
        let myself = myself.clone();
        shared.tracker.clone().spawn(async move {
            let dead = shared.store.run(async move |c| storage::jobs::bury(c).await).await;
            for job in dead.unwrap_or_default() {
                tracing::error!(job = %job.id, kind = job.kind.code(), "its runner vanished with each attempt");
                ended(&shared, &job).await;
            }
            let claimed = shared.store.run(async move |c| storage::jobs::claim(c, room as i64).await).await;
            let _ = myself.cast(Msg::Claimed(claimed));
        });
    }

    async fn begin(&mut self, myself: &ActorRef<Msg>, jobs: Vec<Job>) {
        let Some(shared) = self.shared.get().cloned() else { return };
        for job in jobs {
            let id = job.id;
            progressed(&shared, &job);
            match JobActor::spawn_linked(None, JobActor, JobArgs { shared: shared.clone(), job }, myself.get_cell())
                .await
            {
                Ok((actor, _)) => {
                    self.running.insert(actor.get_id(), (id, actor));
                }
                Err(e) => tracing::error!(job = %id, error = %e, "a job's actor did not start; its lease will run out"),
            }
        }
        metrics::gauge!("jobs_running").set(self.running.len() as f64);
    }

    /// Gives back what was claimed while the end began.
    async fn give_back(&self, jobs: Vec<Job>) {
        let Some(shared) = self.shared.get() else { return };
        for job in jobs {
            let back = shared
                .store
                .run(async move |c| storage::jobs::finish(c, job.id, job.epoch, End::Released(Duration::ZERO)).await);
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
    type Arguments = Arc<OnceLock<Arc<Shared>>>;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        shared: Self::Arguments,
    ) -> std::result::Result<State, ActorProcessingErr> {
        myself.send_after(POLL, || Msg::PollDue);
        Ok(State { shared, running: HashMap::new(), claiming: false, again: false, finishing: None, finished: false })
    }

    async fn handle(
        &self,
        myself: ActorRef<Msg>,
        msg: Msg,
        s: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match msg {
            Msg::Wake => s.claim(&myself),
            Msg::PollDue => {
                s.claim(&myself);
                myself.send_after(POLL, || Msg::PollDue);
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
            Msg::Cancel(id) => {
                if let Some((_, actor)) = s.running.values().find(|(job, _)| *job == id) {
                    actor.stop(Some("cancelled".into()));
                }
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
