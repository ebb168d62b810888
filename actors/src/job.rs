//! One claimed job. Tree: Root → Jobs → Job.
//!
//! The work runs in a task; the actor renews the lease and takes its end. A job whose lease was lost stops at once: its
//! writes carry an old epoch and match no row.

mod distribution;
mod images;
mod recall;
mod recommendation;
mod statistics;
mod templates;
mod verification;

use crate::breaker::Breakers;
use crate::channels::Channels;
use crate::events::Events;
use crate::tools::Tools;
use domain::distribution::ErrorClass;
use domain::job::Job;
use domain::job::{BEAT, JobKind};
use futures_util::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use storage::StorageError;
use storage::jobs::End;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use images::decode_input as images_input;
pub(crate) use recommendation::{key as recommendation_key, proposal_of};
pub(crate) use verification::settle as settle_verification;

/// What jobs work with.
#[derive(Clone)]
pub(crate) struct Deps {
    pub(crate) tools: Arc<Tools>,
    pub(crate) breakers: Breakers,
    pub(crate) channels: Channels,
    pub(crate) events: Events,
}

/// What a job's actor is started with.
pub(crate) struct JobArgs {
    pub(crate) deps: Deps,
    pub(crate) job: Job,
}

/// What a job's actor is told.
pub(crate) enum Report {
    /// Renew the lease.
    BeatDue,
    /// The lease was renewed (true) or lost.
    Beaten(bool),
    /// The work ended.
    Done(End),
    /// Shutdown: give the lease back.
    Release,
}

pub(crate) struct JobActor;

pub(crate) struct State {
    tools: Arc<Tools>,
    job: Job,
    /// Ends the work however this actor ends, a kill included.
    stop: Option<DropGuard>,
}

impl Actor for JobActor {
    type Msg = Report;
    type State = State;
    type Arguments = JobArgs;

    async fn pre_start(&self, myself: ActorRef<Report>, args: JobArgs) -> Result<State, ActorProcessingErr> {
        let stop = CancellationToken::new();
        let Deps { tools, breakers, channels, events } = args.deps;
        let run = Run { tools: tools.clone(), breakers, channels, events, job: args.job.clone() };
        let (report, stopped) = (myself.clone(), stop.clone());
        tools.tracker.spawn(async move {
            let kind = run.job.kind;
            let work = AssertUnwindSafe(tokio::time::timeout(kind.deadline(), run.work())).catch_unwind();
            let end = tokio::select! {
                () = stopped.cancelled() => return,
                result = work => match result {
                    Ok(Ok(end)) => end,
                    Ok(Err(_)) => run.again("deadline", "작업이 제한 시간을 넘어 저절로 다시 시도해요. 기다려 주세요.", "The job exceeded its deadline."),
                    Err(_) => run.again("internal", "작업 중 문제가 생겨 저절로 다시 시도해요. 기다려 주세요.", "Something went wrong; trying again."),
                },
            };
            let _ = report.cast(Report::Done(end));
        });
        myself.send_after(BEAT, || Report::BeatDue);
        Ok(State { tools, job: args.job, stop: Some(stop.drop_guard()) })
    }

    async fn handle(&self, myself: ActorRef<Report>, msg: Report, s: &mut State) -> Result<(), ActorProcessingErr> {
        match msg {
            Report::BeatDue => {
                let (tools, id, epoch, back) = (s.tools.clone(), s.job.id, s.job.epoch, myself.clone());
                s.tools.tracker.spawn(async move {
                    let beat = tools.store.run(async move |c| storage::jobs::beat(c, id, epoch).await).await;
                    // A database that does not answer says nothing about the lease.
                    let _ = back.cast(Report::Beaten(beat.unwrap_or(true)));
                });
                myself.send_after(BEAT, || Report::BeatDue);
            }
            Report::Beaten(true) => {}
            Report::Beaten(false) => {
                metrics::counter!("lease_fenced_total").increment(1);
                tracing::warn!(job = %s.job.id, "the job's lease was lost: stopping");
                myself.stop(Some("fenced".into()));
            }
            Report::Done(end) => {
                s.finish(end).await;
                myself.stop(None);
            }
            Report::Release => {
                s.stop = None;
                s.finish(End::Released(std::time::Duration::ZERO)).await;
                myself.stop(None);
            }
        }
        Ok(())
    }
}

