//! Destroys what need not be kept any more, as the notice promises, and records that it did: a fact of the event.

use crate::EventError;
use crate::events::Events;
use crate::tools::Tools;
use domain::event::{Command, Rejection, Status, Who};
use domain::ids::{EventId, UserId};
use domain::retention::{DRAW_DAYS, LAST_CALL_DAYS, REMIND_DAYS};
use serde_json::json;
use storage::notices::{NewNotice, UndrawnEvent, insert, undrawn};
use storage::retention::{LAST_CALL, Scope, blank, due, nameless, record_last_call};
use storage::{Result, StorageError};

/// Events of one look: the rest is found by the next.
const EVENTS_PER_LOOK: i64 = 100;
/// Rows per statement: some tens of milliseconds, in which an erasure among them waits, and on the embedded database every
/// caller.
const ROWS_PER_STATEMENT: i64 = 1_000;

/// The kinds of notices that a draw is waited for, and how long after the close.
const DRAW_WAITING: (&str, i32) = ("draw-waiting", REMIND_DAYS);
const DRAW_LAST_CALL: (&str, i32) = (LAST_CALL, DRAW_DAYS - LAST_CALL_DAYS);

/// Tells owners, once each, that customers wait for a draw, and when it will soon be too late for one.
pub(crate) async fn remind(tools: &Tools) -> Result<()> {
    for (kind, days) in [DRAW_WAITING, DRAW_LAST_CALL] {
        let waiting = tools.store.run(async move |c| undrawn(c, kind, days, EVENTS_PER_LOOK).await).await?;
        for event in waiting {
            if kind == LAST_CALL {
                call_last(tools, event).await?;
            } else {
                crate::notices::tell(tools, reminder(kind, event)).await;
            }
        }
    }
    Ok(())
}

/// Records the last call and tells the owner, in one transaction: the time to draw runs from what the owner can read.
async fn call_last(tools: &Tools, event: UndrawnEvent) -> Result<()> {
    let (id, owner, notice) = (EventId(event.id), UserId(event.owner_id), reminder(LAST_CALL, event));
    let told = tools
        .store
        .tx(async move |c| Ok(if record_last_call(c, id).await? { Some(insert(c, notice).await?) } else { None }));
    if let Some(told) = told.await? {
        crate::notices::publish(tools, owner, &told);
    }
    Ok(())
}

fn reminder(kind: &'static str, event: UndrawnEvent) -> NewNotice {
    let (title, entries) = (&event.title, event.entries);
    let (message_ko, message_en) = if kind == LAST_CALL {
        (
            format!(
                "'{title}': {LAST_CALL_DAYS}일 안에 추첨해 주세요. 그 뒤에는 추첨할 수 없고, 응모 {entries}건의 개인정보를 모두 \
                 파기해요."
            ),
            format!(
                "Please draw '{title}' within {LAST_CALL_DAYS} days. After that nobody can draw it any more, and the personal \
                 data of its {entries} entries is destroyed."
            ),
        )
    } else {
        (
            format!(
                "'{title}': 마감한 지 {REMIND_DAYS}일이 지났어요. 응모 {entries}건이 추첨을 기다려요. \
                 마감 뒤 {DRAW_DAYS}일까지 추첨할 수 있고, 그 뒤에는 추첨 없이 개인정보를 파기해요. 이벤트를 열어 추첨해 주세요."
            ),
            format!(
                "'{title}' was closed {REMIND_DAYS} days ago, and {entries} entries wait for the draw. It can be drawn until \
                 {DRAW_DAYS} days after the close; then personal data is destroyed without one."
            ),
        )
    };
    let (owner, data) = (UserId(event.owner_id), json!({"eventId": event.id}));
    NewNotice { owner, kind, level: "warning", message_ko, message_en, data }
}

/// Destroys what is due. What fails is tried again by the next look; what was cut off goes on there.
pub(crate) async fn destroy(tools: &Tools, events: &Events) -> Result<()> {
    for scope in [Scope::Losers, Scope::All] {
        let found = tools.store.run(async move |c| due(c, scope, EVENTS_PER_LOOK).await).await?;
        for event in found {
            match destroy_of(tools, events, scope, event).await {
                Ok(entries) => tracing::info!(%event, ?scope, entries, "personal data is destroyed"),
                // Another process was there first.
                Err(
                    EventError::Storage(StorageError::Conflict { .. })
                    | EventError::Rejected(Rejection::WrongState(Status::Purged)),
                ) => {}
                Err(e) => tracing::warn!(%event, ?scope, error = %e, "personal data was not destroyed"),
            }
        }
    }
    Ok(())
}

async fn destroy_of(
    tools: &Tools,
    events: &Events,
    scope: Scope,
    event: EventId,
) -> std::result::Result<i64, EventError> {
    let store = events.get(event).read().await?.store;
    let numbers = tools.store.run(async move |c| storage::tally::last_no(c, event).await).await?;
    let mut from = 1;
    while from <= numbers {
        let to = from + ROWS_PER_STATEMENT - 1;
        tools.store.run(async move |c| blank(c, scope, event, store, from, to).await).await?;
        from = to + 1;
    }
    let (entries, record) = match scope {
        Scope::Losers => {
            let entries = tools.store.run(async move |c| nameless(c, event).await).await?;
            (entries, Command::RecordDestroyed { entries })
        }
        Scope::All => (numbers, Command::Purge { entries: numbers }),
    };
    events.get(event).command(Who::System, record, None).await?;
    Ok(entries)
}
