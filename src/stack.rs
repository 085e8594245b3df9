//! The stack size of a handler, and a message if the stack overflows.

/// The stack size of the main thread and of each worker, in bytes.
pub(crate) const SIZE: usize = 8 * 1024 * 1024;

/// Gives the main thread a stack of [`SIZE`], or of the hard limit if that is lower, and logs its overflow.
///
/// std logs the overflow of all other threads, and of the main thread if libc is not musl. musl does not report how far
/// the stack of the main thread can grow, so a program would die silently of SIGSEGV.
pub(crate) fn prepare() {
    #[cfg(all(target_os = "linux", target_env = "musl", any(target_arch = "x86_64", target_arch = "aarch64")))]
    musl::prepare();
}

/// The unsafe part: std has no API for limits and signals, and the crates for signals refuse SIGSEGV.
#[cfg(all(target_os = "linux", target_env = "musl", any(target_arch = "x86_64", target_arch = "aarch64")))]
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

    /// The message that std prints.
    const MESSAGE: &[u8] = b"\nthread 'main' has overflowed its stack\n\
        fatal runtime error: stack overflow, aborting\n";

    /// `struct rlimit`.
    #[repr(C)]
    struct Limit {
        soft: u64,
        hard: u64,
    }

    /// `struct sigaction`, whose layout in musl is the same on both architectures.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Action {
        handler: usize,
        mask: [c_ulong; 16],
        flags: c_int,
        restorer: usize,
    }

    /// The beginning of `siginfo_t` for a fault.
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

    /// A fault up to `BELOW` bytes below or `ABOVE` bytes above the end of the stack counts as an overflow. The kernel maps nothing
    /// that close below a stack. `ABOVE` covers the distance between the beginning of the stack and the name of the program, from
    /// whose address the end is calculated.
    const BELOW: usize = 1024 * 1024;
    const ABOVE: usize = 64 * 1024;

    /// The lowest address of the stack, or slightly less.
    static END: AtomicUsize = AtomicUsize::new(0);

    /// The previous action for SIGSEGV.
    static BEFORE: OnceLock<Action> = OnceLock::new();

    pub fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: every pointer either is null where musl accepts that or points to a value with the layout that musl
            // expects. The signal handler does only what is allowed in a signal handler.
            unsafe {
                let mut limit = Limit { soft: 0, hard: 0 };
                if prlimit(0, RLIMIT_STACK, ptr::null(), &mut limit) != 0 {
                    return;
                }
                limit.soft = limit.hard.min(SIZE as u64);
                // The kernel checks the limit each time the stack grows.
                if prlimit(0, RLIMIT_STACK, &limit, ptr::null_mut()) != 0 {
                    return;
                }
                let begin = getauxval(AT_EXECFN) as usize;
                END.store(begin.wrapping_sub(limit.soft as usize), Ordering::Relaxed);
                let mut before = Action { handler: 0, mask: [0; 16], flags: 0, restorer: 0 };
                if begin == 0 || sigaction(SIGSEGV, ptr::null(), &mut before) != 0 {
                    return;
                }
                let _ = BEFORE.set(before);
                let action = Action {
                    handler: on_fault as *const () as usize,
                    // Run on the alternate signal stack that std sets up for each thread.
                    flags: SA_SIGINFO | SA_ONSTACK,
                    ..before
                };
                sigaction(SIGSEGV, &action, ptr::null_mut());
            }
        });
    }

    extern "C" fn on_fault(_: c_int, fault: *const Fault, _: *const c_void) {
        let lowest = END.load(Ordering::Relaxed).wrapping_sub(BELOW);
        // SAFETY: the kernel passes a valid fault; the message is static; `BEFORE` was set before this handler was installed.
        unsafe {
            if (*fault).address.wrapping_sub(lowest) < BELOW + ABOVE {
                write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
                process::abort();
            }
            // Not a stack overflow: restore the previous handler, which the fault reaches when it occurs again.
            if let Some(before) = BEFORE.get() {
                sigaction(SIGSEGV, before, ptr::null_mut());
            }
        }
    }
}
