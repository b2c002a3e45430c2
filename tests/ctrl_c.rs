//! `#[loop_main(ctrl_c = "cancel")]`: the first SIGINT cancels the body, the second ends the process.
//!
//! Without libtest's harness: each case starts a program, which is this file again, and interrupts it
//! when it has said that it is ready. What a program says is its trace.

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod support;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    if let Ok(name) = std::env::var(program::NAME) {
        support::limit_lifetime();
        let (_, run) = programs::PROGRAMS.iter().find(|(known, _)| *known == name).unwrap();
        run();
        return std::process::ExitCode::SUCCESS;
    }
    support::run_cases(cases::CASES)
}

/// A program of this file, as another process sees it.
#[cfg(unix)]
mod program {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, ChildStdout, Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    pub(super) const NAME: &str = "LOOPBIND_TEST_PROGRAM";

    pub(super) struct Program {
        child: Child,
        stdout: BufReader<ChildStdout>,
    }

    impl Program {
        /// Starts it, and waits until it says "ready".
        #[track_caller]
        pub(super) fn start(name: &str) -> Self {
            Self::start_behind(name, &[])
        }

        /// The same, where it says something before.
        #[track_caller]
        pub(super) fn start_behind(name: &str, lines: &[&str]) -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.env(NAME, name).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let stdout = BufReader::new(child.stdout.take().unwrap());
            let mut program = Program { child, stdout };
            lines.iter().chain(&["ready"]).for_each(|line| program.says(line));
            program
        }

        #[track_caller]
        pub(super) fn says(&mut self, expected: &str) {
            let mut line = String::new();
            self.stdout.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), expected);
        }

        pub(super) fn send(&self, signal: Signal) {
            kill_process(Pid::from_child(&self.child), signal).unwrap();
        }

        pub(super) fn interrupt(&self) {
            self.send(Signal::INT);
        }

        /// It says these lines, and ends with this status: a negative one is a signal.
        #[track_caller]
        pub(super) fn ends(mut self, status: i32, lines: &[&str]) {
            let mut said = String::new();
            self.stdout.read_to_string(&mut said).unwrap();
            let ended = self.child.wait().unwrap();
            assert_eq!(said.lines().collect::<Vec<_>>(), lines, "{ended}");
            let ended = ended.code().or(ended.signal().map(|signal| -signal));
            assert_eq!(ended, Some(status));
        }
    }
}

#[cfg(unix)]
mod programs {
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Poll;
    use std::time::Duration;

    use futures::channel::oneshot;
    use loopbind::signal::{SignalKind, signal};
    use loopbind::{
        EventLoop, get_running_loop, loop_main, loop_thread, sleep, spawn, task::cancelled,
        yield_now,
    };
    use rustix::process::{Signal, getpid, kill_process};

    use super::support::on_drop;

    macro_rules! programs {
        ($($name:ident),* $(,)?) => { &[$((stringify!($name), $name as fn())),*] };
    }

    pub(super) const PROGRAMS: &[(&str, fn())] = programs![
        deaf,
        busy,
        listening,
        failing,
        giving_up,
        stubborn,
        stuck_in_a_destructor,
        stuck,
        leaving_tasks,
        leaving_a_stubborn_task,
        over,
        asked_as_it_returns,
        asked_before_it_listens,
        asked_before_a_stop,
        panicking_when_told,
        panicking_when_dropped,
        without_the_option,
        after_a_run,
        two_runs,
        ignoring,
        handling,
        hearing_it_too,
        heard_already,
        beside_one_that_ends,
        forking,
    ];

    fn say(what: impl std::fmt::Display) {
        println!("{what}");
    }

    fn interrupt_myself() {
        kill_process(getpid(), Signal::INT).unwrap();
    }

