//! Every outcome class of every client, against the simulator; and no body makes a client panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use clients::channel::{ChannelClient, Post, Published, client};
use clients::http::Answer;
use clients::image::Painter;
use clients::llm::LanguageModel;
use clients::nts::Nts;
use clients::{Endpoint, Http, UpstreamError, image, llm, nts};
use domain::business_number::BusinessNumber;
use domain::channel::{Channel, Upstream};
use domain::distribution::ErrorClass;
use futures_util::future::{BoxFuture, join_all};
use proptest::prelude::*;
use serde_json::json;
use simulator::{Config, Fault, Rule, Simulator};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A simulator and a client of everything behind it.
struct World {
    simulator: Simulator,
    nts: Nts,
    models: Vec<(Upstream, Arc<dyn LanguageModel>)>,
    painters: Vec<(Upstream, Arc<dyn Painter>)>,
    channels: Vec<(Channel, Arc<dyn ChannelClient>)>,
}

type Outcome = Result<&'static str, UpstreamError>;

impl World {
    async fn new() -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        let simulator = Simulator::start(Config { listen, data: None, latency: 0.0, token: None }).await.unwrap();
        let base = simulator.clone();
        Self::at(simulator, move |u| base.base(u.code()))
    }

    fn at(simulator: Simulator, base: impl Fn(Upstream) -> String) -> Self {
        let http = Http::new();
        let at = |u: Upstream| Endpoint { base: base(u), key: "sandbox@1/1".into() };
        let channels = Channel::ALL.iter().map(|c| (*c, client(*c, http.clone(), at((*c).into())))).collect();
        Self {
            nts: Nts::new(http.clone(), at(Upstream::Nts)),
            models: clients::models(&http, at),
            painters: clients::painters(&http, at),
            channels,
            simulator,
        }
    }

    /// One call that only reads.
    async fn read(&self, upstream: Upstream) -> Outcome {
        let number = BusinessNumber::parse("124-81-00998").unwrap();
        let day = chrono::NaiveDate::from_ymd_opt(2015, 4, 1).unwrap();
        if let Some((_, model)) = self.models.iter().find(|(u, _)| *u == upstream) {
            let turns =
                [json!({"industry": "CAFE", "region": "서울", "objective": "SALES", "season": "SPRING"}).to_string()];
            return model.complete("system", &turns, &clients::prompt::schema()).await.map(|_| "ok");
        }
        if let Some((_, painter)) = self.painters.iter().find(|(u, _)| *u == upstream) {
            return painter.draw("a cup", "text", 7).await.map(|_| "ok");
        }
        match upstream.channel() {
            None => self.nts.validate(&number, day, "김주인").await.map(|_| "ok"),
            Some(channel) => self.channel(channel).stats(Uuid::nil(), "18").await.map(|_| "ok"),
        }
    }

    fn channel(&self, channel: Channel) -> Arc<dyn ChannelClient> {
        self.channels.iter().find(|(c, _)| *c == channel).unwrap().1.clone()
    }

    /// A whole publication: what comes before, then the call that publishes.
    async fn publish(&self, channel: Channel) -> Outcome {
        let client = self.channel(channel);
        let mut post = post();
        if let Some(remote) = client.prepare(&post).await? {
            post.remote = remote;
        }
        client.publish(&post).await.map(|p| match p {
            Published::Out { .. } => "out",
            Published::InReview { .. } => "in-review",
            Published::Refused => "refused-by-reviewer",
            Published::HandedOver { .. } => "handed-over",
        })
    }
}

fn post() -> Post {
    let slug = Uuid::now_v7().simple().to_string();
    Post {
        request_key: Uuid::now_v7(),
        event: Uuid::now_v7(),
        title: "봄맞이".into(),
        text: format!("응모하기: http://127.0.0.1:8080/e/{slug}?c=INSTAGRAM"),
        link: format!("http://127.0.0.1:8080/e/{slug}?c=INSTAGRAM"),
        image_url: Some("http://127.0.0.1:8080/images/a.jpg".into()),
        picture: Some(vec![0xff; 2_000].into()),
        shop: "가게".into(),
        region: "서울 강남구".into(),
        starts_at: chrono::Utc::now(),
        ends_at: chrono::Utc::now() + chrono::Duration::days(7),
        remote: json!({}),
    }
}

fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(what) => what,
        Err(e) => e.class.code(),
    }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None, body: None }
}

