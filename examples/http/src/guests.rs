//! A tower service that holds an `Rc`, and sleeps on the loop: tower asks nobody to be `Send`.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use loopbind::sleep;
use tower::{Service, ServiceBuilder};

pub(crate) fn service(
    visits: &Rc<Cell<u64>>,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: 'static>
+ 'static {
    let visits = Rc::clone(visits);
    ServiceBuilder::new().map_response(|text: String| Response::new(Body::from(text))).service_fn(
        move |_: Request<Incoming>| {
            let visits = Rc::clone(&visits);
            async move {
                sleep(Duration::from_millis(1)).await;
                visits.set(visits.get() + 1);
                Ok(format!("guest {}\n", visits.get()))
            }
        },
    )
}
