//! Checks of a start: folder, keys, database, revoked logins. Each refusal is one line.

use crate::support::{at, owner_at, phone, run, settings, start, within};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use storage::Store;
use storage::sql::{Word, sql};
use testkit::Database;
use transport::{Running, Settings};

async fn started(settings: &Settings) -> Running {
    Running::start(settings.clone(), None).await.unwrap()
}

async fn refused(settings: &Settings) -> String {
    let why = Running::start(settings.clone(), None).await.err().expect("it is refused").to_string();
    assert!(!why.contains('\n'), "{why}");
    why
}

fn base(running: &Running) -> String {
    format!("http://{}", running.address)
}

fn store(running: &Running) -> &Store {
    &running.handles().tools().store
}

/// Statements of an administrator on the server of `DATABASE_URL`.
async fn administer(statements: &str) {
    let mut c = AsyncPgConnection::establish(&std::env::var("DATABASE_URL").unwrap()).await.unwrap();
    for statement in statements.split(';') {
        c.batch_execute(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

/// Returns true if the role of `DATABASE_URL` is a superuser.
async fn is_superuser() -> bool {
    let mut c = AsyncPgConnection::establish(&std::env::var("DATABASE_URL").unwrap()).await.unwrap();
    let word = sql("select current_setting('is_superuser') as s").first::<Word>(&mut c).await;
    word.unwrap().unwrap().s == "on"
}

/// Returns the name of the database in its address.
fn name_of(url: &str) -> String {
    let path = url.split('?').next().unwrap();
    path.rsplit('/').next().unwrap().to_owned()
}

/// Returns a parameter of the server's own database sessions.
async fn session_parameter(running: &Running, parameter: &'static str) -> String {
    let row = store(running).run(async move |c| {
        let row = match parameter {
            "transaction_isolation" => sql("select current_setting('transaction_isolation') as s"),
            "statement_timeout" => sql("select current_setting('statement_timeout') as s"),
            "lock_timeout" => sql("select current_setting('lock_timeout') as s"),
            _ => sql("select current_setting('jit') as s"),
        };
        row.first::<Word>(c).await
    });
    row.await.unwrap().unwrap().s
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Case H1: folder and keys are closed to other users; production refuses keys that others may read.
#[cfg(unix)]
#[test]
fn folder_and_keys_are_closed_to_other_users() {
    run(async {
        let database = Database::fresh().await;
        let mut settings = settings(&database);
        set_mode(&settings.data_dir, 0o755);
        started(&settings).await.stop().await;
        let keys = settings.keys_file();
        assert_eq!((mode(&settings.data_dir), mode(&keys)), (0o700, 0o600));
        set_mode(&keys, 0o644);
        started(&settings).await.stop().await;
        assert_eq!(mode(&keys), 0o600, "in development it is closed");
        settings.production = true;
        for open in [0o644, 0o640, 0o604] {
            set_mode(&keys, open);
            let why = refused(&settings).await;
            assert!(why.contains("keys.json") && why.contains("chmod 600"), "{why}");
            assert_eq!(mode(&keys), open, "production changes nothing");
        }
        set_mode(&keys, 0o600);
        started(&settings).await.stop().await;
    });
}

/// Cases O2 and O12: a server refuses keys that do not belong to the database, and makes no new ones for its data.
#[test]
fn keys_of_another_installation_are_refused() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let mut api = owner_at(&base(&running)).await;
        running.stop().await;
        let mut others = settings.clone();
        others.keys_file = Some(settings.data_dir.join("others.json"));
        storage::crypto::Keyring::open(&others.keys_file(), true).unwrap();
        let (keys, aside) = (settings.keys_file(), settings.data_dir.join("aside.json"));
        // A database of this version, and one of an earlier version, which is known by its accounts.
        for forget in [false, true] {
            if forget {
                let store = database.open().await;
                let forgotten = store
                    .run(async move |c| Ok(c.batch_execute("update participation.epoch set canary = null").await?));
                forgotten.await.unwrap();
                store.close().await;
            }
            let why = refused(&others).await;
            assert!(why.contains("others.json does not belong to this database"), "{why}");
            std::fs::rename(&keys, &aside).unwrap();
            let why = refused(&settings).await;
            assert!(why.contains("keys.json is missing") && why.contains("put the file back"), "{why}");
            assert!(!keys.exists(), "no new keys are made");
            std::fs::write(&keys, "").unwrap();
            let why = refused(&settings).await;
            assert!(why.contains("it is empty"), "{why}");
            std::fs::rename(&aside, &keys).unwrap();
            let left = std::fs::read_dir(&settings.data_dir).unwrap().map(|f| f.unwrap().file_name());
            let unfinished = left.filter(|f| f.to_string_lossy().ends_with("unfinished")).count();
            assert_eq!(unfinished, 0);
        }
        let running = started(&settings).await;
        api.base = base(&running);
        api.get("/api/users/me").await.is(200);
        running.stop().await;
        let why = refused(&others).await;
        assert!(why.contains("does not belong"), "the earlier version's database knows its keys now: {why}");
    });
}

/// Case M9: the first request after a start refuses a revoked login.
#[test]
fn a_login_that_ended_before_the_start_stays_ended() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let mut api = owner_at(&base(&running)).await;
        api.post("/api/users/logout", json!({})).await.is(204);
        running.stop().await;
        let running = started(&settings).await;
        api.base = base(&running);
        api.get("/api/users/me").await.fails(401, "unauthenticated");
        let rename = |from: &str, to: &str| format!("alter table identity.{from} rename to {to}");
        let (away, back) = (rename("sessions", "unreadable"), rename("unreadable", "sessions"));
        running.stop().await;
        for (statement, starts) in [(away, false), (back, true)] {
            let store = database.open().await;
            store.run(async move |c| Ok(c.batch_execute(&statement).await?)).await.unwrap();
            store.close().await;
            match Running::start(settings.clone(), None).await {
                Ok(running) => {
                    assert!(starts, "it does not serve without knowing who has logged out");
                    running.stop().await;
                }
                Err(e) => assert!(!starts, "{e}"),
            }
        }
    });
}

