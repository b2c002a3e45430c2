//! Lints that look at a function and not into it: they should say of ours what they say of the user's.
//!
//! Of an `async fn` they say less than of the plain one that is seen from outside, and of what is exported less than of the inner one,
//! which is not. An attribute silences those that the signature tempts, and no others: under a `forbid`, it would itself be an error.
//! To make the whole function look like a macro's, by its span, would silence more of them, but also the one that says it is never used.

use crate::model::{Form, Model, Place, is_unit};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{FnArg, GenericArgument, GenericParam, PathArguments, ReturnType, Type, Visibility};

/// Clippy asks for `#[must_use]` where nothing else can come of a call: much can, of one that runs a loop.
pub(crate) fn effect(model: &Model) -> TokenStream {
    let signature = &model.function.signature;
    let may_be_asked = signature.asyncness.is_some()
        && match model.function.visibility {
            Visibility::Public(_) => true,
            // It may be a trait's.
            Visibility::Inherited => model.form == Form::Closure,
            Visibility::Restricted(_) => false,
        }
        && output(model).is_some_and(|output| matches!(output, ReturnType::Type(..)));
    if !may_be_asked {
        return TokenStream::new();
    }
    quote_spanned! {Span::mixed_site()=>
        const __LOOPBIND_EFFECT: [(); 0] = [];
        let _: &mut [(); 0] = &mut __LOOPBIND_EFFECT;
    }
}

/// A lifetime that is named in the body, too, is used more than once, and not only where it is declared.
pub(crate) fn lifetimes(model: &Model, body: TokenStream) -> TokenStream {
    let generics = &model.function.signature.generics;
    let mut named = Vec::new();
    if generics.lifetimes().next().is_some() {
        collect_lifetimes(body, &mut named);
    }
    let used = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(declared) => {
            named.contains(&declared.lifetime.ident.to_string()).then_some(&declared.lifetime)
        }
        _ => None,
    });
    quote_spanned!(Span::mixed_site()=> #(let _: [&#used (); 0] = [];)*)
}

fn collect_lifetimes(tokens: TokenStream, named: &mut Vec<String>) {
    let mut after_quote = false;
    for tree in tokens {
        match &tree {
            TokenTree::Ident(name) if after_quote => named.push(name.to_string()),
            TokenTree::Group(group) => collect_lifetimes(group.stream(), named),
            _ => {}
        }
        after_quote = matches!(&tree, TokenTree::Punct(mark) if mark.as_char() == '\'');
    }
}

/// Below the user's attributes: a level that those set would be the last word otherwise.
pub(crate) fn silenced_outside(model: &Model) -> TokenStream {
    let signature = &model.function.signature;
    if signature.asyncness.is_none() || model.form == Form::Placeholder {
        return TokenStream::new();
    }
    let words = Words::of(signature.inputs.to_token_stream());
    let output = Words::of(signature.output.to_token_stream());
    let (boxed, counted) = (output.has("Box"), output.has("Rc") || output.has("Arc"));
    let is_closure = model.form == Form::Closure;
    let is_inherited = matches!(model.function.visibility, Visibility::Inherited);
    // A method without a visibility may be a trait's, and as visible as that is.
    let is_exported = match model.function.visibility {
        Visibility::Public(_) => true,
        Visibility::Inherited => is_closure,
        Visibility::Restricted(_) => false,
    };
    let returned = match &signature.output {
        ReturnType::Type(_, ty) if !is_unit(ty) => Some(&**ty),
        _ => None,
    };
    let error = returned.filter(|_| model.place == Place::CallingThread).and_then(error_of);
    let is_must_use =
        model.function.attributes.iter().any(|attribute| attribute.path().is_ident("must_use"));
    let may_be_future =
        returned.is_some_and(|returned| may_be_other(returned, &["Result", "Option", "Self"]));
    let name = signature.ident.to_string();
    allow(&[
        // What is said of the type that is returned.
        ("async_yields_async", is_closure && may_be_future),
        ("borrowed_box", boxed && output.references),
        ("box_collection", boxed),
        ("linkedlist", output.has("LinkedList")),
        ("option_option", output.count("Option") > 1),
        ("owned_cow", output.has("Cow")),
        ("rc_buffer", counted),
        ("rc_mutex", counted && output.has("Mutex")),
        ("redundant_allocation", boxed || counted),
        ("ref_option", output.references && output.has("Option")),
        ("unnecessary_box_returns", boxed),
        ("vec_box", boxed && output.has("Vec")),
        (
            "result_large_err",
            error.is_some_and(|error| error.is_none_or(|error| may_be_other(error, &["Box"]))),
        ),
        ("result_unit_err", is_exported && error.is_some_and(|error| error.is_none_or(is_unit))),
        // What is said of the function as a whole.
        ("missing_errors_doc", is_inherited && is_closure && error.is_some()),
        ("must_use_unit", is_must_use && returned.is_none()),
        ("needless_lifetimes", signature.generics.lifetimes().next().is_some()),
        ("new_without_default", is_exported && name == "new" && signature.inputs.is_empty()),
        (
            "return_self_not_must_use",
            is_exported && signature.receiver().is_some() && output.has("Self"),
        ),
        ("should_implement_trait", is_exported && METHODS.contains(&&*name)),
        ("trivially_copy_pass_by_ref", words.references),
    ])
}

