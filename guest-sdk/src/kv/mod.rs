//! KV: values by their key, for every Worker that binds the namespace ([`KvStore`]).
//!
//! ```
//! use miniflow_sdk::*;
//!
//! #[event(fetch)]
//! async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
//!     let pages = env.kv("PAGES")?;
//!     if let Some(page) = pages.get(&req.path()).text().await? {
//!         return Response::ok(page);
//!     }
//!     let page = format!("made for {}", req.path());
//!     pages.put(&req.path(), &page)?.expiration_ttl(3600).execute().await?;
//!     Response::ok(page)
//! }
//! ```

mod get;
mod list;
mod put;
mod store;

pub use get::{GetBulkOptionsBuilder, GetOptionsBuilder, IntoGetRequest};
pub use list::{Key, ListOptionsBuilder, ListResponse};
pub use put::{PutOptionsBuilder, ToRawKvValue};
pub use store::KvStore;

/// What goes wrong with a namespace is an [`Error`](crate::Error) like everything else.
pub type KvError = crate::Error;
