//! The manners of what users can name: it shows itself, it says what is lost where it is dropped, its panics name the
//! caller's line, and who looks for it by another library's name finds it.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{Attribute, ImplItem, Item, Meta, Visibility};

use crate::source::{Source, is_hidden};
use crate::{front, macros, runtime};

/// A type, a function, a method or an attribute of ours.
struct Named {
    /// The module it stands in.
    place: Vec<String>,
    /// `spawn`, `Task`, `Task::cancel`.
    name: String,
    attributes: Vec<Attribute>,
    /// What stands before its body, if it is a function.
    signature: Option<syn::Signature>,
}

impl Named {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.path().is_ident(name))
    }

    /// The lines of its documentation.
    fn docs(&self) -> Vec<String> {
        let lines = self.attributes.iter().filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => literal(&pair.value),
            _ => None,
        });
        lines.map(|line| line.trim().to_owned()).collect()
    }

    fn aliases(&self) -> Vec<String> {
        let lists = self.attributes.iter().filter_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("doc") => Some(list.tokens.to_string()),
            _ => None,
        });
        let lists = lists.filter(|tokens| tokens.starts_with("alias"));
        lists.flat_map(|tokens| quoted(&tokens)).collect()
    }
}

fn literal(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

fn quoted(tokens: &str) -> Vec<String> {
    tokens.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The type that an implementation is of.
fn of(implementation: &syn::ItemImpl) -> String {
    let of = implementation.self_ty.to_token_stream().to_string();
    let of = of.trim_start_matches(['&', ' ']);
    of.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
}

/// All that is public where it stands.
fn named(source: &Source) -> Vec<Named> {
    let mut named = Vec::new();
    let items =
        source.modules.iter().flat_map(|(place, it)| it.items.iter().map(move |it| (place, it)));
    for (place, item) in items {
        let place = place.clone();
        let (name, visibility, attributes, signature) = match item {
            Item::Struct(item) => (item.ident.to_string(), &item.vis, &item.attrs, None),
            Item::Enum(item) => (item.ident.to_string(), &item.vis, &item.attrs, None),
            Item::Trait(item) => (item.ident.to_string(), &item.vis, &item.attrs, None),
            Item::Fn(item) => {
                (item.sig.ident.to_string(), &item.vis, &item.attrs, Some(item.sig.clone()))
            }
            Item::Impl(implementation) => {
                for inner in &implementation.items {
                    let ImplItem::Fn(method) = inner else { continue };
                    if is_public(&method.vis) && !is_hidden(&method.attrs) {
                        named.push(Named {
                            place: place.clone(),
                            name: format!("{}::{}", of(implementation), method.sig.ident),
                            attributes: method.attrs.clone(),
                            signature: Some(method.sig.clone()),
                        });
                    }
                }
                continue;
            }
            _ => continue,
        };
        if is_public(visibility) {
            named.push(Named { place, name, attributes: attributes.clone(), signature });
        }
    }
    assert!(named.len() > 2, "is this a crate of ours?");
    named
}

/// The types for which their module has an implementation of one of `traits`.
fn implementors(source: &Source, traits: [&str; 2]) -> BTreeSet<(Vec<String>, String)> {
    let mut found = BTreeSet::new();
    for (place, module) in &source.modules {
        for item in &module.items {
            let Item::Impl(implementation) = item else { continue };
            let Some((path, _)) = &implementation.trait_ else { continue };
            if path.segments.last().is_some_and(|last| traits.iter().any(|it| last.ident == it)) {
                found.insert((place.clone(), of(implementation)));
            }
        }
    }
    found
}

#[test]
fn every_type_shows_itself_and_every_error_says_what_it_is() {
    let lines = crate::surface::surface(&front(), &runtime());
    let mut says: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, rest) in lines.iter().filter_map(|line| line.split_once(": ")) {
        says.entry(name).or_default().push(rest);
    }
    let has = |name: &str, what: &str| {
        says[name].iter().any(|rest| {
            let derives = rest.strip_prefix("derives ").is_some_and(|it| it.ends_with(what));
            let implements = rest.starts_with("impl") && rest.contains(&format!("{what} for "));
            derives || implements
        })
    };
    let is_type = |rest: &&str| {
        let rest = rest.strip_prefix("#[non_exhaustive] ").unwrap_or(rest);
        rest.starts_with("struct") || rest.starts_with("enum")
    };
    let types = says.iter().filter(|(_, rests)| rests.iter().any(is_type)).map(|(name, _)| *name);
    let types: Vec<_> = types.collect();
    assert!(types.len() > 100, "found {} types", types.len());
    let silent: Vec<_> = types.iter().filter(|name| !has(name, "Debug")).collect();
    assert!(silent.is_empty(), "without Debug: {silent:?}");
    // `thiserror` brings both, and is told from the trait by its path.
    let is_told = |name: &str| has(name, "Display") || has(name, "thiserror::Error");
    let errors: Vec<_> = types.iter().filter(|name| has(name, "Error")).collect();
    assert!(errors.len() > 10, "found {} errors", errors.len());
    let silent: Vec<_> = errors.iter().filter(|name| !is_told(name)).collect();
    assert!(silent.is_empty(), "errors without Display: {silent:?}");
    let named = ["LoopId", "PanicPayload", "TaskId", "TaskInfo", "TaskState", "signal::SignalKind"];
    for name in named.map(|name| format!("loopbind::{name}")) {
        assert!(is_told(&name), "{name} without Display");
    }
}

/// What goes on by itself when its handle is dropped, and is dropped often.
const GOES_ON: [&str; 6] = [
    "blocking::BlockingTask",
    "group::LoopGroup",
    "join::Task",
    "remote::RemoteTask",
    "scoped::Scoped",
    "thread::LoopThread",
];

/// What is had, used and dropped like a file: whoever drops it is done with it.
const IS_MERELY_KEPT: [&str; 5] =
    ["async_fd::Async", "child::Child", "panic::PanicPayload", "scope::Scope", "sender::Sender"];

#[test]
fn what_is_lost_where_it_is_dropped_says_so() {
    let source = runtime();
    let named = named(&source);
    let lost = implementors(&source, ["Drop", "Future"]);
    let is_lost = |it: &Named| {
        lost.contains(&(it.place.clone(), it.name.clone()))
            || ["Builder", "Guard", "Permit"].iter().any(|end| it.name.ends_with(end))
    };
    let mut silent = Vec::new();
    let mut found = 0;
    for it in named.iter().filter(|it| it.signature.is_none() && is_lost(it)) {
        found += 1;
        let name = format!("{}::{}", it.place.last().unwrap(), it.name);
        let is_exempt = GOES_ON.iter().chain(&IS_MERELY_KEPT).any(|it| name == *it);
        if it.attribute("must_use").is_some() == is_exempt {
            silent.push(name);
        }
    }
    assert!(found > 30, "found {found} of them");
    assert!(silent.is_empty(), "`#[must_use]`, or a line in the list, not both: {silent:?}");
}

#[test]
fn what_must_be_used_says_why() {
    let silent: Vec<_> = named(&runtime())
        .into_iter()
        .filter(|it| it.attribute("must_use").is_some_and(|it| matches!(it.meta, Meta::Path(_))))
        .map(|it| it.name)
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn a_panic_names_the_line_of_who_called() {
    let mut silent = Vec::new();
    let mut found = 0;
    for it in named(&runtime()) {
        let Some(signature) = &it.signature else { continue };
        let docs = it.docs();
        let Some(at) = docs.iter().position(|line| line == "# Panics") else { continue };
        // Somebody else's panic, which goes on; or a panic when the future is polled.
        let passes_on = [
            "Always: with this payload",
            "As ",
            "Under [`UnhandledPanic::Resume`]",
            "When it has to wait",
            "When polled",
            "With a panic that",
            "With the panic of",
        ];
        let told = docs[at + 1].as_str();
        if signature.asyncness.is_some() || passes_on.iter().any(|it| told.starts_with(it)) {
            continue;
        }
        found += 1;
        if it.attribute("track_caller").is_none() {
            silent.push(format!("{}: {told}", it.name));
        }
    }
    assert!(found > 20, "found {found} of them");
    assert!(silent.is_empty(), "`#[track_caller]`:\n{}", silent.join("\n"));
}

/// What people type who come from elsewhere, and what of ours it must lead to: by its name, or by an alias of its own.
#[rustfmt::skip]
const THEIRS: [(&str, &str); 139] = [
    ("asyncio.run", "run"),
    ("asyncio.Runner", "Runner"),
    ("asyncio.create_task", "spawn"),
    ("asyncio.ensure_future", "spawn"),
    ("asyncio.gather", "JoinSet"),
    ("asyncio.wait", "JoinSet"),
    ("asyncio.as_completed", "JoinSet"),
    ("asyncio.FIRST_COMPLETED", "JoinSet::next"),
    ("asyncio.ALL_COMPLETED", "JoinSet::join_all"),
    ("asyncio.FIRST_EXCEPTION", "group"),
    ("asyncio.TaskGroup", "group"),
    ("asyncio.wait_for", "timeout"),
    ("asyncio.timeout", "timeout"),
    ("asyncio.timeout_at", "timeout_at"),
    ("asyncio.shield", "shield"),
    ("asyncio.sleep", "sleep"),
    ("asyncio.to_thread", "spawn_blocking"),
    ("asyncio.get_event_loop", "get_event_loop"),
    ("asyncio.get_running_loop", "get_running_loop"),
    ("asyncio.set_event_loop", "set_event_loop"),
    ("asyncio.new_event_loop", "new_event_loop"),
    ("asyncio.current_task", "current"),
    ("asyncio.all_tasks", "EventLoop::all_tasks"),
    ("asyncio.run_coroutine_threadsafe", "LoopHandle::run_coroutine_threadsafe"),
    ("asyncio.CancelledError", "TaskError"),
    ("asyncio.InvalidStateError", "TaskError"),
    ("asyncio.TimeoutError", "Elapsed"),
    ("asyncio.Future", "RemoteTask"),
    ("asyncio.Lock", "Lock"),
    ("asyncio.Event", "Event"),
    ("asyncio.Condition", "Condition"),
    ("asyncio.BoundedSemaphore", "Semaphore"),
    ("asyncio.Barrier", "Barrier"),
    ("asyncio.Queue", "Queue"),
    ("asyncio.QueueEmpty", "Queue::try_get"),
    ("asyncio.QueueFull", "TryPut"),
    ("asyncio.open_connection", "TcpStream::connect"),
    ("asyncio.start_server", "start_server"),
    ("asyncio.start_unix_server", "start_unix_server"),
    ("asyncio.StreamReader", "TcpStream"),
    ("asyncio.StreamWriter", "TcpStream"),
    ("asyncio.create_subprocess_exec", "Command"),
    ("asyncio.IsolatedAsyncioTestCase", "loop_test"),
    ("contextvars.ContextVar", "ContextVar"),
    ("contextvars.copy_context", "Context::capture"),
    ("loop.run_until_complete", "EventLoop::run_until_complete"),
    ("loop.run_forever", "EventLoop::run_forever"),
    ("loop.run_in_executor", "EventLoop::run_in_executor"),
    ("loop.call_soon", "EventLoop::call_soon"),
    ("loop.call_soon_threadsafe", "LoopHandle::call_soon_threadsafe"),
    ("loop.call_later", "EventLoop::call_later"),
    ("loop.call_at", "EventLoop::call_at"),
    ("loop.create_future", "channel"),
    ("loop.create_server", "start_server"),
    ("loop.create_datagram_endpoint", "UdpSocket"),
    ("loop.add_reader", "EventLoop::add_reader"),
    ("loop.remove_reader", "Watch"),
    ("loop.add_signal_handler", "EventLoop::add_signal_handler"),
    ("loop.set_exception_handler", "EventLoop::set_exception_handler"),
    ("loop.slow_callback_duration", "Builder::slow_callback_duration"),
    ("loop.getaddrinfo", "lookup_host"),
    ("#[tokio::main]", "loop_main"),
    ("#[tokio::test]", "loop_test"),
    ("tokio::spawn", "spawn"),
    ("tokio::select!", "JoinSet::next"),
    ("tokio::join!", "group"),
    ("tokio::try_join!", "group"),
    ("tokio::task::spawn_local", "spawn"),
    ("tokio::task::spawn_blocking", "spawn_blocking"),
    ("tokio::task::block_in_place", "spawn_blocking"),
    ("tokio::task::yield_now", "yield_now"),
    ("tokio::task::JoinHandle", "Task"),
    ("tokio::task::JoinError", "TaskError"),
    ("tokio::task::JoinSet", "JoinSet"),
    ("tokio::task::LocalSet", "EventLoop"),
    ("tokio::task::LocalKey", "ContextVar"),
    ("tokio::task_local!", "ContextVar"),
    ("tokio::task::AbortHandle", "AbortHandle"),
    ("tokio::task::Id", "TaskId"),
    ("tokio::runtime::Runtime", "Runner"),
    ("tokio::runtime::LocalRuntime", "EventLoop"),
    ("tokio::runtime::Runtime::block_on", "run"),
    ("tokio::runtime::Handle::current", "get_running_loop"),
    ("tokio::runtime::Handle::try_current", "get_running_loop"),
    ("tokio::runtime::Builder::new_current_thread", "EventLoop::new"),
    ("tokio::runtime::Builder::new_multi_thread", "per_core"),
    ("tokio::runtime::Builder::unhandled_panic", "Builder::on_unhandled_panic"),
    ("tokio::runtime::RuntimeMetrics", "Metrics"),
    ("tokio::time::interval", "interval"),
    ("tokio::time::MissedTickBehavior", "MissedTick"),
    ("tokio::time::pause", "Builder::virtual_time"),
    ("tokio::time::advance", "advance"),
    ("tokio::time::Instant::now", "now"),
    ("tokio::sync::Notify", "Event"),
    ("tokio::sync::Mutex", "Lock"),
    ("tokio::sync::MutexGuard", "LockGuard"),
    ("tokio::sync::RwLock", "RwLock"),
    ("tokio::sync::Semaphore", "Semaphore"),
    ("tokio::sync::SetOnce", "OnceCell"),
    ("tokio::sync::mpsc::channel", "bounded"),
    ("tokio::sync::mpsc::unbounded_channel", "unbounded"),
    ("tokio::sync::oneshot::channel", "channel"),
    ("tokio::sync::broadcast::Receiver", "Receiver"),
    ("tokio::sync::watch::Ref", "Ref"),
    ("tokio::net::TcpStream::into_split", "TcpStream"),
    ("tokio::net::lookup_host", "lookup_host"),
    ("tokio::io::unix::AsyncFd", "Async"),
    ("tokio::io::copy_bidirectional", "copy_bidirectional"),
    ("tokio::signal::ctrl_c", "ctrl_c"),
    ("tokio::process::Command", "Command"),
    ("tokio_util::sync::CancellationToken", "cancelled"),
    ("tokio_util::task::TaskTracker", "group"),
    ("tokio_util::task::AbortOnDropHandle", "AbortOnDrop"),
    ("tokio_util::task::LocalPoolHandle", "per_core"),
    ("hyper_util::rt::TokioIo", "HyperIo"),
    ("smol::block_on", "run"),
    ("smol::LocalExecutor", "EventLoop"),
    ("smol::LocalExecutor::try_tick", "EventLoop::turn"),
    ("smol::Timer", "sleep"),
    ("smol::Async", "Async"),
    ("smol::unblock", "spawn_blocking"),
    ("smol::Task::detach", "Task::detach"),
    ("smol::channel::bounded", "bounded"),
    ("futures::executor::LocalPool", "EventLoop"),
    ("futures::stream::FuturesUnordered", "JoinSet"),
    ("futures::future::try_join_all", "group"),
    ("glommio::LocalExecutorBuilder", "Builder"),
    ("glommio::spawn_local", "spawn"),
    ("monoio::RuntimeBuilder", "Builder"),
    ("actix::Arbiter", "LoopThread"),
    ("embassy_executor::Spawner", "LoopHandle"),
    ("embassy_time::Ticker", "interval"),
    ("trio.open_nursery", "group"),
    ("trio.CancelScope", "Timeout"),
    ("trio.move_on_after", "timeout"),
    ("trio.testing.MockClock", "Builder::virtual_time"),
    ("trio.lowlevel.start_guest_run", "EventLoop::drive_with"),
    ("anyio.CapacityLimiter", "Semaphore"),
    ("anyio.from_thread.BlockingPortal", "LoopHandle"),
];

#[test]
fn who_looks_for_another_librarys_name_finds_ours() {
    let ours: Vec<_> = named(&runtime()).into_iter().chain(named(&macros())).collect();
    let mut missing = Vec::new();
    for (theirs, wanted) in THEIRS {
        let last = theirs.rsplit([':', '.']).next().unwrap().trim_end_matches(['!', ']']);
        let leads = ours.iter().any(|it| {
            let has_name = it.name.rsplit("::").next() == Some(last);
            it.name == wanted && (has_name || it.aliases().iter().any(|alias| alias == last))
        });
        if !leads {
            missing.push(format!("{theirs} does not lead to {wanted}"));
        }
    }
    assert!(missing.is_empty(), "an alias, or another name of ours:\n{}", missing.join("\n"));
}
