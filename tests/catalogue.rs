//! `README.md` beside this file says which test pins which of asyncio's rules, and `attacks.md` which test
//! stands against which attack, and this says that it is true: none is left out, each test named there
//! exists, and cites the rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rules that a first implementation is likely to break, that types do not keep, and that hold here.
#[rustfmt::skip]
const PINNED: &[&str] = &[
    // Lookup and binding.
    "GEL-01", "GEL-02", "GEL-03", "GEL-05", "GEL-06", "GEL-08", "GEL-10", "GEL-11", "GEL-12",
    "GEL-27",
    // Running.
    "RUN-01", "RUN-02", "RUN-03", "RUN-04", "RUN-05", "RUN-11", "RUN-12", "RUN-16", "RUN-17",
    "RUN-19", "RUN-20", "RUN-22", "RUN-29", "RUN-35",
    // Callbacks, timers, handles.
    "CB-01", "CB-02", "CB-03", "CB-05", "CB-06", "CB-10", "CB-12", "CB-15", "CB-17", "CB-19",
    "CB-24", "CB-26",
    // Threads.
    "THR-01", "THR-03", "THR-08", "THR-11", "THR-13", "THR-16",
    // Tasks.
    "FUT-07", "FUT-13", "FUT-16", "TSK-01", "TSK-05", "TSK-08",
    // Cancellation.
    "CAN-01", "CAN-02", "CAN-03", "CAN-04", "CAN-05", "CAN-06", "CAN-07", "CAN-08", "CAN-09",
    "CAN-10", "CAN-11", "CAN-12", "CAN-23",
    // Waiting for several.
    "GAT-02", "GAT-05", "GAT-06", "GAT-07", "WAI-02", "WAI-06", "ASC-02",
    // Shields and time-outs.
    "SHI-01", "WFR-02", "WFR-03", "WFR-07", "TMO-02", "TMO-04", "TMO-05", "TMO-06",
    // Task groups.
    "TGR-01", "TGR-02", "TGR-03", "TGR-04", "TGR-05", "TGR-06", "TGR-07", "TGR-08", "TGR-09",
    "TGR-10", "TGR-11", "TGR-12", "TGR-13", "TGR-14", "TGR-15", "TGR-16", "TGR-17", "TGR-19",
    // Blocking work.
    "EXE-03",
    // Errors and debug mode.
    "EXH-04", "EXH-08", "EXH-10", "DBG-03",
    // The end of a run.
    "RNR-01", "RNR-03", "RNR-04", "RNR-06", "RNR-07", "RNR-08", "RNR-09", "RNR-10", "RNR-11",
    "RNR-12", "RNR-14", "RNR-15", "RNR-16", "RNR-18", "RNR-19", "RNR-26", "RNR-31", "RNR-32",
    // Context variables.
    "CTX-01", "CTX-02", "CTX-03", "CTX-04", "CTX-05", "CTX-06", "CTX-08", "CTX-10",
    // Locks, events, conditions, semaphores, barriers.
    "LCK-01", "LCK-02", "LCK-03", "LCK-04", "LCK-05", "EVT-01", "EVT-02", "CND-01", "CND-02", "CND-03",
    "CND-04", "SEM-01", "SEM-02", "SEM-03", "BAR-01", "BAR-02",
    // Queues.
    "QUE-01", "QUE-02", "QUE-03", "QUE-04", "QUE-05", "QUE-06",
    // Descriptors, servers, signals, processes, forks.
    "IO-03", "SRV-03", "SIG-03", "SUB-04", "PRC-01", "PRC-02",
];

/// Those that do not hold here, by decision.
const OTHERWISE: &[&str] = &["RNR-20", "RNR-22", "SIG-02", "STR-04", "STR-05", "STR-15", "CTX-07"];

