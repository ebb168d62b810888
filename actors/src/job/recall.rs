//! Taking back what was published: what can be undone is, what cannot is said.

use super::distribution::{LoadedDistribution, load};
use super::{Run, is_passing};
use clients::channel::{Published, Recall};
use domain::channel::Channel;
use domain::distribution::{ChannelError, PublicationStatus};
use domain::distribution::{Distribution, Publication};
use serde_json::json;
use storage::StorageError;
use storage::distributions::Change;
use storage::jobs::End;
use storage::notices::NewNotice;

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(loaded) = load(run).await? else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없어져서 게시물을 내리지 않았어요. 채널에서 직접 확인해 주세요.", "messageEn": "The event is gone."}),
        ));
    };
    let (mut impossible, mut again) = (Vec::new(), false);
    for p in &loaded.distribution.publications {
        match take_back(run, &loaded, p).await? {
            RecallOutcome::Back => {}
            RecallOutcome::NotYet => again = true,
            RecallOutcome::Impossible => impossible.push(p.channel),
        }
    }
    if again {
        return Ok(run.again(
            "channel",
            "게시물을 내리지 못해 저절로 다시 시도해요. 기다려 주세요.",
            "A post could not be taken back; trying again.",
        ));
    }
    Ok(End::Succeeded { result: json!({"impossible": impossible}), fallback: None })
}

enum RecallOutcome {
    Back,
    NotYet,
    Impossible,
}

/// Takes one channel's post back. The job is the retry: there is one layer of it.
async fn take_back(run: &Run, loaded: &LoadedDistribution, p: &Publication) -> Result<RecallOutcome, StorageError> {
    use PublicationStatus as P;
    let (d, channel) = (&loaded.distribution, p.channel);
    match p.status {
        // Gone already, or never there.
        P::Recalled | P::Skipped | P::Failed => return Ok(RecallOutcome::Back),
        // A call is under way, or nobody knows yet: it ends first, and is not begun again.
        P::Publishing => return Ok(RecallOutcome::NotYet),
        P::Unknown if channel.can_be_asked() => return settle_unknown(run, loaded, p).await,
        P::Unknown => {
            stays_up(run, loaded, p).await?;
            return Ok(RecallOutcome::Impossible);
        }
        // Only the owner knows whether it was posted.
        P::Assisted => {
            let told = Some(to_delete(loaded, channel));
            let done = write(run, d, channel, p.status, Change::to(P::Recalled), told).await?;
            return Ok(if done { RecallOutcome::Back } else { RecallOutcome::NotYet });
        }
        P::Published | P::AwaitingReview => {}
        // What never went out needs no taking back.
        _ => return settle(run, d, channel, p.status).await,
    }
    let Some(external) = p.external_id.clone().filter(|_| p.mode.calls()) else {
        return Ok(RecallOutcome::Back);
    };
    let client = run.tools.upstreams.channel(channel);
    match run.breakers.once(channel.into(), client.recall(&external, &p.remote)).await {
        Ok(Recall::Done) => settle(run, d, channel, p.status).await,
        Err(e) if is_passing(e.class) => Ok(RecallOutcome::NotYet),
        Ok(Recall::Impossible) | Err(_) => {
            stays_up(run, loaded, p).await?;
            Ok(RecallOutcome::Impossible)
        }
    }
}

/// Asks first whether there is anything to take back.
async fn settle_unknown(
    run: &Run,
    loaded: &LoadedDistribution,
    p: &Publication,
) -> Result<RecallOutcome, StorageError> {
    let client = run.tools.upstreams.channel(p.channel);
    let post = super::distribution::post(run, loaded, p);
    match run.breakers.once(p.channel.into(), client.find(&post)).await {
        Ok(None) => settle(run, &loaded.distribution, p.channel, p.status).await,
        Ok(Some(Published::Out { id, .. } | Published::InReview { id } | Published::HandedOver { id, .. })) => {
            let change = Change { external_id: Some(id), ..Change::to(PublicationStatus::Published) };
            write(run, &loaded.distribution, p.channel, p.status, change, None).await?;
            Ok(RecallOutcome::NotYet)
        }
        Ok(Some(Published::Refused)) => settle(run, &loaded.distribution, p.channel, p.status).await,
        Err(_) => Ok(RecallOutcome::NotYet),
    }
}

fn to_delete(loaded: &LoadedDistribution, channel: Channel) -> NewNotice {
    let (title, name) = (loaded.event.title.as_deref().unwrap_or_default(), channel.ko());
    NewNotice {
        owner: loaded.event.owner,
        kind: "recall-by-hand",
        level: "warning",
        message_ko: format!("'{title}': {name} 게시물은 자동으로 내릴 수 없어요. 올린 것이 있으면 직접 삭제해 주세요."),
        message_en: format!("'{title}': a post on {name} cannot be taken back. If there is one, please delete it."),
        data: json!({"eventId": loaded.event.id, "channels": [channel]}),
    }
}

/// Says on the channel itself that its post is still there, and tells the owner, once.
async fn stays_up(run: &Run, loaded: &LoadedDistribution, p: &Publication) -> Result<(), StorageError> {
    if p.error.as_ref() == Some(&ChannelError::left_up(p.channel)) {
        return Ok(());
    }
    let change = Change { error: Some(ChannelError::left_up(p.channel)), ..Change::to(p.status) };
    let told = Some(to_delete(loaded, p.channel));
    write(run, &loaded.distribution, p.channel, p.status, change, told).await.map(|_| ())
}

/// It is gone. One that changed meanwhile is looked at again.
async fn settle(
    run: &Run,
    d: &Distribution,
    channel: Channel,
    from: PublicationStatus,
) -> Result<RecallOutcome, StorageError> {
    let done = write(run, d, channel, from, Change::to(PublicationStatus::Recalled), None).await?;
    Ok(if done { RecallOutcome::Back } else { RecallOutcome::NotYet })
}

/// Stores what became of it with what its owner has to know. False: it changed meanwhile.
async fn write(
    run: &Run,
    d: &Distribution,
    channel: Channel,
    from: PublicationStatus,
    change: Change,
    told: Option<NewNotice>,
) -> Result<bool, StorageError> {
    let (id, owner) = (d.id, d.owner);
    let changed = run
        .tools
        .store
        .tx(async move |c| {
            let changed = storage::distributions::change(c, id, channel, &[from], None, change).await?;
            match (changed, told) {
                (Some(changed), Some(told)) => Ok(Some((changed, Some(storage::notices::insert(c, told).await?)))),
                (changed, _) => Ok(changed.map(|changed| (changed, None))),
            }
        })
        .await?;
    let Some(((d, ended), told)) = changed else { return Ok(false) };
    crate::publishing::announce(&run.tools, &d, channel, ended);
    if let Some(notice) = told {
        crate::notices::publish(&run.tools, owner, &notice);
    }
    Ok(true)
}
