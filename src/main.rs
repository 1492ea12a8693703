//! The `postern` program: arguments in, exit status out.
#![forbid(unsafe_code)]

fn main() {}
