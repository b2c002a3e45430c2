//! The programs: `#[HERE]` is where the attribute stands.

/// One program, with a word that must be in what rustc says, so that it is there for the reason it is here for.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) text: &'static str,
}

const fn program(name: &'static str, says: &'static str, text: &'static str) -> Program {
    Program { name, says, text }
}

/// Programs that are wrong, in their body or in their signature.
pub(crate) const WRONG: &[Program] = &[
    program(
        "wrong_tail",
        "mismatched types",
        "#[HERE]\npub async fn f() -> u32 {\n    \"five\"\n}",
    ),
    program(
        "wrong_return",
        "mismatched types",
        "#[HERE]\npub async fn f(early: bool) -> u32 {\n    if early {\n        return String::new();\n    }\n    5\n}",
    ),
    program(
        "no_tail",
        "mismatched types",
        "#[HERE]\npub(crate) async fn f() -> u32 {\n    std::future::ready(5).await;\n}",
    ),
    program(
        "never_that_returns",
        "mismatched types",
        "#[HERE]\npub async fn f() -> ! {\n    std::future::ready(()).await;\n}",
    ),
    program(
        "question_mark_without_await",
        "E0277",
        "async fn g() -> Result<u32, String> {\n    Ok(1)\n}\n\n#[HERE]\npub async fn f() -> Result<u32, String> {\n    Ok(g()? + 1)\n}",
    ),
    program(
        "question_mark_in_unit",
        "E0277",
        "#[HERE]\npub async fn f() {\n    let _: u32 = \"5\".parse()?;\n}",
    ),
    program(
        "question_mark_of_another_error",
        "E0277",
        "#[HERE]\npub async fn f() -> Result<u32, std::num::ParseIntError> {\n    Ok(std::fs::read_to_string(\"x\")?.parse()?)\n}",
    ),
    program(
        "borrowed_twice",
        "E0502",
        "#[HERE]\npub async fn f() -> usize {\n    let mut v = vec![1];\n    let first = &v;\n    v.push(2);\n    first.len()\n}",
    ),
    program(
        "borrowed_argument",
        "E0596",
        "#[HERE]\npub async fn f(v: &Vec<u32>) {\n    v.push(1);\n}",
    ),
    program(
        "moved",
        "E0382",
        "#[HERE]\npub async fn f(text: String) -> usize {\n    drop(text);\n    text.len()\n}",
    ),
    program("unknown_names", "E0425", "#[HERE]\npub async fn f() {\n    work(number).await;\n}"),
    program(
        "unknown_types",
        "cannot find type",
        "#[HERE]\npub async fn f(a: Foo) -> Bar {\n    a\n}",
    ),
    program(
        "missing_bound",
        "E0277",
        "#[HERE]\npub async fn f<T>(value: T) -> String {\n    format!(\"{value}\")\n}",
    ),
    program(
        "missing_bound_in_where",
        "E0405",
        "#[HERE]\npub async fn f<T>(value: T)\nwhere\n    T: Unknown,\n{\n    drop(value);\n}",
    ),
    program(
        "unused_must_use",
        "unused_must_use",
        "#[HERE]\npub async fn f() {\n    std::fs::read(\"x\");\n}",
    ),
    program(
        "unused_future",
        "unused_must_use",
        "async fn g() {}\n\n#[HERE]\npub async fn f() {\n    g();\n}",
    ),
    program(
        "unused_variables",
        "unused_variables",
        "#[HERE]\npub async fn f(unused: u32, mut kept: u32) -> u32 {\n    let other = 1;\n    kept\n}",
    ),
    program("dead_code", "dead_code", "#[HERE]\nasync fn f() {\n    fn inside() {}\n}"),
    program(
        "deprecated",
        "deprecated",
        "#[deprecated]\npub struct Old;\n\n#[HERE]\npub async fn f(_: Old) -> Old {\n    Old\n}",
    ),
    program(
        "bad_names",
        "should have",
        "#[HERE]\npub async fn BadName(BadArgument: u32) -> u32 {\n    BadArgument\n}",
    ),
    program(
        "unreachable",
        "unreachable",
        "#[HERE]\npub async fn f() -> u32 {\n    return 1;\n    println!(\"never\");\n}",
    ),
    program(
        "wrong_lifetime",
        "lifetime",
        "#[HERE]\npub async fn f<'a>(a: &'a str, b: &str) -> &'a str {\n    b\n}",
    ),
    program(
        "missing_lifetime",
        "E0106",
        "#[HERE]\npub async fn f(a: &str, b: &str) -> &str {\n    b\n}",
    ),
    program(
        "undeclared_lifetime",
        "E0261",
        "#[HERE]\npub async fn f(a: &'a str) {\n    drop(a);\n}",
    ),
    program(
        "returns_what_it_owns",
        "E0515",
        "#[HERE]\npub async fn f() -> &'static str {\n    let text = String::new();\n    &text\n}",
    ),
    program(
        "await_in_closure",
        "E0728",
        "#[HERE]\npub async fn f() {\n    let g = || std::future::ready(1).await;\n    g();\n}",
    ),
    program(
        "opaque_of_two_types",
        "E0308",
        "#[HERE]\npub async fn f(a: bool) -> impl std::fmt::Display {\n    if a {\n        return 1_u32;\n    }\n    \"a\"\n}",
    ),
    program(
        "opaque_without_bound",
        "E0277",
        "#[HERE]\npub async fn f() -> impl std::fmt::Display {\n    vec![1]\n}",
    ),
    program(
        "opaque_argument",
        "E0599",
        "#[HERE]\npub async fn f(a: impl Clone) {\n    a.work();\n}",
    ),
    program(
        "constant_argument",
        "E0308",
        "#[HERE]\npub async fn f<const N: usize>() -> [u8; N] {\n    [0; 3]\n}",
    ),
    program("unsafe_call", "E0133", "unsafe fn g() {}\n\n#[HERE]\npub async fn f() {\n    g();\n}"),
    program(
        "refutable_argument",
        "E0005",
        "#[HERE]\npub async fn f(Some(a): Option<u32>) -> u32 {\n    a\n}",
    ),
    program(
        "argument_twice",
        "E0415",
        "#[HERE]\npub async fn f(a: u32, a: u32) -> u32 {\n    a\n}",
    ),
    program("break_outside_of_loop", "E0267", "#[HERE]\npub async fn f() {\n    break;\n}"),
    program(
        "endless_future",
        "E0733",
        "#[HERE]\npub async fn f(n: u32) {\n    async fn g(n: u32) {\n        g(n - 1).await;\n    }\n    g(n).await;\n}",
    ),
    program(
        "items_with_a_self_of_their_own",
        "mismatched types",
        "#[HERE]
pub async fn f() -> u32 {
    struct List(Option<Box<Self>>);
    impl List {
        fn new() -> Self {
            Self(None)
        }
    }
    trait Same {
        fn same(self) -> Self;
    }
    if List::new().0.is_some() {
        return String::new();
    }
    \"five\"
}",
    ),
    program("plain_wrong_tail", "E0308", "#[HERE]\npub fn f() -> u32 {\n    \"five\"\n}"),
    program(
        "plain_unused",
        "unused_variables",
        "#[HERE]\npub fn f(unused: u32) {\n    std::fs::read(\"x\");\n}",
    ),
];

