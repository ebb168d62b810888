//! What came of a call to a channel.

use clients::UpstreamError;
use clients::channel::Published;
use domain::channel::Channel;
use domain::distribution::{ChannelError, ErrorClass, Outcome, PublicationStatus};
use serde_json::{Value, json};
use std::time::Duration;
use storage::distributions::Change;

/// What takes longer is given up on, and is a failure of this class.
pub(super) async fn within_limit<T>(
    limit: Duration,
    late: ErrorClass,
    call: impl Future<Output = Result<T, UpstreamError>>,
) -> Result<T, UpstreamError> {
    let ended = tokio::time::timeout(limit, call).await;
    ended.unwrap_or_else(|_| Err(UpstreamError::new(late, "it took too long")))
}

pub(super) fn outcome_of(published: Published, channel: Channel) -> (Outcome, Change) {
    let mut change = Change::to(PublicationStatus::Published);
    let outcome = match published {
        Published::Out { id, url, remote } => {
            change.external_id = Some(id);
            change.url = url;
            change.remote = (remote != Value::Null && remote != json!({})).then_some(remote);
            Outcome::Published
        }
        Published::InReview { id } => {
            change.external_id = Some(id);
            Outcome::InReview
        }
        Published::HandedOver { id, url } => {
            change.external_id = Some(id);
            change.url = Some(url);
            Outcome::HandedOver
        }
        Published::Refused => {
            change.error = Some(ChannelError::of(ErrorClass::Refused, channel));
            Outcome::Failed { class: ErrorClass::Refused, retry_after: None }
        }
    };
    (outcome, change)
}
