//! What the gateway asks of every request: whose page it is from, what its body says it is, one host, an address that is not
//! endless. And what people and programs get for what is not there.

use crate::support::{Api, Server, admin, anonymous, at, owner, run, server, start};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// What a raw request is answered; the connection is closed after it.
async fn raw(base: &str, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn port(base: &str) -> &str {
    base.rsplit(':').next().unwrap()
}

/// Can a page of an origin open a socket?
async fn socket_opens(base: &str, host: &str, origin: &str) -> bool {
    let address = format!("ws://{host}:{}/ws", port(base));
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    tokio_tungstenite::connect_async(request).await.is_ok()
}

/// Case M5: a body that does not say that it is JSON is not read as JSON, whatever the route.
#[test]
fn a_body_says_that_it_is_json() {
    run(async {
        let (api, stranger) = (owner().await, anonymous());
        let body = r#"{"objective":"SALES"}"#;
        for (caller, method, path) in [
            (&stranger, Method::POST, "/api/users/login"),
            (&stranger, Method::POST, "/api/users/signup"),
            (&stranger, Method::POST, "/api/users/token/refresh"),
            (&stranger, Method::POST, "/api/participation/events/nothing/entries"),
            (&stranger, Method::DELETE, "/api/participation/receipts/nothing"),
            (&api, Method::POST, "/api/events"),
            (&api, Method::PATCH, "/api/users/me"),
            (&api, Method::PUT, "/api/events/nothing/plan"),
            (&api, Method::POST, "/api/events/nothing/pause"),
            (&api, Method::POST, "/api/users/logout"),
        ] {
            for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")] {
                let mut request = caller.request(method.clone(), path).body(body);
                if let Some(kind) = kind {
                    request = request.header("content-type", kind);
                }
                caller.send(request).await.fails(415, "unsupported-media-type");
            }
        }
        let typed = |kind: &'static str| {
            api.request(Method::POST, "/api/events").header("content-type", kind).body(body.to_owned())
        };
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            api.send(typed(kind)).await.is(201);
        }
        let two = typed("application/json").header("content-type", "text/plain");
        api.send(two).await.fails(415, "unsupported-media-type");
        // Where there is no body, there is nothing to say of it.
        assert_eq!(api.send(api.request(Method::POST, "/api/users/logout")).await.status, 204);
    });
}

/// Case M5: a page of another origin changes nothing, on any route; it may read what everybody may.
#[test]
fn pages_of_others_change_nothing() {
    run(async {
        let (api, stranger) = (owner().await, anonymous());
        let port = port(&api.base);
        let own =
            [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"), format!("http://[::1]:{port}")];
        let foreign =
            ["https://evil.example".to_owned(), "null".to_owned(), format!("http://localhost.evil.example:{port}")];
        for (method, path) in [
            (Method::POST, "/api/users/login"),
            (Method::POST, "/api/participation/events/nothing/entries"),
            (Method::POST, "/api/users/signup"),
            (Method::DELETE, "/api/participation/receipts/nothing"),
            (Method::PUT, "/api/events/nothing/plan"),
            (Method::PATCH, "/api/users/me"),
            (Method::POST, "/api/users/logout"),
        ] {
            for origin in &foreign {
                let request = stranger.request(method.clone(), path).header("origin", origin);
                stranger.send(request.json(&json!({}))).await.fails(403, "forbidden-origin");
            }
            for origin in &own {
                let request = stranger.request(method.clone(), path).header("origin", origin);
                assert_ne!(stranger.send(request.json(&json!({}))).await.status, 403, "{origin} {path}");
            }
        }
        let two = api.request(Method::POST, "/api/events").header("origin", &own[0]).header("origin", &foreign[0]);
        api.send(two.json(&json!({"objective": "SALES"}))).await.fails(403, "forbidden-origin");
        let mine = api.request(Method::POST, "/api/events").header("origin", &own[0]);
        api.send(mine.json(&json!({"objective": "SALES"}))).await.is(201);
        let read = stranger.request(Method::GET, "/api/industries").header("origin", &foreign[0]);
        assert_eq!(stranger.send(read).await.status, 200);
    });
}

/// Case 2: the console opened by each name of this machine shows its pictures and opens its socket.
#[test]
fn the_console_works_by_every_name_of_this_machine() {
    run(async {
        let base = server().base.as_str();
        for name in ["localhost", "127.0.0.1"] {
            let origin = format!("http://{name}:{}", port(base));
            let page = Client::new().get(format!("{origin}/")).send().await.unwrap();
            let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.contains(&format!("img-src 'self' data: {};", server().running.public_url())), "{policy}");
            for host in ["localhost", "127.0.0.1"] {
                assert!(socket_opens(base, host, &origin).await, "{origin} to {host}");
            }
            assert!(!socket_opens(base, name, "https://evil.example").await);
        }
        assert!(socket_opens(base, "127.0.0.1", &format!("http://[::1]:{}", port(base))).await);
    });
}

