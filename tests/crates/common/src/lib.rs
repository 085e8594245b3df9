//! A dependency by path, outside of the workspace of what uses it.

/// The number at an index. What panics here names this file.
pub fn nth(index: usize) -> u8 {
    [1, 2, 3][index]
}
