//! The last words of a program with `panic = "abort"`, where a panic ends it from inside of the panic hook.

use std::{
    panic::PanicHookInfo,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::{
    Context, api::Api, executor::block_on, failure::Failure, failure::panics::Place, logs,
    wire::address::Address, wire::connection::Connection,
};

/// How long standard output may take.
const FLUSH: Duration = Duration::from_millis(100);

/// A number, whom to tell, and of which invocation; without one, of the start of the function by this call.
type Entry = (u64, Address, Result<Context, &'static str>);

/// What would be cut by the end of the program. It stays empty where panics unwind.
static WATCHED: Mutex<(u64, Vec<Entry>)> = Mutex::new((0, Vec::new()));

/// Has a panic reported that ends the program, wherever it happens, as long as this is not dropped.
#[derive(Debug)]
pub(crate) struct Watch(u64);

/// Nothing is to be watched where panics unwind.
pub(crate) fn watch(address: &Address, target: Result<&Context, &'static str>) -> Option<Watch> {
    if !cfg!(panic = "abort") {
        return None;
    }
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let (number, entries) = &mut *watched;
    *number += 1;
    entries.push((*number, address.clone(), target.cloned()));
    Some(Watch(*number))
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.1.retain(|(number, ..)| *number != self.0);
    }
}

/// Reports a panic to all that is watched, over fresh connections: nobody knows in which state the others are.
pub(crate) fn report(panic: &PanicHookInfo<'_>) {
    // Taken out: a panic in here would find nothing to do.
    let entries = match WATCHED.lock() {
        Ok(mut watched) => std::mem::take(&mut watched.1),
        Err(_) => return,
    };
    let failure = Failure::panic(panic.payload(), panic.location().map(Place::from));
    for (_, address, target) in entries {
        let mut api = Api::new(&address, Connection::new(&address));
        // What is refused is logged; there is nothing else left to do.
        let _ = match target {
            Ok(context) => {
                logs::failure(context.request_id(), &failure);
                block_on(api.fail(&context, &failure))
            }
            Err(call) => {
                logs::failure("", &failure);
                block_on(api.fail_outside(call, &failure))
            }
        };
    }
    // On another thread, as one that keeps stdout for itself may wait for this one.
    let (sender, flushed) = mpsc::channel();
    thread::spawn(move || {
        logs::flush();
        let _ = sender.send(());
    });
    let _ = flushed.recv_timeout(FLUSH);
}
