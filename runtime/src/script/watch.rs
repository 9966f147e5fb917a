//! Waiting for what an instance comes to.

use super::registry::Scripts;
use crate::dispatcher::{ApiError, Handle};
use crate::engine::Instance;

impl Scripts {
    /// Looks at an instance after every fact that is recorded of it, until `look` returns something. While there is no such instance it looks
    /// at none, and waits for one. Cancel-safe.
    ///
    /// # Errors
    /// When `id` is none, there is no such workflow, or the dispatcher has stopped.
    pub async fn watch<T>(
        &self,
        handle: &Handle,
        workflow: &str,
        id: &str,
        mut look: impl FnMut(Option<&Instance>) -> Option<T>,
    ) -> Result<T, ApiError> {
        let mut news = self.news();
        loop {
            news.mark_unchanged();
            let mut feed = match handle.follow(workflow, id).await {
                Ok(feed) => feed,
                Err(error) if error.code == "instance.not_found" => {
                    if let Some(found) = look(None) {
                        return Ok(found);
                    }
                    if news.changed().await.is_err() {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut instance = Instance::new();
            // What was recorded before comes in one piece, and has been there at no other moment than this.
            let Some(recorded) = feed.recv().await else { continue };
            recorded.iter().cloned().for_each(|stamped| instance.evolve(stamped));
            if let Some(found) = look(Some(&instance)) {
                return Ok(found);
            }
            while let Some(committed) = feed.recv().await {
                for stamped in committed.iter().cloned() {
                    instance.evolve(stamped);
                    if let Some(found) = look(Some(&instance)) {
                        return Ok(found);
                    }
                }
            }
            // It was deleted; or the dispatcher has stopped, which the next question finds out.
        }
    }
}