/// Programs that are right, and about which clippy has much to say.
pub(crate) const LINTED: &[Program] = &[
    program(
        "signature_of_a_private_function",
        "too_many_arguments",
        "#[HERE]
async fn f(a: bool, b: bool, c: bool, d: bool, e: String, f: &u8, g: &Vec<u8>, h: &mut u32) -> u32 {
    *h += 1;
    std::future::ready(u32::from(a && b && c && d && e.len() + g.len() > 5)).await + u32::from(*f)
}
pub async fn call() { let _ = f; }",
    ),
    program(
        "signature_of_an_exported_function",
        "too_many_arguments",
        "#[HERE]
pub async fn f(a: Option<Option<u8>>, b: &Option<u8>, c: [u8; 10_000], d: bool, e: bool, f: bool, g: bool, h: Vec<Box<u8>>, i: std::rc::Rc<Vec<u8>>) -> usize {
    std::future::ready(usize::from(d && e && f && g) + c.len() + h.len() + i.len()).await + usize::from(a.flatten() == *b)
}",
    ),
    program(
        "type_too_complex",
        "type_complexity",
        "#[HERE]
pub async fn f(a: Box<dyn Fn(std::rc::Rc<std::cell::RefCell<Option<Vec<Box<u32>>>>>) -> Result<Vec<u32>, String>>) -> u32 {
    std::future::ready(u32::from(a(std::rc::Rc::default()).is_ok())).await
}",
    ),
    program("no_await", "unused_async", "#[HERE]\npub async fn f() {}"),
    program(
        "body",
        "needless_return",
        "#[HERE]
pub async fn f(mut a: u32) -> u32 {
    a = a + 1;
    let b = std::future::ready(a as u64).await;
    return b as u32;
}",
    ),
    program(
        "opaque",
        "let_and_return",
        "#[HERE]\npub async fn f() -> impl std::fmt::Display {\n    let a = std::future::ready(1).await;\n    a\n}",
    ),
    program(
        "never",
        "uninlined_format_args",
        "#[HERE]\npub async fn f(a: u32) -> ! {\n    std::future::ready(()).await;\n    eprintln!(\"{}\", a);\n    std::process::exit(1)\n}",
    ),
    program(
        "generic",
        "extra_unused_type_parameters",
        "#[HERE]\nasync fn f<T, const N: usize>(a: [u8; N]) -> usize {\n    std::future::ready(a.len()).await\n}\npub fn call() {\n    let _ = f::<u8, 1>;\n}",
    ),
    program(
        "not_safe",
        "undocumented_unsafe_blocks",
        "#![warn(clippy::undocumented_unsafe_blocks, unsafe_code)]
#[HERE]
pub async unsafe fn f(a: *const u8) -> u8 {
    std::future::ready(unsafe { *a }).await
}",
    ),
    program(
        "without_documentation",
        "missing_docs",
        "#![warn(missing_docs)]\n#[HERE]\npub async fn f() {\n    std::future::ready(()).await;\n}",
    ),
    program(
        "arguments_of_no_use",
        "used_underscore_binding",
        "#[HERE]\npub async fn f(_a: u32, _: u32, (b, _): (u32, u32)) -> u32 {\n    std::future::ready(_a).await + b\n}",
    ),
    program(
        "expected",
        "unfulfilled_lint_expectations",
        "#[HERE]
#[expect(clippy::unused_async)]
pub async fn f() {}
#[expect(clippy::unused_async)]
#[HERE]
pub async fn g() {
    std::future::ready(()).await;
}",
    ),
];

