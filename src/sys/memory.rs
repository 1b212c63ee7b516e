//! Releases memory that was needed only at the start, and keeps values out of the swap space.
//!
//! A launch uses most of the program's code, a session little of it. The code pages are clean and
//! file-backed, so dropping them costs nothing and the kernel loads them again when needed.

/// Drops the code pages of this program from memory. Linux only; errors are ignored.
pub fn drop_code_pages() {
    #[cfg(target_os = "linux")]
    if let Ok(maps) = std::fs::read_to_string("/proc/self/maps") {
        for line in maps
            .lines()
            .filter(|line| line.contains(" r-xp ") && line.contains('/'))
        {
            let Some((start, end)) = line
                .split(' ')
                .next()
                .and_then(|range| range.split_once('-'))
            else {
                continue;
            };
            let number = |text| usize::from_str_radix(text, 16).ok();
            if let (Some(start), Some(end)) = (number(start), number(end)) {
                drop_pages(start, end.saturating_sub(start));
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the range is a number from /proc/self/maps")]
fn drop_pages(start: usize, length: usize) {
    let address = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range is a private mapping of a file that was never written to (`r-xp`), so the
    // next access reads the same bytes from the file again.
    unsafe { nix::libc::madvise(address, length, nix::libc::MADV_DONTNEED) };
}

/// Large blocks are given back to the system when they are freed. By default glibc keeps up to 64 MiB once
/// such blocks were used. Linux with glibc only; errors are ignored.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
    {
        // SAFETY: two numbers that steer later allocations; no block is touched.
        unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, 256 << 10) };
    }
}

/// The largest size of a page (bytes).
#[cfg(target_os = "linux")]
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Provides the pages of the next bytes of a buffer in one step, instead of one by one when each is
/// written: in a virtual machine that takes most of the time. Linux 5.14; errors are ignored.
pub fn provide_pages(buffer: &mut Vec<u8>, bytes: usize) {
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "madvise has no safe wrapper")]
    {
        let free = buffer.spare_capacity_mut();
        let before = free.as_ptr().align_offset(PAGE_BYTES_MAX);
        let room = free.len().min(bytes).saturating_sub(before);
        let length = room / PAGE_BYTES_MAX * PAGE_BYTES_MAX;
        let range = free.get_mut(before..).unwrap_or_default();
        if length > 0 {
            let advice = nix::libc::MADV_POPULATE_WRITE;
            // SAFETY: whole pages inside the free part of a buffer that we own; no byte is changed.
            unsafe { nix::libc::madvise(range.as_mut_ptr().cast(), length, advice) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (buffer, bytes);
}

/// Keeps the pages of a value in memory, so that it is not written to the swap space. Errors are
/// ignored: the limit of locked memory (`ulimit -l`) may be reached.
#[expect(unsafe_code, reason = "the slice is a valid range")]
pub fn lock(bytes: &[u8]) {
    // SAFETY: the range is that of a slice, and `mlock` changes no byte of it.
    unsafe { nix::libc::mlock(bytes.as_ptr().cast(), bytes.len()) };
}
