//! Durable Object classes: the trait users implement, the registry `#[durable_object]` fills, and the export the host calls.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::State;
use crate::bindings::durable_objects_world::exports::miniflow::worker::durable_objects as wit;
use crate::bindings::miniflow::worker::types as wit_types;
use crate::bindings::wasi::http::types;
use crate::http_api::{request_from_host, response_to_host};
use crate::registry::{Registered, Registry};
use crate::{Env, Error, Method, Request, Response, Result, start};

/// A Durable Object class, to be implemented for a struct marked with `#[durable_object]`.
///
/// One instance lives for an id. Events reach it in the order in which they came; while one waits for something outside, others may begin,
/// but never while the storage works.
///
/// ```
/// use miniflow_sdk::*;
///
/// #[durable_object]
/// pub struct Counter {
///     state: State,
/// }
///
/// impl DurableObject for Counter {
///     fn new(state: State, _env: Env) -> Self {
///         Self { state }
///     }
///
///     async fn fetch(&self, _req: Request) -> Result<Response> {
///         let storage = self.state.storage();
///         let count = storage.get::<u64>("count").await?.unwrap_or_default() + 1;
///         storage.put("count", count).await?;
///         Response::ok(count.to_string())
///     }
/// }
///
/// #[event(fetch)]
/// async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
///     env.durable_object("COUNTER")?.get_by_name("visits")?.fetch_with_request(req).await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is marked with `#[durable_object]` but does not implement `DurableObject`",
    label = "a Durable Object class needs `impl DurableObject for {Self}`"
)]
pub trait DurableObject: Sized + 'static {
    /// Makes the object, each time it comes to life. Tables are made here.
    fn new(state: State, env: Env) -> Self;

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// An error is the caller's: its `fetch_with_request` returns it.
    fn fetch(&self, req: Request) -> impl Future<Output = Result<Response>>;

    /// Does what the alarm was set for; see [`Storage::set_alarm`](super::Storage::set_alarm). It may be called more than once for one alarm.
    ///
    /// # Errors
    ///
    /// An error has it called again, up to 6 times.
    fn alarm(&self) -> impl Future<Output = Result<Response>> {
        async { Err(Error::from("the class has no `alarm` handler")) }
    }
}

/// A class as the export calls it.
trait Object {
    fn fetch(self: Rc<Self>, req: Request) -> LocalBoxFuture<'static, Result<Response>>;
    fn alarm(self: Rc<Self>) -> LocalBoxFuture<'static, Result<()>>;
}

impl<D: DurableObject> Object for D {
    fn fetch(self: Rc<Self>, req: Request) -> LocalBoxFuture<'static, Result<Response>> {
        async move { DurableObject::fetch(&*self, req).await }.boxed_local()
    }

    fn alarm(self: Rc<Self>) -> LocalBoxFuture<'static, Result<()>> {
        async move { DurableObject::alarm(&*self).await.map(drop) }.boxed_local()
    }
}

/// An entry of the registry. The macro submits it; it is not for direct use.
#[doc(hidden)]
pub struct ObjectClass {
    name: &'static str,
    file: &'static str,
    line: u32,
    make: fn(State, Env) -> Rc<dyn Object>,
}

impl std::fmt::Debug for ObjectClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Registered for ObjectClass {
    fn registry() -> &'static Registry<Self> {
        static REGISTRY: Registry<ObjectClass> = Registry::new();
        &REGISTRY
    }
}

impl ObjectClass {
    /// Makes the entry for `D`.
    #[must_use]
    pub const fn of<D: DurableObject>(name: &'static str, file: &'static str, line: u32) -> Self {
        Self { name, file, line, make: |state, env| Rc::new(D::new(state, env)) }
    }

    /// Returns all classes of this component in the order of their names: the registry has none of its own.
    fn all() -> Vec<&'static Self> {
        let mut classes = Self::registry().all();
        classes.sort_by_key(|class| (class.name, class.file, class.line));
        classes
    }
}

thread_local! {
    /// The object that this instance of the component is.
    static OBJECT: RefCell<Option<Rc<dyn Object>>> = const { RefCell::new(None) };
}

fn object() -> Result<Rc<dyn Object>> {
    OBJECT.with_borrow(Clone::clone).ok_or_else(|| Error::from("the object was not made"))
}

/// What the component exports as `durable-objects`. The macro names it; it is not for direct use.
#[doc(hidden)]
#[derive(Debug)]
pub struct ObjectsExport;

impl wit::Guest for ObjectsExport {
    fn describe() -> Vec<wit::Class> {
        let describe = |class: &'static ObjectClass| wit::Class {
            name: class.name.to_owned(),
            source: Some(format!("{}:{}", class.file, class.line)),
        };
        ObjectClass::all().into_iter().map(describe).collect()
    }

    fn construct(object: wit::Object) -> Result<(), wit_types::Error> {
        start::run_once();
        let wit::Object { class, id, name } = object;
        let Some(known) = ObjectClass::all().into_iter().find(|known| known.name == class) else {
            let names: Vec<_> = ObjectClass::all().iter().map(|class| format!("`{}`", class.name)).collect();
            let error = Error::from(format!("no Durable Object class `{class}`: there is {}", names.join(", ")));
            return Err(error.to_recorded());
        };
        let made = (known.make)(State::new(id, name), Env::new());
        OBJECT.set(Some(made));
        Ok(())
    }

    async fn fetch(request: types::Request) -> Result<types::Response, wit_types::Error> {
        let request = request_from_host(request);
        let to_head = request.method() == Method::Head;
        let answer = async { object()?.fetch(request).await };
        let answer = answer.await.and_then(|response| response_to_host(response, to_head));
        // The caller logs it, or deals with it.
        answer.map_err(|error| error.to_recorded())
    }

    async fn alarm(_info: wit::AlarmInfo) -> Result<(), wit_types::Error> {
        let done = async { object()?.alarm().await };
        done.await.map_err(|error| error.to_recorded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl DurableObject for Echo {
        fn new(_state: State, _env: Env) -> Self {
            Self
        }

        async fn fetch(&self, req: Request) -> Result<Response> {
            Response::ok(req.path())
        }
    }

    #[test]
    fn a_class_answers_and_has_no_alarm_unless_it_says_so() {
        let class = ObjectClass::of::<Echo>("Echo", "src/lib.rs", 1);
        let object = (class.make)(State::new("00".into(), None), Env::new());
        let request = Request::new("http://h/a", crate::Method::Get).unwrap();
        let answer = Rc::clone(&object).fetch(request).now_or_never().expect("waits for nothing").unwrap();
        assert_eq!(answer.status_code(), 200);
        let alarm = object.alarm().now_or_never().expect("waits for nothing");
        assert_eq!(alarm.unwrap_err().to_string(), "the class has no `alarm` handler");
    }
}
