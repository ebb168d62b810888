//! Logins by the thousand: what they cost the others, and what they leave behind.

use crate::accounts::{login_from, recorded, start_behind_proxy};
use crate::support::{at, email, run, signup_body, within};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// An address that fails again and again is told so once a second and connection, so that it keeps the database from nobody.
#[test]
fn a_caller_that_is_served_last_is_held() {
    run(async {
        // A dear hash makes a short queue: it is full on any machine.
        let own = start_behind_proxy(|s| s.bcrypt_cost = 12).await;
        let (api, stranger, held) = (at(&own.base), "203.0.113.1", Duration::from_millis(900));
        let guess = || async {
            let begun = Instant::now();
            (login_from(&api, stranger, &json!(email()), "wrong password").await, begun.elapsed())
        };
        // Its first failures count: from then on it is served last.
        let mut failures = 0;
        while failures < 10 {
            let all = join_all((0..10).map(|_| guess())).await;
            failures += all.iter().filter(|(answer, _)| answer.status == 401).count();
        }
        let all = join_all((0..200).map(|_| guess())).await;
        let refused: Vec<Duration> =
            all.iter().filter(|(answer, _)| answer.status == 503).map(|(_, took)| *took).collect();
        assert!(refused.len() > 20, "{}", refused.len());
        assert!(refused.iter().all(|took| *took >= held), "{refused:?}");
        own.running.stop().await;
    });
}

/// A list of guesses fills no table: so many failures of an address are recorded in an hour.
#[test]
fn failures_of_an_address_are_recorded_so_many_times() {
    run(async {
        let own = start_behind_proxy(|s| s.bcrypt_cost = 4).await;
        let api = at(&own.base);
        for _ in 0..65 {
            // Longer than bcrypt takes: as wrong, and as dear, as any other.
            login_from(&api, "203.0.113.1", &json!(email()), &"a".repeat(100)).await.fails(401, "unauthenticated");
        }
        login_from(&api, "203.0.113.2", &json!(email()), "wrong password").await.fails(401, "unauthenticated");
        let of = async |address: &str| {
            recorded(&own, "login-failed").await.iter().filter(|r| r["origin"] == address).count()
        };
        within(Duration::from_secs(10), "recorded", || async {
            of("203.0.113.2").await == 1 && of("203.0.113.1").await >= 60
        })
        .await;
        assert_eq!(of("203.0.113.1").await, 60);
        own.running.stop().await;
    });
}

/// A password typed with letters in pieces, as some keyboards send them, opens the account all the same.
#[test]
fn a_password_opens_in_every_form() {
    run(async {
        let api = at(&crate::support::server().base);
        let (composed, decomposed) = ("caf\u{e9} 1층", "cafe\u{301} 1\u{110e}\u{1173}\u{11bc}");
        for (signed_up, typed) in [(composed, decomposed), (decomposed, composed), (decomposed, decomposed)] {
            let mut body = signup_body();
            body["password"] = json!(format!("{signed_up}, 뒷문"));
            api.send(api.request(Method::POST, "/api/users/signup").json(&body)).await.is(201);
            let login = json!({"email": body["email"], "password": format!("{typed}, 뒷문")});
            api.post("/api/users/login", login).await.is(200);
        }
    });
}
