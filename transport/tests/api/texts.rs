//! Every text field of the API takes a text in one form, or says what is wrong with it; none breaks.

use crate::support::{Answer, Api, anonymous, email, owner, phone, run, signup_body};
use domain::phone::Phone;
use domain::text::{PersonName, TextError, line, paragraph};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::texts::some;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Texts that a field is tried with; a user has 100 requests a minute.
const TEXTS: usize = 60;

/// What is read is the one form, or the refusal names the field.
fn judge(answer: Answer, field: &str, text: &str, form: &Result<String, TextError>, read: &str) {
    match (answer.status, form) {
        (200 | 201, Ok(form)) => {
            assert_eq!(answer.body.pointer(read), Some(&json!(form)), "{field}: {text:?}");
            assert!(is_nfc(form), "{field}: {text:?}");
        }
        (422, Err(_)) => {
            let code = answer.body["code"].as_str().unwrap().to_owned();
            assert!(
                ["required", "invalid-characters", "too-long"].contains(&code.as_str()),
                "{field}: {text:?}: {code}"
            );
            assert_eq!(answer.fails(422, &code)["errors"][0]["field"], field, "{text:?}");
        }
        (status, form) => panic!("{field}: {text:?} is {form:?}, and the answer {status} {}", answer.body),
    }
}

/// Cases 17 and 19.
#[test]
fn a_shop_and_its_owner() {
    run(async {
        let (api, other) = (owner().await, owner().await);
        let store = format!("/api/stores/{}", api.store);
        for text in some(TEXTS) {
            judge(api.patch(&store, json!({"name": text})).await, "name", &text, &line(&text, 60), "/name");
            let me = other.patch("/api/users/me", json!({"name": text})).await;
            judge(me, "name", &text, &PersonName::parse(&text).map(|n| n.expose().to_owned()), "/name");
        }
        let api = owner().await;
        let store = format!("/api/stores/{}", api.store);
        for text in some(TEXTS) {
            let answer = api.patch(&store, json!({"address": text})).await;
            match line(&text, 200) {
                // An address that shows nothing is none.
                Err(TextError::Empty) => assert_eq!(answer.is(200)["address"], Value::Null),
                form => judge(answer, "address", &text, &form, "/address"),
            }
        }
    });
}

/// Cases 17 and 19.
#[test]
fn an_event_and_what_is_looked_for() {
    run(async {
        let (api, seeker) = (owner().await, owner().await);
        let event = format!("/api/events/{}", api.draft().await);
        for text in some(TEXTS) {
            judge(api.patch(&event, json!({"title": text})).await, "title", &text, &line(&text, 60), "/title");
            let found = seeker.send(seeker.request(Method::GET, "/api/events").query(&[("q", &text)])).await;
            if found.status != 200 {
                let code = found.body["code"].as_str().unwrap().to_owned();
                assert_eq!(found.fails(422, &code)["errors"][0]["field"], "q", "{text:?}");
            }
        }
        api.patch(&event, json!({"title": "Été 크리스마스 세일"})).await.is(200);
        for q in
            ["ÉTÉ", "E\u{301}té", "크리\u{200b}스마스  세일", " été ", "\u{3164}", &"마스 세".nfd().collect::<String>()]
        {
            let found = api.send(api.request(Method::GET, "/api/events").query(&[("q", q)])).await.is(200);
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{q:?}");
        }
    });
}

/// Cases 17 and 19.
#[test]
fn prizes_and_pictures() {
    run(async {
        let (api, painter) = (owner().await, owner().await);
        let id = api.draft().await;
        let option = api.options(&id).await[0]["id"].clone();
        for text in some(TEXTS) {
            let prizes = json!([{"name": text, "quantity": 1, "unitValueWon": 1_000}]);
            let body = json!({"optionId": option, "prizes": prizes});
            let planned = api.put(&format!("/api/events/{id}/plan"), body).await;
            judge(planned, "prizes[0].name", &text, &line(&text, 60), "/prizes/0/name");
        }
        let event = painter.ready(json!({}), json!(["NAVER"])).await;
        let content = painter.get(&format!("/api/events/{event}")).await.is(200);
        let image = format!("/api/content/images/{}", content["content"]["imageIds"][0].as_str().unwrap());
        for text in some(TEXTS / 6) {
            let headline = painter.patch(&image, json!({"headline": text})).await;
            judge(headline, "headline", &text, &line(&text, 60), "/headline");
            let body = painter.patch(&image, json!({"body": text})).await;
            let form = match paragraph(&text, 120) {
                Err(TextError::Empty) => Ok(String::new()),
                form => form,
            };
            judge(body, "body", &text, &form, "/body");
        }
    });
}

