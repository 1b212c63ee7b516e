//! `mcpwrap policy schema`: the JSON Schema of policy files, generated from the types that read them.

use crate::cli::print;
use crate::policy::schema::json_schema;

pub fn run() -> u8 {
    print::json(json_schema().as_value());
    0
}