/// Case 23: a refused start names the cause in one line, and leaves no keys behind.
#[test]
fn the_cause_of_a_database_that_cannot_be_reached_is_said() {
    run(async {
        let database = Database::fresh().await;
        let mut settings = settings(&database);
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        for (url, says) in [
            (format!("postgres://u:geheim@127.0.0.1:{free}/x"), "connection refused"),
            ("postgres://u:geheim@db.invalid/x".to_owned(), "db.invalid: unknown host"),
            ("postgres://u:geheim@127.0.0.1:5432/x?schema=public".to_owned(), "schema is no option"),
            ("postgres://u:geheim@127.0.0.1:5432/x?sslmode=verify-full".to_owned(), "sslmode=verify-full"),
            ("postgres://u:geheim@127.0.0.1:notaport/x".to_owned(), "\"notaport\""),
        ] {
            settings.database_url = Some(url.clone());
            let why = refused(&settings).await;
            assert!(why.contains(says) && !why.contains("geheim"), "{url}: {why}");
            assert_eq!(Store::check_url(&url).is_err(), !url.ends_with("/x") || url.contains("notaport"), "{url}");
        }
        assert!(!settings.keys_file().exists(), "keys are made for a database that is there");
        if let Some(own) = database.url() {
            let (scheme, rest) = own.split_once("://").unwrap();
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            settings.database_url = Some(format!("{scheme}://nobody_here@{host}"));
            assert!(refused(&settings).await.contains("nobody_here"));
        }
    });
}