/// Those that can be told what is wrong by reading: channels without figures of their own have nothing to read.
const READERS: &[Upstream] = &[
    Upstream::Nts,
    Upstream::Claude,
    Upstream::OpenAi,
    Upstream::Stability,
    Upstream::OpenAiImages,
    Upstream::WooriTv,
    Upstream::GenieTv,
    Upstream::Instagram,
    Upstream::Naver,
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reading_call_comes_to() {
    let world = World::new().await;
    let cases = [
        (status(500), "transient"),
        (status(502), "transient"),
        (status(408), "transient"),
        (status(301), "transient"),
        (Fault::Down, "transient"),
        (Fault::Throttled, "throttled"),
        (status(401), "auth"),
        (status(402), "quota"),
        (status(400), "caller"),
        (status(413), "caller"),
        (Fault::Reset, "transient"),
        (Fault::CutAnswer, "transient"),
        (Fault::Html, "transient"),
        (Fault::Charset, "transient"),
        (Fault::Oversized, "transient"),
    ];
    for (fault, expected) in cases {
        for upstream in READERS {
            world.simulator.set_fault(upstream.code(), Some(fault.clone()));
            let outcome = world.read(*upstream).await;
            assert_eq!(class(&outcome), expected, "{upstream} with {fault:?}: {outcome:?}");
            if fault == Fault::Throttled {
                assert_eq!(outcome.unwrap_err().retry_after, Some(Duration::from_secs(1)), "{upstream}");
            }
            world.simulator.set_fault(upstream.code(), None);
        }
    }
    // An answer cut in half; what never existed has nothing to cut.
    for upstream in [Upstream::Nts, Upstream::Claude, Upstream::OpenAi, Upstream::Stability, Upstream::OpenAiImages] {
        world.simulator.set_fault(upstream.code(), Some(Fault::Truncated));
        assert_eq!(class(&world.read(upstream).await), "transient", "{upstream}");
        world.simulator.set_fault(upstream.code(), None);
        assert_eq!(class(&world.read(upstream).await), "ok", "{upstream} healed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_refuse_or_stop_and_quotas_that_end() {
    let world = World::new().await;
    let said = |status, body: &str| Fault::Status { status, retry_after: None, body: Some(body.to_owned()) };
    let limits = r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits"}}"#;
    let spent = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let cases = [
        (Upstream::Claude, Fault::Refusal, "refused"),
        // For whoever parses it: no failure of the upstream.
        (Upstream::Claude, Fault::CutShort, "ok"),
        (Upstream::Claude, said(400, limits), "quota"),
        (Upstream::Claude, said(529, overloaded), "transient"),
        (Upstream::Claude, status(403), "auth"),
        (Upstream::OpenAi, Fault::Refusal, "refused"),
        (Upstream::OpenAi, Fault::CutShort, "ok"),
        (Upstream::OpenAi, said(429, spent), "quota"),
        (Upstream::Stability, Fault::Refusal, "refused"),
        (Upstream::OpenAiImages, Fault::Refusal, "refused"),
        (Upstream::OpenAiImages, said(429, spent), "quota"),
        (Upstream::Nts, said(200, r#"{"status_code":"REGISTERED_KEY_ERROR"}"#), "auth"),
        (Upstream::Nts, said(200, r#"{"status_code":"INTERNAL_ERROR"}"#), "transient"),
        (Upstream::Nts, said(200, r#"{"status_code":"OK","data":[]}"#), "transient"),
    ];
    for (upstream, fault, expected) in cases {
        world.simulator.set_fault(upstream.code(), Some(fault.clone()));
        let outcome = world.read(upstream).await;
        assert_eq!(class(&outcome), expected, "{upstream} with {fault:?}: {outcome:?}");
        let billed = outcome.is_err_and(|e| e.spent.is_some_and(|s| s.cost_centiwon > 0));
        let answered = matches!(fault, Fault::Refusal);
        let model = matches!(upstream, Upstream::Claude | Upstream::OpenAi);
        assert_eq!(billed, answered && model, "{upstream} with {fault:?}: tokens were spent all the same");
        world.simulator.set_fault(upstream.code(), None);
    }
}

/// The call that publishes: whatever is not a clear answer may have happened.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_publishing_call_comes_to() {
    let world = World::new().await;
    let cases = [
        (status(500), "unknown-outcome"),
        (status(504), "unknown-outcome"),
        (Fault::Down, "transient"),
        (Fault::Throttled, "throttled"),
        (status(401), "auth"),
        (status(402), "quota"),
        (status(400), "caller"),
        (Fault::Reset, "unknown-outcome"),
        (Fault::CutAnswer, "unknown-outcome"),
        (Fault::Html, "unknown-outcome"),
        (Fault::Charset, "unknown-outcome"),
        (Fault::Oversized, "unknown-outcome"),
        (Fault::Truncated, "unknown-outcome"),
    ];
    for channel in Channel::ALL {
        let route = (*channel == Channel::Instagram).then(|| "/media_publish".to_owned());
        for (fault, expected) in &cases {
            world.simulator.add_rule(Rule { route: route.clone(), ..Rule::of(channel.code(), fault.clone()) });
            let outcome = world.publish(*channel).await;
            // Where nothing tells a repetition from another post, even a 503 may have been forwarded.
            let keyless = matches!(channel, Channel::Naver | Channel::Kakao) && *fault == Fault::Down;
            let expected = if keyless { "unknown-outcome" } else { expected };
            assert_eq!(class(&outcome), expected, "{channel} with {fault:?}: {outcome:?}");
            world.simulator.set_fault(channel.code(), None);
        }
        let healed = if *channel == Channel::Kakao { "handed-over" } else { "out" };
        let expected = if *channel == Channel::GenieTv { "in-review" } else { healed };
        assert_eq!(class(&world.publish(*channel).await), expected, "{channel}");
    }
    for (channel, fault, expected) in [
        (Channel::WooriTv, Fault::Rejected, "refused-by-reviewer"),
        (Channel::WooriTv, Fault::LateReview { seconds: 60 }, "in-review"),
    ] {
        world.simulator.set_fault(channel.code(), Some(fault));
        assert_eq!(class(&world.publish(channel).await), expected);
    }
    let meta = |status, code, subcode| Fault::Status {
        status,
        retry_after: None,
        body: Some(json!({"error": {"code": code, "error_subcode": subcode}}).to_string()),
    };
    for (fault, expected) in [
        (meta(400, 190, 0), "auth"),
        (meta(400, 9007, 2_207_027), "transient"),
        (meta(400, 9004, 2_207_052), "transient"),
        (meta(400, 4, 2_207_051), "unknown-outcome"),
        (meta(400, 9, 2_207_042), "quota"),
        (meta(400, 1, 2_207_001), "refused"),
        (meta(400, 4, 0), "throttled"),
        (meta(400, 36_003, 2_207_009), "caller"),
    ] {
        world.simulator.set_fault("INSTAGRAM", Some(fault.clone()));
        let outcome = world.publish(Channel::Instagram).await;
        assert_eq!(class(&outcome), expected, "{fault:?}");
    }
}

/// Nobody there: nothing can have happened, so the call may be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_did_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::at(World::new().await.simulator, |_| format!("http://{closed}"));
    for channel in Channel::ALL {
        let e = world.publish(*channel).await.unwrap_err();
        assert_eq!((e.class, e.untouched), (ErrorClass::Transient, true), "{channel}");
    }
    for upstream in READERS {
        assert_eq!(class(&world.read(*upstream).await), "transient", "{upstream}");
    }
}

/// Silence and a byte a second end at each call's own limit (RS-04): 5, 30, 20 and 10 s.
#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_at_the_limit_of_each_call() {
    let limit = |u: Upstream| match u {
        Upstream::Nts => 5,
        Upstream::Claude | Upstream::OpenAi => 30,
        Upstream::Stability | Upstream::OpenAiImages => 20,
        _ => 10,
    };
    let (silent, slow, lost) = (World::new().await, World::new().await, World::new().await);
    for upstream in Upstream::ALL {
        silent.simulator.set_fault(upstream.code(), Some(Fault::Hang));
        slow.simulator.set_fault(upstream.code(), Some(Fault::Slow));
        lost.simulator.set_fault(upstream.code(), Some(Fault::LoseAnswer));
    }
    let mut calls: Vec<BoxFuture<'_, (String, u64, Duration, Outcome)>> = Vec::new();
    for world in [&silent, &slow, &lost] {
        for upstream in READERS {
            calls.push(Box::pin(async move {
                let begun = std::time::Instant::now();
                let outcome = world.read(*upstream).await;
                (format!("read {upstream}"), limit(*upstream), begun.elapsed(), outcome)
            }));
        }
    }
    for channel in [Channel::WooriTv, Channel::RingoBiz, Channel::GenieTv, Channel::Naver, Channel::Kakao] {
        let world = &lost;
        calls.push(Box::pin(async move {
            let begun = std::time::Instant::now();
            let outcome = world.publish(channel).await;
            (format!("publish {channel}"), 10, begun.elapsed(), outcome)
        }));
    }
    for (what, limit, took, outcome) in join_all(calls).await {
        // A body shorter than its limit in bytes arrives whole: that is an answer.
        if took < Duration::from_secs(limit) {
            assert!(outcome.is_ok() || class(&outcome) == "caller", "{what} gave up early: {took:?} {outcome:?}");
            continue;
        }
        assert!(took < Duration::from_secs(limit + 3), "{what} took {took:?}");
        let expected = if what.starts_with("publish") { "unknown-outcome" } else { "transient" };
        assert_eq!(class(&outcome), expected, "{what}");
    }
    let posted = lost.simulator.posts().of("NAVER");
    assert_eq!(posted.len(), 1, "the post exists, the caller never heard");
    assert_eq!(posted[0].body["pictureBytes"], 2_000, "with its picture");
}

/// One key, one post, however often it is sent; one container, one post.
#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_the_same_post_and_can_be_found() {
    let world = World::new().await;
    for channel in [Channel::WooriTv, Channel::RingoBiz, Channel::GenieTv, Channel::Instagram] {
        let (client, mut post) = (world.channel(channel), post());
        assert_eq!(client.find(&post).await.unwrap(), None, "{channel}: not there yet");
        if let Some(remote) = client.prepare(&post).await.unwrap() {
            post.remote = remote;
        }
        assert_eq!(client.find(&post).await.unwrap(), None, "{channel}: prepared is not published");
        assert_eq!(client.prepare(&post).await.unwrap(), None, "{channel}: prepared once");
        let first = client.publish(&post).await.unwrap();
        let second = client.publish(&post).await.unwrap();
        assert_eq!(first, second, "{channel}");
        assert!(client.find(&post).await.unwrap().is_some(), "{channel}");
        assert_eq!(world.simulator.posts().of(channel.code()).len(), 1, "{channel}");
        if channel != Channel::Instagram {
            let sent = world.simulator.keys(channel.code());
            assert_eq!(sent.get(&post.request_key.to_string()), Some(&2), "{channel}: the key came twice");
        }
    }
}

fn any_answer() -> impl Strategy<Value = Answer> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        spoiled().prop_map(String::into_bytes),
    ];
    (100u16..600, body).prop_map(|(status, body)| Answer { status, retry_after: None, body: body.into() })
}

/// Answers that are almost right: cut, doubled, or with one character changed.
fn spoiled() -> impl Strategy<Value = String> {
    let right = prop::sample::select(vec![
        r#"{"status_code":"OK","data":[{"valid":"01","status":{"b_stt_cd":"01"}}]}"#,
        r#"{"content":[{"type":"text","text":"{}"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":9}}"#,
        r#"{"choices":[{"message":{"content":"{}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        r#"{"data":[{"b64_json":"iVBORw0KGgo="}]}"#,
        r#"{"id":"17","status":"ON_AIR","status_code":"FINISHED","toneId":"t","previousToneId":null,"result_code":0}"#,
        r#"{"message":{"status":"200","result":{"articleId":1,"articleUrl":"u"}}}"#,
        r#"[{"id":"1","status":"IN_REVIEW","toneId":"x"}]"#,
        r#"{"data":[{"id":"1","caption":"c","name":"views","values":[{"value":3}]}],"paging":{"cursors":{"after":"1"}}}"#,
        r#"{"impressions":-5,"clicks":99999999999999999999,"views":1.5}"#,
    ]);
    (right, any::<prop::sample::Index>(), any::<char>(), 0u8..4).prop_map(|(s, at, c, how)| {
        let mut chars: Vec<char> = s.chars().collect();
        let i = at.index(chars.len());
        match how {
            0 => chars.truncate(i),
            1 => chars[i] = c,
            2 => chars.insert(i, c),
            _ => {}
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    /// No bytes make a decoder panic, and a failure says no more than it may.
    #[test]
    fn no_bytes_make_a_decoder_panic(answer in any_answer()) {
        let failures = [
            nts::decode(&answer).err(),
            llm::claude::decode(&answer).err(),
            llm::openai::decode(&answer).err(),
            image::stability::decode(&answer).err(),
            image::openai::decode(&answer).err(),
        ];
        for e in failures.into_iter().flatten() {
            prop_assert!(e.detail.chars().count() < 200, "{}", e.detail);
        }
    }
}

/// The same for the channels, whose decoders are inside their calls.
#[test]
fn no_answer_makes_a_channel_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let answers = (200u16..600, prop_oneof![any::<String>(), spoiled()]);
    let config = ProptestConfig::with_cases(300);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let run = runner.run(&answers, |(status, body)| {
        for channel in Channel::ALL {
            let fault = Fault::Status { status, retry_after: None, body: Some(body.clone()) };
            world.simulator.set_fault(channel.code(), Some(fault));
        }
        let all = Channel::ALL.iter().map(|channel| async {
            let (client, mut post) = (world.channel(*channel), post());
            let _ = client.prepare(&post).await;
            post.remote = json!({"container": "17"});
            // A container that is never ready is waited for; that is not what this looks at.
            let _ = tokio::time::timeout(Duration::from_millis(200), client.publish(&post)).await;
            let _ = client.find(&post).await;
            let _ = client.stats(post.event, "18").await;
            let _ = client.recall("18", &json!({})).await;
        });
        runtime.block_on(join_all(all));
        Ok(())
    });
    run.unwrap();
}
