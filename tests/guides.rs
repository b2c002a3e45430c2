//! The pages of the documentation: what they name exists, each is in the table of contents, and nothing of asyncio's is
//! left out of the page for who comes from there. Their programs are run by `cargo test --doc`, and their links
//! resolved by `cargo doc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What `import asyncio` brings, from 3.11 to 3.14, modules and constants of its insides excepted.
const ASYNCIO: &str = "
    ALL_COMPLETED FIRST_COMPLETED FIRST_EXCEPTION AbstractChildWatcher AbstractEventLoop
    AbstractEventLoopPolicy AbstractServer Barrier BaseEventLoop BaseProtocol BaseTransport
    BoundedSemaphore BrokenBarrierError BufferedProtocol CancelledError Condition DatagramProtocol
    DatagramTransport DefaultEventLoopPolicy Event EventLoop FastChildWatcher Future Handle
    IncompleteReadError InvalidStateError LifoQueue LimitOverrunError Lock MultiLoopChildWatcher
    PidfdChildWatcher PriorityQueue Protocol Queue QueueEmpty QueueFull QueueShutDown ReadTransport
    Runner SafeChildWatcher SelectorEventLoop Semaphore SendfileNotAvailableError Server
    StreamReader StreamReaderProtocol StreamWriter SubprocessProtocol SubprocessTransport Task
    TaskGroup ThreadedChildWatcher Timeout TimeoutError TimerHandle Transport WriteTransport
    all_tasks as_completed capture_call_graph create_eager_task_factory create_subprocess_exec
    create_subprocess_shell create_task current_task eager_task_factory ensure_future gather
    get_child_watcher get_event_loop get_event_loop_policy get_running_loop iscoroutine
    iscoroutinefunction isfuture new_event_loop open_connection open_unix_connection
    print_call_graph run run_coroutine_threadsafe set_child_watcher set_event_loop
    set_event_loop_policy shield sleep start_server start_unix_server subprocess timeout timeout_at
    to_thread wait wait_for wrap_future
";

/// The methods of a loop.
const LOOP: &str = "
    add_reader add_signal_handler add_writer call_at call_exception_handler call_later call_soon
    call_soon_threadsafe close connect_accepted_socket connect_read_pipe connect_write_pipe
    create_connection create_datagram_endpoint create_future create_server create_task
    create_unix_connection create_unix_server default_exception_handler get_debug
    get_exception_handler get_task_factory getaddrinfo getnameinfo is_closed is_running
    remove_reader remove_signal_handler remove_writer run_forever run_in_executor
    run_until_complete sendfile set_debug set_default_executor set_exception_handler
    set_task_factory shutdown_asyncgens shutdown_default_executor slow_callback_duration
    sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall
    sock_sendfile sock_sendto start_tls stop subprocess_exec subprocess_shell time
";

/// The methods of a task, and so of a future.
const TASK: &str = "
    add_done_callback cancel cancelled cancelling done exception get_context get_coro get_loop
    get_name get_stack print_stack remove_done_callback result set_exception set_name set_result
    uncancel
";

/// Whose names may stand among ours in a table, for what we leave to others.
const OTHERS: [&str; 4] = ["futures::", "std::", "async-fs", "None"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

const CONTENTS: &str = "SUMMARY.md";

/// Those for who comes from elsewhere: two vocabularies side by side.
fn guides() -> Vec<(String, String)> {
    let mut guides = pages();
    guides.retain(|(page, _)| page.starts_with("coming-from-"));
    assert!(guides.len() >= 3, "found {} guides", guides.len());
    guides
}

/// All pages but the table of contents, by the names of their files.
fn pages() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut pages: Vec<_> = pages
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.retain(|(name, _)| name != CONTENTS);
    pages.sort();
    assert!(pages.len() >= 13, "found {} pages", pages.len());
    pages
}

/// The cells of a page's tables, row by row, without the heads.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = page.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let rows = lines.iter().enumerate().filter(|&(number, line)| {
        let is_head = lines.get(number + 1).is_some_and(|next| next.starts_with("|--"));
        is_row(line) && !line.starts_with("|--") && !is_head
    });
    rows.map(|(_, line)| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backquotes, and whether as a link.
fn code(text: &str) -> Vec<(&str, bool)> {
    let parts: Vec<&str> = text.split('`').collect();
    let spans = (1..parts.len()).step_by(2);
    spans
        .map(|at| {
            let after = parts.get(at + 1).copied().unwrap_or("");
            (parts[at], parts[at - 1].ends_with('[') && after.starts_with(']'))
        })
        .collect()
}

/// The page without its programs.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The public names of the runtime: `Type::method`, `Enum::Variant`, and what stands by itself; and
/// the attributes.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::from(["loop_main", "loop_test", "loop_thread"].map(str::to_owned));
    let mut folders = vec![root().join("loopbind-runtime/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                names_in(&path, &mut names);
            }
        }
    }
    names
}

