//! The audit log of a test.

use std::path::PathBuf;

use super::Test;

impl Test {
    /// The records of the audit log, oldest first.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let Ok(entries) = std::fs::read_dir(self.audit_dir()) else {
            return Vec::new();
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
        files.sort();
        let text: String = files
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn audit_dir(&self) -> PathBuf {
        self.own_dir("state/audit", ".local/state/mcpwrap/audit")
    }

    /// Takes the lock of the audit log until the file is dropped.
    pub(crate) fn lock_audit(&self) -> std::fs::File {
        let lock = std::fs::File::open(self.audit_dir().join(".lock")).unwrap();
        lock.lock().unwrap();
        lock
    }

    /// The audit events, oldest first.
    pub(crate) fn events(&self) -> Vec<String> {
        let name = |record: serde_json::Value| record["event"].as_str().unwrap().to_owned();
        self.audit().into_iter().map(name).collect()
    }
}
