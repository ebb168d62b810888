//! What is published where: modes, preflight, texts, and the rows of a distribution.

use crate::tools::Tools;
use domain::channel::{Channel, Mode, Platform, Upstream};
use domain::distribution::{ChannelError, PublicationStatus};
use domain::distribution::{Distribution, Publication};
use domain::event::{ContentItem, Event, Status};
use domain::ids::{DistributionId, EventId, ImageId, UserId};
use domain::job::JobKind;
use domain::job::NewJob;
use domain::shop::{Shop, Verification};
use domain::time::{day_ko, last_day_ko};
use domain::topic::Topic;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use storage::images::Image;
use storage::notices::NewNotice;
use storage::{Result, StorageError};
use uuid::Uuid;

/// Something a channel needs and does not have.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Stable code.
    pub code: &'static str,
    /// What the owner can do.
    pub message_ko: &'static str,
    /// The same in English.
    pub message_en: &'static str,
}

const OFF: Missing = Missing {
    code: "channel-off",
    message_ko: "이 채널은 꺼져 있어 건너뛰어요. 링크와 QR 코드로 알려 주세요.",
    message_en: "This channel is switched off and will be skipped.",
};
const ASSISTED: Missing = Missing {
    code: "assisted",
    message_ko: "자동 게시를 지원하지 않아 문구와 링크를 준비해 드려요. 직접 게시해 주세요.",
    message_en: "This channel cannot be posted to automatically: text and link are prepared for you to post.",
};
const NO_JPEG: Missing = Missing {
    code: "jpeg-missing",
    message_ko: "JPEG 이미지가 없어 자동 게시할 수 없어요. 서버에 한글 글꼴을 설치해 주세요.",
    message_en: "There is no JPEG to post: install a Hangul font on the server.",
};
const NOT_PUBLIC: Missing = Missing {
    code: "address-not-public",
    message_ko: "인스타그램이 인터넷에서 사진을 가져갈 수 있는 https 주소가 없어요. 문구와 링크를 준비해 드릴게요. 서버 관리자에게 MADANG_PUBLIC_URL 설정을 부탁해 주세요.",
    message_en: "Instagram fetches pictures from an https address on the internet, and this server has none: text and link are prepared for you to post. Ask the server's operator to set MADANG_PUBLIC_URL.",
};

/// What a channel misses for an event, given its newest pictures.
#[must_use]
pub fn missing(tools: &Tools, channel: Channel, images: &[Image]) -> Vec<Missing> {
    let mut all = Vec::new();
    match tools.upstreams.mode(channel.into()) {
        Mode::Off => all.push(OFF),
        Mode::Assisted => all.push(ASSISTED),
        // What Kakao's API posts to is the owner's own chat: the last step is the owner's.
        Mode::Live | Mode::Sandbox if channel == Channel::Kakao => all.push(ASSISTED),
        Mode::Live | Mode::Sandbox => {}
    }
    let has_jpeg = images.iter().any(|i| i.name.ends_with(".jpg"));
    if channel == Channel::Instagram && !has_jpeg && tools.fonts.hangul().is_none() {
        all.push(NO_JPEG);
    }
    if misses_public_address(channel, tools.upstreams.mode(channel.into()), &tools.public_url) {
        all.push(NOT_PUBLIC);
    }
    all
}

/// Returns true if the channel fetches pictures by URL and `public_url` is not reachable from the internet.
#[must_use]
pub fn misses_public_address(channel: Channel, mode: Mode, public_url: &str) -> bool {
    channel == Channel::Instagram && mode == Mode::Live && !clients::reach::is_public_https(public_url)
}

/// What approval starts.
pub(crate) struct Plan {
    pub(crate) content: Vec<ContentItem>,
    pub(crate) publications: Vec<Publication>,
    /// The versions of pictures that are shown from now on.
    pub(crate) shown: Vec<(ImageId, i32)>,
}

struct ApprovalPictures {
    /// Those that were chosen, the first one first.
    chosen: Vec<Image>,
    /// The newest of all there are.
    all: Vec<Image>,
}

/// Paints the approval's pictures in the caller's task, so that the actor does not block. Paints nothing for an event that
/// the actor will refuse.
///
/// # Errors
/// Rows or objects cannot be read or written.
pub(crate) async fn prepare(tools: &Arc<Tools>, event: &Event) -> Result<()> {
    let may_begin = event.status == Status::Ready && event.ends_at.is_some_and(|end| end > crate::clock::now());
    if may_begin && let Some(shop) = publishing_shop(tools, event).await? {
        paint(tools, event, &shop).await?;
    }
    Ok(())
}

/// The shop of an event; `None` while it may not publish.
async fn publishing_shop(tools: &Tools, event: &Event) -> Result<Option<Shop>> {
    let store = event.store;
    let shop = tools.store.run(async move |c| storage::stores::get(c, store).await).await?;
    let shop = shop.ok_or_else(|| StorageError::Corrupt("no store".into()))?;
    Ok((!shop.removed && shop.verification != Verification::Rejected).then_some(shop))
}