/// Cases 17 and 19.
#[test]
fn who_enters_is_shown_masked_by_what_people_see() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({})).await;
        let public = anonymous();
        let mut masked = Vec::new();
        let names = [
            "홍길동".nfd().collect::<String>(),
            "\u{200b}홍\u{ad}길동\u{feff}".into(),
            "\u{3164}".into(),
            "\u{2800}".into(),
            "\u{301}".into(),
            format!("홍{}", "\u{301}".repeat(30)),
        ];
        for (n, text) in some(TEXTS).into_iter().chain(names).enumerate() {
            let body = json!({"name": text, "phone": phone(n), "consents": {"privacy": true}});
            let answer = public.enter_with(&slug, body).await;
            match PersonName::parse(&text) {
                Ok(name) => {
                    answer.is(201);
                    masked.push(json!(name.masked()));
                }
                Err(e) => judge(answer, "name", &text, &Err(e), ""),
            }
        }
        let list = api.get(&format!("/api/events/{id}/participants?limit=100")).await.is(200);
        let shown: Vec<Value> = list["items"].as_array().unwrap().iter().map(|p| p["maskedName"].clone()).collect();
        assert_eq!(shown, masked);
        assert!(masked.iter().filter(|name| **name == "홍*동").count() >= 2, "{masked:?}");
    });
}

/// Cases 17 and 19, and e-mails of the attacks' low list.
#[test]
fn a_signup_takes_texts_in_one_form() {
    run(async {
        let api = anonymous();
        let shown_name = |made: &Value| made["user"]["name"].as_str().unwrap().to_owned();
        let mut body = signup_body();
        body["name"] = json!("홍길동".nfd().collect::<String>());
        body["store"]["name"] = json!("\u{feff}시험\u{200b}가게");
        body["store"]["region"] = json!("서울시\u{3000}마포구".nfd().collect::<String>());
        body["email"] = json!(format!("\u{2068}{}\u{2069} ", email().to_uppercase()));
        let made = api.post("/api/users/signup", body.clone()).await.is(201);
        assert_eq!(shown_name(&made), "홍길동");
        assert_eq!(
            (&made["store"]["name"], &made["store"]["region"]),
            (&json!("시험가게"), &json!("서울특별시 마포구"))
        );
        let login = json!({"email": body["email"], "password": body["password"]});
        api.post("/api/users/login", login).await.is(200);
        for (field, text, code) in [
            ("name", "\u{3164}", "required"),
            ("name", "\u{2800} \u{200b}", "required"),
            ("name", "\u{301}", "invalid-characters"),
            ("name", "a\u{202e}b", "invalid-characters"),
            ("email", "a@b.k\u{202e}r", "email-invalid"),
            ("email", "\u{200b}@shop.kr", "email-invalid"),
            ("email", "a b@shop.kr", "email-invalid"),
            ("email", "a..b@shop.kr", "email-invalid"),
        ] {
            let mut body = signup_body();
            body[field] = json!(text);
            let problem = api.post("/api/users/signup", body).await.fails(422, code);
            assert_eq!(problem["errors"][0]["field"], field, "{text:?}");
        }
    });
}

async fn region_of(api: &Api, spelled: &str) -> Answer {
    api.patch(&format!("/api/stores/{}", api.store), json!({"region": spelled})).await
}

