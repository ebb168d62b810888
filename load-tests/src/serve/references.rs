//! What the same server could do with an entry instead: answer at once, store each with an INSERT of its own, or within a
//! transaction that locks a counter. Parsing, sealing and indexing are the product's.

use crate::server::Failure;
use actors::Handles;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use diesel::sql_types::{BigInt, Binary, SmallInt, Timestamptz, Uuid as UuidType};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8::Pool;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use domain::ids::{EventId, StoreId};
use domain::phone::Phone;
use domain::text::PersonName;
use serde_json::{Value, json};
use storage::sql::{Number, sql};
use uuid::Uuid;

/// Connections of the references to a server.
const CONNECTIONS: u32 = 16;

const TABLES: &str = "
    create schema if not exists reference;
    create sequence if not exists reference.numbers;
    create table if not exists reference.counters (event_id uuid primary key, n bigint not null);
    create table if not exists reference.entries (
      event_id uuid not null, entry_no bigint not null, id uuid not null, phone_index bytea not null, receipt bytea not null,
      channel smallint not null, sealed bytea not null, entered_at timestamptz not null,
      primary key (event_id, entry_no), unique (event_id, phone_index), unique (receipt));
    create table if not exists reference.counted (like reference.entries including all);";

type Connections = Option<Pool<AsyncPgConnection>>;

#[derive(Clone)]
struct Reference {
    handles: Handles,
    pool: Connections,
}

/// Their connections and tables; none on the embedded database, which has one connection.
pub async fn pool(url: Option<&str>) -> Result<Connections, Failure> {
    let Some(url) = url else { return Ok(None) };
    AsyncPgConnection::establish(url).await?.batch_execute(TABLES).await?;
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    // No question before each use: the product's connections are not asked either.
    Ok(Some(Pool::builder().max_size(CONNECTIONS).test_on_check_out(false).build(manager).await?))
}

/// Their routes.
pub fn routes(handles: Handles, pool: Connections) -> Router {
    Router::new()
        .route("/reference/constant", get(constant_read).post(constant))
        .route("/reference/insert/{event}", post(insert))
        .route("/reference/transaction/{event}", post(transaction))
        .with_state(Reference { handles, pool })
}

/// As long as the answer to an entry.
const ANSWER: &str =
    r#"{"enteredAt":"2026-11-20T16:37:17.470819Z","entryNo":12345,"receipt":"0123456789abcdef0123456789abcdef"}"#;

async fn constant(_: Bytes) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], ANSWER).into_response()
}

/// About as long as the analytics of an event.
async fn constant_read(State(_): State<Reference>) -> Response {
    static BODY: std::sync::LazyLock<Bytes> = std::sync::LazyLock::new(|| Bytes::from("x".repeat(2_000)));
    ([(header::CONTENT_TYPE, "application/json")], BODY.clone()).into_response()
}

#[derive(serde::Deserialize)]
struct Form {
    name: String,
    phone: String,
}

struct Row {
    event: Uuid,
    id: Uuid,
    phone_index: Vec<u8>,
    receipt: String,
    receipt_hash: Vec<u8>,
    sealed: Vec<u8>,
}

fn prepare(handles: &Handles, event: Uuid, body: &[u8]) -> Option<Row> {
    let form: Form = serde_json::from_slice(body).ok()?;
    let (name, phone) = (PersonName::parse(&form.name).ok()?, Phone::parse(&form.phone).ok()?);
    let keys = &handles.tools().keys;
    let id = Uuid::now_v7();
    let receipt = domain::event::state::hex(&keys.mac("receipt", &[id.as_bytes()])[..16]);
    Some(Row {
        event,
        id,
        phone_index: keys.phone_index(keys.active_index(), StoreId(event), phone.expose()).ok()?.to_vec(),
        receipt_hash: Handles::receipt_hash(&receipt).to_vec(),
        receipt,
        sealed: storage::entries::seal(keys, id, name.expose(), phone.expose()),
    })
}

const INSERT: &str =
    "insert into reference.entries (event_id, entry_no, id, phone_index, receipt, channel, sealed, entered_at)
     values (?, nextval('reference.numbers'), ?, ?, ?, ?, ?, ?) returning entry_no as n";
const INSERT_NUMBERED: &str =
    "insert into reference.counted (event_id, entry_no, id, phone_index, receipt, channel, sealed, entered_at)
     values (?, ?, ?, ?, ?, ?, ?, ?) returning entry_no as n";
const COUNT: &str = "insert into reference.counters as c values (?, 1)
     on conflict (event_id) do update set n = c.n + 1 returning n";

async fn insert(State(r): State<Reference>, Path(event): Path<EventId>, body: Bytes) -> Response {
    let stored = async {
        let row = prepare(&r.handles, event.0, &body).ok_or("a bad form")?;
        let mut connection = r.pool.as_ref().ok_or("needs DATABASE_URL")?.get().await?;
        let now = chrono::Utc::now();
        let number = sql(INSERT)
            .bind::<UuidType, _>(row.event)
            .bind::<UuidType, _>(row.id)
            .bind::<Binary, _>(row.phone_index)
            .bind::<Binary, _>(row.receipt_hash)
            .bind::<SmallInt, _>(6_i16)
            .bind::<Binary, _>(row.sealed)
            .bind::<Timestamptz, _>(now)
            .first::<Number>(&mut connection)
            .await?;
        Ok::<_, Failure>(entered(number.map_or(0, |n| n.n), &row.receipt, now))
    };
    answer(stored.await)
}

async fn transaction(State(r): State<Reference>, Path(event): Path<EventId>, body: Bytes) -> Response {
    let stored = async {
        let row = prepare(&r.handles, event.0, &body).ok_or("a bad form")?;
        let mut connection = r.pool.as_ref().ok_or("needs DATABASE_URL")?.get().await?;
        let now = chrono::Utc::now();
        let (receipt, id) = (row.receipt.clone(), row.event);
        let number = connection
            .transaction::<i64, storage::StorageError, _>(async move |c| {
                let number = sql(COUNT).bind::<UuidType, _>(id).first::<Number>(c).await?.map_or(0, |n| n.n);
                sql(INSERT_NUMBERED)
                    .bind::<UuidType, _>(row.event)
                    .bind::<BigInt, _>(number)
                    .bind::<UuidType, _>(row.id)
                    .bind::<Binary, _>(row.phone_index)
                    .bind::<Binary, _>(row.receipt_hash)
                    .bind::<SmallInt, _>(6_i16)
                    .bind::<Binary, _>(row.sealed)
                    .bind::<Timestamptz, _>(now)
                    .run(c)
                    .await?;
                Ok(number)
            })
            .await?;
        Ok::<_, Failure>(entered(number, &receipt, now))
    };
    answer(stored.await)
}

fn entered(number: i64, receipt: &str, at: chrono::DateTime<chrono::Utc>) -> Value {
    json!({"entryNo": number, "receipt": receipt, "enteredAt": at})
}

fn answer(stored: Result<Value, Failure>) -> Response {
    match stored {
        Ok(body) => (StatusCode::CREATED, Json(body)).into_response(),
        Err(e) => (StatusCode::SERVICE_UNAVAILABLE, e.to_string()).into_response(),
    }
}