/// Repaints pictures that differ from the plan, and adds missing channel sizes.
async fn paint(tools: &Arc<Tools>, event: &Event, shop: &Shop) -> Result<ApprovalPictures> {
    crate::pictures::follow_plan(tools, event, shop).await?;
    let ids = event.content.iter().map(|c| c.image.0).collect::<Vec<Uuid>>();
    let mut chosen = tools.store.run(async move |c| storage::images::newest_of(c, ids).await).await?;
    // As they were chosen: the first stands in for channels without one of their own.
    chosen.sort_by_key(|i| event.content.iter().position(|item| item.image == i.id));
    let all = crate::pictures::in_every_size(tools, event, &chosen).await.unwrap_or_else(|e| {
        tracing::warn!(event = %event.id, error = %e, "the first picture is shown as it is");
        chosen.clone()
    });
    Ok(ApprovalPictures { chosen, all })
}

/// Reads what approval needs: the shop, the pictures of this moment, and what each channel becomes.
/// `None` while the shop may not publish.
pub(crate) async fn plan(tools: &Arc<Tools>, event: &Event) -> Result<Option<Plan>> {
    let Some(shop) = publishing_shop(tools, event).await? else { return Ok(None) };
    let ApprovalPictures { chosen, all } = paint(tools, event, &shop).await?;
    let content = event
        .content
        .iter()
        .map(|item| ContentItem {
            image: item.image,
            version: chosen.iter().find(|i| i.id == item.image).map(|i| i.version),
        })
        .collect();
    let pictures = |channel| picture_for(channel, &chosen, &all);
    let publications =
        event.channels.iter().map(|c| publication(tools, event, &shop, &chosen, pictures(*c), *c)).collect();
    let shown = shown_versions(&event.channels, &chosen, &all);
    Ok(Some(Plan { content, publications, shown }))
}

/// Returns the versions that publications show: the chosen ones, and the one of each channel.
fn shown_versions(channels: &[Channel], chosen: &[Image], all: &[Image]) -> Vec<(ImageId, i32)> {
    let of_channels = channels.iter().filter_map(|channel| picture_for(*channel, chosen, all));
    let versions: BTreeSet<(ImageId, i32)> = of_channels.chain(chosen).map(|i| (i.id, i.version)).collect();
    versions.into_iter().collect()
}

fn publication(
    tools: &Tools,
    event: &Event,
    shop: &Shop,
    images: &[Image],
    picture: Option<&Image>,
    channel: Channel,
) -> Publication {
    let mode = tools.upstreams.mode(Upstream::from(channel));
    let unmet = missing(tools, channel, images);
    let unfetched = !tools.upstreams.channel(channel).can_fetch(&tools.public_url);
    let (status, mode) = match mode {
        Mode::Off => (PublicationStatus::Skipped, mode),
        Mode::Assisted => (PublicationStatus::Assisted, mode),
        Mode::Live if unfetched => (PublicationStatus::Assisted, Mode::Assisted),
        _ if unmet.iter().any(|m| m.code == "jpeg-missing") => (PublicationStatus::Assisted, Mode::Assisted),
        _ => (PublicationStatus::Queued, mode),
    };
    let link = tracking_link(&tools.public_url, &event.slug, channel);
    // Kakao's card is sent by the owner, in every mode.
    let prepared = status == PublicationStatus::Assisted || channel == Channel::Kakao;
    Publication {
        channel,
        mode,
        status,
        request_key: Uuid::now_v7(),
        calls: 0,
        attempts: 0,
        external_id: None,
        url: (status == PublicationStatus::Assisted).then(|| link.clone()),
        error: (mode == Mode::Off).then(|| ChannelError::off(channel)),
        remote: if prepared { prepared_post(tools, event, shop, picture, &link) } else { json!({}) },
    }
}

/// What an owner needs to post it: the text, and where the picture is.
fn prepared_post(tools: &Tools, event: &Event, shop: &Shop, picture: Option<&Image>, link: &str) -> Value {
    let picture = picture.map(|i| format!("{}/images/{}", tools.public_url, i.name));
    json!({"text": text(event, shop, link), "imageUrl": picture})
}

/// The link of an event that counts for a channel.
#[must_use]
pub fn tracking_link(public_url: &str, slug: &str, channel: Channel) -> String {
    format!("{public_url}/e/{slug}?c={}", channel.code())
}

/// What is posted: title, what can be won, when, and the link.
#[must_use]
pub fn text(event: &Event, shop: &Shop, link: &str) -> String {
    let prizes: Vec<String> = event.prizes.iter().map(|p| format!("{} {}명", p.name, p.quantity)).collect();
    format!(
        "[{}] {}\n경품: {}\n기간: {} ~ {}\n응모하기: {link}",
        shop.name,
        event.title.as_deref().unwrap_or_default(),
        prizes.join(", "),
        event.starts_at.map_or_else(String::new, day_ko),
        event.ends_at.map_or_else(String::new, last_day_ko)
    )
}

