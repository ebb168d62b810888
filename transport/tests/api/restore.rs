//! A database that was restored from a backup: what is wrong with it is found, nobody's login is believed, and what was about
//! to be published is asked about first.

use crate::support::{Api, owner_at, phone, run, settings, within};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::{Value, json};
use std::time::Duration;
use storage::Store;
use testkit::Database;
use transport::restored::{self, Options};
use transport::{Running, Settings};

const CHECK: Options = Options { check: true, anyway: false, moved: false };
const BEGIN: Options = Options { check: false, anyway: false, moved: false };
const MOVED: Options = Options { check: false, anyway: false, moved: true };

const SIX: [&str; 6] = ["WOORI_TV", "RINGO_BIZ", "GENIE_TV", "INSTAGRAM", "NAVER", "KAKAO"];

async fn started(settings: &Settings) -> Running {
    Running::start(settings.clone(), None).await.unwrap()
}

/// Stops, and waits until its connections are closed.
async fn stopped(running: Running, settings: &Settings) {
    running.stop().await;
    connections_close(settings).await;
}

/// Waits until nobody else is connected: what has ended holds no connection.
async fn connections_close(settings: &Settings) {
    let Some(url) = &settings.database_url else { return };
    let others = "select count(*) as n from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()
                     and backend_type = 'client backend' and usename = current_user";
    within(Duration::from_secs(10), "nobody is connected", || async {
        let mut c = AsyncPgConnection::establish(url).await.unwrap();
        diesel::sql_query(others).get_result::<Count>(&mut c).await.unwrap().n == 0
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

async fn sql(database: &Database, statements: &str) {
    let store: Store = database.open().await;
    let statements = statements.to_owned();
    store.run(async move |c| Ok(c.batch_execute(&statements).await?)).await.unwrap();
    store.close().await;
}

/// Something is done to the database, found, and undone.
async fn found(settings: &Settings, database: &Database, done: &str, undone: &str, says: &str) {
    sql(database, done).await;
    for options in [CHECK, BEGIN] {
        let wrong = restored::run(settings, options).await.expect_err(done).to_string();
        assert!(wrong.contains(says), "{done}: {wrong}");
    }
    sql(database, undone).await;
    restored::run(settings, CHECK).await.unwrap_or_else(|e| panic!("not undone: {undone}: {e}"));
}

/// A live event with five entries, one published on NAVER, and one that was drawn.
async fn lived(api: &Api) -> (String, String, Value) {
    let (id, slug) = api.live(json!({"prizes": [{"name": "대상", "quantity": 2, "unitValueWon": 1000}]})).await;
    for n in 0..5 {
        api.enter(&slug, &phone(n)).await.is(201);
    }
    let (drawn, of_drawn) = api.live(json!({"prizes": [{"name": "대상", "quantity": 1, "unitValueWon": 1000}]})).await;
    for n in 0..3 {
        api.enter(&of_drawn, &phone(n)).await.is(201);
    }
    api.post(&format!("/api/events/{drawn}/close"), json!({})).await.is(200);
    api.post(&format!("/api/events/{drawn}/draws"), json!({})).await.is(201);
    let posted = api.ready(json!({}), json!(SIX)).await;
    let (_, path) = api.publish(&posted).await;
    assert_eq!(api.get(&path).await.is(200)["status"], "completed");
    (id, slug, json!({"drawn": drawn, "distribution": path}))
}

#[test]
fn what_is_wrong_with_a_restored_database_is_found() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let api = owner_at(&format!("http://{}", running.address)).await;
        let (id, _, more) = lived(&api).await;
        stopped(running, &settings).await;
        restored::run(&settings, CHECK).await.unwrap();
        let drawn = more["drawn"].as_str().unwrap();
        let set = |table: &str, what: &str, rows: &str| format!("update {table} set {what} where {rows}");
        let entry = |of: &str, no: &str| format!("event_id = '{of}' and entry_no in ({no})");
        let rotated = |column: &str, bytes: u32| {
            let by = |n| format!("{column} = substr({column}, {}) || substr({column}, 1, {n})", n + 1);
            (by(1), by(bytes - 1))
        };
        let said = |done: &str, undone: &str| (done.to_owned(), undone.to_owned());
        let swapped = "phone_sealed = email_sealed, email_sealed = phone_sealed";
        let (entries, all) = ("participation.entries", "true".to_owned());
        let (of_live, of_drawn) = (format!("id = '{id}'"), format!("id = '{drawn}'"));
        let versions = format!("event_id = '{id}' and version in (2, 102)");
        let sealed = said(r"sealed = sealed || '\x00'", "sealed = substr(sealed, 1, octet_length(sealed) - 1)");
        let version = said("version = version + 100", "version = version - 100");
        let channel = said("channel = (channel + 1) % 8", "channel = (channel + 7) % 8");
        let winner = said("entry_no = entry_no % 3 + 1", "entry_no = (entry_no + 1) % 3 + 1");
        for (table, (done, undone), rows, says) in [
            (entries, said("entry_no = 9", "entry_no = 5"), entry(&id, "5, 9"), "not numbered"),
            (entries, channel, entry(&id, "3"), "add up"),
            (entries, rotated("phone_index", 16), entry(&id, "1"), "1 of 5 entries do not open"),
            (entries, sealed, entry(&id, "1"), "1 of 5 entries do not open"),
            (entries, said("weight = weight + 1", "weight = weight - 1"), entry(drawn, "2"), "published at the close"),
            ("participation.log", version, versions, "add up"),
            ("participation.winners", winner, all.clone(), "does not verify: winners"),
            ("events.events", rotated("commitment", 32), of_live, "is lost"),
            ("events.events", rotated("commitment", 32), of_drawn, "another number than the promised one"),
            ("identity.users", said(swapped, swapped), all.clone(), "does not open"),
            ("identity.users", rotated("email_index", 32), all, "does not open"),
        ] {
            found(&settings, &database, &set(table, &done, &rows), &set(table, &undone, &rows), says).await;
        }

        let objects = settings.data_dir.join("objects");
        let picture = std::fs::read_dir(&objects).unwrap().next().unwrap().unwrap().path();
        std::fs::rename(&picture, settings.data_dir.join("elsewhere")).unwrap();
        assert_eq!(restored::run(&settings, CHECK).await.unwrap().missing.len(), 1);
        std::fs::rename(settings.data_dir.join("elsewhere"), &picture).unwrap();
        assert_eq!(restored::run(&settings, CHECK).await.unwrap().missing.len(), 0);

        let mut others = settings.clone();
        others.keys_file = Some(database.folder().join("others.json"));
        assert!(restored::run(&others, CHECK).await.unwrap_err().to_string().contains("keys file"));
        storage::crypto::Keyring::open(&others.keys_file(), true).unwrap();
        assert!(restored::run(&others, CHECK).await.unwrap_err().to_string().contains("does not open"));
        restored::run(&settings, CHECK).await.unwrap();
    });
}

