//! The redis client in tasks of ours that hold an `Rc`: one connection for all of them, pipelines, transactions, and
//! messages that others publish, on one thread. By the function instead of the attribute.
//!
//! ```sh
//! cargo run --bin cache                              # with a small server of its own, in the same thread
//! cargo run --bin cache -- redis://127.0.0.1:6379    # with a redis-server, or redis+unix:///run/redis.sock
//! ```

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::process;
use std::rc::Rc;

use futures::StreamExt as _;
use guests::{resp, threads};
use loopbind::spawn;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Client, RedisResult, pipe};

const TASKS: usize = 200;
const STEPS: usize = 10;
const MESSAGES: usize = 50;

/// What the tasks know together.
#[derive(Default)]
struct Ledger {
    /// Each number that the counter has given.
    numbers: RefCell<Vec<usize>>,
    transactions: Cell<usize>,
}

/// Counts at the server, and keeps something there, in turns with all others.
async fn work(
    mut redis: MultiplexedConnection,
    place: String,
    number: usize,
    ledger: Rc<Ledger>,
) -> RedisResult<()> {
    let (counter, own) = (format!("{place}:counter"), format!("{place}:{number}"));
    for step in 0..STEPS {
        let given = redis.incr(&counter, 1).await?;
        ledger.numbers.borrow_mut().push(given);
        let text = format!("{number} at {step}");
        let (read,): (String,) =
            pipe().set(&own, &text).ignore().get(&own).query_async(&mut redis).await?;
        assert_eq!(read, text);
    }
    let turns = format!("{own}:turns");
    let (first, second): (usize, usize) =
        pipe().atomic().incr(&turns, 1).incr(&turns, 1).query_async(&mut redis).await?;
    assert_eq!((first, second), (1, 2), "nobody else is in between");
    ledger.transactions.set(ledger.transactions.get() + 1);
    redis.del::<_, ()>(&[own, turns]).await
}

/// What is heard on a channel, until all was said.
async fn listen(client: Client, channel: String, ready: impl FnOnce()) -> RedisResult<Vec<String>> {
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(&channel).await?;
    ready();
    let messages = pubsub.on_message().take(MESSAGES);
    messages.map(|message| message.get_payload()).collect::<Vec<_>>().await.into_iter().collect()
}

async fn talk(address: Option<String>) -> Result<String, Box<dyn Error>> {
    let own = if address.is_some() { None } else { Some(resp::serve().await?) };
    let address = match (address, &own) {
        (Some(address), _) => address,
        (None, Some(server)) => format!("redis://{}", server.local_addrs()[0]),
        (None, None) => unreachable!("one of the two"),
    };
    let client = Client::open(address)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    assert_eq!(redis.ping::<String>().await?, "PONG");
    // A server may have others' keys, and those of another run of this.
    let place = format!("loopbind:{}", process::id());

    let ledger = Rc::new(Ledger::default());
    let start = |number| spawn(work(redis.clone(), place.clone(), number, Rc::clone(&ledger)));
    let tasks: Vec<_> = (0..TASKS).map(start).collect();
    for task in tasks {
        task.await??;
    }
    let mut numbers = ledger.numbers.take();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=TASKS * STEPS).collect::<Vec<_>>(), "each was given once");
    assert_eq!(ledger.transactions.get(), TASKS);

    let (say, said) = tokio::sync::oneshot::channel();
    let channel = format!("{place}:news");
    let heard = spawn(listen(client, channel.clone(), move || say.send(()).unwrap()));
    said.await?;
    for number in 0..MESSAGES {
        let listeners: usize = redis.publish(&channel, format!("news {number}")).await?;
        assert_eq!(listeners, 1);
    }
    let expected: Vec<_> = (0..MESSAGES).map(|number| format!("news {number}")).collect();
    assert_eq!(heard.await??, expected);

    // An error of the server's is the asker's.
    let text = format!("{place}:text");
    redis.set::<_, _, ()>(&text, "no number").await?;
    assert!(redis.incr::<_, _, usize>(&text, 1).await.is_err());
    let gone: usize = redis.del(&[format!("{place}:counter"), text]).await?;
    assert_eq!(gone, 2);
    assert_eq!(threads(), 1);
    let whose = if own.is_some() { "a server of its own" } else { "the server" };
    Ok(format!("{} numbers and {MESSAGES} messages from {whose}, one thread", numbers.len()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let said = loopbind::tokio::run(talk(std::env::args().nth(1)))??;
    println!("{said}");
    Ok(())
}
