//! What the C library's allocator does with memory that is freed: buffers come and go with every packet, and one that was given back to
//! the system is a page fault for each of its pages when the next packet wants it.

#![expect(unsafe_code, reason = "the one file of this crate that may: mallopt")]

/// Freed memory that the process keeps, in bytes: more than the buffers of one connection at full speed.
#[cfg(target_env = "gnu")]
const KEPT: nix::libc::c_int = 8 * 1024 * 1024;
/// From this size on, an allocation is a mapping of its own, in bytes: beyond any buffer of a connection.
#[cfg(target_env = "gnu")]
const MAPPED: nix::libc::c_int = 4 * 1024 * 1024;

/// Has the process keep some megabytes of what it frees instead of giving it back at once. To be called before the first thread is
/// started; does nothing with a C library that knows no such setting.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two numbers, keeps no reference, and locks the allocator itself.
    unsafe {
        // One that it refuses is a default that stays.
        nix::libc::mallopt(nix::libc::M_TRIM_THRESHOLD, KEPT);
        nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, MAPPED);
    }
}
