//! Every operation of the public port's API, in the order of the contract.

use crate::http::{answers as a, bodies as b};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// Makes a schema.
pub(crate) type Schema = fn(&mut SchemaGenerator) -> Value;

fn of<T: JsonSchema>(g: &mut SchemaGenerator) -> Value {
    g.subschema_for::<T>().to_value()
}

/// One operation.
pub struct Operation {
    /// Lower case.
    pub method: &'static str,
    /// With `{parameters}`.
    pub path: &'static str,
    pub(crate) owner: bool,
    pub(crate) summary: &'static str,
    pub(crate) takes: Option<Schema>,
    pub(crate) gives: Option<Schema>,
    /// Media type of what is not JSON.
    pub(crate) file: Option<&'static str>,
    /// 202 answers a job instead.
    pub(crate) or_job: Option<Schema>,
    pub(crate) statuses: &'static [u16],
    /// Names of what its query may say.
    pub(crate) query: &'static [&'static str],
}

impl Operation {
    const fn new(method: &'static str, path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Self {
        Self {
            method,
            path,
            owner: true,
            summary,
            takes: None,
            gives: None,
            file: None,
            or_job: None,
            statuses,
            query: &[],
        }
    }

    const fn public(self) -> Self {
        Self { owner: false, ..self }
    }

    const fn takes(self, body: Schema) -> Self {
        Self { takes: Some(body), ..self }
    }

    const fn gives(self, answer: Schema) -> Self {
        Self { gives: Some(answer), ..self }
    }

    const fn file(self, kind: &'static str) -> Self {
        Self { file: Some(kind), ..self }
    }

    const fn query(self, names: &'static [&'static str]) -> Self {
        Self { query: names, ..self }
    }

    const fn or_job(self) -> Self {
        Self { or_job: Some(of::<a::JobAccepted>), ..self }
    }
}

