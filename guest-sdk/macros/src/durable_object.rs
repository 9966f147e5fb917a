//! `#[durable_object]`.

use std::sync::atomic::{AtomicBool, Ordering};

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Item, ItemStruct, Result, Token, parse2};

/// Whether this compilation has its export of `durable-objects`; see the one of `#[workflow]`.
static EXPORTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    for handler in Punctuated::<Ident, Token![,]>::parse_terminated.parse2(arguments)? {
        match handler.to_string().as_str() {
            "fetch" | "alarm" => {}
            "websocket" => return Err(Error::new(handler.span(), "WebSockets are not supported yet")),
            _ => return Err(Error::new(handler.span(), "unknown handler: expected `fetch` or `alarm`")),
        }
    }
    let item: ItemStruct = match parse2(item)? {
        Item::Struct(item) => item,
        Item::Impl(item) => {
            return Err(Error::new(item.impl_token.span, "`#[durable_object]` goes on the struct, not on its impl"));
        }
        Item::Fn(item) => return Err(Error::new(item.sig.fn_token.span, NOT_A_STRUCT)),
        Item::Enum(item) => return Err(Error::new(item.enum_token.span, NOT_A_STRUCT)),
        _ => return Err(Error::new(Span::call_site(), NOT_A_STRUCT)),
    };
    if let Some(generic) = item.generics.params.first() {
        return Err(Error::new(generic.span(), "a Durable Object class cannot be generic: the configuration names it"));
    }

    let ident = &item.ident;
    let name = ident.to_string();
    // The user's span makes `line!()` the line of the struct, and an error about the trait point at it.
    let class = quote_spanned! { ident.span()=>
        ::miniflow_sdk::__private::ObjectClass::of::<#ident>(#name, ::core::file!(), ::core::line!())
    };
    let export = (!EXPORTED.swap(true, Ordering::Relaxed)).then(|| {
        quote! {
            #[cfg(target_family = "wasm")]
            const _: () = {
                use ::miniflow_sdk::__private::ObjectsExport as __MiniflowObjects;
                ::miniflow_sdk::__private::export_durable_objects!(__MiniflowObjects);
            };
        }
    });
    Ok(quote! {
        #item
        ::miniflow_sdk::__private::submit! { ::miniflow_sdk::__private::ObjectClass, #class }
        #export
    })
}

const NOT_A_STRUCT: &str = "`#[durable_object]` goes on the struct of a Durable Object class";
