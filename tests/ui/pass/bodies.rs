//! What may stand in a body.
#![deny(warnings)]

mod outside {
    pub fn helper() -> u32 {
        1
    }

    pub mod inside {
        use super::*;

        #[loopbind::loop_main]
        pub async fn reaches_out() -> u32 {
            use super::helper as same;
            std::future::ready(helper() + same()).await
        }
    }
}

#[loopbind::loop_main]
async fn inner_attributes() -> u32 {
    #![allow(unused_variables)]
    #![allow(unused_mut)]
    let mut unused = 1;
    std::future::ready(1).await
}

struct Me(u32);

impl Me {
    #[loopbind::loop_thread]
    async fn inner_attributes(&self) -> u32 {
        #![allow(unused_variables)]
        let unused = 1;
        std::future::ready(self.0).await
    }
}

#[loopbind::loop_main]
async fn items() -> usize {
    struct List {
        next: Option<Box<Self>>,
    }
    impl List {
        const NONE: Self = Self { next: None };
        fn length(&self) -> usize {
            self.next.as_ref().map_or(0, |next| 1 + next.length())
        }
    }
    macro_rules! one {
        () => {
            1
        };
    }
    let list = List { next: Some(Box::new(List::NONE)) };
    std::future::ready(list.length() + one!()).await
}

#[loopbind::loop_main]
async fn flow(values: Vec<Result<u32, String>>) -> Result<u32, String> {
    let mut sum = 0;
    'all: for value in values {
        loop {
            if sum > 10 {
                break 'all;
            }
            sum += std::future::ready(value.clone()).await?;
            continue 'all;
        }
    }
    let block = 'block: {
        if sum == 3 {
            break 'block 1;
        }
        2
    };
    match block {
        1 => return Ok(sum),
        _ => Ok(sum + 100),
    }
}

#[loopbind::loop_main]
async fn temporaries(cell: std::cell::RefCell<Vec<u32>>) -> usize {
    std::future::ready(()).await;
    cell.borrow().len()
}

#[loopbind::loop_main]
async fn not_send() -> usize {
    let shared = std::rc::Rc::new(std::cell::Cell::new(1));
    let other = std::rc::Rc::clone(&shared);
    std::future::ready(()).await;
    other.set(2);
    shared.get()
}

fn main() {
    assert_eq!(outside::inside::reaches_out(), 2);
    assert_eq!(inner_attributes(), 1);
    assert_eq!(Me(3).inner_attributes(), 3);
    assert_eq!(items(), 2);
    assert_eq!(flow(vec![Ok(1), Ok(2)]), Ok(3));
    assert_eq!(flow(vec![Ok(1), Err(String::from("no")), Ok(1)]), Err(String::from("no")));
    assert_eq!(temporaries(std::cell::RefCell::new(vec![1])), 1);
    assert_eq!(not_send(), 2);
}