/// A look changes nothing: neither modes nor folders, and no migration is applied.
#[cfg(unix)]
#[test]
fn a_look_changes_nothing() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        owner_at(&format!("http://{}", running.address)).await;
        stopped(running, &settings).await;
        let set = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let (folder, keys) = (settings.data_dir.clone(), settings.keys_file());
        std::fs::remove_dir_all(folder.join("objects")).unwrap();
        set(&folder, 0o755);
        set(&keys, 0o644);
        let newest = "update __diesel_schema_migrations set version = 'x' || version
                       where version = (select max(version) from __diesel_schema_migrations)";
        for pending in [false, true] {
            if pending {
                sql(&database, newest).await;
                connections_close(&settings).await;
            }
            for _ in 0..2 {
                let looked = restored::run(&settings, CHECK).await;
                assert_eq!(looked.is_err(), pending);
                let why = looked.err().map_or_else(|| "1 migration(s)".to_owned(), |e| e.to_string());
                assert!(why.contains("1 migration(s)") && !why.contains('\n'), "{why}");
                connections_close(&settings).await;
            }
            let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&keys), folder.join("objects").exists()), (0o755, 0o644, false));
        }
    });
}

/// Nothing is missing, and everybody stays who they are.
#[test]
fn a_database_that_was_moved_goes_on() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let mut api = owner_at(&format!("http://{}", running.address)).await;
        stopped(running, &settings).await;
        sql(&database, "update participation.epoch set origin = 'elsewhere'").await;
        assert!(Running::start(settings.clone(), None).await.is_err());
        connections_close(&settings).await;
        restored::run(&settings, MOVED).await.unwrap();
        let running = started(&settings).await;
        api.base = format!("http://{}", running.address);
        api.get("/api/users/me").await.is(200);
        running.stop().await;
    });
}

