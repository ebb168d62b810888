//! A database of one's own.

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use storage::Store;
use tempfile::TempDir;

/// A fresh database: embedded in a temporary folder, or a new one on the server of `DATABASE_URL`.
pub struct Database {
    folder: TempDir,
    server: Option<(String, String)>,
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    /// When `DATABASE_URL` is set and its server does not answer.
    pub async fn fresh() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => {
                let name = format!("madang_test_{}", uuid::Uuid::now_v7().simple());
                run(&url, &format!("create database {name}")).await;
                Some((url, name))
            }
            _ => None,
        };
        Self { folder, server }
    }

    /// Its address; `None` when it is embedded in [`Database::folder`].
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let (url, name) = self.server.as_ref()?;
        let (head, query) = url.split_once('?').map_or((url.as_str(), None), |(h, q)| (h, Some(q)));
        let authority_end = head.find("://").map_or(0, |i| i + 3);
        let path = head[authority_end..].find('/').map_or(head.len(), |i| authority_end + i);
        Some(format!("{}/{name}{}", &head[..path], query.map_or_else(String::new, |q| format!("?{q}"))))
    }

    /// A folder that lives as long as the database.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Opens it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(&self) -> Store {
        match self.url() {
            Some(url) => Store::connect(&url).await.expect("the database of DATABASE_URL"),
            None => Store::embedded(&self.folder().join("db")).await.expect("the embedded database"),
        }
    }
}

async fn run(url: &str, statement: &str) {
    let mut c = AsyncPgConnection::establish(url).await.expect("the server of DATABASE_URL");
    c.batch_execute(statement).await.expect("a database of our own");
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((url, name)) = self.server.take() else { return };
        // On a thread of its own: the test's runtime may be gone already.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if let Ok(mut c) = AsyncPgConnection::establish(&url).await {
                    let _ = c.batch_execute(&format!("drop database if exists {name} with (force)")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}
