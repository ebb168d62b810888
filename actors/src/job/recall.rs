//! Taking back what was published: what can be undone is, what cannot is said.

use super::distribution::{load, published};
use super::{Run, is_passing};
use clients::channel::Recall;
use domain::channel::{Channel, Mode};
use domain::distribution::{ChannelError, ErrorClass, PublicationStatus};
use serde_json::json;
use storage::StorageError;
use storage::distributions::{Change, Distribution};
use storage::jobs::End;
use storage::notices::NewNotice;

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(loaded) = load(run).await? else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없습니다.", "messageEn": "The event is gone."}),
        ));
    };
    let mut impossible: Vec<Channel> = Vec::new();
    let mut again = false;
    for (channel, p) in published(&loaded.distribution) {
        let Some(external) = p.external_id.clone().filter(|_| matches!(p.mode, Mode::Live | Mode::Sandbox)) else {
            continue;
        };
        let client = run.shared.upstreams.channel(channel);
        match run.shared.breakers.retrying(channel.into(), || client.recall(&external, &p.remote)).await {
            Ok(Recall::Done) => settle(run, &loaded.distribution, channel, p.status).await?,
            Ok(Recall::Impossible) => {
                stays_up(run, &loaded.distribution, channel, p.status).await?;
                impossible.push(channel);
            }
            Err(e) if is_passing(e.class) => again = true,
            Err(_) => impossible.push(channel),
        }
    }
    if again {
        return Ok(run.again(
            "channel",
            "게시물을 내리지 못해 다시 시도합니다.",
            "A post could not be taken back; trying again.",
        ));
    }
    // What never went out needs no taking back.
    for p in &loaded.distribution.publications {
        if !matches!(
            p.status,
            PublicationStatus::Published | PublicationStatus::AwaitingReview | PublicationStatus::Recalled
        ) {
            settle(run, &loaded.distribution, p.channel, p.status).await?;
        }
    }
    if !impossible.is_empty() {
        let names: Vec<&str> = impossible.iter().map(|c| c.ko()).collect();
        let notice = NewNotice {
            owner: loaded.event.owner,
            kind: "recall-by-hand",
            level: "warning",
            message_ko: format!("{} 게시물은 자동으로 내릴 수 없습니다. 직접 삭제해 주세요.", names.join(", ")),
            message_en: format!(
                "Posts on {} cannot be taken back automatically. Please delete them.",
                names.join(", ")
            ),
            data: json!({"eventId": loaded.event.id, "channels": impossible}),
        };
        crate::notices::tell(&run.shared, notice).await;
    }
    Ok(End::Succeeded { result: json!({"impossible": impossible}), fallback: None })
}

/// Says on the channel itself that its post is still there.
async fn stays_up(
    run: &Run,
    d: &Distribution,
    channel: Channel,
    status: PublicationStatus,
) -> Result<(), StorageError> {
    let error = ChannelError {
        class: ErrorClass::Caller,
        message_ko: format!("{} 게시물은 자동으로 내릴 수 없어 남아 있습니다. 직접 삭제해 주세요.", channel.ko()),
        message_en: "This post cannot be taken back automatically and is still there. Please delete it.".into(),
    };
    write(run, d, channel, status, Change { error: Some(error), ..Change::to(status) }).await
}

async fn settle(run: &Run, d: &Distribution, channel: Channel, from: PublicationStatus) -> Result<(), StorageError> {
    write(run, d, channel, from, Change::to(PublicationStatus::Recalled)).await
}

async fn write(
    run: &Run,
    d: &Distribution,
    channel: Channel,
    from: PublicationStatus,
    change: Change,
) -> Result<(), StorageError> {
    let id = d.id;
    let changed = run
        .shared
        .store
        .tx(move |c| Box::pin(async move { storage::distributions::change(c, id, channel, &[from], change).await }))
        .await?;
    if let Some((d, ended)) = changed {
        crate::publishing::announce(&run.shared, &d, channel, ended);
    }
    Ok(())
}
