//! A pool of connections for the tasks of one thread: two at most, opened one at a time when they are needed,
//! lent in the order of asking, and closed when the last has come back.
//!
//! ```sh
//! cargo run --example pool
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use loopbind::sync::{Condition, Lock, OwnedPermit, Semaphore};
use loopbind::{loop_main, sleep, spawn, timeout, yield_now};

const MOST: usize = 2;

/// What would be a socket with somebody at its other end.
struct Connection {
    number: u32,
}

impl Connection {
    async fn open(number: u32) -> Connection {
        println!("  opening connection {number}");
        sleep(Duration::from_millis(3)).await;
        Connection { number }
    }

    async fn ask(&mut self, question: &str) -> String {
        sleep(Duration::from_millis(5)).await;
        format!("connection {} heard {question:?}", self.number)
    }
}

struct Pool {
    /// A permit for each connection that may be in use; who waits for one stands in line here.
    places: Rc<Semaphore>,
    idle: RefCell<Vec<Connection>>,
    /// How many were opened. Held while one is: nobody opens a second one meanwhile.
    opened: Lock<u32>,
    /// Notified when one comes back.
    returned: Condition,
}

/// A connection on loan: it is back, and its place free for the next in line, when this drops, come what may.
struct Loan {
    /// `None` once it is back.
    connection: Option<Connection>,
    pool: Rc<Pool>,
    _place: OwnedPermit,
}

impl Pool {
    fn new() -> Rc<Self> {
        Rc::new(Pool {
            places: Rc::new(Semaphore::new(MOST)),
            idle: RefCell::default(),
            opened: Lock::default(),
            returned: Condition::new(),
        })
    }

    async fn borrow(self: Rc<Self>) -> Loan {
        let place = Rc::clone(&self.places).acquire_owned().await;
        let idle = self.idle.borrow_mut().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let mut opened = self.opened.lock().await;
                let connection = Connection::open(*opened + 1).await;
                *opened += 1;
                connection
            }
        };
        Loan { connection: Some(connection), pool: self, _place: place }
    }

    /// Waits until all are back, and closes them; how many there were.
    async fn close(&self) -> u32 {
        let opened = self.opened.lock().await;
        let all_back = |_: &mut u32| self.places.available() == MOST;
        let opened = self.returned.wait_for(opened, all_back).await;
        self.idle.borrow_mut().clear();
        *opened
    }
}

impl Loan {
    async fn ask(&mut self, question: &str) -> String {
        match &mut self.connection {
            Some(connection) => connection.ask(question).await,
            None => unreachable!("it goes back as the loan drops"),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.pool.idle.borrow_mut().extend(self.connection.take());
        // Who is notified looks in a turn of its own: by then the place is free, too.
        self.pool.returned.notify_all();
    }
}

#[loop_main]
async fn main() {
    let pool = Pool::new();
    let clients = (1..=5).map(|client| {
        let pool = Rc::clone(&pool);
        spawn(async move {
            // The fourth does not wait long; those behind it move up.
            let patience = Duration::from_millis(if client == 4 { 1 } else { 1_000 });
            let Ok(mut loan) = timeout(patience, pool.borrow()).await else {
                return println!("client {client} gives up");
            };
            let answer = loan.ask(&format!("hello from {client}")).await;
            println!("client {client}: {answer}");
        })
    });
    let clients: Vec<_> = clients.collect();
    yield_now().await; // all of them have asked
    let opened = pool.close().await;
    println!("{opened} connections did for five clients");
    for client in join_all(clients).await {
        client.expect("no client fails");
    }
    assert_eq!((opened, pool.places.available()), (2, MOST));
}
