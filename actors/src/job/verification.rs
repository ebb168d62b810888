//! A business number the tax service did not answer for at signup is asked again until it does, or an operator decides.

use super::Run;
use crate::event::REJECTED;
use crate::system::{Handles, Shared};
use clients::nts::NtsVerdict;
use domain::channel::Upstream;
use domain::event::{Command, Who};
use domain::ids::{StoreId, UserId};
use serde_json::json;
use std::time::Duration;
use storage::StorageError;
use storage::jobs::End;
use storage::notices::NewNotice;
use storage::stores::Verification;

/// Between two looks whether the tax service was switched on again.
const SWITCHED_OFF: Duration = Duration::from_secs(3_600);

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let Some(user) = run.job.owner else {
        return Ok(End::Failed(
            json!({"code": "input", "messageKo": "요청을 읽을 수 없습니다.", "messageEn": "The request cannot be read."}),
        ));
    };
    let keys = run.shared.keys.clone();
    let found =
        run.shared.store.run(move |c| Box::pin(async move { storage::users::get(c, &keys, user).await })).await?;
    let Some(account) = found else {
        return Ok(End::Failed(
            json!({"code": "user-gone", "messageKo": "계정이 없습니다.", "messageEn": "The account is gone."}),
        ));
    };
    let shop = run.shared.store.run(move |c| Box::pin(async move { storage::stores::newest(c, user).await })).await?;
    if shop.is_none_or(|shop| shop.verification != Verification::Pending) {
        return Ok(End::Succeeded { result: json!({"settled": true}), fallback: None });
    }
    if !run.shared.upstreams.mode(Upstream::Nts).calls() {
        return Ok(End::Released(SWITCHED_OFF));
    }
    let nts = &run.shared.upstreams.nts;
    let asked = run
        .shared
        .breakers
        // The job is the retry: there is one layer of it on every path.
        .once(Upstream::Nts, nts.validate(&account.business, account.opened_on, account.name.expose()))
        .await;
    match asked {
        Ok(NtsVerdict::Open) => settle(&run.shared, user, Verification::Verified, true).await?,
        Ok(NtsVerdict::Closed | NtsVerdict::Mismatch) => {
            settle(&run.shared, user, Verification::Rejected, true).await?;
        }
        Err(e) => {
            tracing::info!(job = %run.job.id, error = %e, "the tax service did not answer");
            return Ok(run.again(
                "nts",
                "국세청이 응답하지 않아 다시 확인합니다.",
                "The tax service did not answer; asking again.",
            ));
        }
    }
    Ok(End::Succeeded { result: json!({"settled": true}), fallback: None })
}

impl Handles {
    /// Decides by hand, from documents, what the tax service could not or got wrong: for every shop of its owner. False: there
    /// is no such shop.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn verify_by_hand(&self, store: StoreId, right: bool) -> Result<bool, StorageError> {
        let shop =
            self.shared.store.run(move |c| Box::pin(async move { storage::stores::get(c, store).await })).await?;
        let Some(shop) = shop else { return Ok(false) };
        let verdict = if right { Verification::Verified } else { Verification::Rejected };
        settle(&self.shared, shop.user, verdict, false).await?;
        Ok(true)
    }
}

/// Records a verdict and what follows from it, if it changes anything.
async fn settle(shared: &Shared, user: UserId, verdict: Verification, waiting: bool) -> Result<(), StorageError> {
    let mode = shared.upstreams.mode(Upstream::Nts);
    let changed = shared
        .store
        .run(move |c| Box::pin(async move { storage::stores::set_verification(c, user, verdict, mode, waiting).await }))
        .await?;
    if changed == 0 {
        return Ok(());
    }
    let rejected = verdict == Verification::Rejected;
    if rejected {
        let live =
            shared.store.run(move |c| Box::pin(async move { storage::stores::live_events(c, user).await })).await?;
        for id in live {
            let pause = Command::Pause { reason: Some(REJECTED.into()) };
            if let Err(e) = shared.events().get(id).command(Who::System, pause, None).await {
                tracing::warn!(event = %id, error = %e, "an event of a rejected store was not paused");
            }
        }
    }
    let (ko, en) = if rejected {
        (
            "사업자 확인에 실패해 진행 중인 이벤트를 멈췄습니다. 사업자등록증 사본과 대표자 확인 서류를 보내 주세요.",
            "Your business could not be verified and running events were paused. Please send a copy of the registration and proof of who represents it.",
        )
    } else {
        (
            "사업자 확인이 끝났습니다. 확인하는 동안 멈춘 이벤트가 있으면 다시 시작해 주세요.",
            "Your business is verified. If an event was paused meanwhile, please resume it.",
        )
    };
    let notice = NewNotice {
        owner: user,
        kind: if rejected { "store-rejected" } else { "store-verified" },
        level: if rejected { "critical" } else { "info" },
        message_ko: ko.into(),
        message_en: en.into(),
        data: json!({}),
    };
    crate::notices::tell(shared, notice).await;
    Ok(())
}
