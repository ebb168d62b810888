//! What everybody who follows a job hears: how far it is, and that it is over.

use crate::tools::Tools;
use domain::ids::JobId;
use domain::job::Job;
use domain::job::JobStatus;
use domain::topic::Topic;
use serde_json::json;
use storage::cache::ttl;

/// Ends a job whose row says that it was cancelled, and tells its followers.
pub(crate) async fn cancelled(tools: &Tools, job: &Job) {
    tools.jobs.cancel(job.id);
    ended(tools, job).await;
}

/// Cache key of a job (CK-06, CK-07). Only what cannot change any more is kept: a dead one may be replayed.
pub(crate) fn cache_key(id: JobId) -> String {
    format!("job:{id}")
}

/// Publishes that a job is over.
pub(crate) async fn ended(tools: &Tools, job: &Job) {
    if job.status == JobStatus::Dead {
        metrics::counter!("dead_letters_total", "kind" => "job").increment(1);
        tools.alarms.notify_one();
    }
    remember(tools, job).await;
    metrics::counter!("jobs_total", "kind" => job.kind.code(), "state" => job.status.code()).increment(1);
    tools.hub.publish(&Topic::Job(job.id), job.version, "job.ended", chrono::Utc::now(), || crate::view::job(job));
}

pub(crate) async fn remember(tools: &Tools, job: &Job) {
    if job.status.is_over() && job.status != JobStatus::Dead {
        let kept = json!({"owner": job.owner, "version": job.version, "body": crate::view::job(job)});
        tools.cache.set(&cache_key(job.id), kept.to_string().into(), ttl::JOB).await;
    }
}

/// Publishes how far a job is.
pub(crate) fn progressed(tools: &Tools, job: &Job) {
    tools.hub.publish(
        &Topic::Job(job.id),
        job.version,
        "job.progress",
        chrono::Utc::now(),
        || json!({"status": job.status, "progress": job.progress, "stage": job.stage}),
    );
}
