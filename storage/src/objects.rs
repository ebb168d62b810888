//! Pictures and backgrounds: objects under unguessable names, in a local folder; `events.object_deletions`: which of them are
//! to be deleted.

use crate::error::{Result, StorageError};
use crate::sql::{sql, types as t};
use crate::store::Conn;
use bytes::Bytes;
use diesel::QueryableByName;
use domain::time::Instant;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The objects of this installation.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
}

fn failed(e: impl std::fmt::Display) -> StorageError {
    StorageError::Other(format!("objects: {e}"))
}

impl Objects {
    /// Objects in a folder, made if missing. Writes are synced before they are acknowledged.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn folder(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(failed)?;
        Self::open(path)
    }

    /// Objects in a folder that is there. `None`: there is no folder, so no object.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn existing(path: &Path) -> Result<Option<Self>> {
        if path.try_exists().map_err(failed)? { Self::open(path).map(Some) } else { Ok(None) }
    }

    fn open(path: &Path) -> Result<Self> {
        let store = LocalFileSystem::new_with_prefix(path).map_err(failed)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: path.to_owned() })
    }

    /// Stores an object.
    ///
    /// # Errors
    /// The name is no name, or the folder cannot be written.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let path = ObjectPath::parse(name).map_err(failed)?;
        self.store.put(&path, PutPayload::from(bytes)).await.map_err(failed)?;
        Ok(())
    }

    /// Reads an object; `None` when there is none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let Ok(path) = ObjectPath::parse(name) else { return Ok(None) };
        match self.store.get(&path).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// Is there an object?
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn has(&self, name: &str) -> Result<bool> {
        let Ok(path) = ObjectPath::parse(name) else { return Ok(false) };
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(failed(e)),
        }
    }

    /// Deletes an object, and what a crash left of storing it. Nothing happens when there is none.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let Ok(path) = ObjectPath::parse(name) else { return Ok(()) };
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed(e)),
        }
        // `put` writes this file and renames it when it is whole.
        match tokio::fs::remove_file(self.folder.join(format!("{path}#1"))).await {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(e)),
            _ => Ok(()),
        }
    }
}

/// An object whose deletion is due.
#[derive(QueryableByName, Clone, Debug)]
pub struct DueDeletion {
    /// Name of the object.
    #[diesel(sql_type = t::Text)]
    pub name: String,
    /// A picture uses it: it stays.
    #[diesel(sql_type = t::Bool)]
    pub used: bool,
    /// When this was read, by the database's clock.
    #[diesel(sql_type = t::Timestamptz)]
    pub as_of: Instant,
}

/// Has an object deleted after so many seconds unless a picture uses it then. Stored before the object is: a crash between
/// object and row leaves no object for ever.
pub async fn schedule_deletion(c: &mut Conn, name: &str, seconds: i32) -> Result<()> {
    sql("insert into events.object_deletions (name, due_at) values (?, now() + make_interval(secs => ?))
         on conflict (name) do nothing")
    .bind::<t::Text, _>(name.to_owned())
    .bind::<t::Integer, _>(seconds)
    .run(c)
    .await?;
    Ok(())
}

/// Deletions that are due, the longest due first, at most `limit`.
pub async fn due_deletions(c: &mut Conn, limit: i64) -> Result<Vec<DueDeletion>> {
    sql("select d.name, now() as as_of,
                exists (select 1 from events.images i where i.name = d.name)
                  or exists (select 1 from events.images i where i.background = d.name) as used
           from events.object_deletions d where d.due_at <= now() order by d.due_at limit ?")
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await
}

/// Forgets deletions that were settled, unless one became due anew after `as_of`.
pub async fn forget_deletions(c: &mut Conn, names: Vec<String>, as_of: Instant) -> Result<()> {
    sql("delete from events.object_deletions where name = any (?) and due_at <= ?")
        .bind::<t::Array<t::Text>, _>(names)
        .bind::<t::Timestamptz, _>(as_of)
        .run(c)
        .await?;
    Ok(())
}

/// Puts deletions off that failed, so that others come first.
pub async fn delay_deletions(c: &mut Conn, names: Vec<String>, seconds: i32) -> Result<()> {
    sql("update events.object_deletions set due_at = now() + make_interval(secs => ?) where name = any (?)")
        .bind::<t::Integer, _>(seconds)
        .bind::<t::Array<t::Text>, _>(names)
        .run(c)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Objects;

    /// Case H4: what is deleted is gone, with what a crash left of it, and nothing else is.
    #[tokio::test]
    async fn a_deleted_object_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::folder(folder.path()).unwrap();
        for name in ["a.jpg", "b.jpg"] {
            objects.put(name, vec![1]).await.unwrap();
        }
        std::fs::write(folder.path().join("a.jpg#1"), [1]).unwrap();
        for _ in 0..2 {
            objects.delete("a.jpg").await.unwrap();
        }
        assert_eq!(objects.get("a.jpg").await.unwrap(), None);
        assert!(objects.has("b.jpg").await.unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// A file that a crash left of storing an object is all there may be of it.
    #[tokio::test]
    async fn an_unfinished_object_is_deleted_too() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::folder(folder.path()).unwrap();
        std::fs::write(folder.path().join("a.jpg#1"), [1]).unwrap();
        objects.delete("a.jpg").await.unwrap();
        objects.delete("../a.jpg").await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