/// Case O15: a server whose database takes no writes is not ready, and names the reason.
#[test]
fn a_read_only_database_is_not_ready() {
    run(async {
        let database = Database::fresh().await;
        let settings = settings(&database);
        let running = started(&settings).await;
        let api = at(&base(&running));
        for (word, status, reason) in [("on", 503, json!("database-read-only")), ("off", 200, json!(null))] {
            match database.url() {
                Some(url) => {
                    let name = name_of(&url);
                    administer(&format!(
                        "alter database {name} set default_transaction_read_only = {word};\
                         select pg_terminate_backend(pid) from pg_stat_activity
                          where datname = '{name}' and backend_type = 'client backend' and usename = current_user"
                    ))
                    .await;
                }
                None => {
                    let set = format!("set default_transaction_read_only = {word}");
                    store(&running).run(async move |c| Ok(c.batch_execute(&set).await?)).await.unwrap();
                }
            }
            within(Duration::from_secs(15), "it is known", || async {
                let ready = api.get("/readyz").await;
                ready.status == status && ready.body["reason"] == reason
            })
            .await;
        }
        running.stop().await;
    });
}

/// Case O14: a server sets its own isolation level, whatever the database's default is.
#[test]
fn the_isolation_level_is_that_of_the_statements() {
    run(async {
        let database = Database::fresh().await;
        let Some(url) = database.url() else {
            eprintln!("skipped: the_isolation_level_is_that_of_the_statements: needs DATABASE_URL");
            return;
        };
        for level in ["serializable", "repeatable read"] {
            administer(&format!("alter database {} set default_transaction_isolation = '{level}'", name_of(&url)))
                .await;
            let running = started(&settings(&database)).await;
            assert_eq!(session_parameter(&running, "transaction_isolation").await, "read committed");
            let api = owner_at(&base(&running)).await;
            let (_, slug) = api.live(json!({})).await;
            api.enter(&slug, &phone(1)).await.is(201);
            running.stop().await;
        }
    });
}

/// Case O1: a role that owns its database is enough. Options of the address keep the server's limits.
#[test]
fn an_ordinary_role_is_enough() {
    run(async {
        let database = Database::fresh().await;
        let Some(url) = database.url() else {
            eprintln!("skipped: an_ordinary_role_is_enough: needs DATABASE_URL");
            return;
        };
        if !is_superuser().await {
            eprintln!("skipped: an_ordinary_role_is_enough: all tests run as such a role");
            return;
        }
        let (name, role) = (name_of(&url), format!("plain_{}", uuid::Uuid::now_v7().simple()));
        administer(&format!("create role {role} login password 'pw'; alter database {name} owner to {role}")).await;
        let (scheme, rest) = url.split_once("://").unwrap();
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let separator = if host.contains('?') { '&' } else { '?' };
        let mut settings = settings(&database);
        settings.database_url = Some(format!("{scheme}://{role}:pw@{host}{separator}options=-c%20jit%3Doff"));
        let running = started(&settings).await;
        let limits = [("statement_timeout", "5s"), ("lock_timeout", "2s"), ("jit", "off")];
        for (parameter, value) in limits {
            assert_eq!(session_parameter(&running, parameter).await, value, "{parameter}");
        }
        let superuser = store(&running)
            .run(async move |c| sql("select current_setting('is_superuser') as s").first::<Word>(c).await);
        assert_eq!(superuser.await.unwrap().unwrap().s, "off");
        let api = owner_at(&base(&running)).await;
        let (id, slug) = api.live(json!({})).await;
        api.enter(&slug, &phone(1)).await.is(201);
        api.post(&format!("/api/events/{id}/close"), json!({})).await.is(200);
        running.stop().await;
        drop(database);
        administer(&format!("drop role {role}")).await;
    });
}

/// A server starts in a folder whose path is longer than a socket's may be.
#[test]
fn a_long_data_folder_works() {
    run(async {
        let database = Database::fresh().await;
        let mut settings = settings(&database);
        settings.database_url = None;
        settings.data_dir = database.folder().join("가".repeat(60)).join("데이터");
        let running = started(&settings).await;
        owner_at(&base(&running)).await.get("/api/users/me").await.is(200);
        running.stop().await;
    });
}

/// A server with nothing to do ends within a second of what it waits for load balancers.
#[test]
fn a_stop_waits_for_nothing() {
    run(async {
        let own = start(|settings| settings.drain_seconds = 0).await;
        own.running.handles().store().epoch().await.unwrap();
        let begun = std::time::Instant::now();
        own.running.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    });
}
