//! A server in a process of its own.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

pub struct Process {
    child: Child,
    port: u16,
}

impl Process {
    /// Ready to accept; or what it had to say last.
    pub fn start(server: &str) -> Result<Process, String> {
        let this = env::current_exe().expect("this program");
        let mut child = Command::new(this)
            .args(["serve", server])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program again");
        let mut port = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut port).expect("a port");
        match port.trim().parse() {
            Ok(port) => Ok(Process { child, port }),
            Err(_) => Err(last_words(child)),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Waits for its end, which is a good one; or gives what it had to say last.
    pub fn end(mut self) -> Result<(), String> {
        match self.child.wait().expect("a child") {
            status if status.success() => Ok(()),
            status => Err(format!("{status}: {}", last_words(self.child))),
        }
    }

    /// The same where it may not come by itself.
    pub fn kill(mut self) -> String {
        // It has ended already, most likely.
        let _ = self.child.kill();
        last_words(self.child)
    }
}

fn last_words(mut child: Child) -> String {
    let mut said = String::new();
    let stderr = child.stderr.take().expect("a pipe");
    // What is no text is of no use.
    let _ = BufReader::new(stderr).read_to_string(&mut said);
    child.wait().expect("a child");
    let words: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    words.iter().take(3).copied().collect::<Vec<_>>().join(" ")
}
