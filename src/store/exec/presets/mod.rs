//! The presets, a row for each program.

mod op;
mod pass;

pub use self::op::OP;
pub use self::pass::PASS;
