//! Rotation of the key of a connection: another key is created, proven and stored before the old one is revoked.
//!
//! Each step is recorded before the next one begins, so an interruption at any time leaves a key that works:
//!
//! 1. The present key is checked with `probe`. The connection is marked, and a write-ahead log entry is written: planned.
//! 2. The API creates the new key, which is written to the entry: created.
//! 3. `probe` is sent with the new key. The account must be the same.
//! 4. The new key replaces the old one in the connection, together with the mark, in one write. The entry keeps the old key: promoted.
//! 5. The old key is revoked, and the entry is deleted.
//!
//! A rollback completes a rotation whose new key exists and is valid, and undoes every other one. A write of the user that changes the key
//! or what it is for removes the mark. Then the rotation is undone, and the key of the user is kept.
//!
//! The modules in reading order: `path`: the API paths. `due`: rotations by schedule. `start`: the steps until the new key exists. `settle`:
//! the steps after that, and the rollback. `keys`: the keys of a rotation. `entry`: its write-ahead log entry.

mod due;
mod entry;
mod keys;
mod path;
mod settle;
mod start;

pub(crate) use self::due::{Backoff, rotate_due};
pub(crate) use self::entry::{ROTATION_KIND, RotationEntry};
pub(crate) use self::path::{named_path, path};
pub(crate) use self::settle::roll_back;
