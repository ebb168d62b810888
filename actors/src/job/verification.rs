//! A business number the tax service did not answer for at signup is asked again until it does, or an operator decides.

use super::Run;
use crate::event::{EventError, REJECTED};
use crate::events::Events;
use crate::tax_calls::TaxCaller;
use crate::tools::Tools;
use clients::nts::NtsVerdict;
use domain::channel::{Mode, Upstream};
use domain::event::{Command, Who};
use domain::ids::UserId;
use domain::shop::Verification;
use serde_json::json;
use std::time::Duration;
use storage::StorageError;
use storage::jobs::End;
use storage::notices::{NewNotice, insert};

/// Between two looks whether the tax service was switched on again.
const SWITCHED_OFF: Duration = Duration::from_secs(3_600);

/// Between two looks whether there are calls left for the day.
const NO_CALLS_LEFT: Duration = Duration::from_secs(3_600);

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(user) = run.job.owner else {
        return Ok(End::Failed(
            json!({"code": "input", "messageKo": "요청을 읽을 수 없어요. 처음부터 다시 해 주세요.", "messageEn": "The request cannot be read."}),
        ));
    };
    let keys = run.tools.keys.clone();
    let found = run.tools.store.run(async move |c| storage::users::get(c, &keys, user).await).await?;
    let Some(account) = found else {
        return Ok(End::Failed(
            json!({"code": "user-gone", "messageKo": "계정이 없어져서 확인을 그만뒀어요. 쓰시려면 다시 가입해 주세요.", "messageEn": "The account is gone."}),
        ));
    };
    let shop = run.tools.store.run(async move |c| storage::stores::newest(c, user).await).await?;
    match shop.map(|shop| shop.verification) {
        Some(Verification::Pending) => {}
        // Decided, maybe by an attempt that was cut off before everything had stopped.
        decided => {
            if decided == Some(Verification::Rejected) {
                stop(&run.tools, &run.events, user).await?;
            }
            return Ok(End::Succeeded { result: json!({"settled": true}), fallback: None });
        }
    }
    let mode = run.tools.upstreams.mode(Upstream::Nts);
    if run.tools.store.run(async move |c| storage::users::business_lost(c, user).await).await? {
        settle(&run.tools, &run.events, user, Verification::Rejected, Some(mode)).await?;
        return Ok(End::Succeeded { result: json!({"settled": true}), fallback: None });
    }
    if !mode.calls() {
        return Ok(End::Released(SWITCHED_OFF));
    }
    let today = domain::time::kst_day(chrono::Utc::now());
    if !run.tools.tax_calls.take(TaxCaller::Retry, today) {
        return Ok(End::Released(NO_CALLS_LEFT));
    }
    let nts = &run.tools.upstreams.nts;
    let asked = run
        .breakers
        // The job is the retry: there is one layer of it on every path.
        .once(Upstream::Nts, nts.validate(&account.business, account.opened_on, account.name.expose()))
        .await;
    match asked {
        Ok(answer) => {
            let verdict = match answer {
                NtsVerdict::Open => Verification::Verified,
                NtsVerdict::Closed | NtsVerdict::Mismatch => Verification::Rejected,
            };
            settle(&run.tools, &run.events, user, verdict, Some(mode)).await?;
        }
        Err(e) => {
            if e.is_unsent() {
                run.tools.tax_calls.give_back(today);
            }
            tracing::info!(job = %run.job.id, error = %e, "the tax service did not answer");
            return Ok(run.again(
                "nts",
                "국세청이 응답하지 않아 저절로 다시 확인해요. 기다려 주세요.",
                "The tax service did not answer; asking again.",
            ));
        }
    }
    Ok(End::Succeeded { result: json!({"settled": true}), fallback: None })
}

/// Records a verdict, of the tax service in its `mode` or of an operator, tells the owner once, and stops what a rejected shop
/// runs. Did it change anything?
pub(crate) async fn settle(
    tools: &Tools,
    events: &Events,
    user: UserId,
    verdict: Verification,
    mode: Option<Mode>,
) -> Result<bool, StorageError> {
    let stored = tools
        .store
        .tx(async move |c| {
            storage::stores::hold(c, user).await?;
            if verdict == Verification::Verified {
                storage::users::claim_business(c, user).await?;
            }
            let changed = storage::stores::set_verification(c, user, verdict, mode).await?;
            Ok(if changed == 0 { None } else { Some(insert(c, notice(user, verdict)).await?) })
        })
        .await?;
    if let Some(told) = &stored {
        crate::notices::publish(tools, user, told);
    }
    if verdict == Verification::Rejected {
        stop(tools, events, user).await?;
    }
    Ok(stored.is_some())
}

/// Pauses what a rejected shop runs. What could not be paused is an error, for whoever tries again.
async fn stop(tools: &Tools, events: &Events, user: UserId) -> Result<(), StorageError> {
    let live = tools.store.run(async move |c| storage::stores::live_events(c, user).await).await?;
    let mut outcome = Ok(());
    for id in live {
        let pause = Command::Pause { reason: Some(REJECTED.into()) };
        match events.get(id).command(Who::System, pause, None).await {
            // No longer open.
            Ok(_) | Err(EventError::Rejected(_)) => {}
            Err(EventError::Storage(e)) => outcome = Err(e),
            Err(e) => {
                tracing::warn!(event = %id, error = %e, "an event of a rejected store was not paused");
                outcome = Err(StorageError::Contended);
            }
        }
    }
    outcome
}

fn notice(owner: UserId, verdict: Verification) -> NewNotice {
    let rejected = verdict == Verification::Rejected;
    let (message_ko, message_en) = if rejected {
        (
            "사업자 확인에 실패해 진행 중인 이벤트를 멈췄어요. 사업자등록증 사본과 대표자 확인 서류를 보내 주세요.",
            "Your business could not be verified and running events were paused. Please send a copy of the registration and \
             proof of who represents it.",
        )
    } else {
        (
            "사업자 확인이 끝났어요. 확인에 실패해 멈춘 이벤트가 있다면 다시 시작해 주세요.",
            "Your business is verified. What was paused because it was not can be resumed.",
        )
    };
    NewNotice {
        owner,
        kind: if rejected { "store-rejected" } else { "store-verified" },
        level: if rejected { "critical" } else { "info" },
        message_ko: message_ko.into(),
        message_en: message_en.into(),
        data: json!({}),
    }
}
