//! `#[event(…)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Token, parse2};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let item: ItemFn = parse2(item)?;
    if let Some(generic) = item.sig.generics.params.first() {
        return Err(Error::new(generic.span(), "a handler cannot be generic"));
    }
    let added = match arguments.kind {
        Kind::Fetch => fetch(&item, arguments.respond_with_errors)?,
        Kind::Scheduled => scheduled(&item)?,
        Kind::Queue => queue(&item)?,
        Kind::Start => start(&item)?,
    };
    Ok(quote! { #item #added })
}

enum Kind {
    Fetch,
    Scheduled,
    Queue,
    Start,
}

struct Arguments {
    kind: Kind,
    respond_with_errors: bool,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let words = Punctuated::<Ident, Token![,]>::parse_terminated.parse2(tokens)?;
        let (mut kind, mut respond_with_errors) = (None, None);
        for word in words {
            match word.to_string().as_str() {
                "respond_with_errors" => respond_with_errors = Some(word.span()),
                _ if kind.is_some() => {
                    return Err(Error::new(word.span(), "a function handles one kind of event"));
                }
                "fetch" => kind = Some(Kind::Fetch),
                "scheduled" => kind = Some(Kind::Scheduled),
                "start" => kind = Some(Kind::Start),
                "queue" => kind = Some(Kind::Queue),
                _ => {
                    let text = format!("unknown event `{word}`: expected `fetch`, `scheduled`, `queue` or `start`");
                    return Err(Error::new(word.span(), text));
                }
            }
        }
        let Some(kind) = kind else {
            let text = "which event? expected `#[event(fetch)]`, `#[event(scheduled)]`, `#[event(queue)]` or `#[event(start)]`";
            return Err(Error::new(Span::call_site(), text));
        };
        if let (Kind::Start | Kind::Scheduled | Kind::Queue, Some(span)) = (&kind, respond_with_errors) {
            return Err(Error::new(span, "`respond_with_errors` belongs to `fetch`"));
        }
        Ok(Self { kind, respond_with_errors: respond_with_errors.is_some() })
    }
}