/// Case 3: on all addresses without a public one, the console works at each of them, and the links that are given have one.
#[test]
fn a_listener_on_all_addresses_works_at_each() {
    run(async {
        let own = start(|s| s.listen = "0.0.0.0:0".parse().unwrap()).await;
        let (base, port) = (own.base.as_str(), port(&own.base));
        assert!(!own.running.public_url().contains("0.0.0.0"), "{}", own.running.public_url());
        let mut hosts = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        hosts.extend(
            own.running.public_url().strip_prefix("http://").and_then(|a| Some(a.split_once(':')?.0.to_owned())),
        );
        for host in &hosts {
            assert!(socket_opens(base, host, &format!("http://{host}:{port}")).await, "{host}");
            assert!(!socket_opens(base, host, "https://evil.example").await, "{host}");
        }
        // A name that somebody pointed here: page and host are the same, and it is not ours all the same.
        let rebound = format!(
            "POST /api/users/login HTTP/1.1\r\nhost: evil.example:{port}\r\norigin: http://evil.example:{port}\r\n\
             connection: close\r\ncontent-length: 0\r\n\r\n"
        );
        assert!(raw(base, &rebound).await.starts_with("HTTP/1.1 403"));
        own.running.stop().await;
    });
}

async fn opened(base: &str, path: &str, language: &str) -> Response {
    let request = Client::new().get(format!("{base}{path}")).header("accept-language", language);
    request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8").send().await.unwrap()
}

/// Case 14: who follows a link to nothing gets a page that says so and leads home; programs get the problem as before.
#[test]
fn a_browser_gets_a_page_for_what_is_not_there() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let draft = api.draft().await;
        let draft = api.get(&format!("/api/events/{draft}")).await.is(200)["slug"].as_str().unwrap().to_owned();
        let upper = slug.to_uppercase();
        for path in [
            "/e/aaaaaaaaaaaaaaaa",
            &format!("/e/{draft}"),
            &format!("/e/{draft}/"),
            &format!("/e/{slug}."),
            &format!("/e/{slug}%20"),
            &format!("/e/{slug}/more"),
            &format!("/e/{upper}"),
            "/nothing",
            "/docs/",
            "/web/nothing.js",
            "/e/%ff",
        ] {
            if upper == slug && path.ends_with(&upper) {
                continue;
            }
            for (language, title) in [("ko", "페이지를 찾을 수 없어요"), ("en", "Page not found")] {
                let page = opened(&api.base, path, language).await;
                assert_eq!(
                    (page.status().as_u16(), &page.headers()["content-type"]),
                    (404, &"text/html; charset=utf-8".parse().unwrap()),
                    "{path}"
                );
                assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
                let text = page.text().await.unwrap();
                assert!(text.contains(title) && text.contains("href=\"/\""), "{path}: {text}");
            }
            anonymous().get(path).await.fails(404, "not-found");
        }
        let refused = Client::new().post(format!("{}/", api.base)).header("accept", "text/html").send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["content-type"]),
            (405, &"text/html; charset=utf-8".parse().unwrap())
        );
        assert!(refused.headers().contains_key("allow"));
        let problem = opened(&api.base, &format!("/api/events/{id}"), "ko").await;
        assert_eq!(problem.headers()["content-type"], "application/problem+json", "the API has no pages");
        let page = opened(&api.base, &format!("/e/{slug}/?c=QR"), "ko").await;
        assert_eq!(
            (page.status().as_u16(), page.url().path()),
            (200, format!("/e/{slug}").as_str()),
            "a slash too many"
        );
        assert_eq!(page.url().query(), Some("c=QR"));
        let icon = opened(&api.base, "/favicon.ico", "ko").await;
        assert_eq!((icon.status().as_u16(), &icon.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
        let robots = opened(&api.base, "/robots.txt", "ko").await.text().await.unwrap();
        assert!(robots.contains("Disallow: /\n") && robots.contains("Allow: /e/\n"), "{robots}");
    });
}