#[test]
fn a_restored_database_begins_a_new_life() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let mut api = owner_at(&format!("http://{}", running.address)).await;
        let (id, slug, more) = lived(&api).await;
        let email = api.get("/api/users/me").await.is(200)["email"].clone();
        let topic = format!("event:{id}");
        let before = api.socket().await.subscribe(&topic).await["position"].clone();
        if settings.database_url.is_some() {
            let refused = restored::run(&settings, CHECK).await.unwrap_err().to_string();
            assert!(refused.contains("stop every server"), "{refused}");
        }
        let posts = |running: &Running| SIX.map(|channel| running.simulator().unwrap().posts().count(channel));
        let posted = posts(&running);
        stopped(running, &settings).await;
        // As a dump of before the calls has it, restored elsewhere.
        let path = more["distribution"].as_str().unwrap();
        let queued = "update events.publications set status = 'queued', external_id = null, url = null, remote = '{}',
                             next_at = null, updated_at = now() - interval '1 hour'
                       where status = 'published' and distribution_id = 'ID';
                      update events.distributions set ended_at = null where id = 'ID';
                      update participation.epoch set origin = 'elsewhere'";
        sql(&database, &queued.replace("ID", path.rsplit('/').next().unwrap())).await;
        let refused = Running::start(settings.clone(), None).await.err().unwrap().to_string();
        assert!(refused.contains("madang restored"), "{refused}");
        connections_close(&settings).await;
        restored::run(&settings, CHECK).await.unwrap();
        assert!(Running::start(settings.clone(), None).await.is_err(), "a look changes nothing");
        connections_close(&settings).await;
        restored::run(&settings, BEGIN).await.unwrap();

        let running = started(&settings).await;
        api.base = format!("http://{}", running.address);
        api.get("/api/users/me").await.fails(401, "unauthenticated");
        assert_eq!(api.post("/api/users/token/refresh", json!({"refreshToken": api.refresh})).await.status, 401);
        let login = api.post("/api/users/login", json!({"email": email, "password": "correct horse"})).await.is(200);
        api.login_with(&login);
        let mut socket = api.socket().await;
        socket.send(json!({"type": "subscribe", "id": 1, "topic": topic, "from": before})).await;
        let subscribed = socket.until("subscribed").await;
        assert_eq!(subscribed["recovered"], false, "{subscribed}");
        assert_ne!(subscribed["position"]["epoch"], before["epoch"]);
        assert_eq!(api.enter(&slug, &phone(5)).await.is(201)["entryNo"], 6);
        let notices = api.get("/api/notices").await.is(200);
        assert!(notices["items"].as_array().unwrap().iter().any(|n| n["kind"] == "restored"), "{notices}");

        // They are asked, and one cannot be: only the owner knows. None is called again.
        let ended = |d: &Value| {
            let channels = d["channels"].as_array().unwrap().iter();
            channels.map(|c| (c["channel"].as_str().unwrap().to_owned(), c["status"].clone())).collect::<Vec<_>>()
        };
        within(Duration::from_secs(60), "asked", || async {
            ended(&api.get(path).await.is(200)).iter().all(|(channel, status)| match channel.as_str() {
                "NAVER" => status == "unknown",
                "KAKAO" => status == "assisted",
                _ => status == "published",
            })
        })
        .await;
        assert_eq!(posts(&running), posted, "nothing was called again");
        running.stop().await;
    });
}
