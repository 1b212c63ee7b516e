//! Diagnostics for troubleshooting: daily files in the log directory.
//!
//! Invariants: nothing touches the disk until something is logged; no value is passed to a `tracing`
//! macro. This is not the audit log, and may lose its last lines.

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

/// Writes diagnostics to the log directory, from the level in `MCPWRAP_LOG` on.
pub(super) fn start(dirs: &Dirs) {
    let wanted = dirs::log_level();
    let level = wanted
        .as_deref()
        .map_or(Some(LevelFilter::WARN), |wanted| wanted.parse().ok());
    if level.is_none() {
        print::warning(&format!(
            "invalid {MCPWRAP_LOG}: expected off, error, warn, info, debug or trace; using warn"
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
    // Fails only if one is set already, and there is one per process.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// The log directory, opened when the first line is logged.
struct LogDir {
    dir: PathBuf,
    /// None if the directory cannot be used, which must not stop a command.
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
    fn no_file_is_created_before_the_first_line() {
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
