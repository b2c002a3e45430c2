//! A program that is compiled with `panic = "abort"`: it runs as any other, and its first panic is its end, with
//! the message and without a word behind it.
#![cfg(all(unix, feature = "macros"))]

#[path = "rustc_parity/built.rs"]
#[allow(dead_code)]
mod built;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use built::{Built, Compiler, place};

/// What it does with its argument.
const TEXT: &str = r#"
    use std::time::Duration;

    #[loopbind::loop_main]
    async fn main() {
        let argument = std::env::args().nth(1).unwrap();
        let task = loopbind::spawn(std::future::pending::<()>());
        loopbind::sleep(Duration::from_millis(1)).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(loopbind::spawn_blocking(|| 1).await.unwrap(), 1);
        let handle = loopbind::get_running_loop().unwrap().handle();
        let remote = std::thread::spawn(move || handle.spawn(|| async { 2 }).unwrap());
        assert_eq!(remote.join().unwrap().await.unwrap(), 2);
        let late = loopbind::timeout(Duration::from_millis(1), std::future::pending::<()>());
        late.await.unwrap_err();
        println!("before");
        match &*argument {
            "task" => loopbind::spawn(async { panic!("the panic") }).await.unwrap(),
            "callback" => {
                loopbind::get_running_loop().unwrap().call_soon(|| panic!("the panic"));
                loopbind::yield_now().await;
                loopbind::yield_now().await;
            }
            "work" => loopbind::spawn_blocking(|| panic!("the panic")).await.unwrap(),
            _ => {}
        }
        println!("behind");
    }
"#;

/// The program, compiled once for all that run it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let (built, place) = (Built::find(), place("aborting"));
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("program.rs"), TEXT).unwrap();
        let compiled = built
            .command(Compiler::RUSTC, &place)
            .args(["program.rs", "-Cpanic=abort", "-oprogram", "--color=never"])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        place.join("program")
    })
}

fn run(argument: &str) -> Output {
    Command::new(program()).arg(argument).output().unwrap()
}

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_a_panic_it_runs_as_any_other() {
    let output = run("well");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(words(&output), ("before\nbehind\n".to_owned(), String::new()));
}

#[test]
fn the_first_panic_is_the_end_wherever_it_is() {
    for place in ["task", "callback", "work"] {
        let output = run(place);
        let (out, err) = words(&output);
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{place}: {out}{err}");
        assert_eq!(out, "before\n", "{place}");
        assert_eq!(err.matches("the panic").count(), 1, "{place}: {err}");
        assert!(!err.contains("loopbind: "), "{place}: {err}");
    }
}
