//! Notices when the grant, the policy or the list of secrets changes, whoever changes them: another
//! verb, an editor, a sync tool. Where the kernel cannot tell (no inotify, a network file system,
//! macOS), it asks to be looked at every second.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

/// How often to look where watching is impossible.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches some files through their directories, because files are replaced and not written to.
#[derive(Debug)]
pub struct Watch {
    #[cfg(target_os = "linux")]
    inotify: Option<nix::sys::inotify::Inotify>,
    /// The directories that the kernel watches: device and inode, because one may be replaced.
    #[cfg(target_os = "linux")]
    dirs: Vec<Option<(u64, u64)>>,
    files: Vec<PathBuf>,
    seen: Vec<Option<Trace>>,
}

/// What tells two states of a file apart without reading it.
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
        watch.seen = watch.look();
        watch
    }

    /// Asks the kernel to tell, unless it does. A directory that was moved away or made anew has to
    /// be asked for again.
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

    /// What to poll, if the kernel tells.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsFd as _;
            self.inotify.as_ref().map(|inotify| inotify.as_fd())
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// How long to wait before the next look, if the kernel does not tell.
    pub fn interval(&self) -> Option<Duration> {
        self.fd().is_none().then_some(LOOK_EVERY)
    }

    /// Whether one of the files has changed since the last call.
    pub fn changed(&mut self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(inotify) = &self.inotify {
            // What happened does not matter, only that something did.
            drop(inotify.read_events());
        }
        self.begin();
        let now = self.look();
        let changed = now != self.seen;
        self.seen = now;
        changed
    }

    fn look(&self) -> Vec<Option<Trace>> {
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

/// File systems on which other machines, or programs outside the kernel, change files unseen.
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
