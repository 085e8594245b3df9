//! The templates of docs/deploy.md.
