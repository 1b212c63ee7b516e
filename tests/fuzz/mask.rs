//! Fuzzes masking: the laws hold for any secrets and any text.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[expect(unused_imports, reason = "a macro of the property tests")]
mod laws;

fuzz_target!(|data: &[u8]| laws::check(data));