/// Low list: one host and an address with an end, or no answer but a problem.
#[test]
fn what_http_does_not_allow() {
    run(async {
        let base = server().base.as_str();
        for (request, status, code) in [
            ("GET /livez HTTP/1.1\r\n", 400, "host-invalid"),
            ("GET /livez HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400, "host-invalid"),
            ("GET /livez HTTP/1.1\r\nhost: a b\r\n", 400, "host-invalid"),
            ("GET /livez HTTP/1.1\r\nhost: user@a\r\n", 400, "host-invalid"),
            (&format!("GET /livez?{} HTTP/1.1\r\nhost: a\r\n", "x".repeat(8 * 1024)), 414, "uri-too-long"),
            ("GET /livez HTTP/1.1\r\nhost: a\r\n", 200, "ok"),
            ("GET /livez HTTP/1.0\r\n", 200, "ok"),
            (&format!("GET /livez?{} HTTP/1.1\r\nhost: a\r\n", "x".repeat(8_000)), 200, "ok"),
        ] {
            let answer = raw(base, &format!("{request}connection: close\r\n\r\n")).await;
            let start = answer.split("\r\n").next().unwrap();
            assert!(start.contains(&format!(" {status} ")) && answer.contains(code), "{request}: {answer}");
        }
    });
}

/// Low list: a name that stands twice in an object is refused, as deep as it may be.
#[test]
fn a_name_stands_once_in_a_body() {
    run(async {
        let api = owner().await;
        let shop = r#"{"name":"가게","industry":"CAFE","region":"서울 중구"}"#;
        for body in [
            r#"{"objective":"SALES","objective":"SALES"}"#.to_owned(),
            r#"{"objective":"SALES","objective":"REVISIT"}"#.to_owned(),
            format!(r#"{{"objective":"SALES","storeId":{{"a":[{shop},{{"b":1,"b":1}}]}}}}"#),
        ] {
            let request = api.request(Method::POST, "/api/events").header("content-type", "application/json");
            api.send(request.body(body)).await.fails(400, "malformed-json");
        }
    });
}

/// Low list: `Prefer: wait` gives nobody more time to send a body.
#[test]
fn a_slow_body_has_the_usual_time_whatever_it_asks_for() {
    run(async {
        let own = start(|s| s.request_seconds = 1).await;
        for asks in ["POST /api/users/login HTTP/1.1\r\nprefer: wait=60", "POST /api/users/login?wait=60 HTTP/1.1"] {
            let begun = Instant::now();
            let head = format!("{asks}\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{{");
            let answer = raw(&own.base, &head).await;
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        }
        own.running.stop().await;
    });
}

/// Low list: a document is the same for everybody, has a name, and comes compressed.
#[test]
fn documents_have_names_and_are_compressed() {
    run(async {
        let base = server().base.as_str();
        for path in ["/openapi.json", "/asyncapi.json"] {
            let get = |encoding: &str, known: &str| {
                let request = Client::new().get(format!("{base}{path}")).header("accept-encoding", encoding);
                request.header("if-none-match", known.to_owned()).send()
            };
            let plain = get("identity", "\"none\"").await.unwrap();
            let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
            assert!(plain.headers().get("content-encoding").is_none());
            let plain = plain.bytes().await.unwrap();
            assert!(serde_json::from_slice::<Value>(&plain).unwrap()["info"].is_object());
            for encoding in ["gzip", "br"] {
                let short = get(encoding, "\"none\"").await.unwrap();
                assert_eq!(
                    (&short.headers()["content-encoding"], &short.headers()["etag"]),
                    (&encoding.parse().unwrap(), &tag.parse().unwrap())
                );
                assert!(short.bytes().await.unwrap().len() * 2 < plain.len());
            }
            let known = get("gzip", &tag).await.unwrap();
            assert_eq!(known.status(), 304);
            assert!(known.bytes().await.unwrap().is_empty());
        }
    });
}

/// Logs in with a wrong password through a proxy that adds these lines.
async fn wrong_login(api: &Api, email: &str, lines: &[(&str, String)]) -> u16 {
    let mut request = api.request(Method::POST, "/api/users/login");
    for (name, line) in lines {
        request = request.header(*name, line);
    }
    api.send(request.json(&json!({"email": email, "password": "wrong password"}))).await.status
}

/// Cases M6 and 8: behind a trusted proxy nobody walks round the throttle by what they write before its line.
#[test]
fn the_throttle_counts_the_address_that_the_proxy_saw() {
    run(async {
        let own =
            start(|s| s.trusted_proxies = transport::config::TrustedProxies::parse(&["127.0.0.1".into()]).unwrap())
                .await;
        let api = at(&own.base);
        type Headers = Vec<(&'static str, String)>;
        let spellings: [fn(usize) -> Headers; 3] = [
            |n| vec![("x-forwarded-for", format!("1.2.3.{n}")), ("x-forwarded-for", "203.0.113.5".into())],
            |n| {
                let seen = [
                    "203.0.113.5",
                    "203.0.113.5:4711",
                    "::ffff:203.0.113.5",
                    "[::ffff:203.0.113.5]:80",
                    "\"203.0.113.5\"",
                ];
                vec![("x-forwarded-for", format!("1.2.3.{n}, {}", seen[n % seen.len()]))]
            },
            |n| vec![("forwarded", format!("for=1.2.3.{n}, for=\"203.0.113.5:{n}\""))],
        ];
        for (index, lines) in spellings.into_iter().enumerate() {
            let email = format!("nobody-{index}@test.example");
            for n in 0..7 {
                let status = wrong_login(&api, &email, &lines(n)).await;
                assert_eq!(status, if n < 5 { 401 } else { 429 }, "{:?}", lines(n));
            }
        }
        crate::support::within(Duration::from_secs(10), "audited", || async {
            let audit = admin(&own, Method::GET, "/admin/audit?limit=100", None).await;
            let failed = audit["items"].as_array().unwrap().iter().filter(|r| r["action"] == "login-failed").cloned();
            let failed: Vec<Value> = failed.collect();
            assert!(failed.iter().all(|r| r["origin"] == "203.0.113.5"), "{failed:?}");
            failed.len() == 15
        })
        .await;
        own.running.stop().await;
    });
}

async fn metrics_by(own: &Server, host: &str, authorization: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {host}\r\n{authorization}connection: close\r\n\r\n");
    raw(&own.admin, &request).await
}

/// Low list and M10: metrics answer no name that was pointed here; who is refused is counted each time and told of once.
#[test]
fn the_admin_port_refuses_pages_and_tells_of_it_once() {
    run(async {
        let own = start(|_| {}).await;
        for host in ["127.0.0.1:9090", "localhost", "[::1]:9090"] {
            assert!(metrics_by(&own, host, "").await.starts_with("HTTP/1.1 200"), "{host}");
        }
        let token = format!("authorization: bearer {}\r\n", own.running.admin_token());
        assert!(metrics_by(&own, "metrics.example", &token).await.starts_with("HTTP/1.1 200"));
        let before = crate::support::counted("auth_failures_total{kind=\"admin\"}");
        for host in ["metrics.example", "localhost.evil.example"] {
            assert!(metrics_by(&own, host, "").await.starts_with("HTTP/1.1 401"), "{host}");
        }
        let port = at(&own.admin);
        for n in 0..3 {
            let guessed = port.request(Method::GET, "/admin/actors").bearer_auth(format!("guessed-token-{n}"));
            port.send(guessed).await.fails(401, "unauthenticated");
        }
        assert!(crate::support::counted("auth_failures_total{kind=\"admin\"}") >= before + 5);
        crate::support::within(Duration::from_secs(10), "audited", || async {
            let audit = admin(&own, Method::GET, "/admin/audit?limit=100", None).await;
            assert!(!audit.to_string().contains("guessed-token"), "{audit}");
            let told = audit["items"].as_array().unwrap().iter().filter(|r| r["action"] == "admin-refused").count();
            assert!(told <= 1, "{audit}");
            told == 1
        })
        .await;
        own.running.stop().await;
    });
}

/// What is refused before any route sees it says how many requests are left, to whom it concerns.
#[test]
fn early_refusals_say_what_is_left() {
    run(async {
        let api = owner().await;
        let long = format!("/api/users/me?q={}", "a".repeat(9_000));
        for (request, status) in [
            (api.request(Method::POST, "/api/events").header("origin", "https://evil.example").json(&json!({})), 403),
            (api.request(Method::GET, "/api/users/me").header("host", "user@a"), 400),
            (api.request(Method::GET, &long), 414),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
            for name in ["ratelimit", "ratelimit-policy"] {
                assert!(answer.headers().contains_key(name), "{status} {name}");
            }
        }
        let stranger = Client::new().post(format!("{}/api/events", api.base)).header("origin", "https://evil.example");
        let answer = stranger.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 403);
        assert!(!answer.headers().contains_key("ratelimit"));
    });
}

/// A command whose route takes no body is not carried out against the words of one.
#[test]
fn a_command_refuses_a_body_that_it_does_not_take() {
    run(async {
        let api = owner().await;
        let id = api.ready(json!({}), json!(["RINGO_BIZ"])).await;
        let send = |path: &str, body: &'static str| {
            let request = api.request(Method::POST, path).header("content-type", "application/json").body(body);
            api.send(request)
        };
        let approve = format!("/api/events/{id}/approve");
        send(&approve, r#"{"publish":"2027-03-01T00:00:00Z"}"#).await.fails(422, "unknown-field");
        send(&approve, r#"{"publish":"#).await.fails(400, "malformed-json");
        send(&approve, r#"{"a":1,"a":2}"#).await.fails(400, "malformed-json");
        send(&approve, "[]").await.fails(422, "invalid-type");
        assert_eq!(api.status(&id).await, "ready", "nothing was done");
        send(&approve, " { } ").await.is(202);
        send(&format!("/api/events/{id}/pause"), r#"{"reason":"rain"}"#).await.fails(422, "unknown-field");
        assert_eq!(api.status(&id).await, "live");
    });
}