    /// A task that cleans up when it is told.
    async fn tidy(name: &'static str) {
        cancelled().await;
        say(format!("{name} told"));
        sleep(Duration::from_millis(1)).await;
        say(format!("{name} cleaned up"));
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn deaf() {
        let _outer = on_drop(|| {
            let myself = get_running_loop().unwrap().current_task();
            say(format!("outer dropped, by its task: {}", myself.is_some()));
        });
        let _inner = on_drop(|| say("inner dropped"));
        say("ready");
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn busy() {
        let _body = on_drop(|| say("dropped"));
        say("ready");
        loop {
            yield_now().await;
        }
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn listening_body(answer: i32) -> i32 {
        let _body = on_drop(|| say("body dropped"));
        say("ready");
        tidy("body").await;
        answer
    }

    fn listening() {
        let answer = listening_body(7);
        say(format!("returned {answer}"));
        std::process::exit(answer);
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn failing_body() -> Result<(), String> {
        say("ready");
        cancelled().await;
        yield_now().await;
        Err("it cannot be cleaned up".into())
    }

    fn failing() {
        say(failing_body().unwrap_err());
    }

    /// It listens, is told, and does not want to know.
    #[loop_main(ctrl_c = "cancel")]
    async fn giving_up() {
        let _body = on_drop(|| say("dropped"));
        let mut listener = Box::pin(cancelled());
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            if polls == 1 {
                assert!(listener.as_mut().poll(cx).is_pending());
                say("ready");
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        drop(listener);
        say("given up");
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn stubborn() {
        let _body = on_drop(|| say("dropped"));
        say("ready");
        cancelled().await;
        say("told");
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn stuck_in_a_destructor() {
        let _body = on_drop(|| {
            say("dropping");
            loop {
                std::thread::park();
            }
        });
        say("ready");
        pending::<()>().await;
    }

    #[loop_thread(spawn)]
    async fn witness() {
        let mut interrupts = signal(SignalKind::interrupt()).unwrap();
        say("ready");
        while interrupts.recv().await.is_some() {
            say("heard");
        }
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn stuck() {
        let _body = on_drop(|| say("dropped"));
        let _witness = witness();
        loop {
            std::thread::park();
        }
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn leaving_tasks() {
        let _body = on_drop(|| say("body dropped"));
        spawn(tidy("first"));
        spawn(async {
            let _second = on_drop(|| say("second dropped"));
            pending::<()>().await;
        });
        spawn(tidy("third")).detach();
        yield_now().await;
        say("ready");
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn leaving_a_stubborn_task() {
        spawn(async {
            cancelled().await;
            say("leftover told");
            pending::<()>().await;
        });
        yield_now().await;
        say("ready");
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn over() {
        spawn(async {
            let _leftover = on_drop(|| say("leftover dropped"));
            cancelled().await;
            say("ready");
            pending::<()>().await;
        });
        yield_now().await;
    }

    struct Unwanted;

    impl Drop for Unwanted {
        fn drop(&mut self) {
            say("value dropped");
        }
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn asked_as_it_returns_body() -> Unwanted {
        spawn(tidy("leftover"));
        yield_now().await;
        say("ready");
        interrupt_myself();
        Unwanted
    }

    fn asked_as_it_returns() {
        asked_as_it_returns_body();
        say("returned");
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn asked_before_it_listens() {
        say("ready");
        interrupt_myself();
        tidy("body").await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn asked_before_a_stop() {
        let _body = on_drop(|| say("dropped"));
        say("ready");
        interrupt_myself();
        get_running_loop().unwrap().stop();
        pending::<()>().await;
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn panicking_when_told() {
        spawn(tidy("leftover"));
        say("ready");
        cancelled().await;
        panic!("told");
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn panicking_when_dropped() {
        spawn(tidy("leftover"));
        let _body = on_drop(|| panic!("dropped"));
        yield_now().await;
        say("ready");
        pending::<()>().await;
    }

    #[loop_main]
    async fn without_the_option() {
        let _body = on_drop(|| say("dropped"));
        say("ready");
        cancelled().await;
        say("told");
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn nothing() {}

    fn after_a_run() {
        nothing();
        say("ready");
        loop {
            std::thread::park();
        }
    }

    fn two_runs() {
        nothing();
        say("ready");
        once();
        say("once more");
        once();
        say("and the end");
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn once() {
        interrupt_myself();
        cancelled().await;
        say("told");
    }

    /// Ends when SIGUSR1 comes.
    #[loop_main(ctrl_c = "cancel")]
    async fn until_usr1() {
        let _body = on_drop(|| say("dropped"));
        let mut ends = signal(SignalKind::user_defined1()).unwrap();
        let mut told = pin!(cancelled());
        say("ready");
        poll_fn(|cx| {
            assert!(told.as_mut().poll(cx).is_pending(), "it was cancelled");
            ends.poll_recv(cx)
        })
        .await;
        say("ended");
    }

    fn ignoring() {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
        until_usr1();
    }

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn count(_signal: libc::c_int) {
        CALLS.fetch_add(1, Ordering::SeqCst);
    }

    fn handling() {
        let handler: extern "C" fn(libc::c_int) = count;
        // SAFETY: the handler touches an atomic and nothing else.
        unsafe { libc::signal(libc::SIGINT, handler as libc::sighandler_t) };
        until_usr1();
        say(format!("{} calls", CALLS.load(Ordering::SeqCst)));
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn hearing_it_too() {
        let event_loop = get_running_loop().unwrap();
        let kind = SignalKind::interrupt();
        event_loop.add_signal_handler(kind, || say("the old callback")).unwrap();
        event_loop.add_signal_handler(kind, || say("the callback")).unwrap();
        let mut interrupts = signal(kind).unwrap();
        spawn(async move {
            interrupts.recv().await;
            say("the task");
        });
        yield_now().await;
        say("ready");
        cancelled().await;
        yield_now().await;
        assert!(event_loop.remove_signal_handler(kind));
        say("told");
    }

    fn heard_already() {
        let event_loop = EventLoop::new().unwrap();
        event_loop.add_signal_handler(SignalKind::interrupt(), || say("the callback")).unwrap();
        say(format!("returned {}", listening_body(7)));
        event_loop.turn(Some(Duration::ZERO)).unwrap();
    }

    /// Its body is over, and what is left of it goes on until it is let.
    #[loop_main(ctrl_c = "cancel")]
    async fn ending(is_over: mpsc::Sender<()>, let_go: oneshot::Receiver<()>) {
        spawn(async move {
            cancelled().await;
            is_over.send(()).unwrap();
            let_go.await.unwrap();
            say("cleaned up beside it");
        });
        yield_now().await;
    }

    fn beside_one_that_ends() {
        let (is_over, other_is_over) = mpsc::channel();
        let (let_go, gate) = oneshot::channel();
        let other = std::thread::spawn(|| ending(is_over, gate));
        other_is_over.recv().unwrap();
        say(format!("returned {}", listening_body(7)));
        let_go.send(()).unwrap();
        other.join().unwrap();
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn forking_body() {
        // SAFETY: this process has one thread, which holds no lock here.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // Back to the run, which is the parent's.
            pending::<()>().await;
        }
        let mut status = 0;
        // SAFETY: `status` is ours, and the child, which nobody else waits for.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        say(format!("the child ended with {status}"));
        say("ready");
        tidy("body").await;
    }

    fn forking() {
        match std::panic::catch_unwind(forking_body) {
            Ok(()) => say("returned"),
            Err(payload) => say(super::support::text_of(&*payload)),
        }
    }
}

#[cfg(unix)]
mod cases {
    use rustix::process::Signal;

    use super::program::Program;
    use super::support;

    pub(super) const CASES: &[support::Case] = support::cases![
        a_body_that_does_not_listen_is_dropped,
        a_body_that_is_always_ready_is_dropped,
        a_body_that_listens_cleans_up_and_has_its_value,
        a_body_that_listens_may_fail,
        a_body_that_gives_up_listening_is_dropped,
        the_second_ends_a_body_that_does_not,
        the_second_ends_a_destructor_that_does_not_return,
        the_second_ends_a_body_that_never_came_back_to_the_loop,
        what_is_left_cleans_up,
        the_second_ends_the_cleanup_of_what_is_left,
        one_is_enough_when_the_body_is_over,
        a_value_that_comes_with_the_signal_is_not_wanted,
        a_body_may_begin_to_listen_when_it_was_asked,
        a_stop_does_not_hide_the_signal,
        a_panic_of_a_body_that_was_told_passes_through,
        a_panic_of_a_destructor_passes_through,
        without_the_option_the_signal_kills,
        after_the_run_the_signal_kills_again,
        each_run_has_a_first_signal,
        an_ignored_signal_stays_ignored,
        another_handler_stays_in_charge,
        others_hear_it_too,
        others_may_have_come_first,
        the_first_is_news_to_a_run_beside_one_that_ends,
        a_forked_child_is_asked_nothing_and_takes_nothing_along,
    ];

    /// RNR-20, without the cleanup.
    fn a_body_that_does_not_listen_is_dropped() {
        let program = Program::start("deaf");
        program.interrupt();
        program.ends(130, &["inner dropped", "outer dropped, by its task: true"]);
    }

    fn a_body_that_is_always_ready_is_dropped() {
        let program = Program::start("busy");
        program.interrupt();
        program.ends(130, &["dropped"]);
    }

    /// RNR-21.
    fn a_body_that_listens_cleans_up_and_has_its_value() {
        let program = Program::start("listening");
        program.interrupt();
        program.ends(7, &["body told", "body cleaned up", "body dropped", "returned 7"]);
    }

    fn a_body_that_listens_may_fail() {
        let program = Program::start("failing");
        program.interrupt();
        program.ends(0, &["it cannot be cleaned up"]);
    }

    fn a_body_that_gives_up_listening_is_dropped() {
        let program = Program::start("giving_up");
        program.interrupt();
        program.ends(130, &["given up", "dropped"]);
    }

    /// RNR-22: at once, so that nothing is dropped.
    fn the_second_ends_a_body_that_does_not() {
        let mut program = Program::start("stubborn");
        program.interrupt();
        program.says("told");
        program.interrupt();
        program.ends(130, &[]);
    }

    fn the_second_ends_a_destructor_that_does_not_return() {
        let mut program = Program::start("stuck_in_a_destructor");
        program.interrupt();
        program.says("dropping");
        program.interrupt();
        program.ends(130, &[]);
    }

    fn the_second_ends_a_body_that_never_came_back_to_the_loop() {
        let mut program = Program::start("stuck");
        program.interrupt();
        program.says("heard");
        program.interrupt();
        program.ends(130, &[]);
    }

    fn what_is_left_cleans_up() {
        let program = Program::start("leaving_tasks");
        program.interrupt();
        program.ends(
            130,
            &[
                "body dropped",
                "first told",
                "second dropped",
                "third told",
                "first cleaned up",
                "third cleaned up",
            ],
        );
    }

    fn the_second_ends_the_cleanup_of_what_is_left() {
        let mut program = Program::start("leaving_a_stubborn_task");
        program.interrupt();
        program.says("leftover told");
        program.interrupt();
        program.ends(130, &[]);
    }

    /// RNR-25.
    fn one_is_enough_when_the_body_is_over() {
        let program = Program::start("over");
        program.interrupt();
        program.ends(130, &[]);
    }

    /// CAN-08: it was asked to end, and nobody told it.
    fn a_value_that_comes_with_the_signal_is_not_wanted() {
        let program = Program::start("asked_as_it_returns");
        program.ends(130, &["leftover told", "leftover cleaned up", "value dropped"]);
    }

    fn a_body_may_begin_to_listen_when_it_was_asked() {
        let program = Program::start("asked_before_it_listens");
        program.ends(0, &["body told", "body cleaned up"]);
    }

    fn a_stop_does_not_hide_the_signal() {
        let program = Program::start("asked_before_a_stop");
        program.ends(130, &["dropped"]);
    }

    fn a_panic_of_a_body_that_was_told_passes_through() {
        let program = Program::start("panicking_when_told");
        program.interrupt();
        program.ends(101, &["leftover told", "leftover cleaned up"]);
    }

    fn a_panic_of_a_destructor_passes_through() {
        let program = Program::start("panicking_when_dropped");
        program.interrupt();
        program.ends(101, &["leftover told", "leftover cleaned up"]);
    }

    fn without_the_option_the_signal_kills() {
        let program = Program::start("without_the_option");
        program.interrupt();
        program.ends(-libc::SIGINT, &[]);
    }

    fn after_the_run_the_signal_kills_again() {
        let program = Program::start("after_a_run");
        program.interrupt();
        program.ends(-libc::SIGINT, &[]);
    }

    fn each_run_has_a_first_signal() {
        Program::start("two_runs").ends(0, &["told", "once more", "told", "and the end"]);
    }

    /// RNR-24, as `nohup` and scripts have it.
    fn an_ignored_signal_stays_ignored() {
        let program = Program::start("ignoring");
        program.interrupt();
        program.send(Signal::USR1);
        program.ends(0, &["ended", "dropped"]);
    }

    /// RNR-24.
    fn another_handler_stays_in_charge() {
        let program = Program::start("handling");
        program.interrupt();
        program.send(Signal::USR1);
        program.ends(0, &["ended", "dropped", "1 calls"]);
    }

    fn others_hear_it_too() {
        let program = Program::start("hearing_it_too");
        program.interrupt();
        program.ends(0, &["the callback", "the task", "told"]);
    }

    /// Somebody who listens is no handler that would have the signal instead.
    fn others_may_have_come_first() {
        let program = Program::start("heard_already");
        program.interrupt();
        program.ends(
            0,
            &["body told", "body cleaned up", "body dropped", "returned 7", "the callback"],
        );
    }

    /// RNR-25 for one, RNR-21 for the other, which began when that was over but for its cleanup.
    fn the_first_is_news_to_a_run_beside_one_that_ends() {
        let program = Program::start("beside_one_that_ends");
        program.interrupt();
        program.ends(
            0,
            &["body told", "body cleaned up", "body dropped", "returned 7", "cleaned up beside it"],
        );
    }

    /// A run that forks: the child leaves it with an error, and what it drops of it is the parent's, whose first
    /// Ctrl-C still is news.
    fn a_forked_child_is_asked_nothing_and_takes_nothing_along() {
        let error = "the event loop belongs to the process that forked this one";
        let program = Program::start_behind("forking", &[error, "the child ended with 0"]);
        program.interrupt();
        program.ends(0, &["body told", "body cleaned up", "returned"]);
    }
}
