//! The calls that only `unsafe` can make: overwriting our environment, what happens between fork and exec, and what one thread does
//! as another user.

#![expect(unsafe_code, reason = "the one file of this crate that may; everything else goes through it")]

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Pid, Uid, getppid, setgid, setgroups, setsid, setuid};
use tokio::io::unix::AsyncFd;
use zeroize::Zeroizing;

/// Highest signal number on Linux (`_NSIG` on every architecture that Fargate has).
const LAST_SIGNAL: libc::c_int = 64;

unsafe extern "C" {
    /// The C library's view of the environment; at start it points into the memory that `/proc/<pid>/environ` shows.
    static mut environ: *mut *mut c_char;
}

/// Copies the entries of the named variables, each as `NAME=value` with a NUL behind it, and overwrites them in place with
/// zeros: afterwards neither `/proc/<pid>/environ` nor `std::env` has them. Entries beyond `most` bytes in all are wiped only.
///
/// To be called while the process has one thread, before anything changed the environment.
pub(crate) fn take_variables(names: &[&str], most: usize) -> Zeroizing<Vec<u8>> {
    // Room for all of it: a vector that grows leaves copies behind that nobody wipes.
    let mut taken = Zeroizing::new(Vec::with_capacity(most));
    // SAFETY: one thread, so nobody changes or reads the environment meanwhile; it is an array of pointers that a null pointer
    // ends, or null itself.
    let mut entry = unsafe { environ };
    // SAFETY: as above; the loop stops at the null pointer that ends the array.
    while !entry.is_null() && unsafe { !(*entry).is_null() } {
        // SAFETY: each element is a NUL-terminated string in writable memory (the initial stack); no reference to it outlives
        // this turn of the loop.
        let (start, bytes) = unsafe { (*entry, CStr::from_ptr(*entry).to_bytes_with_nul()) };
        let length = bytes.len() - 1;
        let named = bytes.iter().position(|byte| *byte == b'=').map(|end| &bytes[..end]);
        if named.is_some_and(|name| names.iter().any(|wanted| wanted.as_bytes() == name)) {
            if taken.len() + bytes.len() <= most {
                taken.extend_from_slice(bytes);
            }
            for offset in 0..length {
                // SAFETY: `offset` stays within the string measured above; `bytes` is not used after this point. Volatile,
                // because nobody here reads it again and the kernel's view is what counts.
                unsafe { start.add(offset).write_volatile(0) };
            }
        }
        // SAFETY: `entry` was not the array's end.
        entry = unsafe { entry.add(1) };
    }
    taken
}

/// Prepares `serve`: clean signals, and SIGTERM when `init` is gone.
pub(crate) fn prepare_serve(command: &mut Command, init: Pid) {
    use std::os::unix::process::CommandExt as _;
    let prepare = move || {
        reset_signals()?;
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        // Gone before the line above took effect: nobody would ever tell us.
        if getppid() == init { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Who a session's process becomes, when it is not who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Supplementary groups.
    pub(crate) groups: Vec<Gid>,
}

/// What a session's process does between fork and exec.
#[derive(Debug)]
pub(crate) struct SessionChild {
    /// Standard input is a terminal, which becomes the controlling one.
    pub(crate) terminal: bool,
    pub(crate) identity: Option<Identity>,
    /// Soft and hard limit of core dumps, in bytes: the container's own, which we lowered for ourselves.
    pub(crate) core_limit: (u64, u64),
}

/// Prepares an sshd: clean signals, and a session of its own, so that one signal reaches all its processes.
pub(crate) fn prepare_sshd(command: &mut tokio::process::Command) {
    let prepare = || {
        reset_signals()?;
        setsid()?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Prepares a session's process: clean signals, a session and process group of its own, its terminal, its user.
pub(crate) fn prepare_session(command: &mut tokio::process::Command, child: SessionChild) {
    // SAFETY: between fork and exec only system calls are made; what the closure owns was allocated before, and nothing
    // allocates or takes a lock.
    unsafe { command.pre_exec(as_session(child)) };
}

/// The same for a process that is started without a runtime.
pub(crate) fn prepare_attended(command: &mut Command, child: SessionChild) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: as in `prepare_session`.
    unsafe { command.pre_exec(as_session(child)) };
}

fn as_session(child: SessionChild) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
    move || {
        reset_signals()?;
        setsid()?;
        if child.terminal {
            // SAFETY: TIOCSCTTY takes an integer; descriptor 0 is the terminal and we lead a session without one.
            Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })?;
        }
        setrlimit(Resource::RLIMIT_CORE, child.core_limit.0, child.core_limit.1)?;
        if let Some(identity) = &child.identity {
            setgroups(&identity.groups)?;
            setgid(identity.gid)?;
            setuid(identity.uid)?;
        }
        Ok(())
    }
}

