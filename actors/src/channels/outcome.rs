//! What a channel's answer means.

use clients::UpstreamError;
use clients::channel::Published;
use domain::channel::Channel;
use domain::distribution::{ErrorClass, Outcome, PublicationStatus};
use serde_json::{Value, json};
use std::time::Duration;
use storage::distributions::Change;

/// Fails a call of this class when it takes longer than the limit.
pub(super) async fn within_limit<T>(
    limit: Duration,
    late: ErrorClass,
    call: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    let ended = tokio::time::timeout(limit, call).await;
    ended.unwrap_or_else(|_| Err(UpstreamError::new(late, "it took too long")))
}

/// What a channel told of its post.
#[derive(Default)]
pub(super) struct Details {
    external_id: Option<String>,
    url: Option<String>,
    remote: Option<Value>,
}

impl Details {
    /// Returns the change to a status, with these details.
    pub(super) fn change(self, status: PublicationStatus) -> Change {
        Change { external_id: self.external_id, url: self.url, remote: self.remote, ..Change::to(status) }
    }
}

/// Returns what an answer means, and its details. `Ok(None)`: the channel says that the post never arrived.
pub(super) fn heard(answer: Result<Option<Published>, UpstreamError>, channel: Channel) -> (Outcome, Details) {
    match answer {
        Ok(Some(Published::Out { id, url, remote })) => {
            let remote = (remote != Value::Null && remote != json!({})).then_some(remote);
            (Outcome::Published, Details { external_id: Some(id), url, remote })
        }
        Ok(Some(Published::InReview { id })) => {
            (Outcome::InReview, Details { external_id: Some(id), ..Details::default() })
        }
        Ok(Some(Published::HandedOver { id, url })) => {
            (Outcome::HandedOver, Details { external_id: Some(id), url: Some(url), ..Details::default() })
        }
        Ok(Some(Published::Refused)) => {
            (Outcome::Failed { class: ErrorClass::Refused, retry_after: None }, Details::default())
        }
        Ok(None) => (Outcome::NotThere, Details::default()),
        Err(e) => {
            tracing::info!(channel = channel.code(), error = %e, "a channel did not publish");
            (Outcome::Failed { class: e.class, retry_after: e.retry_after }, Details::default())
        }
    }
}
