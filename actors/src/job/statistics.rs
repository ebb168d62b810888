//! Figures of the channels of a running event. A channel that does not answer keeps its last ones, marked stale.

use super::Run;
use super::distribution::published;
use serde_json::json;
use storage::StorageError;
use storage::jobs::End;

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(event) = run.job.event else {
        return Ok(End::Failed(
            json!({"code": "input", "messageKo": "요청을 읽을 수 없어요. 처음부터 다시 해 주세요.", "messageEn": "The request cannot be read."}),
        ));
    };
    let found = run.tools.store.run(async move |c| storage::distributions::of_event(c, event).await).await?;
    let Some(distribution) = found else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없어져서 그만뒀어요. 이벤트 목록을 확인해 주세요.", "messageEn": "The event is gone."}),
        ));
    };
    let asked = published(&distribution).into_iter().filter(|(_, p)| p.mode.calls()).filter_map(|(channel, p)| {
        let external = p.external_id?;
        Some(async move {
            let client = run.tools.upstreams.channel(channel);
            let figures = run.breakers.once(channel.into(), client.stats(event.0, &external)).await;
            (channel, figures.inspect_err(|e| tracing::info!(channel = channel.code(), error = %e, "no figures")).ok())
        })
    });
    let answers = futures_util::future::join_all(asked).await;
    let n = answers.len();
    let version = run
        .tools
        .store
        .tx(async move |c| {
            for (channel, figures) in answers {
                storage::stats::measured(c, event, channel, figures.map(|f| (f.impressions, f.clicks))).await?;
            }
            storage::events::log_fact(c, event).await
        })
        .await?;
    run.events.get(event).refresh(version).await;
    Ok(End::Succeeded { result: json!({"channels": n}), fallback: None })
}
