//! One mistake is told once, whatever stands behind it.

#[loopbind::loop_main(name "ui")]
async fn no_equals() {}

#[loopbind::loop_main(name = format!("ui") format!("io"), debug)]
async fn two_values() {}

#[loopbind::loop_main(builder = make(1 2), debug)]
async fn inside_of_parentheses() {}

#[loopbind::loop_main(debug = true colour, name = "ui")]
async fn no_comma() {}

fn main() {}