fn names_in(path: &Path, names: &mut BTreeSet<String>) {
    let text = fs::read_to_string(path).unwrap();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text.split(|c| !is_word(c)).next().unwrap().to_owned();
    // The type whose methods, or the enum whose variants, the lines are.
    let mut of = None;
    for line in text.split("#[cfg(test)]\nmod ").next().unwrap().lines() {
        let is_top = !line.starts_with(' ');
        let item = line.trim().strip_prefix("pub ").map(|rest| {
            let rest = rest.strip_prefix("async ").unwrap_or(rest);
            rest.strip_prefix("const ").unwrap_or(rest)
        });
        let item = item.and_then(|rest| rest.split_once(' '));
        match item {
            Some(("fn", rest)) if is_top => drop(names.insert(word(rest))),
            Some(("fn", rest)) => {
                names.extend(of.as_ref().map(|of| format!("{of}::{}", word(rest))));
            }
            Some(("enum", rest)) => {
                of = Some(word(rest));
                names.insert(word(rest));
            }
            // Some stand inside of a macro.
            Some(("struct" | "trait" | "mod", rest)) => drop(names.insert(word(rest))),
            _ if is_top && line.starts_with("impl") && !line.contains(" for ") => {
                let mut depth = 0;
                let start = line["impl".len()..].find(|c| {
                    depth += i32::from(c == '<') - i32::from(c == '>');
                    depth == 0 && is_word(c)
                });
                of = start.map(|at| word(&line["impl".len() + at..]));
            }
            _ if line == "}" => of = None,
            _ => {
                let variant = line.strip_prefix("    ").filter(|rest| {
                    rest.starts_with(char::is_uppercase) && rest.ends_with([',', '{', '('])
                });
                names.extend(
                    variant.zip(of.as_ref()).map(|(rest, of)| format!("{of}::{}", word(rest))),
                );
            }
        }
    }
}

/// What is public, whatever module it is in: rustdoc looks for that.
fn exists(name: &str, names: &BTreeSet<String>) -> bool {
    let mut parts = name.rsplit("::");
    let (last, before) = (parts.next().unwrap(), parts.next());
    match before.filter(|of| of.starts_with(char::is_uppercase)) {
        Some(of) => names.contains(&format!("{of}::{last}")),
        None => names.contains(last),
    }
}

