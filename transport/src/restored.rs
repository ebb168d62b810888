//! `madang restored`: looks at a database that was restored from a backup, and begins its new life.

use crate::boot::{keys, store, store_as_it_is};
use crate::config::Settings;
use crate::http::draws::{proof, published};
use clap::Args;
use domain::draw::{commitment, root, verify_published};
use domain::event::Event;
use domain::ids::{DrawId, EventId, UserId};
use serde_json::json;
use std::time::{Duration, Instant};
use storage::crypto::Keyring;
use storage::draws::digest;
use storage::notices::NewNotice;
use storage::objects::Objects;
use storage::restore::NewLife;
use storage::{Store, restore};

/// How long those who were stopped may take to leave the database, as with the folder of an embedded one.
const LEAVING: Duration = Duration::from_secs(5);

/// How to go about it.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only look; nothing is changed, and a database in which migrations are pending is refused.
    #[arg(long)]
    pub check: bool,
    /// Begin the new life whatever was found, and whoever is connected.
    #[arg(long, conflicts_with = "check")]
    pub anyway: bool,
    /// It was moved as a whole, as by `pg_upgrade`, and nothing is missing: it goes on living where it is now.
    #[arg(long, conflicts_with_all = ["check", "anyway"])]
    pub moved: bool,
}

type RestoreError = Box<dyn std::error::Error + Send + Sync>;

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// What contradicts itself or the keys.
    pub wrong: Vec<String>,
    /// Pictures that are not in the folder of objects.
    pub missing: Vec<String>,
}

/// Looks, says what was found, and begins when nothing is wrong.
///
/// # Errors
/// A server uses the database, something in it is wrong, or it cannot be reached.
pub async fn run(settings: &Settings, options: Options) -> Result<RestoreReport, RestoreError> {
    let keys = match options.check {
        true => keys::existing_as_they_are(settings)?,
        false => keys::existing(settings)?,
    };
    if let Some(url) = &settings.database_url {
        alone(url, options.anyway).await?;
    }
    let objects = Objects::existing(&settings.data_dir.join("objects"))?;
    let store = match options.check {
        true => store_as_it_is(settings).await?,
        false => store(settings).await?,
    };
    let look = Inspection { store: store.clone(), keys, objects, found: RestoreReport::default() };
    let done = match options.moved {
        true => moved(&store).await,
        false => look_and_begin(look, options).await,
    };
    store.close().await;
    done
}