/// What is tried against a loop, and what went wrong in others, by the groups of `attacks.md`. The
/// numbers have gaps where two attacks were found to be one.
#[rustfmt::skip]
const ATTACKS: &[(&str, &[u16])] = &[
    ("C1", &[1, 2, 4, 5, 7, 8, 10]),
    ("C2", &[11, 13, 14, 16, 17, 19, 20, 22, 23, 25, 26, 28, 29]),
    ("C3", &[31, 32, 34, 35, 37, 38, 40, 41, 43, 44, 46]),
    ("C4", &[47, 49, 50, 52, 53, 55, 56, 58, 59, 61]),
    ("C5", &[62, 64, 65, 67, 68, 70, 71]),
    ("C6", &[73, 74, 76, 77, 79, 80, 82, 83]),
    ("C7", &[85, 86, 88, 89, 91, 92]),
    ("C8", &[94, 95, 97, 98, 100, 101, 103, 104]),
    ("C9", &[106, 107, 109, 110, 112, 113, 115, 116, 118, 119, 121, 122, 124, 125, 127, 128, 130]),
    ("C10", &[131, 133, 134]),
    ("C11", &[136, 137, 139, 140]),
    ("C12", &[142, 143, 145, 146, 148, 149]),
    ("C13", &[151, 152, 154, 155]),
    ("C14", &[157, 158, 160, 161, 163, 164]),
    ("C15", &[166, 167, 169, 170]),
    ("C16", &[172, 173, 175, 176, 178, 179, 181, 182, 184, 185, 187, 188, 190]),
    ("C17", &[191, 193, 194, 196, 197]),
    ("B1", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]),
    ("B2", &[29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43]),
    ("B3", &[44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58]),
    ("B4", &[59, 60, 61, 62, 63, 64, 65, 66, 67]),
    ("B5", &[68, 69, 70, 71, 72, 73]),
    ("B6", &[74, 75, 76, 77, 78, 79, 80, 81, 82]),
    ("B7", &[83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95]),
    ("B8", &[97, 98, 99, 100]),
    ("B9", &[101, 102, 103, 104, 105, 106]),
    ("B10", &[107, 108, 109, 110, 111, 112]),
];

struct Row {
    rule: String,
    says: String,
    /// The last cell as it stands, and the tests that it names.
    last: String,
    tests: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The rows of the table under a heading that starts with `heading`.
fn rows(readme: &str, heading: &str) -> Vec<Row> {
    let start = readme.find(&format!("\n## {heading}")).expect(heading);
    let section = &readme[start + 1..];
    let ends = ["\n## ", "\n# "].iter().filter_map(|next| section.find(next)).min();
    let section = &section[..ends.unwrap_or(section.len())];
    let table = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    table
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let rule = cells.next().unwrap().to_owned();
            let says = cells.next().unwrap_or_default().to_owned();
            let last = cells.next().unwrap_or_default().to_owned();
            // Every other piece stands between backticks.
            let tests = last.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Row { rule, says, last, tests }
        })
        .collect()
}

/// A test's text, from its comment to its closing brace; `None` where there is no such test.
fn text_of(test: &str) -> Option<String> {
    let Some((file, name)) = test.rsplit_once("::") else {
        // A program that the attributes accept or refuse.
        return fs::read_to_string(folder().join(test)).ok();
    };
    let path = match file.contains("/src/") {
        true => Path::new(env!("CARGO_MANIFEST_DIR")).join(file),
        false => folder().join(file),
    };
    let source = fs::read_to_string(path.with_extension("rs"))
        .or_else(|_| fs::read_to_string(path.join("main.rs")))
        .ok()?;
    let lines: Vec<_> = source.lines().collect();
    let at = lines.iter().position(|line| line.contains(&format!("fn {name}(")))?;
    let above = lines[..at].iter().rev();
    let above =
        above.take_while(|line| line.trim().starts_with("//") || line.trim().starts_with('#'));
    let start = at - above.count();
    let indent = lines[at].len() - lines[at].trim_start().len();
    let closing = format!("{}}}", " ".repeat(indent));
    let length = lines[at..].iter().position(|line| *line == closing)?;
    let text = lines[start..at + length].join("\n");
    // One of libtest, of ours, or of a list of cases.
    let attributes = lines[start..at].join("\n");
    let is_run = attributes.contains("#[test]")
        || attributes.contains("loop_test")
        || source.split("cases![").nth(1).is_some_and(|list| {
            list.split(']').next().unwrap().split(',').any(|case| case.trim() == name)
        })
        || path
            .strip_prefix(env!("CARGO_MANIFEST_DIR"))
            .is_ok_and(|path| path.starts_with("models"))
            && is_model(&path, name);
    is_run.then_some(text)
}

/// Whether the list of models has this function of this file.
fn is_model(path: &Path, name: &str) -> bool {
    let list = fs::read_to_string(path.with_file_name("main.rs")).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap();
    list.contains(&format!(", {file}::{name}),"))
}