/// What the traits of the standard library call their methods.
const METHODS: [&str; 30] = [
    "add",
    "as_mut",
    "as_ref",
    "bitand",
    "bitor",
    "bitxor",
    "borrow",
    "borrow_mut",
    "clone",
    "cmp",
    "default",
    "deref",
    "deref_mut",
    "div",
    "drop",
    "eq",
    "from_iter",
    "from_str",
    "hash",
    "index",
    "index_mut",
    "into_iter",
    "mul",
    "neg",
    "next",
    "not",
    "rem",
    "shl",
    "shr",
    "sub",
];

/// If the type may be a `Result`: the type of its error, where it shows.
fn error_of(ty: &Type) -> Option<Option<&Type>> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    if !last.ident.to_string().ends_with("Result") {
        // The name of an alias says nothing.
        let is_alias = last.arguments.is_none() && may_be_other(ty, &["Self"]);
        return is_alias.then_some(None);
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Some(None);
    };
    Some(arguments.args.iter().nth(1).and_then(|argument| match argument {
        GenericArgument::Type(error) => Some(error),
        _ => None,
    }))
}

/// Lints that spare what a library exports: the outer function may be that, and they look at it; the inner one never is.
pub(crate) fn silenced_inside(model: &Model) -> TokenStream {
    let signature = &model.function.signature;
    let is_async = signature.asyncness.is_some();
    let words = Words::of(quote!(#signature));
    let mutable = ("needless_pass_by_ref_mut", words.references && words.has("mut"));
    if matches!(model.function.visibility, Visibility::Inherited) {
        return allow(&[mutable]);
    }
    let output = Words::of(signature.output.to_token_stream());
    let (boxed, counted) = (words.has("Box"), words.has("Rc") || words.has("Arc"));
    let has_large = signature.inputs.iter().any(|input| match input {
        FnArg::Typed(argument) => {
            !matches!(*argument.ty, Type::Reference(_)) && may_be_other(&argument.ty, &["Box"])
        }
        FnArg::Receiver(_) => false,
    });
    allow(&[
        ("borrowed_box", boxed && words.references),
        ("box_collection", boxed),
        ("fn_params_excessive_bools", !is_async && words.count("bool") > 3),
        ("large_types_passed_by_value", has_large),
        ("linkedlist", words.has("LinkedList")),
        mutable,
        ("option_option", words.count("Option") > 1),
        ("owned_cow", words.has("Cow")),
        ("rc_buffer", counted),
        ("rc_mutex", counted && words.has("Mutex")),
        ("redundant_allocation", boxed || counted),
        ("ref_option", words.references && words.has("Option")),
        ("unnecessary_box_returns", !is_async && output.has("Box")),
        ("unnecessary_wraps", !is_async && !output.all.is_empty()),
        ("vec_box", boxed && words.has("Vec")),
    ])
}

/// What stands in a signature.
#[derive(Default)]
struct Words {
    all: Vec<String>,
    references: bool,
}

impl Words {
    fn of(tokens: TokenStream) -> Words {
        let mut words = Words::default();
        words.collect(tokens);
        words
    }

    fn collect(&mut self, tokens: TokenStream) {
        for tree in tokens {
            match tree {
                TokenTree::Ident(word) => self.all.push(word.to_string()),
                TokenTree::Punct(mark) => self.references |= mark.as_char() == '&',
                TokenTree::Group(group) => self.collect(group.stream()),
                TokenTree::Literal(_) => {}
            }
        }
    }

    fn count(&self, word: &str) -> usize {
        self.all.iter().filter(|found| *found == word).count()
    }

    fn has(&self, word: &str) -> bool {
        self.count(word) > 0
    }
}

/// Whether the type may be another one than those of the best known names, of which none is large, or a future.
fn may_be_other(ty: &Type, known: &[&str]) -> bool {
    const KNOWN: [&str; 22] = [
        "Arc", "Duration", "Rc", "String", "Vec", "bool", "char", "f32", "f64", "i128", "i16",
        "i32", "i64", "i8", "isize", "str", "u128", "u16", "u32", "u64", "u8", "usize",
    ];
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| !KNOWN.iter().chain(known).any(|name| last.ident == name)),
        Type::Reference(reference) => may_be_other(&reference.elem, known),
        Type::Ptr(_) | Type::FnPtr(_) | Type::Never(_) => false,
        Type::Tuple(tuple) => !tuple.elems.is_empty(),
        _ => true,
    }
}

fn allow(lints: &[(&str, bool)]) -> TokenStream {
    let ours = Span::mixed_site();
    let tempted: Vec<Ident> = lints
        .iter()
        .filter(|(_, is_tempted)| *is_tempted)
        .map(|(name, _)| Ident::new(name, ours))
        .collect();
    if tempted.is_empty() {
        return TokenStream::new();
    }
    quote_spanned!(ours=> #[allow(#(clippy::#tempted),*)])
}

/// What the outer function is declared to return: of an `async fn` that spells out `()`, nothing.
pub(crate) fn output(model: &Model) -> Option<&ReturnType> {
    let signature = &model.function.signature;
    let is_spelt_out = matches!(&signature.output, ReturnType::Type(_, ty) if is_unit(ty));
    (signature.asyncness.is_none() || !is_spelt_out).then_some(&signature.output)
}
