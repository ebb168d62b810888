//! Publishing: all channels in parallel, each through its own actor. One dead channel changes nothing for the others.

use super::Run;
use crate::channels::Task;
use crate::publishing;
use bytes::Bytes;
use clients::channel::Post;
use domain::channel::Channel;
use domain::distribution::{Distribution, Publication};
use domain::distribution::{DistributionStatus, PublicationStatus};
use domain::event::Event;
use domain::ids::DistributionId;
use domain::shop::Shop;
use serde_json::{Value, json};
use storage::StorageError;
use storage::images::Image;
use storage::jobs::End;

pub(super) fn distribution_of(input: &Value) -> Option<DistributionId> {
    input["distribution"].as_str()?.parse().ok()
}

/// A distribution with everything its channels need.
pub(super) struct LoadedDistribution {
    pub(super) distribution: Distribution,
    pub(super) event: Event,
    pub(super) shop: Shop,
    /// Those that were chosen, as they were approved.
    images: Vec<Image>,
    /// All versions that were approved, in other sizes too: later edits change nothing.
    all: Vec<Image>,
}

impl LoadedDistribution {
    fn picture(&self, channel: Channel) -> Option<&Image> {
        publishing::picture_for(channel, &self.images, &self.all)
    }
}

pub(super) async fn load(run: &Run) -> Result<Option<LoadedDistribution>, StorageError> {
    let Some(id) = distribution_of(&run.job.input) else { return Ok(None) };
    run.tools
        .store
        .run(async move |c| {
            let Some(distribution) = storage::distributions::get(c, id).await? else { return Ok(None) };
            let Some(event) = storage::events::get(c, distribution.event).await? else { return Ok(None) };
            let Some(shop) = storage::stores::get(c, event.store).await? else { return Ok(None) };
            let mut images = Vec::new();
            for item in &event.content {
                images.extend(storage::images::version(c, item.image, item.version.unwrap_or(1)).await?);
            }
            let all = storage::images::published_of_event(c, event.id).await?;
            Ok(Some(LoadedDistribution { distribution, event, shop, images, all }))
        })
        .await
}

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(loaded) = load(run).await? else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없어져서 게시하지 않았어요. 이벤트 목록을 확인해 주세요.", "messageEn": "The event is gone."}),
        ));
    };
    run.progress(10, "publishing", None).await?;
    // What is reviewed, or unknown where the channel can be asked, may still change.
    let open = |p: &&Publication| match p.status {
        PublicationStatus::AwaitingReview => true,
        PublicationStatus::Unknown => p.channel.can_be_asked(),
        status => status.is_pending(),
    };
    let tasks = loaded.distribution.publications.iter().filter(|p| open(p) && p.mode.calls()).map(|p| async {
        let mut post = post(run, &loaded, p);
        post.picture = picture(run, &loaded, p.channel)
            .await
            .map_err(|e| tracing::warn!(channel = %p.channel, error = %e, "its picture cannot be read"))?;
        let lease = (run.job.id, run.job.epoch);
        let distribution = loaded.distribution.id;
        run.channels.publish(Task { distribution, publication: p.clone(), post, lease }).await.map_err(drop)
    });
    let settled: Vec<Result<_, ()>> = futures_util::future::join_all(tasks).await;
    if settled.iter().any(Result::is_err) {
        return Ok(run.again(
            "channel",
            "게시를 마치지 못해 저절로 다시 시도해요. 기다려 주세요.",
            "Publishing is tried again.",
        ));
    }
    let Some(after) = load(run).await? else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없어져서 게시하지 않았어요. 이벤트 목록을 확인해 주세요.", "messageEn": "The event is gone."}),
        ));
    };
    let statuses = |d: &Distribution| d.publications.iter().map(|p| p.status).collect::<Vec<_>>();
    let settled = after.distribution.status() != DistributionStatus::Publishing;
    if settled && statuses(&after.distribution) != statuses(&loaded.distribution) {
        // What went out is what is paid for.
        let event = after.distribution.event;
        let version = run.tools.store.run(async move |c| storage::events::log_fact(c, event).await).await?;
        run.events.get(event).refresh(version).await;
    }
    Ok(End::Succeeded { result: crate::view::distribution(&after.distribution), fallback: None })
}

pub(super) fn post(run: &Run, l: &LoadedDistribution, p: &Publication) -> Post {
    let link = publishing::tracking_link(&run.tools.public_url, &l.event.slug, p.channel);
    let picture = l.picture(p.channel);
    Post {
        request_key: p.request_key,
        event: l.event.id.0,
        title: l.event.title.clone().unwrap_or_default(),
        text: publishing::text(&l.event, &l.shop, &link),
        link,
        picture: None,
        image_url: picture.map(|i| format!("{}/images/{}", run.tools.public_url, i.name)),
        shop: l.shop.name.clone(),
        region: l.shop.region.to_string(),
        starts_at: l.event.starts_at.unwrap_or(l.event.created_at),
        ends_at: l.event.ends_at.unwrap_or(l.event.created_at),
        remote: p.remote.clone(),
    }
}

/// The picture itself, for a channel that takes no address.
async fn picture(run: &Run, l: &LoadedDistribution, channel: Channel) -> Result<Option<Bytes>, StorageError> {
    match l.picture(channel) {
        Some(image) if channel == Channel::Naver && image.name.ends_with(".jpg") => {
            crate::pictures::file(&run.tools, &image.name).await
        }
        _ => Ok(None),
    }
}

/// The channels of a distribution that hold something.
pub(super) fn published(d: &Distribution) -> Vec<(Channel, Publication)> {
    let out = |s: PublicationStatus| matches!(s, PublicationStatus::Published | PublicationStatus::AwaitingReview);
    d.publications.iter().filter(|p| out(p.status)).map(|p| (p.channel, p.clone())).collect()
}