/// The picture a channel shows: the one chosen for its platform, else the first one in its size, else that one as it is.
pub(crate) fn picture_for<'a>(channel: Channel, chosen: &'a [Image], all: &'a [Image]) -> Option<&'a Image> {
    let platform = channel.platform().unwrap_or(Platform::Naver);
    let fits = |i: &&Image| i.platform == platform;
    let first = chosen.first()?;
    let resized = || all.iter().filter(fits).find(|i| crate::pictures::looks_like(i, first));
    chosen.iter().find(fits).or_else(resized).or(Some(first))
}

/// The job that publishes a distribution.
pub(crate) fn job(id: DistributionId, event: EventId, owner: UserId) -> NewJob {
    NewJob {
        kind: JobKind::Distribution,
        key: format!("distribution:{id}"),
        owner: Some(owner),
        event: Some(event),
        input: json!({"distribution": id}),
        after: Duration::ZERO,
    }
}

/// Publishes a change of a channel, and the end when this was it.
pub(crate) fn announce(tools: &Tools, d: &Distribution, channel: Channel, ended: bool) {
    let topic = Topic::Distribution(d.id);
    let at = chrono::Utc::now();
    let changed = d.version - i64::from(ended);
    tools.hub.publish(&topic, changed, "channel.changed", at, || {
        let mut body = d.publication(channel).map_or_else(|| json!({}), crate::view::publication);
        body["distribution"] = json!({"id": d.id, "status": d.status()});
        body
    });
    if ended {
        tools.hub.publish(&topic, d.version, "distribution.ended", at, || crate::view::distribution(d));
    }
}

/// What the owner should know about a channel that did not make it, in plain words.
pub(crate) fn trouble(d: &Distribution, channel: Channel, title: &str) -> Option<NewNotice> {
    let p = d.publication(channel)?;
    if !matches!(p.status, PublicationStatus::Failed | PublicationStatus::Skipped | PublicationStatus::Unknown) {
        return None;
    }
    let (ko, en) = p.error.as_ref().map_or_else(
        || {
            (
                format!("{}을(를) 건너뛰었어요. 링크와 QR 코드로 알려 주세요.", channel.ko()),
                format!("{channel} was skipped."),
            )
        },
        |e| (e.message_ko.clone(), e.message_en.clone()),
    );
    Some(NewNotice {
        owner: d.owner,
        kind: "channel-trouble",
        level: "warning",
        message_ko: format!("'{title}': {ko}"),
        message_en: format!("'{title}': {en}"),
        data: json!({"eventId": d.event, "distributionId": d.id, "channel": channel, "status": p.status}),
    })
}

/// Starts taking back what was published; nothing happens a second time.
pub async fn recall(tools: &Tools, id: DistributionId, event: EventId, owner: UserId) -> Result<Option<Distribution>> {
    let begun = tools
        .store
        .tx(async move |c| {
            let Some(d) = storage::distributions::begin_recall(c, id).await? else { return Ok(None) };
            let recall = NewJob {
                kind: JobKind::Recall,
                key: format!("recall:{id}"),
                owner: Some(owner),
                event: Some(event),
                input: json!({"distribution": id}),
                after: Duration::ZERO,
            };
            storage::jobs::insert(c, recall).await?;
            Ok(Some(d))
        })
        .await?;
    if let Some(d) = &begun {
        // An update of a channel like any other, of the first: nothing about it has changed yet but what is to come.
        tools.hub.publish(&Topic::Distribution(id), d.version, "channel.changed", chrono::Utc::now(), || {
            let mut body = d.publications.first().map_or_else(|| json!({}), crate::view::publication);
            (body["recalling"], body["distribution"]) = (json!(true), crate::view::distribution(d));
            body
        });
        tools.jobs.wake();
    }
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::channel::Style;

    fn picture(platform: Platform, version: i32, headline: &str) -> Image {
        Image {
            id: ImageId::new(),
            version,
            event: EventId::new(),
            style: Style::Simple,
            platform,
            name: "a.jpg".into(),
            width: 800,
            height: 400,
            headline: headline.into(),
            body: String::new(),
            palette: "MONO".into(),
            alt_text: String::new(),
            background: None,
            own_headline: false,
            own_body: false,
        }
    }

    /// Case H4: the chosen versions are kept, and those that channels take instead.
    #[test]
    fn kept_versions_are_the_chosen_and_the_resized() {
        let square = picture(Platform::Instagram, 2, "제목");
        let (kakao, other) = (picture(Platform::Kakao, 1, "제목"), picture(Platform::Kakao, 3, "다른 제목"));
        let all = [square.clone(), other, kakao.clone()];
        let of = |channels: &[Channel]| shown_versions(channels, std::slice::from_ref(&square), &all);
        assert_eq!(of(&[Channel::Instagram]), [(square.id, 2)]);
        let mut both = vec![(square.id, 2), (kakao.id, 1)];
        both.sort_unstable();
        assert_eq!(of(&[Channel::Kakao, Channel::Instagram]), both);
        // The job, which reads only what is kept, takes the same.
        let kept: Vec<Image> = all.iter().filter(|i| both.contains(&(i.id, i.version))).cloned().collect();
        assert_eq!(picture_for(Channel::Kakao, std::slice::from_ref(&square), &kept), Some(&kakao));
    }
}
