//! The program with a loop on each core, as its clients, its operator and its supervisor see it: a process of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// So long nothing takes but what hangs.
const FOREVER: Duration = Duration::from_secs(60);

/// The program, which does not outlive its test.
struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    loops: usize,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It is over already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Once all its loops listen.
    fn start(options: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_per_core"));
        command.arg("127.0.0.1:0").args(options).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let process = child.id();
        // One that hangs is ended, so that its test is, too; otherwise this thread ends with the tests long before.
        thread::spawn(move || {
            thread::sleep(FOREVER);
            send("KILL", process);
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        let address = words[0].strip_prefix("http://").unwrap().trim_end_matches(';');
        let address = address.parse().unwrap();
        Program { child, stdout, address, loops: words[2].parse().unwrap() }
    }

    fn signal(&self, name: &str) {
        assert!(send(name, self.child.id()).success());
    }

    /// How it ended, and its last words.
    fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

fn send(signal: &str, process: u32) -> ExitStatus {
    Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap()
}

/// One connection, kept.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(FOREVER)).unwrap();
        Client(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "it hung up");
        line.trim_end().to_owned()
    }

    /// The head of an answer, in lower case, and the body.
    fn answer(&mut self) -> (String, String) {
        let lines: Vec<String> = std::iter::from_fn(|| Some(self.line()))
            .take_while(|line| !line.is_empty())
            .map(|line| line.to_lowercase())
            .collect();
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (lines.join("\n"), String::from_utf8(body).unwrap())
    }

    fn get(&mut self, path: &str) -> String {
        self.say(&format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n"));
        let (head, body) = self.answer();
        assert!(head.starts_with("http/1.1 200 ok"), "{head}");
        body
    }

    /// Begins a request, of whose body four of eight bytes are sent, and has heard that it is being answered.
    fn begin_post(&mut self) {
        self.say(
            "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 8\r\nexpect: 100-continue\r\n\r\n",
        );
        assert_eq!(self.line(), "HTTP/1.1 100 Continue");
        assert_eq!(self.line(), "");
        self.say("four");
    }

    /// Waits until the other side ends it, however it does.
    fn is_hung_up(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The loop that said hello.
fn whose(hello: &str) -> String {
    hello.trim_end().rsplit_once(" of ").unwrap().1.trim_end_matches('.').to_owned()
}

/// Connections of which each loop has one at least, each asked once: the system deals them out by a hash of the
/// addresses, and which port the next client has nobody knows.
fn on_every_loop(program: &Program) -> Vec<Client> {
    let (mut clients, mut loops) = (Vec::new(), BTreeSet::new());
    while loops.len() < program.loops {
        // All of so many on one loop but by chance once in 2^64 times.
        assert!(clients.len() < 64 * program.loops, "only {loops:?} are dealt connections");
        let mut client = Client::connect(program.address);
        loops.insert(whose(&client.get("/ada")));
        clients.push(client);
    }
    clients
}

/// The figures of a family, by their loops.
fn figures(metrics: &str, family: &str) -> Vec<f64> {
    let start = format!("{family}{{loop=\"http-");
    let lines = metrics.lines().filter(|line| line.starts_with(&start));
    lines.map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect()
}

/// Told to end while one request is on: nobody new is let in, who is idle is let go, the one is answered, and only
/// then it ends.
#[test]
fn told_to_end_then_the_idle_go_then_what_was_asked_is_answered_then_it_ends() {
    let program = Program::start(&[]);
    let mut idle = on_every_loop(&program);
    let mut silent = Client::connect(program.address); // asked nothing yet
    let mut asks = Client::connect(program.address);
    asks.begin_post();

    program.signal("TERM");
    // Each loop has let go of its own, and does not listen any more by then.
    idle.iter_mut().for_each(Client::is_hung_up);
    silent.is_hung_up();
    let refused = TcpStream::connect(program.address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    asks.say("more");
    let (head, body) = asks.answer();
    assert!(head.starts_with("http/1.1 200 ok") && head.contains("connection: close"), "{head}");
    assert_eq!(body, "8 bytes, thank you.\n");
    asks.is_hung_up();
    let (status, said) = program.end();
    assert!(status.success(), "{status}");
    let answered = idle.len() + 1;
    assert_eq!(said, format!("answered {answered} requests; 0 connections were cut off\n"));
}

/// What all loops have counted is what was asked, whichever loop is asked for it; and each loop gives its own figures.
#[test]
fn asked_on_every_loop_then_the_counts_add_up_wherever_they_are_read() {
    let program = Program::start(&[]);
    let mut clients = on_every_loop(&program);
    let mut asked = clients.len();
    for client in &mut clients {
        asked += 1;
        let metrics = client.get("/metrics");
        let sum = |family: &str| figures(&metrics, family).iter().sum::<f64>();
        assert_eq!(sum("http_requests_total"), asked as f64, "{metrics}");
        assert_eq!(sum("loop_up"), program.loops as f64, "{metrics}");
        for family in ["loop_turns_total", "loop_polls_total", "loop_parked_seconds_total"] {
            let of_each = figures(&metrics, family);
            assert!(of_each.len() == program.loops && !of_each.contains(&0.0), "{metrics}");
        }
    }
    let metrics = clients[0].get("/metrics");
    let connections: f64 = figures(&metrics, "http_connections_total").iter().sum();
    assert_eq!(connections, clients.len() as f64, "{metrics}");
    drop(clients);
    program.signal("INT");
    let (status, said) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(said, format!("answered {} requests; 0 connections were cut off\n", asked + 1));
}

/// One that breaks off is counted, and does no harm.
#[test]
fn talked_nonsense_then_it_is_counted_and_the_others_are_served() {
    let program = Program::start(&[]);
    let mut confused = Client::connect(program.address);
    confused.say("this is not HTTP\r\n\r\n");
    let (head, _) = confused.answer();
    assert!(head.starts_with("http/1.1 400"), "{head}");
    confused.is_hung_up();
    let metrics = Client::connect(program.address).get("/metrics");
    assert_eq!(figures(&metrics, "http_broken_total").iter().sum::<f64>(), 1.0, "{metrics}");
}

/// Whoever does not come to an end when there is no time left is cut off.
#[test]
fn told_to_end_then_the_time_is_over_then_who_is_left_is_cut_off() {
    let program = Program::start(&["--grace", "0.05"]);
    let mut asks = Client::connect(program.address);
    asks.begin_post();
    program.signal("TERM");
    asks.is_hung_up();
    let (status, said) = program.end();
    assert!(status.success(), "{status}");
    assert_eq!(said, "answered 0 requests; 1 connections were cut off\n");
}

/// A second signal does not wait, of whichever kind it is.
#[test]
fn told_to_end_twice_then_who_is_left_is_cut_off() {
    for second in ["TERM", "INT"] {
        let program = Program::start(&["--grace", "3600"]);
        let mut idle = on_every_loop(&program);
        let mut asks = Client::connect(program.address);
        asks.begin_post();
        program.signal("TERM");
        // It was heard: two that come at once would be one.
        idle.iter_mut().for_each(Client::is_hung_up);
        program.signal(second);
        asks.is_hung_up();
        program.signal("TERM"); // once more, for nothing
        let (status, said) = program.end();
        assert!(status.success(), "{status}");
        let answered = idle.len();
        assert_eq!(said, format!("answered {answered} requests; 1 connections were cut off\n"));
    }
}

/// Where the address is somebody else's, it says so, and ends.
#[test]
fn the_address_is_taken_then_it_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_per_core")).arg(address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("per_core: ") && said.contains("in use"), "{said}");
    assert!(output.stdout.is_empty());
}

/// Where the descriptors end before all loops listen, wherever that is: it says so, and ends, and never serves by
/// halves.
#[test]
fn too_few_descriptors_then_it_says_so_and_never_serves_by_halves() {
    let mut refused = 0;
    for limit in 4.. {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit} && exec \"$0\" 127.0.0.1:0");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_per_core")]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut program = child;
        let mut line = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("http://") {
            program.kill().unwrap();
            program.wait().unwrap();
            break;
        }
        let output = program.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{limit} descriptors: {said}");
        assert!(said.starts_with("per_core: "), "{limit} descriptors: {said}");
        refused += 1;
    }
    assert!(refused > 3);
}
