//! Diagnostics for whoever looks for a fault: rolling daily files in the log directory.
//!
//! *Always* lazy: until something is logged, nothing touches the disk. *Never* logs a value, and
//! nothing may pass one to a `tracing` macro. Not the audit log: this one may lose its last lines.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::MakeWriter;

use super::print;
use crate::dirs::{self, Dirs, MCPWRAP_LOG};
use crate::files;

/// Days of diagnostics that are kept.
const FILES_MAX: usize = 14;

/// Sends what is logged to the log directory, from the level that `MCPWRAP_LOG` names.
pub(super) fn start(dirs: &Dirs) {
    let wish = dirs::log_level();
    let level = wish
        .as_deref()
        .map_or(Some(LevelFilter::WARN), |wish| wish.parse().ok());
    if level.is_none() {
        print::warning(&format!(
            "{MCPWRAP_LOG} can be off, error, warn, info, debug or trace; logging from warn"
        ));
    }
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::WARN))
        .with_writer(LogDir {
            dir: dirs.log(),
            files: OnceLock::new(),
        })
        .with_ansi(false)
        .finish();
    // The first one stays; there is no second in a process.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// The log directory, opened by the first line that is logged.
struct LogDir {
    dir: PathBuf,
    /// None if the directory cannot be used: diagnostics are not worth a failure.
    files: OnceLock<Option<RollingFileAppender>>,
}

impl LogDir {
    fn open(&self) -> Option<RollingFileAppender> {
        files::ensure_dir(&self.dir).ok()?;
        RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("mcpwrap")
            .filename_suffix("log")
            .max_log_files(FILES_MAX)
            .build(&self.dir)
            .ok()
    }
}

impl<'a> MakeWriter<'a> for LogDir {
    type Writer = Box<dyn io::Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match self.files.get_or_init(|| self.open()) {
            Some(files) => Box::new(files.make_writer()),
            None => Box::new(io::sink()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn nothing_is_made_before_something_is_logged() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("log");
        let log = LogDir {
            dir: dir.clone(),
            files: OnceLock::new(),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_writer(log)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("below the level");
            assert!(!dir.exists());
            tracing::warn!(server = "github", "a word");
        });
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = std::fs::read_dir(&dir)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("a word") && !text.contains("below"), "{text}");
    }
}