/// Case 1.
#[test]
fn a_region_has_one_official_form() {
    run(async {
        let api = owner().await;
        for (spelled, official) in [
            ("전남광주통합특별시 북구", "전남광주통합특별시 북구"),
            ("전남광주통합특별시 여수시", "전남광주통합특별시 여수시"),
            ("전남광주 순천시", "전남광주통합특별시 순천시"),
            ("강원자치도 춘천시", "강원특별자치도 춘천시"),
            ("전북자치도 전주시", "전북특별자치도 전주시"),
            ("부산시 해운대구", "부산광역시 해운대구"),
            ("대구시 수성구", "대구광역시 수성구"),
            ("광주광역시 북구", "전남광주통합특별시 북구"),
            ("서울특별시마포구", "서울특별시 마포구"),
            ("경북 군위군", "대구광역시 군위군"),
            ("세종시", "세종특별자치시"),
        ] {
            assert_eq!(region_of(&api, spelled).await.is(200)["region"], official, "{spelled}");
        }
        // What one name was asked with is there for the others.
        let ask = |region| json!({"industry": "BAR", "region": region, "objective": "SALES", "season": "SPRING"});
        let job = api.post("/api/ai/recommendations", ask("광주광역시 북구")).await.is(202);
        api.job(&job["jobId"]).await;
        let again = api.post("/api/ai/recommendations", ask("전남광주통합특별시북구")).await.is(200);
        assert_eq!(again["cached"], true);
        for bad in ["세종 아무말", "서울 없는구", "서울", "중구", "부산 강남구", "\u{200b}", "서울 강남구 \u{202e}"]
        {
            let problem = region_of(&api, bad).await.fails(422, "region-invalid");
            assert_eq!(problem["errors"][0]["field"], "region", "{bad}");
        }
        for text in some(TEXTS) {
            let answer = region_of(&api, &text).await;
            assert_eq!(answer.status, 422, "{text:?}: {}", answer.body);
        }
    });
}

/// Case 7.
#[test]
fn a_phone_is_the_same_however_it_is_pasted() {
    run(async {
        let api = owner().await;
        let (_, slug) = api.live(json!({})).await;
        let public = anonymous();
        public.enter(&slug, "\u{202d}010-1234-5678\u{202c}").await.is(201);
        for spelled in [
            "010\u{200b}-1234-5678",
            "010ㅡ1234ㅡ5678",
            "\u{feff}010-1234-5678",
            "010\u{ad}1234\u{ad}5678",
            "tel:+82-10-1234-5678",
            "TEL://01012345678",
            "010_1234_5678",
            "010\t1234\t5678",
            "０１０ー１２３４ー５６７８",
        ] {
            public.enter(&slug, spelled).await.fails(409, "already-entered");
            let me = api.patch("/api/users/me", json!({"phone": spelled})).await.is(200);
            assert_eq!(me["phone"], "010-****-5678", "{spelled:?}");
        }
        for bad in ["010-1234-567a", "٠١٠١٢٣٤٥٦٧٨", "010-1234-5678 ext", "\u{200b}", "010\n12345678"] {
            let problem = public.enter(&slug, bad).await.fails(422, "phone-invalid");
            assert_eq!(problem["errors"][0]["field"], "phone", "{bad:?}");
        }
        for text in some(TEXTS).into_iter().filter(|text| Phone::parse(text).is_err() && !text.contains('\0')) {
            public.enter(&slug, &text).await.fails(422, "phone-invalid");
        }
    });
}

/// Case 30.
#[test]
fn a_visit_code_is_the_same_however_it_is_typed() {
    run(async {
        let api = owner().await;
        let (id, slug) = api.live(json!({"visitBonus": {"weight": 5}})).await;
        let public = anonymous();
        let spellings: [fn(&str, &str) -> String; 5] = [
            |a, b| format!("{a} {b}"),
            |a, b| format!("{a}-{b}"),
            |a, b| format!(" {a}\u{200b}{b}\u{feff}"),
            |a, b| format!("{a}ㅡ{b}"),
            |a, b| format!("{a}{b}").chars().map(|c| char::from_u32(c as u32 - 0x30 + 0xff10).unwrap()).collect(),
        ];
        for (n, spell) in spellings.into_iter().enumerate() {
            // One minute's code stands for the next one too.
            let code = api.get(&format!("/api/events/{id}/visit-code")).await.is(200)["code"].clone();
            let (a, b) = code.as_str().unwrap().split_at(3);
            let body =
                json!({"name": "손님", "phone": phone(n), "consents": {"privacy": true}, "visitCode": spell(a, b)});
            public.enter_with(&slug, body).await.is(201);
        }
        let list = api.get(&format!("/api/events/{id}/participants?visited=true")).await.is(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 5);
    });
}
