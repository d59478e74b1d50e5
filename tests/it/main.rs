//! Rung 3: the repository as a whole, and the binary that users run.

mod house;
mod twin;
