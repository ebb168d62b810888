//! F1: the database is gone for a while. Refusals are quick and say when to come back, nothing is acknowledged without a
//! row, and the service is back by itself soon after the database is.

use crate::api::Owner;
use crate::record::say;
use crate::server::{Failure, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// A refusal within this; after the database's return the first entry within [`BACK`].
const REFUSED: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_secs(5);

/// Runs it with shell commands that stop and start the database of `DATABASE_URL`.
pub async fn run(stop: &str, start: &str, seconds: u64) -> Result<ExitCode, Failure> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[]).await?;
    let owner = Owner::signup(&server.base, Arc::default()).await?;
    let (event, _) = owner.ready(&["NAVER"]).await?;
    let (id, slug) = (event["id"].as_str().ok_or("no id")?, event["slug"].as_str().ok_or("no slug")?);
    owner.approve(id).await?;
    let customers = Customers {
        http: reqwest::Client::builder().no_proxy().build()?,
        base: server.base.clone(),
        slug: slug.to_owned(),
    };
    let mut acknowledged = 0;
    for n in 0..100 {
        acknowledged += u64::from(customers.enter(n).await?.status == 201);
    }
    shell(stop).await?;
    let (gone, mut n) = (Instant::now(), 100);
    let (mut slowest, mut answers, mut silent) = (Duration::ZERO, BTreeMap::<u16, u64>::new(), 0);
    while gone.elapsed() < Duration::from_secs(seconds) {
        let answer = customers.enter(n).await?;
        n += 1;
        slowest = slowest.max(answer.took);
        *answers.entry(answer.status).or_default() += 1;
        silent += u64::from(answer.status == 503 && !answer.says_when);
        acknowledged += u64::from(answer.status == 201);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shell(start).await?;
    let returned = Instant::now();
    let back = loop {
        let answer = customers.enter(n).await?;
        n += 1;
        if answer.status == 201 {
            acknowledged += 1;
            break returned.elapsed();
        }
        if returned.elapsed() > Duration::from_secs(60) {
            return Err(format!("not back after a minute: {}", answer.status).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (_, analytics) = owner.get(&format!("/api/events/{id}/analytics")).await?;
    let stored = analytics["cards"]["participants"].as_u64().unwrap_or(0);
    say!(
        "database gone for {seconds} s: answers {answers:?}, the slowest after {:.2} s, {silent} without Retry-After",
        slowest.as_secs_f64()
    );
    say!("back {:.2} s after the database; {acknowledged} acknowledged, {stored} stored", back.as_secs_f64());
    server.stop().await;
    // What was told to be unknown may be stored; what was acknowledged must be.
    let held = slowest <= REFUSED && silent == 0 && back <= BACK && stored >= acknowledged;
    let refused = answers.keys().all(|status| *status == 503);
    say!("{}", if held && refused { "held" } else { "did not hold" });
    Ok(if held && refused { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Customers {
    http: reqwest::Client,
    base: String,
    slug: String,
}

struct Answer {
    status: u16,
    took: Duration,
    says_when: bool,
}

impl Customers {
    async fn enter(&self, n: usize) -> Result<Answer, Failure> {
        let path = format!("{}/api/participation/events/{}/entries", self.base, self.slug);
        let body: Value = json!({"name": "김손님", "phone": format!("010{n:08}"), "consents": {"privacy": true}});
        let begun = Instant::now();
        let answer = self.http.post(path).json(&body).send().await?;
        let says_when = answer.headers().contains_key("retry-after");
        Ok(Answer { status: answer.status().as_u16(), took: begun.elapsed(), says_when })
    }
}

async fn shell(command: &str) -> Result<(), Failure> {
    let status = Command::new("sh").arg("-c").arg(command).status().await?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
}
