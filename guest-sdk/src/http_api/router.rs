//! [`Router`]: which handler gets a path.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::{Method, Request, Response};
use crate::env::{Secret, Var};
use crate::{Env, Error, Fetcher, KvStore, ObjectNamespace, Queue, Result};

type Handler<'a, D> = Rc<dyn Fn(Request, RouteContext<D>) -> LocalBoxFuture<'a, Result<Response>> + 'a>;
type Routes<'a, D> = matchit::Router<Handler<'a, D>>;

/// Routes requests by path and method. In a pattern `:name` stands for one segment and `*name` for all that follows.
///
/// A path that only other methods have gets a 405, any other a 404.
///
/// ```
/// use miniflow_sdk::*;
///
/// # async fn fetch(req: Request, env: Env) -> Result<Response> {
/// Router::new()
///     .get("/", |_, _| Response::ok("hello"))
///     .get_async("/orders/:id", |_, ctx| async move {
///         let id = ctx.param("id").ok_or("no id")?;
///         let order = ctx.env.workflow("ORDERS")?.get(id).await?;
///         Response::from_json(&order.status().await?)
///     })
///     .run(req, env)
///     .await
/// # }
/// ```
pub struct Router<'a, D> {
    routes: HashMap<Method, Routes<'a, D>>,
    or_else: Routes<'a, D>,
    data: D,
    /// The first pattern that was refused, reported by `run`: a builder cannot.
    refused: Option<Error>,
}

/// What a handler gets besides the request.
#[derive(Debug)]
#[non_exhaustive]
pub struct RouteContext<D> {
    /// What was given to [`Router::with_data`].
    pub data: D,
    /// The Worker's bindings.
    pub env: Env,
    params: RouteParams,
}

impl<D> RouteContext<D> {
    /// Returns what stands in the path for `:key` or `*key`, as it was sent.
    #[must_use]
    pub fn param(&self, key: &str) -> Option<&String> {
        self.params.0.get(key)
    }

    /// Returns a variable; see [`Env::var`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there is none.
    pub fn var(&self, name: &str) -> Result<Var> {
        self.env.var(name)
    }

    /// Returns a secret; see [`Env::secret`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there is none.
    pub fn secret(&self, name: &str) -> Result<Secret> {
        self.env.secret(name)
    }

    /// Returns a KV namespace; see [`Env::kv`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there is none.
    pub fn kv(&self, name: &str) -> Result<KvStore> {
        self.env.kv(name)
    }

    /// Returns a queue; see [`Env::queue`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there is none.
    pub fn queue(&self, name: &str) -> Result<Queue> {
        self.env.queue(name)
    }

    /// Returns the Durable Objects of a class; see [`Env::durable_object`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there are none.
    pub fn durable_object(&self, name: &str) -> Result<ObjectNamespace> {
        self.env.durable_object(name)
    }

    /// Returns another Worker; see [`Env::service`].
    ///
    /// # Errors
    ///
    /// [`Error::BindingError`] when there is none.
    pub fn service(&self, name: &str) -> Result<Fetcher> {
        self.env.service(name)
    }
}

/// The parts of the path that a pattern names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteParams(HashMap<String, String>);

impl Router<'_, ()> {
    /// Makes a router.
    #[must_use]
    pub fn new() -> Self {
        Self::with_data(())
    }
}

impl Default for Router<'_, ()> {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! methods {
    ($($sync:ident $asynchronous:ident $method:ident),* $(,)?) => {
        $(
            #[doc = concat!("Handles `", stringify!($method), "` of paths like `pattern`.")]
            #[must_use]
            pub fn $sync<F>(self, pattern: &str, handler: F) -> Self
            where
                F: Fn(Request, RouteContext<D>) -> Result<Response> + 'a,
            {
                self.route(vec![Method::$method], pattern, &ready(handler))
            }

            #[doc = concat!("Handles `", stringify!($method), "` of paths like `pattern` with an async function.")]
            #[must_use]
            pub fn $asynchronous<F, R>(self, pattern: &str, handler: F) -> Self
            where
                F: Fn(Request, RouteContext<D>) -> R + 'a,
                R: Future<Output = Result<Response>> + 'a,
            {
                self.route(vec![Method::$method], pattern, &boxed(handler))
            }
        )*
    };
}

