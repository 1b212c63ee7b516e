//! Detects changes of the grant, the policy and the secret index by any program. Where the kernel
//! cannot report them (no inotify, a network file system, macOS), the files are polled every
//! second.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

/// The polling interval where watching is impossible.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches files through their directories, because files are replaced, not modified.
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    inotify: Option<nix::sys::inotify::Inotify>,
    /// The watched directories by device and inode, because one may be replaced.
    #[cfg(target_os = "linux")]
    dirs: Vec<Option<(u64, u64)>>,
    files: Vec<PathBuf>,
    seen: Vec<Option<Trace>>,
}

/// Distinguishes two states of a file without reading it.
type Trace = (u64, u64, (i64, i64), (i64, i64));

impl Watch {
    pub fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self {
            #[cfg(target_os = "linux")]
            inotify: None,
            #[cfg(target_os = "linux")]
            dirs: Vec::new(),
            seen: Vec::new(),
            files,
        };
        watch.begin();
        watch.seen = watch.read_traces();
        watch
    }

    /// Starts watching, unless all directories are watched. A directory that was moved or replaced
    /// must be watched again.
    fn begin(&mut self) {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt as _;
            let identity = |file: &PathBuf| {
                let meta = std::fs::metadata(file.parent()?).ok()?;
                Some((meta.dev(), meta.ino()))
            };
            let dirs: Vec<_> = self.files.iter().map(identity).collect();
            if self.inotify.is_none() || self.dirs != dirs {
                self.inotify = inotify(&self.files);
                self.dirs = dirs;
            }
        }
    }

    /// The descriptor to poll, if the kernel reports changes.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsFd as _;
            self.inotify.as_ref().map(|inotify| inotify.as_fd())
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// The polling interval, if the kernel does not report changes.
    pub fn interval(&self) -> Option<Duration> {
        self.fd().is_none().then_some(LOOK_EVERY)
    }

    /// Whether one of the files has changed since the last call.
    pub fn changed(&mut self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(inotify) = &self.inotify {
            // The events only say that something changed.
            drop(inotify.read_events());
        }
        self.begin();
        let now = self.read_traces();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    fn read_traces(&self) -> Vec<Option<Trace>> {
        use std::os::unix::fs::MetadataExt as _;
        let trace = |path: &PathBuf| {
            let meta = std::fs::symlink_metadata(path).ok()?;
            let (mtime, ctime) = (
                (meta.mtime(), meta.mtime_nsec()),
                (meta.ctime(), meta.ctime_nsec()),
            );
            Some((meta.ino(), meta.len(), mtime, ctime))
        };
        self.files.iter().map(trace).collect()
    }
}

#[cfg(target_os = "linux")]
fn inotify(files: &[PathBuf]) -> Option<nix::sys::inotify::Inotify> {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
    let wanted = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    let mut dirs: Vec<_> = files.iter().filter_map(|file| file.parent()).collect();
    dirs.sort();
    dirs.dedup();
    for dir in dirs {
        if is_remote(dir) {
            return None;
        }
        inotify.add_watch(dir, wanted).ok()?;
    }
    Some(inotify)
}

/// Whether changes by other machines, or by programs outside the kernel, go unreported.
#[cfg(target_os = "linux")]
fn is_remote(dir: &std::path::Path) -> bool {
    // NFS, CIFS, SMB2, FUSE, 9P, AFS, Ceph: magic numbers of statfs(2).
    const REMOTE: &[i64] = &[
        0x6969,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x5346_414f,
        0x00c3_6400,
    ];
    rustix::fs::statfs(dir).map_or(true, |stat| REMOTE.contains(&stat.f_type))
}
