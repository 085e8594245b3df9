//! Where panics happened.

use std::{
    cell::RefCell,
    fmt,
    panic::{self, Location},
    sync::Once,
};

/// A line of the function's source.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub file: String,
    pub line: u32,
    column: u32,
}

impl From<&Location<'_>> for Place {
    fn from(location: &Location<'_>) -> Self {
        Place {
            file: location.file().to_owned(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

thread_local! {
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Makes panics leave their place for [`place`]; what the program does about them otherwise stays.
pub(crate) fn remember() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // A thread that ends has no place any more.
            let _ = PLACE.try_with(|place| place.replace(panic.location().map(Place::from)));
            previous(panic);
        }));
    });
}

/// Where the last panic of this thread happened, once.
pub(crate) fn place() -> Option<Place> {
    PLACE.take()
}

/// Forgets the place of a panic that was caught by others: it is not that of the next one.
pub(crate) fn forget() {
    PLACE.take();
}