#[test]
fn what_the_pages_name_as_ours_exists() {
    let names = names();
    let mut wrong = Vec::new();
    let mut found = 0;
    for (page, text) in pages() {
        let text = prose(&text);
        for (name, _) in code(&text).into_iter().filter(|(_, is_link)| *is_link) {
            found += 1;
            if !exists(name, &names) {
                wrong.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(found > 300, "found {found} links");
    assert!(wrong.is_empty(), "these do not exist:\n{}", wrong.join("\n"));
}

#[test]
fn what_stands_in_our_column_is_a_link_or_somebody_elses() {
    for (page, text) in guides() {
        for row in rows(&text) {
            assert_eq!(row.len(), 3, "{page}: {row:?}");
            for (name, is_link) in code(row[1]) {
                let is_theirs = OTHERS.iter().any(|others| name.starts_with(others));
                assert!(
                    is_link || is_theirs,
                    "{page}: `{name}` is no link, so nobody looks for it"
                );
            }
            assert!(!row[1].is_empty(), "{page}: say `none` and what to use instead: {row:?}");
        }
    }
}

#[test]
fn nothing_of_asyncios_is_left_out() {
    let (_, page) = pages().into_iter().find(|(name, _)| name == "coming-from-asyncio.md").unwrap();
    let rows = rows(&page);
    let theirs: BTreeSet<_> =
        rows.iter().flat_map(|row| code(row[0])).map(|(name, _)| name).collect();
    let words = |list: &'static str| list.split_whitespace();
    let missing: Vec<_> = words(ASYNCIO)
        .chain(words(LOOP))
        .map(str::to_owned)
        .chain(words(TASK).map(|method| format!("Task.{method}")))
        .filter(|name| !theirs.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "not in the first column: {missing:?}");
}

/// What a search in the documentation finds: names, and aliases.
fn aliases() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut places = vec![root().join("loopbind-runtime/src"), root().join("loopbind-macros/src")];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(place).unwrap();
        for after in text.split("#[doc(alias").skip(1) {
            let attribute = after.split(")]").next().unwrap();
            found.extend(attribute.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

#[test]
fn who_searches_for_a_name_of_theirs_finds_ours() {
    let mut finds = names();
    finds.extend(aliases());
    let mut missing = BTreeSet::new();
    for (page, text) in guides() {
        for row in rows(&text).iter().filter(|row| row[1].contains("[`")) {
            let theirs = code(row[0]).into_iter().map(|(name, _)| name);
            // Attributes, macros and arguments are no names that an alias may have.
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':');
            for name in theirs.filter(|name| name.chars().all(is_name)) {
                let last = name.rsplit(['.', ':']).next().unwrap();
                if !finds.iter().any(|found| found.rsplit("::").next() == Some(last)) {
                    missing.insert(format!("{page}: `{name}` for {}", row[1]));
                }
            }
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    assert!(missing.is_empty(), "no alias of:\n{}", missing.join("\n"));
}

#[test]
fn every_page_is_in_the_documentation_with_its_programs() {
    let front = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for (page, text) in pages() {
        assert!(front.contains(&format!("include_str!(\"../docs/{page}\")")), "{page}");
        let fewest = if page.starts_with("coming-from-") { 4 } else { 1 };
        assert!(text.matches("```rust").count() >= fewest, "{page} shows little");
        assert!(!text.contains("rust,ignore") && !text.contains("no_run"), "{page}");
    }
}

/// What the page on embedding shows of other hosts is what `lanes/hosts` runs: the part of each program that is marked in
/// it, to the letter. And nothing else is shown that nobody builds.
#[test]
fn the_recipes_are_the_programs_that_run() {
    let page = fs::read_to_string(root().join("docs/embedding.md")).unwrap();
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut blocks =
        page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    shown.extend(
        blocks.by_ref().filter(|(kind, _)| *kind != "rust").map(|(_, code)| code.to_owned()),
    );
    let mut run = BTreeSet::new();
    for file in fs::read_dir(root().join("examples/hosts/src")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let Some((_, rest)) = text.split_once(" The recipe.\n") else { continue };
        let (recipe, _) = rest.split_once("To here.\n").unwrap();
        let recipe = recipe.trim_end_matches(['/', '#', ' ']);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(page.contains(&format!("`examples/hosts/src/{name}`")), "{name} is not named");
        assert!(shown.contains(recipe), "docs/embedding.md does not show {name} as it is");
        run.insert(recipe.to_owned());
    }
    assert!(run.len() >= 5, "found {} recipes", run.len());
    assert_eq!(shown, run, "what is shown, and what runs");
}

#[test]
fn the_table_of_contents_has_each_page_once_by_its_title() {
    let contents = fs::read_to_string(root().join("docs").join(CONTENTS)).unwrap();
    let listed: BTreeSet<_> = contents.lines().filter(|line| line.starts_with("- ")).collect();
    let expected = pages().into_iter().map(|(page, text)| {
        let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or("?");
        format!("- [{title}]({page})")
    });
    let expected: BTreeSet<_> = expected.collect();
    assert_eq!(listed, expected.iter().map(String::as_str).collect());
    assert_eq!(contents.matches("](").count(), expected.len());
}

/// Whoever shows a picture shows one that is there, and every picture is shown; each can be read on light ground and on dark.
#[test]
fn every_picture_is_shown_and_has_both_its_grounds() {
    let mut shown = BTreeSet::new();
    for page in ["ARCHITECTURE.md", "README.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        shown.extend(
            text.split("](docs/pictures/")
                .skip(1)
                .map(|after| after.split(')').next().unwrap().to_owned()),
        );
    }
    let files = fs::read_dir(root().join("docs/pictures")).unwrap().map(|entry| entry.unwrap());
    let there: BTreeSet<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
    assert_eq!(there, shown);
    for picture in there {
        let text = fs::read_to_string(root().join("docs/pictures").join(&picture)).unwrap();
        for part in ["<title>", "viewBox", "prefers-color-scheme: dark"] {
            assert!(text.contains(part), "{picture}: {part}");
        }
    }
}

/// Whoever opens the repository sees a program at once, and finds each example by what it shows.
#[test]
fn the_first_page_begins_with_a_program_and_every_example_is_listed() {
    let front = fs::read_to_string(root().join("README.md")).unwrap();
    let first: Vec<_> = front.lines().take(40).collect();
    let begins = first.iter().position(|line| line.starts_with("```rust")).expect("a program");
    assert!(
        first[begins..].contains(&"```"),
        "the first program is not over in its first 40 lines"
    );

    let folder = root().join("examples");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut programs = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            programs.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(programs.len() > 15, "found {} examples", programs.len());
    let missing: Vec<_> = programs
        .iter()
        .filter(|name| {
            let row = format!("| [`{name}`]({name}.rs) | `cargo run ");
            !list.lines().any(|it| it.contains(&row) && it.contains(&format!("--example {name}")))
        })
        .collect();
    assert!(missing.is_empty(), "examples/README.md has no row of {missing:?}");
    // What is named there and on the first page is there.
    for page in [&front, &list] {
        for after in page.split("--example ").skip(1) {
            let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            assert!(programs.contains(name), "there is no example {name}");
        }
    }
}
