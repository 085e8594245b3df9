//! The stack of a handler, and a line in the log where it overflows.

/// Bytes, of the main thread and of each worker.
pub(crate) const SIZE: usize = 8 * 1024 * 1024;

/// Gives the main thread a stack of [`SIZE`], where the system allows for that, and has its overflow logged.
///
/// std logs those of all other threads, and of the main thread as well where the C library is not musl: musl does not
/// know how far the stack of the main thread may grow, so there a program would end by SIGSEGV without a word.
pub(crate) fn prepare() {
    #[cfg(all(
        target_os = "linux",
        target_env = "musl",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    musl::prepare();
}

/// What no safe code can do: std has neither limits nor signals, and the crates for them refuse SIGSEGV.
#[cfg(all(
    target_os = "linux",
    target_env = "musl",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[allow(unsafe_code)]
mod musl {
    use std::{
        ffi::{c_int, c_ulong, c_void},
        process, ptr,
        sync::{
            Once, OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use super::SIZE;

    const RLIMIT_STACK: c_int = 3;
    const AT_EXECFN: c_ulong = 31;
    const SIGSEGV: c_int = 11;
    const SA_SIGINFO: c_int = 4;
    const SA_ONSTACK: c_int = 0x0800_0000;

    /// The words of std.
    const MESSAGE: &[u8] = b"\nthread 'main' has overflowed its stack\n\
        fatal runtime error: stack overflow, aborting\n";

    /// `struct rlimit`.
    #[repr(C)]
    struct Limit {
        soft: u64,
        hard: u64,
    }

    /// `struct sigaction`, which musl has alike on both architectures.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Action {
        handler: usize,
        mask: [c_ulong; 16],
        flags: c_int,
        restorer: usize,
    }

    /// The begin of `siginfo_t` of a fault.
    #[repr(C)]
    struct Fault {
        words: [c_int; 4],
        address: usize,
    }

    unsafe extern "C" {
        fn getauxval(kind: c_ulong) -> c_ulong;
        fn prlimit(process: c_int, resource: c_int, new: *const Limit, old: *mut Limit) -> c_int;
        fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int;
        fn write(file: c_int, bytes: *const c_void, length: usize) -> isize;
    }

    /// Bytes around the end of the stack in which a fault is its overflow. The kernel maps nothing so close below a stack;
    /// the name of the program, by which its end is known, lies so close to its begin.
    const BELOW: usize = 1024 * 1024;
    const ABOVE: usize = 64 * 1024;

    /// The lowest address of the stack, or a little less.
    static END: AtomicUsize = AtomicUsize::new(0);

    /// What was done about SIGSEGV before.
    static BEFORE: OnceLock<Action> = OnceLock::new();

    pub fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: all pointers are to values of the layout that the functions of musl expect, or null where they take
            // that; the signal handler does nothing but what is allowed in one.
            unsafe {
                let mut limit = Limit { soft: 0, hard: 0 };
                if prlimit(0, RLIMIT_STACK, ptr::null(), &mut limit) != 0 {
                    return;
                }
                limit.soft = limit.hard.min(SIZE as u64);
                // The kernel looks at it each time that the stack grows.
                if prlimit(0, RLIMIT_STACK, &limit, ptr::null_mut()) != 0 {
                    return;
                }
                let begin = getauxval(AT_EXECFN) as usize;
                END.store(begin.wrapping_sub(limit.soft as usize), Ordering::Relaxed);
                let mut before = Action {
                    handler: 0,
                    mask: [0; 16],
                    flags: 0,
                    restorer: 0,
                };
                if begin == 0 || sigaction(SIGSEGV, ptr::null(), &mut before) != 0 {
                    return;
                }
                let _ = BEFORE.set(before);
                let action = Action {
                    handler: on_fault as *const () as usize,
                    // On the stack for signals that std gives each thread.
                    flags: SA_SIGINFO | SA_ONSTACK,
                    ..before
                };
                sigaction(SIGSEGV, &action, ptr::null_mut());
            }
        });
    }

    extern "C" fn on_fault(_: c_int, fault: *const Fault, _: *const c_void) {
        let lowest = END.load(Ordering::Relaxed).wrapping_sub(BELOW);
        // SAFETY: the kernel passes the fault; what is written is static; `BEFORE` was set before this was installed.
        unsafe {
            if (*fault).address.wrapping_sub(lowest) < BELOW + ABOVE {
                write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
                process::abort();
            }
            // Not ours: it happens again, to whoever was there before.
            if let Some(before) = BEFORE.get() {
                sigaction(SIGSEGV, before, ptr::null_mut());
            }
        }
    }
}
