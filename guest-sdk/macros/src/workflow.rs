//! `#[workflow]`.

use std::sync::atomic::{AtomicBool, Ordering};

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Item, ItemStruct, Result, parse2};

/// Whether this compilation has its export of `workflows`.
///
/// A component exports the interface once, however many classes it has, and a macro sees one class at a time. So the first
/// expansion emits the export and the classes find it through a registry. A compiler process expands one crate, so the
/// memory of this process is the memory of the crate. What it costs: an editor that keeps the macro loaded expands the export
/// at most once, which is harmless, as only native code is analysed there; and classes must not be spread over several
/// crates of one component, which would export it twice.
static EXPORTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new(arguments.span(), "`#[workflow]` takes no arguments"));
    }
    let item: ItemStruct = match parse2(item)? {
        Item::Struct(item) => item,
        Item::Impl(item) => {
            return Err(Error::new(item.impl_token.span, "`#[workflow]` goes on the struct, not on its impl"));
        }
        Item::Fn(item) => return Err(Error::new(item.sig.fn_token.span, NOT_A_STRUCT)),
        Item::Enum(item) => return Err(Error::new(item.enum_token.span, NOT_A_STRUCT)),
        _ => return Err(Error::new(Span::call_site(), NOT_A_STRUCT)),
    };
    if let Some(generic) = item.generics.params.first() {
        return Err(Error::new(generic.span(), "a workflow class cannot be generic: the configuration names it"));
    }

    let ident = &item.ident;
    let name = ident.to_string();
    // The user's span makes `line!()` the line of the struct, and an error about the trait point at it.
    let class = quote_spanned! { ident.span()=>
        ::miniflow_sdk::__private::Class::of::<#ident>(#name, ::core::file!(), ::core::line!())
    };
    let export = (!EXPORTED.swap(true, Ordering::Relaxed)).then(|| {
        quote! {
            #[cfg(target_family = "wasm")]
            const _: () = {
                use ::miniflow_sdk::__private::WorkflowsExport as __MiniflowWorkflows;
                ::miniflow_sdk::__private::export_workflows!(__MiniflowWorkflows);
            };
        }
    });
    Ok(quote! {
        #item
        ::miniflow_sdk::__private::submit! { ::miniflow_sdk::__private::Class, #class }
        #export
    })
}

const NOT_A_STRUCT: &str = "`#[workflow]` goes on the struct of a workflow class";
