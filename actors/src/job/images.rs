//! Pictures: one textless background per style from the model (or built in), our own text on each platform's size.

use super::{Run, fallback};
use crate::pictures::{Composition, PlanWords, make_picture, store_object};
use clients::prompt;
use domain::catalog::{INDUSTRIES, industry_of};
use domain::channel::{Platform, Style, Upstream};
use domain::distribution::ErrorClass;
use domain::event::Event;
use domain::ids::{ImageId, StoreId};
use domain::shop::Shop;
use domain::time::Season;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use storage::StorageError;
use storage::images::Image;
use storage::jobs::End;
use storage::offers::PaidCall;

/// How long the models of one style are asked: three styles and their pictures must fit into five minutes (RS-05).
const DRAWING: Duration = Duration::from_secs(85);

/// What pictures are asked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) styles: Vec<Style>,
    pub(crate) platforms: Vec<Platform>,
    #[serde(default)]
    pub(crate) store: Option<StoreId>,
    /// The option that was chosen then.
    #[serde(default)]
    pub(crate) option: Option<String>,
}

/// Reads what pictures were asked with.
pub(crate) fn decode_input(input: &Value) -> Option<Input> {
    serde_json::from_value(input.clone()).ok()
}

pub(super) async fn run(run: &Run) -> Result<End, StorageError> {
    let (Some(input), Some(id)) = (decode_input(&run.job.input), run.job.event) else {
        return Ok(End::Failed(
            json!({"code": "input", "messageKo": "요청을 읽을 수 없어요. 처음부터 다시 해 주세요.", "messageEn": "The request cannot be read."}),
        ));
    };
    let read = run.tools.store.run(async move |c| {
        let event = storage::events::get(c, id).await?;
        let shop = match &event {
            Some(e) => storage::stores::get(c, e.store).await?,
            None => None,
        };
        Ok(event.zip(shop))
    });
    let Some((event, shop)) = read.await? else {
        return Ok(End::Failed(
            json!({"code": "event-gone", "messageKo": "이벤트가 없어져서 그만뒀어요. 이벤트 목록을 확인해 주세요.", "messageEn": "The event is gone."}),
        ));
    };
    let total = input.styles.len() * input.platforms.len();
    let (mut images, mut stood_in, mut mode) = (Vec::new(), false, None);
    for style in &input.styles {
        run.progress(percent(images.len(), total, 5), "drawing", None).await?;
        let background = background(run, &shop, &event, *style).await;
        stood_in |= background.is_none();
        mode = background.as_ref().map(|(_, painter)| run.tools.upstreams.mode(*painter)).or(mode);
        for platform in &input.platforms {
            // Drawing takes long: the plan may have changed meanwhile.
            let now = run.tools.store.run(async move |c| storage::events::get(c, id).await);
            let event = now.await?.unwrap_or_else(|| event.clone());
            let image =
                compose(run, &event, &shop, *style, *platform, background.as_ref().map(|(name, _)| name.as_str()))
                    .await?;
            let shown = crate::view::image(&image, &run.tools.public_url);
            images.push(shown.clone());
            run.progress(percent(images.len(), total, 0), "composing", Some(("image.ready", json!({"image": shown}))))
                .await?;
        }
    }
    let fallback = stood_in.then(|| fallback("built-in-background", None));
    // What a simulated model draws is called so.
    Ok(End::Succeeded { result: json!({"images": images, "mode": mode}), fallback })
}

fn percent(done: usize, total: usize, plus: i16) -> i16 {
    (done * 95 / total.max(1)) as i16 + plus
}

/// Draws a background and stores it under a name of its own; who drew it. `None`: the built-in one must do.
async fn background(run: &Run, shop: &Shop, event: &Event, style: Style) -> Option<(String, Upstream)> {
    let industry = industry_of(&shop.industry).unwrap_or(&INDUSTRIES[0]);
    let tier = event.option.as_ref().map(|o| o.tier);
    let words = prompt::picture(industry, style, Season::at(chrono::Utc::now()), event.objective, tier);
    let seed: u32 = rand::random::<u32>() >> 1;
    let (png, painter) = draw(run, shop, &words, seed).await?;
    let name = format!("{}.png", crate::pictures::unguessable());
    store_object(&run.tools, &name, png.to_vec()).await.ok()?;
    Some((name, painter))
}

/// Asks the picture models in turn; one that refuses is asked once more, without the season and the mood.
async fn draw(run: &Run, shop: &Shop, words: &str, seed: u32) -> Option<(bytes::Bytes, Upstream)> {
    let upstreams = &run.tools.upstreams;
    let deadline = tokio::time::Instant::now() + DRAWING;
    for (upstream, painter) in upstreams.usable(&upstreams.painters) {
        for words in [words, prompt::PLAIN_PICTURE] {
            let drawing = run.breakers.retrying(*upstream, || painter.draw(words, prompt::NEGATIVE, seed));
            let drawn = tokio::time::timeout_at(deadline, drawing).await.ok()?;
            let call = PaidCall {
                store: Some(shop.id),
                upstream: upstream.code(),
                purpose: "images",
                prompt: Some(prompt::PICTURE.to_owned()),
                tokens: (0, 0),
                cost_centiwon: drawn.as_ref().map_or(0, |d| d.cost_centiwon),
                succeeded: drawn.is_ok(),
            };
            record(run, call).await;
            match drawn {
                Ok(drawn) => return Some((drawn.png, *upstream)),
                Err(e) => {
                    tracing::warn!(job = %run.job.id, upstream = upstream.code(), error = %e, "no background was drawn");
                    if e.class != ErrorClass::Refused {
                        break;
                    }
                }
            }
        }
    }
    None
}

/// Records a paid call; that it cannot is logged, never fatal.
pub(super) async fn record(run: &Run, call: PaidCall) {
    metrics::counter!("upstream_cost_won_total", "upstream" => call.upstream)
        .increment((call.cost_centiwon / 100) as u64);
    let stored = run.tools.store.run(async move |c| storage::offers::record_call(c, call).await).await;
    if let Err(e) = stored {
        tracing::warn!(error = %e, "a paid call was not recorded");
    }
}

async fn compose(
    run: &Run,
    event: &Event,
    shop: &Shop,
    style: Style,
    platform: Platform,
    background: Option<&str>,
) -> Result<Image, StorageError> {
    let PlanWords { headline, body } = PlanWords::of(event, shop);
    let palette = match style {
        Style::Simple => "CREAM",
        Style::Vivid => "SUNSET",
        Style::Trendy => "OCEAN",
    };
    let what = Composition {
        id: ImageId::new(),
        version: 1,
        event: event.id,
        style,
        platform,
        headline,
        body,
        palette: palette.into(),
        background: background.map(str::to_owned),
        own_headline: false,
        own_body: false,
    };
    make_picture(&run.tools, event.owner, what).await
}