impl State {
    /// Stores how the run ended, trying a few times: without it the lease must run out first.
    async fn finish(&self, end: End) {
        let (id, epoch) = (self.job.id, self.job.epoch);
        for _ in 0..3 {
            let end = end.clone();
            match self.tools.store.run(async move |c| storage::jobs::finish(c, id, epoch, end).await).await {
                Ok(Some(job)) if job.status.is_over() => return crate::job_updates::ended(&self.tools, &job).await,
                Ok(Some(job)) => return crate::job_updates::progressed(&self.tools, &job),
                Ok(None) => return,
                Err(e) => tracing::warn!(job = %id, error = %e, "the end of a job was not stored"),
            }
        }
    }
}

/// The work of a job: what runs in its task.
pub(crate) struct Run {
    pub(crate) tools: Arc<Tools>,
    pub(crate) breakers: Breakers,
    pub(crate) channels: Channels,
    pub(crate) events: Events,
    pub(crate) job: Job,
}

impl Run {
    async fn work(&self) -> End {
        let result = match self.job.kind {
            JobKind::Recommendation => recommendation::run(self).await,
            JobKind::Images => images::run(self).await,
            JobKind::Distribution => distribution::run(self).await,
            JobKind::Recall => recall::run(self).await,
            JobKind::Verification => verification::run(self).await,
            JobKind::Statistics => statistics::run(self).await,
        };
        result.unwrap_or_else(|e| {
            tracing::warn!(job = %self.job.id, kind = self.job.kind.code(), error = %e, "a job failed");
            self.again(
                "storage",
                "저장소가 응답하지 않아 저절로 다시 시도해요. 기다려 주세요.",
                "The database did not answer; trying again.",
            )
        })
    }

    /// Try again later.
    pub(crate) fn again(&self, code: &str, ko: &str, en: &str) -> End {
        let wait = self.job.kind.backoff(self.job.attempts, rand::random());
        End::Again(json!({"code": code, "messageKo": ko, "messageEn": en}), wait)
    }

    /// Records and publishes progress, with an update of another kind when there is something to show.
    pub(crate) async fn progress(
        &self,
        percent: i16,
        stage: &str,
        shown: Option<(&str, Value)>,
    ) -> Result<(), StorageError> {
        let (id, epoch, stage) = (self.job.id, self.job.epoch, stage.to_owned());
        let job = self
            .tools
            .store
            .run(async move |c| storage::jobs::progress(c, id, epoch, percent, stage).await)
            .await?
            .ok_or(StorageError::Contended)?;
        match shown {
            None => crate::job_updates::progressed(&self.tools, &job),
            Some((kind, mut data)) => {
                data["progress"] = json!(job.progress);
                data["stage"] = json!(job.stage);
                let topic = domain::topic::Topic::Job(job.id);
                self.tools.hub.publish(&topic, job.version, kind, chrono::Utc::now(), || data);
            }
        }
        Ok(())
    }
}

/// Why a stand-in was used, in the words of the API.
pub(crate) fn fallback(reason: &str, as_of: Option<domain::time::Instant>) -> Value {
    metrics::counter!("fallbacks_total", "reason" => reason.to_owned()).increment(1);
    json!({"reason": reason, "asOf": as_of.unwrap_or_else(chrono::Utc::now)})
}

/// Is waiting a little likely to help?
pub(crate) fn is_passing(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Transient | ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::UnknownOutcome
    )
}