fn fetch(item: &ItemFn, respond_with_errors: bool) -> Result<TokenStream> {
    const SIGNATURE: &str = "`async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response>`";
    let name = &item.sig.ident;
    if item.sig.asyncness.is_none() {
        return Err(Error::new(item.sig.fn_token.span, format!("a fetch handler is async: {SIGNATURE}")));
    }
    if item.sig.inputs.len() != 3 || matches!(item.sig.inputs.first(), Some(FnArg::Receiver(_))) {
        let at = if item.sig.inputs.is_empty() { name.span() } else { item.sig.inputs.span() };
        return Err(Error::new(at, format!("a fetch handler takes three arguments: {SIGNATURE}")));
    }
    let ReturnType::Type(_, output) = &item.sig.output else {
        return Err(Error::new(name.span(), format!("a fetch handler returns a response: {SIGNATURE}")));
    };

    let inputs = checks(item, &["Request", "Env", "Context"]);
    let result = quote_spanned! { output.span()=>
        let _: fn(#output) -> ::miniflow_sdk::Result<::miniflow_sdk::Response> = |answer| answer;
    };
    Ok(quote! {
        const _: () = {
            #[allow(dead_code, unreachable_code, reason = "only the types matter")]
            fn __miniflow_check() {
                #(#inputs)*
                #result
                let _ = #name;
            }

            #[cfg(target_family = "wasm")]
            struct __MiniflowFetch;

            #[cfg(target_family = "wasm")]
            impl ::miniflow_sdk::__private::HttpGuest for __MiniflowFetch {
                async fn handle(
                    request: ::miniflow_sdk::__private::HttpRequest,
                ) -> ::core::result::Result<
                    ::miniflow_sdk::__private::HttpResponse,
                    ::miniflow_sdk::__private::ErrorCode,
                > {
                    ::miniflow_sdk::__private::serve(request, #respond_with_errors, #name).await
                }
            }

            #[cfg(target_family = "wasm")]
            ::miniflow_sdk::__private::export_http!(__MiniflowFetch);
        };
    })
}

/// Checks each type of an argument where it is written; the check also counts as a use in native builds.
fn checks(item: &ItemFn, expected: &[&str]) -> Vec<TokenStream> {
    let types = item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => Some(&*input.ty),
        FnArg::Receiver(_) => None,
    });
    let check = |(written, expected): (&syn::Type, &&str)| {
        let expected = Ident::new(expected, written.span());
        quote_spanned! { written.span()=> let _: fn(::miniflow_sdk::#expected) -> #written = |argument| argument; }
    };
    types.zip(expected).map(check).collect()
}

fn scheduled(item: &ItemFn) -> Result<TokenStream> {
    const SIGNATURE: &str = "`async fn scheduled(event: ScheduledEvent, env: Env, ctx: ScheduleContext)`";
    let name = &item.sig.ident;
    if item.sig.asyncness.is_none() {
        return Err(Error::new(item.sig.fn_token.span, format!("a scheduled handler is async: {SIGNATURE}")));
    }
    if item.sig.inputs.len() != 3 || matches!(item.sig.inputs.first(), Some(FnArg::Receiver(_))) {
        let at = if item.sig.inputs.is_empty() { name.span() } else { item.sig.inputs.span() };
        return Err(Error::new(at, format!("a scheduled handler takes three arguments: {SIGNATURE}")));
    }
    let inputs = checks(item, &["ScheduledEvent", "Env", "ScheduleContext"]);
    Ok(quote! {
        const _: () = {
            #[allow(dead_code, unreachable_code, reason = "only the types matter")]
            fn __miniflow_check() {
                #(#inputs)*
                let _ = #name;
            }

            #[cfg(target_family = "wasm")]
            struct __MiniflowScheduled;

            #[cfg(target_family = "wasm")]
            impl ::miniflow_sdk::__private::ScheduledGuest for __MiniflowScheduled {
                async fn handle(
                    cron: ::std::string::String,
                    scheduled_time: u64,
                ) -> ::miniflow_sdk::__private::ScheduledResult {
                    ::miniflow_sdk::__private::run_scheduled(cron, scheduled_time, #name).await
                }
            }

            #[cfg(target_family = "wasm")]
            ::miniflow_sdk::__private::export_scheduled!(__MiniflowScheduled);
        };
    })
}

fn queue(item: &ItemFn) -> Result<TokenStream> {
    const SIGNATURE: &str = "`async fn queue(batch: MessageBatch<T>, env: Env, ctx: Context) -> Result<()>`";
    let name = &item.sig.ident;
    if item.sig.asyncness.is_none() {
        return Err(Error::new(item.sig.fn_token.span, format!("a queue handler is async: {SIGNATURE}")));
    }
    if item.sig.inputs.len() != 3 || matches!(item.sig.inputs.first(), Some(FnArg::Receiver(_))) {
        let at = if item.sig.inputs.is_empty() { name.span() } else { item.sig.inputs.span() };
        return Err(Error::new(at, format!("a queue handler takes three arguments: {SIGNATURE}")));
    }
    let ReturnType::Type(_, output) = &item.sig.output else {
        return Err(Error::new(name.span(), format!("a queue handler returns whether it worked: {SIGNATURE}")));
    };
    let batch = item.sig.inputs.first().and_then(|input| match input {
        FnArg::Typed(input) => Some(&*input.ty),
        FnArg::Receiver(_) => None,
    });
    // Whatever its messages are.
    let batch = batch.map(|written| {
        quote_spanned! { written.span()=> let _: fn(::miniflow_sdk::MessageBatch<_>) -> #written = |argument| argument; }
    });
    let others = checks(item, &["MessageBatch", "Env", "Context"]).into_iter().skip(1);
    let result = quote_spanned! { output.span()=> let _: fn(#output) -> ::miniflow_sdk::Result<()> = |answer| answer; };
    Ok(quote! {
        const _: () = {
            #[allow(dead_code, unreachable_code, reason = "only the types matter")]
            fn __miniflow_check() {
                #batch
                #(#others)*
                #result
                let _ = #name;
            }

            #[cfg(target_family = "wasm")]
            struct __MiniflowQueue;

            // The handler may have any name, `queue` above all: no argument here hides it.
            #[cfg(target_family = "wasm")]
            impl ::miniflow_sdk::__private::QueueGuest for __MiniflowQueue {
                async fn handle(
                    __queue: ::std::string::String,
                    __messages: ::std::vec::Vec<::miniflow_sdk::__private::ReceivedMessage>,
                    __batch: ::miniflow_sdk::__private::QueueBatch,
                ) -> ::core::option::Option<::miniflow_sdk::__private::RecordedError> {
                    ::miniflow_sdk::__private::run_queue(__queue, __messages, __batch, #name).await
                }
            }

            #[cfg(target_family = "wasm")]
            ::miniflow_sdk::__private::export_queue!(__MiniflowQueue);
        };
    })
}

fn start(item: &ItemFn) -> Result<TokenStream> {
    let name = &item.sig.ident;
    if let Some(asyncness) = &item.sig.asyncness {
        return Err(Error::new(asyncness.span, "a start handler is not async: `fn start()`"));
    }
    if !item.sig.inputs.is_empty() {
        return Err(Error::new(item.sig.inputs.span(), "a start handler takes no arguments: `fn start()`"));
    }
    if let ReturnType::Type(_, output) = &item.sig.output {
        return Err(Error::new(output.span(), "a start handler returns nothing: `fn start()`"));
    }
    Ok(quote! {
        ::miniflow_sdk::__private::submit! {
            ::miniflow_sdk::__private::StartHook, ::miniflow_sdk::__private::StartHook(#name)
        }
    })
}
