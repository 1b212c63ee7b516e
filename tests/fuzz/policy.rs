//! Fuzzes the policy parser: it does not panic on any text, every error has a position, and reading
//! the same text again gives the same policy.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::error::Code;
use mcpwrap::testing::policy::load;
use mcpwrap::testing::secret::ServerName;

fuzz_target!(|text: &str| {
    let dirs = Dirs::under(Path::new("/nowhere"));
    let server = ServerName::new("github").unwrap();
    match load::check(&dirs, &server, text) {
        Ok(policy) => {
            assert!(!policy.command.is_empty());
            assert_eq!(load::check(&dirs, &server, &policy.text), Ok(policy));
        }
        Err(error) => {
            assert_eq!(error.code, Code::PolicyInvalid);
            assert!(error.to_string().lines().all(|line| line.starts_with("mcpwrap: ")));
        }
    }
});