/// Whether `text` names `rule`, and not merely one whose number begins the same.
fn cites(text: &str, rule: &str) -> bool {
    text.match_indices(rule).any(|(at, _)| {
        !text[at + rule.len()..].starts_with(|next: char| next.is_ascii_digit())
            && !text[..at].ends_with(|before: char| before.is_alphanumeric())
    })
}

/// Every rule has its row, in order, under the heading where it belongs, and none has two.
#[test]
fn every_rule_is_listed_once() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let lists = [("Which test pins", PINNED), ("Decided otherwise", OTHERWISE)];
    for (heading, rules) in lists {
        let listed: Vec<_> = rows(&readme, heading).into_iter().map(|row| row.rule).collect();
        assert_eq!(listed, rules, "under {heading:?}");
    }
    let all: BTreeSet<_> = lists.iter().flat_map(|(_, rules)| rules.iter()).collect();
    assert_eq!(all.len(), PINNED.len() + OTHERWISE.len());
}

/// Every test that is named for a rule exists, is run, and cites it.
#[test]
fn every_test_that_is_named_exists_and_cites_its_rule() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut wrong = Vec::new();
    for row in rows(&readme, "Which test pins") {
        if row.tests.is_empty() {
            wrong.push(format!("{}: no test", row.rule));
        }
        for test in row.tests {
            match text_of(&test) {
                None => wrong.push(format!("{}: there is no test {test}", row.rule)),
                Some(text) if !cites(&text, &row.rule) => {
                    wrong.push(format!("{}: {test} does not cite it", row.rule));
                }
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every attack of a group has its row, in order, and none has two.
#[test]
fn every_attack_is_listed_once() {
    let page = fs::read_to_string(folder().join("attacks.md")).unwrap();
    for (group, numbers) in ATTACKS {
        let listed = rows(&page, &format!("{group} "));
        let listed: Vec<_> = listed.iter().map(|row| row.rule.split(' ').next().unwrap()).collect();
        let all: Vec<_> = numbers.iter().map(|number| format!("{group}-{number:03}:")).collect();
        assert_eq!(listed, all);
    }
}

/// Every test that is named against an attack exists and is run, and where none is, there is a reason.
#[test]
fn every_attack_has_a_test_that_exists_or_a_reason() {
    let page = fs::read_to_string(folder().join("attacks.md")).unwrap();
    let mut wrong = Vec::new();
    for row in ATTACKS.iter().flat_map(|(group, _)| rows(&page, &format!("{group} "))) {
        let attack = &row.rule;
        if row.says.is_empty() || !attack.contains(": ") {
            wrong.push(format!("{attack}: what is done, and what happens?"));
        }
        match row.last.strip_prefix("none: ") {
            // What stands between backticks in a reason is no test.
            Some(reason) if reason.len() > 20 => {}
            None if !row.tests.is_empty() => {
                let missing = row.tests.iter().filter(|test| text_of(test).is_none());
                wrong.extend(missing.map(|test| format!("{attack}: there is no test {test}")));
            }
            _ => wrong.push(format!("{attack}: neither a test nor a reason")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What reads the map reads it right.
#[test]
fn a_test_is_found_by_its_name_and_its_citations_are_read() {
    let this = "catalogue::a_test_is_found_by_its_name_and_its_citations_are_read";
    assert!(text_of(this).is_some_and(|text| text.contains("reads it right")));
    assert!(text_of("catalogue::text_of").is_none(), "no test");
    assert!(text_of("catalogue::no_such_test").is_none());
    assert!(text_of("no_such_file::a_test").is_none());
    assert!(text_of("main_thread::a_thread_named_main_has_no_loop").is_some());
    assert!(text_of("faults/bells::refused_for_now_is_as_good_as_rung").is_some());
    assert!(text_of("loopbind-runtime/src/inbox::who_woke_by_itself_is_not_rung").is_some());
    assert!(text_of("models/src/letters::posts_arrive").is_some());
    assert!(text_of("models/src/letters::take").is_none(), "no model");
    assert!(text_of("ui/fail/const_fn.rs").is_some() && text_of("ui/fail/fine.rs").is_none());
    assert!(cites("/// RUN-01, RUN-12: so.", "RUN-01") && cites("(RUN-12)", "RUN-12"));
    assert!(!cites("/// RUN-12.", "RUN-1") && !cites("/// GRUN-12.", "RUN-12"));
}
