//! The local API about a state directory that nobody serves: what can be asked without changing anything.
//!
//! Promises: the same answers as a server gives, from the same handlers; nothing is written, and a server that has the directory is not
//! disturbed. Never does: anything but GETs of workflows and instances.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use miniflow_runtime::SystemClock;
use miniflow_runtime::storage::{Archive, Reader, StorageError};

use super::catalog::Catalog;
use super::failure::Failure;
use super::request::Call;
use super::routes::{self, Found};
use super::{Source, Surface, View, handlers};
use crate::config::WorkflowEntry;

/// A state directory, read.
pub(crate) struct Kept {
    reader: Mutex<Reader>,
    /// Why the last question was not answered.
    problem: Mutex<Option<StorageError>>,
    catalog: Catalog,
}

impl Kept {
    /// Opens `directory`; none when no state is kept in it. `workflows`: those that are configured, each with the name of its Worker, if
    /// that is known.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn open(
        directory: &Path,
        workflows: Option<Vec<(WorkflowEntry, String)>>,
    ) -> Result<Option<Self>, StorageError> {
        let Some(reader) = Reader::of_directory(directory)? else { return Ok(None) };
        let catalog = Catalog::configured(workflows, Arc::new(SystemClock::new()));
        Ok(Some(Self { reader: Mutex::new(reader), problem: Mutex::default(), catalog }))
    }

    /// Answers a GET of `path`, which is what comes after the prefix of the local API.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), StorageError> {
        let surface = Surface::Local;
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let view = View { source: Source::Kept(self), catalog: &self.catalog, surface };
        let answer = match routes::find(surface, &Method::GET, path) {
            Ok(Found { op, parameters }) => {
                let call = Call::of_get(parameters, query);
                handlers::read(&view, op, &call).await.unwrap_or(Err(Failure::NoRoute))
            }
            Err(failure) => Err(failure),
        };
        if let Some(problem) = self.problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(problem);
        }
        let response = answer.map_or_else(|failure| failure.response(surface), super::envelope::Reply::response);
        let status = response.status();
        // What these handlers answer is in memory: it cannot break off.
        let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Ok((status, bytes))
    }

    /// The answer to `question`; none when there is none, which is told by [`Self::get`] then.
    pub(super) fn read<T>(&self, question: impl FnOnce(&mut dyn Archive) -> Result<T, StorageError>) -> Option<T> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match question(&mut *reader) {
            Ok(answer) => Some(answer),
            Err(problem) => {
                *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                None
            }
        }
    }
}