/// Methods that do not come to their end, or only by `return`: about none of them is there anything to say.
pub(crate) const DIVERGING: &[(&str, &str)] = &[
    ("unwritten", "-> u8 { todo!() }"),
    ("unwritten_after_await", "-> u8 { std::future::ready(()).await; unimplemented!() }"),
    ("endless", "-> ! { loop { std::thread::park() } }"),
    ("exit_of_never", "-> ! { std::process::exit(1) }"),
    ("panics", "-> Result<u8, String> { panic!(\"never\"); }"),
    ("exits", "{ std::process::exit(self.0.into()) }"),
    ("fails", "-> Result<u8, String> { return Err(String::new()); }"),
    ("returns_from_loop", "{ loop { if self.0 == 1 { return; } } }"),
    ("returns_either", "-> u8 { if self.0 == 1 { return 1; } else { return 2; } }"),
    ("opaque", "-> impl Sized + use<> { if self.0 == 1 { return 1; } else { return 2; } }"),
];

/// Programs about whose `async fn` clippy spares what it would say of a plain one.
pub(crate) const SPARED: &[Program] = &[
    program("unit_error", "", "#[HERE]\npub async fn f() -> Result<u8, ()> { std::future::ready(Ok(1)).await }"),
    program(
        "large_error",
        "",
        "#[HERE]\npub async fn f() -> Result<u8, [u8; 200]> { std::future::ready(Ok(1)).await }\n#[HERE]\nasync fn g() -> Result<u8, [u8; 200]> { std::future::ready(Ok(1)).await }\npub fn h() { let _ = g; }",
    ),
    program(
        "alias_of_result",
        "",
        "pub type Done = Result<u8, [u8; 200]>;\n#[HERE]\npub async fn f() -> Done { std::future::ready(Ok(1)).await }",
    ),
    program(
        "methods",
        "",
        "pub struct S(pub u8);
impl S {
    #[loopbind::loop_thread]
    pub async fn next(&mut self) -> Option<u8> { std::future::ready(Some(1)).await }
    #[loopbind::loop_thread]
    pub async fn into_other(self) -> Self { std::future::ready(self).await }
    #[loopbind::loop_thread]
    pub async fn ready(&self) -> std::future::Ready<u8> { std::future::ready(()).await; std::future::ready(self.0) }
    #[loopbind::loop_thread]
    async fn private(&self, a: &u8) -> Box<u8> { std::future::ready(Box::new(self.0 + a)).await }
    #[HERE]
    pub async fn new() -> Self { let made = std::future::ready(Self(1)).await; let _ = Self::private; made }
    #[HERE]
    pub async fn from_str(a: &str) -> Self { std::future::ready(Self(u8::from(a.is_empty()))).await }
}",
    ),
    program("unit", "", "#[HERE]\npub async fn f() -> () { std::future::ready(()).await }\n#[HERE]\n#[must_use]\npub async fn g() { std::future::ready(()).await }"),
    program(
        "lifetime_in_the_body",
        "",
        "#![warn(single_use_lifetimes)]\n#[HERE]\npub async fn f<'l, 's>(a: &'l str, b: &'s str) -> &'l str { let _: &'s str = b; std::future::ready(a).await }\n#[HERE]\npub fn g<'l, 's>(a: &'l str, b: &'s str) -> &'l str { let _: &'s str = b; a }",
    ),
    program(
        "level_of_the_function",
        "",
        "#[HERE]\n#[warn(clippy::pedantic)]\npub async fn f(a: &u8) -> u8 { std::future::ready(*a).await }",
    ),
    program(
        "forbidden",
        "",
        "#![forbid(warnings, clippy::all, clippy::pedantic)]\n#[HERE]\npub async fn f(a: u8, b: String) -> u8 { std::future::ready(a).await + u8::from(b.is_empty()) }\n#[HERE]\npub async fn g() -> Option<u8> { std::future::ready(None).await }",
    ),
    program(
        "forbidden_by_name",
        "",
        "#![forbid(clippy::must_use_candidate, clippy::trivially_copy_pass_by_ref, clippy::vec_box, clippy::fn_params_excessive_bools)]\n#[HERE]\npub async fn f(a: u8) -> Vec<u8> { std::future::ready(vec![a]).await }",
    ),
];