/// Gives up the controlling terminal on standard input, so that a child may lead a session there. The kernel sends SIGHUP to
/// whom it belonged to, us among them.
pub(crate) fn leave_terminal() {
    // SAFETY: TIOCNOTTY takes no argument. Where there is none to give up, nothing happens.
    unsafe { libc::ioctl(0, libc::TIOCNOTTY) };
}

/// Ends this process as the signal ended another, without a core dump of our own. Returns when the signal is none that ends.
pub(crate) fn die_of(number: i32) {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    let _ = SigSet::empty().thread_set_mask();
    // SAFETY: takes a number and touches no memory; for one that is no signal it answers an error.
    unsafe { libc::raise(number) };
}

/// Registers a descriptor with the runtime.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` answers with the same open descriptor until it is dropped, and nobody exchanges it meanwhile.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

/// Does something on a thread of its own, and there with another user's rights. The C library's functions would change all threads;
/// the system calls change the one that makes them. Only the effective ids change: while the real and saved ones are ours, no
/// process of that user may signal the thread, and with it us all (kill(2)).
///
/// # Errors
/// The system's, when it has no thread to give or we may not become that user; those of `act`.
pub(crate) fn with_rights_of<T: Send>(
    identity: &Identity,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let acting = std::thread::Builder::new().name("as-user".to_owned());
        let acting = acting.spawn_scoped(scope, || become_effectively(identity).and_then(|()| act()))?;
        acting.join().unwrap_or_else(|_| Err(io::Error::other("the thread that acts for a user panicked")))
    })
}

fn become_effectively(identity: &Identity) -> io::Result<()> {
    const UNCHANGED: libc::c_long = -1;
    let groups: Vec<libc::gid_t> = identity.groups.iter().map(|group| group.as_raw()).collect();
    // SAFETY: the pointer and the length are those of a vector that outlives the call, which only reads it.
    Errno::result(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    let (uid, gid) = (libc::c_long::from(identity.uid.as_raw()), libc::c_long::from(identity.gid.as_raw()));
    // SAFETY: takes three numbers and touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, UNCHANGED, gid, UNCHANGED) })?;
    // SAFETY: as above. The effective capabilities go with the user id (capabilities(7)).
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, UNCHANGED, uid, UNCHANGED) })?;
    Ok(())
}

/// Lets a child have these limits of open files, soft and hard, whatever ours are.
pub(crate) fn give_open_files(command: &mut tokio::process::Command, limit: (u64, u64)) {
    let prepare = move || Ok(setrlimit(Resource::RLIMIT_NOFILE, limit.0, limit.1)?);
    // SAFETY: between fork and exec only a system call is made; nothing allocates or takes a lock.
    unsafe { command.pre_exec(prepare) };
}

/// Keeps the lookup of host names to what a static executable has in itself. `/etc/nsswitch.conf` of an image may name modules
/// that belong to another C library than ours: loading one of them would take the process down. To be called while the process has
/// not looked a name up.
#[cfg(target_env = "gnu")]
pub(crate) fn restrict_name_service() {
    unsafe extern "C" {
        /// nss.h of the GNU C library: which services answer for a database.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> libc::c_int;
    }
    // SAFETY: both are constant strings that a NUL ends; the function copies what it keeps, under a lock of its own.
    unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
}

/// Other C libraries load no modules.
#[cfg(not(target_env = "gnu"))]
pub(crate) const fn restrict_name_service() {}

/// Ignored and blocked signals survive exec: a shell that inherits an ignored SIGINT never hears Ctrl-C.
fn reset_signals() -> io::Result<()> {
    for number in 1..=LAST_SIGNAL {
        // SAFETY: the default disposition runs no code of ours. Refused for SIGKILL, SIGSTOP and the C library's own, which
        // need no reset.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    Ok(SigSet::empty().thread_set_mask()?)
}