const fn get(path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Operation {
    Operation::new("get", path, summary, statuses)
}
const fn post(path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Operation {
    Operation::new("post", path, summary, statuses)
}
const fn put(path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Operation {
    Operation::new("put", path, summary, statuses)
}
const fn patch(path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Operation {
    Operation::new("patch", path, summary, statuses)
}
const fn delete(path: &'static str, summary: &'static str, statuses: &'static [u16]) -> Operation {
    Operation::new("delete", path, summary, statuses)
}

/// The query of a list.
const LIST: &[&str] = &["cursor", "limit"];

/// Every operation. Owners' own also answer 401 and 429.
pub const OPERATIONS: &[Operation] = &[
    post("/api/users/signup", "Sign up: account, shop and a first login", &[201, 400, 409, 422, 429, 503])
        .public()
        .takes(of::<b::Signup>)
        .gives(of::<a::SignedUp>),
    post("/api/users/login", "Log in", &[200, 401, 429, 503]).public().takes(of::<b::Login>).gives(of::<a::Tokens>),
    post("/api/users/token/refresh", "Rotate the refresh token", &[200, 401])
        .public()
        .takes(of::<b::Refresh>)
        .gives(of::<a::Tokens>),
    post("/api/users/logout", "Log out, here or everywhere", &[204, 422]).query(&["everywhere"]),
    get("/api/users/me", "The owner", &[200]).gives(of::<a::User>),
    patch("/api/users/me", "Change name or phone", &[200, 412, 422]).takes(of::<b::EditMe>).gives(of::<a::User>),
    get("/api/stores", "Shops", &[200, 422]).query(LIST).gives(of::<a::Page<a::Store>>),
    post("/api/stores", "Add a shop", &[201, 409, 422]).takes(of::<b::NewStore>).gives(of::<a::Store>),
    get("/api/stores/{id}", "A shop", &[200, 404]).gives(of::<a::Store>),
    patch("/api/stores/{id}", "Change a shop", &[200, 404, 412, 422]).takes(of::<b::EditStore>).gives(of::<a::Store>),
    delete("/api/stores/{id}", "Remove a shop without open events", &[204, 404, 409, 412]),
    get("/api/industries", "Industries", &[200, 422]).public().query(&["limit"]).gives(of::<a::Page<a::Industry>>),
    get("/api/events", "Events, newest first", &[200, 422])
        .query(&["status", "q", "cursor", "limit"])
        .gives(of::<a::Page<a::Event>>),
    post("/api/events", "Begin an event by its objective", &[201, 404, 409, 422])
        .takes(of::<b::NewEvent>)
        .gives(of::<a::Event>),
    get("/api/events/{id}", "An event", &[200, 304, 404]).gives(of::<a::Event>),
    patch("/api/events/{id}", "Change the title, or move the end later", &[200, 404, 409, 412, 422])
        .takes(of::<b::EditEvent>)
        .gives(of::<a::Event>),
    delete("/api/events/{id}", "Remove a draft", &[204, 404, 409, 412]),
    post("/api/events/{id}/duplicate", "Copy plan, pictures and channels", &[201, 404, 409]).gives(of::<a::Event>),
    put("/api/events/{id}/plan", "Choose an option", &[200, 404, 409, 412, 422])
        .takes(of::<b::Plan>)
        .gives(of::<a::Event>),
    put("/api/events/{id}/content", "Choose pictures", &[200, 404, 409, 412, 422])
        .takes(of::<b::Content>)
        .gives(of::<a::Event>),
    put("/api/events/{id}/channels", "Choose channels", &[200, 404, 409, 412, 422])
        .takes(of::<b::Channels>)
        .gives(of::<a::Event>),
    get("/api/events/{id}/preflight", "What each channel misses", &[200, 404]).gives(of::<a::Preflight>),
    post("/api/events/{id}/approve", "Approve and publish", &[200, 202, 404, 409, 412, 422])
        .query(&["wait"])
        .gives(of::<a::Approval>),
    post("/api/events/{id}/pause", "Pause", &[200, 404, 409, 412]).gives(of::<a::Event>),
    post("/api/events/{id}/resume", "Resume", &[200, 404, 409, 412]).gives(of::<a::Event>),
    post("/api/events/{id}/close", "Close", &[200, 404, 409, 412]).gives(of::<a::Event>),
    post("/api/events/{id}/cancel", "Call off and recall", &[200, 404, 409, 412]).gives(of::<a::Event>),
    get("/api/events/{id}/qr.svg", "The link as QR code", &[200, 404, 422])
        .query(&["channel", "v"])
        .file("image/svg+xml"),
    get("/api/events/{id}/qr.png", "The link as QR code", &[200, 404, 422]).query(&["channel", "v"]).file("image/png"),
    get("/api/events/{id}/visit-code", "The code and the token shown in the shop", &[200, 404])
        .gives(of::<a::VisitCode>),
    post("/api/events/{id}/visit-paper", "A token to be printed, good for a day", &[201, 404, 409])
        .gives(of::<a::VisitPaper>),
    delete("/api/events/{id}/visit-paper", "Void every printed token", &[204, 404, 412]),
    get("/api/events/{id}/facts", "The history", &[200, 404, 422]).query(LIST).gives(of::<a::Page<a::Fact>>),
    get("/api/events/{id}/images", "Pictures of an event", &[200, 404]).gives(of::<a::Page<a::Image>>),
    get("/api/events/{id}/participants", "Participants, masked", &[200, 404, 422])
        .query(&["channel", "visited", "cursor", "limit"])
        .gives(of::<a::Page<a::Participant>>),
    get("/api/events/{id}/draws", "Draws", &[200, 304, 404, 422]).query(&["limit"]).gives(of::<a::Page<a::Draw>>),
    post("/api/events/{id}/draws", "Draw, once ever", &[200, 201, 404, 409, 412, 422])
        .takes(of::<b::Draw>)
        .gives(of::<a::Draw>),
    get("/api/events/{id}/analytics", "The dashboard", &[200, 404]).gives(of::<a::Analytics>),
    get("/api/analytics/events/{id}", "The dashboard (alias)", &[200, 404]).gives(of::<a::Analytics>),
    post("/api/ai/recommendations", "Three proposals", &[200, 202, 404, 409, 422, 429])
        .takes(of::<b::Recommend>)
        .gives(of::<a::Recommendation>)
        .or_job(),
    post("/api/content/images", "Make pictures", &[200, 202, 404, 409, 422, 429])
        .takes(of::<b::MakeImages>)
        .gives(of::<a::Images>)
        .or_job(),
    get("/api/content/images/{id}", "A picture", &[200, 404]).gives(of::<a::Image>),
    patch("/api/content/images/{id}", "Edit a picture at once", &[200, 404, 412, 422, 429])
        .takes(of::<b::EditImage>)
        .gives(of::<a::Image>),
    get("/api/jobs/{id}", "A job; Prefer: wait holds", &[200, 304, 404]).gives(of::<a::Job>),
    delete("/api/jobs/{id}", "Call a job off", &[204, 404, 409]),
    get("/api/notices", "Notices that were not read, or all, newest first", &[200, 422])
        .query(&["all", "cursor", "limit"])
        .gives(of::<a::Page<a::Notice>>),
    post("/api/notices/{id}/read", "Mark a notice as read", &[200, 404]).gives(of::<a::Notice>),
    get("/api/distribution/{id}", "A distribution", &[200, 304, 404]).gives(of::<a::Distribution>),
    post("/api/distribution/{id}/retry", "Try failed channels again", &[202, 404, 409, 412, 422])
        .takes(of::<b::Channels>)
        .gives(of::<a::Distribution>),
    post("/api/distribution/{id}/recall", "Take back what was published", &[202, 404, 412])
        .gives(of::<a::Distribution>),
    post("/api/distribution/{id}/confirm", "Settle an unknown channel", &[202, 404, 409, 412, 422])
        .takes(of::<b::Confirm>)
        .gives(of::<a::Distribution>),
    post("/api/realtime/tickets", "A ticket for a socket", &[201]).gives(of::<a::Ticket>),
    get("/api/participation/events/{slug}", "The public page", &[200, 404]).public().gives(of::<a::PublicEvent>),
    post("/api/participation/events/{slug}/entries", "Enter", &[201, 400, 404, 409, 410, 422, 425, 429, 503])
        .public()
        .takes(of::<b::Enter>)
        .gives(of::<a::Entered>),
    get("/api/participation/events/{slug}/draw", "The proof of the draw", &[200, 304, 404])
        .public()
        .gives(of::<a::PublicProof>),
    get("/api/participation/events/{slug}/winners", "Who holds the prizes now", &[200, 304, 404])
        .public()
        .gives(of::<a::Winners>),
    get("/api/participation/receipts/{receipt}", "What a receipt proves", &[200, 404]).public().gives(of::<a::Receipt>),
    delete("/api/participation/receipts/{receipt}", "Erase an entry", &[204, 404]).public(),
];