impl<'a, D: 'a> Router<'a, D> {
    /// Makes a router whose handlers get `data`.
    #[must_use]
    pub fn with_data(data: D) -> Self {
        Self { routes: HashMap::new(), or_else: matchit::Router::new(), data, refused: None }
    }

    methods! {
        head head_async Head,
        get get_async Get,
        post post_async Post,
        put put_async Put,
        patch patch_async Patch,
        delete delete_async Delete,
        options options_async Options,
    }

    /// Handles every method of paths like `pattern`.
    #[must_use]
    pub fn on<F>(self, pattern: &str, handler: F) -> Self
    where
        F: Fn(Request, RouteContext<D>) -> Result<Response> + 'a,
    {
        self.route(Method::all(), pattern, &ready(handler))
    }

    /// Handles every method of paths like `pattern` with an async function.
    #[must_use]
    pub fn on_async<F, R>(self, pattern: &str, handler: F) -> Self
    where
        F: Fn(Request, RouteContext<D>) -> R + 'a,
        R: Future<Output = Result<Response>> + 'a,
    {
        self.route(Method::all(), pattern, &boxed(handler))
    }

    /// Handles what no other route does, for paths like `pattern`.
    #[must_use]
    pub fn or_else_any_method<F>(mut self, pattern: &str, handler: F) -> Self
    where
        F: Fn(Request, RouteContext<D>) -> Result<Response> + 'a,
    {
        insert(&mut self.or_else, pattern, ready(handler), &mut self.refused);
        self
    }

    /// Handles what no other route does with an async function, for paths like `pattern`.
    #[must_use]
    pub fn or_else_any_method_async<F, R>(mut self, pattern: &str, handler: F) -> Self
    where
        F: Fn(Request, RouteContext<D>) -> R + 'a,
        R: Future<Output = Result<Response>> + 'a,
    {
        insert(&mut self.or_else, pattern, boxed(handler), &mut self.refused);
        self
    }

    /// Gives the request to its handler.
    ///
    /// # Errors
    ///
    /// The handler's; [`Error::RouteInsertError`] when a pattern is malformed or two contradict each other.
    pub async fn run(self, req: Request, env: Env) -> Result<Response> {
        if let Some(error) = self.refused {
            return Err(error);
        }
        let path = req.path();
        let found = self.routes.get(&req.method()).and_then(|routes| find(routes, &path));
        // A path that exists is not left to `or_else`.
        let others = || self.routes.values().any(|routes| routes.at(&path).is_ok());
        let (handler, params) = match found {
            Some(found) => found,
            None if others() => return Response::error("Method Not Allowed", 405),
            None => match find(&self.or_else, &path) {
                Some(found) => found,
                None => return Response::error("Not Found", 404),
            },
        };
        handler(req, RouteContext { data: self.data, env, params }).await
    }

    fn route(mut self, methods: Vec<Method>, pattern: &str, handler: &Handler<'a, D>) -> Self {
        for method in methods {
            insert(self.routes.entry(method).or_default(), pattern, Rc::clone(handler), &mut self.refused);
        }
        self
    }
}

impl<D> fmt::Debug for Router<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("methods", &self.routes.keys()).finish_non_exhaustive()
    }
}

fn ready<'a, D, F>(handler: F) -> Handler<'a, D>
where
    F: Fn(Request, RouteContext<D>) -> Result<Response> + 'a,
{
    Rc::new(move |req, ctx| futures::future::ready(handler(req, ctx)).boxed_local())
}

fn boxed<'a, D, F, R>(handler: F) -> Handler<'a, D>
where
    F: Fn(Request, RouteContext<D>) -> R + 'a,
    R: Future<Output = Result<Response>> + 'a,
{
    Rc::new(move |req, ctx| handler(req, ctx).boxed_local())
}

fn insert<'a, D>(routes: &mut Routes<'a, D>, pattern: &str, handler: Handler<'a, D>, refused: &mut Option<Error>) {
    if let Err(error) = routes.insert(matchit_pattern(pattern), handler) {
        refused.get_or_insert_with(|| error.into());
    }
}

fn find<'a, D>(routes: &Routes<'a, D>, path: &str) -> Option<(Handler<'a, D>, RouteParams)> {
    let found = routes.at(path).ok()?;
    let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some((Rc::clone(found.value), RouteParams(params)))
}

/// Turns `/x/:id/*rest` into the `/x/{id}/{*rest}` that `matchit` reads. Patterns of the latter form stay as they are.
fn matchit_pattern(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| match segment.split_at_checked(1) {
        Some((":", name)) => format!("{{{name}}}"),
        Some(("*", name)) => format!("{{*{name}}}"),
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: Method, path: &str) -> (u16, String) {
        let router = Router::with_data("data")
            .get("/", |_, _| Response::ok("root"))
            .get_async(
                "/orders/:id",
                |_, ctx| async move { Response::ok(ctx.param("id").cloned().unwrap_or_default()) },
            )
            .post("/orders", |_, ctx| Response::ok(ctx.data))
            .get("/files/*path", |_, ctx| Response::ok(ctx.param("path").cloned().unwrap_or_default()))
            .or_else_any_method("/other/*rest", |_, _| Response::ok("else"));
        let req = Request::new(&format!("http://h{path}"), method).unwrap();
        let mut response = router.run(req, Env::new()).now_or_never().unwrap().unwrap();
        (response.status_code(), response.text().now_or_never().unwrap().unwrap())
    }

    #[test]
    fn a_route_is_found_by_method_and_path() {
        for (method, path, status, text) in [
            (Method::Get, "/", 200, "root"),
            (Method::Get, "/?q=/x", 200, "root"),
            (Method::Get, "/orders/7", 200, "7"),
            (Method::Post, "/orders", 200, "data"),
            (Method::Get, "/files/a/b.txt", 200, "a/b.txt"),
            (Method::Put, "/other/x", 200, "else"),
            (Method::Delete, "/orders", 405, "Method Not Allowed"),
            (Method::Get, "/nowhere", 404, "Not Found"),
        ] {
            assert_eq!(ask(method.clone(), path), (status, text.to_owned()), "{method} {path}");
        }
    }

    #[test]
    fn patterns_that_contradict_each_other_are_an_error_of_run() {
        let router = Router::new().get("/a/:x", |_, _| Response::ok("")).get("/a/:y", |_, _| Response::ok(""));
        let req = Request::new("http://h/a/1", Method::Get).unwrap();
        let error = router.run(req, Env::new()).now_or_never().unwrap().unwrap_err();
        assert!(matches!(error, Error::RouteInsertError(_)));
    }
}