/// Attribute macros as other crates have them: one that leaves a trace, and one that makes a test for each case.
pub(crate) const OTHER: &str = r##"
extern crate proc_macro;
use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn counted(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut item = item;
    item.extend("const COUNTED: u32 = 1;".parse::<TokenStream>().unwrap());
    item
}

/// Takes the attributes off, and puts them on a function for each case; `#[case]` marks the argument.
#[proc_macro_attribute]
pub fn cases(values: TokenStream, item: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = item.into_iter().collect();
    let is_hash = |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '#');
    let attributes = trees.chunks(2).take_while(|pair| is_hash(&pair[0])).count() * 2;
    let (attributes, function) = trees.split_at(attributes);
    let text = |trees: &[TokenTree]| trees.iter().cloned().collect::<TokenStream>().to_string();
    let (attributes, function) = (text(attributes), text(function));
    let signature = function.split('{').next().unwrap();
    assert!(signature.contains("#[case]"), "the argument has lost its mark: {function}");
    let function = function.replacen("#[case]", "", 1);
    let test = if attributes.contains("test]") { "" } else { "#[test]" };
    let (asynchronous, wait) = if function.contains("async fn check") { ("async", ".await") } else { ("", "") };
    let mut all = function;
    for (number, value) in values.to_string().split(',').enumerate() {
        all += &format!("{attributes} {test} {asynchronous} fn case_{number}() {{ check({value}){wait} }}");
    }
    all.parse().unwrap()
}
"##;
