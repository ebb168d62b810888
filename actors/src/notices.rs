//! Telling an owner something: stored until read, and pushed to open consoles.

use crate::tools::Tools;
use domain::channel::Upstream;
use domain::ids::{EventId, UserId};
use domain::topic::Topic;
use serde_json::json;
use storage::notices::{NewNotice, Notice, insert, insert_daily, insert_once};

/// Stores and publishes a notice. A failure is logged: what it is about happened all the same.
pub(crate) async fn tell(tools: &Tools, notice: NewNotice) {
    let owner = notice.owner;
    match tools.store.tx(async move |c| insert(c, notice).await).await {
        Ok(stored) => publish(tools, owner, &stored),
        Err(e) => tracing::error!(error = %e, "a notice was not stored"),
    }
}

/// Tells an owner something at most once a day by its kind. A failure is logged: what it is about happened all the same.
pub(crate) async fn tell_daily(tools: &Tools, notice: NewNotice) {
    let owner = notice.owner;
    let stored = tools.store.tx(async move |c| insert_daily(c, notice).await).await;
    publish_told(tools, owner, stored);
}

/// Tells an owner something about an event, unless the owner was told so of this event before. Returns false when nothing
/// was stored because the database did not take it.
pub(crate) async fn tell_once(tools: &Tools, notice: NewNotice, event: EventId) -> bool {
    let owner = notice.owner;
    let stored = tools.store.tx(async move |c| insert_once(c, notice, event).await).await;
    let told = stored.is_ok();
    publish_told(tools, owner, stored);
    told
}

/// Publishes a notice, if one was stored.
fn publish_told(tools: &Tools, owner: UserId, stored: storage::Result<Option<Notice>>) {
    match stored {
        Ok(Some(stored)) => publish(tools, owner, &stored),
        Ok(None) => {}
        Err(e) => tracing::error!(error = %e, "a notice was not stored"),
    }
}

/// Owners told of one upstream's trouble at most; the others see it when they meet it.
const MAX_OWNERS_TOLD: i64 = 1_000;

/// Tells the owners it concerns that an upstream's breaker opened or closed.
pub(crate) async fn tell_of_upstream(tools: &Tools, upstream: Upstream, open: bool) {
    let concerned = tools
        .store
        .run(async move |c| storage::notices::concerned(c, upstream, MAX_OWNERS_TOLD).await)
        .await
        .unwrap_or_default();
    let (ko, en) = if open { down(upstream) } else { up(upstream) };
    for owner in concerned {
        let notice = NewNotice {
            owner,
            kind: if open { "upstream-down" } else { "upstream-up" },
            level: if open { "warning" } else { "info" },
            message_ko: ko.clone(),
            message_en: en.clone(),
            data: json!({"upstream": upstream}),
        };
        tell(tools, notice).await;
    }
}

fn down(upstream: Upstream) -> (String, String) {
    let (name, code) = (upstream.ko(), upstream.code());
    let (ko, en) = match upstream {
        Upstream::Nts => ("확인은 저절로 다시 하니 그대로 쓰시면 돼요.", "Verification goes on by itself; carry on."),
        Upstream::Claude | Upstream::OpenAi => (
            "그동안 다른 모델이나 이전 추천을 보여 드려요.",
            "Another model or an earlier proposal stands in meanwhile.",
        ),
        Upstream::Stability | Upstream::OpenAiImages => (
            "그동안 다른 모델이나 기본 배경으로 이미지를 만들어요.",
            "Another model or a built-in background stands in meanwhile.",
        ),
        _ => (
            "다른 채널은 그대로 게시돼요. 건너뛴 채널은 몇 분 뒤 '다시 시도'를 눌러 주세요.",
            "Other channels go on. Try again in a few minutes what was skipped.",
        ),
    };
    (format!("{name} 연결에 장애가 있어요. {ko}"), format!("{code} is not answering. {en}"))
}

fn up(upstream: Upstream) -> (String, String) {
    let (ko, en) = match upstream.channel() {
        Some(_) => (" 건너뛴 채널이 있다면 '다시 시도'를 눌러 주세요.", " Try again what was skipped."),
        None => ("", ""),
    };
    (format!("{} 연결이 다시 돼요.{ko}", upstream.ko()), format!("{} is back.{en}", upstream.code()))
}

pub(crate) fn publish(tools: &Tools, owner: domain::ids::UserId, n: &Notice) {
    tools.hub.publish(&Topic::Owner(owner), n.seq, "notice", n.created_at, || json!(n));
}
