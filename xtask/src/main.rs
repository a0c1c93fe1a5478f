//! Every chore of the project has one door.
fn main() {}
