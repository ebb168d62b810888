//! Deletes pictures that nothing shows any more, and the files of rows that were deleted or never came; a bounded number at a
//! time.

use crate::tools::Tools;
use storage::Result;
use storage::objects::DueDeletion;

/// One hour that a superseded version is kept, so that a page which is open shows what it was given.
const SUPERSEDED_GRACE_SECONDS: i32 = 3_600;
/// 100 files: deleting them takes some milliseconds.
const MAX_FILES_PER_LOOK: i64 = 100;
/// 500 rows: a larger statement holds their locks for longer.
const ROWS_PER_STATEMENT: i64 = 500;
/// 20 statements of one look: the next look finds the rest.
const MAX_STATEMENTS: usize = 20;
/// Five minutes before a file that could not be deleted is tried again.
const RETRY_SECONDS: i32 = 300;

/// Deletes versions that were superseded long enough ago and that no publication shows. Their files follow.
pub(crate) async fn drop_superseded(tools: &Tools) -> Result<()> {
    for _ in 0..MAX_STATEMENTS {
        let deleted = tools.store.run(async move |c| {
            storage::images::delete_superseded(c, SUPERSEDED_GRACE_SECONDS, ROWS_PER_STATEMENT).await
        });
        if (deleted.await? as i64) < ROWS_PER_STATEMENT {
            break;
        }
    }
    Ok(())
}

/// Deletes files whose time has come and that no picture uses.
pub(crate) async fn delete_files(tools: &Tools) -> Result<()> {
    let due = tools.store.run(async move |c| storage::objects::due_deletions(c, MAX_FILES_PER_LOOK).await).await?;
    let Some(as_of) = due.first().map(|d| d.as_of) else { return Ok(()) };
    let (mut settled, mut failed) = (Vec::new(), Vec::new());
    for DueDeletion { name, used, .. } in due {
        let deleted = if used { Ok(()) } else { tools.objects.delete(&name).await };
        match deleted {
            Ok(()) => settled.push(name),
            Err(e) => {
                tracing::warn!(%name, error = %e, "a file that nothing uses was not deleted");
                failed.push(name);
            }
        }
    }
    tools
        .store
        .run(async move |c| {
            storage::objects::forget_deletions(c, settled, as_of).await?;
            storage::objects::delay_deletions(c, failed, RETRY_SECONDS).await
        })
        .await
}