/// Waits until nobody else is connected: who was stopped just now is still leaving.
async fn alone(url: &str, anyway: bool) -> Result<(), RestoreError> {
    let begun = Instant::now();
    loop {
        let others = restore::others(url).await?;
        if others.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > LEAVING {
            let who = format!("connected to this database: {}; stop every server first", others.join(", "));
            if !anyway {
                return Err(who.into());
            }
            println!("{who}");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn moved(store: &Store) -> Result<RestoreReport, RestoreError> {
    store.run(async move |c| restore::moved(c).await).await?;
    println!("it lives here now");
    Ok(RestoreReport::default())
}

async fn look_and_begin(mut look: Inspection, options: Options) -> Result<RestoreReport, RestoreError> {
    for table in look.store.run_long(async move |c| restore::tables(c).await).await? {
        println!("{:>10} {}", table.rows, table.name);
    }
    let newest = look.store.run_long(async move |c| restore::newest(c).await).await?;
    match newest {
        Some(at) => println!("the newest of it is of {}; what came later is gone", at.to_rfc3339()),
        None => println!("nothing ever happened in it"),
    }
    look.accounts().await?;
    look.events().await?;
    let (store, found, keys) = (look.store, look.found, look.keys);
    found.missing.iter().for_each(|missing| println!("MISSING: {missing}"));
    found.wrong.iter().for_each(|wrong| println!("WRONG: {wrong}"));
    match found.wrong.first() {
        None => println!("it is whole: numbers, counts, ciphertext, indexes, lists and draws"),
        Some(_) if options.anyway => {}
        Some(first) => {
            let n = found.wrong.len();
            return Err(format!("{n} wrong, first {first}; --anyway begins in spite of it").into());
        }
    }
    if options.check {
        return Ok(found);
    }
    let begun = begin(&store, newest, &found, keys).await?;
    println!("a new life began: {} logins ended, {} publications are asked about first", begun.logins, begun.doubtful);
    Ok(found)
}

/// One look at everything.
struct Inspection {
    store: Store,
    keys: Keyring,
    /// `None`: there is no folder of them.
    objects: Option<Objects>,
    found: RestoreReport,
}

impl Inspection {
    fn expect(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.found.wrong.push(otherwise());
        }
    }

    async fn accounts(&mut self) -> storage::Result<()> {
        for id in self.store.run_long(async move |c| restore::accounts(c).await).await? {
            let keys = self.keys.clone();
            let opening = self.store.run(async move |c| restore::account_opens(c, &keys, id).await);
            let opens = opening.await?;
            self.expect(opens, || format!("account {id} does not open with these keys, or is not found by them"));
        }
        Ok(())
    }

    async fn events(&mut self) -> storage::Result<()> {
        for id in self.store.run_long(async move |c| restore::events(c).await).await? {
            match self.event(id).await {
                Err(e) if e.is_passing() => return Err(e),
                Err(e) => self.found.wrong.push(format!("event {id} cannot be read: {e}")),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn event(&mut self, id: EventId) -> storage::Result<()> {
        let sums = self.store.run_long(async move |c| restore::sums(c, id).await).await?;
        self.expect(sums.numbered, || format!("event {id}: its {} entries are not numbered 1, 2, 3 …", sums.entries));
        self.expect(sums.counted, || format!("event {id}: its log does not say what its entries add up to"));
        self.expect(sums.logged, || format!("event {id}: versions of its log are missing"));
        let keys = self.keys.clone();
        let (looked, open) = self.store.run(async move |c| restore::sample(c, &keys, id).await).await?;
        self.expect(looked == open, || {
            format!(
                "event {id}: {} of {looked} entries do not open with these keys, or are not found by their phone",
                looked - open
            )
        });
        for name in self.store.run(async move |c| restore::objects(c, id).await).await? {
            let there = match &self.objects {
                Some(objects) => objects.has(&name).await?,
                None => false,
            };
            if !there {
                self.found.missing.push(format!("event {id}: picture {name}"));
            }
        }
        let event = self.store.run(async move |c| storage::events::get(c, id).await).await?;
        match event {
            Some(event) => self.draw(&event).await,
            None => Ok(()),
        }
    }

    /// The promised number, the published list and the draws of an event.
    async fn draw(&mut self, event: &Event) -> storage::Result<()> {
        let id = event.id;
        if let Some(promised) = event.commitment.filter(|_| !event.drawn) {
            let sealed = self.store.run(async move |c| storage::events::seed(c, id).await).await?;
            let seed = sealed.and_then(|s| self.keys.open_field("events.seed", id, &s).ok());
            let kept =
                seed.and_then(|s| <[u8; 32]>::try_from(s.as_slice()).ok()).is_some_and(|s| commitment(&s) == promised);
            self.expect(kept, || format!("event {id}: the number promised for its draw is lost"));
        }
        let Some((promised_root, _)) = event.root else { return Ok(()) };
        let leaves = storage::entries::all_leaves(&self.store, id).await?;
        let found = root(id, &leaves, &event.prizes, event.visit_weight);
        self.expect(found == promised_root, || {
            format!("event {id}: its entries are not the list published at the close")
        });
        for draw in self.store.run(async move |c| storage::draws::list(c, id).await).await? {
            let of = DrawId(draw.id);
            let drawn = self.store.run(async move |c| storage::draws::winners(c, of).await).await?;
            let promised = event.commitment == Some(commitment(&digest(&draw.seed)?));
            self.expect(promised, || format!("event {id}: it was drawn with another number than the promised one"));
            let file = published(proof(&leaves, event, &draw, &drawn)?, &drawn)?;
            if let Err(e) = verify_published(&file) {
                self.found.wrong.push(format!("event {id}: its draw does not verify: {e}"));
            }
        }
        Ok(())
    }
}

/// Begins, records it, and tells owners who have something to look after, in one transaction.
async fn begin(
    store: &Store,
    newest: Option<domain::time::Instant>,
    found: &RestoreReport,
    keys: Keyring,
) -> storage::Result<NewLife> {
    let (wrong, missing) = (found.wrong.len(), found.missing.len());
    store
        .tx_long(async move |c| {
                let begun = restore::begin(c).await?;
                storage::canary::replace(c, &keys).await?;
                for owner in restore::owners_at_work(c).await? {
                    storage::notices::insert(c, notice(owner, newest)).await?;
                }
                let detail = json!({
                    "newest": newest, "wrong": wrong, "missing": missing, "logins": begun.logins, "doubtful": begun.doubtful,
                });
                let (who, origin) = ("admin".to_owned(), "command line".to_owned());
                storage::audit::write(c, who, origin, "database-restored", "database".into(), detail).await?;
                Ok(begun)
            })
        .await
}

fn notice(owner: UserId, newest: Option<domain::time::Instant>) -> NewNotice {
    let at = newest.map(|at| at.with_timezone(&domain::time::kst()));
    let ko = at.map_or_else(|| "처음".into(), |at| at.format("%-m월 %-d일 %H:%M").to_string());
    let en = at.map_or_else(|| "its beginning".into(), |at| at.format("%B %-d, %H:%M KST").to_string());
    NewNotice {
        owner,
        kind: "restored",
        level: "warning",
        message_ko: format!(
            "서버를 {ko}의 백업으로 되돌렸어요. 그 뒤에 하신 일은 남아 있지 않아요. 승인, 재시도, 추첨을 하기 전에 채널에 올라간 게시물과 \
             이미 알린 결과를 확인해 주세요."
        ),
        message_en: format!(
            "The server was restored from a backup of {en}. What you did later is gone: before you approve, retry or draw, look at \
             what is out on your channels and what was announced."
        ),
        data: json!({"newest": newest}),
    }
}
