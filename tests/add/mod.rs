//! `mcpwrap add` and `mcpwrap remove`: entries in every format, each step once, and everything back as it
//! was.

mod at_once;
mod clients;
mod files;
mod refused;
mod removed;
mod steps;

use std::path::PathBuf;

use crate::harness::{Ended, Test, fake_server};

/// A test whose clients find mcpwrap, and one of their configs.
struct Case {
    test: Test,
    file: PathBuf,
}

const CURSOR: &str = "{\n  \"mcpServers\": {\n    \"other\": { \"command\": \"cat\" }\n  }\n}\n";

impl Case {
    /// Cursor with this config.
    fn new(text: &str) -> Self {
        let test = Test::new();
        test.init();
        let file = test.home.join(".cursor/mcp.json");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        Self { test, file }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    fn policy(&self, name: &str) -> PathBuf {
        self.test.root().join(format!("policies/{name}.toml"))
    }

    /// Adds the fake server.
    fn add(&self, more: &[&str]) -> Ended {
        let program = fake_server().display().to_string();
        self.test
            .cli(&[&["add", "s", "--yes"], more, &["--", &program]].concat())
    }
}
