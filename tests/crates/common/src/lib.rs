//! A path dependency outside the workspace of the crate that uses it.

/// The number at an index. The message of a panic here contains the path of this file.
pub fn nth(index: usize) -> u8 {
    [1, 2, 3][index]
}
