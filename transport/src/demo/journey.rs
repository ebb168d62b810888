//! The journey, step by step. Every step must hold.

use super::client::Api;
use super::input::{Customer, from_file, made_up, story};
use super::{DemoError, Options};
use domain::draw::{DrawProof, verify};
use futures_util::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Customers entering at the same time.
const AT_ONCE: usize = 64;
/// 60 seconds for the dashboard's last update after the last entry.
const LAST_UPDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// What is told at the end: step, how long, what came of it.
struct Report {
    rows: Vec<(String, Duration, String)>,
    since: Instant,
}

impl Report {
    fn step(&mut self, what: &str, came: String) {
        println!("  ✓ {what:<22} {came}");
        self.rows.push((what.to_owned(), self.since.elapsed(), came));
        self.since = Instant::now();
    }
}

pub(super) async fn play(base: String, options: &Options) -> Result<(), DemoError> {
    let story = story(options)?;
    let customers = match &options.entries {
        Some(path) => from_file(path)?,
        None => made_up(options),
    };
    let started = Instant::now();
    let mut report = Report { rows: Vec::new(), since: Instant::now() };
    let api = Api::new(base)?;
    let signed = api.post("/api/users/signup", story.signup).await?;
    let api = api.with_token(text(&signed, "accessToken")?);
    report.step(
        "signup",
        format!(
            "{} ({})",
            signed["store"]["name"].as_str().unwrap_or_default(),
            signed["store"]["verification"].as_str().unwrap_or_default()
        ),
    );
    let event =
        api.post("/api/events", json!({"objective": story.objective, "storeId": signed["store"]["id"]})).await?;
    let path = format!("/api/events/{}", text(&event, "id")?);
    report.step("objective", story.objective);
    let title = choose_option(&api, &event, &path, &mut report).await?;
    choose_pictures(&api, &event, &path, &title, &mut report).await?;
    let event = publish(&api, &path, &mut report).await?;
    let seen = enter(&api, &event, &path, &customers, &mut report).await?;
    draw(&api, &event, &path, seen, &mut report).await?;
    println!("\n{:<24}{:>9}   what came of it", "step", "seconds");
    for (what, took, came) in &report.rows {
        println!("{what:<24}{:>9.2}   {came}", took.as_secs_f64());
    }
    println!("{:<24}{:>9.2}", "in all", started.elapsed().as_secs_f64());
    Ok(())
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, DemoError> {
    value[key].as_str().ok_or_else(|| format!("the answer has no {key}: {value}").into())
}

fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("  {msg:<24} [{bar:30}] {pos}/{len}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Follows a job over the socket to its end; its result.
async fn follow(api: &Api, started: &Value, what: &'static str) -> Result<(Value, usize), DemoError> {
    let id = text(started, "jobId")?;
    let mut socket = api.socket().await?;
    let topic = format!("job:{id}");
    let mut job = socket.subscribe(&topic).await?["snapshot"].clone();
    let (bar, mut shown) = (bar(100, what), 0);
    while !["succeeded", "failed", "dead", "cancelled"].contains(&job["status"].as_str().unwrap_or_default()) {
        let update = socket.until("update", |m| m["topic"] == topic.as_str()).await?;
        bar.set_position(update["data"]["progress"].as_u64().unwrap_or(0));
        shown += usize::from(matches!(update["kind"].as_str(), Some("option.ready" | "image.ready")));
        if update["kind"] == "job.ended" {
            job = update["data"].clone();
        }
    }
    bar.finish_and_clear();
    if job["status"] != "succeeded" {
        return Err(format!("{what}: the job {}: {}", job["status"], job["error"]).into());
    }
    Ok((job["result"].clone(), shown))
}

async fn choose_option(api: &Api, event: &Value, path: &str, report: &mut Report) -> Result<String, DemoError> {
    let (status, started) =
        api.call(Method::POST, "/api/ai/recommendations", Some(json!({"eventId": event["id"]}))).await?;
    let offered = match status {
        StatusCode::OK => started,
        StatusCode::ACCEPTED => follow(api, &started, "recommendation").await?.0,
        other => return Err(format!("recommendations answered {other}: {started}").into()),
    };
    let options = offered["options"].as_array().filter(|o| o.len() == 3).ok_or("three options were expected")?;
    let titles: Vec<&str> = options.iter().filter_map(|o| o["title"].as_str()).collect();
    report.step("recommendation", format!("3 options: {}", titles.join(" / ")));
    let chosen = options.iter().find(|o| o["tier"] == "HIGH").ok_or("no HIGH option")?;
    let ends = chrono::Utc::now() + chrono::Duration::days(7);
    let planned = api
        .put(&format!("{path}/plan"), json!({"optionId": chosen["id"], "endsAt": ends, "visitBonus": {"weight": 3}}))
        .await?;
    let title = text(&planned, "title")?.to_owned();
    report.step("plan", title.clone());
    Ok(title)
}

async fn choose_pictures(
    api: &Api,
    event: &Value,
    path: &str,
    title: &str,
    report: &mut Report,
) -> Result<(), DemoError> {
    let started = api.post("/api/content/images", json!({"eventId": event["id"]})).await?;
    let result = if started["jobId"].is_string() { follow(api, &started, "pictures").await?.0 } else { started };
    let images = result["images"].as_array().filter(|i| i.len() == 9).ok_or("nine pictures were expected")?;
    report.step("pictures", format!("{} in {} styles and sizes", images.len(), "3 × 3"));
    let first = &images[0];
    let edited = api
        .ok(
            Method::PATCH,
            &format!("/api/content/images/{}", text(first, "id")?),
            Some(json!({"headline": title, "body": "오늘부터 응모하세요", "palette": "BLOSSOM"})),
        )
        .await?;
    if edited["version"] != 2 || edited["url"] == first["url"] {
        return Err(format!("an edit must make the next version under a new address: {edited}").into());
    }
    report.step("edit", format!("version {} at once", edited["version"]));
    let style = &first["style"];
    let ids: Vec<&Value> = images.iter().filter(|i| &i["style"] == style).map(|i| &i["id"]).collect();
    api.put(&format!("{path}/content"), json!({"imageIds": ids})).await?;
    let channels = ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"];
    let ready = api.put(&format!("{path}/channels"), json!({"channels": channels})).await?;
    if ready["status"] != "ready" {
        return Err(format!("the event should be ready: {}", ready["status"]).into());
    }
    report.step("channels", format!("{} chosen", channels.len()));
    Ok(())
}

async fn publish(api: &Api, path: &str, report: &mut Report) -> Result<Value, DemoError> {
    let approved = api.post(&format!("{path}/approve?wait=60"), json!({})).await?;
    let event = approved["event"].clone();
    if event["status"] != "live" {
        return Err(format!("the event should be live: {}", event["status"]).into());
    }
    report.step("approval", format!("live at /e/{}", text(&event, "slug")?));
    let d = api.get(&format!("/api/distribution/{}", text(&approved, "distributionId")?)).await?;
    let channels: Vec<String> = d["channels"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| {
            format!(
                "{} {} ({})",
                c["channel"].as_str().unwrap_or_default(),
                c["status"].as_str().unwrap_or_default(),
                c["mode"].as_str().unwrap_or_default()
            )
        })
        .collect();
    if d["status"] == "publishing" || d["status"] == "failed" {
        return Err(format!("publishing did not end well: {d}").into());
    }
    report.step("distribution", format!("{}: {}", d["status"].as_str().unwrap_or_default(), channels.join(", ")));
    Ok(event)
}

/// A dashboard socket read by a task of its own. The server closes a socket whose client stops reading.
struct Dashboard {
    /// Participants in the last update.
    counted: watch::Receiver<i64>,
    reading: JoinHandle<DemoError>,
}

impl Dashboard {
    async fn follow(api: &Api, event: &str) -> Result<Self, DemoError> {
        let mut socket = api.socket().await?;
        socket.subscribe(&format!("event:{event}")).await?;
        let (tell, counted) = watch::channel(0);
        let reading = tokio::spawn(async move {
            loop {
                match socket.next().await {
                    Ok(message) if message["type"] == "error" => {
                        return DemoError::from(format!("the server refused: {message}"));
                    }
                    Ok(message) => {
                        if let Some(count) = message["data"]["cards"]["participants"].as_i64() {
                            tell.send_replace(count);
                        }
                    }
                    Err(e) => return e,
                }
            }
        });
        Ok(Self { counted, reading })
    }

    /// Waits until the dashboard shows this many participants.
    async fn wait_for_count(&mut self, participants: i64) -> Result<i64, DemoError> {
        let counted = self.counted.wait_for(|count| *count == participants);
        let counted = tokio::time::timeout(LAST_UPDATE_TIMEOUT, counted).await.map(|count| count.is_ok());
        match counted {
            Ok(true) => Ok(participants),
            Ok(false) => Err((&mut self.reading).await?),
            Err(_) => Err(format!("no update counts {participants} within {LAST_UPDATE_TIMEOUT:?}").into()),
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Everybody enters while the dashboard is watched; how many were acknowledged.
async fn enter(
    api: &Api,
    event: &Value,
    path: &str,
    customers: &[Customer],
    report: &mut Report,
) -> Result<i64, DemoError> {
    let mut dashboard = Dashboard::follow(api, text(event, "id")?).await?;
    let slug = text(event, "slug")?;
    let bar = bar(customers.len() as u64, "customers");
    let begun = Instant::now();
    let answers: Vec<Result<(StatusCode, Value), DemoError>> = stream::iter(customers.iter().cloned())
        .map(|c| {
            let (api, bar) = (api, &bar);
            async move {
                let body =
                    json!({"name": c.name, "phone": c.phone, "channel": c.channel, "consents": {"privacy": true}});
                let answer =
                    api.call(Method::POST, &format!("/api/participation/events/{slug}/entries"), Some(body)).await;
                bar.inc(1);
                answer
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    bar.finish_and_clear();
    let mut by_code: BTreeMap<String, i64> = BTreeMap::new();
    let mut numbers = Vec::new();
    for answer in answers {
        let (status, body) = answer?;
        if status == StatusCode::CREATED {
            numbers.push(body["entryNo"].as_i64().unwrap_or(0));
        } else {
            *by_code
                .entry(format!("{} {}", status.as_u16(), body["code"].as_str().unwrap_or_default()))
                .or_default() += 1;
        }
    }
    let acknowledged = numbers.len() as i64;
    numbers.sort_unstable();
    if numbers.iter().zip(1..).any(|(n, i)| *n != i) {
        return Err("the entry numbers have a hole or a duplicate".into());
    }
    if by_code.keys().any(|code| !code.starts_with("409 already-entered")) {
        return Err(format!("some customers were refused: {by_code:?}").into());
    }
    let refused = if by_code.is_empty() { String::new() } else { format!(", refused {by_code:?}") };
    let rate = acknowledged as f64 / begun.elapsed().as_secs_f64();
    report.step("entries", format!("{acknowledged} acknowledged, numbered without holes, {rate:.0} a second{refused}"));
    let mut live = api.get(&format!("{path}/analytics")).await?["cards"]["participants"].as_i64().unwrap_or(-1);
    if live != acknowledged {
        return Err(format!("analytics say {live}, {acknowledged} were acknowledged").into());
    }
    // The dashboard was moving meanwhile; its last update must say the same.
    if acknowledged > 0 {
        live = dashboard.wait_for_count(acknowledged).await?;
    }
    report.step("live dashboard", format!("last count {live} over the WebSocket"));
    Ok(live)
}

async fn draw(api: &Api, event: &Value, path: &str, seen: i64, report: &mut Report) -> Result<(), DemoError> {
    let closed = api.post(&format!("{path}/close"), json!({})).await?;
    report.step("close", closed["status"].as_str().unwrap_or_default().to_owned());
    let external = domain::event::state::hex(&storage::crypto::random32());
    let (status, drawn) =
        api.call(Method::POST, &format!("{path}/draws"), Some(json!({"alternates": 5, "external": external}))).await?;
    if status != StatusCode::CREATED {
        return Err(format!("the draw answered {status}: {drawn}").into());
    }
    let winners = drawn["winners"].as_array().map_or(0, Vec::len);
    report.step(
        "draw",
        format!("{winners} winners of {seen}, {} alternates", drawn["alternates"].as_array().map_or(0, Vec::len)),
    );
    let body = api.get(&format!("/api/participation/events/{}/draw", text(event, "slug")?)).await?;
    let proof: DrawProof = serde_json::from_value(body)?;
    verify(&proof)?;
    if proof.count as i64 != seen {
        return Err(format!("the draw covers {} entries, {seen} were acknowledged", proof.count).into());
    }
    report.step("proof", format!("verified: root {}… covers {} entries", &proof.root[..16], proof.count));
    Ok(())
}
