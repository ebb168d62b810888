//! Pictures and backgrounds: objects under unguessable names, in a local folder.

use crate::error::{Result, StorageError};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::path::Path;
use std::sync::Arc;

/// The objects of this installation.
#[derive(Clone)]
pub struct Objects(Arc<dyn ObjectStore>);

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
        let store = LocalFileSystem::new_with_prefix(path).map_err(failed)?.with_fsync(true);
        Ok(Self(Arc::new(store)))
    }

    /// Stores an object.
    ///
    /// # Errors
    /// The name is no name, or the folder cannot be written.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let path = ObjectPath::parse(name).map_err(failed)?;
        self.0.put(&path, PutPayload::from(bytes)).await.map_err(failed)?;
        Ok(())
    }

    /// Reads an object; `None` when there is none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let Ok(path) = ObjectPath::parse(name) else { return Ok(None) };
        match self.0.get(&path).await {
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
        match self.0.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(failed(e)),
        }
    }
}
